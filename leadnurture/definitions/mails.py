"""What a mail template may say: the names it knows, its filters and its tests.

The lint of `templates` and the sandbox that renders mails both take it from here, so what one lets through
the other can do.
"""

from collections.abc import Mapping
from typing import Final

from leadnurture.domain.company import Company
from leadnurture.domain.vocabulary import BUILT_IN_FACTS

ACCOUNT: Final = "account."
ASK_LINK: Final = "ask_link"
LINKS: Final = (
    "link", "register_link", "decline_link", ASK_LINK, "download_link", "preferences_link",
    "unsubscribe_link", "hidden_link",
)  # fmt: skip
"""The links of a mail; each is a signed address of ours."""
SINGLE: Final = frozenset({*LINKS, "variant"})
"""Names that are one text: nothing stands behind a dot."""
FILTERS: Final = frozenset({
    "capitalize", "d", "default", "e", "escape", "first", "int", "join", "last", "length", "lower", "round",
    "title", "trim", "truncate", "upper",
})  # fmt: skip
TESTS: Final = frozenset({
    "defined", "undefined", "none", "string", "number", "in", "eq", "ne", "lt", "le", "gt", "ge",
})  # fmt: skip


def mail_names(company: Company) -> Mapping[str, frozenset[str]]:
    """The roots that a template may write a dot behind, and what may follow it."""
    declared = {name for name, _ in company.facts}
    facts = {*BUILT_IN_FACTS, *declared}
    return {
        "lead": frozenset(name for name in BUILT_IN_FACTS if not name.startswith(ACCOUNT)),
        "account": frozenset(name.removeprefix(ACCOUNT) for name in facts if name.startswith(ACCOUNT)),
        "facts": frozenset(name for name in declared if not name.startswith(ACCOUNT)),
        "content": frozenset({"title", "kind", "length"}),
        "session": frozenset({"title", "date", "time", "zone"}),
        "sender": frozenset({"name", "address"}),
        "company": frozenset({"name", "postal_address", "url"}),
    }

"""What a template may call by name. Everything else is a problem with its place, before any mail is sent."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from leadnurture.definitions.problems import unknown
from leadnurture.domain.company import Company
from leadnurture.domain.vocabulary import BUILT_IN_FACTS

ACCOUNT: Final = "account."
# The links of a mail; each is a signed address of ours.
LINKS: Final = ("link", "register_link", "decline_link", "unsubscribe_link")
SINGLE: Final = frozenset({*LINKS, "variant"})


class Path(NamedTuple):
    """`lead.first_name`, or a name without a dot."""

    root: str
    attribute: str | None

    def __str__(self) -> str:
        return self.root if self.attribute is None else f"{self.root}.{self.attribute}"


def known_names(company: Company) -> Mapping[str, frozenset[str]]:
    """The roots that take a dot, and what may stand behind it."""
    declared = {name for name, _ in company.facts}
    return {
        "lead": frozenset(name for name in BUILT_IN_FACTS if not name.startswith(ACCOUNT)),
        "account": frozenset(
            name.removeprefix(ACCOUNT) for name in {*BUILT_IN_FACTS, *declared} if name.startswith(ACCOUNT)
        ),
        "facts": frozenset(name for name in declared if not name.startswith(ACCOUNT)),
        "content": frozenset({"title", "kind", "length"}),
        "session": frozenset({"title", "date", "time", "zone"}),
        "sender": frozenset({"name", "address"}),
        "company": frozenset({"name", "postal_address", "url"}),
    }


def objection(path: Path, names: Mapping[str, frozenset[str]]) -> str | None:
    """The sentence about a name that is not there; None when all is well."""
    if path.root in SINGLE:
        return None if path.attribute is None else f'"{path.root}" is one text; nothing stands behind a dot'
    if path.root not in names:
        return unknown("name", path.root, [*SINGLE, *names])
    if path.attribute is None:
        return f'"{path.root}" needs a dot and one of {", ".join(sorted(names[path.root]))}'
    if path.attribute not in names[path.root]:
        return unknown(f"name behind {path.root}.", path.attribute, names[path.root], _declare(path.root))
    return None


def _declare(root: str) -> str:
    return "declare it under `facts:` in config/leadnurture.yaml" if root in {"facts", "account"} else ""

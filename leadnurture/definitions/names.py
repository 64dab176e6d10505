"""What the files of a project may refer to by name; collected first, so that no order of files matters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from leadnurture.domain.vocabulary import BUILT_IN_FACTS, ContentKind, FactKind, Track

NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NAME_RULE: Final = 'small letters, digits and hyphens, as in "last-call"'
# Whom a role stands for is looked up when it is needed.
ROLES: Final = frozenset({"sales", "owner", "account manager", "account manager's lead"})

ADD_PERSON: Final = "add him under people in config/leadnurture.yaml"
DECLARE_FACT: Final = "declare it under facts in config/leadnurture.yaml"
DECLARE_LOCALE: Final = "name it under locales in config/leadnurture.yaml"
DECLARE_TOPIC: Final = "declare it under topics in config/leadnurture.yaml"


@dataclass(frozen=True, slots=True)
class Names:
    """The declared names of a project. What conditions, programs and agreements may speak of."""

    facts: Mapping[str, FactKind] = field(default_factory=lambda: dict(BUILT_IN_FACTS))
    """Built-in and declared, `account.` before those of the account."""
    declared: frozenset[str] = frozenset()
    """The facts that the company declares: programs may set these."""
    topics: frozenset[str] = frozenset()
    locales: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    roles: frozenset[str] = ROLES
    contents: Mapping[str, ContentKind | None] = field(default_factory=dict)
    """None while a content's kind is not readable."""
    variants: frozenset[tuple[str, Track]] = frozenset()
    """(content, track) for which a template lies there."""
    translations: frozenset[tuple[str, str]] = frozenset()
    """(content, locale) for which a template lies there, beside the first locale."""
    programs: Mapping[str, Track] = field(default_factory=dict)
    """The programs of the project, with the track in whose folder they lie."""

    @property
    def dates(self) -> frozenset[str]:
        """The facts that are dates."""
        return frozenset(name for name, kind in self.facts.items() if kind == "date")

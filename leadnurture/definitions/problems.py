"""What is wrong with a project's files, as values: each mistake with place and remedy, all at once.

A parser never stops at a mistake. It reports, goes on with a harmless value, and `check` throws the harmless
values away. What is nearly right is read as what was meant, so that one slip of the pen is one problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

MOST_LISTED: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; both count from 1, as editors do."""

    line: int = 1
    column: int = 1

    def moved(self, columns: int) -> Place:
        """The place so many characters further in the same line."""
        return Place(self.line, self.column + columns)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file. A warning hinders nothing."""

    file: str
    line: int
    column: int
    sentence: str
    is_warning: bool = False

    def __str__(self) -> str:
        mark = "warning: " if self.is_warning else ""
        return f"{self.file}:{self.line}:{self.column}: {mark}{self.sentence}"


class MistakeError(ValueError):
    """What a parser of one line of text raises: a sentence, and where in the text it begins."""

    def __init__(self, sentence: str, offset: int = 0, *, needs_company: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.offset = offset
        self.needs_company = needs_company
        """Whether it may only come from a company file that could not be read."""


@dataclass(slots=True)
class Report:
    """Collects the problems of one file; one that is told twice is kept once."""

    file: str
    company_is_known: bool = True
    """When the company's file could not be read, nothing that it would declare counts as unknown."""
    problems: dict[Problem, None] = field(default_factory=dict)

    def error(self, place: Place, sentence: str) -> None:
        """Add a problem that makes the project unusable."""
        self.problems.setdefault(Problem(self.file, place.line, place.column, sentence))

    def warn(self, place: Place, sentence: str) -> None:
        """Add a problem that is only worth a look."""
        self.problems.setdefault(Problem(self.file, place.line, place.column, sentence, is_warning=True))

    def mistake(self, place: Place, mistake: MistakeError) -> None:
        """Add what a parser of text raised."""
        if self.company_is_known or not mistake.needs_company:
            self.error(place, mistake.sentence)

    def unknown(self, place: Place, what: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        """Add `unknown step "remnd", did you mean "remind"?`."""
        self.error(place, unknown(what, name, known, remedy))

    def not_yet(self, place: Place, word: str) -> None:
        """Add the one sentence about words that the language has and the product not."""
        self.error(place, not_yet(word))


def unknown(what: str, name: str, known: Iterable[str], remedy: str = "") -> str:
    """`unknown step "remnd", did you mean "remind"?`; without a likeness the remedy, else what there is."""
    choices = sorted(set(known))
    alike = meant(name, choices)
    if alike:
        return f'unknown {what} "{name}", did you mean "{alike}"?'
    if not remedy and 0 < len(choices) <= MOST_LISTED:
        remedy = f"there is {listed(choices)}"
    return f'unknown {what} "{name}"' + (f"; {remedy}" if remedy else "")


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    return _alike(name, tuple(sorted(set(known))))


@lru_cache
def _alike(name: str, known: tuple[str, ...]) -> str | None:
    if name in known:
        return name
    alike = get_close_matches(name, known, n=1)
    if not alike and name != name.lower():
        alike = get_close_matches(name.lower(), known, n=1)
    return alike[0] if alike else None


def not_yet(word: str) -> str:
    """The sentence for what the language has and this version not."""
    return f'"{word}" is not available yet; leave it out'


def listed(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last

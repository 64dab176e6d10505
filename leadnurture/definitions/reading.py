"""Reads one map of a file key by key, guided by its shape in `files`. Whatever is wrong is reported; reading always goes on.

Every method returns a value of the promised type: the one that stands there, else a harmless one after a report.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from leadnurture.definitions import conditions, times
from leadnurture.definitions.nodes import Items, Map, Scalar, named, plain
from leadnurture.definitions.problems import Mistake, Place, listed
from leadnurture.domain.condition import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import date

    from leadnurture.definitions.conditions import Scope
    from leadnurture.definitions.files import Shape
    from leadnurture.definitions.names import Names
    from leadnurture.definitions.nodes import Entry, Node
    from leadnurture.definitions.problems import Report
    from leadnurture.domain.timing import Duration, Unit

T = TypeVar("T")

BRACKETS: Final = {")": "(", "]": "[", "}": "{"}


class Fields:
    """One map of a file. Unknown, missing and not yet available keys are reported when it is opened."""

    def __init__(self, node: Node | None, shape: type[Shape], report: Report, place: Place | None = None) -> None:
        self.report = report
        self.place = place or (node.place if node else Place())
        self._entries: dict[str, Entry] = {}
        if isinstance(node, Map):
            self._open(node, _keys(shape))
        elif node is not None:
            report.error(node.place, f"here belongs a map with the keys {listed(_keys(shape))}, not {named(node)}")

    def _open(self, node: Map, keys: dict[str, Key]) -> None:
        read_until_cut = entries_of(node, self.report)
        self._entries = {entry.key.text: entry for entry in read_until_cut}
        for entry in read_until_cut:
            self._admit(entry, keys)
        for key in keys.values():
            if key.is_required and not any(entry.key.text == key.name for entry in node.entries):
                self.report.error(self.place, f'"{key.name}" is missing; {key.remedy}')

    def _admit(self, entry: Entry, keys: dict[str, Key]) -> None:
        name = entry.key.text
        if name not in keys:
            self.report.unknown(entry.key.place, "key", name, keys)
        elif keys[name].is_later:
            keys[name].check(entry.value, self.report)
            self.report.not_yet(entry.key.place, name)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def node(self, key: str) -> Node | None:
        """The value of a key, None where there is none."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def at(self, key: str) -> Place:
        """Where the key stands, else where its map begins."""
        entry = self._entries.get(key)
        return entry.key.place if entry else self.place

    def text(self, key: str) -> str:
        """The text of a key; empty where there is none."""
        node = self.node(key)
        return text_of(node, f'"{key}"', self.report) or "" if node else ""

    def maybe(self, key: str) -> str | None:
        """The text of a key, or None."""
        return self.text(key) or None

    def number(self, key: str, default: int, least: int | None = None) -> int:
        """The whole number of a key."""
        node = self.node(key)
        return default if node is None else whole_number(node, f'"{key}"', self.report, default, least)

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """What a parser makes of the text of a key."""
        node = self.node(key)
        return default if node is None else parsed(node, f'"{key}"', parse, self.report, default)

    def day(self, key: str) -> date | None:
        """The date of a key."""
        return self.parsed(key, times.day, None)

    def duration(self, key: str, units: Sequence[Unit] = times.UNITS) -> Duration | None:
        """The duration of a key."""
        return self.parsed(key, lambda text: times.duration(text, units), None)

    def choice(self, key: str, choices: Collection[str], default: str = "", what: str = "") -> str:
        """One of a closed list of words; an unknown one gives the default."""
        node = self.node(key)
        name = text_of(node, f'"{key}"', self.report) if node else None
        if name is None:
            return default
        if name not in choices and node:
            self.report.unknown(node.place, what or key, name, choices)
            return default
        return name

    def condition(self, key: str, names: Names, scope: Scope) -> Condition | None:
        """The condition of a key, None where there is none."""
        node = self.node(key)
        return condition(node, names, scope.at(key), self.report) if node else None

    def scalars(self, key: str) -> tuple[Scalar, ...]:
        """The texts of a key that takes one or a list of them."""
        node = self.node(key)
        if isinstance(node, Items):
            return tuple(item for item in node.items if isinstance(item, Scalar) and text_of(item, f'a value of "{key}"', self.report))
        if isinstance(node, Scalar) and text_of(node, f'"{key}"', self.report):
            return (node,)
        if isinstance(node, Map):
            self.report.error(node.place, f'"{key}" takes a text or a list of texts, not a map')
        return ()

    def items(self, key: str) -> tuple[Node, ...]:
        """The parts of a list."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, Items) and node.items:
            return node.items
        self.report.error(node.place, f'"{key}" takes a list, each item on a line that begins with "- ", not {named(node)}')
        return ()

    def entries(self, key: str) -> tuple[Entry, ...]:
        """The entries of a map whose keys are the user's own."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, Map) and node.entries:
            return tuple(entries_of(node, self.report))
        self.report.error(node.place, f'"{key}" takes a map of `key: value` lines, not {named(node)}')
        return ()


class Key:
    """What the shape of a map says of one of its keys."""

    def __init__(self, name: str, shape: type[Shape], attribute: str) -> None:
        field = shape.model_fields[attribute]
        self.name = name
        self.is_required = field.is_required()
        self.is_later = bool(field.deprecated)
        self.example = field.examples[0] if field.examples else None
        self.description = field.description or ""
        self.annotation = field.annotation

    @property
    def remedy(self) -> str:
        """How the key is written."""
        if isinstance(self.example, str | int):
            return f"write it as in `{self.name}: {self.example}`"
        return self.description[:1].lower() + self.description[1:].rstrip(".")

    def check(self, node: Node, report: Report) -> None:
        """Report a value that would be wrong even if the key were available."""
        try:
            TypeAdapter[Any](self.annotation).validate_python(plain(node))
        except ValidationError:
            report.error(node.place, f'"{self.name}" is written as in {self.example}, not {named(node)}')


@cache
def _keys(shape: type[Shape]) -> dict[str, Key]:
    names = {attribute: field.alias or attribute for attribute, field in shape.model_fields.items()}
    return {name: Key(name, shape, attribute) for attribute, name in names.items()}


def entries_of(node: Map, report: Report) -> list[Entry]:
    """The entries of a map, up to the first that a comma cut in two: what follows it is debris."""
    entries = []
    for entry in node.entries:
        if cut := next((part for part in (entry.key, entry.value) if isinstance(part, Scalar) and is_cut(part, ",")), None):
            report.error(cut.place, cut_sentence(cut))
            break
        entries.append(entry)
    return entries


def text_of(node: Node, what: str, report: Report) -> str | None:
    """The text of a node; None after a report."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if node.value.strip():
            return node.value.strip()
        report.error(node.place, f"{what} is empty")
    elif isinstance(node, Scalar) and node.value is not None:
        report.error(node.place, f'{what} must be a text, not {named(node)}; write it in quotes: "{node.text}"')
    elif isinstance(node, Scalar):
        report.error(node.place, f"{what} has no value; write one or leave the line out")
    else:
        report.error(node.place, f"{what} takes a text, not {named(node)}")
    return None


def whole_number(node: Node, what: str, report: Report, default: int = 0, least: int | None = None) -> int:
    """The whole number of a node."""
    if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
        if least is None or node.value >= least:
            return node.value
        report.error(node.place, f"{what} must be at least {least}, not {node.value}")
        return default
    report.error(node.place, f"{what} takes a whole number, not {named(node)}")
    return default


def parsed(node: Node, what: str, parse: Callable[[str], T], report: Report, default: T) -> T:  # noqa: PLR0913  # the five things a reading needs
    """What a parser makes of a node's text."""
    text = text_of(node, what, report)
    if text is None:
        return default
    try:
        return parse(text)
    except Mistake as mistake:
        report.mistake(node.place, mistake)
        return default


def condition(node: Node, names: Names, scope: Scope, report: Report) -> Condition:
    """The condition of a node."""
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        report.error(node.place, f"{node.text} is not a condition; leave the line out for always")
        return Condition(node.text, conditions.NOTHING)
    text = text_of(node, "a condition", report)
    if text is None or not isinstance(node, Scalar):
        return Condition("", conditions.NOTHING)
    return _condition(node, text, names, scope, report)


def _condition(node: Scalar, text: str, names: Names, scope: Scope, report: Report) -> Condition:
    if is_cut(node, "#") or is_cut(node, ","):
        report.error(node.place, cut_sentence(node))
        return Condition(text, conditions.NOTHING)
    found, mistakes = conditions.read(text, names, scope)
    for mistake in mistakes:
        report.mistake(_inside(node, mistake.offset), mistake)
    return found


def _inside(node: Scalar, offset: int) -> Place:
    """Where a character of a text stands in the file; the text's begin where it is folded or escaped."""
    if not node.is_one_line:
        return node.place
    return node.place.moved(offset if node.is_plain else offset + 1)


def is_cut(node: Scalar, sign: str) -> bool:
    """Whether YAML ended a text at a sign that the writer meant as a part of it: a quote or a bracket stays open."""
    return node.cut_by == sign and _is_open(node.text)


def cut_sentence(node: Scalar) -> str:
    """What YAML did to a text, and how to write it."""
    if node.cut_by == "#":
        return f"YAML cuts `{node.text}` at \" #\", which begins a comment; write the whole value in 'single quotes'"
    return f"YAML cuts `{node.text}` at the comma, since it stands inside of {{…}}; write the whole value in 'single quotes', or on a line of its own"


def _is_open(text: str) -> bool:
    quote, brackets = "", []
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign == '"':
            quote = sign
        elif sign in BRACKETS.values():
            brackets.append(sign)
        elif sign in BRACKETS and (not brackets or brackets.pop() != BRACKETS[sign]):
            return True
    return bool(quote or brackets)


def known(scalars: Iterable[Scalar], choices: Collection[str], what: str, report: Report, remedy: str = "") -> tuple[str, ...]:
    """The texts of a list that are all to be known names."""
    found = []
    for scalar in scalars:
        if scalar.text in choices:
            found.append(scalar.text)
        else:
            report.unknown(scalar.place, what, scalar.text, choices, remedy)
    return tuple(found)

"""Reads one map of a file key by key, guided by its shape in `files`. What is wrong is reported.

Reading always goes on: every method returns what stands there, else a harmless value of the same type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from leadnurture.definitions import times
from leadnurture.definitions.conditions import Scope
from leadnurture.definitions.files import Shape
from leadnurture.definitions.names import Names
from leadnurture.definitions.nodes import Entry, Items, Map, Node, Scalar, named, plain
from leadnurture.definitions.problems import Place, Report, listed, meant
from leadnurture.definitions.values import condition, cut_sentence, is_cut, parsed, text_of, whole_number
from leadnurture.domain.condition import Condition
from leadnurture.domain.timing import Duration, Unit

T = TypeVar("T")

NO_NODE: Final = Map(Place(), ())


class Fields:
    """One map of a file. Unknown, missing and not yet available keys are reported when it is opened."""

    def __init__(
        self, node: Node | None, shape: type[Shape], report: Report, place: Place | None = None
    ) -> None:
        self.report = report
        self.place = place or (node or NO_NODE).place
        self._entries: dict[str, Entry] = {}
        keys = _keys(shape)
        if isinstance(node, Map):
            self._open(node, keys)
        elif node is not None:
            report.error(
                node.place, f"here belongs a map with keys such as {listed(keys)}, not {named(node)}"
            )

    def _open(self, node: Map, keys: dict[str, Key]) -> None:
        is_debris = False
        for entry in node.entries:
            name = entry.key.text
            if name in keys:
                self._admit(entry, keys[name])
            elif not is_debris:
                self.report.unknown(entry.key.place, "key", name, keys)
                self._entries.setdefault(meant(name, keys) or name, entry)
            is_debris = is_debris or _report_cut(entry, self.report)
        for key in keys.values():
            if key.is_required and key.name not in self._entries:
                self.report.error(self.place, f'"{key.name}" is missing; write it as in {key.example}')

    def _admit(self, entry: Entry, key: Key) -> None:
        self._entries[key.name] = entry
        if key.is_later:
            key.check(entry.value, self.report)
            self.report.not_yet(entry.key.place, key.name)

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

    def scalar(self, key: str) -> Scalar | None:
        """The text of a key with its place, None where there is none."""
        node = self.node(key)
        text = text_of(node, f'"{key}"', self.report) if node else None
        return node if text and isinstance(node, Scalar) else None

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
        return whole_number(node, f'"{key}"', self.report, default, least) if node else default

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """What a parser makes of the text of a key."""
        node = self.node(key)
        return parsed(node, f'"{key}"', parse, self.report, default) if node else default

    def day(self, key: str) -> date | None:
        """The date of a key."""
        return self.parsed(key, times.day, None)

    def duration(self, key: str, units: Sequence[Unit] = times.UNITS) -> Duration | None:
        """The duration of a key."""
        return self.parsed(key, lambda text: times.duration(text, units), None)

    def choice(self, key: str, choices: Collection[T], default: T, what: str = "") -> T:
        """One of a closed list of words; of an unknown one what was probably meant, else the default."""
        node = self.scalar(key)
        if node is None:
            return default
        words = {str(choice): choice for choice in choices}
        if node.text not in words:
            self.report.unknown(node.place, what or key, node.text, words)
        return words.get(meant(node.text, words) or "", default)

    def condition(self, key: str, names: Names, scope: Scope) -> Condition | None:
        """The condition of a key, None where there is none."""
        node = self.node(key)
        return condition(node, names, scope.at(key), self.report) if node else None

    def scalars(self, key: str) -> tuple[Scalar, ...]:
        """The texts of a key that takes one or a list of them."""
        node = self.node(key)
        nodes = node.items if isinstance(node, Items) else (node,) if node else ()
        what = f'"{key}"'
        return tuple(part for part in nodes if text_of(part, what, self.report) and isinstance(part, Scalar))

    def items(self, key: str) -> tuple[Node, ...]:
        """The parts of a list."""
        node = self.node(key)
        if node is None or (isinstance(node, Items) and node.items):
            return node.items if isinstance(node, Items) else ()
        sentence = f'"{key}" takes a list, each item on a line that begins with "- ", not {named(node)}'
        self.report.error(node.place, sentence)
        return ()

    def entries(self, key: str) -> tuple[Entry, ...]:
        """The entries of a map whose keys are the writer's own, up to one that a comma cuts in two."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node, Map) or not node.entries:
            self.report.error(node.place, f'"{key}" takes a map of `key: value` lines, not {named(node)}')
            return ()
        cut = next(
            (number for number, each in enumerate(node.entries) if _report_cut(each, self.report)), None
        )
        return node.entries[:cut]


class Key:
    """What the shape of a map says of one of its keys."""

    def __init__(self, name: str, shape: type[Shape], attribute: str) -> None:
        field = shape.model_fields[attribute]
        self.name = name
        self.is_required = field.is_required()
        self.is_later = bool(field.deprecated)
        self.example = f"`{name}: {_flow(field.examples[0] if field.examples else '…')}`"
        self._type: Any = field.annotation

    def check(self, node: Node, report: Report) -> None:
        """Report a value that would be wrong even if the key were available."""
        try:
            TypeAdapter[Any](self._type).validate_python(plain(node))
        except ValidationError:
            report.error(node.place, f"this is written as in {self.example}, not as {named(node)}")


@cache
def _keys(shape: type[Shape]) -> dict[str, Key]:
    names = {attribute: field.alias or attribute for attribute, field in shape.model_fields.items()}
    return {name: Key(name, shape, attribute) for attribute, name in names.items()}


def _flow(value: object) -> str:
    """A value as one line of YAML."""
    match value:
        case dict():
            return f"{{{', '.join(f'{key}: {_flow(part)}' for key, part in value.items())}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case _:
            return str(value)


def _report_cut(entry: Entry, report: Report) -> bool:
    """Whether a comma cut the entry in two, so that what follows is debris."""
    for part in (entry.key, entry.value):
        if isinstance(part, Scalar) and part.cut_by == "," and is_cut(part):
            report.error(part.place, cut_sentence(part))
            return True
    return False

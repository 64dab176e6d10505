"""A YAML file as a tree in which everything knows its place. Hides PyYAML and all the surprises of YAML 1.1.

Only the rules of YAML 1.2 hold: `on` is a key, `NO` a country, `10:00` and `2026-12-01` are text, `+10` and
`010` are the number 10. The tree is built from events, not composed, so that aliases, anchors, tags, second
documents and deep nests are refused where they stand instead of being expanded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import yaml

from leadnurture.definitions.problems import Place, Report

Plain = bool | int | float | str | None

MAX_CHARACTERS: Final = 256 * 1024
MAX_DEPTH: Final = 24
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")
COMMENT: Final = re.compile(r"[ \t]+#")
COMMA: Final = re.compile(r"\s*,")

CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
CONTROLLED: Final = "a control character; remove it"
QUOTE_IT: Final = "write the whole value in 'single quotes'"
# By the begin of what libyaml says.
REMEDIES: Final = {
    "mapping values are not allowed": f'a second ": " in the line, or a wrong indent; {QUOTE_IT}',
    "did not find expected ',' or '}'": f"a value inside of {{…}} has [ ] {{ }} or a comma; {QUOTE_IT}",
    "did not find expected ',' or ']'": f"a value inside of […] has [ ] {{ }} or a comma; {QUOTE_IT}",
    "did not find expected key": f"a wrong indent, or a value that goes on behind its quotes; {QUOTE_IT}",
    "did not find expected comment or line break": f"a value that begins with > or |; {QUOTE_IT}",
    "did not find expected <document start>": f"text behind the end of a value; {QUOTE_IT}",
    "could not find expected ':'": "a key without a colon; write `key: value`",
    "found unexpected end of stream": "a quote is opened and never closed; close it",
    "block sequence entries are not allowed": "a list item does not fit here; begin the list on a new line",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts. `text` is what was written, `value` what YAML 1.2 makes of it."""

    place: Place
    text: str
    value: Plain
    is_plain: bool = True
    is_one_line: bool = True
    cut_by: Literal["", ",", "#"] = ""
    """What ended it, where that is a sign that may well have been meant as a part of it."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Map:
    """A map; its keys are different from each other."""

    place: Place
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Node | None:
        """The value of a key, None when there is none."""
        return next((entry.value for entry in self.entries if entry.key.text == key), None)


Node = Scalar | Items | Map


@dataclass(slots=True)
class _Open:
    """A list or a map whose end has not come yet."""

    place: Place
    is_map: bool
    is_flow: bool
    parts: list[Node] = field(default_factory=list)


def parse(text: str, report: Report) -> Node | None:
    """The tree of a file, or None after a problem that leaves no tree. Never raises, takes linear time."""
    if len(text) > MAX_CHARACTERS:
        report.error(Place(), f"the file is larger than {MAX_CHARACTERS // 1024} kB; split it")
        return None
    builder = _Builder(text, report)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if not builder.take(event):
                return None
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark if "quoted scalar" in (error.context or "") else error.problem_mark
        report.error(_place(mark), _sentence(error, text))
        return None
    except yaml.reader.ReaderError as error:
        report.error(_place_of_index(text, error.position), CONTROLLED)
        return None
    if builder.root is None:
        report.error(Place(), "the file is empty; write its keys or delete it")
    return builder.root


def plain(node: Node) -> object:
    """The tree as dicts, lists and values, for validators that know no places."""
    match node:
        case Map(_, entries):
            return {entry.key.text: plain(entry.value) for entry in entries}
        case Items(_, items):
            return [plain(item) for item in items]
        case Scalar():
            return node.value


def named(node: Node) -> str:
    """What a node is, for a sentence: `a list`, `the number 7`, `"high"`."""
    match node:
        case Map():
            return "a map"
        case Items():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return node.text
        case Scalar(value=int() | float()):
            return f"the number {node.text}"
        case _:
            return f'"{node.text}"'


class Mark(Protocol):
    """A position as PyYAML gives it, counted from 0; its two parsers have a class each."""

    @property
    def line(self) -> int:
        """Of the file."""

    @property
    def column(self) -> int:
        """Of the line."""


class _Builder:
    """Turns events into a tree. `take` says False when reading has no sense any more."""

    def __init__(self, text: str, report: Report) -> None:
        self.text = text
        self.report = report
        self.root: Node | None = None
        self.open: list[_Open] = []

    def take(self, event: yaml.Event) -> bool:
        match event:
            case yaml.AliasEvent():
                return self._refuse(event, "aliases (*name) are not part of the language; write it out")
            case yaml.DocumentStartEvent() if self.root is not None:
                return self._refuse(event, "a second document; one file holds one document, remove the ---")
            case yaml.NodeEvent() if event.anchor:
                return self._refuse(event, "anchors (&name) are not part of the language; remove it")
            case yaml.ScalarEvent() | yaml.CollectionStartEvent() if event.tag:
                return self._refuse(event, "tags (!name) are not part of the language; remove it")
            case yaml.ScalarEvent():
                self._add(self._scalar(event))
            case yaml.CollectionStartEvent():
                return self._begin(event)
            case yaml.CollectionEndEvent():
                self._add(self._end())
        return True

    def _refuse(self, event: yaml.Event, sentence: str) -> bool:
        self.report.error(_place(event.start_mark), sentence)
        return False

    def _begin(self, event: yaml.CollectionStartEvent) -> bool:
        if len(self.open) >= MAX_DEPTH:
            return self._refuse(event, f"nested deeper than {MAX_DEPTH} levels; no file needs that")
        is_map = isinstance(event, yaml.MappingStartEvent)
        self.open.append(_Open(_place(event.start_mark), is_map, bool(event.flow_style)))
        return True

    def _end(self) -> Node:
        done = self.open.pop()
        if done.is_map:
            return Map(done.place, tuple(self._entries(done.parts)))
        return Items(done.place, tuple(done.parts))

    def _add(self, node: Node) -> None:
        if self.open:
            self.open[-1].parts.append(node)
        else:
            self.root = node

    def _entries(self, parts: list[Node]) -> list[Entry]:
        entries: dict[str, Entry] = {}
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.report.error(key.place, f"{named(key)} cannot be a key; {QUOTE_IT}")
            elif key.text in entries:
                first = entries[key.text].key.place.line
                sentence = f'"{key.text}" stands here twice, first in line {first}; remove one of them'
                self.report.error(key.place, sentence)
            else:
                entries[key.text] = Entry(key, value)
        return list(entries.values())

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place, is_plain = _place(event.start_mark), not event.style
        if CONTROL.search(event.value):
            self.report.error(place, CONTROLLED)
        return Scalar(
            place=place,
            text=event.value,
            value=_resolve(event.value) if is_plain else event.value,
            is_plain=is_plain,
            is_one_line=place.line == _place(event.end_mark).line,
            cut_by=self._cut_by(event.end_mark.index) if is_plain and event.end_mark else "",
        )

    def _cut_by(self, end: int) -> Literal["", ",", "#"]:
        if self.open and self.open[-1].is_flow and COMMA.match(self.text, end):
            return ","
        return "#" if COMMENT.match(self.text, end) else ""


def _resolve(text: str) -> Plain:
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if FLOAT.fullmatch(text) else text


def _place(mark: Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place()


def _place_of_index(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _sentence(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or "this is not YAML"
    if "cannot start any token" in problem and error.problem_mark:
        return _bad_start(text[error.problem_mark.index :][:1])
    remedy = next((remedy for start, remedy in REMEDIES.items() if problem.startswith(start)), None)
    return remedy or f"this is not YAML: {problem}"


def _bad_start(sign: str) -> str:
    if sign == "\t":
        return "a tab; indent with spaces"
    return f'a value may not begin with "{sign}"; {QUOTE_IT}'

"""Definitions as JSON and back, exactly. What `apply` stores, so that the engine never reads YAML.

Pydantic does the values. Where a union would have to guess, the JSON says it: tagged values keep their
`type`, dates get one. They are built from the inside out: a deep condition costs no more than a flat one.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from leadnurture.domain import condition, timing
from leadnurture.domain.asking import Ask
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program

TAGGED: Final[dict[str, type]] = {
    str(field.default): kind
    for module in (condition, timing)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind)
    for field in fields(kind)
    if field.name == "type"
}


def dump_definitions(definitions: Definitions) -> str:
    """Compact JSON of a whole project."""
    return _json(_whole().dump_python(definitions))


def load_definitions(text: str) -> Definitions:
    """The project of such a JSON."""
    return _whole().validate_python(json.loads(text, object_hook=_value))


def dump_program(program: Program) -> str:
    """Compact JSON of one program, as a version of it is kept."""
    return _json(_program().dump_python(program))


def load_program(text: str) -> Program:
    """The program of such a JSON."""
    return _program().validate_python(json.loads(text, object_hook=_value))


def dump_ask(ask: Ask) -> str:
    """Compact JSON of what a task asks."""
    return _json(_ask().dump_python(ask))


def load_ask(text: str) -> Ask:
    """The questions of such a JSON."""
    return _ask().validate_json(text)


@cache
def _ask() -> TypeAdapter[Ask]:
    return TypeAdapter(Ask)


@cache
def _whole() -> TypeAdapter[Definitions]:
    return TypeAdapter(Definitions)


@cache
def _program() -> TypeAdapter[Program]:
    return TypeAdapter(Program)


@cache
def _tagged(tag: str) -> TypeAdapter[Any]:
    return TypeAdapter(TAGGED[tag])


def _json(tree: object) -> str:
    return json.dumps(tree, default=_date, ensure_ascii=False, separators=(",", ":"))


def _date(value: object) -> dict[str, str]:
    match value:
        case datetime():
            return {"type": "datetime", "value": value.isoformat()}
        case date():
            return {"type": "date", "value": value.isoformat()}
    raise TypeError(value)


def _value(tree: dict[str, Any]) -> object:
    """What one JSON object is: a date, a tagged value, or a part of something larger."""
    match tree:
        case {"type": "datetime", "value": str() as text}:
            return datetime.fromisoformat(text)
        case {"type": "date", "value": str() as text}:
            return date.fromisoformat(text)
        case {"type": str() as tag} if tag in TAGGED:
            return _tagged(tag).validate_python(tree)
    return tree

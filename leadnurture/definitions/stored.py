"""Definitions as JSON and back, exactly. What `apply` stores, so that the engine never reads YAML.

Pydantic does the values. Where a union would have to guess, the JSON says it: tagged values keep their `type`, and dates get one.
They are built from the inside out, so that a deep condition costs no more than a flat one.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from leadnurture.domain import condition, timing
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program

T = TypeVar("T")

TAGGED: Final[dict[str, type]] = {
    kind.__dataclass_fields__["type"].default: kind
    for module in (condition, timing)
    for kind in vars(module).values()
    if isinstance(kind, type) and "type" in getattr(kind, "__dataclass_fields__", {})
}


def dump_definitions(definitions: Definitions) -> str:
    """Compact JSON of a whole project."""
    return _dump(Definitions, definitions)


def load_definitions(text: str) -> Definitions:
    """The project of such a JSON."""
    return _load(Definitions, text)


def dump_program(program: Program) -> str:
    """Compact JSON of one program, as a version of it is kept."""
    return _dump(Program, program)


def load_program(text: str) -> Program:
    """The program of such a JSON."""
    return _load(Program, text)


def _dump(kind: type[T], value: T) -> str:
    tree = _adapter(kind).dump_python(value)
    return json.dumps(tree, default=_date, ensure_ascii=False, separators=(",", ":"))


def _load(kind: type[T], text: str) -> T:
    return _adapter(kind).validate_python(json.loads(text, object_hook=_tagged))


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def _date(value: object) -> dict[str, str]:
    match value:
        case datetime():
            return {"type": "datetime", "value": value.isoformat()}
        case date():
            return {"type": "date", "value": value.isoformat()}
    raise TypeError(value)


def _tagged(tree: dict[str, Any]) -> object:
    match tree:
        case {"type": "datetime", "value": str() as text}:
            return datetime.fromisoformat(text)
        case {"type": "date", "value": str() as text}:
            return date.fromisoformat(text)
        case {"type": str() as tag} if tag in TAGGED:
            return _adapter(TAGGED[tag]).validate_python(tree)
    return tree

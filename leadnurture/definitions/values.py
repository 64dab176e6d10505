"""Reads one value of a file: a text, a number, a line with a grammar, a condition. What is wrong is reported.

Also knows the two traps of YAML that cut a line in two: a comma inside of braces, and a sharp after a space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from leadnurture.definitions import conditions
from leadnurture.definitions.names import Names
from leadnurture.definitions.nodes import QUOTE_IT, Node, Scalar, named
from leadnurture.definitions.problems import MistakeError, Place, Report
from leadnurture.domain.condition import Condition

T = TypeVar("T")

BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
NEW_ONLY: Final = 'stage == "new" misses a lead whose first act already counts; write stage < "qualified"'


def text_of(node: Node, what: str, report: Report) -> str | None:
    """The text of a node; None after a report."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return node.value.strip().replace("\n", " ")
    if isinstance(node, Scalar) and not node.text.strip():
        report.error(node.place, f"{what} has no value; write one or leave the line out")
    elif isinstance(node, Scalar):
        report.error(node.place, f'{what} takes a text, not {named(node)}; write it in quotes: "{node.text}"')
    else:
        report.error(node.place, f"{what} takes a text, not {named(node)}")
    return None


def whole_number(node: Node, what: str, report: Report, default: int = 0, least: int | None = None) -> int:
    """The whole number of a node."""
    value = node.value if isinstance(node, Scalar) else None
    if not isinstance(value, int) or isinstance(value, bool):
        report.error(node.place, f"{what} takes a whole number, not {named(node)}")
    elif least is not None and value < least:
        report.error(node.place, f"{what} must be at least {least}, not {value}")
    else:
        return value
    return default


def parsed(node: Node, what: str, parse: Callable[[str], T], report: Report, default: T) -> T:
    """What a parser makes of a node's text; of a bare number too, for the parser knows what is missing."""
    is_number = isinstance(node, Scalar) and isinstance(node.value, int | float) and node.is_plain
    text = node.text if is_number and isinstance(node, Scalar) else text_of(node, what, report)
    if text is None:
        return default
    try:
        return parse(text)
    except MistakeError as mistake:
        report.mistake(node.place, mistake)
        return default


def condition(node: Node, names: Names, scope: conditions.Scope, report: Report) -> Condition:
    """The condition of a node; one that is never true after a report."""
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        report.error(node.place, f"{node.text} is not a condition; leave the line out for always")
        return Condition(node.text, conditions.NEVER)
    text = text_of(node, "a condition", report)
    if text is None or not isinstance(node, Scalar):
        return Condition("", conditions.NEVER)
    if is_cut(node):
        report.error(node.place, cut_sentence(node))
        return Condition(text, conditions.NEVER)
    return _condition(node, text, names, scope, report)


def _condition(node: Scalar, text: str, names: Names, scope: conditions.Scope, report: Report) -> Condition:
    found, mistakes = conditions.read_condition(text, names, scope)
    for mistake in mistakes:
        report.mistake(_inside(node, mistake.offset), mistake)
    if conditions.is_new_only(found):
        report.warn(node.place, NEW_ONLY)
    return found


def _inside(node: Scalar, offset: int) -> Place:
    """Where a character of a text stands in the file; where the text is folded, the begin of the text."""
    if not node.is_one_line:
        return node.place
    return node.place.moved(offset if node.is_plain else offset + 1)


def is_cut(node: Node) -> bool:
    """Whether YAML ended a text at a sign that was meant as a part of it: a quote or a bracket stays open."""
    return isinstance(node, Scalar) and bool(node.cut_by) and _is_open(node.text)


def cut_sentence(node: Scalar) -> str:
    """What YAML did to a text, and how to write it."""
    if node.cut_by == "#":
        return f'YAML cuts `{node.text}` at " #", which begins a comment; {QUOTE_IT}'
    return f"YAML cuts `{node.text}` at the comma, as it stands inside of {{…}}; {QUOTE_IT}, or several lines"


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

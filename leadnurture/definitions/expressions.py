"""Python's own parser as the reader of our one-line expressions: trees, values, errors as sentences.

Nothing is ever evaluated. Whatever the parser raises, for whatever text, comes out as a `MistakeError`.
"""

from __future__ import annotations

import ast
import warnings
from typing import Final

from leadnurture.definitions.problems import MistakeError

LONGEST: Final = 1000
EXAMPLE: Final = 'stage < "qualified" and interest("scaling")'
SLIPS: Final = {"&&": "and", "||": "or", " AND ": "and", " OR ": "or", "NOT ": "not", "<>": "!="}
WHAT_THERE_IS: Final = "there are facts, figures, reactions, comparisons, and, or, not"


def parse(text: str) -> ast.expr:
    """The tree of a line."""
    if len(text) > LONGEST:
        raise MistakeError(f"a line may have {LONGEST} characters; split it over several arms or steps")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise MistakeError(_sentence(text), max(0, (error.offset or 1) - 1)) from None
    except (ValueError, RecursionError, MemoryError):
        raise MistakeError(f"this is not a condition; write it as in: {EXAMPLE}") from None


def offset(tree: ast.expr, text: str) -> int:
    """At which character of the line a part of the tree begins; Python counts bytes."""
    return len(text.encode()[: tree.col_offset].decode(errors="ignore"))


def dotted(tree: ast.expr) -> str:
    """`account.employees`; a deeper or a computed name is none of ours."""
    match tree:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    raise MistakeError(f'"{ast.unparse(tree)}" is not part of the language; {WHAT_THERE_IS}')


def quoted(tree: ast.expr, remedy: str) -> str:
    """The text of a quoted name; the remedy for anything else."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str) and tree.value.strip():
        return tree.value
    raise MistakeError(remedy)


def constant(tree: ast.expr) -> bool | float | str:
    """A number, a text, True or False."""
    match tree:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name() | ast.Attribute():
            name = ast.unparse(tree)
            raise MistakeError(f'{name} stands where a value belongs; texts need quotes, as in "{name}"')
    raise MistakeError(f'"{ast.unparse(tree)}" is not a value; write a number or a text in quotes')


def _sentence(text: str) -> str:
    for slip, right in SLIPS.items():
        if slip in text:
            return f'"{slip.strip()}" is not a word of conditions; write {right}'
    if "=" in text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", ""):
        return "a single = says nothing; write == for equal"
    if text.count('"') % 2:
        return 'a quote is missing; names and texts stand between two "'
    if text.count("(") != text.count(")"):
        return "a parenthesis is missing; each ( needs a )"
    return f"this is not a condition; write it as in: {EXAMPLE}"

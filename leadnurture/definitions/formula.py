"""The score's formula, `2 * fit + engagement - 10`, as integer weights: linear, so that rows add up."""

from __future__ import annotations

import ast
from collections import Counter

from leadnurture.definitions import expressions
from leadnurture.definitions.problems import MistakeError
from leadnurture.domain.agreement import ScoreFormula


def read_formula(text: str) -> ScoreFormula:
    """The weights of `fit`, of `engagement`, and the constant."""
    try:
        weights = _weights(expressions.parse(text.strip()), 1)
    except (MistakeError, RecursionError):
        example = "2 * fit + engagement"
        sentence = f'"{text}" is not a score; write whole numbers with fit and engagement, as in "{example}"'
        raise MistakeError(sentence) from None
    return ScoreFormula(weights["fit"], weights["engagement"], weights[""])


def _weights(tree: ast.expr, factor: int) -> Counter[str]:
    """Weights by name; the constant's name is empty."""
    match tree:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return Counter({"": number * factor})
        case ast.Name(id="fit" | "engagement" as name):
            return Counter({name: factor})
        case ast.UnaryOp(op=ast.USub()):
            return _weights(tree.operand, -factor)
        case ast.BinOp(op=ast.Add() | ast.Sub() as sign):
            weights = _weights(tree.left, factor)
            weights.update(_weights(tree.right, factor if isinstance(sign, ast.Add) else -factor))
            return weights
        case ast.BinOp(op=ast.Mult()):
            left, right = _weights(tree.left, factor), _weights(tree.right, 1)
            return _scaled(left, right) if set(right) <= {""} else _scaled(right, left)
    raise MistakeError("this is not linear")


def _scaled(weights: Counter[str], number: Counter[str]) -> Counter[str]:
    """The weights times a constant; two of them with names in it are not linear."""
    if set(number) - {""}:
        raise MistakeError("this is not linear")
    return Counter({name: weight * number[""] for name, weight in weights.items()})

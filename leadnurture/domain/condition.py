"""A condition as a typed tree. `definitions` parses it from one line, `engine` compiles it to SQL; nothing
else reads it.

Every comparison with a missing fact is false, never unknown: the tree has two truth values.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import FactKind, ReactionKind

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Value = bool | int | float | str | date


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact by its full name: `role`, `budget_on`, `account.employees`."""

    name: str
    kind: FactKind
    type: Literal["fact"] = "fact"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the lead (`fit engagement score`), of its account or of the enrollment (`visit`).

    `account.engaged` is how many people of the account are engaged or further, himself included.
    """

    name: Literal["fit", "engagement", "score", "visit", "account.engaged"]
    type: Literal["figure"] = "figure"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the lead (`stage source language zone`) or of the enrollment (`why`). Stages are ordered."""

    name: Literal["stage", "source", "language", "zone", "why"]
    type: Literal["word"] = "word"


@dataclass(frozen=True, slots=True)
class DaysUntil:
    """Local days from today to a date fact; negative when it has passed, false in every comparison when it is
    missing.
    """

    fact: str
    type: Literal["days_until"] = "days_until"


Term = Fact | Figure | Word | DaysUntil


@dataclass(frozen=True, slots=True)
class Compare:
    """`account.employees >= 200`."""

    term: Term
    operator: Operator
    value: Value
    type: Literal["compare"] = "compare"


@dataclass(frozen=True, slots=True)
class OneOf:
    """`role in ["head", "chief"]`."""

    term: Term
    values: tuple[Value, ...]
    type: Literal["one_of"] = "one_of"


@dataclass(frozen=True, slots=True)
class Known:
    """A fact standing alone: a flag is set, anything else is known (`account.owner`)."""

    fact: Fact
    type: Literal["known"] = "known"


@dataclass(frozen=True, slots=True)
class Has:
    """`tag("x") product("x") interest("x") consent("x")`."""

    what: Literal["tag", "product", "interest", "consent"]
    name: str
    type: Literal["has"] = "has"


@dataclass(frozen=True, slots=True)
class Reacted:
    """A reaction. Bare it is about what the step sends; `about` names a content or a step."""

    kind: ReactionKind
    about: str | None = None
    """The name of a content or of a step of the same program; None is bare."""
    about_is_step: bool = False
    argument: str | None = None
    """The glob of `visited`, the answer of `submitted` and `feedback`."""
    within: Duration | None = None
    type: Literal["reacted"] = "reacted"


@dataclass(frozen=True, slots=True)
class OpenHandoff:
    """`account.open_handoff`: another person of the account is offered to sales right now."""

    type: Literal["open_handoff"] = "open_handoff"


@dataclass(frozen=True, slots=True)
class Not:
    """`not …`."""

    part: "Node"
    type: Literal["not"] = "not"


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple["Node", ...]
    type: Literal["and"] = "and"


@dataclass(frozen=True, slots=True)
class Or:
    """One of them."""

    parts: tuple["Node", ...]
    type: Literal["or"] = "or"


Node = Compare | OneOf | Known | Has | Reacted | OpenHandoff | Not | And | Or


@dataclass(frozen=True, slots=True)
class Condition:
    """The line as it was written, for people, and its tree, for the engine."""

    text: str
    node: Node

    def __str__(self) -> str:
        return self.text


def leaves(node: Node) -> tuple[Node, ...]:
    """Everything of a tree that is not `and`, `or`, `not`."""
    match node:
        case Not(part):
            return leaves(part)
        case And(parts) | Or(parts):
            return tuple(leaf for part in parts for leaf in leaves(part))
        case _:
            return (node,)


def depends_on_colleagues(condition: Condition | None) -> bool:
    """Whether another person's stage can change it."""
    return condition is not None and any(
        isinstance(leaf, Compare | OneOf) and leaf.term == Figure("account.engaged")
        for leaf in leaves(condition.node)
    )


def depends_on_dates(condition: Condition | None) -> bool:
    """Whether the mere passing of a day can change it: such a condition wakes its leads at their next
    midnight.
    """
    if condition is None:
        return False
    return any(
        (isinstance(leaf, Compare | OneOf) and isinstance(leaf.term, DaysUntil))
        or (isinstance(leaf, Reacted) and leaf.within is not None)
        for leaf in leaves(condition.node)
    )

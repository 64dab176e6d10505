"""A condition's one line → the typed tree of `domain.condition`: a closed list of words, checked types.

Where a condition stands decides which words have a meaning there: see `Scope`. Every leaf that is wrong adds
its mistake and counts as never true, so that all mistakes of a line are found at once.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Final

from leadnurture.definitions import expressions, times
from leadnurture.definitions.names import DECLARE_FACT, DECLARE_TOPIC, Names
from leadnurture.definitions.problems import MistakeError, listed, unknown
from leadnurture.domain.condition import (
    And,
    Compare,
    Condition,
    DaysUntil,
    Fact,
    Figure,
    Has,
    Known,
    Node,
    Not,
    OneOf,
    OpenHandoff,
    Operator,
    Or,
    Reacted,
    Term,
    Value,
    Word,
    leaves,
)
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import REACTION_KINDS, SESSION_KINDS, SILENT_KINDS, STAGES, WHYS, FactKind

FIGURES: Final = ("fit", "engagement", "score", "visit", "account.engaged")
WORDS: Final = ("stage", "source", "language", "zone", "why")
OF_THE_VISIT: Final = frozenset({"visit", "why"})
HAVING: Final = ("tag", "product", "interest", "consent")
ANSWERS: Final = frozenset({"submitted", "feedback"})
SEATED: Final = frozenset({"registered", "attended", "missed"})
TELLING: Final = tuple(kind for kind in REACTION_KINDS if kind not in SILENT_KINDS)
OPERATORS: Final[dict[type[ast.cmpop], Operator]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
VALUES: Final = {
    "text": "a text in quotes",
    "number": "a number",
    "date": 'a date in quotes, as in "2026-12-08"',
}
NEVER: Final = Or(())


@dataclass(frozen=True, slots=True)
class Scope:
    """Which words have a meaning where a condition stands."""

    where: str
    """The key, for sentences."""
    knows_lead: bool = True
    """Score, stage, reactions and the account's other people: what lives with the lead."""
    knows_step: bool = False
    """Reactions without a name, `visit` and `why`: what lives with a step."""
    steps: frozenset[str] = frozenset()
    """Steps of the program whose names may stand for what they last sent."""

    def at(self, where: str) -> Scope:
        """The same scope under another key."""
        return replace(self, where=where)


FACTS: Final = Scope("fit", knows_lead=False)
LEAD: Final = Scope("enter")


def parse_condition(text: str, names: Names, scope: Scope = LEAD) -> Condition:
    """The condition of a line; raises the first `MistakeError`."""
    condition, mistakes = read_condition(text, names, scope)
    if mistakes:
        raise mistakes[0]
    return condition


def read_condition(text: str, names: Names, scope: Scope) -> tuple[Condition, list[MistakeError]]:
    """The condition and all mistakes of a line. With mistakes the condition is only good for reading on."""
    text = text.strip()
    reader = _Reader(text, names, scope)
    try:
        node = reader.node(expressions.parse(text))
    except MistakeError as mistake:
        return Condition(text, NEVER), [mistake]
    except RecursionError:
        return Condition(text, NEVER), [MistakeError("nested too deeply; split it over several arms")]
    return Condition(text, NEVER if reader.mistakes else node), reader.mistakes


def read_reaction(text: str, names: Names) -> Reacted:
    """A key of `engagement.points`: one reaction, bare or named; raises `MistakeError`."""
    node = parse_condition(text, names, Scope("points", knows_step=True)).node
    if not isinstance(node, Reacted) or node.within is not None:
        raise MistakeError(f'"{text}" is not a reaction; write one of {listed(TELLING)}, bare or with a name')
    return node


def is_new_only(condition: Condition) -> bool:
    """Whether it has `stage == "new"`, which a lead whose first act counts has left before anybody looks."""
    return any(
        isinstance(leaf, Compare)
        and leaf.term == Word("stage")
        and (leaf.operator, leaf.value) == ("==", "new")
        for leaf in leaves(condition.node)
    )


class _Reader:
    """Walks Python's tree of one line and collects its mistakes."""

    def __init__(self, text: str, names: Names, scope: Scope) -> None:
        self.text = text
        self.names = names
        self.scope = scope
        self.mistakes: list[MistakeError] = []

    def node(self, tree: ast.expr) -> Node:
        match tree:
            case ast.BoolOp(op=ast.And()):
                return And(tuple(self.node(part) for part in tree.values))
            case ast.BoolOp():
                return Or(tuple(self.node(part) for part in tree.values))
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.node(tree.operand))
        try:
            return self._leaf(tree)
        except MistakeError as mistake:
            place = expressions.offset(tree, self.text)
            self.mistakes.append(
                MistakeError(mistake.sentence, place, needs_company=mistake.needs_company),
            )
            return NEVER

    def _leaf(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Compare():
                return self._compare(tree)
            case ast.Call():
                return self._call(tree)
            case ast.Name() | ast.Attribute():
                return self._alone(expressions.dotted(tree))
            case ast.Constant():
                raise MistakeError(
                    f"{ast.unparse(tree)} alone is not a condition; compare something with it",
                )
        raise MistakeError(f'"{ast.unparse(tree)}" is not part of the language; {expressions.WHAT_THERE_IS}')

    # One word alone

    def _alone(self, name: str) -> Node:
        if name == "account.open_handoff":
            self._with_lead(name)
            return OpenHandoff()
        if name in REACTION_KINDS:
            return self._reaction(name, [], None)
        if name in HAVING:
            raise MistakeError(f'{name} needs a name; write {name}("…")')
        if name == "days_until":
            raise MistakeError("days_until needs a date; write it as in days_until(budget_on) > 45")
        term = self._term(name)
        if isinstance(term, Fact):
            return Known(term)
        example = f'{name} == "…"' if isinstance(term, Word) else f"{name} >= 3"
        raise MistakeError(f"{name} alone is not a condition; compare it, as in {example}")

    def _term(self, name: str) -> Fact | Figure | Word:
        if name in OF_THE_VISIT and not self.scope.knows_step:
            raise MistakeError(f'"{name}" belongs to a step and has no meaning in "{self.scope.where}"')
        if name in FIGURES or name == "stage":
            self._with_lead(name)
        if name in FIGURES:
            return Figure(name)  # type: ignore[arg-type]  # one of FIGURES
        if name in WORDS:
            return Word(name)  # type: ignore[arg-type]  # one of WORDS
        if name in self.names.facts:
            return Fact(name, self.names.facts[name])
        raise MistakeError(
            unknown("word", name, self._words(), f"a fact? {DECLARE_FACT}"), needs_company=True
        )

    def _words(self) -> list[str]:
        return [*self.names.facts, *FIGURES, *WORDS, *HAVING, *TELLING, "days_until", "account.open_handoff"]

    def _with_lead(self, name: str) -> None:
        if not self.scope.knows_lead:
            where = self.scope.where
            raise MistakeError(
                f'"{name}" has no meaning in "{where}", which speaks of facts, tags and products'
            )

    # Comparisons

    def _compare(self, tree: ast.Compare) -> Node:
        if len(tree.ops) > 1:
            raise MistakeError('two comparisons in one; write "a < b and b < c"')
        term = self._left(tree.left)
        operation, right = tree.ops[0], tree.comparators[0]
        if isinstance(operation, ast.In | ast.NotIn):
            one_of = OneOf(term, self._choices(term, right))
            return one_of if isinstance(operation, ast.In) else Not(one_of)
        if type(operation) not in OPERATORS:
            raise MistakeError('"is" does not compare; write == for equal and != for different')
        return _checked(Compare(term, OPERATORS[type(operation)], _value(term, right)))

    def _left(self, tree: ast.expr) -> Term:
        match tree:
            case ast.Call(func=ast.Name(id="days_until")):
                return self._days_until(tree)
            case ast.Name() | ast.Attribute():
                name = expressions.dotted(tree)
                if name not in REACTION_KINDS and name not in HAVING:
                    return self._term(name)
            case ast.Call():
                name = f"{ast.unparse(tree.func)}(…)"
            case _:
                raise MistakeError(
                    "the name stands on the left and the value on the right, as in score >= 40"
                )
        raise MistakeError(f"{name} is true or false; write it alone, or with not before it")

    def _days_until(self, tree: ast.Call) -> DaysUntil:
        if len(tree.args) != 1 or tree.keywords or not isinstance(tree.args[0], ast.Name | ast.Attribute):
            raise MistakeError("days_until takes a date without quotes, as in days_until(budget_on)")
        fact = self._term(expressions.dotted(tree.args[0]))
        if not isinstance(fact, Fact) or fact.kind != "date":
            raise MistakeError(f"{fact.name} is not a date, and days_until takes a fact that is one")
        return DaysUntil(fact.name)

    def _choices(self, term: Term, tree: ast.expr) -> tuple[Value, ...]:
        if not isinstance(tree, ast.List | ast.Tuple) or not tree.elts:
            raise MistakeError('"in" takes a list, as in role in ["head", "chief"]')
        return tuple(_checked(Compare(term, "==", _value(term, part))).value for part in tree.elts)

    # Calls

    def _call(self, tree: ast.Call) -> Node:
        name = expressions.dotted(tree.func)
        if name in HAVING:
            return self._has(name, tree)
        if name == "days_until":
            written = ast.unparse(tree)
            raise MistakeError(f"{written} alone is not a condition; compare it, as in {written} > 45")
        if name not in REACTION_KINDS:
            raise MistakeError(unknown("word", name, [*HAVING, *TELLING, "days_until"]))
        within = next((keyword.value for keyword in tree.keywords if keyword.arg == "within"), None)
        if stranger := next((keyword for keyword in tree.keywords if keyword.arg != "within"), None):
            raise MistakeError(f'{name} takes a name and within="30 days", not {stranger.arg or "**"}')
        return self._reaction(name, tree.args, within)

    def _has(self, name: str, tree: ast.Call) -> Has:
        if len(tree.args) != 1 or tree.keywords:
            raise MistakeError(f'{name} takes one name in quotes; write {name}("…")')
        what = expressions.quoted(tree.args[0], f'{name} takes a name in quotes; write {name}("…")')
        if name == "interest" and what not in self.names.topics:
            raise MistakeError(unknown("topic", what, self.names.topics, DECLARE_TOPIC), needs_company=True)
        return Has(name, what)  # type: ignore[arg-type]  # one of HAVING

    def _reaction(self, name: str, arguments: list[ast.expr], within: ast.expr | None) -> Reacted:
        self._with_lead(name)
        if name in SILENT_KINDS:
            raise MistakeError(
                f'"{name}" steers nothing, it is noise of mail programs; write clicked or replied'
            )
        if len(arguments) > 1:
            raise MistakeError(f"{name} takes one name; join several by or")
        reacted = Reacted(next(kind for kind in REACTION_KINDS if kind == name), within=_within(within))
        if not arguments:
            return self._bare(reacted)
        argument = expressions.quoted(arguments[0], f'{name} takes its name in quotes; write {name}("…")')
        if name == "visited" and not argument.startswith(("/", "*")):
            raise MistakeError(
                f'"{argument}" is not a path; it begins with a slash, as in visited("/pricing*")'
            )
        if name == "visited" or name in ANSWERS:
            return replace(reacted, argument=argument)
        return self._named(replace(reacted, about=argument))

    def _bare(self, reacted: Reacted) -> Reacted:
        if reacted.kind == "visited":
            raise MistakeError('visited needs a path; write visited("/pricing*")')
        if not self.scope.knows_step:
            where, example = self.scope.where, f'{reacted.kind}("…")'
            raise MistakeError(f'"{reacted.kind}" has no step in "{where}"; name a content, as in {example}')
        return reacted

    def _named(self, reacted: Reacted) -> Reacted:
        name = reacted.about or ""
        if name in self.scope.steps:
            return replace(reacted, about_is_step=True)
        if name not in self.names.contents:
            what = "content or step" if self.scope.steps else "content"
            known = [*self.names.contents, *self.scope.steps]
            raise MistakeError(unknown(what, name, known, "a content is a file of config/content"))
        kind = self.names.contents[name]
        if reacted.kind in SEATED and kind is not None and kind not in SESSION_KINDS:
            raise MistakeError(f'"{name}" is of kind {kind}, and nobody is ever {reacted.kind} there')
        return reacted


def _within(tree: ast.expr | None) -> Duration | None:
    if tree is None:
        return None
    remedy = 'within takes a length of time in quotes, as in within="30 days"'
    return times.duration(expressions.quoted(tree, remedy), times.SPANS)


def _value(term: Term, tree: ast.expr) -> Value:
    """The right side of a comparison, if it is of the type of the left."""
    kind, value = _kind(term), expressions.constant(tree)
    if kind == "flag":
        raise MistakeError(f"{_name(term)} is a flag; write it alone, or with not before it")
    if kind == "number" and not isinstance(value, bool | str):
        return value
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "date" and isinstance(value, str):
        return times.day(value)
    written = value if isinstance(value, bool | int | float) else f'"{value}"'
    raise MistakeError(f"{_name(term)} is a {kind} and not comparable with {written}; write {VALUES[kind]}")


def _checked(compare: Compare) -> Compare:
    """The same comparison, if its words are known and ordered as it wants."""
    match compare:
        case Compare(Word("stage"), operator, value):
            _known(value, STAGES, "stage")
            if value == "lost" and operator != "==":
                raise MistakeError(
                    '"lost" is outside of the order; write stage == "lost", or not before that'
                )
            return compare
        case Compare(Word("why"), _, value):
            _known(value, WHYS, "reason")
        case Compare(Word("zone"), _, str(value)):
            times.zone(value)
    if _kind(compare.term) == "text" and compare.operator not in {"==", "!="}:
        raise MistakeError(f"{_name(compare.term)} is a text and has no order; write ==, != or in")
    return compare


def _known(value: Value, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        raise MistakeError(unknown(what, str(value), known, f"there is {listed(known)}"))


def _kind(term: Term) -> FactKind:
    match term:
        case Fact(_, kind):
            return kind
        case Word():
            return "text"
        case _:
            return "number"


def _name(term: Term) -> str:
    return f"days_until({term.fact})" if isinstance(term, DaysUntil) else term.name

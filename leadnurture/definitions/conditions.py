"""A condition's one line of text → the typed tree of `domain.condition`, by Python's own parser and a closed list of words.

Nothing is ever evaluated: `ast` gives the tree, every node outside of the list is refused with what to write instead, and a
comparison must fit the type of its fact. Where a condition stands decides which words have a meaning there: see `Scope`.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from leadnurture.definitions import times
from leadnurture.definitions.problems import Mistake, listed, not_yet, unknown
from leadnurture.domain.condition import (
    And, Compare, Condition, DaysUntil, Fact, Figure, Has, Known, Not, OneOf, OpenHandoff, Or, Reacted, Word,
)  # fmt: skip
from leadnurture.domain.vocabulary import REACTION_KINDS, SESSION_KINDS, SILENT_KINDS, STAGES, WHYS

if TYPE_CHECKING:

    from leadnurture.definitions.names import Names
    from leadnurture.domain.condition import Node, Operator, Term, Value
    from leadnurture.domain.vocabulary import ReactionKind

LONGEST: Final = 1000
FIGURES: Final = ("fit", "engagement", "score", "visit")
WORDS: Final = ("stage", "source", "language", "zone", "why")
OF_THE_VISIT: Final = frozenset({"visit", "why"})
HAVING: Final = ("tag", "product", "interest", "consent")
ANSWERS: Final = frozenset({"submitted", "feedback"})
SEATED: Final = frozenset({"registered", "attended", "missed"})
OPERATORS: Final[dict[type[ast.cmpop], Operator]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
EQUALITY: Final = frozenset({"==", "!="})
NOTHING: Final = Or(())
TYPES: Final = {"text": "a text in quotes", "number": "a number", "date": 'a date in quotes, as in "2026-12-08"'}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which words have a meaning where a condition stands."""

    where: str
    """The key, for sentences."""
    figures: bool = True
    """Score, stage, reactions, days and the account's other people: what lives with the lead."""
    bare: bool = False
    """Reactions without a name, `visit` and `why`: what lives with a step."""
    steps: frozenset[str] = frozenset()
    """Steps of the program whose names may stand for what they last sent."""

    def at(self, where: str) -> Scope:
        """The same scope under another key."""
        return replace(self, where=where)


FACTS: Final = Scope("fit", figures=False)
LEAD: Final = Scope("enter")


def parse_condition(text: str, names: Names, scope: Scope = LEAD) -> Condition:
    """The condition of a line; raises the first `Mistake`."""
    condition, mistakes = read(text, names, scope)
    if mistakes:
        raise mistakes[0]
    return condition


def read(text: str, names: Names, scope: Scope) -> tuple[Condition, list[Mistake]]:
    """The condition and all mistakes of a line. With a mistake the condition is never true and only good for reading on."""
    reader = _Reader(text, names, scope)
    try:
        tree = _python(text)
    except Mistake as mistake:
        return Condition(text, NOTHING), [mistake]
    node = reader.node(tree)
    return Condition(text, node), reader.mistakes


def read_reaction(text: str, names: Names) -> Reacted:
    """A key of `engagement.points`: one reaction, bare or named; raises `Mistake`."""
    node = parse_condition(text, names, Scope("points", bare=True)).node
    if not isinstance(node, Reacted) or node.within is not None:
        raise Mistake(f'"{text}" is not a reaction; write one of {", ".join(_telling())}, bare or with a name')
    return node


def _python(text: str) -> ast.expr:
    """Python's tree of the line. Everything that its parser may raise becomes a `Mistake`."""
    if len(text) > LONGEST:
        raise Mistake(f"a condition may have {LONGEST} characters; split it over several arms or steps")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise Mistake(_syntax(text), max(0, (error.offset or 1) - 1)) from None
    except (ValueError, RecursionError, MemoryError):
        raise Mistake("this is not a condition; write it as in: stage < \"qualified\" and interest(\"scaling\")") from None


def _syntax(text: str) -> str:
    slips = {"&&": "and", "||": "or", " AND ": "and", " OR ": "or", "NOT ": "not", "<>": "!="}
    for slip, right in slips.items():
        if slip in text:
            return f'"{slip.strip()}" is not a word of conditions; write {right}'
    if "=" in text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", ""):
        return "a single = says nothing; write == for equal"
    if text.count('"') % 2:
        return 'a quote is missing; names and texts stand between two "'
    if text.count("(") != text.count(")"):
        return "a parenthesis is missing; each ( needs a )"
    return f'"{text}" is not a condition; write it as in: stage < "qualified" and interest("scaling")'


class _Reader:
    """Walks Python's tree. Each leaf that is wrong adds its mistake and counts as never true, so that all are found."""

    def __init__(self, text: str, names: Names, scope: Scope) -> None:
        self.text = text.strip()
        self.names = names
        self.scope = scope
        self.mistakes: list[Mistake] = []

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
        except Mistake as mistake:
            self.mistakes.append(Mistake(mistake.sentence, self._offset(tree), needs_company=mistake.needs_company))
            return NOTHING

    def _offset(self, tree: ast.expr) -> int:
        return len(self.text.encode()[: tree.col_offset].decode(errors="ignore"))

    def _leaf(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Compare():
                return self._compare(tree)
            case ast.Call():
                return self._call(tree)
            case ast.Name() | ast.Attribute():
                return self._alone(_dotted(tree))
            case ast.Constant():
                raise Mistake(f"{ast.unparse(tree)} alone is not a condition; compare something with it")
        raise Mistake(f'"{ast.unparse(tree)}" is not part of the language; {_what_there_is()}')

    def _alone(self, name: str) -> Node:
        if name == "account.open_handoff":
            self._with_lead(name)
            return OpenHandoff()
        if name in REACTION_KINDS:
            return self._reaction(name, [], None)
        if name in HAVING or name == "days_until":
            raise Mistake(f'{name} needs a name; write {name}("…")' if name in HAVING else "days_until needs a date fact; write days_until(budget_on)")
        term = self._term(name)
        if isinstance(term, Fact):
            return Known(term)
        raise Mistake(f"{name} alone is not a condition; compare it, as in {_comparison(term)}")

    def _compare(self, tree: ast.Compare) -> Node:
        if len(tree.ops) > 1:
            raise Mistake('two comparisons in one; write "a < b and b < c"')
        term = self._left(tree.left)
        operation, right = tree.ops[0], tree.comparators[0]
        if isinstance(operation, ast.In | ast.NotIn):
            one_of = OneOf(term, self._choices(term, right))
            return one_of if isinstance(operation, ast.In) else Not(one_of)
        if type(operation) not in OPERATORS:
            raise Mistake('"is" does not compare; write == for equal and != for different')
        return self._checked(Compare(term, OPERATORS[type(operation)], self._value(term, right)))

    def _left(self, tree: ast.expr) -> Term:
        match tree:
            case ast.Name() | ast.Attribute():
                name = _dotted(tree)
                if name in REACTION_KINDS or name in HAVING:
                    raise Mistake(f"{name} is true or false and cannot be compared; write it alone, or with not before it")
                return self._term(name)
            case ast.Call(func=ast.Name(id="days_until")):
                return self._days_until(tree)
            case ast.Call():
                raise Mistake(f"{ast.unparse(tree.func)}(…) is true or false and cannot be compared; write it alone, or with not before it")
        raise Mistake("the name must stand on the left and the value on the right, as in score >= 40")

    def _term(self, name: str) -> Term:
        if name in OF_THE_VISIT and not self.scope.bare:
            raise Mistake(f'"{name}" belongs to a step and has no meaning in "{self.scope.where}"')
        if name in FIGURES:
            self._with_lead(name)
            return Figure(name)  # type: ignore[arg-type]  # one of FIGURES
        if name in WORDS:
            if name == "stage":
                self._with_lead(name)
            return Word(name)  # type: ignore[arg-type]  # one of WORDS
        if name in self.names.facts:
            return Fact(name, self.names.facts[name])
        if name == "account.engaged":
            raise Mistake(not_yet(name))
        raise Mistake(self._unknown(name), needs_company=True)

    def _unknown(self, name: str) -> str:
        known = [*self.names.facts, *FIGURES, *WORDS, *HAVING, *_telling(), "days_until", "account.open_handoff"]
        return unknown("word", name, known, "a fact must be declared under facts in config/leadnurture.yaml")

    def _with_lead(self, name: str) -> None:
        if not self.scope.figures:
            raise Mistake(f'"{name}" has no meaning in "{self.scope.where}", which speaks of facts, tags and products only')

    def _days_until(self, tree: ast.Call) -> DaysUntil:
        if len(tree.args) != 1 or tree.keywords or not isinstance(tree.args[0], ast.Name | ast.Attribute):
            raise Mistake("days_until takes a date fact without quotes, as in days_until(budget_on)")
        fact = self._term(_dotted(tree.args[0]))
        if not isinstance(fact, Fact) or fact.kind != "date":
            raise Mistake(f"{fact.name if not isinstance(fact, DaysUntil) else fact.fact} is not a date; days_until takes a date fact")
        return DaysUntil(fact.name)

    def _call(self, tree: ast.Call) -> Node:
        name = _dotted(tree.func)
        if name in HAVING:
            return self._has(name, tree)
        if name == "days_until":
            raise Mistake(f"{ast.unparse(tree)} alone is not a condition; compare it, as in {ast.unparse(tree)} > 45")
        if name not in REACTION_KINDS:
            raise Mistake(unknown("word", name, [*HAVING, *_telling(), "days_until"]))
        within = next((keyword.value for keyword in tree.keywords if keyword.arg == "within"), None)
        if stranger := next((keyword for keyword in tree.keywords if keyword.arg != "within"), None):
            raise Mistake(f'{name} takes a name and within="30 days", not {stranger.arg or "**"}')
        return self._reaction(name, tree.args, within)

    def _has(self, name: str, tree: ast.Call) -> Has:
        if len(tree.args) != 1 or tree.keywords:
            raise Mistake(f'{name} takes one name in quotes; write {name}("…")')
        what = _text(tree.args[0], f'{name} takes a name in quotes; write {name}("…")')
        if name == "interest" and what not in self.names.topics:
            raise Mistake(unknown("topic", what, self.names.topics, "declare it under topics in config/leadnurture.yaml"), needs_company=True)
        return Has(name, what)  # type: ignore[arg-type]  # one of HAVING

    def _reaction(self, name: str, arguments: list[ast.expr], within: ast.expr | None) -> Reacted:
        self._with_lead(name)
        kind = _kind(name)
        if len(arguments) > 1:
            raise Mistake(f"{name} takes one name; join several by or")
        span = times.duration(_text(within, 'within takes a length of time in quotes, as in within="30 days"'), times.SPANS) if within else None
        if not arguments:
            return self._bare(Reacted(kind, within=span))
        argument = _text(arguments[0], f'{name} takes its name in quotes; write {name}("…")')
        if name == "visited":
            return Reacted(kind, argument=_glob(argument), within=span)
        if name in ANSWERS:
            return Reacted(kind, argument=argument, within=span)
        return self._named(Reacted(kind, about=argument, within=span))

    def _bare(self, reacted: Reacted) -> Reacted:
        if reacted.kind == "visited":
            raise Mistake('visited needs a path; write visited("/pricing*")')
        if not self.scope.bare:
            raise Mistake(f'"{reacted.kind}" has no step to speak of in "{self.scope.where}"; name a content, as in {reacted.kind}("…")')
        return reacted

    def _named(self, reacted: Reacted) -> Reacted:
        name = reacted.about or ""
        if name in self.scope.steps:
            return replace(reacted, about_is_step=True)
        if name not in self.names.contents:
            known = [*self.names.contents, *self.scope.steps]
            what = "content or step" if self.scope.steps else "content"
            raise Mistake(unknown(what, name, known, "a content is a file of config/content"))
        kind = self.names.contents[name]
        if reacted.kind in SEATED and kind is not None and kind not in SESSION_KINDS:
            raise Mistake(f'"{name}" is of kind {kind} and has no sessions, so nobody is ever {reacted.kind}; name a webinar or an event')
        return reacted

    def _choices(self, term: Term, tree: ast.expr) -> tuple[Value, ...]:
        if not isinstance(tree, ast.List | ast.Tuple) or not tree.elts:
            raise Mistake('"in" takes a list, as in role in ["head", "chief"]')
        return tuple(self._checked(Compare(term, "==", self._value(term, part))).value for part in tree.elts)

    def _value(self, term: Term, tree: ast.expr) -> Value:
        value = _constant(tree)
        kind = _kind_of(term)
        if kind == "flag":
            raise Mistake(f"{_name_of(term)} is a flag; write it alone, or with not before it")
        if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if kind == "text" and isinstance(value, str):
            return value
        if kind == "date" and isinstance(value, str):
            return times.day(value)
        raise Mistake(f"{_name_of(term)} is a {kind} and cannot be compared with {ast.unparse(tree)}; write {TYPES[kind]}")

    def _checked(self, compare: Compare) -> Compare:
        match compare:
            case Compare(Word("stage"), operator, value):
                _known(value, STAGES, "stage")
                if value == "lost" and operator != "==":
                    raise Mistake('"lost" stands outside of the order; write stage == "lost", with not before it for the others')
            case Compare(Word("why"), _, value):
                _known(value, WHYS, "reason")
            case Compare(Word("zone"), _, str(value)):
                times.zone(value)
        if _kind_of(compare.term) == "text" and compare.term != Word("stage") and compare.operator not in EQUALITY:
            raise Mistake(f"{_name_of(compare.term)} is a text and has no order; write ==, != or in")
        return compare


def _known(value: Value, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        raise Mistake(unknown(what, str(value), known, f"there is {listed(known)}"))


def _dotted(tree: ast.expr) -> str:
    """`account.employees`; a deeper or a computed name is none of ours."""
    match tree:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    raise Mistake(f'"{ast.unparse(tree)}" is not part of the language; {_what_there_is()}')


def _text(tree: ast.expr, remedy: str) -> str:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str) and tree.value.strip():
        return tree.value
    raise Mistake(remedy)


def _constant(tree: ast.expr) -> bool | float | str:
    match tree:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.Name() | ast.Attribute():
            raise Mistake(f'{ast.unparse(tree)} stands where a value belongs; texts need quotes, as in "{ast.unparse(tree)}"')
    raise Mistake(f'"{ast.unparse(tree)}" is not a value; write a number or a text in quotes')


def _glob(path: str) -> str:
    if not path.startswith(("/", "*")):
        raise Mistake(f'"{path}" is not a path; it begins with a slash, as in visited("/pricing*")')
    return path


def _kind(name: str) -> ReactionKind:
    if name in SILENT_KINDS:
        raise Mistake(f'"{name}" steers nothing: it is noise of mail programs; write clicked or replied')
    return next(kind for kind in REACTION_KINDS if kind == name)


def _kind_of(term: Term) -> Literal["text", "number", "date", "flag"]:
    match term:
        case Fact(_, kind):
            return kind
        case Word():
            return "text"
        case _:
            return "number"


def _name_of(term: Term) -> str:
    return f"days_until({term.fact})" if isinstance(term, DaysUntil) else term.name


def _comparison(term: Term) -> str:
    return f'{_name_of(term)} == "…"' if isinstance(term, Word) else f"{_name_of(term)} >= 3"


def _telling() -> list[str]:
    return [kind for kind in REACTION_KINDS if kind not in SILENT_KINDS]


def _what_there_is() -> str:
    return "there are facts, figures, reactions, comparisons, and, or, not"



"""`config/<track>/track.yaml` → `domain.agreement`: fit, engagement, stages, routing, returns."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, Literal, cast

from leadnurture.definitions import conditions, files, times
from leadnurture.definitions.problems import Mistake, Place, listed
from leadnurture.definitions.reading import Fields, condition, known, whole_number
from leadnurture.domain.agreement import Agreement, EngagementRule, FitRule, ReturnReason, Route, ScoreFormula, StageRule
from leadnurture.domain.condition import Compare, Word, leaves
from leadnurture.domain.vocabulary import STAGES

if TYPE_CHECKING:
    from leadnurture.definitions.names import Names
    from leadnurture.definitions.nodes import Entry, Node
    from leadnurture.definitions.problems import Report
    from leadnurture.domain.condition import Condition
    from leadnurture.domain.timing import Duration
    from leadnurture.domain.vocabulary import Stage, Track

# Programs and points lead into these; people decide about the others.
ENTERED: Final = ("engaged", "qualified")
STAND_INS: Final = ("account.owner", "account manager")
ONLY_CLIENTS: Final = ("from", "preview", "crm")
PROMISE: Final = re.compile(r"\d{1,6} +an? +(day|week|month|quarter|year)")
RESUME_OR_END: Final = ("resume", "end")


def read_agreement(track: Track, node: Node | None, names: Names, report: Report) -> Agreement:
    """The agreement; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Agreement, report)
    engagement = Fields(fields.node("engagement"), files.Engagement, report)
    _check_track(track, fields, report)
    return Agreement(
        track=track,
        version=fields.parsed("version", times.day, times.day("1970-01-01")),
        agreed=_agreed(fields, names, report),
        consent=fields.maybe("consent"),
        pace=fields.parsed("pace", times.pace, None),
        at_once=fields.number("at once", 1, least=1),
        pause=fields.condition("pause", names, conditions.LEAD),
        fit=tuple(_fit(entry, names, report) for entry in fields.entries("fit")),
        live=engagement.duration("live", times.SPANS),
        engagement=_points(engagement, names, report),
        score=fields.parsed("score", formula, ScoreFormula()),
        stages=_stages(fields, track, names, report),
        routing=_routing(fields, names, report),
        returns=tuple(_return(entry, track, names, report) for entry in fields.entries("returns")),
        sender=cast("Literal['company', 'account manager']", fields.choice("from", ("company", "account manager"), "company", "sender")),
        preview=fields.duration("preview"),
        crm_required=fields.choice("crm", ("required",)) == "required",
    )


def formula(text: str) -> ScoreFormula:
    """`fit + engagement` or `2 * fit + engagement - 10` as integer weights."""
    try:
        tree = ast.parse(text, mode="eval").body if len(text) <= conditions.LONGEST else None
        weights = _linear(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Mistake(f'"{text}" is not a score; write whole numbers with fit and engagement, as in "2 * fit + engagement"') from None
    return ScoreFormula(weights.get("fit", 0), weights.get("engagement", 0), weights.get("", 0))


def _linear(tree: ast.expr | None) -> dict[str, int]:
    """Weights by name; the constant's name is empty. Raises ValueError for everything that is not linear."""
    match tree:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return {"": number}
        case ast.Name(id="fit" | "engagement" as name):
            return {name: 1}
        case ast.UnaryOp(op=ast.USub()):
            return _scaled(_linear(tree.operand), -1)
        case ast.BinOp(op=ast.Add()):
            return _sum(_linear(tree.left), _linear(tree.right))
        case ast.BinOp(op=ast.Sub()):
            return _sum(_linear(tree.left), _scaled(_linear(tree.right), -1))
        case ast.BinOp(op=ast.Mult(), left=ast.Constant(value=int() as number)):
            return _scaled(_linear(tree.right), number)
        case ast.BinOp(op=ast.Mult(), right=ast.Constant(value=int() as number)):
            return _scaled(_linear(tree.left), number)
    raise ValueError(tree)


def _sum(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def _scaled(weights: dict[str, int], factor: int) -> dict[str, int]:
    return {name: weight * factor for name, weight in weights.items()}


def _check_track(track: Track, fields: Fields, report: Report) -> None:
    for key in ONLY_CLIENTS:
        if key in fields and track != "clients":
            report.error(fields.at(key), f'"{key}" belongs to the track of clients, who have account managers; leave it out')


def _agreed(fields: Fields, names: Names, report: Report) -> tuple[tuple[str, str], ...]:
    agreed = Fields(fields.node("agreed"), files.Agreed, report)
    return tuple((side, person(agreed, side, names.people, report) or "") for side in ("marketing", "sales") if side in agreed)


def person(fields: Fields, key: str, choices: frozenset[str], report: Report) -> str | None:
    """The person, or where roles are among the choices the role, of a key; None where there is none."""
    name, node = fields.maybe(key), fields.node(key)
    if name and node and name not in choices and report.company_is_known:
        report.unknown(node.place, "person", name, choices, "add him under people in config/leadnurture.yaml")
    return name


def _fit(entry: Entry, names: Names, report: Report) -> FitRule:
    rule = condition(entry.key, names, conditions.FACTS, report)
    return FitRule(rule, whole_number(entry.value, "points", report))


def _points(fields: Fields, names: Names, report: Report) -> tuple[EngagementRule, ...]:
    rules = []
    for entry in fields.entries("points"):
        points = whole_number(entry.value, "points", report)
        try:
            rules.append(EngagementRule(entry.key.text, conditions.read_reaction(entry.key.text, names), points))
        except Mistake as mistake:
            report.mistake(entry.key.place, mistake)
    return tuple(rules)


def _stages(fields: Fields, track: Track, names: Names, report: Report) -> tuple[StageRule, ...]:
    rules = {}
    for entry in fields.entries("stages"):
        if entry.key.text in STAGES:
            rules[entry.key.text] = _stage(entry, track, names, report)
        else:
            report.unknown(entry.key.place, "stage", entry.key.text, STAGES, f"names and order are fixed: {listed(STAGES)}")
    return tuple(rules[stage] for stage in STAGES if stage in rules)


def _stage(entry: Entry, track: Track, names: Names, report: Report) -> StageRule:
    fields = Fields(entry.value, files.StageShape, report, entry.key.place)
    stage = cast("Stage", entry.key.text)
    _check_stage(stage, fields, report)
    return StageRule(
        stage=stage,
        means=fields.text("means"),
        when=warned(fields.condition("when", names, conditions.LEAD), fields.at("when"), report),
        needs=_needs(fields, names, report),
        owner=person(fields, "owner", names.people | names.roles, report),
        within=fields.duration("within"),
        remind=fields.duration("remind"),
        escalate=person(fields, "escalate", names.people | names.roles, report),
        promise=fields.parsed("promise", _promise, None),
        stalled=program(fields, "stalled", track, names, report),
    )


def _check_stage(stage: Stage, fields: Fields, report: Report) -> None:
    for key in ("when", "needs"):
        if key in fields and stage not in ENTERED:
            report.error(fields.at(key), f'"{key}" has no meaning for {stage}, which people decide about; it belongs to {listed(ENTERED)}')
    if "needs" in fields and "when" not in fields:
        report.error(fields.at("needs"), '"needs" without "when" holds back nobody; say who enters the stage')
    for key in ("stalled", "escalate"):
        if key in fields and "within" not in fields:
            report.error(fields.at(key), f'"{key}" without "within" never happens; say how much time there is, as in "within: 4 business hours"')


def _needs(fields: Fields, names: Names, report: Report) -> tuple[str, ...]:
    scalars = fields.scalars("needs")
    if not report.company_is_known:
        return tuple(scalar.text for scalar in scalars)
    return known(scalars, names.facts, "fact", report, "declare it under facts in config/leadnurture.yaml")


def _promise(text: str) -> str:
    if not PROMISE.fullmatch(text):
        raise Mistake(f'"{text}" is not a promise; write a number and a period, as in "40 a month"')
    return text


def program(fields: Fields, key: str, track: Track, names: Names, report: Report) -> str | None:
    """The program of a key, which must be of the same track; None where there is none."""
    name, node = fields.maybe(key), fields.node(key)
    if name is None or node is None:
        return None
    if name not in names.programs:
        mates = [mate for mate, home in names.programs.items() if home == track]
        report.unknown(node.place, "program", name, mates, f"a program is a file of config/{track}/programs")
    elif names.programs[name] != track:
        report.error(node.place, f'program "{name}" belongs to the track {names.programs[name]}; nobody changes the track by a program')
    return name


def _routing(fields: Fields, names: Names, report: Report) -> tuple[Route, ...]:
    routes, places = [], []
    for item in fields.items("routing"):
        line = Fields(item, files.Route, report)
        places.append(line.place)
        routes.append(Route(_receivers(line, names, report), line.condition("if", names, conditions.LEAD)))
    _check_routing(routes, places, report)
    return tuple(routes)


def _receivers(line: Fields, names: Names, report: Report) -> tuple[str, ...]:
    scalars = line.scalars("to")
    if not report.company_is_known:
        return tuple(scalar.text for scalar in scalars)
    return known(scalars, names.people | set(STAND_INS), "person", report, "add him under people in config/leadnurture.yaml")


def _check_routing(routes: list[Route], places: list[Place], report: Report) -> None:
    for route, place in zip(routes[:-1], places[1:], strict=False):
        if route.when is None:
            report.error(place, "this line is never reached, the one above has no if; write it above or remove it")
    if routes and (routes[-1].when is not None or not set(routes[-1].to) - set(STAND_INS)):
        report.error(places[-1], "a lead for whom no line is true would go to nobody; end with a line without if that names people")


def _return(entry: Entry, track: Track, names: Names, report: Report) -> ReturnReason:
    fields = Fields(entry.value, files.Return, report, entry.key.place)
    if ("program" in fields) == ("go" in fields):
        report.error(entry.key.place, f'the return reason "{entry.key.text}" needs either "program" or "go"; write one of them')
    go = fields.choice("go", RESUME_OR_END, what="target of a return")
    return ReturnReason(
        reason=entry.key.text,
        program=program(fields, "program", track, names, report),
        go=cast("Literal['resume', 'end']", go) if go else None,
    )


def warned(found: Condition | None, place: Place, report: Report) -> Condition | None:
    """The same condition, after a warning where it would let a lead fall between."""
    if found and any(isinstance(leaf, Compare) and leaf.term == Word("stage") and (leaf.operator, leaf.value) == ("==", "new") for leaf in leaves(found.node)):
        report.warn(place, 'stage == "new" misses a lead whose first act already counts; write stage <= "engaged" or stage < "qualified"')
    return found


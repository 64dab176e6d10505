"""`config/<track>/track.yaml` → `domain.agreement`: fit, engagement, stages, routing, returns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from leadnurture.definitions import conditions, files, times
from leadnurture.definitions.asks import read_ask
from leadnurture.definitions.formula import read_formula
from leadnurture.definitions.names import Names
from leadnurture.definitions.nodes import Entry, Node
from leadnurture.definitions.problems import MistakeError, Place, Report, listed
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import facts, people, person, program
from leadnurture.definitions.values import condition, parsed, whole_number
from leadnurture.domain.agreement import (
    Agreement,
    EngagementRule,
    FitRule,
    ReturnReason,
    Route,
    ScoreFormula,
    StageRule,
)
from leadnurture.domain.vocabulary import STAGES, Stage, Track

Sender = Literal["company", "account manager"]

# Programs and points lead into these; people decide about the others.
ENTERED: Final = ("engaged", "qualified")
STAND_INS: Final = frozenset({"account.owner", "account manager"})
SENDERS: Final[tuple[Sender, ...]] = ("company", "account manager")
AFTER_RETURN: Final[tuple[Literal["resume", "end"] | None, ...]] = ("resume", "end")
PROMISE: Final = re.compile(r"\d{1,6} +an? +(day|week|month|quarter|year)")

ONLY_CLIENTS: Final = "belongs to the track of clients, who have account managers; leave it out"
ENTERED_BY_PEOPLE: Final = f"has no meaning here, where people decide; it belongs to {listed(ENTERED)}"
NO_WHEN: Final = '"needs" without "when" holds back nobody; say who enters the stage'
NO_WITHIN: Final = (
    'without "within" never happens; say how much time there is, as in "within: 4 business hours"'
)
NOT_REACHED: Final = "this line is never reached, the one above has no if; write it above or remove it"
TO_NOBODY: Final = (
    "a lead for whom no line is true would go to nobody; end with a line without if that names people"
)


def read_agreement(track: Track, node: Node | None, names: Names, report: Report) -> Agreement:
    """The agreement; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Agreement, report)
    engagement = Fields(fields.node("engagement"), files.Engagement, report)
    if track != "clients":
        _refuse(fields, ("from", "preview", "crm"), ONLY_CLIENTS)
    return Agreement(
        track=track,
        version=fields.parsed("version", times.day, times.day("1970-01-01")),
        agreed=_agreed(fields, names),
        consent=fields.maybe("consent"),
        pace=fields.parsed("pace", times.pace, None),
        at_once=fields.number("at once", 1, least=1),
        pause=fields.condition("pause", names, conditions.LEAD),
        fit=tuple(_fit(entry, names, report) for entry in fields.entries("fit")),
        live=engagement.duration("live", times.SPANS),
        engagement=tuple(_points(engagement, names)),
        score=fields.parsed("score", read_formula, ScoreFormula()),
        stages=_stages(fields, track, names),
        routing=_routing(fields, names),
        returns=tuple(_return(entry, track, names, report) for entry in fields.entries("returns")),
        sender=fields.choice("from", SENDERS, "company", "sender"),
        preview=fields.duration("preview"),
        crm_required=fields.choice("crm", ("required",), "") == "required",
    )


def _refuse(fields: Fields, keys: tuple[str, ...], why: str) -> None:
    for key in keys:
        if key in fields:
            fields.report.error(fields.at(key), f'"{key}" {why}')


def _agreed(fields: Fields, names: Names) -> tuple[tuple[str, str], ...]:
    agreed = Fields(fields.node("agreed"), files.Agreed, fields.report)
    sides = ((side, person(agreed, side, names.people, fields.report)) for side in ("marketing", "sales"))
    return tuple((side, name) for side, name in sides if name)


def _fit(entry: Entry, names: Names, report: Report) -> FitRule:
    rule = condition(entry.key, names, conditions.FACTS, report)
    return FitRule(rule, whole_number(entry.value, "points", report))


def _points(fields: Fields, names: Names) -> Iterator[EngagementRule]:
    for entry in fields.entries("points"):
        points = whole_number(entry.value, "points", fields.report)
        reacted = parsed(
            entry.key, "a key", lambda text: conditions.read_reaction(text, names), fields.report, None
        )
        if reacted:
            yield EngagementRule(entry.key.text, reacted, points)


def _stages(fields: Fields, track: Track, names: Names) -> tuple[StageRule, ...]:
    entries = {entry.key.text: entry for entry in fields.entries("stages")}
    for name, entry in entries.items():
        if name not in STAGES:
            fields.report.unknown(entry.key.place, "stage", name, STAGES)
    return tuple(
        _stage(stage, entries[stage], track, names, fields.report) for stage in STAGES if stage in entries
    )


def _stage(stage: Stage, entry: Entry, track: Track, names: Names, report: Report) -> StageRule:
    fields = Fields(entry.value, files.StageShape, report, entry.key.place)
    _check_stage(stage, fields)
    anybody = names.people | names.roles
    return StageRule(
        stage=stage,
        means=fields.text("means"),
        when=fields.condition("when", names, conditions.LEAD),
        needs=facts(fields.scalars("needs"), names.facts, report),
        owner=person(fields, "owner", anybody, report),
        within=fields.duration("within"),
        remind=fields.duration("remind"),
        escalate=person(fields, "escalate", anybody, report),
        promise=fields.parsed("promise", _promise, None),
        stalled=program(fields, "stalled", track, names, report),
    )


def _check_stage(stage: Stage, fields: Fields) -> None:
    if stage not in ENTERED:
        _refuse(fields, ("when", "needs"), ENTERED_BY_PEOPLE)
    elif "needs" in fields and "when" not in fields:
        fields.report.error(fields.at("needs"), NO_WHEN)
    if "within" not in fields:
        _refuse(fields, ("stalled", "escalate"), NO_WITHIN)


def _promise(text: str) -> str:
    if not PROMISE.fullmatch(text):
        raise MistakeError(f'"{text}" is not a promise; write a number and a period, as in "40 a month"')
    return text


def _routing(fields: Fields, names: Names) -> tuple[Route, ...]:
    lines = [Fields(item, files.Route, fields.report) for item in fields.items("routing")]
    routes = tuple(_route(line, names) for line in lines)
    _check_routing(routes, [line.place for line in lines], fields.report)
    return routes


def _route(line: Fields, names: Names) -> Route:
    to = people(line.scalars("to"), names.people | STAND_INS, line.report)
    return Route(to, line.condition("if", names, conditions.LEAD))


def _check_routing(routes: tuple[Route, ...], places: list[Place], report: Report) -> None:
    for route, below in zip(routes, places[1:], strict=False):
        if route.when is None:
            report.error(below, NOT_REACHED)
    if routes and (routes[-1].when is not None or set(routes[-1].to) <= STAND_INS):
        report.error(places[-1], TO_NOBODY)


def _return(entry: Entry, track: Track, names: Names, report: Report) -> ReturnReason:
    fields = Fields(entry.value, files.Return, report, entry.key.place)
    if ("program" in fields) == ("go" in fields):
        sentence = f'the return reason "{entry.key.text}" needs either "program" or "go"; write one of them'
        report.error(entry.key.place, sentence)
    return ReturnReason(
        reason=entry.key.text,
        program=program(fields, "program", track, names, report),
        go=fields.choice("go", AFTER_RETURN, None, "target of a return"),
        ask=read_ask(fields, names, only_facts=True),
    )

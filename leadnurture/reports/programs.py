"""How the programs stand: the list of them, and one with its steps, its ways and its waves.

One idea to hold: where leads are is counted from enrollments, how they got there from the counted moves,
whose rules are the ways of the program (`ways`). What a kept version wrote is counted where its words are
the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, case, func, literal_column, select, true

from leadnurture import engine
from leadnurture.definitions import load_program
from leadnurture.domain.program import Program, Step
from leadnurture.errors import NotFoundError
from leadnurture.reports.chart import ChartCounts, program_chart
from leadnurture.reports.ways import (
    ALARMING,
    PROGRAM_WIDE,
    TROUBLES,
    does,
    is_branch,
    is_reaction,
    label_of,
    rule_without_trouble,
    rules_of,
)
from leadnurture.store.instants import day_number
from leadnurture.store.tables import metadata

CLICK: Final = metadata.tables["click"]
ENROLLMENT: Final = metadata.tables["enrollment"]
MOVES: Final = metadata.tables["move_count"]
PROGRAM: Final = metadata.tables["program"]
VERSION: Final = metadata.tables["program_version"]
WAVE: Final = metadata.tables["wave"]
LIVE: Final = ("active", "paused")
RECENT: Final = timedelta(days=30)
SHOWN_WAVES: Final = 10


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """One program of the list."""

    name: str
    track: str
    title: str
    is_live: bool
    """False once its file is gone."""
    active: int
    paused: int
    due: int
    enrolled: int
    """Ever."""
    reached: int
    """Whose goal was reached."""
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: who is there, who came, and how they left."""

    name: str
    does: str
    is_current: bool
    """False for a step that only earlier versions have."""
    here: int
    came: int
    reacted: int | None
    """Left by a reaction; None where a step waits for none."""
    silent: int | None
    """Left because time was up."""
    next_due: datetime | None
    troubles: tuple["TroubleRow", ...]
    """Most frequent first."""
    machines: int
    """Clicks on its mails that were judged a machine's, in the last 30 days."""


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """How many could not get what a step does, and why, in the last 30 days."""

    why: str
    text: str
    """The same for people."""
    leads: int
    is_alarming: bool
    """Whether a person should look at it; else the program has its answer."""


@dataclass(frozen=True, slots=True)
class WayRow:
    """One way out of a step, with how many took it in the last 30 days."""

    step: str
    """Empty for the program's own `on`, which holds in every step."""
    label: str
    rule: str
    to: str
    moved: int


@dataclass(frozen=True, slots=True)
class WaveRow:
    """One wave."""

    number: int
    started_at: datetime
    due: int
    moved: int
    planned: int
    seconds: float | None
    """None while it runs, or when it was killed."""


@dataclass(frozen=True, slots=True)
class ProgramPage:
    """Everything that the page of a program shows."""

    name: str
    track: str
    title: str
    owner: str
    goal: str
    enter: str
    version: int
    applied_at: datetime
    is_live: bool
    here: int
    enrolled: int
    reached: int
    entered: int
    """In the last 30 days."""
    moved: int
    """In the last 30 days."""
    moved_by_reaction: int
    next_wave: int
    next_due: datetime | None
    due_then: int
    steps: tuple[StepRow, ...]
    ways: tuple[WayRow, ...]
    waves: tuple[WaveRow, ...]
    source: str
    chart: str


@dataclass(frozen=True, slots=True)
class ProgramChart:
    """Where the leads of a program are: drawn, and step by step."""

    title: str
    chart: str
    steps: tuple[StepRow, ...]


def programs(connection: Connection, now: datetime, name: str | None = None) -> tuple[ProgramRow, ...]:
    """Every program, or the one named: live ones first, then by track and priority. One statement."""
    active, paused = ENROLLMENT.c.status == "active", ENROLLMENT.c.status == "paused"
    counted = (
        select(
            ENROLLMENT.c.program,
            func.sum(case((active, 1), else_=0)).label("active"),
            func.sum(case((paused, 1), else_=0)).label("paused"),
            func.sum(case((and_(active, ENROLLMENT.c.due_at <= now), 1), else_=0)).label("due"),
            func.count().label("enrolled"),
            func.count(ENROLLMENT.c.goal_at).label("reached"),
            func.min(case((active, ENROLLMENT.c.due_at))).label("next_due"),
        )
        .where(true() if name is None else ENROLLMENT.c.program == name)
        .group_by(ENROLLMENT.c.program)
        .subquery()
    )
    question = (
        select(PROGRAM, counted)
        .outerjoin(counted, counted.c.program == PROGRAM.c.name)
        .where(true() if name is None else PROGRAM.c.name == name)
        .order_by(PROGRAM.c.is_live.desc(), PROGRAM.c.track.desc(), PROGRAM.c.priority.desc(), PROGRAM.c.name)
    )
    return tuple(
        ProgramRow(
            name=row.name,
            track=row.track,
            title=row.title,
            is_live=row.is_live,
            active=int(row.active or 0),
            paused=int(row.paused or 0),
            due=int(row.due or 0),
            enrolled=row.enrolled or 0,
            reached=row.reached or 0,
            next_due=_not_past(row.next_due, now),
        )
        for row in connection.execute(question)
    )


def program_page(connection: Connection, name: str, now: datetime) -> ProgramPage:
    """One program as it stands. Eight statements. Raises NotFoundError for an unknown name."""
    version = _current(connection, name)
    program = load_program(version.body)
    (row,) = programs(connection, now, name)
    here = _here(connection, name)
    moves = _moves(connection, name, now)
    machines = _machines(connection, name, now)
    steps = _steps(program, here, moves, machines, now)
    counts = _counts(program, here, moves, machines)
    waves = connection.execute(
        select(WAVE).where(WAVE.c.program == name).order_by(WAVE.c.number.desc()).limit(SHOWN_WAVES)
    )
    people = {person.id: person.name for person in engine.current_definitions(connection).company.people}
    return ProgramPage(
        name=name,
        track=program.track,
        title=program.title,
        owner=people.get(program.owner, program.owner),
        goal=program.goal.text if program.goal else "",
        enter=program.enter.text if program.enter else "",
        version=version.number,
        applied_at=version.applied_at,
        is_live=row.is_live,
        here=row.active + row.paused,
        enrolled=row.enrolled,
        reached=row.reached,
        entered=counts.entered,
        moved=sum(counts.moved.values()),
        moved_by_reaction=sum(moved for (_, rule), moved in counts.moved.items() if is_reaction(rule)),
        next_wave=version.wave + 1,
        next_due=row.next_due,
        due_then=_due_at(connection, name, row.next_due),
        steps=steps,
        ways=_ways(program, counts),
        waves=tuple(_wave(each) for each in waves),
        source=version.source,
        chart=program_chart(program, counts),
    )


def chart_of(connection: Connection, name: str, now: datetime) -> ProgramChart:
    """The chart of a program with where its leads are now. Four statements. Raises NotFoundError."""
    program = load_program(_current(connection, name).body)
    here, moves = _here(connection, name), _moves(connection, name, now)
    machines = _machines(connection, name, now)
    chart = program_chart(program, _counts(program, here, moves, machines))
    return ProgramChart(program.title, chart, _steps(program, here, moves, machines, now))


def _current(connection: Connection, name: str) -> Row[Any]:
    question = (
        select(VERSION, PROGRAM.c.wave)
        .join(PROGRAM, PROGRAM.c.name == VERSION.c.program)
        .where(VERSION.c.program == name, VERSION.c.is_current)
    )
    row = connection.execute(question).first()
    if row is None:
        raise NotFoundError(f"There is no program {name!r}; `leadnurture status` lists them.")
    return row


def _here(connection: Connection, name: str) -> Mapping[str, Row[Any]]:
    """By step, how many are there and when the next of them is due."""
    question = (
        select(
            ENROLLMENT.c.step, func.count().label("leads"), func.min(ENROLLMENT.c.due_at).label("next_due")
        )
        .where(ENROLLMENT.c.program == name, ENROLLMENT.c.status.in_(LIVE))
        .group_by(ENROLLMENT.c.step)
    )
    return {row.step: row for row in connection.execute(question)}


def _moves(connection: Connection, name: str, now: datetime) -> Sequence[Row[Any]]:
    """How often each move was made, ever and in the last 30 days."""
    since = day_number((now - RECENT).date())
    recent = func.sum(case((MOVES.c.day > since, MOVES.c.moves), else_=0))
    columns = MOVES.c.from_step, MOVES.c.to_step, MOVES.c.rule
    question = (
        select(*columns, func.sum(MOVES.c.moves).label("ever"), recent.label("recent"))
        .where(MOVES.c.program == name)
        .group_by(*columns)
    )
    return list(connection.execute(question))


def _machines(connection: Connection, name: str, now: datetime) -> Mapping[str, int]:
    """By step, how many clicks on its mails were judged a machine's in the last 30 days."""
    is_machine = CLICK.c.judgement == literal_column("'machine'")  # a literal, for the partial index
    question = (
        select(CLICK.c.step, func.count().label("clicks"))
        .where(CLICK.c.program == name, is_machine, CLICK.c.recorded_at > now - RECENT)
        .group_by(CLICK.c.step)
    )
    return {row.step: row.clicks for row in connection.execute(question)}


def _counts(
    program: Program, here: Mapping[str, Row[Any]], moves: Sequence[Row[Any]], machines: Mapping[str, int]
) -> ChartCounts:
    known = {(step.name, rule) for step in program.steps for rule, _ in rules_of(program, step)}
    known |= {(step.name, f"on {arm.text}{PROGRAM_WIDE}") for step in program.steps for arm in program.on}
    moved: dict[tuple[str, str], int] = defaultdict(int)
    trouble: set[str] = set()
    for row in moves:
        rule, why = rule_without_trouble(row.rule)
        if (row.from_step, rule) in known:
            moved[row.from_step, rule] += int(row.recent)
        if row.recent and why in ALARMING:
            trouble.add(row.from_step)
    entered = sum(int(row.recent) for row in moves if not row.from_step)
    leads = {step: row.leads for step, row in here.items()}
    return ChartCounts(leads, moved, entered, frozenset(trouble), machines)


def _steps(
    program: Program,
    here: Mapping[str, Row[Any]],
    moves: Sequence[Row[Any]],
    machines: Mapping[str, int],
    now: datetime,
) -> tuple[StepRow, ...]:
    came: dict[str, int] = defaultdict(int)
    left: dict[str, dict[bool, int]] = defaultdict(lambda: {True: 0, False: 0})
    troubles: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in moves:
        came[row.to_step] += int(row.ever)
        rule, why = rule_without_trouble(row.rule)
        if why and row.recent:
            troubles[row.from_step][why] += int(row.recent)
        if row.from_step and (is_reaction(rule) or rule.startswith(("then", "time is up"))):
            left[row.from_step][is_reaction(rule)] += int(row.ever)
    current = {step.name: step for step in program.steps}
    names = [*current, *sorted(name for name in here if name not in current)]
    return tuple(
        StepRow(
            name=name,
            does=does(current[name]) if name in current else "of an earlier version",
            is_current=name in current,
            here=here[name].leads if name in here else 0,
            came=came[name],
            reacted=left[name][True] if _listens(current.get(name)) else None,
            silent=left[name][False] if _listens(current.get(name)) else None,
            next_due=_not_past(here[name].next_due, now) if name in here else None,
            troubles=_troubles(troubles[name]),
            machines=machines.get(name, 0),
        )
        for name in names
    )


def _troubles(counted: Mapping[str, int]) -> tuple[TroubleRow, ...]:
    rows = (TroubleRow(why, TROUBLES[why], leads, why in ALARMING) for why, leads in counted.items())
    return tuple(sorted(rows, key=lambda row: -row.leads))


def _listens(step: Step | None) -> bool:
    return step is not None and step.handoff is None and not is_branch(step)


def _ways(program: Program, counts: ChartCounts) -> tuple[WayRow, ...]:
    rows = [
        WayRow(step.name, label_of(rule, step), rule, str(go), counts.moved.get((step.name, rule), 0))
        for step in program.steps
        for rule, go in rules_of(program, step)
    ]
    for arm in program.on:
        rule = f"on {arm.text}{PROGRAM_WIDE}"
        moved = sum(number for (_, each), number in counts.moved.items() if each == rule)
        rows.append(WayRow("", arm.text, rule, str(arm.go), moved))
    return tuple(rows)


def _due_at(connection: Connection, name: str, next_due: datetime | None) -> int:
    """How many will be due at the next wave."""
    if next_due is None:
        return 0
    due = ENROLLMENT.c.program == name, ENROLLMENT.c.status == "active", ENROLLMENT.c.due_at <= next_due
    return connection.scalar(select(func.count()).select_from(ENROLLMENT).where(*due)) or 0


def _wave(row: Row[Any]) -> WaveRow:
    return WaveRow(row.number, row.started_at, row.due, row.moved, row.planned, row.seconds)


def _not_past(instant: datetime | None, now: datetime) -> datetime | None:
    """Whatever is due already is due now."""
    return None if instant is None else max(instant, now)

"""Waves: one pass over all that is due in a program, step by step in the order of its file, in chunks of leads.

A wave holds the program's lease, so that only one runs at a time, whoever runs it. Its steps may be run by anybody who knows
the wave's number: each chunk is a transaction of its own, and running a step twice finds nothing left to do.
"""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Setting, Step
from leadnurture.engine.calendar import calendar_end
from leadnurture.engine.current import current_definitions, first_step, program_versions
from leadnurture.engine.facts import set_on_rows
from leadnurture.engine.handoffs import consent_of, open_handoffs
from leadnurture.engine.moves import count_moves, enroll
from leadnurture.engine.sql import run, sql
from leadnurture.engine.steps import StepStatements, Way, build_statements
from leadnurture.store import Database
from leadnurture.store.instants import from_micros, to_micros
from leadnurture.store.work import empty, work_enroll, work_handoff, work_move, work_step, work_window

CHUNK: Final = 2_000
MOST_BUILT: Final = 2_000
LEASE: Final = timedelta(minutes=2)
"""Of the machine. A wave takes at most 20 seconds; one whose lease ran out is taken for dead."""


@dataclass(frozen=True, slots=True)
class WaveBegun:
    """A wave that holds its program: its number, how many enrollments are due, and at which steps, in the
    order of the file.
    """

    program: str
    number: int
    due: int
    steps: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class StepDone:
    """What one step of a wave came to."""

    step: str
    due: int = 0
    moved: int = 0
    planned: int = 0
    ended: int = 0


def next_due(connection: Connection, program: str) -> datetime | None:
    """When the next enrollment of a program is due; one probe of an index per step, whatever waits."""
    earliest = connection.execute(
        sql("""
            SELECT min(due_at) FROM (
                SELECT (SELECT min(e.due_at) FROM enrollment e
                         WHERE e.status = 'active' AND e.program = s.program AND e.step = s.name) AS due_at
                  FROM (SELECT DISTINCT program, name FROM program_step WHERE program = :program) AS s) AS probes"""),
        {"program": program},
    ).scalar()
    return None if earliest is None else from_micros(earliest)


def begin_wave(
    database: Database, program: str, owner: str, now: datetime, machine_now: datetime
) -> WaveBegun | None:
    """Takes the program for one wave; None when nothing is due or somebody else holds it. Three statements."""

    def begin(connection: Connection) -> WaveBegun | None:
        due = _due_by_step(connection, program, now)
        total = sum(count for _, count in due)
        if not total:
            return None
        taken = run(
            connection,
            """
            UPDATE program SET lease_owner = :owner, lease_until = :until, wave = wave + 1
             WHERE name = :program AND (lease_owner IS NULL OR lease_until < :machine)""",
            program=program, owner=owner, until=to_micros(machine_now + LEASE), machine=to_micros(machine_now),
        )  # fmt: skip
        if not taken:
            return None
        number = connection.execute(
            sql("SELECT wave FROM program WHERE name = :program"), {"program": program}
        ).scalar_one()
        run(
            connection,
            "INSERT INTO wave (program, number, started_at, due, moved, planned) VALUES (:program, :number, :now, :due, 0, 0)",
            program=program,
            number=number,
            now=now,
            due=total,
        )
        return WaveBegun(program, number, total, tuple(due))

    return database.run(begin)


def _due_by_step(connection: Connection, program: str, now: datetime) -> list[tuple[str, int]]:
    """Counts what is due and may be judged, for every step in the order of the current file, then those of
    kept versions.
    """
    rows = connection.execute(
        sql("""
            SELECT s.name, (SELECT count(*) FROM enrollment e JOIN lead l ON l.id = e.lead_id
                             WHERE e.status = 'active' AND e.program = :program AND e.step = s.name AND e.due_at <= :now
                               AND (l.look_at IS NULL OR l.look_at > :now)) AS due
              FROM (SELECT p.name, min(CASE WHEN v.is_current THEN p.position ELSE 10000 + p.position END) AS place
                      FROM program_step p JOIN program_version v ON v.id = p.version_id
                     WHERE p.program = :program GROUP BY p.name) AS s
             ORDER BY s.place"""),
        {"program": program, "now": now},
    )
    return [(row.name, row.due) for row in rows]


def run_step(
    database: Database,
    program: str,
    step: str,
    wave: int,
    now: datetime,
    *,
    until: float | None = None,
    chunk: int = CHUNK,
) -> StepDone:
    """Moves everybody who is due at a step, a chunk a transaction; stops at the machine's monotonic time `until`.

    The same number of statements per chunk, whatever its size. Safe to repeat, safe beside other workers.
    """
    total = StepDone(step)
    with database.read() as connection:
        versions = [
            (version, value)
            for version, value in program_versions(connection, program).items()
            if _has(value, step)
        ]
    for version, value in versions:
        while until is None or time.monotonic() < until:
            done = database.run(
                functools.partial(
                    _chunk, version=version, program=value, name=step, wave=wave, now=now, chunk=chunk
                )
            )
            total = StepDone(
                step,
                total.due + done.due,
                total.moved + done.moved,
                total.planned + done.planned,
                total.ended + done.ended,
            )
            if done.due < chunk:
                break
    return total


def finish_wave(
    database: Database, wave: WaveBegun, done: Sequence[StepDone], owner: str, seconds: float
) -> None:
    """Writes what the wave came to and gives the program back."""

    def finish(connection: Connection) -> None:
        run(
            connection,
            "UPDATE wave SET moved = :moved, planned = :planned, seconds = :seconds WHERE program = :program AND number = :number",
            program=wave.program, number=wave.number, seconds=seconds,
            moved=sum(step.moved for step in done), planned=sum(step.planned for step in done),
        )  # fmt: skip
        run(
            connection,
            "UPDATE program SET lease_owner = NULL, lease_until = NULL WHERE name = :program AND lease_owner = :owner",
            program=wave.program,
            owner=owner,
        )

    database.run(finish)


def _has(program: Program, step: str) -> bool:
    return any(one.name == step for one in program.steps)


_built: dict[tuple[str, int, str], tuple[Definitions, StepStatements]] = {}


def _statements(
    connection: Connection, definitions: Definitions, version: int, program: Program, step: str
) -> StepStatements:
    key = (str(connection.engine.url), version, step)
    known, statements = _built.get(key, (None, None))
    if known is not definitions or statements is None:
        if len(_built) > MOST_BUILT:
            _built.clear()
        statements = build_statements(definitions, version, program, program.step(step))
        _built[key] = (definitions, statements)
    return statements


def _chunk(
    connection: Connection, version: int, program: Program, name: str, wave: int, now: datetime, chunk: int
) -> StepDone:
    definitions = current_definitions(connection)
    statements = _statements(connection, definitions, version, program, name)
    step = program.step(name)
    horizon = calendar_end(connection) if statements.asks_calendar else now
    values = {"now": now, "this_wave": wave, "chunk_size": chunk, "horizon": horizon}
    empty(connection, work_step, work_window)
    due = connection.execute(statements.claim, values).rowcount
    if not due:
        return StepDone(name)
    if (
        connection.dialect.name != "sqlite"
    ):  # there nobody else can have moved them, and nothing is planned by numbers
        connection.execute(sql("ANALYZE work_step"))
        connection.execute(statements.drop, values)
    for statement in statements.act:
        connection.execute(statement, values)
    connection.execute(statements.judge, values)
    if step.sets:
        set_on_rows(connection, step.sets, "is_new", now, definitions)
    moved = connection.execute(statements.write_transitions, values).rowcount
    if moved:
        empty(connection, work_move)
        connection.execute(statements.count, values)
        count_moves(connection, now)
    if statements.cancel_queued is not None:
        connection.execute(statements.cancel_queued, values)
    planned = 0 if statements.plan is None else connection.execute(statements.plan, values).rowcount
    for statement in statements.tasks:
        connection.execute(statement, values)
    if statements.note_ways_back is not None:
        connection.execute(statements.note_ways_back, values)
    connection.execute(statements.wait, values)
    connection.execute(statements.move, values)
    if step.handoff is not None:
        _offer(connection, definitions, program, step, now)
    ended = _leave(connection, definitions, program, statements.ways, now)
    return StepDone(name, due, moved, planned, ended)


def _offer(
    connection: Connection, definitions: Definitions, program: Program, step: Step, now: datetime
) -> None:
    """Offers who has just come to a handoff step; who cannot be offered, being with sales already, goes on in
    the next wave.
    """
    offer = step.handoff
    assert offer is not None  # noqa: S101 - asked by the caller
    empty(connection, work_handoff)
    run(
        connection,
        """INSERT INTO work_handoff (lead_id, reason, wanted, enrollment_id)
           SELECT lead_id, :reason, :wanted, enrollment_id FROM work_step WHERE is_new AND arm < 0""",
        reason=offer.text,
        wanted=offer.to,
    )
    open_handoffs(connection, definitions.agreement(program.track), now)
    run(
        connection,
        """
        UPDATE enrollment SET due_at = :now
         WHERE status = 'active' AND id IN (SELECT enrollment_id FROM work_step WHERE is_new AND arm < 0)""",
        now=now,
    )


def _leave(
    connection: Connection, definitions: Definitions, program: Program, ways: Sequence[Way], now: datetime
) -> int:
    """What a way does beside moving: it sets facts, ends the enrollment, sends into another program."""
    for index, way in enumerate(ways):
        if way.sets:
            settings: tuple[Setting, ...] = way.sets
            set_on_rows(connection, settings, f"arm = {index}", now, definitions)
    leaving = [str(index) for index, way in enumerate(ways) if way.go.step is None]
    if not leaving:
        return 0
    ended = run(
        connection,
        f"""
        UPDATE lead SET look_at = :now
         WHERE id IN (SELECT lead_id FROM work_step WHERE arm IN ({", ".join(leaving)})) AND (look_at IS NULL OR look_at > :now)""",
        now=now,
    )
    for index, way in enumerate(ways):
        if way.go.program is not None:
            _send_on(connection, definitions, program, way.go.program, index, now)
    return ended


def _send_on(
    connection: Connection, definitions: Definitions, program: Program, target: str, arm: int, now: datetime
) -> None:
    """Enrolls in another program whoever leaves by an arm; that ignores `again` and `at once`, never consent."""
    version, step = first_step(connection, target)
    empty(connection, work_enroll)
    run(
        connection,
        """
        INSERT INTO work_enroll (lead_id, program, version_id, step, priority, rank, rule, is_free)
        SELECT DISTINCT w.lead_id, :target, :version, :step, 0, 0, :rule, TRUE
          FROM work_step w
         WHERE w.arm = :arm AND (:consent = '' OR EXISTS (SELECT 1 FROM consent c
                WHERE c.lead_id = w.lead_id AND c.purpose = :consent AND c.withdrawn_at IS NULL))""",
        target=target, version=version, step=step, rule=f"sent by {program.name}", arm=arm, consent=consent_of(definitions, target),
    )  # fmt: skip
    enroll(connection, now, 0)

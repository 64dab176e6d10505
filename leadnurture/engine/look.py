"""The look at leads that changed: score, track, stages, exits, goals, the threshold, pauses, enrolling, and the next look.

Everything that depends on what is known of a lead is judged here, once, for a chunk of leads in sets. Waves skip leads whose look
is due, so the order of evaluation (exit, goal, then the steps) holds without judging anything twice.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
)

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import Track
from leadnurture.engine.calendar import keep_calendar
from leadnurture.engine.current import current_definitions, first_step
from leadnurture.engine.handoffs import open_handoffs
from leadnurture.engine.look_statements import Pauses, Statements, counts_colleagues, statements_of
from leadnurture.engine.moves import end_enrollments, enroll, pause_enrollments, resume_enrollments
from leadnurture.engine.sql import run, sql, wake_leads
from leadnurture.errors import NotFoundError
from leadnurture.store import Database
from leadnurture.store.instants import from_micros
from leadnurture.store.tables import (
    UNTOLD,
    Handoff,
    Lead,
    Point,
)
from leadnurture.store.work import empty, work_end, work_enroll, work_handoff, work_lead

CHUNK: Final = 2_000
ACCOUNTS: Final = 1_000
"""Accounts whose people are told of each other at once."""
Expression = ColumnElement[Any]
lead: Final = Lead.__table__
point: Final = Point.__table__
handoff: Final = Handoff.__table__


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to."""

    leads: int = 0
    enrolled: int = 0
    ended: int = 0
    qualified: int = 0
    switched: int = 0

    def __add__(self, other: "Looked") -> "Looked":
        return Looked(
            self.leads + other.leads, self.enrolled + other.enrolled, self.ended + other.ended,
            self.qualified + other.qualified, self.switched + other.switched,
        )  # fmt: skip


def next_look(connection: Connection, track: Track) -> datetime | None:
    """When the next look at a lead of this track, or at the colleagues of an offered one, is due; probes of
    indexes.
    """
    earliest = connection.execute(
        sql("SELECT min(look_at) FROM lead WHERE look_at IS NOT NULL AND track = :track"), {"track": track}
    ).scalar()
    untold = connection.execute(
        sql("SELECT min(coalesce(decided_at, opened_at)) FROM handoff WHERE NOT is_told")
    ).scalar()
    engaged = None
    if _counts_colleagues(connection):
        engaged = connection.execute(sql(f"SELECT min(stage_since) FROM lead WHERE {UNTOLD}")).scalar()
    found = [moment for moment in (earliest, untold, engaged) if moment is not None]
    return from_micros(min(found)) if found else None


def _counts_colleagues(connection: Connection) -> bool:
    """Whether any condition counts the engaged people of an account; else nobody need be told of them."""
    try:
        return counts_colleagues(current_definitions(connection))
    except NotFoundError:  # nothing is applied yet
        return False


def look(
    database: Database, track: Track, now: datetime, *, seconds: float = 20.0, chunk: int = CHUNK
) -> Looked:
    """Looks at every lead of a track whose look is due, a chunk a transaction, for at most that many seconds of the machine.

    A constant number of statements per chunk and program, whatever its size. Safe to repeat, safe beside other workers.
    """
    until, total = time.monotonic() + seconds, Looked()
    keep_calendar(database, now)
    while True:
        database.run(lambda connection: tell_colleagues(connection, now))
        done = database.run(lambda connection: _chunk(connection, track, now, chunk))
        total += done
        if done.leads < chunk or time.monotonic() > until:
            return total


def tell_colleagues(connection: Connection, now: datetime) -> int:
    """Wakes the colleagues of leads whose offer to sales began or ended, or who became engaged. Locks accounts
    first, then leads, as everybody must.

    A pass of its own: whoever opens or decides a handoff, or changes a stage, holds a lead already and must not
    reach for its account.
    """
    untold = "SELECT l.account_id FROM handoff h JOIN lead l ON l.id = h.lead_id WHERE NOT h.is_told"
    counts = _counts_colleagues(connection)
    if counts:
        untold += f" UNION SELECT account_id FROM (SELECT account_id FROM lead WHERE {UNTOLD} LIMIT {ACCOUNTS}) AS some_"
    locked = "" if connection.dialect.name == "sqlite" else " FOR NO KEY UPDATE"
    accounts = connection.execute(sql(f"SELECT id FROM account WHERE id IN ({untold}) ORDER BY id{locked}"))
    ids = ", ".join(str(account) for account in accounts.scalars()) or "0"
    leads = (
        connection.execute(sql(f"SELECT id FROM lead WHERE account_id IN ({ids}) ORDER BY id{locked}"))
        .scalars()
        .all()
    )
    wake_leads(connection, leads, now)
    run(
        connection,
        f"""
        UPDATE handoff SET is_told = TRUE
         WHERE NOT is_told AND lead_id IN (SELECT id FROM lead WHERE account_id IS NULL OR account_id IN ({ids}))""",
    )
    if counts:
        run(
            connection,
            f"UPDATE lead SET told_engaged = NOT told_engaged WHERE account_id IN ({ids}) AND {UNTOLD}",
        )
    return len(leads)


def _chunk(connection: Connection, track: Track, now: datetime, chunk: int) -> Looked:
    definitions = current_definitions(connection)
    statements = statements_of(definitions, track)
    values = {"now": now, "chunk_size": chunk, "this_track": track}
    empty(connection, work_lead)
    leads = connection.execute(statements.claim, values).rowcount
    if not leads:
        return Looked()
    if (
        connection.dialect.name != "sqlite"
    ):  # there nobody else can have looked, and nothing is planned by numbers
        connection.execute(sql("ANALYZE work_lead"))
        connection.execute(statements.drop, values)
    connection.execute(statements.judge_track, values)
    switched = _switch(connection, track, now)
    for statement in (*statements.score, *statements.stages):
        connection.execute(statement, values)
    qualified = _offer(connection, definitions.agreement(track), now)
    ended = _end(connection, statements.ends, now)
    connection.execute(statements.count_goals, values)
    _pause(connection, statements.pauses, now)
    enrolled = _enroll(connection, definitions, track, statements, now)
    for statement in statements.close:
        connection.execute(statement, values)
    return Looked(leads, enrolled, ended, qualified, switched)


def _switch(connection: Connection, track: Track, now: datetime) -> int:
    """Who changes the track starts there at stage `new`, without points, in this transaction; nothing of the
    old track goes out. A seat he keeps: its mails come from the new one.
    """
    gone = "SELECT lead_id FROM work_lead WHERE is_switched"
    other = "clients" if track == "prospects" else "prospects"
    said = "became a client" if other == "clients" else "is no client any more"
    if connection.execute(sql("SELECT 1 FROM work_lead WHERE is_switched LIMIT 1")).first() is None:
        return 0
    empty(connection, work_end)
    run(
        connection,
        f"""
        INSERT INTO work_end (enrollment_id, lead_id, status, rule)
        SELECT id, lead_id, 'exited', :said FROM enrollment WHERE status IN ('active', 'paused') AND lead_id IN ({gone})""",
        said=said,
    )
    end_enrollments(connection, now)
    run(
        connection,
        f"UPDATE point SET ends_at = :now WHERE lead_id IN ({gone}) AND (ends_at IS NULL OR ends_at > :now)",
        now=now,
    )
    run(
        connection,
        f"UPDATE handoff SET status = 'withdrawn', decided_at = :now, note = :said, is_told = FALSE WHERE status = 'open' AND lead_id IN ({gone})",
        now=now,
        said=said,
    )
    run(
        connection,
        f"""
        UPDATE message SET track = :other WHERE status = 'planned' AND occasion IS NOT NULL AND lead_id IN ({gone})""",
        other=other,
    )
    run(
        connection,
        f"""
        INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, agreement)
        SELECT id, :other, stage, 'new', :now, :said, '' FROM lead WHERE id IN ({gone})""",
        other=other,
        now=now,
        said=said,
    )
    switched = run(
        connection,
        f"""
        UPDATE lead SET track = :other, stage = 'new', stage_since = :now, engagement = 0, look_at = :now,
               track_reaction_id = coalesce((SELECT max(r.id + 0) FROM reaction r WHERE r.lead_id = lead.id), 0)
         WHERE id IN ({gone})""",
        other=other,
        now=now,
    )
    run(connection, "DELETE FROM work_lead WHERE is_switched")
    return switched


def _offer(connection: Connection, agreement: Agreement, now: datetime) -> int:
    """Whoever is qualified and not yet offered is offered now: the threshold opens exactly one handoff."""
    empty(connection, work_handoff)
    over = run(
        connection,
        """
        INSERT INTO work_handoff (lead_id, reason)
        SELECT w.lead_id, :reason FROM work_lead w CROSS JOIN lead l WHERE l.id = w.lead_id AND l.stage = 'qualified'""",
        reason=f"crossed the threshold: {agreement.stage('qualified').when}",
    )
    return open_handoffs(connection, agreement, now) if over else 0


def _end(connection: Connection, ends: Sequence[Any], now: datetime) -> int:
    empty(connection, work_end)
    ending = sum(connection.execute(statement, {"now": now}).rowcount for statement in ends)
    return end_enrollments(connection, now) if ending else 0


def _pause(connection: Connection, pauses: Pauses, now: datetime) -> None:
    closed = "NOT EXISTS (SELECT 1 FROM handoff h WHERE h.lead_id = work_lead.lead_id AND h.status = 'open')"
    resume_enrollments(
        connection, f"SELECT lead_id FROM work_lead WHERE {closed}", now, "handoff", "the offer was withdrawn"
    )
    if pauses.rule is None:
        return
    connection.execute(pauses.mark, {"now": now})
    pause_enrollments(
        connection,
        "SELECT lead_id FROM work_lead WHERE is_switched",
        now,
        "agreement",
        f"pause {pauses.rule}",
    )
    resume_enrollments(
        connection,
        f"SELECT lead_id FROM work_lead WHERE NOT is_switched AND {closed}",
        now,
        "agreement",
        f"no longer {pauses.rule}",
    )


def _enroll(
    connection: Connection, definitions: Definitions, track: Track, statements: Statements, now: datetime
) -> int:
    empty(connection, work_enroll)
    candidates = 0
    for program, statement in statements.enters:
        version, step = first_step(connection, program)
        candidates += connection.execute(
            statement, {"now": now, "first_version": version, "first_step": step}
        ).rowcount
    if not candidates:
        return 0
    return enroll(connection, now, definitions.agreement(track).at_once)

"""Watches what sales owes: a reminder to whoever has the lead, then word to whom the agreement names.

Both are notice rows, decided once, and only while the handoff is open: who has decided is left alone.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from leadnurture import engine
from leadnurture.domain.definitions import Definitions
from leadnurture.sales import people, tasks
from leadnurture.sales.decided import HANDOFF, IS_OPEN, IS_PLANNED, NOTICE, NoticeKind, decide_notices
from leadnurture.store import Database
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
WATCHED: Final[tuple[tuple[NoticeKind, str], ...]] = (("reminder", "remind_at"), ("escalation", "due_at"))


def watch_sla(database: Database, now: datetime) -> int:
    """How many reminders and escalations were decided. Safe to repeat. A dozen statements at most."""
    with database.read() as connection:
        first = next_sla(connection)
    if first is None or first > now:
        return 0
    return database.run(partial(_watch, now=now))


def next_sla(connection: Connection) -> datetime | None:
    """The earliest instant at which `assign_handoffs`, `assign_tasks` or `watch_sla` has something to do.

    Three statements.
    """
    waits = select(func.min(HANDOFF.c.opened_at)).where(IS_OPEN, HANDOFF.c.assigned_to.is_(None))
    definitions = engine.current_definitions(connection)
    questions = [waits, *(_earliest(kind, column, definitions) for kind, column in WATCHED)]
    answers = connection.execute(select(*(question.scalar_subquery() for question in questions))).one()
    found = [*answers, tasks.next_task(connection)]
    return min((answer for answer in found if answer is not None), default=None)


def count_owed(connection: Connection, now: datetime) -> int:
    """How many leads there is something to do about for any of them, and for `send_notices`."""
    definitions = engine.current_definitions(connection)
    late = [and_(*_untold(kind, definitions), HANDOFF.c[column] <= now) for kind, column in WATCHED]
    unassigned = and_(IS_OPEN, HANDOFF.c.assigned_to.is_(None))
    offered = select(HANDOFF.c.lead_id).where(or_(unassigned, *late))
    to_tell = select(NOTICE.c.lead_id).where(IS_PLANNED)
    leads = offered.union(to_tell, *tasks.waiting_leads()).subquery()
    return connection.scalar(select(func.count()).select_from(leads)) or 0


def _earliest(kind: NoticeKind, column: str, definitions: Definitions) -> Select[tuple[datetime]]:
    return select(func.min(HANDOFF.c[column])).where(*_untold(kind, definitions))


def _untold(kind: NoticeKind, definitions: Definitions) -> tuple[ColumnElement[bool], ...]:
    """Handoffs of which nobody was told so far; an escalation only where the agreement names somebody."""
    told = exists().where(NOTICE.c.handoff_id == HANDOFF.c.id, NOTICE.c.kind == kind)
    tracks = [
        each.track
        for each in definitions.agreements
        if kind == "reminder" or each.stage("handed_off").escalate
    ]
    return IS_OPEN, HANDOFF.c.assigned_to.is_not(None), HANDOFF.c.track.in_(tracks), ~told


def _watch(connection: Connection, now: datetime) -> int:
    definitions = engine.current_definitions(connection)
    told = 0
    for kind, column in WATCHED:
        due = (*_untold(kind, definitions), HANDOFF.c[column] <= now)
        engine.lock_leads(connection, sorted(connection.scalars(select(HANDOFF.c.lead_id).where(*due))))
        handoffs = connection.execute(_with_owner().where(*due)).all()
        told += decide_notices(connection, kind, _to_tell(kind, handoffs, definitions, now), now)
    return told


def _with_owner() -> Select[Any]:
    return (
        select(HANDOFF.c.id, HANDOFF.c.track, HANDOFF.c.assigned_to, ACCOUNT.c.owner)
        .join(LEAD, LEAD.c.id == HANDOFF.c.lead_id)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
    )


def _to_tell(
    kind: NoticeKind, handoffs: Sequence[Row[Any]], definitions: Definitions, now: datetime
) -> dict[int, str]:
    if kind == "reminder":
        return {row.id: row.assigned_to for row in handoffs}
    company = definitions.company
    told = {}
    for row in handoffs:
        agreement = definitions.agreement(row.track)
        meant = people.meant_by(company, agreement.stage("handed_off").escalate or "", row.owner)
        there = people.those_there(meant, company, now)
        told[row.id] = (there[0] if there else people.last_resort(company, agreement, now)).id
    return told

"""Gives tasks and notices to people, asks for facts that are missing (D4), ends tasks that nobody waits for.

As with handoffs, whom a role means is thought out on a read-only connection; the write transaction stores it
for what still waits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    String,
    Table,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from leadnurture import engine
from leadnurture.definitions import dump_ask
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.asking import Ask, ask_for
from leadnurture.domain.company import Company
from leadnurture.domain.definitions import Definitions
from leadnurture.sales import people
from leadnurture.sales.decided import NOTICE, TASK
from leadnurture.store import Database
from leadnurture.store.instants import Instant
from leadnurture.store.tables import metadata

ALMOST: Final = metadata.tables["almost_qualified"]
LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
CHUNK: Final = 200
# Literals instead of parameters: only so do the partial indexes on these rows serve.
IS_OPEN: Final = TASK.c.status == literal_column("'open'")
IS_NOBODYS: Final = IS_OPEN & TASK.c.person.is_(None)
IS_UNTOLD: Final[ColumnElement[bool]] = literal_column("NOT almost_qualified.is_told", Boolean)
IS_FOR_NOBODY: Final = (NOTICE.c.status == literal_column("'planned'")) & NOTICE.c.person.is_(None)


def next_task(connection: Connection) -> datetime | None:
    """The earliest instant at which `assign_tasks` has something to do. One statement, by partial indexes."""
    questions = (
        select(func.min(TASK.c.opened_at)).where(IS_NOBODYS),
        select(func.min(NOTICE.c.planned_at)).where(IS_FOR_NOBODY),
        select(func.min(ALMOST.c.since_at)).where(IS_UNTOLD),
    )
    answers = connection.execute(select(*(question.scalar_subquery() for question in questions))).one()
    return min((answer for answer in answers if answer is not None), default=None)


def waiting_leads() -> tuple[Select[tuple[int]], ...]:
    """The leads about whom `assign_tasks` has something to do, as questions to be united."""
    return (
        select(TASK.c.lead_id).where(IS_NOBODYS),
        select(NOTICE.c.lead_id).where(IS_FOR_NOBODY),
        select(ALMOST.c.lead_id).where(IS_UNTOLD),
    )


def assign_tasks(database: Database, now: datetime) -> int:
    """How many tasks and notices got their person. Safe to repeat; leaves none without one.

    A dozen statements a chunk of 200, whatever the tasks.
    """
    with database.read() as connection:
        first = next_task(connection)
    if first is None or first > now:
        return 0
    database.run(partial(_withdraw, now=now))
    while database.run(partial(_ask_for_missing, now=now)):
        pass
    return _assign(database, now)


def _withdraw(connection: Connection, now: datetime) -> None:
    """Nobody waits for the answer any more: the enrollment has ended, or the facts have come."""
    unwanted = update(TASK).where(IS_OPEN, ~engine.waits_for_task())
    connection.execute(unwanted.values(status="withdrawn", closed_at=now))


def _ask_for_missing(connection: Connection, now: datetime) -> int:
    """A task for the owner of the stage about each lead that has just become almost qualified."""
    definitions = engine.current_definitions(connection)
    untold = select(ALMOST.c.lead_id).where(IS_UNTOLD).order_by(ALMOST.c.since_at).limit(CHUNK)
    leads = connection.scalars(untold).all()
    if not leads:
        return 0
    engine.lock_leads(connection, leads)
    for agreement in definitions.agreements:
        connection.execute(_asking(agreement, definitions, leads, now))
    here = ALMOST.c.lead_id.in_(leads)
    connection.execute(update(ALMOST).where(here).values(is_told=True))
    return len(leads)


def _asking(agreement: Agreement, definitions: Definitions, leads: Sequence[int], now: datetime) -> Insert:
    """The owner of the stage answers for the threshold: it is for him to find out what is missing."""
    ask = needed(agreement, definitions.company)
    owner = agreement.stage("qualified").owner or dict(agreement.agreed).get("marketing")
    open_already = exists().where(TASK.c.lead_id == ALMOST.c.lead_id, TASK.c.enrollment_id.is_(None), IS_OPEN)
    values = {
        "lead_id": ALMOST.c.lead_id,
        "text": literal_column("'Find out what is missing: '") + ALMOST.c.missing,
        "wanted": _text(owner),
        "ask": _text(dump_ask(ask) if ask else None),
        "status": literal_column("'open'"),
        "opened_at": literal(now, Instant),
    }
    rows = (
        select(*values.values())
        .join_from(ALMOST, LEAD, LEAD.c.id == ALMOST.c.lead_id)
        .where(ALMOST.c.lead_id.in_(leads), IS_UNTOLD, LEAD.c.track == agreement.track, ~open_already)
    )
    return insert(TASK).from_select(list(values), rows)


def needed(agreement: Agreement, company: Company) -> Ask | None:
    """Questions for all that the stages of a track need, as far as it can be asked for."""
    needs = dict.fromkeys((*agreement.stage("engaged").needs, *agreement.stage("qualified").needs))
    return ask_for(needs, company.facts)


def _text(value: str | None) -> ColumnElement[str]:
    return cast(literal(value, String), String)


def _assign(database: Database, now: datetime) -> int:
    assigned = 0
    while True:
        with database.read() as connection:
            definitions = engine.current_definitions(connection)
            tasks = _receivers(connection, TASK, IS_NOBODYS, definitions, now)
            notices = _receivers(connection, NOTICE, IS_FOR_NOBODY, definitions, now)
        if not tasks and not notices:
            return assigned
        assigned += database.run(partial(_store, tasks=tasks, notices=notices, now=now))


def _receivers(
    connection: Connection, table: Table, waits: ColumnElement[bool], definitions: Definitions, now: datetime
) -> Mapping[int, str]:
    """Whom the rows of a table mean, by their ids: whoever is there of the wanted, else the last resort."""
    question: Select[Any] = (
        select(table.c.id, table.c.wanted, LEAD.c.track, ACCOUNT.c.owner)
        .join_from(table, LEAD, LEAD.c.id == table.c.lead_id)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .where(waits)
        .order_by(table.c.id)
        .limit(CHUNK)
    )
    return {row.id: _receiver(row, definitions, now) for row in connection.execute(question)}


def _receiver(row: Row[Any], definitions: Definitions, now: datetime) -> str:
    company = definitions.company
    there = people.those_there(people.meant_by(company, row.wanted or "", row.owner), company, now)
    return (there[0] if there else people.last_resort(company, definitions.agreement(row.track), now)).id


def _store(
    connection: Connection, tasks: Mapping[int, str], notices: Mapping[int, str], now: datetime
) -> int:
    """Stores whom both are for, unless another worker has; each task is told once."""
    told = _give(connection, NOTICE, IS_FOR_NOBODY, notices)
    if not _give(connection, TASK, IS_NOBODYS, tasks):
        return told
    known = exists().where(NOTICE.c.task_id == TASK.c.id)
    values = {
        "lead_id": TASK.c.lead_id,
        "task_id": TASK.c.id,
        "kind": literal_column("'task'"),
        "person": TASK.c.person,
        "status": literal_column("'planned'"),
        "planned_at": literal(now, Instant),
        "attempts": literal_column("0"),
    }
    rows = select(*values.values()).where(TASK.c.id.in_(tasks), IS_OPEN, ~known)
    return told + connection.execute(insert(NOTICE).from_select(list(values), rows)).rowcount


def _give(
    connection: Connection, table: Table, waits: ColumnElement[bool], receivers: Mapping[int, str]
) -> int:
    if not receivers:
        return 0
    person = case(dict(receivers), value=table.c.id)
    given = update(table).where(table.c.id.in_(receivers), waits).values(person=person)
    return connection.execute(given).rowcount

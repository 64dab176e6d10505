from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update

from leadnurture.sales import assign_handoffs, count_owed, next_sla, watch_sla
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import HOUR, NOW, add_handoff, add_lead, apply, sample_company

HANDOFF = metadata.tables["handoff"]
NOTICE = metadata.tables["notice"]
SECOND = timedelta(seconds=1)


def one_assigned(database: Database) -> None:
    with database.write() as connection:
        add_handoff(connection, add_lead(connection, country="AT"))
    assign_handoffs(database, NOW)


def told(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.execute(select(NOTICE.c.kind, NOTICE.c.person).order_by(NOTICE.c.id))
        return [(row.kind, row.person) for row in rows]


def owed(database: Database, now: datetime = NOW) -> int:
    with database.read() as connection:
        return count_owed(connection, now)


def due_next(database: Database) -> object:
    with database.read() as connection:
        return next_sla(connection)


def test_whoever_has_the_lead_is_reminded_then_the_agreement_names_who_is_told(database: Database) -> None:
    apply(database)
    one_assigned(database)
    assert due_next(database) == NOW + 2 * HOUR
    assert watch_sla(database, NOW + 2 * HOUR - SECOND) == 0
    assert watch_sla(database, NOW + 2 * HOUR) == 1
    assert due_next(database) == NOW + 4 * HOUR
    assert watch_sla(database, NOW + 4 * HOUR) == 1
    assert told(database) == [("handoff", "lena"), ("reminder", "lena"), ("escalation", "viktor")]
    assert due_next(database) is None


def test_a_lead_is_counted_while_somebody_is_to_get_it_or_to_be_told(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        add_handoff(connection, add_lead(connection, country="AT"))
    assert owed(database) == 1
    assign_handoffs(database, NOW)
    assert owed(database) == 1
    with database.write() as connection:
        connection.execute(update(NOTICE).values(status="sent"))
    assert [owed(database, NOW + hours * HOUR) for hours in (0, 2, 5)] == [0, 1, 1]
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="accepted"))
    assert owed(database, NOW + 5 * HOUR) == 0


def test_each_is_decided_once_however_often_it_is_watched(database: Database) -> None:
    apply(database)
    one_assigned(database)
    assert [watch_sla(database, NOW + 5 * HOUR) for _ in range(3)] == [2, 0, 0]


def test_a_decided_handoff_reminds_nobody(database: Database) -> None:
    apply(database)
    one_assigned(database)
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="accepted"))
    assert due_next(database) is None
    assert watch_sla(database, NOW + 5 * HOUR) == 0


def test_without_anybody_to_tell_a_missed_deadline_is_not_due_for_ever(database: Database) -> None:
    sample = sample_company()
    prospects = sample.agreement("prospects")
    stages = tuple(replace(stage, escalate=None) for stage in prospects.stages)
    apply(
        database, replace(sample, agreements=(replace(prospects, stages=stages), sample.agreement("clients")))
    )
    one_assigned(database)
    assert watch_sla(database, NOW + 5 * HOUR) == 1
    assert due_next(database) is None


def test_somebody_absent_is_not_who_is_told(database: Database) -> None:
    sample = sample_company()
    prospects = sample.agreement("prospects")
    stages = tuple(replace(stage, escalate="marc" if stage.escalate else None) for stage in prospects.stages)
    apply(
        database, replace(sample, agreements=(replace(prospects, stages=stages), sample.agreement("clients")))
    )
    with database.write() as connection:
        add_handoff(connection, add_lead(connection), assigned_to="viktor", due_at=NOW)
    christmas = NOW + timedelta(days=20)
    assert watch_sla(database, christmas) == 1
    assert told(database) == [("escalation", "lena")]

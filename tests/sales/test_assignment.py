from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier, Thread

from sqlalchemy import select, update

from leadnurture.sales import assign_handoffs, next_sla
from leadnurture.store import Database, open_database
from leadnurture.store.tables import metadata
from tests.profile.rows import (
    DAY,
    HOUR,
    NOW,
    add_account,
    add_handoff,
    add_lead,
    apply,
    count_statements,
    sample_company,
)

HANDOFF = metadata.tables["handoff"]
NOTICE = metadata.tables["notice"]
CHRISTMAS = datetime(2026, 12, 28, 9, 0, tzinfo=UTC)


def hand_off(
    database: Database, *, owner: str | None = None, wanted: str | None = None, **lead: object
) -> int:
    """An open handoff of a new lead of an account of his own."""
    with database.write() as connection:
        count = len(connection.execute(select(metadata.tables["lead"].c.id)).all())
        account_id = add_account(connection, f"Account {count}", owner=owner)
        lead_id = add_lead(connection, f"Lead Number{count}", account_id=account_id, **lead)
        return add_handoff(connection, lead_id, wanted=wanted, track=lead.get("track", "prospects"))


def assigned(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(HANDOFF.c.assigned_to).order_by(HANDOFF.c.id)))


def test_the_first_true_route_wins(database: Database) -> None:
    apply(database)
    hand_off(database, owner="viktor", country="AT")
    hand_off(database, country="AT")
    hand_off(database, country="DE")
    assert assign_handoffs(database, NOW) == 3
    assert assigned(database) == ["viktor", "lena", "marc"]


def test_people_get_handoffs_in_turn_over_several_runs(database: Database) -> None:
    apply(database)
    for _ in range(3):
        hand_off(database)
        hand_off(database)
        assign_handoffs(database, NOW)
    assert assigned(database) == ["lena", "marc", "marc", "lena", "marc", "marc"]


def test_more_than_one_chunk_is_assigned_fairly(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        for number in range(450):
            add_handoff(connection, add_lead(connection, f"Lead Number{number}"))
    assert assign_handoffs(database, NOW) == 450
    assert Counter(assigned(database)) == {"lena": 150, "marc": 300}


def test_the_program_may_ask_for_a_person_or_a_role(database: Database) -> None:
    apply(database)
    hand_off(database, wanted="nora")
    hand_off(database, wanted="account manager", owner="paul")
    hand_off(database, wanted="account manager")
    hand_off(database, wanted="sales")
    assign_handoffs(database, NOW)
    assert assigned(database) == ["nora", "paul", "lena", "marc"]


def test_an_absent_owner_is_represented_by_the_deputy(database: Database) -> None:
    apply(database)
    hand_off(database, owner="marc")
    assign_handoffs(database, CHRISTMAS)
    assert assigned(database) == ["lena"]


def test_an_owner_who_left_falls_through_to_the_sales_lead(database: Database) -> None:
    apply(database)
    hand_off(database, owner="gone")
    assign_handoffs(database, NOW)
    assert assigned(database) == ["viktor"]


def test_a_track_without_routing_leaves_nothing_to_nobody(database: Database) -> None:
    sample = sample_company()
    bare = replace(sample.agreement("prospects"), routing=())
    apply(database, replace(sample, agreements=(bare, sample.agreement("clients"))))
    hand_off(database)
    assign_handoffs(database, NOW)
    assert assigned(database) == ["viktor"]


def test_the_deadline_counts_the_hours_of_whoever_got_the_lead(database: Database) -> None:
    apply(database)
    hand_off(database)
    assign_handoffs(database, NOW + 6 * HOUR)  # 15:00 in Vienna
    with database.read() as connection:
        row = connection.execute(select(HANDOFF)).one()
    assert row.remind_at == NOW + 8 * HOUR
    assert row.due_at == NOW + DAY + 2 * HOUR


def test_a_client_is_routed_and_owed_by_the_agreement_of_clients(database: Database) -> None:
    apply(database)
    hand_off(database, track="clients", owner="nora")
    assign_handoffs(database, NOW)
    with database.read() as connection:
        row = connection.execute(select(HANDOFF)).one()
    assert (row.assigned_to, row.due_at) == ("nora", NOW + DAY + 8 * HOUR)


def test_its_notice_is_decided_once(database: Database) -> None:
    apply(database)
    handoff_id = hand_off(database)
    assert assign_handoffs(database, NOW) == 1
    assert assign_handoffs(database, NOW + HOUR) == 0
    with database.read() as connection:
        notices = connection.execute(select(NOTICE)).all()
    assert [(row.handoff_id, row.kind, row.person, row.status) for row in notices] == [
        (handoff_id, "handoff", "lena", "planned")
    ]


def test_a_decided_handoff_is_left_alone(database: Database) -> None:
    apply(database)
    hand_off(database)
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="withdrawn"))
        assert next_sla(connection) is None
    assert assign_handoffs(database, NOW) == 0
    assert assigned(database) == [None]


def test_the_next_instant_is_at_once_while_a_handoff_waits_for_somebody(database: Database) -> None:
    apply(database)
    hand_off(database)
    with database.read() as connection:
        assert next_sla(connection) == NOW


def test_two_workers_assign_each_handoff_once(postgres_url: str) -> None:
    first, second = open_database(postgres_url), open_database(postgres_url)
    apply(first)
    for _ in range(20):
        hand_off(first)
    barrier, done = Barrier(2), []

    def work(database: Database) -> None:
        barrier.wait()
        done.append(assign_handoffs(database, NOW))

    threads = [Thread(target=work, args=[database]) for database in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 20
    with first.read() as connection:
        assert len(connection.execute(select(NOTICE)).all()) == 20
    first.dispose()
    second.dispose()


def test_the_number_of_statements_does_not_grow(database: Database) -> None:
    apply(database)

    def assign(count: int) -> int:
        with database.write() as connection:
            for number in range(count):
                account_id = add_account(connection, f"Account {count} {number}")
                add_handoff(
                    connection, add_lead(connection, f"Lead Number{count}-{number}", account_id=account_id)
                )
        return count_statements(database, lambda: assign_handoffs(database, NOW))

    assign(1)
    assert assign(2) == assign(100)

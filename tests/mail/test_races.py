"""What races on PostgreSQL, stepped: two connections, one of which waits for the other."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, select, text

from leadnurture.engine import NewReaction, Settled, lock_leads, record_in, settle_messages
from leadnurture.mail import deliver
from leadnurture.mail.claim import Claimed, claim, reserve
from leadnurture.mail.freeze import Freezer
from leadnurture.store import Database, open_database
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, Scene
from tests.mail.seats import STARTS, Seats

UNTIL = MACHINE + timedelta(minutes=5)


@pytest.fixture
def race(postgres_url: str) -> Iterator[Scene]:
    """The company on PostgreSQL."""
    database = open_database(postgres_url)
    scene = Scene(database)
    scene.apply()
    yield scene
    database.dispose()


class Claiming(threading.Thread):
    """Claims what is reserved, in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.claimed = Claimed()
        with database.write() as connection:
            self._picks = reserve(connection, "me", NOW, MACHINE, UNTIL, 10)
        self._freezer = Freezer(LINKS)
        with database.read() as connection:
            self._freezer.load(connection)

    def run(self) -> None:
        """Waits for the leads' locks, if need be."""
        with self._database.write() as connection:
            self.claimed = claim(connection, "me", self._picks, self._freezer, NOW, UNTIL)


def wait_until_blocked(scene: Scene) -> None:
    """Returns once a connection waits for a lock."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with scene.database.read() as connection:
            if connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
                return
    pytest.fail("nobody waits")


def test_nothing_is_claimed_once_an_unsubscribe_has_committed(race: Scene) -> None:
    lead_id = race.lead(1)
    message_id = race.message(lead_id)
    claiming = Claiming(race.database)
    with race.database.write() as connection:
        lock_leads(connection, [lead_id])
        record_in(connection, [NewReaction("unsubscribed", "u", "web", lead_id=lead_id)], NOW)
        claiming.start()
        wait_until_blocked(race)
    claiming.join()
    assert claiming.claimed.mails == ()
    assert race.row("message", message_id).status == "cancelled"


CLONES = {
    "lead": {"id": "id + g", "email": "'lead' || g + 1", "email_key": "'lead' || g + 1"},
    "consent": {"lead_id": "lead_id + g"},
    "enrollment": {"id": "id + g", "lead_id": "lead_id + g", "message_id": "message_id + g"},
    "message": {"id": "id + g", "lead_id": "lead_id + g", "enrollment_id": "enrollment_id + g"},
}


def crowd(scene: Scene, size: int) -> list[int]:
    """So many leads, each with a mail that is due; their ids."""
    first = scene.lead(1)
    scene.message(first)
    with scene.database.write() as connection:
        for table, changed in CLONES.items():
            names = [column.name for column in scene.tables[table].columns]
            values = ", ".join(changed.get(name, name) for name in names)
            rows = f"SELECT {values} FROM {table}, generate_series(1, {size - 1}) AS g"  # noqa: S608 - our own words
            connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) {rows}"))
    return list(range(first, first + size))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_mails_race_the_unsubscribes_of_half_of_their_readers(race: Scene) -> None:
    leads = crowd(race, 10_000)
    leaving = random.Random(2026).sample(leads, 5_000)
    provider = Kept()
    messages = race.tables["message"]
    too_late: set[int] = set()
    """Mails that nobody had claimed at the commit of the unsubscribe: the lead is locked meanwhile."""

    def leave(connection: Connection, ids: list[int]) -> set[int]:
        lock_leads(connection, sorted(ids))
        record_in(
            connection, [NewReaction("unsubscribed", f"u{one}", "web", lead_id=one) for one in ids], NOW
        )
        unclaimed = select(messages.c.id).where(messages.c.lead_id.in_(ids), messages.c.attempt == 0)
        return set(connection.scalars(unclaimed))

    def send() -> None:
        while deliver(race.database, provider, LINKS, NOW, machine_now=MACHINE, limit=500).sent:
            pass

    with ThreadPoolExecutor(2) as senders:
        sending = [senders.submit(send) for _ in range(2)]
        for start in range(0, len(leaving), 10):
            too_late |= race.database.run(partial(leave, ids=leaving[start : start + 10]))
        for one in sending:
            one.result()
    sent = provider.ids
    assert len(sent) == len(set(sent))
    assert too_late.isdisjoint(sent)
    assert len(too_late) > 500
    assert len(sent) > 5_000
    assert len(sent) + len(too_late) == len(leads)


READ = text("""
    SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
     WHERE relname IN ('message', 'enrollment', 'lead')""")


def test_a_claim_reads_its_own_mails_among_many_that_are_due(race: Scene) -> None:
    """On tables that PostgreSQL knows no numbers of, as in the first minute of a company."""
    crowd(race, 20_000)
    freezer = Freezer(LINKS)
    read = []
    for _ in range(3):
        with race.database.write() as connection:
            freezer.load(connection)
            before = connection.execute(READ).scalar_one()
            picks = reserve(connection, "me", NOW, MACHINE, UNTIL, 20)
            claimed = claim(connection, "me", picks, freezer, NOW, UNTIL)
            outcomes = [Settled(mail.message_id, "sent") for mail in claimed.mails]
            assert settle_messages(connection, outcomes, NOW) == 20
            read.append(connection.execute(READ).scalar_one() - before)
    assert max(read) < 1_000, read


def test_an_unsubscribe_that_is_told_by_its_row_alone_is_seen_too(race: Scene) -> None:
    lead_id = race.lead(1)
    message_id = race.message(lead_id)
    claiming = Claiming(race.database)
    with race.database.write() as connection:
        lock_leads(connection, [lead_id])
        connection.execute(
            race.tables["suppression"]
            .insert()
            .values(email_key="lead1@example.org", reason="unsubscribed", at=NOW)
        )
        claiming.start()
        wait_until_blocked(race)
    claiming.join()
    assert (claiming.claimed.mails, claiming.claimed.refused) == ((), 1)
    assert race.row("message", message_id).status == "cancelled"


def test_who_becomes_a_client_while_a_mail_is_claimed_gets_none(race: Scene) -> None:
    lead_id = race.lead(1)
    race.message(lead_id)
    claiming = Claiming(race.database)
    with race.database.write() as connection:
        lock_leads(connection, [lead_id])
        connection.execute(race.tables["lead"].update().values(track="clients"))
        claiming.start()
        wait_until_blocked(race)
    claiming.join()
    assert (claiming.claimed.mails, claiming.claimed.refused) == ((), 1)


def test_a_change_that_awaits_its_look_comes_before_the_claim(race: Scene) -> None:
    lead_id = race.lead(1)
    message_id = race.message(lead_id)
    claiming = Claiming(race.database)
    with race.database.write() as connection:
        lock_leads(connection, [lead_id])
        connection.execute(race.tables["lead"].update().values(look_at=NOW))
        claiming.start()
        wait_until_blocked(race)
    claiming.join()
    message = race.row("message", message_id)
    assert (claiming.claimed.mails, message.status, message.lease_owner) == ((), "planned", None)


def test_two_claims_of_one_message_make_one_mail(race: Scene) -> None:
    lead_id = race.lead(1)
    race.message(lead_id)
    first = Claiming(race.database)
    with race.database.write() as connection:
        mine = claim(connection, "me", [*first._picks], first._freezer, NOW, UNTIL)
        first.start()
        wait_until_blocked(race)
    first.join()
    assert (len(mine.mails), len(first.claimed.mails)) == (1, 0)


def test_reserving_steps_over_what_another_worker_reserves(race: Scene) -> None:
    for number in range(4):
        race.message(race.lead(number))
    with race.database.write() as one:
        first = reserve(one, "one", NOW, MACHINE, UNTIL, 2)
        with race.database.write() as other:
            second = reserve(other, "other", NOW, MACHINE, UNTIL, 10)
    assert (len(first), len(second), set(first) & set(second)) == (2, 2, set())


# Seats


def register(scene: Scene, lead_id: int, key: str) -> None:
    """In a transaction of its own."""
    told = [NewReaction("registered", key, "web", lead_id=lead_id, content="talk", session="january")]
    scene.database.run(lambda connection: record_in(connection, told, NOW))
    scene.change("lead", lead_id, look_at=None)


def test_who_registers_while_the_date_is_changed_is_reminded_of_the_new_one(race: Scene) -> None:
    seats = Seats(race)
    seats.apply(STARTS)
    lead_id = race.lead(1)
    told = [NewReaction("registered", "r", "web", lead_id=lead_id, content="talk", session="january")]
    applying = threading.Thread(target=lambda: seats.apply(STARTS + timedelta(days=7)))
    with race.database.write() as connection:
        record_in(connection, told, NOW)
        applying.start()
        wait_until_blocked(race)
    applying.join()
    begins_at = datetime(2027, 1, 26, 9, tzinfo=UTC)
    assert seats.planned() == {
        "confirmation": NOW,
        "reminder/1 day/1": begins_at - timedelta(days=1),
        "reminder/1 hour/1": begins_at - timedelta(hours=1),
    }


def test_who_is_just_being_told_the_old_date_is_told_the_new_one_after_it(race: Scene) -> None:
    seats = Seats(race)
    seats.apply(STARTS)
    lead_id = race.lead(1)
    register(race, lead_id, "r")
    claiming = Claiming(race.database)
    applying = threading.Thread(target=lambda: seats.apply(STARTS + timedelta(days=7)))
    with race.database.write() as connection:
        claimed = claim(connection, "me", claiming._picks, claiming._freezer, NOW, UNTIL)
        applying.start()
        wait_until_blocked(race)
    applying.join()
    assert len(claimed.mails) == 1
    assert set(seats.planned()) == {"moved/1", "reminder/1 day/1", "reminder/1 hour/1"}


def test_two_who_tell_of_one_seat_at_once_plan_one_confirmation(race: Scene) -> None:
    seats = Seats(race)
    seats.apply(STARTS)
    lead_id = race.lead(1)
    told = [NewReaction("registered", "a", "web", lead_id=lead_id, content="talk", session="january")]
    other = threading.Thread(target=lambda: register(race, lead_id, "b"))
    with race.database.write() as connection:
        record_in(connection, told, NOW)
        other.start()
        wait_until_blocked(race)
    other.join()
    assert len(seats.rows()) == 3

"""Races on PostgreSQL, two connections stepped against each other; and the turn of writers on SQLite.

A worker is stopped inside of a transaction, before a statement of its own or between two rows of one
statement, while somebody else commits. SQLite could not show any of it: there every writer waits.
"""

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import Connection, event, text

from leadnurture.engine import (
    LeadInput,
    NewReaction,
    begin_wave,
    finish_wave,
    judge,
    look,
    next_look,
    record_in,
    record_reactions,
    revise_click,
    run_step,
)
from leadnurture.links import Links
from leadnurture.mail import deliver
from leadnurture.store import Database, open_database
from tests.engine import test_clicks as clicks
from tests.engine.driver import MACHINE, Company, define
from tests.mail.providers import Kept

Result = TypeVar("Result")
NOW: Final = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
PATIENCE: Final = 20.0
"""Seconds of the machine until a test that waits in vain fails."""
GATE: Final = 4711
OFFERED: Final = "UPDATE lead SET stage = 'handed_off'"
"""The statement behind the one that opens handoffs."""
LINKS: Final = Links("a secret of the tests", "https://news.example.com")
SERIES: Final = """
title: A series
owner: dana
enter: tag("series")
goal: stage >= "qualified"
on:
  replied: call
steps:
  first:
    after: 2 hours
  ask:
    on:
      submitted("yes"): seat
    after: 5 days
    then:
      - go: rest
  seat:
    after: 30 days
    then:
      - go: end
  rest:
    after: 30 days
    then:
      - go: end
  call:
    handoff: Replied
"""
LETTERS: Final = """
title: Letters
owner: dana
enter: tag("letters")
steps:
  write:
    send: letter
    after: 5 days
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
pause: account.open_handoff
fit:
  role == "head": 50
engagement:
  points:
    submitted("yes"): 30
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 40 and engagement >= 30}
routing: [{to: [lena]}]
"""
FILES: Final = {
    "prospects/track": AGREEMENT,
    "prospects/programs/series": SERIES,
    "prospects/programs/letters": LETTERS,
    "content/letter": "kind: email\ntitle: {en: A letter}\n",
}


@dataclass
class Stop:
    """Where a worker stands still: `reached` when it is there, until `go`."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@contextmanager
def stopped_before(database: Database, words: str) -> Iterator[Stop]:
    """The next statement of this database that holds these words waits until it may go on."""
    stop = Stop()

    def wait(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if words in " ".join(statement.split()) and not stop.reached.is_set():
            stop.reached.set()
            assert stop.go.wait(PATIENCE)

    event.listen(database.engine, "before_cursor_execute", wait)
    try:
        yield stop
    finally:
        stop.go.set()
        event.remove(database.engine, "before_cursor_execute", wait)


@pytest.fixture
def worker(postgres_url: str) -> Iterator[Database]:
    """Somebody who runs waves, looks and deliveries, with connections of his own."""
    opened = open_database(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture
def hook(postgres_url: str) -> Iterator[Database]:
    """Somebody else, who records what comes in."""
    opened = open_database(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def company(worker: Database, tmp_path: Path) -> Company:
    return Company(worker, define(tmp_path, FILES), NOW)


def until(holds: Callable[[], bool]) -> None:
    """Polls; each poll asks the server, which is what gives the others time."""
    for _ in range(int(PATIENCE * 100)):
        if holds():
            return
    pytest.fail("waited in vain")


def waits_for_a_lock(database: Database, how_many: int = 1) -> bool:
    """Whether so many connections of the database wait for a lock that others hold."""
    with database.read() as connection:
        connection.execute(text("SELECT pg_sleep(0.01)"))
        waiting = connection.execute(
            text("""
                SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'""")
        ).scalar_one()
    return int(waiting) >= how_many


def submitted(lead: int, key: str) -> NewReaction:
    return NewReaction("submitted", key, "test", lead_id=lead, argument="yes")


def series(company: Company, *names: str, **told: Any) -> list[int]:  # noqa: ANN401 - fields of LeadInput
    """Leads who wait at the step `ask` for five days."""
    leads = [company.lead(name, tags=["series"], **told) for name in names]
    company.settle()
    company.advance(hours=2)
    assert {company.enrollment(lead)["step"] for lead in leads} == {"ask"}
    return leads


def run(company: Company, database: Database, step: str, chunk: int = 5_000) -> int:
    """A worker runs one step of the series in the wave that has begun."""
    wave = company.rows("SELECT wave FROM program WHERE name = 'series'")[0]["wave"]
    return run_step(database, "series", step, wave, company.now, chunk=chunk).moved


def begin(company: Company, database: Database) -> None:
    """A wave begins; its lease is given back at once, so that nobody waits for it."""
    begun = begin_wave(database, "series", "somebody", company.now, MACHINE)
    assert begun is not None
    finish_wave(database, begun, [], "somebody", 0)


@contextmanager
def gate_between_rows(worker: Database, other: Database) -> Iterator[None]:
    """The claim of the worker's next chunk stands still behind its first row.

    Its snapshot is taken by then, and the other rows are not locked yet.
    """
    with worker.write() as connection:
        connection.execute(
            text(f"""
                CREATE FUNCTION pg_temp.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$""")
        )
        connection.execute(
            text("""
                CREATE TRIGGER gate BEFORE INSERT ON work_step
                   FOR EACH ROW EXECUTE FUNCTION pg_temp.wait_at_the_gate()""")
        )
    with other.engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({GATE})"))
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({GATE})"))


# A wave and a reaction


def test_a_reaction_that_commits_while_a_chunk_is_being_locked_is_seen(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    """The chunk's snapshot is older than the reaction, its lock is younger."""
    ann, ben = series(company, "ann", "ben")
    company.sleep(days=6)
    begin(company, worker)
    with gate_between_rows(worker, hook):
        wave = threads.submit(run, company, worker, "ask")
        until(lambda: waits_for_a_lock(hook))
        record_reactions(hook, [submitted(ben, "b1")], company.now)
    wave.result(PATIENCE)
    company.settle()
    assert company.enrollment(ann)["step"] == "rest"
    assert company.enrollment(ben)["step"] == "seat"


def test_what_another_worker_moved_while_a_chunk_is_being_locked_is_dropped(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, ben = series(company, "ann", "ben")
    company.sleep(days=6)
    begin(company, worker)
    with gate_between_rows(worker, hook):
        wave = threads.submit(run, company, worker, "ask")
        until(lambda: waits_for_a_lock(hook))
        assert run(company, hook, "ask") == 1
    assert wave.result(PATIENCE) == 1
    for lead in (ann, ben):
        assert company.journey(lead)[2:] == ["ask → rest: then"]


def test_a_reaction_waits_for_the_wave_that_judges_its_lead_and_is_judged_by_the_next(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    (ann,) = series(company, "ann")
    company.sleep(days=6)
    begin(company, worker)
    with stopped_before(worker, "INSERT INTO transition") as stop:
        wave = threads.submit(run, company, worker, "ask")
        assert stop.reached.wait(PATIENCE)
        told = threads.submit(
            record_reactions, hook, [NewReaction("replied", "a1", "test", lead_id=ann)], company.now
        )
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert (wave.result(PATIENCE), told.result(PATIENCE).recorded) == (1, 1)
    company.settle()
    assert company.journey(ann)[2:4] == ["ask → rest: then", "rest → call: on replied (program)"]


def test_a_reaction_that_commits_while_he_arrives_where_it_is_listened_to_wakes_him(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    """It finds no step that listens, and the wave cannot see it: without the lock he would sleep for days."""
    ann = company.lead("ann", tags=["series"])
    company.settle()
    company.sleep(hours=3)
    begin(company, worker)
    assert run(company, worker, "first") == 1
    with stopped_before(worker, "UPDATE enrollment SET") as stop:
        wave = threads.submit(run, company, worker, "ask")
        assert stop.reached.wait(PATIENCE)
        told = threads.submit(record_reactions, hook, [submitted(ann, "a1")], company.now)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        wave.result(PATIENCE)
        told.result(PATIENCE)
    assert company.enrollment(ann)["step"] == "ask"
    company.settle()
    assert company.enrollment(ann)["step"] == "seat"


def test_a_wave_leaves_a_lead_alone_about_whom_something_is_being_recorded(
    company: Company, worker: Database, hook: Database
) -> None:
    ann, ben = series(company, "ann", "ben")
    company.sleep(days=6)
    begin(company, worker)
    with hook.write() as connection:
        record_in(connection, [submitted(ann, "a1")], company.now)
        assert run(company, worker, "ask") == 1
    company.settle()
    assert (company.enrollment(ann)["step"], company.enrollment(ben)["step"]) == ("seat", "rest")


def test_a_click_that_wakes_him_does_not_end_the_silence_early(company: Company) -> None:
    (ann,) = series(company, "ann")
    before = company.enrollment(ann)
    company.react(ann, "clicked")
    company.advance(minutes=10)
    after = company.enrollment(ann)
    assert (after["step"], after["deadline_at"]) == ("ask", before["deadline_at"])
    assert after["due_at"] == after["deadline_at"]


# Judging beside all others


@pytest.fixture
def readers(worker: Database, tmp_path: Path) -> Company:
    """Letters with links, as the tests of clicks have them."""
    return Company(worker, define(tmp_path, clicks.FILES), clicks.BEGIN)


def test_judging_leaves_a_lead_alone_whom_a_wave_judges_and_comes_back_to_him(
    readers: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, ben = clicks.mailed(readers, "ann", "ben")
    readers.sleep(days=7)
    clicks.click(readers, ben, 0)
    readers.sleep(minutes=5)
    with stopped_before(worker, "INSERT INTO transition") as stop:
        wave = threads.submit(readers.wave, "letters")
        assert stop.reached.wait(PATIENCE)
        assert judge(hook, readers.now).clicks == 0
        stop.go.set()
        wave.result(PATIENCE)
    assert judge(hook, readers.now).persons == 1
    readers.settle()
    assert readers.enrollment(ann)["step"] == "reminder"
    assert readers.enrollment(ben)["step"] == "liked"


def test_two_who_judge_at_once_count_a_click_once(
    readers: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    leads = clicks.mailed(readers, "ann", "ben", "cem")
    for lead in leads:
        clicks.click(readers, lead)
    readers.sleep(hours=1)
    with stopped_before(worker, "UPDATE click SET judgement") as stop:
        first = threads.submit(judge, worker, readers.now, chunk=2)
        assert stop.reached.wait(PATIENCE)
        assert judge(hook, readers.now).persons == 1
        stop.go.set()
        assert first.result(PATIENCE).persons == 2
    assert len(readers.rows("SELECT * FROM reaction")) == len(readers.rows("SELECT * FROM point")) == 3


def test_a_mail_is_not_claimed_while_the_click_behind_it_is_taken_back(
    readers: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    (ann,) = clicks.mailed(readers, "ann")
    number = clicks.click(readers, ann)
    readers.advance(hours=2)
    assert readers.messages(ann)[1]["status"] == "planned"
    readers.sleep(days=4)
    with stopped_before(worker, "UPDATE message SET status = 'cancelled'") as stop:
        taking = threads.submit(revise_click, worker, number, "machine", "dana", readers.now)
        assert stop.reached.wait(PATIENCE)
        sending = threads.submit(deliver, hook, Kept(), LINKS, readers.now, machine_now=MACHINE)
        until(lambda: waits_for_a_lock(hook) or sending.done())
        stop.go.set()
        assert taking.result(PATIENCE).went_back == 1
        assert sending.result(PATIENCE).sent == 0
    assert [mail["status"] for mail in readers.messages(ann)] == ["sent", "cancelled"]


def test_a_mail_that_is_claimed_first_keeps_him_in_the_branch(
    readers: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    (ann,) = clicks.mailed(readers, "ann")
    number = clicks.click(readers, ann)
    readers.advance(hours=2)
    readers.sleep(days=4)
    with stopped_before(hook, "UPDATE message SET status = 'sending'") as stop:
        sending = threads.submit(deliver, hook, Kept(), LINKS, readers.now, machine_now=MACHINE)
        if not stop.reached.wait(PATIENCE):
            pytest.fail("nothing was claimed")
        taking = threads.submit(revise_click, worker, number, "machine", "dana", readers.now)
        until(lambda: waits_for_a_lock(worker))
        stop.go.set()
        assert sending.result(PATIENCE).sent == 1
        assert taking.result(PATIENCE).went_back == 0
    assert readers.enrollment(ann)["step"] == "liked"
    assert readers.rows("SELECT * FROM point") == []


# A claim and an unsubscribe


def unsubscribed(lead: int) -> NewReaction:
    return NewReaction("unsubscribed", f"u{lead}", "test", lead_id=lead)


def send(company: Company, database: Database, kept: Kept) -> int:
    return deliver(database, kept, LINKS, company.now, machine_now=MACHINE, parallel=1).sent


def test_nothing_is_claimed_once_an_unsubscribe_has_committed(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann = company.lead("ann", tags=["letters"])
    company.look()
    company.wave()
    kept = Kept()
    with stopped_before(worker, "FROM lead WHERE id = ANY") as stop:
        delivery = threads.submit(send, company, worker, kept)
        assert stop.reached.wait(PATIENCE)
        with hook.write() as connection:
            record_in(connection, [unsubscribed(ann)], company.now)
            stop.go.set()
            until(lambda: waits_for_a_lock(hook))
    assert delivery.result(PATIENCE) == 0
    assert kept.mails == []
    assert [mail["status"] for mail in company.messages(ann)] == ["cancelled"]


def test_an_unsubscribe_waits_for_the_claim_that_came_first(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann = company.lead("ann", tags=["letters"])
    company.look()
    company.wave()
    kept = Kept()
    with stopped_before(worker, "INSERT INTO work_claim") as stop:
        delivery = threads.submit(send, company, worker, kept)
        assert stop.reached.wait(PATIENCE)
        told = threads.submit(record_reactions, hook, [unsubscribed(ann)], company.now)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert (delivery.result(PATIENCE), told.result(PATIENCE).recorded) == (1, 1)
    company.settle()
    assert [mail["status"] for mail in company.messages(ann)] == ["sent"]
    assert company.enrollment(ann)["status"] == "undeliverable"


# Colleagues of one account


def test_colleagues_who_cross_at_once_are_each_offered_once(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, ben = series(company, "ann", "ben", account="Acme", role="head")
    record_reactions(hook, [submitted(ann, "a1")], company.now)
    with stopped_before(worker, OFFERED) as stop:
        first = threads.submit(look, worker, "prospects", company.now)
        assert stop.reached.wait(PATIENCE)
        record_reactions(hook, [submitted(ben, "b1")], company.now)
        second = look(hook, "prospects", company.now)
        stop.go.set()
        assert (first.result(PATIENCE).qualified, second.qualified) == (1, 1)
    company.settle()
    offers = company.rows("SELECT lead_id, count(*) AS offers FROM handoff GROUP BY lead_id ORDER BY lead_id")
    assert offers == [{"lead_id": ann, "offers": 1}, {"lead_id": ben, "offers": 1}]
    assert {company.enrollment(lead)["pause"] for lead in (ann, ben)} == {"handoff"}


def test_a_colleague_who_is_looked_at_before_an_offer_commits_pauses_nevertheless(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    """His look cannot see the offer; the account's own pass tells him afterwards."""
    ann, eve = series(company, "ann", "eve", account="Acme", role="head")
    record_reactions(hook, [submitted(ann, "a1")], company.now)
    with stopped_before(worker, OFFERED) as stop:
        first = threads.submit(look, worker, "prospects", company.now)
        assert stop.reached.wait(PATIENCE)
        record_reactions(hook, [NewReaction("visited", "e1", "test", lead_id=eve)], company.now)
        assert look(hook, "prospects", company.now).leads == 1
        stop.go.set()
        assert first.result(PATIENCE).qualified == 1
    assert company.enrollment(eve)["status"] == "active"
    company.settle()
    assert (company.enrollment(eve)["status"], company.enrollment(eve)["pause"]) == ("paused", "agreement")


# Many at once


def test_hooks_in_arrival_order_and_waves_do_not_deadlock(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    leads = crowd(company, 1_000)
    company.settle()
    chance = random.Random(1)
    batches = [
        [
            NewReaction(
                "submitted", f"{batch}-{place}", "hook", lead_id=chance.choice(leads), argument=str(place % 7)
            )
            for place in range(1_000)
        ]
        for batch in range(8)
    ]
    company.sleep(hours=3)
    is_over = threading.Event()

    def waves() -> int:
        moved = 0
        while not is_over.is_set():
            look(worker, "prospects", company.now)
            begin_wave(worker, "series", "somebody", company.now, MACHINE)
            moved += sum(run(company, worker, step, 100) for step in ("first", "ask", "seat"))
        return moved

    moving = threads.submit(waves)
    telling = [threads.submit(record_reactions, hook, batch, company.now) for batch in batches]
    recorded = [one.result(3 * PATIENCE).recorded for one in telling]
    is_over.set()
    moving.result(PATIENCE)
    deadlocks = company.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    # One natural key a second: a thing told twice of one lead is one thing.
    stored = company.rows("SELECT count(*) AS told FROM reaction")[0]["told"]
    assert (sum(recorded), deadlocks) == (stored, [{"deadlocks": 0}])


def crowd(company: Company, size: int) -> list[int]:
    names = [f"lead{place}" for place in range(size)]
    leads = [
        LeadInput(f"{name}@{name}.example", tags=["series"], consents=[("marketing", None, "form", "")])
        for name in names
    ]
    return list(company.leads(*leads))


def test_a_worker_that_stands_still_neither_blocks_nor_robs_the_others(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    crowd(company, 300)
    company.settle()
    company.sleep(hours=3)
    begin(company, worker)
    with stopped_before(worker, "INSERT INTO transition") as stop:
        slow = threads.submit(run, company, worker, "first", 100)
        assert stop.reached.wait(PATIENCE)
        others = [threads.submit(run, company, hook, "first", 50) for _ in range(2)]
        assert sum(other.result(PATIENCE) for other in others) == 200
        stop.go.set()
        assert slow.result(PATIENCE) == 100
    moves = company.rows(
        "SELECT count(*) AS moves FROM transition WHERE to_step = 'ask' GROUP BY enrollment_id"
    )
    assert [move["moves"] for move in moves] == [1] * 300


# What wakes a look


def test_a_change_that_commits_behind_a_later_look_is_looked_at(
    company: Company, worker: Database, hook: Database
) -> None:
    """A watermark would have passed it: its instant is before the look's, its commit behind."""
    ann, ben = series(company, "ann", "ben")
    early, late = company.now, company.now + timedelta(minutes=5)
    with hook.write() as connection:
        record_in(connection, [submitted(ann, "a1")], early)
        record_reactions(worker, [submitted(ben, "b1")], late)
        assert look(worker, "prospects", late).leads == 1
    with worker.read() as connection:
        assert next_look(connection, "prospects") == early
    company.now = late
    company.settle()
    assert company.enrollment(ann)["step"] == company.enrollment(ben)["step"] == "seat"


def test_two_who_tell_of_one_lead_wait_for_each_other_and_the_earlier_instant_holds(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    (ann,) = series(company, "ann")
    later = company.now + timedelta(minutes=5)
    with hook.write() as connection:
        record_in(connection, [submitted(ann, "a1")], later)
        other = threads.submit(record_reactions, worker, [submitted(ann, "a2")], company.now)
        until(lambda: waits_for_a_lock(hook))
    other.result(PATIENCE)
    with worker.read() as connection:
        assert next_look(connection, "prospects") == company.now


def isolation(connection: Connection) -> str:
    return str(connection.execute(text("SHOW transaction_isolation")).scalar_one())


def test_the_isolation_is_read_committed_whatever_the_server_prefers(postgres_url: str) -> None:
    first = open_database(postgres_url)
    name = first.url.database
    with first.write() as connection:
        connection.execute(
            text(f"""ALTER DATABASE "{name}" SET default_transaction_isolation = 'serializable'""")
        )
    first.dispose()
    second = open_database(postgres_url)
    try:
        with second.write() as connection:
            assert isolation(connection) == "read committed"
        with second.read() as connection:
            assert isolation(connection) == "read committed"
    finally:
        second.dispose()


# SQLite: who waits at the turnstile is next

BUSY: Final = """
import sys, time
from sqlalchemy import text
from leadnurture.store import open_database
database = open_database(sys.argv[1])
print("ready", flush=True)
while True:
    with database.write() as connection:
        connection.execute(text("UPDATE clock SET now_at = now_at + 1"))
        time.sleep(0.05)
"""


def test_a_hook_waits_at_most_for_the_transaction_that_runs(sqlite_url: str) -> None:
    """A busy time-out alone would let a wave that writes back to back go first for seconds."""
    database = open_database(sqlite_url)
    with database.write() as connection:
        connection.execute(text("INSERT INTO clock (id, now_at) VALUES (1, 0)"))
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, sqlite_url], stdout=subprocess.PIPE, text=True
    ) as busy:
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == "ready\n"
            passed = [_transactions_before_mine(database) for _ in range(10)]
        finally:
            busy.kill()
    database.dispose()
    # The one that ran when it was asked, and one that may have begun between the question and the turnstile.
    assert max(passed) <= 2, passed


def _transactions_before_mine(database: Database) -> int:
    count = text("SELECT now_at FROM clock")
    with database.read() as connection:
        before = connection.execute(count).scalar_one()
    with database.write() as connection:
        return int(connection.execute(count).scalar_one() - before)

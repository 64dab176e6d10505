"""A merge against everybody else, on PostgreSQL with two connections stepped against each other.

Whoever waits for the lead who goes finds the one who is kept, and nobody writes to a lead who is not there.
Whoever waits while one becomes two again finds the one whose it is then.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import insert

from leadnurture.engine import (
    Choice,
    LeadInput,
    NewReaction,
    NewReply,
    RawClick,
    add_note,
    begin_wave,
    choose_preferences,
    decide_handoff,
    finish_wave,
    import_leads,
    keep_click,
    keep_reply,
    merge_leads,
    record_reactions,
    revise_click,
    run_step,
    sort_reply,
    undo_merge,
)
from leadnurture.mail import deliver
from leadnurture.store import Database
from leadnurture.store.tables import Inbox
from tests.engine.driver import MACHINE, Company, define
from tests.engine.people import FILES
from tests.engine.test_races import (
    LINKS,
    PATIENCE,
    hook,
    stopped_before,
    threads,
    until,
    waits_for_a_lock,
    worker,
)
from tests.mail.providers import Kept

__all__ = ["hook", "threads", "worker"]
NOW: Final = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
DELETES: Final = "DELETE FROM lead WHERE"
"""The statement of a merge by which the other goes; by then it holds all locks and has moved everything."""


@pytest.fixture
def company(worker: Database, tmp_path: Path) -> Company:
    return Company(worker, define(tmp_path, FILES), NOW)


def merge(company: Company, database: Database, kept: int, gone: int) -> int:
    return merge_leads(database, kept, gone, "dana", company.now).id


def wave(company: Company, database: Database) -> int:
    begun = begin_wave(database, "series", "test", company.now, MACHINE)
    assert begun is not None
    steps = [run_step(database, "series", step, begun.number, company.now) for step, _ in begun.steps]
    finish_wave(database, begun, steps, "test", 0)
    return sum(step.planned for step in steps)


def consistent(company: Company, kept: int) -> None:
    """All is the kept one's, and what hangs together belongs to one lead."""
    for table in ("enrollment", "message", "transition", "reaction", "handoff", "stage_change", "point"):
        rows = company.rows(f"SELECT DISTINCT lead_id FROM {table}")  # noqa: S608 - our own words
        assert {row["lead_id"] for row in rows} <= {kept}, table
    live = company.rows("SELECT program FROM enrollment WHERE status IN ('active', 'paused')")
    assert len({row["program"] for row in live}) == len(live)


def both(company: Company, **told: object) -> tuple[int, int]:
    ann, twin = (company.lead(name, tags=["series"], **told) for name in ("ann", "anna"))
    company.look()
    return ann, twin


def wants_no_mail(company: Company, database: Database) -> None:
    """An unsubscribe holds for both addresses, and nothing leaves."""
    assert len(company.rows("SELECT email_key FROM suppression WHERE reason = 'unsubscribed'")) == 2
    kept = Kept()
    deliver(database, kept, LINKS, company.now, machine_now=MACHINE, parallel=1)
    assert kept.mails == []


def test_a_merge_waits_for_the_wave_that_came_first(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    with stopped_before(worker, "INSERT INTO message") as stop:
        waving = threads.submit(wave, company, worker)
        assert stop.reached.wait(PATIENCE)
        merging = threads.submit(merge, company, hook, ann, twin)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert waving.result(PATIENCE) == 2
        merging.result(PATIENCE)
    consistent(company, ann)
    company.settle()
    consistent(company, ann)
    assert sorted(row["status"] for row in company.messages(ann)) == ["cancelled", "sent"]


def test_a_wave_leaves_out_whom_a_merge_has_in_hand(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    with stopped_before(hook, DELETES) as stop:
        merging = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        assert wave(company, worker) == 0
        stop.go.set()
        merging.result(PATIENCE)
    company.settle()
    consistent(company, ann)
    assert [row["status"] for row in company.messages(ann)] == ["sent"]


def test_an_unsubscribe_that_waits_for_a_merge_holds_for_the_one_who_is_kept(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    company.wave()
    told = NewReaction("unsubscribed", "1", "web", lead_id=twin)
    with stopped_before(hook, DELETES) as stop:
        merging = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        leaving = threads.submit(record_reactions, worker, [told], company.now)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        merging.result(PATIENCE)
        assert leaving.result(PATIENCE).recorded == 1
    consistent(company, ann)
    wants_no_mail(company, worker)


def test_a_merge_that_waits_for_an_unsubscribe_takes_it_along(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    company.wave()
    told = NewReaction("unsubscribed", "1", "web", lead_id=twin)
    with stopped_before(worker, "INSERT INTO suppression") as stop:
        leaving = threads.submit(record_reactions, worker, [told], company.now)
        assert stop.reached.wait(PATIENCE)
        merging = threads.submit(merge, company, hook, ann, twin)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        leaving.result(PATIENCE)
        merging.result(PATIENCE)
    wants_no_mail(company, worker)


def test_a_claim_that_waits_for_a_merge_sends_each_mail_once(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    company.wave()
    kept = Kept()

    def send() -> int:
        return deliver(worker, kept, LINKS, company.now, machine_now=MACHINE, parallel=1).sent

    with stopped_before(hook, DELETES) as stop:
        merging = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        sending = threads.submit(send)
        until(lambda: waits_for_a_lock(hook) or sending.done())
        stop.go.set()
        merging.result(PATIENCE)
        sending.result(PATIENCE)
    company.look()
    send()
    assert [mail.to for mail in kept.mails] == ["ann@ann.example"]
    consistent(company, ann)


def test_a_decision_that_waits_for_a_merge_is_about_the_one_who_is_kept(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company, role="head")
    company.settle()
    company.react(twin, "submitted", argument="yes")
    company.settle()
    offer = company.handoff(twin)
    with stopped_before(hook, DELETES) as stop:
        merging = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        deciding = threads.submit(decide_handoff, worker, offer, "accepted", "lena", company.now)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        merging.result(PATIENCE)
        assert deciding.result(PATIENCE).was_open
    assert company.rows("SELECT stage FROM lead") == [{"stage": "accepted"}]
    assert company.rows("SELECT id FROM enrollment WHERE status IN ('active', 'paused')") == []


def test_an_import_that_waits_for_a_merge_tells_the_one_who_is_kept(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    told = [LeadInput("anna@anna.example", last_name="Lee", tags=["late"])]
    with stopped_before(hook, DELETES) as stop:
        merging = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        importing = threads.submit(import_leads, worker, told, company.now, "test")
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        merging.result(PATIENCE)
        assert importing.result(PATIENCE).lead_ids == (ann,)
    assert company.rows("SELECT id, last_name FROM lead") == [{"id": ann, "last_name": "Lee"}]


def test_of_two_merges_of_the_same_pair_one_wins(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    ann, twin = both(company)
    with stopped_before(hook, DELETES) as stop:
        one = threads.submit(merge, company, hook, ann, twin)
        assert stop.reached.wait(PATIENCE)
        other = threads.submit(merge, company, worker, twin, ann)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        one.result(PATIENCE)
        assert "already" in str(other.exception(PATIENCE))
    assert company.rows("SELECT id FROM lead") == [{"id": ann}]


def offered(company: Company, lead: int) -> int:
    company.react(lead, "submitted", argument="yes")
    company.settle()
    return company.handoff(lead)


def replied(company: Company, lead: int) -> int:
    """A reply to a mail of his that nobody has sorted; its number."""
    mail = company.mail(lead, "write")
    post = {"source": "inbound", "body": b"", "received_at": company.now, "status": "done"}
    with company.database.write() as connection:
        inbox_id = connection.execute(insert(Inbox).values(post).returning(Inbox.__table__.c.id)).scalar_one()
        reply = NewReply(inbox_id, lead, mail, "token", company.now, "anna@anna.example", "Hello", "Yes")
        keep_reply(connection, reply, company.now)
    return int(company.rows("SELECT max(id) AS id FROM reply")[0]["id"])


def clicked(company: Company, lead: int) -> int:
    raw = RawClick(company.mail(lead, "write"), "https://example.com", "GET", "Firefox", "192.0.2.0", "ask-1")
    keep_click(company.database, raw, company.now)
    return int(company.rows("SELECT max(id) AS id FROM click")[0]["id"])


def mailed(company: Company, lead: int) -> int:
    return company.mail(lead, "write")


def numbered(_: Company, lead: int) -> int:
    return lead


Act = Callable[[Database, int, datetime], object]
ACTS: Final[dict[str, tuple[Callable[[Company, int], int], Act, str]]] = {
    "a decision": (
        offered,
        lambda database, offer, now: decide_handoff(database, offer, "accepted", "lena", now),
        "SELECT id AS lead_id FROM lead WHERE stage = 'accepted'",
    ),
    "a reply sorted": (
        replied,
        lambda database, reply, now: sort_reply(database, reply, "unsubscribe", "dana", now),
        "SELECT lead_id FROM reaction WHERE kind = 'unsubscribed'",
    ),
    "a click judged": (
        clicked,
        lambda database, click, now: revise_click(database, click, "person", "dana", now),
        "SELECT lead_id FROM click_revision",
    ),
    "a reaction to a mail": (
        mailed,
        lambda database, mail, now: record_reactions(
            database, [NewReaction("unsubscribed", "1", "web", message_id=mail)], now
        ),
        "SELECT lead_id FROM reaction WHERE kind = 'unsubscribed'",
    ),
    "a reaction of a number": (
        numbered,
        lambda database, lead, now: record_reactions(
            database, [NewReaction("unsubscribed", "1", "web", lead_id=lead)], now
        ),
        "SELECT lead_id FROM reaction WHERE kind = 'unsubscribed'",
    ),
    "a note": (
        numbered,
        lambda database, lead, now: add_note(database, lead, "He called.", "dana", now),
        "SELECT lead_id FROM lead_note",
    ),
    "an import": (
        numbered,
        lambda database, _, now: import_leads(
            database, [LeadInput("anna@anna.example", tags=["late"])], now, "test"
        ),
        "SELECT lead_id FROM lead_tag WHERE tag = 'late'",
    ),
    "a choice": (
        numbered,
        lambda database, lead, now: choose_preferences(
            database, lead, Choice(frozenset(), mails=1), "lead", now
        ),
        "SELECT lead_id FROM preference",
    ),
}


@pytest.mark.parametrize("about", ACTS)
def test_what_waits_for_an_undoing_is_about_whoever_it_belongs_to_then(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor, about: str
) -> None:
    prepare, act, changed = ACTS[about]
    ann, twin = both(company, role="head")
    company.settle()
    number = prepare(company, twin)
    merged = merge(company, company.database, ann, twin)
    with stopped_before(hook, "INSERT INTO audit") as stop:
        undoing = threads.submit(undo_merge, hook, merged, "dana", company.now)
        assert stop.reached.wait(PATIENCE)
        acting = threads.submit(act, worker, number, company.now)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        undoing.result(PATIENCE)
        acting.result(PATIENCE)
    assert company.rows(changed) == [{"lead_id": twin}]

"""Answers that meet each other, or an unsubscribe, on PostgreSQL: the lead's row decides who is first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from leadnurture.engine import Answered, Given, NewReaction, answer, record_reactions
from leadnurture.store import Database
from tests.engine.driver import Company, define
from tests.engine.test_asking import FILES, called, page, reactions, welcomed
from tests.engine.test_races import hook, stopped_before, threads, until, waits_for_a_lock, worker

__all__ = ["hook", "threads", "worker"]

MONDAY: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BEFORE_WRITING: Final = "INSERT INTO answer"


@pytest.fixture
def company(worker: Database, tmp_path: Path) -> Company:
    return Company(worker, define(tmp_path, FILES), MONDAY)


def test_of_two_answers_to_a_task_at_once_the_first_holds(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    lead, task = called(company)

    def do(database: Database, by: str, words: str) -> Answered:
        return answer(database, Given("feedback", words, by), company.now, task_id=task)

    with stopped_before(worker, BEFORE_WRITING) as stop:
        first = threads.submit(do, worker, "lena", "interested")
        assert stop.reached.wait(20)
        second = threads.submit(do, hook, "dana", "no")
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert (first.result().became, second.result().became) == ("taken", "known")
    assert reactions(company, lead) == [("feedback", "interested")]
    assert company.rows("SELECT answer, told_by FROM answer") == [{"answer": "interested", "told_by": "lena"}]


def test_the_same_answer_twice_at_once_is_one(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    lead, mail = welcomed(company)

    def press(database: Database) -> Answered:
        return answer(database, Given("interest", "scaling"), company.now, message_id=mail)

    with stopped_before(worker, BEFORE_WRITING) as stop:
        first = threads.submit(press, worker)
        assert stop.reached.wait(20)
        second = threads.submit(press, hook)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert (first.result().became, second.result().became) == ("taken", "known")
    assert reactions(company, lead) == [("submitted", "scaling")]


def test_a_yes_that_meets_an_unsubscribe_comes_too_late(
    company: Company, worker: Database, hook: Database, threads: ThreadPoolExecutor
) -> None:
    lead, mail = welcomed(company)
    leaves = NewReaction("unsubscribed", "leaves", "web", lead_id=lead)

    def press(database: Database) -> Answered:
        return answer(database, Given("consent", "yes", wording="Yes"), company.now, message_id=mail)

    with stopped_before(worker, "INSERT INTO suppression") as stop:
        gone = threads.submit(record_reactions, worker, [leaves], company.now)
        assert stop.reached.wait(20)
        yes = threads.submit(press, hook)
        until(lambda: waits_for_a_lock(hook))
        stop.go.set()
        assert (gone.result().recorded, yes.result().became) == (1, "unsubscribed")
    assert company.rows("SELECT * FROM consent") == []
    assert [one.name for one in page(company, mail).left] == ["interest", "budget_on", "team"]

"""What people of ours tell of a lead: noted with their name, and an answer steers like any reaction."""

from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from leadnurture.engine import Feedback, add_note, feedback_answers, record_feedback
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database
from tests.engine.driver import Company, define
from tests.engine.test_races import NOW

PROGRAM: Final = """
title: A letter
owner: dana
enter: tag("letters")
steps:
  write:
    send: letter
    on:
      feedback("call me"): call
    after: 30 days
    then:
      - go: end
  call:
    handoff: Asked for it
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
engagement: {points: {feedback("keen"): 40}}
routing: [{to: [lena]}]
"""
FILES: Final = {
    "prospects/track": AGREEMENT,
    "prospects/programs/letters": PROGRAM,
    "content/letter": "kind: email\ntitle: {en: A letter}\n",
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), NOW)


def rows(company: Company, statement: str) -> list[tuple[Any, ...]]:
    with company.database.read() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_what_a_lead_told_a_person_leads_on_the_step_that_asked(company: Company) -> None:
    ann = company.lead("ann", tags=["letters"])
    company.settle()
    told = Feedback("call me", "on the phone", "form-00001", company.mail(ann, "write"), "She has the budget")
    assert record_feedback(company.database, ann, told, "lena", company.now, actor="lena@example.com")
    assert not record_feedback(company.database, ann, told, "lena", company.now)
    company.settle()
    assert rows(company, "SELECT status, reason FROM handoff") == [("open", "Asked for it")]
    assert rows(company, "SELECT kind, argument, source FROM reaction WHERE kind = 'feedback'") == [
        ("feedback", "call me", "person")
    ]
    noted = (
        'SELECT n."by", n.text, n.channel, r.kind FROM lead_note n JOIN reaction r ON r.id = n.reaction_id'
    )
    assert rows(company, noted) == [("lena", "She has the budget", "on the phone", "feedback")]
    assert rows(company, "SELECT actor, act, detail FROM audit") == [
        ("lena@example.com", "told what a lead said", "call me")
    ]


def test_an_answer_to_a_person_counts(company: Company) -> None:
    ann = company.lead("ann")
    record_feedback(company.database, ann, Feedback("keen", "by mail", "form-00001"), "dana", company.now)
    company.settle()
    assert rows(company, "SELECT engagement FROM lead") == [(40,)]


def test_a_note_steers_nothing(company: Company) -> None:
    ann = company.lead("ann")
    company.settle()
    add_note(company.database, ann, "Met at the fair", "dana", company.now)
    assert rows(company, 'SELECT lead_id, "by", text, reaction_id FROM lead_note') == [
        (ann, "dana", "Met at the fair", None)
    ]
    assert rows(company, "SELECT count(*) FROM reaction") == [(0,)]
    assert rows(company, "SELECT actor, act, subject FROM audit") == [
        ("dana", "noted something", f"lead {ann}")
    ]


def test_what_cannot_be_kept_is_refused(company: Company) -> None:
    ann, ben = company.lead("ann", tags=["letters"]), company.lead("ben")
    company.settle()
    his = Feedback("later", "by mail", "form-00001", company.mail(ann, "write"))
    for lead, told in ((ben, his), (999, his)):
        with pytest.raises(NotFoundError):
            record_feedback(company.database, lead, told, "dana", company.now)
    with pytest.raises(InvalidInputError):
        add_note(company.database, ann, "", "dana", company.now)
    with pytest.raises(InvalidInputError):
        record_feedback(company.database, ann, Feedback("", "by mail", "form-00002"), "dana", company.now)
    with pytest.raises(NotFoundError, match="There is no lead '999'"):
        add_note(company.database, 999, "Who?", "dana", company.now)
    assert rows(company, "SELECT count(*) FROM lead_note") == [(0,)]
    assert rows(company, "SELECT count(*) FROM audit") == [(0,)]


def test_the_answers_to_choose_from_are_those_that_do_something(company: Company) -> None:
    assert feedback_answers(company.definitions, "prospects") == (
        "keen", "call me", "interested", "later", "no"
    )  # fmt: skip

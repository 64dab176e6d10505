"""What is asked and answered: by leads on the pages of mails, by our people about tasks; who is told what."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import (
    Answered,
    Asking,
    Given,
    LeadInput,
    answer,
    asked_by_mail,
    asked_by_task,
    decide_handoff,
)
from leadnurture.engine.known import lock_accounts, set_known
from leadnurture.errors import InvalidInputError, NotFoundError, TooOldError
from leadnurture.store import Database
from leadnurture.store.instants import day_number
from tests.engine.driver import Company, define
from tests.engine.test_statements import asked

MONDAY: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WELCOME: Final = """
title: Welcome
owner: dana
enter: tag("welcome")
consent: none
steps:
  ask-him:
    send: hello
    on:
      submitted("scaling"): chosen
      consent("marketing"): known
    after: 1 week
    then:
      - tell: He is silent
        go: end
  chosen:
    tell: He chose
    to: lena
    on:
      consent("marketing"): known
    after: 1 week
    then:
      - go: end
  known:
    after: 1 week
"""
CALLS: Final = """
title: Calls
owner: dana
enter: tag("calls")
on:
  feedback("later"): later
steps:
  call:
    task: Ask what they use today
    to: lena
    ask: {feedback: [interested, later, no], budget_on: date}
    on:
      feedback("interested"): keen
      feedback("no"): {tell: He said no, go: end}
    after: 1 week
    otherwise: undone
    then:
      - go: silent
  silent:
    after: 1 week
    then:
      - go: end
  keen:
    after: 1 week
    then:
      - go: end
  undone:
    after: 1 week
    then:
      - go: end
  later:
    after: 1 week
"""
BOOKS: Final = """
title: Books
owner: dana
enter: tag("books")
steps:
  book:
    task: Send a book
    on: {feedback("done"): thanked}
    after: 1 week
    then: [{go: end}]
  thanked:
    after: 1 week
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
engagement:
  live: 90 days
  points:
    submitted("scaling"): 7
    feedback("interested"): 40
stages:
  engaged: {when: engagement > 0}
  qualified: {when: engagement >= 30, needs: [account.name, role, account.employees], owner: dana}
routing: [{to: [lena]}]
returns:
  no budget: {go: end, ask: {budget_on: date, account.employees: number}}
"""
FILES: Final = {
    "prospects/track": AGREEMENT,
    "prospects/programs/welcome": WELCOME,
    "prospects/programs/calls": CALLS,
    "prospects/programs/books": BOOKS,
    "content/hello": """
kind: email
title: {en: Hello}
ask: {interest: [scaling, security], budget_on: date, team: [small, large], consent: marketing}
""",
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), MONDAY)


def welcomed(company: Company, name: str = "ann", **told: Any) -> tuple[int, int]:  # noqa: ANN401 - fields of LeadInput
    """A lead who has got the mail that asks; his id and the mail's."""
    lead = company.lead(name, tags=["welcome"], **{"consents": [], **told})
    company.advance(hours=3)
    return lead, company.mail(lead, "ask-him")


def called(company: Company, name: str = "ann", tag: str = "calls", **told: Any) -> tuple[int, int]:  # noqa: ANN401 - as above
    """A lead about whom one of us has a task; his id and the task's."""
    lead = company.lead(name, tags=[tag], **told)
    company.settle()
    return lead, task_of(company, lead)


def task_of(company: Company, lead: int) -> int:
    rows = company.rows("SELECT max(id) AS id FROM task WHERE lead_id = :lead", lead=lead)
    return int(rows[0]["id"])


def say(company: Company, mail: int, name: str, words: str) -> Answered:
    """A lead answers on the page of a mail."""
    return answer(company.database, Given(name, words, wording="Yes, write"), company.now, message_id=mail)


def do(company: Company, task: int, name: str, words: str, by: str = "lena") -> Answered:
    """One of us answers a task."""
    return answer(company.database, Given(name, words, by), company.now, task_id=task)


def page(company: Company, mail: int) -> Asking:
    with company.database.read() as connection:
        asking = asked_by_mail(connection, mail, company.now)
    assert asking is not None
    return asking


def left(asking: Asking) -> list[str]:
    return [question.name for question in asking.left]


def reactions(company: Company, lead: int) -> list[tuple[str, str]]:
    rows = company.rows("SELECT kind, argument FROM reaction WHERE lead_id = :lead ORDER BY id", lead=lead)
    return [(row["kind"], row["argument"]) for row in rows]


def fact(company: Company, lead: int, name: str) -> dict[str, Any]:
    rows = company.rows(
        "SELECT * FROM lead_fact WHERE lead_id = :lead AND name = :name", lead=lead, name=name
    )
    return rows[0] if rows else {}


# A lead answers


def test_one_question_after_the_other_in_the_order_of_the_file(company: Company) -> None:
    lead, mail = welcomed(company)
    assert left(page(company, mail)) == ["interest", "budget_on", "team", "consent"]
    assert left(say(company, mail, "interest", "scaling").asking) == ["budget_on", "team", "consent"]
    assert left(say(company, mail, "budget_on", "2027-03-01").asking) == ["team", "consent"]
    assert left(say(company, mail, "team", "small").asking) == ["consent"]
    assert left(say(company, mail, "consent", "yes").asking) == []
    assert reactions(company, lead) == [
        ("submitted", "scaling"), ("submitted", "2027-03-01"), ("submitted", "small"), ("submitted", "yes"),
    ]  # fmt: skip
    rows = company.rows(
        "SELECT name, answer, told_by FROM answer WHERE lead_id = :lead ORDER BY id", lead=lead
    )
    assert [(row["name"], row["answer"], row["told_by"]) for row in rows] == [
        ("interest", "scaling", None), ("budget_on", "2027-03-01", None), ("team", "small", None),
        ("consent", "yes", None),
    ]  # fmt: skip


def test_an_answer_steers_scores_and_makes_an_interest(company: Company) -> None:
    lead, mail = welcomed(company)
    say(company, mail, "interest", "scaling")
    company.settle()
    assert company.enrollment(lead)["step"] == "chosen"
    assert company.rows("SELECT engagement FROM lead WHERE id = :lead", lead=lead) == [{"engagement": 7}]
    (interest,) = company.rows("SELECT * FROM interest WHERE lead_id = :lead", lead=lead)
    assert (interest["topic"], interest["subject"]) == ("scaling", "said")
    assert interest["ends_at"] - interest["begins_at"] == 90 * 86_400_000_000
    assert interest["reaction_id"] is not None


def test_a_known_fact_is_not_asked_for(company: Company) -> None:
    _, mail = welcomed(company, facts={"budget_on": date(2027, 5, 1)})
    assert left(page(company, mail)) == ["interest", "team", "consent"]


def test_a_fact_is_set_and_looked_at(company: Company) -> None:
    lead, mail = welcomed(company)
    say(company, mail, "budget_on", "2027-03-01")
    assert fact(company, lead, "budget_on")["number"] == day_number(date(2027, 3, 1))
    assert company.rows("SELECT id FROM lead WHERE id = :lead AND look_at <= :now", lead=lead)


def test_a_consent_keeps_its_proof(company: Company) -> None:
    lead, mail = welcomed(company)
    say(company, mail, "consent", "yes")
    (consent,) = company.rows("SELECT * FROM consent WHERE lead_id = :lead", lead=lead)
    assert (consent["purpose"], consent["wording"]) == ("marketing", "Yes, write")
    assert consent["source"] == f"page of mail {mail}"
    company.settle()
    assert company.enrollment(lead)["step"] == "known"


def test_a_consent_cannot_be_answered_anew_but_may_be_given_anew(company: Company) -> None:
    """As long as it holds there is nothing to ask; once it is withdrawn it is not known."""
    lead, mail = welcomed(company)
    for name, words in (("consent", "yes"), ("team", "small")):
        say(company, mail, name, words)
    assert [question.name for question in page(company, mail).changeable] == ["team"]
    assert say(company, mail, "consent", "yes").became == "known"
    assert left(page(company, mail)) == ["interest", "budget_on"]
    told = LeadInput("ann@ann.example", withdrawn=("marketing",))
    company.leads(told)
    assert left(page(company, mail)) == ["interest", "budget_on", "consent"]
    company.now += timedelta(hours=1)
    assert say(company, mail, "consent", "yes").became == "taken"
    (consent,) = company.rows("SELECT * FROM consent WHERE lead_id = :lead", lead=lead)
    assert consent["withdrawn_at"] is None


def test_a_mail_that_is_too_old_asks_nothing_and_takes_no_answer(company: Company) -> None:
    """Whichever door it comes by."""
    _, mail = welcomed(company)
    company.now += timedelta(days=181)
    with pytest.raises(TooOldError):
        page(company, mail)
    with pytest.raises(TooOldError):
        say(company, mail, "interest", "scaling")
    assert company.rows("SELECT * FROM answer") == []


def test_the_same_answer_again_changes_nothing(company: Company) -> None:
    lead, mail = welcomed(company)
    assert say(company, mail, "interest", "scaling").became == "taken"
    before = company.dump()
    assert say(company, mail, "interest", " scaling ").became == "known"
    assert (company.dump(), len(reactions(company, lead))) == (before, 1)


def test_whoever_answers_anew_is_taken_at_his_last_word(company: Company) -> None:
    lead, mail = welcomed(company)
    for words in ("2027-03-01", "2027-04-01", "2027-03-01"):
        company.now = company.now.replace(second=company.now.second + 1)
        assert say(company, mail, "budget_on", words).became == "taken"
    assert fact(company, lead, "budget_on")["number"] == day_number(date(2027, 3, 1))
    assert len(reactions(company, lead)) == 3


@pytest.mark.parametrize("kind", ["unsubscribed", "complained"])
def test_whoever_has_left_is_taken_at_everything_but_a_consent(company: Company, kind: ReactionKind) -> None:
    lead, mail = welcomed(company)
    company.react(lead, kind)
    assert left(page(company, mail)) == ["interest", "budget_on", "team"]
    assert say(company, mail, "consent", "yes").became == "unsubscribed"
    assert company.rows("SELECT * FROM consent WHERE lead_id = :lead", lead=lead) == []
    assert [told for told, _ in reactions(company, lead)] == [kind]
    assert say(company, mail, "budget_on", "2027-03-01").became == "taken"
    company.settle()
    assert company.enrollment(lead)["status"] == "undeliverable"


@pytest.mark.parametrize(("name", "words"), [
    ("interest", "gardening"), ("budget_on", "soon"), ("budget_on", "0001-01-01"), ("budget_on", ""),
    ("team", "x" * 500), ("consent", "no"), ("nothing", "yes"), ("", "done"), ("team", "small\x00"),
])  # fmt: skip
def test_an_answer_that_is_none_changes_nothing(company: Company, name: str, words: str) -> None:
    lead, mail = welcomed(company)
    if words == "small\x00":  # what nobody types is left out
        assert say(company, mail, name, words).became == "taken"
        return
    with pytest.raises(InvalidInputError):
        say(company, mail, name, words)
    assert company.rows("SELECT * FROM answer") == []
    assert reactions(company, lead) == []


def test_a_mail_or_task_that_there_is_not(company: Company) -> None:
    with pytest.raises(NotFoundError):
        say(company, 99, "interest", "scaling")
    with pytest.raises(NotFoundError):
        do(company, 99, "", "done")


# Tasks


def test_a_task_waits_for_one_of_us(company: Company) -> None:
    lead, task = called(company)
    (row,) = company.rows("SELECT * FROM task")
    assert (row["text"], row["wanted"], row["status"]) == ("Ask what they use today", "lena", "open")
    assert (row["program"], row["step"], row["visit"]) == ("calls", "call", 1)
    company.advance(days=2)
    assert company.enrollment(lead)["step"] == "call"
    do(company, task, "feedback", "interested")
    company.settle()
    assert company.enrollment(lead)["step"] == "keen"
    assert reactions(company, lead) == [("feedback", "interested")]
    (act,) = company.rows("SELECT actor, act, detail FROM audit")
    assert act == {"actor": "lena", "act": "answered", "detail": "feedback: interested"}


def test_silence_leads_on_and_a_late_answer_still_counts(company: Company) -> None:
    lead, task = called(company)
    company.advance(days=8)
    assert company.enrollment(lead)["step"] == "silent"
    do(company, task, "feedback", "later")
    company.settle()
    assert company.enrollment(lead)["step"] == "later"


def test_a_task_is_done_when_nothing_is_left_to_ask(company: Company) -> None:
    lead, task = called(company)
    done = do(company, task, "feedback", "later")
    assert left(done.asking) == ["budget_on"]
    assert company.rows("SELECT status FROM task") == [{"status": "open"}]
    do(company, task, "budget_on", "2027-03-01", by="dana")
    (row,) = company.rows("SELECT status, closed_by FROM task")
    assert row == {"status": "done", "closed_by": "dana"}
    assert fact(company, lead, "budget_on")["number"] == day_number(date(2027, 3, 1))
    told = company.rows("SELECT name, told_by FROM answer ORDER BY id")
    assert [(row["name"], row["told_by"]) for row in told] == [("feedback", "lena"), ("budget_on", "dana")]


def test_a_task_is_answered_once(company: Company) -> None:
    lead, task = called(company)
    do(company, task, "feedback", "no")
    assert do(company, task, "feedback", "interested", by="dana").became == "known"
    assert reactions(company, lead) == [("feedback", "no")]


def test_what_cannot_be_done_takes_otherwise(company: Company) -> None:
    lead, task = called(company)
    do(company, task, "", "refused")
    company.settle()
    assert company.enrollment(lead)["step"] == "undone"
    assert company.journey(lead)[-1] == "call → undone: otherwise (refused)"
    assert do(company, task, "feedback", "interested").became == "known"


def test_a_task_that_asks_nothing_is_done(company: Company) -> None:
    lead, task = called(company, tag="books")
    do(company, task, "", "done")
    company.settle()
    assert company.enrollment(lead)["step"] == "thanked"
    assert company.rows("SELECT status FROM task") == [{"status": "done"}]


def test_a_known_fact_is_not_asked_of_us_either(company: Company) -> None:
    _, task = called(company, facts={"budget_on": date(2027, 5, 1)})
    assert do(company, task, "feedback", "later").asking.left == ()
    assert company.rows("SELECT status FROM task") == [{"status": "done"}]


def test_a_step_is_asked_once_a_visit(company: Company) -> None:
    lead, _ = called(company)
    company.wave()
    assert len(company.rows("SELECT * FROM task")) == 1
    assert company.enrollment(lead)["visit"] == 1


# Notices of programs


def told(company: Company) -> list[tuple[str, str]]:
    rows = company.rows("SELECT text, wanted FROM notice WHERE kind = 'tell' ORDER BY id")
    return [(row["text"], row["wanted"]) for row in rows]


def test_a_step_tells_on_arrival_and_an_arm_when_it_is_taken(company: Company) -> None:
    _, mail = welcomed(company)
    assert told(company) == []
    say(company, mail, "interest", "scaling")
    company.settle()
    assert told(company) == [("He chose", "lena")]
    company.advance(days=3)
    assert len(told(company)) == 1


def test_without_a_name_the_owner_of_the_program_is_told(company: Company) -> None:
    welcomed(company)
    company.advance(days=10)
    assert told(company) == [("He is silent", "dana")]


def test_an_arm_of_on_tells_as_well(company: Company) -> None:
    _, task = called(company)
    do(company, task, "feedback", "no")
    company.settle()
    assert told(company) == [("He said no", "dana")]


# What sales tells with a return


def offered(company: Company, **facts: Any) -> int:  # noqa: ANN401 - values of facts
    lead = company.lead("ann", role="head", facts={"account.employees": 300, **facts})
    company.react(lead, "feedback", argument="interested")
    company.settle()
    assert company.handoff(lead)
    return lead


def give_back(company: Company, lead: int, **facts: str) -> None:
    decide_handoff(
        company.database,
        company.handoff(lead),
        "returned",
        "lena",
        company.now,
        reason="no budget",
        told=facts,
    )


def test_a_return_sets_the_facts_that_it_asks_for(company: Company) -> None:
    lead = offered(company)
    give_back(company, lead, **{"budget_on": "2027-03-01", "account.employees": "450", "plan": "big"})
    assert fact(company, lead, "budget_on")["number"] == day_number(date(2027, 3, 1))
    assert fact(company, lead, "plan") == {}
    assert company.rows("SELECT number FROM account_fact WHERE name = 'employees'") == [{"number": 450}]
    (act,) = company.rows("SELECT detail FROM audit WHERE act = 'handoff returned'")
    assert act["detail"].endswith("no budget, budget_on 2027-03-01, account.employees 450")


def test_what_sales_does_not_know_stays_unknown(company: Company) -> None:
    lead = offered(company)
    give_back(company, lead, budget_on="")
    assert fact(company, lead, "budget_on") == {}


def test_a_return_with_a_fact_that_is_none_decides_nothing(company: Company) -> None:
    lead = offered(company)
    with pytest.raises(InvalidInputError):
        give_back(company, lead, budget_on="next year")
    assert company.rows("SELECT status FROM handoff") == [{"status": "open"}]


# What it costs


def test_an_answer_costs_the_same_whatever_there_is(company: Company) -> None:
    def cost(mail: int) -> int:
        with asked(company.database) as statements:
            say(company, mail, "budget_on", "2027-03-01")
        return len(statements)

    _, first = welcomed(company, "first")
    cost(first)  # what is read once and kept
    _, second = welcomed(company, "second")
    few = cost(second)
    for place in range(30):
        _, mail = welcomed(company, f"other{place}")
        say(company, mail, "team", "small")
    assert cost(mail) == few


def test_who_is_asked_has_an_account_from_then_on(company: Company) -> None:
    lead = company.lead("ann", email="ann@gmail.com")
    company.react(lead, "feedback", argument="interested")
    company.settle()
    (almost,) = company.rows("SELECT * FROM almost_qualified")
    assert almost["missing"] == "account.name, role, account.employees"
    with company.database.write() as connection:
        lock_accounts(connection, [lead])
        set_known(connection, lead, "account.name", "Acme GmbH", company.now)
        set_known(connection, lead, "account.employees", 300, company.now)
        set_known(connection, lead, "role", "Head", company.now)
    company.settle()
    assert company.rows("SELECT name FROM account") == [{"name": "Acme GmbH"}]
    assert company.rows("SELECT role, stage FROM lead") == [{"role": "head", "stage": "handed_off"}]
    with company.database.read() as connection:
        assert asked_by_task(connection, 99) is None

"""People or machines: what is said of a click, what follows, and what is taken back when it was wrong."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from leadnurture.domain.clicks import AGENTS, SETTLE
from leadnurture.engine import (
    NewReaction,
    RawClick,
    compare_agreements,
    judge,
    keep_click,
    record_reactions,
    rescore,
    revise_click,
)
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database
from tests.engine.clicks import CHROME, HOUR, MACHINES, PERSONS, Ask
from tests.engine.driver import AGREEMENT, Company, define

BEGIN: Final = datetime(2026, 12, 14, 9, 0, tzinfo=UTC)
FILES: Final = {
    "content/one": "kind: article\ntitle: One\ntopics: [scaling]\nlink: https://example.com/one\n",
    "content/two": "kind: article\ntitle: Two\ntopics: [security]\nlink: https://example.com/two\n",
    "content/three": "kind: email\ntitle: Three\n",
    "prospects/track": AGREEMENT
    + """
fit:
  role == "head": 30
engagement:
  live: 90 days
  points: {clicked: 20, downloaded: 20}
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 30 and engagement >= 20}
returns:
  not a fit: {go: end}
""",
    "prospects/programs/letters": """
title: Letters
owner: dana
enter: source == "list"
steps:
  first:
    send: one
    on: {clicked: liked}
    after: 5 days
    then: [{go: reminder}]
  liked:
    send: two
    at: friday 10:00
    on: {downloaded: talk}
    after: 5 days
    then: [{go: end}]
  reminder:
    send: three
    after: 2 days
    then: [{go: end}]
  talk:
    handoff: Wants to talk
    then: [{go: end}]
""",
    "prospects/programs/calls": """
title: Calls
owner: dana
enter: source == "call"
steps:
  ask:
    send: one
    after: 5 days
    on: {clicked: call}
    then: [{go: end}]
  call:
    handoff: Clicked the question
    then: [{go: end}]
""",
    "prospects/programs/silence": """
title: Silence
owner: dana
enter: source == "silent"
steps:
  first:
    send: one
    after: 5 days
    then:
      - if: clicked
        go: liked
      - go: other
  liked:
    then: [{go: later}]
  later:
    send: two
    at: friday 10:00
    after: 5 days
    then: [{go: end}]
  other:
    send: three
    after: 2 days
    then: [{go: end}]
""",
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), BEGIN)


def mailed(company: Company, *names: str, source: str = "list", **told: Any) -> list[int]:  # noqa: ANN401 - fields of LeadInput
    """Leads who got the first mail just now."""
    leads = [company.lead(name, source=source, **told) for name in names]
    company.settle()
    assert all(company.messages(lead)[0]["status"] == "sent" for lead in leads)
    return leads


def ask(company: Company, message: int, one: Ask, sent: datetime) -> None:
    """A request comes in at our door."""
    company.told += 1
    raw = RawClick(message, one.link, one.method, one.agent, one.network, f"ask-{company.told}")
    keep_click(company.database, raw, sent + timedelta(seconds=one.after))


def play(company: Company, asks: Sequence[Ask]) -> list[int]:
    """Lives through a pattern, judging as time goes by; the result are the leads."""
    leads = mailed(company, *(f"lead{place}" for place in range(1 + max(one.lead for one in asks))))
    sent, mails = company.now, [company.messages(lead)[0]["id"] for lead in leads]
    for one in sorted(asks, key=lambda one: one.after):
        company.advance(max(company.now, sent + timedelta(seconds=one.after)))
        ask(company, mails[one.lead], one, sent)
    company.advance(seconds=SETTLE.total_seconds() + 1)
    return leads


def judgements(company: Company) -> list[str]:
    return [row["judgement"] for row in company.rows("SELECT judgement FROM click ORDER BY at, id")]


def click(company: Company, lead: int, after: float = 60, step: str = "first", **about: Any) -> int:  # noqa: ANN401 - fields of Ask
    """A click that will be judged a person's, so long from now; its id."""
    ask(company, company.mail(lead, step), Ask(after, **about), company.now)
    return int(company.rows("SELECT max(id) AS id FROM click")[0]["id"])


def lose(company: Company, lead: int, step: str = "first", **about: Any) -> None:  # noqa: ANN401 - fields of NewReaction
    """A provider tells late that all links of the mail were followed when the click came."""
    at = company.rows("SELECT at FROM click WHERE lead_id = :lead ORDER BY id LIMIT 1", lead=lead)[0]["at"]
    company.told += 1
    late = NewReaction(
        "clicked", f"late-{company.told}", "sendgrid", datetime.fromtimestamp(at / 1e6, UTC),
        message_id=company.mail(lead, step), argument="https://example.com/other", **about,
    )  # fmt: skip
    record_reactions(company.database, [late], company.now)
    company.advance(seconds=SETTLE.total_seconds())


# The corpus


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_brings_about_nothing(company: Company, name: str) -> None:
    leads = play(company, MACHINES[name])
    assert set(judgements(company)) == {"machine"}
    assert company.rows("SELECT * FROM reaction WHERE counts_at IS NOT NULL") == []
    assert company.rows("SELECT * FROM point") == company.rows("SELECT * FROM interest") == []
    assert company.rows("SELECT * FROM handoff") == company.rows("SELECT * FROM suppression") == []
    # He waits for what he did himself, or went on because he was silent.
    assert {company.enrollment(lead)["step"] for lead in leads} == {"first"}


def test_nineteen_of_twenty_persons_are_kept(database: Database, tmp_path: Path) -> None:
    kept: Counter[bool] = Counter()
    definitions = define(tmp_path, FILES)
    for place, name in enumerate(PERSONS):
        company = Company(database, definitions, BEGIN + timedelta(weeks=place), told=100 * place)
        before = {row["id"] for row in company.rows("SELECT id FROM click")}
        leads = mailed(company, *(f"p{place}-{one}" for one in range(9)))
        sent = company.now
        for one in PERSONS[name]:
            ask(company, company.messages(leads[one.lead])[0]["id"], one, sent)
        judge(database, sent + timedelta(days=5))
        rows = [
            row
            for row in company.rows("SELECT id, judgement FROM click ORDER BY id")
            if row["id"] not in before
        ]
        by_person = [row["judgement"] for row, one in zip(rows, PERSONS[name], strict=True) if one.by_person]
        kept[set(by_person) == {"person"}] += 1
    assert len(PERSONS) > 20
    assert kept[True] >= 0.95 * len(PERSONS), kept


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_clicks_become_known_says_nothing(
    database: Database, tmp_path: Path, seed: int
) -> None:
    """Everything at once from gateways and people, told in any order: the same is said of each."""
    company = Company(database, define(tmp_path, FILES), BEGIN)
    patterns = [*MACHINES.values(), *PERSONS.values()]
    leads = mailed(company, *(f"l{place}" for place in range(9 * len(patterns))))
    sent, mails = company.now, [company.messages(lead)[0]["id"] for lead in leads]
    asks = [
        (f"{place}/{index}", mails[9 * place + one.lead], one)
        for place, pattern in enumerate(patterns)
        for index, one in enumerate(pattern)
    ]
    # Late tellings: judged one by one, in any order.
    random.Random(seed).shuffle(asks)
    cuts = sorted(random.Random(seed).sample(range(len(asks)), 5))
    for place, (key, message, one) in enumerate(asks):
        raw = RawClick(message, one.link, one.method, one.agent, f"{key.split('/')[0]}{one.network}", key)
        keep_click(database, raw, sent + timedelta(seconds=one.after))
        if place in cuts:
            judge(database, sent + timedelta(days=10), chunk=7)
    judge(database, sent + timedelta(days=10), chunk=7)
    said = {row["key"]: row["judgement"] for row in company.rows("SELECT key, judgement FROM click")}
    for place, pattern in enumerate(patterns):
        for index, one in enumerate(pattern):
            wanted = {"person", "undecided"} if one.by_person else {"machine"}
            assert said[f"web:{place}/{index}"] in wanted, (list({**MACHINES, **PERSONS})[place], one)


def test_a_pattern_of_agents_is_written_in_small_letters() -> None:
    assert all(word == word.lower() and "'" not in word and "%" not in word for word in AGENTS)


# Before it is judged


def test_a_click_is_one_raw_row_and_nothing_else_until_it_is_judged(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    before = company.dump()
    number = click(company, lead)
    company.sleep(seconds=60 + SETTLE.total_seconds() - 1)
    assert company.judge() == 0
    assert company.dump() == before
    (row,) = company.rows("SELECT * FROM click")
    assert (row["id"], row["judgement"], row["agent"], row["method"]) == (number, "undecided", CHROME, "GET")
    assert (row["program"], row["step"], row["content"]) == ("letters", "first", "one")
    company.advance(seconds=1)
    assert company.enrollment(lead)["step"] == "liked"
    assert [row["kind"] for row in company.rows("SELECT * FROM reaction")] == ["clicked"]


def test_silence_waits_for_a_click_that_is_not_judged_yet(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    deadline = company.enrollment(lead)["deadline_at"]
    company.advance(datetime.fromtimestamp(deadline / 1e6, UTC) - timedelta(seconds=90))
    click(company, lead, 10)
    company.advance(seconds=100)
    assert company.enrollment(lead)["step"] == "first"
    company.advance(seconds=40)
    assert company.enrollment(lead)["step"] == "liked"


def test_silence_is_silence_though_a_machine_clicks_at_its_end(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    deadline = company.enrollment(lead)["deadline_at"]
    company.advance(datetime.fromtimestamp(deadline / 1e6, UTC) - timedelta(seconds=90))
    click(company, lead, 10, link="hidden")
    company.advance(seconds=200)
    assert company.enrollment(lead)["step"] == "reminder"


def test_a_wave_before_the_judging_does_not_take_him_for_silent(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    deadline = company.enrollment(lead)["deadline_at"]
    company.advance(datetime.fromtimestamp(deadline / 1e6, UTC) - timedelta(seconds=90))
    click(company, lead, 10)
    company.sleep(hours=1)
    company.wave()
    assert company.enrollment(lead)["step"] == "first"
    company.sleep(minutes=1)
    company.settle()
    assert company.enrollment(lead)["step"] == "liked"


def test_a_click_belongs_to_the_step_where_he_stood_when_he_clicked(
    database: Database, tmp_path: Path
) -> None:
    program = """
title: Letters
owner: dana
enter: source == "list"
steps:
  first:
    send: one
    on: {submitted: pause}
    after: 5 days
    then: [{go: end}]
  pause:
    on: {clicked: next}
    after: 5 days
    then: [{go: end}]
  next:
    send: two
    after: 1 day
    then: [{go: end}]
"""
    company = Company(database, define(tmp_path, {**FILES, "prospects/programs/letters": program}), BEGIN)
    (lead,) = mailed(company, "ann")
    click(company, lead, 30)
    company.sleep(seconds=60)
    company.react(lead, "submitted", mail="first", argument="yes")
    company.advance(minutes=10)
    assert company.enrollment(lead)["step"] == "pause"
    click(company, lead, 30)
    company.advance(minutes=10)
    assert company.enrollment(lead)["step"] == "next"


def test_a_click_told_twice_under_any_id_is_one(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    about = {
        "message_id": company.mail(lead, "first"),
        "argument": "https://example.com/one",
        "at": company.now,
    }
    one, same, renamed = (NewReaction("clicked", key, "sendgrid", **about) for key in ("a", "a", "b"))  # type: ignore[arg-type] # its fields
    done = record_reactions(company.database, [one, same, renamed], company.now)
    assert (done.recorded, done.duplicates) == (1, 2)
    assert record_reactions(company.database, [one, renamed], company.now).duplicates == 2
    company.advance(minutes=3)
    assert len(company.rows("SELECT * FROM click")) == len(company.rows("SELECT * FROM reaction")) == 1


def test_judging_again_changes_nothing(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    click(company, lead)
    click(company, lead, 90, link="more")
    company.advance(minutes=10)
    before = company.dump()
    with company.database.write() as connection:
        connection.exec_driver_sql("UPDATE click SET judge_at = 0")
    assert company.judge() == 2
    assert company.dump() == before
    assert company.rows("SELECT * FROM click_revision") == []


def test_an_open_informs_and_nothing_else(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    before, waits = company.rows("SELECT * FROM lead"), company.enrollment(lead)
    company.react(lead, "opened", mail="first")
    company.advance(hours=2)
    assert company.rows("SELECT * FROM lead") == before
    assert company.enrollment(lead) == waits
    assert company.rows("SELECT * FROM point") == company.rows("SELECT * FROM interest") == []
    assert [row["kind"] for row in company.rows("SELECT kind FROM reaction")] == ["opened"]


# Taken back


def test_a_late_burst_takes_back_points_interests_and_the_branch(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    waited = company.enrollment(lead)
    click(company, lead)
    company.advance(hours=2)
    assert company.enrollment(lead)["step"] == "liked"
    assert company.rows("SELECT engagement, stage FROM lead")[0] == {"engagement": 20, "stage": "engaged"}
    lose(company, lead)
    now = company.enrollment(lead)
    kept = "step", "visit", "status", "acted", "arrived_at", "message_id", "content", "deadline_at", "due_at"
    assert {name: now[name] for name in kept} == {name: waited[name] for name in kept}
    assert company.rows("SELECT * FROM point") == company.rows("SELECT * FROM interest") == []
    assert company.rows("SELECT engagement, stage FROM lead")[0] == {"engagement": 0, "stage": "new"}
    assert company.messages(lead)[1]["status"] == "cancelled"
    assert company.journey(lead)[-1] == "liked → first: taken back: a machine clicked"
    (revision,) = company.rows("SELECT * FROM click_revision")
    assert (revision["was"], revision["judgement"], revision["points"]) == ("person", "machine", 20)
    # The rest of his wait, and then he is silent.
    company.advance(days=4)
    assert company.enrollment(lead)["step"] == "first"
    company.advance(days=2)
    assert company.enrollment(lead)["step"] == "reminder"


def test_after_a_mail_has_left_nobody_goes_back_and_the_points_do(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    click(company, lead)
    company.advance(days=4, hours=2)
    assert company.messages(lead)[1]["status"] == "sent"
    before = company.enrollment(lead)
    lose(company, lead)
    assert company.enrollment(lead) == before
    assert company.rows("SELECT * FROM point") == []
    assert company.journey(lead)[-1] == "first → liked: on clicked"
    counted_anew_changes_nothing(company)


def test_he_stays_where_he_is_when_he_had_clicked_himself_as_well(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    click(company, lead)
    click(company, lead, HOUR, network="home")
    company.advance(hours=2)
    lose(company, lead)
    assert company.enrollment(lead)["step"] == "liked"
    (point,) = company.rows(
        "SELECT p.*, c.network FROM point p JOIN click c ON c.reaction_id = p.reaction_id"
    )
    assert (point["points"], point["network"]) == (20, "home")
    counted_anew_changes_nothing(company)
    assert len(company.rows("SELECT * FROM interest")) == 1
    company.advance(days=4)
    assert [mail["status"] for mail in company.messages(lead)].count("sent") == 2


def test_a_branch_taken_at_the_end_of_the_wait_is_taken_back_through_steps_that_send_nothing(
    company: Company,
) -> None:
    (lead,) = mailed(company, "ann", source="silent")
    company.advance(days=1)
    click(company, lead)
    company.advance(days=4, hours=2)
    assert company.enrollment(lead)["step"] == "later"
    lose(company, lead)
    # His time was up long ago: he goes the way of the silent at once.
    assert company.enrollment(lead)["step"] == "other"
    moves = [line.partition(":")[0] for line in company.journey(lead)]
    assert moves[-2:] == ["later → first", "first → other"]


def test_who_had_completed_by_the_click_is_in_the_program_again(database: Database, tmp_path: Path) -> None:
    program = """
title: Letters
owner: dana
enter: source == "list"
steps:
  first:
    send: one
    on: {clicked: end}
    after: 5 days
    then: [{go: last}]
  last:
    send: three
    after: 1 day
    then: [{go: end}]
"""
    company = Company(database, define(tmp_path, {**FILES, "prospects/programs/letters": program}), BEGIN)
    ann, ben = mailed(company, "ann", "ben", role="clerk")
    for lead in (ann, ben):
        click(company, lead)
    company.advance(hours=2)
    company.lead("ben", role="head")
    company.settle()
    assert company.enrollment(ann)["status"] == company.enrollment(ben)["status"] == "completed"
    assert company.rows("SELECT lead_id, status FROM handoff") == [{"lead_id": ben, "status": "open"}]
    for lead in (ann, ben):
        lose(company, lead)
        now = company.enrollment(lead)
        assert (now["step"], now["status"], now["ended_at"], now["pause"]) == ("first", "active", None, None)
    assert company.rows("SELECT status FROM handoff") == [{"status": "withdrawn"}]


def test_what_our_people_were_asked_for_the_click_is_wanted_no_more(
    database: Database, tmp_path: Path
) -> None:
    program = """
title: Letters
owner: dana
enter: source == "list"
steps:
  first:
    send: one
    on: {clicked: ask-us}
    after: 5 days
    then: [{go: end}]
  ask-us:
    task: Call him
    tell: He clicked
    after: 5 days
    then: [{go: end}]
"""
    company = Company(database, define(tmp_path, {**FILES, "prospects/programs/letters": program}), BEGIN)
    ann, ben = mailed(company, "ann", "ben", role="clerk")
    for lead in (ann, ben):
        click(company, lead)
    company.advance(hours=2)
    assert company.enrollment(ann)["step"] == "ask-us"
    lose(company, ann)
    assert company.enrollment(ann)["step"] == "first"
    tasks = company.rows("SELECT lead_id, status FROM task ORDER BY lead_id")
    notices = company.rows("SELECT lead_id, status FROM notice ORDER BY lead_id")
    assert tasks == [{"lead_id": ann, "status": "withdrawn"}, {"lead_id": ben, "status": "open"}]
    assert notices == [{"lead_id": ann, "status": "cancelled"}, {"lead_id": ben, "status": "planned"}]


def test_an_offer_that_rested_on_the_click_alone_is_withdrawn(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    click(company, lead)
    company.advance(hours=2)
    assert company.rows("SELECT status, enrollment_id FROM handoff") == [
        {"status": "open", "enrollment_id": None}
    ]
    told_sales(company)
    lose(company, lead)
    assert company.rows("SELECT status FROM handoff") == [{"status": "withdrawn"}]
    assert company.rows("SELECT stage, engagement FROM lead") == [{"stage": "new", "engagement": 0}]
    assert [row["kind"] for row in company.rows("SELECT kind FROM notice ORDER BY id")] == [
        "handoff",
        "withdrawn",
    ]
    now = company.enrollment(lead)
    assert (now["step"], now["status"]) == ("first", "active")


def told_sales(company: Company) -> None:
    """The notice of the offer has been sent."""
    with company.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO notice (lead_id, handoff_id, kind, person, status, planned_at, attempts)"
            " SELECT lead_id, id, 'handoff', 'lena', 'sent', 0, 1 FROM handoff"
        )


def test_an_offer_that_something_else_holds_stays(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    click(company, lead)
    company.advance(hours=2)
    company.react(lead, "downloaded", content="two")
    company.advance(hours=1)
    lose(company, lead)
    assert company.rows("SELECT status FROM handoff") == [{"status": "open"}]
    assert company.rows("SELECT stage, engagement FROM lead") == [{"stage": "handed_off", "engagement": 20}]


def test_a_stage_that_something_else_holds_stays(company: Company) -> None:
    ann, ben = mailed(company, "ann", "ben")
    for lead in (ann, ben):
        click(company, lead)
    company.advance(hours=2)
    company.react(ann, "downloaded", content="two")
    company.advance(hours=1)
    for lead in (ann, ben):
        lose(company, lead)
    assert [row["stage"] for row in company.rows("SELECT stage FROM lead ORDER BY id")] == ["engaged", "new"]
    told = company.rows("SELECT lead_id, from_stage, to_stage, rule FROM stage_change ORDER BY id DESC")[0]
    assert tuple(told.values()) == (ben, "engaged", "new", "taken back: a machine clicked")


def test_whom_sales_returned_stays_engaged(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    number = click(company, lead)
    company.advance(hours=2)
    company.give_back(lead, "not a fit")
    revise_click(company.database, number, "machine", "dana", company.now)
    company.settle()
    assert company.rows("SELECT stage FROM lead") == [{"stage": "engaged"}]


def test_an_accepted_offer_stays_accepted(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    click(company, lead)
    company.advance(hours=2)
    company.accept(lead)
    lose(company, lead)
    assert company.rows("SELECT status FROM handoff") == [{"status": "accepted"}]
    assert company.rows("SELECT stage, engagement FROM lead") == [{"stage": "accepted", "engagement": 0}]


def test_an_offer_of_a_step_is_withdrawn_and_he_waits_again_later_by_the_pause(company: Company) -> None:
    (lead,) = mailed(company, "ann", source="call")
    deadline = company.enrollment(lead)["deadline_at"]
    click(company, lead, step="ask")
    company.advance(hours=2)
    (offer,) = company.rows("SELECT * FROM handoff")
    assert (offer["status"], offer["reason"]) == ("open", "Clicked the question")
    lose(company, lead, "ask")
    assert company.rows("SELECT status FROM handoff") == [{"status": "withdrawn"}]
    now = company.enrollment(lead)
    (change,) = company.rows("SELECT at FROM stage_change WHERE to_stage = 'handed_off'")
    paused = company.rows("SELECT at FROM transition WHERE status = 'paused'")[0]["at"]
    resumed = company.rows("SELECT max(at) AS at FROM transition")[0]["at"]
    assert change["at"] == paused
    assert (now["step"], now["status"]) == ("ask", "active")
    assert now["deadline_at"] == deadline + resumed - paused


def test_points_from_before_a_return_do_not_come_back(company: Company) -> None:
    (lead,) = mailed(company, "ann", role="head")
    first = click(company, lead)
    click(company, lead, HOUR, network="home")
    company.advance(hours=2)
    company.give_back(lead, "not a fit")
    company.advance(hours=1)
    revise_click(company.database, first, "machine", "dana", company.now)
    company.settle()
    assert company.rows("SELECT * FROM point WHERE ends_at IS NULL OR ends_at > :now") == []
    assert company.rows("SELECT engagement FROM lead")[0]["engagement"] == 0
    counted_anew_changes_nothing(company)
    revise_click(company.database, first, "person", "dana", company.now)
    company.settle()
    assert company.rows("SELECT engagement FROM lead")[0]["engagement"] == 0
    counted_anew_changes_nothing(company)


def test_counting_anew_and_planning_give_a_machine_nothing(company: Company, tmp_path: Path) -> None:
    ann, ben, cem, dan = mailed(company, "ann", "ben", "cem", "dan", role="clerk")
    click(company, ann)
    click(company, ben, link="hidden")
    click(company, cem, agent="")
    click(company, dan)
    company.advance(hours=2)
    lose(company, ann)
    said = company.rows("SELECT judgement FROM click WHERE source = 'web' ORDER BY lead_id")
    assert [row["judgement"] for row in said] == ["machine", "machine", "undecided", "person"]
    counted_anew_changes_nothing(company)
    track = FILES["prospects/track"].replace('role == "head": 30', 'role == "clerk": 30')
    planned = define(tmp_path, {**FILES, "prospects/track": track.replace("clicked: 20", "clicked: 40")})
    with company.database.read() as connection:
        (told,) = compare_agreements(connection, planned, company.now)
    assert [(one.lead_id, one.planned) for one in told.crossing] == [(dan, 70)]
    assert told.falling == ()
    company.apply(planned)
    rescore(company.database, company.now)
    assert company.rows("SELECT lead_id, points FROM point") == [{"lead_id": dan, "points": 40}]
    company.settle()
    assert company.rows("SELECT lead_id FROM handoff") == [{"lead_id": dan}]


def counted_anew_changes_nothing(company: Company) -> None:
    """The points are those that the reactions give."""
    done = rescore(company.database, company.now)
    assert (done.added, done.removed) == (0, 0)


# A person's word


def test_a_person_may_judge_both_ways_and_has_the_last_word(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    number = click(company, lead, link="hidden")
    company.advance(minutes=10)
    assert company.enrollment(lead)["step"] == "first"
    revise_click(company.database, number, "person", "dana", company.now, reason="I asked him")
    company.settle()
    assert company.enrollment(lead)["step"] == "liked"
    assert company.rows("SELECT engagement FROM lead")[0]["engagement"] == 20
    # More links of the mail become known: the rules say nothing of it any more.
    lose(company, lead)
    assert company.enrollment(lead)["step"] == "liked"
    revise_click(company.database, number, "machine", "lena", company.now)
    company.settle()
    assert company.enrollment(lead)["step"] == "first"
    assert company.rows("SELECT engagement FROM lead")[0]["engagement"] == 0
    revise_click(company.database, number, "person", "dana", company.now)
    company.settle()
    assert company.enrollment(lead)["step"] == "liked"
    said = company.rows("SELECT was, judgement, by, points FROM click_revision ORDER BY id")
    assert [tuple(row.values()) for row in said] == [
        ("machine", "person", "dana", 0), ("person", "machine", "lena", 20), ("machine", "person", "dana", 0),
    ]  # fmt: skip
    assert len(company.rows("SELECT * FROM audit WHERE act = 'judged a click'")) == 3


def test_a_person_may_judge_before_the_rules_do(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    number = click(company, lead)
    revise_click(company.database, number, "machine", "dana", company.now)
    company.advance(hours=1)
    assert company.enrollment(lead)["step"] == "first"
    assert judgements(company) == ["machine"]


def test_what_a_person_judged_first_speaks_of_the_clicks_around_it(company: Company) -> None:
    """As if the rules had judged it: what is said of a click hangs on the clicks around it alone."""
    (lead,) = mailed(company, "ann")
    click(company, lead)
    company.advance(minutes=10)
    hidden = click(company, lead, link="hidden")
    revise_click(company.database, hidden, "machine", "dana", company.now)
    company.settle()
    assert judgements(company) == ["machine", "machine"]
    assert company.enrollment(lead)["step"] == "first"


def test_what_cannot_be_judged_is_refused(company: Company) -> None:
    with pytest.raises(NotFoundError):
        revise_click(company.database, 7, "person", "dana", company.now)
    with pytest.raises(InvalidInputError):
        revise_click(company.database, 7, "undecided", "dana", company.now)


def test_saying_the_same_again_changes_nothing(company: Company) -> None:
    (lead,) = mailed(company, "ann")
    number = click(company, lead)
    company.advance(hours=1)
    for _ in range(2):
        revise_click(company.database, number, "machine", "dana", company.now)
        company.settle()
    assert len(company.rows("SELECT * FROM click_revision")) == 1


# In sets


def test_a_chunk_costs_the_same_statements_whatever_its_size(database: Database, tmp_path: Path) -> None:
    company = Company(database, define(tmp_path, FILES), BEGIN)
    leads = mailed(company, *(f"l{place}" for place in range(60)), role="head")
    counts = []
    for few in (leads[:3], leads[3:]):
        for lead in few:
            click(company, lead, network=None)
        counts.append((statements(company, company.now + timedelta(hours=1)), later(company, few)))
    assert counts[0] == counts[1]


def later(company: Company, leads: Sequence[int]) -> int:
    """The statements of judging clicks that turn out to be machines'."""
    company.sleep(hours=2)
    company.settle()
    for lead in leads:
        ask(company, company.mail(lead, "first"), Ask(0.5, "hidden", network=None), company.now)
    with company.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE click SET at = (SELECT max(at) FROM click), judge_at = 0 WHERE judgement <> 'machine'"
        )
    return statements(company, company.now)


def statements(company: Company, now: datetime) -> int:
    found: list[str] = []

    def note(*told: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
        found.append(told[2])

    event.listen(company.database.engine, "before_cursor_execute", note)
    judge(company.database, now)
    event.remove(company.database.engine, "before_cursor_execute", note)
    return len(found)

"""What must hold whatever happens: each step once, nothing lost by kills and repetitions, tracks apart.

And what once did not hold, each under the name of its rule.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import LeadInput, NewReaction, begin_wave, look, record_reactions, run_step
from leadnurture.errors import ProjectProblemsError
from leadnurture.store import Database
from tests.engine.driver import AGREEMENT, MACHINE, Company, define

START: Final = datetime(2026, 11, 23, 8, tzinfo=UTC)
"""A Monday, 9:00 in Berlin."""
CONTENTS: Final = {
    "content/talk": "kind: webinar\ntitle: T\ntopics: [scaling]\nsessions: {only: 2026-12-10 15:00}\n",
    "content/small": "kind: webinar\ntitle: S\nseats: 1\nsessions: {only: 2026-12-10 15:00}\n",
    "content/letter": "kind: article\ntitle: L\ntopics: [scaling]\n",
    "content/second": "kind: article\ntitle: S\ntopics: [scaling]\npublished: 2026-01-01\n",
    "content/reminder": "kind: email\ntitle: R\n",
}
LETTERS: Final = """
title: Letters
owner: dana
enter: stage < "handed_off"
exit: tag("competitor")
steps:
  first:
    send: letter
    at: tuesday 10:00
    on: {clicked: thanks, downloaded: thanks}
    after: 1 week
    then: [{go: last}]
  thanks:
    after: 2 days
  last:
    send: second
    after: 3 days
"""


def company(database: Database, root: Path, program: str = LETTERS, **more: str) -> Company:
    """A company with one program of prospects, `series`; `prospects__track=` replaces the agreement."""
    told = {path.replace("__", "/"): content for path, content in more.items()}
    return Company(database, define(root, {**CONTENTS, "prospects/programs/series": program, **told}), START)


def sent(one: Company, lead: int) -> list[str]:
    return [row["content"] for row in one.messages(lead) if row["status"] not in {"planned", "cancelled"}]


def planned(one: Company, lead: int) -> list[dict[str, Any]]:
    return [row for row in one.messages(lead) if row["status"] == "planned"]


def begins(one: Company, content: str, starts: datetime | None) -> Definitions:
    """The files with a webinar's session at another local time, or cancelled."""
    contents = [
        replace(each, sessions=(replace(each.sessions[0], starts=starts),)) if each.name == content else each
        for each in one.definitions.contents
    ]
    return replace(one.definitions, contents=tuple(contents))


# I1 and I7: each step once, whatever is killed when, whoever else runs it


class KilledError(Exception):
    """The worker dies."""


@contextmanager
def killed_at(database: Database, number: int) -> Iterator[None]:
    """The worker dies in the middle of a transaction, before its n-th writing statement."""
    left = [number]

    def count(*said: Any) -> None:  # noqa: ANN401 - what SQLAlchemy tells
        left[0] -= said[2].lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
        if left[0] == 0:
            raise KilledError

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        yield
    except KilledError:
        pass
    finally:
        event.remove(database.engine, "before_cursor_execute", count)


@pytest.mark.parametrize("number", [3, 17, 31, 58, 85, 120, 200])
def test_a_worker_killed_anywhere_changes_nothing(database: Database, tmp_path: Path, number: int) -> None:
    one = company(database, tmp_path)
    leads = [one.lead(f"lead{place}") for place in range(3)]
    with killed_at(database, number):
        one.advance(days=2)
    one.advance(to=START + timedelta(days=2))
    with killed_at(database, number):
        one.react(leads[0], "clicked", mail="first", key="click")
    one.react(leads[0], "clicked", mail="first", key="click")
    with killed_at(database, number):
        one.advance(days=14)
    one.advance(to=START + timedelta(days=30))
    assert [sent(one, lead) for lead in leads] == [["letter", "second"]] * 3
    assert [one.enrollment(lead)["status"] for lead in leads] == ["completed"] * 3
    assert one.journey(leads[0])[1] == "first → thanks: on clicked"


def test_two_workers_do_each_step_once(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    leads = [one.lead(f"lead{place}") for place in range(5)]
    assert look(database, "prospects", START).enrolled == 5
    assert look(database, "prospects", START).leads == 0
    begun = begin_wave(database, "series", "first worker", START, MACHINE)
    assert begun is not None
    assert begin_wave(database, "series", "second worker", START, MACHINE) is None
    done = [run_step(database, "series", "first", begun.number, START, chunk=2) for _ in range(2)]
    assert [each.planned for each in done] == [5, 0]
    assert all(len(one.messages(lead)) == 1 for lead in leads)


def test_an_outage_over_several_due_times_sends_each_step_once(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    lead = one.lead("ann")
    one.settle()
    one.sleep(days=50)
    one.advance(days=30)
    assert sent(one, lead) == ["letter", "second"]


def test_an_unknown_outcome_waits_and_is_not_sent_again(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path, LETTERS.replace("at: tuesday 10:00", ""))
    lead = one.lead("ann")
    one.look()
    one.wave()
    one.settle_mail(one.mail(lead, "first"), "sending")
    one.settle_mail(one.mail(lead, "first"), "unknown")
    one.settle_mail(one.mail(lead, "first"), "planned")
    one.advance(days=3)
    assert [row["status"] for row in one.messages(lead)] == ["unknown"]
    one.react(lead, "delivered", mail="first")
    assert [row["status"] for row in one.messages(lead)] == ["delivered"]
    one.advance(days=20)
    assert sent(one, lead) == ["letter", "second"]


# I2: the same events twice, late, out of order

EVENTS: Final[tuple[tuple[ReactionKind, str], ...]] = (
    ("delivered", "1"),
    ("opened", "2"),
    ("clicked", "3"),
    ("clicked", "4"),
    ("downloaded", "5"),
    ("complained", "6"),
)


@pytest.mark.parametrize("seed", range(4))
def test_events_twice_and_out_of_order_leave_the_same(database: Database, tmp_path: Path, seed: int) -> None:
    points = "engagement: {points: {clicked: 3, downloaded: 10}}\n"
    one = company(database, tmp_path, prospects__track=AGREEMENT + points)
    ann, ben = one.lead("ann"), one.lead("ben")
    one.advance(days=2)
    in_order = [told(one, ann, kind, key) for kind, key in EVENTS]
    shuffled = [told(one, ben, kind, key) for kind, key in EVENTS] * 2
    random.Random(seed).shuffle(shuffled)
    assert record_reactions(database, in_order, one.now).recorded == len(EVENTS)
    recorded = [record_reactions(database, shuffled[at : at + 3], one.now).recorded for at in range(0, 12, 3)]
    assert sum(recorded) == len(EVENTS)
    one.advance(days=1)
    assert facts_of(one, ann) == facts_of(one, ben)
    assert one.journey(ann)[-1] == one.journey(ben)[-1] == "first → undeliverable: address complained"


def told(one: Company, lead: int, kind: ReactionKind, key: str) -> NewReaction:
    at = one.now - timedelta(seconds=int(key))
    return NewReaction(kind, f"{lead}-{key}", "test", at=at, message_id=one.mail(lead, "first"))


def facts_of(one: Company, lead: int) -> list[Any]:
    reactions = one.rows("SELECT kind, at FROM reaction WHERE lead_id = :lead ORDER BY at", lead=lead)
    points = one.rows("SELECT rule, subject FROM point WHERE lead_id = :lead ORDER BY rule", lead=lead)
    standing = one.rows("SELECT stage, engagement FROM lead WHERE id = :lead", lead=lead)
    return [reactions, points, standing, [row["status"] for row in one.messages(lead)]]


# I3 and I4: asked again when the mail leaves


def becomes_a_client(one: Company, lead: int) -> None:
    one.win(lead)


def unsubscribes(one: Company, lead: int) -> None:
    one.react(lead, "unsubscribed")


def withdraws_his_consent(one: Company, _: int) -> None:
    one.leads(LeadInput("ann@ann.example", withdrawn=["marketing"]))


def turns_out_a_competitor(one: Company, _: int) -> None:
    one.leads(LeadInput("ann@ann.example", tags=["competitor"]))


@pytest.mark.parametrize(
    "change", [becomes_a_client, unsubscribes, withdraws_his_consent, turns_out_a_competitor]
)
def test_nothing_leaves_after(
    database: Database, tmp_path: Path, change: Callable[[Company, int], None]
) -> None:
    one = company(database, tmp_path, clients__track=AGREEMENT)
    lead = one.lead("ann")
    one.settle()
    assert len(planned(one, lead)) == 1
    one.sleep(days=1, hours=2)
    change(one, lead)
    one.send()
    one.advance(days=30)
    assert sent(one, lead) == []


def test_a_client_is_never_mailed_as_a_prospect(database: Database, tmp_path: Path) -> None:
    care = 'title: C\nowner: dana\nenter: stage == "new"\nsteps:\n  hello:\n    send: letter\n'
    one = company(database, tmp_path, clients__track=AGREEMENT, clients__programs__care=care)
    lead = one.lead("ann")
    one.settle()
    one.win(lead)
    one.advance(days=30)
    assert [(row["track"], row["status"]) for row in one.messages(lead)] == [
        ("prospects", "cancelled"),
        ("clients", "sent"),
    ]


# I5: exactly one open handoff

THRESHOLD: Final = """
engagement: {points: {clicked: 30, downloaded: 30}}
stages:
  engaged: {when: engagement > 0}
  qualified: {when: engagement >= 30}
returns: {not reached: {go: resume}}
"""


def test_crossing_the_threshold_opens_one_handoff(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path, prospects__track=AGREEMENT + THRESHOLD)
    lead = one.lead("ann")
    one.advance(days=2)
    one.react(lead, "downloaded", content="letter")
    one.react(lead, "downloaded", content="second")
    one.settle()
    one.react(lead, "clicked", mail="first")
    one.advance(days=1)
    assert [row["status"] for row in one.rows("SELECT status FROM handoff")] == ["open"]
    assert one.give_back(lead, "not reached").was_open
    one.advance(days=1)
    assert [row["status"] for row in one.rows("SELECT status FROM handoff")] == ["returned"]
    assert one.enrollment(lead)["status"] == "active"


# A program edited while leads are in it


def edited(root: Path, program: str) -> Definitions:
    return define(root, {**CONTENTS, "prospects/programs/series": program})


def test_a_removed_step_that_holds_leads_needs_a_place_for_them(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    one.lead("ann")
    one.advance(days=2)
    without = LETTERS.replace("  first:", "  opening:")
    with pytest.raises(ProjectProblemsError, match="first"):
        one.apply(edited(tmp_path, without))


def test_a_renamed_step_is_not_repeated(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    lead = one.lead("ann")
    one.advance(days=2)
    before = one.enrollment(lead)
    renamed = LETTERS.replace("  first:", "  opening:").replace("steps:", "moved: {first: opening}\nsteps:")
    assert one.apply(edited(tmp_path, renamed)).moved == 1
    one.settle()
    assert one.enrollment(lead)["step"] == "opening"
    assert one.enrollment(lead)["deadline_at"] == before["deadline_at"]
    one.react(lead, "clicked", mail="opening")
    one.advance(days=30)
    assert one.journey(lead)[2] == "opening → thanks: on clicked"
    assert sent(one, lead) == ["letter", "second"]


def test_a_removed_step_leads_to_one_that_was_visited(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    lead = one.lead("ann")
    one.advance(days=2)
    one.react(lead, "downloaded", content="letter")
    one.settle()
    assert one.enrollment(lead)["step"] == "thanks"
    without = LETTERS.replace("{clicked: thanks, downloaded: thanks}", "{clicked: last}").replace(
        "  thanks:\n    after: 2 days\n", ""
    )
    one.apply(edited(tmp_path, without.replace("steps:", "moved: {thanks: first}\nsteps:")))
    one.advance(days=30)
    assert sent(one, lead) == ["letter", "second"]
    assert [
        row["visit"] for row in one.rows("SELECT visit FROM transition WHERE to_step = 'first' ORDER BY id")
    ] == [1, 2]


def test_a_removed_step_may_lead_to_the_end(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    lead = one.lead("ann")
    one.advance(days=0)
    one.apply(
        edited(
            tmp_path,
            LETTERS.replace("  first:", "  opening:").replace("steps:", "moved: {first: end}\nsteps:"),
        )
    )
    one.advance(days=30)
    assert sent(one, lead) == []
    assert one.journey(lead)[-1] == "first → completed: ended by a new version"


def test_a_shortened_wait_is_due_at_the_earliest_now(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    lead = one.lead("ann")
    one.advance(days=4)
    one.apply(edited(tmp_path, LETTERS.replace("after: 1 week", "after: 1 day")))
    one.settle()
    assert one.enrollment(lead)["step"] == "last"
    assert (
        one.messages(lead)[-1]["planned_at"] == one.rows("SELECT arrived_at FROM enrollment")[0]["arrived_at"]
    )


def test_applying_the_same_files_changes_nothing(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    one.lead("ann")
    one.advance(days=2)
    before = one.dump()
    assert one.apply(one.definitions).programs == ()
    one.settle()
    assert one.dump() == before


# What once did not hold

WEBINAR: Final = """
title: Webinar
owner: dana
enter: interest("scaling")
steps:
  invite:
    send: talk
    after: 2 days
  remind:
    send: reminder
    at: 2 business days before invite
    after: 1 day after invite
"""


def test_a_planned_mail_moves_with_its_webinar(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path, WEBINAR)
    lead = one.lead("ann", interests=["scaling"])
    one.advance(days=3)
    assert planned(one, lead)[0]["planned_at"] == micros(datetime(2026, 12, 7, 23, tzinfo=UTC))
    one.apply(begins(one, "talk", datetime(2026, 12, 17, 15)))  # noqa: DTZ001 - local time of the company
    one.settle()
    assert planned(one, lead)[0]["planned_at"] == micros(datetime(2026, 12, 14, 23, tzinfo=UTC))
    assert planned(one, lead)[0]["wait_until"] == micros(datetime(2026, 12, 17, 23, tzinfo=UTC))


def test_a_mail_before_a_webinar_that_moved_near_is_skipped(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path, WEBINAR)
    lead = one.lead("ann", interests=["scaling"])
    one.advance(days=3)
    one.apply(begins(one, "talk", datetime(2026, 11, 27, 15)))  # noqa: DTZ001 - as above
    one.advance(days=30)
    assert sent(one, lead) == ["talk"]
    assert one.journey(lead)[-1] == "remind → completed: time is up (late)"


def test_two_anchors_of_one_step_are_kept_apart(database: Database, tmp_path: Path) -> None:
    program = WEBINAR.replace("after: 1 day after invite", "after: 0 days before budget_on")
    one = company(database, tmp_path, program)
    lead = one.lead(
        "ann", interests=["scaling"], facts={"budget_on": datetime(2027, 2, 1, tzinfo=UTC).date()}
    )
    one.advance(days=3)
    assert planned(one, lead)[0]["planned_at"] == micros(datetime(2026, 12, 7, 23, tzinfo=UTC))
    assert planned(one, lead)[0]["wait_until"] == micros(datetime(2027, 1, 31, 23, tzinfo=UTC))


def test_a_mail_counted_from_a_fact_is_about_no_webinar(database: Database, tmp_path: Path) -> None:
    program = WEBINAR.replace("2 business days before invite", "3 days before budget_on").replace(
        "    after: 1 day after invite\n", ""
    )
    one = company(database, tmp_path, program)
    lead = one.lead(
        "ann", interests=["scaling"], facts={"budget_on": datetime(2027, 2, 1, tzinfo=UTC).date()}
    )
    one.advance(days=3)
    assert planned(one, lead)[0]["session"] is None
    one.apply(begins(one, "talk", None))
    one.advance(days=90)
    assert sent(one, lead) == ["talk", "reminder"]


def test_a_mail_whose_wait_ends_beyond_the_calendar_leaves_now(database: Database, tmp_path: Path) -> None:
    program = LETTERS.replace("after: 1 week", "after: 0 days before budget_on")
    one = company(database, tmp_path, program)
    lead = one.lead("ann", facts={"budget_on": datetime(2030, 2, 1, tzinfo=UTC).date()})
    one.advance(days=3)
    assert sent(one, lead) == ["letter"]
    assert one.enrollment(lead)["due_at"] > micros(one.now + timedelta(days=300))


def test_who_has_a_seat_in_a_full_session_is_not_invited_elsewhere(
    database: Database, tmp_path: Path
) -> None:
    program = """
title: W
owner: dana
enter: interest("scaling")
steps:
  invite:
    send: small
    otherwise: end
    on: {registered: seat}
    after: 2 days
    then: [{go: end}]
  seat:
    after: 1 day
"""
    one = company(database, tmp_path, program)
    ann, ben = (one.lead(name, interests=["scaling"]) for name in ("ann", "ben"))
    one.react(ann, "registered", content="small", session="only")
    one.settle()
    assert one.journey(ann)[-1] == "invite → seat: on registered"
    assert one.journey(ben)[-1] == "invite → completed: otherwise (empty)"


def test_a_fixed_webinar_that_was_had_says_so(database: Database, tmp_path: Path) -> None:
    program = 'title: W\nowner: dana\nenter: interest("scaling")\nsteps:\n  invite:\n    send: talk\n'
    one = company(database, tmp_path, program)
    lead = one.lead("ann", interests=["scaling"])
    one.react(lead, "attended", content="talk", session="only")
    one.settle()
    assert one.journey(lead)[-1] == "invite → completed: time is up (had)"


def test_a_trouble_on_arrival_is_the_why_of_this_step(database: Database, tmp_path: Path) -> None:
    program = """
title: W
owner: dana
enter: stage == "new"
steps:
  report:
    send: {next: report}
    then:
      - if: why == "empty"
        set: {tag: dry}
        go: end
      - go: rest
  rest:
    after: 1 day
"""
    one = company(database, tmp_path, program)
    lead = one.lead("ann")
    one.settle()
    assert one.journey(lead)[-1] == 'report → completed: then why == "empty" (empty)'
    assert one.rows("SELECT tag FROM lead_tag") == [{"tag": "dry"}]


def test_interests_without_an_agreed_life_do_not_end(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path, WEBINAR)
    lead = one.lead("ann")
    one.react(lead, "downloaded", content="letter")
    one.settle()
    assert one.enrollment(lead)["step"] == "invite"


def test_a_cancelled_mail_is_not_what_a_step_last_sent(database: Database, tmp_path: Path) -> None:
    program = """
title: L
owner: dana
enter: stage == "new"
steps:
  first:
    send: {next: article}
    at: tuesday 10:00
    otherwise: rest
    on: {submitted: rest}
    after: 1 day
    then: [{go: rest}]
  rest:
    on:
      clicked("first"): thanks
    after: 2 days
    then:
      - if: visit < 2
        go: first
      - go: end
  thanks:
    after: 1 day
"""
    one = company(database, tmp_path, program)
    lead = one.lead("ann")
    one.advance(to=datetime(2026, 11, 28, 9, tzinfo=UTC))
    one.react(lead, "submitted")
    one.settle()
    first = one.messages(lead)[0]["id"]
    one.react(lead, "clicked", message_id=first)
    one.advance(hours=1)
    assert [row["status"] for row in one.messages(lead)] == ["sent", "cancelled"]
    assert one.journey(lead)[-1] == 'rest → thanks: on clicked("first")'


def test_whom_exit_would_end_does_not_enter(database: Database, tmp_path: Path) -> None:
    one = company(database, tmp_path)
    one.lead("ann", tags=["competitor"])
    one.advance(days=2)
    assert one.rows("SELECT * FROM enrollment") == []


def micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

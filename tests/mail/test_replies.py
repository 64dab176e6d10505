"""A reply pauses a lead's mail until somebody has sorted it; what a program says of replies holds at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from leadnurture.domain.condition import Condition, Reacted
from leadnurture.domain.program import Arm, Go, Handoff, Send, Step
from leadnurture.engine import (
    Sorting,
    begin_wave,
    decide_handoff,
    finish_wave,
    look,
    run_step,
    sort_reply,
)
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.inbox import replay, work_off
from leadnurture.links import Links
from leadnurture.mail import deliver, inbound_reader, next_sending, receive_inbound
from leadnurture.mail.claim import claim, reserve
from leadnurture.mail.freeze import Freezer
from tests.mail.letters import KEY, credentials, letter, raw
from tests.mail.providers import Kept
from tests.mail.scene import MACHINE, NOW, Scene, definitions

LINKS = Links("a secret of the tests", "https://news.example.com", "reply@in.example.com")
LATER = NOW + timedelta(hours=3)


def answer(scene: Scene, message_id: int, number: int = 1, at: datetime = NOW) -> None:
    """He answers a mail."""
    address = LINKS.answer_address(message_id)
    assert address
    post = raw(letter(message_id=f"<{number}@example.org>"), to=address)
    receive_inbound(scene.database, post, credentials(), KEY, at)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, at, lambda: MACHINE)


def go_on(scene: Scene, now: datetime) -> list[int | None]:
    """Looks, waves and mails until nothing moves; the mails that left."""
    provider = Kept()
    for _ in range(4):
        look(scene.database, "prospects", now)
        while wave := begin_wave(scene.database, "series", "tests", now, datetime.now(UTC)):  # noqa: TID251 - a lease
            done = [run_step(scene.database, "series", step, wave.number, now) for step, _ in wave.steps]
            finish_wave(scene.database, wave, done, "tests", 0.0)
        deliver(scene.database, provider, LINKS, now, machine_now=MACHINE)
    return provider.ids


def waiting_lead(scene: Scene) -> tuple[int, int]:
    """He has got a mail an hour ago and waits for a week; a second mail of another program is due."""
    lead = scene.lead(1)
    message = scene.message(lead, status="sent", attempt=1, attempt_at=NOW - timedelta(hours=1))
    enrollment = scene.enrollment_of(message).id
    until = NOW + timedelta(days=7)
    scene.change("enrollment", enrollment, deadline_at=until, due_at=until)
    return lead, message


def test_nothing_leaves_while_a_reply_is_unsorted(scene: Scene) -> None:
    lead, message = waiting_lead(scene)
    due = scene.message(lead, step="note", program="care", track="prospects")
    answer(scene, message)
    assert go_on(scene, NOW) == []
    assert [scene.enrollment_of(one).pause for one in (message, due)] == ["reply", "reply"]
    with scene.database.read() as connection:
        assert next_sending(connection, NOW) is None
    assert [row.rule for row in scene.rows("transition")] == ["replied", "replied"]


def test_sorted_he_goes_on_where_he_stood_and_the_pause_does_not_count(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    before = scene.enrollment_of(message)
    answer(scene, message)
    (reply,) = scene.rows("reply")
    done = sort_reply(scene.database, reply.id, "resume", "dana", LATER)
    assert (done.decision, done.was_open, done.by) == ("resume", True, "dana")
    after = scene.enrollment_of(message)
    assert (after.status, after.pause, after.step) == ("active", None, before.step)
    assert after.deadline_at == before.deadline_at + timedelta(hours=3)
    (reply,) = scene.rows("reply")
    assert (reply.sorted_at, reply.sorted_by, reply.decision) == (LATER, "dana", "resume")


def test_a_mail_that_waited_for_the_sorting_leaves_then(scene: Scene) -> None:
    lead, message = waiting_lead(scene)
    enrollment = scene.enrollment_of(message)
    scene.change("enrollment", enrollment.id, status="completed", due_at=None, deadline_at=None)
    due = scene.message(lead, step="letter")
    answer(scene, message)
    assert go_on(scene, NOW) == []
    sort_reply(scene.database, scene.rows("reply")[0].id, "resume", "dana", NOW)
    assert go_on(scene, NOW) == [due]


def test_the_first_decision_wins_and_sorts_all_that_he_wrote(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    answer(scene, message, 1)
    answer(scene, message, 2)
    first, second = scene.rows("reply")
    assert sort_reply(scene.database, first.id, "resume", "dana", LATER).was_open
    late = sort_reply(scene.database, second.id, "unsubscribe", "viktor", LATER)
    assert (late.decision, late.was_open, late.by) == ("resume", False, "dana")
    assert scene.rows("suppression") == []


def test_sorted_as_ended_his_programs_are_over(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    answer(scene, message)
    sort_reply(scene.database, scene.rows("reply")[0].id, "end", "dana", LATER)
    assert scene.enrollment_of(message).status == "exited"
    assert scene.rows("transition")[-1].rule == "reply sorted by dana"


def test_sorted_as_a_farewell_he_gets_no_more_mail(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    answer(scene, message)
    sort_reply(scene.database, scene.rows("reply")[0].id, "unsubscribe", "dana", LATER)
    assert [row.reason for row in scene.rows("suppression")] == ["unsubscribed"]
    look(scene.database, "prospects", LATER)
    assert scene.enrollment_of(message).status not in {"active", "paused"}


def test_a_decision_or_reply_that_there_is_not_is_an_error(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    answer(scene, message)
    wrong: Sorting = "forget"  # type: ignore[assignment] # as a form may say it
    with pytest.raises(InvalidInputError, match="resume, end, unsubscribe"):
        sort_reply(scene.database, scene.rows("reply")[0].id, wrong, "dana", NOW)
    with pytest.raises(NotFoundError, match="There is no reply 99"):
        sort_reply(scene.database, 99, "resume", "dana", NOW)


def test_a_replay_pauses_nobody_again(scene: Scene) -> None:
    _, message = waiting_lead(scene)
    answer(scene, message)
    sort_reply(scene.database, scene.rows("reply")[0].id, "resume", "dana", NOW)
    replay(scene.database)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, LATER, lambda: MACHINE)
    assert scene.enrollment_of(message).status == "active"
    assert len(scene.rows("reply")) == 1


# Programs that say what a reply leads to


@pytest.fixture
def listening(scene: Scene) -> Scene:
    """The series calls whoever replies."""
    whole = definitions()
    series = whole.programs[0]
    on = (Arm("replied", Condition("replied", Reacted("replied")), Go(step="call")),)
    call = Step("call", handoff=Handoff("Replied"), line=9)
    steps = tuple(replace(step, then=(Arm("", None, Go(end=True)),)) for step in series.steps)
    scene.apply(programs=(replace(series, on=on, steps=(*steps, call)), whole.programs[1]))
    return scene


def test_a_program_that_listens_for_replies_does_what_it_says_at_once(listening: Scene) -> None:
    scene = listening
    lead, message = waiting_lead(scene)
    queued = scene.message(lead, step="note", program="care", track="prospects")
    answer(scene, message)
    assert [scene.enrollment_of(one).pause for one in (message, queued)] == [None, "reply"]
    assert go_on(scene, NOW) == []
    (handoff,) = scene.rows("handoff")
    assert (handoff.reason, handoff.status) == ("Replied", "open")
    assert scene.enrollment_of(message).pause == "handoff"

    # Sorting does not take sales' decision away: the other program waits for that, then goes on.
    sort_reply(scene.database, scene.rows("reply")[0].id, "resume", "dana", NOW)
    assert [scene.enrollment_of(one).pause for one in (message, queued)] == ["handoff", "handoff"]
    decide_handoff(scene.database, handoff.id, "accepted", "lena", LATER)
    assert scene.enrollment_of(queued).status == "exited"


def test_what_such_a_program_sends_next_waits_for_the_sorting(scene: Scene) -> None:
    whole = definitions()
    series = whole.programs[0]
    on = (Arm("replied", Condition("replied", Reacted("replied")), Go(step="letter")),)
    steps = (series.steps[0], Step("letter", send=Send("letter"), line=2))
    scene.apply(programs=(replace(series, on=on, steps=steps), whole.programs[1]))
    _, message = waiting_lead(scene)
    answer(scene, message)
    assert go_on(scene, NOW) == []
    planned = [row.id for row in scene.rows("message") if row.status == "planned"]
    assert len(planned) == 1
    sort_reply(scene.database, scene.rows("reply")[0].id, "resume", "dana", NOW)
    assert go_on(scene, NOW) == planned


def test_a_reply_between_the_reservation_and_the_claim_holds_the_mail(scene: Scene) -> None:
    lead, message = waiting_lead(scene)
    scene.change("enrollment", scene.enrollment_of(message).id, status="completed")
    due = scene.message(lead, step="letter")
    freezer = Freezer(LINKS)
    with scene.database.read() as connection:
        freezer.load(connection)
    picks = scene.database.run(
        lambda connection: reserve(connection, "w", NOW, MACHINE, MACHINE + timedelta(minutes=5), 10)
    )
    assert [pick.message_id for pick in picks] == [due]
    answer(scene, message)
    scene.change("lead", lead, look_at=None)
    scene.change("enrollment", scene.enrollment_of(due).id, status="active", pause=None, paused_at=None)
    claimed = scene.database.run(
        lambda connection: claim(connection, "w", picks, freezer, NOW, MACHINE + timedelta(minutes=5))
    )
    assert claimed.mails == ()
    assert scene.row("message", due).status == "planned"

"""What a reader wants is asked again in the transaction that claims his mail: topics, pace, a pause."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadnurture import mail
from leadnurture.engine import Choice, Preferences, choose_preferences, preferences_of
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.mail import Accepted, Delivered, deliver
from leadnurture.mail.delivery import Delivery, Result
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, Scene, definitions
from tests.mail.statements import counted

DAY = timedelta(days=1)
TOPICS = ("scaling", "security")
ALL = frozenset(TOPICS)
IN_SPRING = datetime(2027, 3, 7, 23, 0, tzinfo=UTC)
"""The midnight in Berlin three months after NOW."""


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """The company has topics: the guide is about both, the talk about scaling, the letter about none."""
    company = replace(definitions().company, topics=TOPICS, locales=("en", "de"))
    guide, letter, talk = definitions().contents
    contents = (replace(guide, topics=TOPICS), letter, replace(talk, topics=("scaling",)))
    scene.apply(company=company, contents=contents)
    return scene


def choose(
    scene: Scene,
    lead_id: int,
    topics: frozenset[str] = ALL,
    now: datetime = NOW,
    *,
    mails: int | None = None,
    pause: int | None = None,
) -> None:
    """The lead chooses, and the look that this wakes is done."""
    choose_preferences(scene.database, lead_id, Choice(topics, mails, pause), "the lead", now)
    assert scene.row("lead", lead_id).look_at == now
    scene.change("lead", lead_id, look_at=None)


def send(scene: Scene, now: datetime = NOW) -> Delivered:
    return deliver(scene.database, Kept(), LINKS, now, machine_now=MACHINE)


# Topics


def test_a_topic_that_is_unwanted_since_the_planning_stops_the_mail(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    choose(scene, lead_id, frozenset())
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "the lead wants no mail about its topics", "unwanted")


def test_a_mail_about_one_wanted_topic_leaves(scene: Scene) -> None:
    lead_id = scene.lead(1)
    scene.message(lead_id)
    choose(scene, lead_id, frozenset({"scaling"}))
    assert send(scene) == Delivered(sent=1)


def test_what_is_unwanted_is_a_rule_of_the_engine_alone() -> None:
    """The claim asks it, and has none of its own that could say something else."""
    for file in Path(mail.__file__).parent.glob("*.py"):
        assert "unwanted_topic" not in file.read_text(), file.name


def test_a_mail_about_no_topic_leaves_whatever_is_unwanted(scene: Scene) -> None:
    lead_id = scene.lead(1)
    scene.message(lead_id, content="letter", session_content="letter", step="letter")
    choose(scene, lead_id, frozenset())
    assert send(scene) == Delivered(sent=1)


def test_a_mail_about_a_webinar_is_about_its_topics(scene: Scene) -> None:
    unwanted, wanted = scene.lead(1), scene.lead(2)
    for lead_id in (unwanted, wanted):
        scene.message(lead_id, content="letter", session_content="talk", session="january", step="letter")
    choose(scene, unwanted, frozenset({"security"}))
    choose(scene, wanted, frozenset({"scaling"}))
    assert send(scene) == Delivered(sent=1, refused=1)


def test_who_ticks_a_topic_again_gets_mail_about_it(scene: Scene) -> None:
    lead_id = scene.lead(1)
    choose(scene, lead_id, frozenset())
    choose(scene, lead_id)
    scene.message(lead_id)
    assert send(scene) == Delivered(sent=1)


# The pace


def gone(scene: Scene, lead_id: int, *days_ago: int) -> None:
    """Mails that were sent so many days ago, in programs that ended."""
    for days in days_ago:
        message_id = scene.message(lead_id, step=f"old{days}")
        scene.change("enrollment", scene.enrollment_of(message_id).id, status="completed")
        scene.change("message", message_id, status="delivered", attempt_at=NOW - days * DAY)


@pytest.mark.parametrize(("days_ago", "leaves"), [((29,), False), ((30,), True), ((), True)])
def test_a_pace_that_is_stricter_than_the_agreement_holds(
    scene: Scene, days_ago: tuple[int, ...], *, leaves: bool
) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, *days_ago)
    message_id = scene.message(lead_id)
    choose(scene, lead_id, mails=1)
    assert send(scene) == (Delivered(sent=1) if leaves else Delivered(moved=1))
    assert scene.row("message", message_id).send_at == (NOW if leaves else NOW + DAY)


def test_two_mails_at_once_are_one_too_many_for_one_a_month(scene: Scene) -> None:
    lead_id = scene.lead(1)
    high, low = scene.message(lead_id, priority=5), scene.message(lead_id, program="care", step="note")
    scene.change("message", low, track="prospects")
    choose(scene, lead_id, mails=1)
    assert send(scene) == Delivered(sent=1, moved=1)
    assert scene.row("message", high).status == "sent"


def test_the_pace_of_the_agreement_holds_where_it_is_the_stricter_one(scene: Scene) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1, 2)
    scene.message(lead_id)
    choose(scene, lead_id, mails=4)
    assert send(scene) == Delivered(moved=1)


def test_the_pace_of_one_lead_is_not_that_of_another(scene: Scene) -> None:
    strict, other = scene.lead(1), scene.lead(2)
    for lead_id in (strict, other):
        gone(scene, lead_id, 10)
        scene.message(lead_id)
    choose(scene, strict, mails=1)
    assert send(scene) == Delivered(sent=1, moved=1)


# A pause


def test_a_pause_that_is_set_between_planning_and_claim_stops_the_mail(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    choose(scene, lead_id, pause=3)
    assert send(scene) == Delivered(moved=1)
    message = scene.row("message", message_id)
    assert (message.status, message.send_at, message.planned_at) == ("planned", IN_SPRING, NOW)


def test_after_a_pause_a_mail_that_may_be_late_leaves_in_its_next_window(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    choose(scene, lead_id, pause=3)
    send(scene)
    assert send(scene, IN_SPRING) == Delivered(moved=1)
    tuesday = datetime(2027, 3, 9, 9, 0, tzinfo=UTC)
    assert scene.row("message", message_id).send_at == tuesday
    assert send(scene, tuesday) == Delivered(sent=1)


def test_after_a_pause_a_mail_that_may_not_be_late_is_not_sent(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id, late="skip")
    choose(scene, lead_id, pause=3)
    send(scene)
    assert send(scene, IN_SPRING) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "its window had closed", "late")


def test_the_later_of_hold_and_pause_counts(scene: Scene) -> None:
    held, paused = scene.lead(1, hold_until=NOW + 200 * DAY), scene.lead(2, hold_until=NOW + 2 * DAY)
    messages = [scene.message(lead_id) for lead_id in (held, paused)]
    for lead_id in (held, paused):
        choose(scene, lead_id, pause=3)
    assert send(scene) == Delivered(moved=2)
    assert [scene.row("message", each).send_at for each in messages] == [NOW + 200 * DAY, IN_SPRING]


def test_who_ends_his_pause_gets_what_waited_for_it(scene: Scene) -> None:
    lead_id = scene.lead(1)
    waits, later = scene.message(lead_id, late_at=None), scene.message(lead_id, program="care", step="note")
    scene.change("message", later, track="prospects", send_at=NOW + 100 * DAY)
    choose(scene, lead_id, pause=3)
    send(scene)
    choose(scene, lead_id, now=NOW + DAY)
    assert scene.row("message", waits).send_at == IN_SPRING, "what is left out stays as it is"
    choose(scene, lead_id, now=NOW + DAY, pause=0)
    assert scene.row("message", later).send_at == NOW + 100 * DAY
    assert send(scene, NOW + DAY) == Delivered(sent=1)


def test_a_pause_of_months_ends_at_a_local_midnight(scene: Scene) -> None:
    lead_id = scene.lead(1, zone="America/New_York")
    choose(scene, lead_id, now=datetime(2026, 8, 31, 12, 0, tzinfo=UTC), pause=6)
    (row,) = scene.rows("preference")
    assert row.paused_until == datetime(2027, 2, 28, 5, 0, tzinfo=UTC)


# Service


def test_what_answers_him_leaves_whatever_he_chose(scene: Scene) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1)
    message_id = scene.message(lead_id, is_service=True, needs_consent=False)
    choose(scene, lead_id, frozenset(), mails=1, pause=6)
    assert send(scene) == Delivered(sent=1)
    assert scene.row("message", message_id).status == "sent"


def test_what_answers_him_does_not_count_for_his_pace(scene: Scene) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1)
    (answer,) = (row.id for row in scene.rows("message"))
    scene.change("message", answer, is_service=True)
    scene.message(lead_id)
    choose(scene, lead_id, mails=1)
    assert send(scene) == Delivered(sent=1)


# Choosing


def test_what_was_chosen_is_read_back_and_noted(scene: Scene) -> None:
    lead_id = scene.lead(1)
    choose_preferences(scene.database, lead_id, Choice(frozenset({"scaling"}), 2, 3, "de"), "the lead", NOW)
    with scene.database.read() as connection:
        wants = preferences_of(connection, lead_id, NOW)
        after = preferences_of(connection, lead_id, IN_SPRING)
    assert wants == Preferences(frozenset({"security"}), 2, IN_SPRING)
    assert after == Preferences(frozenset({"security"}), 2, None)
    assert scene.row("lead", lead_id).language == "de"
    (noted,) = scene.rows("audit")
    assert (noted.actor, noted.act, noted.subject) == ("the lead", "chose preferences", f"lead {lead_id}")
    assert noted.detail == "nothing about security, at most 2 a month, paused until 2027-03-07, in de"


def test_a_topic_that_the_company_does_not_have_now_stays_unwanted(scene: Scene) -> None:
    lead_id = scene.lead(1)
    choose(scene, lead_id, frozenset({"scaling"}))
    scene.apply(company=replace(definitions().company, topics=("scaling",)))
    choose(scene, lead_id, frozenset({"scaling"}))
    assert [row.topic for row in scene.rows("unwanted_topic")] == ["security"]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(frozenset({"monitoring"})),
        Choice(ALL, mails=3),
        Choice(ALL, mails=-1),
        Choice(ALL, pause=2),
        Choice(ALL, pause=-6),
        Choice(ALL, language="fr"),
    ],
)
def test_what_is_not_offered_cannot_be_chosen(scene: Scene, choice: Choice) -> None:
    lead_id = scene.lead(1)
    with pytest.raises(InvalidInputError):
        choose_preferences(scene.database, lead_id, choice, "the lead", NOW)
    assert scene.rows("preference") == []


def test_nobody_else_chooses(scene: Scene) -> None:
    with pytest.raises(NotFoundError):
        choose_preferences(scene.database, 999, Choice(ALL), "the lead", NOW)


# What it costs


def test_preferences_cost_no_statement_a_mail(scene: Scene) -> None:
    def deliver_many(first: int, count: int) -> int:
        for number in range(first, first + count):
            lead_id = scene.lead(number, language=("", "de")[number % 2])
            scene.message(lead_id)
            if number % 3:
                choose(scene, lead_id, mails=(None, 2)[number % 2])
        delivery = Delivery(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE)
        with scene.database.read() as connection:
            delivery._freezer.load(connection)
        with counted(scene.database) as statements:
            claimed = delivery.claim(delivery.reserve(2000))
            delivery.mark([Result(frozen.message_id, Accepted()) for frozen in claimed])
        assert len(claimed) == count
        return len(statements)

    deliver_many(1, 1)
    assert deliver_many(10, 6) == deliver_many(100, 60)


def test_choosing_costs_the_same_whatever_waits(scene: Scene) -> None:
    def cost(number: int, messages: int) -> int:
        lead_id = scene.lead(number)
        for step in range(messages):
            message_id = scene.message(lead_id, step=f"old{step}")
            scene.change("enrollment", scene.enrollment_of(message_id).id, status="completed")
        with counted(scene.database) as statements:
            choose_preferences(scene.database, lead_id, Choice(frozenset(), pause=1), "the lead", NOW)
        return len(statements)

    cost(1, 1)
    assert cost(2, 1) == cost(3, 30)

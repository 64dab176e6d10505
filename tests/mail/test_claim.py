"""The claim: whatever forbids a mail is asked again in the transaction that claims it (I3, I4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert

from leadnurture.domain.agreement import Agreement
from leadnurture.engine import NewReaction, record_reactions
from leadnurture.mail import Accepted, Delivered, deliver, next_sending, target_of
from leadnurture.mail.delivery import Delivery, Result
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, Scene, definitions
from tests.mail.statements import counted

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def send(scene: Scene, now: datetime = NOW, provider: Kept | None = None, **options: Any) -> Delivered:  # noqa: ANN401 - columns of any table
    """A delivery to a provider that accepts everything."""
    return deliver(scene.database, provider or Kept(), LINKS, now, machine_now=MACHINE, **options)


# What forbids a mail for ever


def test_an_unsubscribe_between_planning_and_claim_holds(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    record_reactions(scene.database, [NewReaction("unsubscribed", "u1", "web", lead_id=lead_id)], NOW)
    scene.change("lead", lead_id, look_at=None)
    assert send(scene).sent == 0
    assert scene.row("message", message_id).status == "cancelled"


def test_a_suppressed_address_is_refused_whoever_suppressed_it(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    scene.insert("suppression", email_key="lead1@example.org", reason="imported", at=NOW)
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "the address is suppressed: imported", "refused")


def test_without_consent_nothing_leaves(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1, consent=False))
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "there is no consent", "refused")


@pytest.mark.parametrize(
    "change", [{"withdrawn_at": NOW - HOUR}, {"purpose": "newsletter"}, {"given_at": NOW + HOUR}]
)
def test_consent_must_hold_now_and_for_this_purpose(scene: Scene, change: dict[str, Any]) -> None:
    lead_id = scene.lead(1, consent=False)
    scene.message(lead_id)
    row = {"lead_id": lead_id, "purpose": "marketing", "given_at": NOW - DAY, "source": "", "wording": ""}
    scene.insert("consent", **row | change)
    assert send(scene) == Delivered(refused=1)


def test_a_program_that_asks_for_no_consent_needs_none(scene: Scene) -> None:
    scene.message(scene.lead(1, consent=False), needs_consent=False)
    assert send(scene).sent == 1


def test_who_became_a_client_gets_no_prospects_mail(scene: Scene) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    scene.change("lead", lead_id, track="clients")
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "the lead has changed the track", "cancelled")


def test_a_client_gets_the_clients_variant_from_the_account_manager(scene: Scene) -> None:
    account_id = scene.insert("account", name="Alpha", name_key="alpha", owner="nora", created_at=NOW)
    scene.message(scene.lead(1, track="clients", account_id=account_id), program="care", step="note")
    provider = Kept()
    send(scene, provider=provider)
    (mail,) = provider.mails
    assert (mail.subject, mail.sender_name, mail.sender, mail.reply_to) == (
        "Your guide",
        "Nora Blum",
        "nora@example.com",
        ("nora@example.com",),
    )
    assert mail.text.startswith("Dear Ann1 Ott, yours Nora Blum")


def test_a_mail_about_a_session_that_was_called_off_is_cancelled(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1), content="letter", session_content="talk", session="january")
    with scene.database.write() as connection:
        sessions = scene.tables["content_session"]
        connection.execute(sessions.update().values(starts_at=None))
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "the session was cancelled", "cancelled")


def test_nobody_is_invited_to_a_session_that_has_begun(scene: Scene) -> None:
    lead_id = scene.lead(1)
    during = datetime(2027, 1, 19, 9, 10, tzinfo=UTC)
    invitation = scene.message(
        lead_id, content="talk", session_content="talk", session="january", send_at=during, late_at=None
    )
    recording = scene.message(
        scene.lead(2),
        content="letter",
        session_content="talk",
        session="january",
        send_at=during,
        late_at=None,
    )
    assert send(scene, during) == Delivered(sent=1, refused=1)
    assert scene.outcome(invitation)[2] == "late"
    assert scene.row("message", recording).status == "sent"


def test_an_enrollment_that_ended_sends_nothing(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    scene.change("enrollment", scene.enrollment_of(message_id).id, status="exited")
    assert send(scene) == Delivered(refused=1)
    assert scene.row("message", message_id).status == "cancelled"


# What must be judged first


@pytest.mark.parametrize("changed", ["lead", "enrollment", "paused"])
def test_a_mail_waits_for_the_look_the_wave_and_the_end_of_a_pause(scene: Scene, changed: str) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    enrollment_id = scene.enrollment_of(message_id).id
    if changed == "lead":
        scene.change("lead", lead_id, look_at=NOW)
    elif changed == "enrollment":
        scene.change("enrollment", enrollment_id, due_at=NOW)
    else:
        scene.change("enrollment", enrollment_id, status="paused")
    assert send(scene) == Delivered()
    assert scene.outcome(message_id) == ("planned", None, None)
    with scene.database.read() as connection:
        assert next_sending(connection, NOW) is None
    scene.change("lead", lead_id, look_at=NOW + HOUR)
    scene.change("enrollment", enrollment_id, due_at=None, status="active")
    assert send(scene) == Delivered(sent=1)


# What moves a mail


def test_a_hold_moves_the_mail_to_its_end(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1, hold_until=NOW + 3 * HOUR))
    assert send(scene) == Delivered(moved=1)
    assert scene.row("message", message_id).send_at == NOW + 3 * HOUR
    assert send(scene, NOW + 3 * HOUR).sent == 1


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("America/New_York", datetime(2026, 12, 8, 14, 0, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 12, 9, 0, 0, tzinfo=UTC)),
    ],
)
def test_nothing_leaves_outside_of_the_leads_own_working_hours(
    scene: Scene, zone: str, opens: datetime
) -> None:
    lead_id = scene.lead(1, zone=zone)
    message_id = scene.message(lead_id, late_at=None)
    scene.apply(
        company=replace(definitions().company, name="Querfeld AG")
    )  # a new version fills the calendar of new zones, and has everything judged anew
    scene.change("lead", lead_id, look_at=None)
    scene.change("enrollment", scene.enrollment_of(message_id).id, due_at=None)
    assert send(scene) == Delivered(moved=1)
    assert scene.row("message", message_id).send_at == opens
    assert send(scene, opens).sent == 1


def test_a_mail_that_missed_its_window_has_the_next_one_of_its_step(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    assert send(scene, NOW + DAY) == Delivered(moved=1)
    message = scene.row("message", message_id)
    week = timedelta(days=7)
    assert (message.planned_at, message.send_at) == (NOW + week, NOW + week)
    assert message.late_at == NOW + week + 7 * HOUR
    # `after: 1 week` ends at a local midnight, a week later than before.
    assert message.wait_until == datetime(2026, 12, 21, 23, 0, tzinfo=UTC)


def test_a_mail_without_an_hour_of_its_own_has_its_next_window_when_work_opens(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1), step="letter", content="letter")
    send(scene, NOW + timedelta(hours=20))
    assert scene.row("message", message_id).send_at == datetime(2026, 12, 9, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("rule", ["skip", "within"])
def test_a_mail_that_may_not_be_late_is_not_sent(scene: Scene, rule: str) -> None:
    message_id = scene.message(scene.lead(1), late=rule)
    assert send(scene, NOW + DAY) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "its window had closed", "late")


# The pace: two in any seven days


def gone(scene: Scene, lead_id: int, *days_ago: int) -> None:
    """Mails that were sent so many days ago, in programs that ended."""
    for days in days_ago:
        message_id = scene.message(lead_id, step=f"old{days}")
        scene.change("enrollment", scene.enrollment_of(message_id).id, status="completed")
        scene.change(
            "message", message_id, status="delivered", attempt_at=NOW - days * DAY + timedelta(seconds=30)
        )


def test_the_pace_moves_a_mail_to_the_next_working_day_at_the_same_hour(scene: Scene) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1, 6)
    message_id = scene.message(lead_id)
    assert send(scene) == Delivered(moved=1)
    message = scene.row("message", message_id)
    assert (message.send_at, message.planned_at, message.late_at) == (NOW + DAY, NOW, NOW + DAY + 7 * HOUR)
    assert send(scene, NOW + DAY) == Delivered(sent=1)


def test_weekly_mails_stay_weekly(scene: Scene) -> None:
    scene.apply(agreements=(replace(definitions().agreements[0], pace=(1, 7)), definitions().agreements[1]))
    lead_id = scene.lead(1)
    gone(scene, lead_id, 7)
    scene.message(lead_id)
    assert send(scene) == Delivered(sent=1)


def test_the_higher_priority_goes_first_and_the_other_moves(scene: Scene) -> None:
    scene.apply(agreements=(replace(definitions().agreements[0], pace=(1, 1)), definitions().agreements[1]))
    lead_id = scene.lead(1)
    low = scene.message(lead_id, planned_at=NOW - HOUR, send_at=NOW - HOUR)
    scene.change("enrollment", scene.enrollment_of(low).id, program="care")
    high = scene.message(lead_id, priority=5)
    assert send(scene, parallel=1) == Delivered(sent=1, moved=1)
    assert (scene.row("message", high).status, scene.row("message", low).status) == ("sent", "planned")


def test_a_friday_is_followed_by_a_monday(scene: Scene) -> None:
    friday = datetime(2026, 12, 11, 9, 0, tzinfo=UTC)
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1, 2)
    message_id = scene.message(lead_id, send_at=friday, late_at=None)
    send(scene, friday)
    assert scene.row("message", message_id).send_at == datetime(2026, 12, 14, 9, 0, tzinfo=UTC)


def test_after_thirty_days_the_pace_gives_a_mail_up(scene: Scene) -> None:
    lead_id = scene.lead(1)
    gone(scene, lead_id, 1, 2)
    message_id = scene.message(lead_id, planned_at=NOW - 30 * DAY)
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("cancelled", "the pace left no room for it within 30 days", "held")


def test_without_a_pace_all_leave(scene: Scene) -> None:
    agreement: Agreement = replace(definitions().agreements[0], pace=None)
    scene.apply(agreements=(agreement, definitions().agreements[1]))
    lead_id = scene.lead(1)
    gone(scene, lead_id, 0, 1, 2, 3)
    scene.message(lead_id)
    assert send(scene).sent == 1


# What a mail is made of


def test_facts_sessions_and_links_stand_in_the_mail(scene: Scene) -> None:
    account_id = scene.insert("account", name="Alpha", name_key="alpha", created_at=NOW)
    lead_id = scene.lead(1, account_id=account_id)
    scene.insert("lead_fact", lead_id=lead_id, name="budget_on", number=20_800)
    scene.insert("account_fact", account_id=account_id, name="employees", number=1200)
    letter = scene.message(lead_id, content="letter", variant="b", step="letter")
    talk = scene.message(
        scene.lead(2, zone="Europe/Berlin"), content="talk", session_content="talk", session="january"
    )
    provider = Kept()
    send(scene, provider=provider)
    mails = {mail.message_id: mail for mail in provider.mails}
    assert mails[letter].text.startswith("B 13 December 2026 1200\n")
    assert mails[talk].subject == "The talk"
    assert mails[talk].text.startswith(
        "Tuesday 19 January 2027, 10:00 to 10:45, Berlin time Seat <https://news.example.com/w/"
    )
    assert "Preheader" not in mails[talk].text


def test_a_link_of_a_mail_is_looked_up_by_its_name(scene: Scene) -> None:
    provider = Kept()
    message_id = scene.message(scene.lead(1))
    send(scene, provider=provider)
    token = provider.mails[0].text.partition("/c/")[2].partition(">")[0]
    click = LINKS.read_click(token)
    assert click is not None
    with scene.database.read() as connection:
        assert target_of(connection, click.message_id, click.target) == "https://www.example.com/guide"
        assert target_of(connection, message_id, "https://elsewhere.example") is None


def test_missing_facts_show_nothing(scene: Scene) -> None:
    scene.message(scene.lead(1), content="letter")
    provider = Kept()
    send(scene, provider=provider)
    assert provider.mails[0].text.startswith("A\n")


def test_without_a_template_for_the_track_nothing_is_sent(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    with scene.database.write() as connection:
        connection.execute(
            delete(scene.tables["content_track"]).where(scene.tables["content_track"].c.track == "prospects")
        )
    assert send(scene) == Delivered(refused=1)
    assert scene.outcome(message_id) == ("failed", "there is no template for the track", "failed")


def test_statements_do_not_depend_on_the_number_of_mails(scene: Scene) -> None:
    def deliver_many(count: int, first: int) -> list[str]:
        for number in range(first, first + count):
            many(scene, number)
        delivery = Delivery(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE)
        with scene.database.read() as connection:
            delivery._freezer.load(connection)
        with counted(scene.database) as statements:
            claimed = delivery.claim(delivery.reserve(2000))
            delivery.mark([Result(frozen.message_id, Accepted()) for frozen in claimed])
        assert len(claimed) == count
        return statements

    deliver_many(1, 0)
    assert len(deliver_many(10, 10)) == len(deliver_many(1000, 1000))


def many(scene: Scene, number: int) -> None:
    """One more lead with a due mail, by one transaction."""
    with scene.database.write() as connection:
        lead = scene.tables["lead"]
        values = {
            "email": f"{number}@x.org",
            "email_key": f"{number}@x.org",
            "track": "prospects",
            "stage": "new",
            "stage_since": NOW,
        }
        rest = dict.fromkeys(
            ("first_name", "last_name", "country", "language", "role", "source", "zone_given"), ""
        )
        figures = {
            "fit": 0,
            "engagement": 0,
            "score": 0,
            "luck": 1,
            "zone": "Europe/Berlin",
            "created_at": NOW,
        }
        lead_id = connection.execute(insert(lead).values(**values, **rest, **figures)).inserted_primary_key[0]  # type: ignore[index] # one row
        version = connection.execute(scene.tables["program_version"].select().limit(1)).one().id
        enrollment_id = connection.execute(
            insert(scene.tables["enrollment"]).values(
                lead_id=lead_id,
                program="series",
                version_id=version,
                status="active",
                step="invite",
                visit=1,
                arrived_at=NOW,
                seen_reaction_id=0,
                acted=True,
                wave=0,
                started_at=NOW,
            )
        ).inserted_primary_key[0]  # type: ignore[index] # one row
        connection.execute(
            insert(scene.tables["message"]).values(
                enrollment_id=enrollment_id,
                lead_id=lead_id,
                program="series",
                step="invite",
                visit=1,
                track="prospects",
                content="guide",
                status="planned",
                priority=0,
                needs_consent=False,
                planned_at=NOW,
                send_at=NOW,
                late="skip",
                attempt=0,
            )
        )

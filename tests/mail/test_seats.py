"""The mails about a seat: each once, at any hour, with an entry for the calendar that stays the same one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from leadnurture.domain.content import Session
from leadnurture.domain.timing import Duration
from leadnurture.engine import (
    LeadInput,
    NewReaction,
    current_definitions,
    import_leads,
    look,
    merge_leads,
    record_reactions,
    undo_merge,
)
from leadnurture.engine.seats import announce
from leadnurture.mail import Accepted, recover, show
from leadnurture.mail.delivery import LEASE, Delivery, mail_of
from leadnurture.mail.showing import invite_of
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, Scene
from tests.mail.seats import DAY, HOUR, STARTS, Seats, before, entries, entry, subjects
from tests.mail.statements import counted
from tests.plans import Plans

STARTS_AT = datetime(2027, 1, 19, 9, tzinfo=UTC)
MOVED = datetime(2027, 1, 26, 15)  # noqa: DTZ001 - local, as in a file
MOVED_AT = datetime(2027, 1, 26, 14, tzinfo=UTC)
AGAIN = datetime(2027, 2, 2, 11)  # noqa: DTZ001 - local, as in a file
SATURDAY_NIGHT = datetime(2026, 12, 12, 22, 30, tzinfo=UTC)


@pytest.fixture
def seats(scene: Scene) -> Seats:
    """The webinar, nine in the morning UTC in January."""
    seats = Seats(scene)
    seats.apply(STARTS)
    return seats


# Taken


def test_whoever_takes_a_seat_has_it_confirmed_with_an_entry_for_his_calendar(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    (mail,) = seats.sent()
    assert mail.subject == "seat-confirmation for prospects"
    assert "The talk, Tuesday 19 January 2027, 10:00 to 10:45, Berlin time" in mail.text
    found = entry(mail)
    assert (found.method, found.status, found.sequence, found.title) == (
        "REQUEST",
        "CONFIRMED",
        0,
        "The talk",
    )
    assert (found.begins_at, found.ends_at) == (STARTS_AT, STARTS_AT + timedelta(minutes=45))
    assert b"DTSTART:20270119T090000Z\r\n" in found.text
    assert found.text.isascii()


def test_he_is_reminded_a_day_and_an_hour_before_and_never_again(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    assert seats.planned() == {
        "reminder/1 day/0": STARTS_AT - timedelta(days=1),
        "reminder/1 hour/0": STARTS_AT - timedelta(hours=1),
    }
    assert seats.sent(before(STARTS_AT, days=1, minutes=1)) == []
    (first,) = seats.sent(before(STARTS_AT, days=1))
    (second,) = seats.sent(before(STARTS_AT, hours=1))
    assert subjects([first, second]) == ["seat-reminder for prospects"] * 2
    assert entry(first).uid == entry(second).uid
    assert seats.sent(STARTS_AT) == []


def test_a_seat_in_the_only_session_needs_no_name_of_it(seats: Seats) -> None:
    """Nor does giving it back."""
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered", None)
    assert subjects(seats.sent()) == ["seat-confirmation for prospects"]
    assert set(seats.planned()) == {"reminder/1 day/0", "reminder/1 hour/0"}
    seats.now += timedelta(hours=1)
    seats.tell(lead_id, "registered")
    assert seats.sent() == [], "it is the seat that he has"
    seats.tell(lead_id, "declined", None)
    assert seats.planned() == {}


def test_of_several_sessions_the_only_one_ahead_is_meant(seats: Seats) -> None:
    seats.apply(STARTS, MOVED)
    either, later = seats.scene.lead(1), seats.scene.lead(2)
    seats.tell(either, "registered", None)
    assert seats.rows() == []
    seats.now = STARTS_AT
    seats.tell(later, "registered", None)
    assert {row.session for row in seats.rows()} == {"february"}
    seats.tell(either, "attended", None)
    standing = {(row.lead_id, row.kind): row.session for row in seats.scene.rows("standing")}
    assert standing[either, "attended"] == "january"


def test_a_seat_that_is_told_thrice_is_one_seat(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    for hours, source in enumerate(("web", "api", "webinar zoom")):
        seats.now = NOW + timedelta(hours=hours)
        seats.tell(lead_id, "registered", source=source)
    assert subjects(seats.sent()) == ["seat-confirmation for prospects"]
    assert len(seats.rows()) == 3


def test_who_takes_a_seat_late_gets_no_reminder_that_lies_behind(seats: Seats) -> None:
    seats.now = before(STARTS_AT, hours=3)
    seats.tell(seats.scene.lead(1), "registered")
    assert set(seats.planned()) == {"confirmation", "reminder/1 hour/0"}


def test_nobody_is_written_to_about_a_session_that_has_begun(seats: Seats) -> None:
    seats.now = STARTS_AT
    seats.tell(seats.scene.lead(1), "registered")
    assert seats.rows() == []


def test_what_answers_him_leaves_at_any_hour_whatever_the_pace_a_hold_or_a_reply(seats: Seats) -> None:
    """Without consent besides."""
    lead_id = seats.scene.lead(1, consent=False, hold_until=NOW + timedelta(days=90))
    inbox = {
        "source": "inbound",
        "body": b"",
        "about": "",
        "status": "done",
        "attempts": 1,
        "received_at": NOW,
    }
    reply = {"matched_by": "address", "at": NOW, "sender": "a", "subject": "", "text": ""}
    seats.scene.insert("reply", inbox_id=seats.scene.insert("inbox", **inbox), lead_id=lead_id, **reply)
    for _ in range(2):
        gone = seats.scene.message(seats.scene.lead(2 + _), status="sent", attempt_at=SATURDAY_NIGHT)
        with seats.database.write() as connection:
            connection.execute(
                text("UPDATE message SET lead_id = :l WHERE id = :m"), {"l": lead_id, "m": gone}
            )
    seats.now = SATURDAY_NIGHT
    seats.tell(lead_id, "registered")
    assert subjects(seats.sent()) == ["seat-confirmation for prospects"]


def test_it_does_not_count_for_the_pace(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    seats.sent()
    seats.tell(lead_id, "declined")
    seats.now += timedelta(minutes=1)
    seats.tell(lead_id, "registered")
    seats.sent()
    seats.scene.message(lead_id)
    assert subjects(seats.sent()) == ["A guide for Ann1"]


def test_it_is_shown_again_exactly_as_it_was_sent(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    (mail,) = seats.sent()
    seats.apply(MOVED, title=(("en", "Another title"),))
    assert mail.message_id is not None
    with seats.database.read() as connection:
        shown, written = show(connection, mail.message_id), invite_of(connection, mail.message_id)
    assert (shown.html, shown.text) == (mail.html, mail.text)
    assert written is not None
    assert written.encode() == mail.attachments[0].content


# Given back


def test_whoever_gives_his_seat_back_is_not_reminded(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    seats.sent()
    seats.tell(lead_id, "declined")
    assert seats.planned() == {}
    assert seats.sent(before(STARTS_AT, hours=1)) == []
    assert {row.trouble for row in seats.rows("cancelled")} == {"there is no seat any more"}


def test_whoever_takes_a_seat_again_gets_everything_again_under_the_same_entry(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    (first,) = seats.sent()
    seats.tell(lead_id, "declined")
    seats.now += timedelta(hours=1)
    seats.tell(lead_id, "registered")
    (second,) = seats.sent()
    assert subjects([second]) == ["seat-confirmation for prospects"]
    assert entry(first).uid == entry(second).uid
    assert set(seats.planned()) == {"reminder/1 day/0", "reminder/1 hour/0"}


def test_whose_attendance_is_told_is_written_to_no_more(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    seats.tell(lead_id, "attended")
    assert seats.planned() == {}


# Moved and cancelled


def test_a_session_that_moves_moves_its_reminders_and_the_entry(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    (first,) = seats.sent()
    seats.apply(MOVED)
    (mail,) = seats.sent()
    assert mail.subject == "seat-moved for prospects"
    assert "Tuesday 26 January 2027, 15:00 to 15:45" in mail.text
    found = entry(mail)
    assert (found.method, found.sequence, found.begins_at) == ("REQUEST", 1, MOVED_AT)
    assert found.uid == entry(first).uid
    assert seats.planned() == {
        "reminder/1 day/1": MOVED_AT - timedelta(days=1),
        "reminder/1 hour/1": MOVED_AT - timedelta(hours=1),
    }


def test_a_session_that_moves_twice_is_told_twice_with_a_higher_sequence(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    found = []
    for date in (MOVED, AGAIN):
        seats.apply(date)
        (mail,) = seats.sent()
        found.append(entry(mail).sequence)
    assert found == [1, 2]


def test_what_was_not_sent_yet_tells_the_newest_date_alone(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.apply(MOVED)
    seats.apply(AGAIN)
    (mail,) = seats.sent()
    assert (mail.subject, entry(mail).sequence) == ("seat-confirmation for prospects", 2)
    assert "Tuesday 2 February 2027, 11:00" in mail.text


def test_a_move_that_was_not_told_yet_is_told_once_with_the_newest_date(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    seats.apply(MOVED)
    seats.apply(AGAIN)
    (mail,) = seats.sent()
    assert (mail.subject, entry(mail).sequence) == ("seat-moved for prospects", 2)


def test_a_cancelled_session_takes_its_entry_out_of_the_calendar(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    (first,) = seats.sent()
    seats.apply(None)
    assert set(seats.planned()) == {"cancelled/1"}
    (mail,) = seats.sent()
    assert mail.subject == "seat-cancelled for prospects"
    assert "Tuesday 19 January 2027" in mail.text
    found = entry(mail)
    assert (found.method, found.status, found.sequence) == ("CANCEL", "CANCELLED", 1)
    assert (found.uid, found.begins_at) == (entry(first).uid, STARTS_AT)
    assert seats.sent(before(STARTS_AT, hours=1)) == []


def test_a_session_that_leaves_the_file_is_cancelled(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    seats.apply()
    assert subjects(seats.sent()) == ["seat-cancelled for prospects"]


def test_a_session_that_is_over_may_leave_the_file_in_silence(seats: Seats) -> None:
    # The clock of an apply stands at NOW, so the session lies before it.
    seats.apply(NOW.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None) - timedelta(days=1))
    seats.now = NOW - timedelta(days=2)
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    seats.apply()
    assert [row for row in seats.rows() if row.content == "seat-cancelled"] == []


def test_a_cancelled_session_with_a_new_date_comes_back(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    (first,) = seats.sent()
    seats.apply(None)
    (cancelled,) = seats.sent()
    seats.apply(AGAIN)
    (mail,) = seats.sent()
    found = entry(mail)
    assert (mail.subject, found.method, found.sequence) == ("seat-moved for prospects", "REQUEST", 2)
    assert found.uid == entry(first).uid == entry(cancelled).uid
    assert set(seats.planned()) == {"reminder/1 day/2", "reminder/1 hour/2"}


def test_who_was_not_told_that_it_was_cancelled_is_only_told_the_new_date(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    seats.apply(None)
    seats.apply(AGAIN)
    (mail,) = seats.sent()
    assert (mail.subject, entry(mail).sequence) == ("seat-moved for prospects", 2)


def test_applying_the_same_again_plans_nothing(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.apply(MOVED)
    planned = seats.planned()
    seats.apply(MOVED)
    assert seats.planned() == planned
    seats.apply(MOVED, seats=50)
    assert seats.planned() == planned


def test_reminders_follow_the_file(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    seats.apply(STARTS, remind=(HOUR, Duration(1, "weeks")))
    assert set(seats.planned()) == {"reminder/1 hour/0", "reminder/1 week/0"}
    seats.apply(STARTS, remind=(DAY,))
    assert set(seats.planned()) == {"reminder/1 day/0"}


def test_a_session_moves_for_its_own_people_alone(seats: Seats) -> None:
    seats.apply(STARTS, MOVED)
    one, other = seats.scene.lead(1), seats.scene.lead(2)
    seats.tell(one, "registered")
    seats.tell(other, "registered", "february")
    assert len(seats.sent()) == 2
    seats.apply(STARTS, AGAIN)
    assert [mail.to for mail in seats.sent()] == ["Lead2@example.org"]


# Who gets them


def test_who_has_unsubscribed_still_gets_what_he_asked_for(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    record_reactions(seats.database, [NewReaction("unsubscribed", "u", "web", lead_id=lead_id)], NOW)
    assert subjects(seats.sent()) == ["seat-confirmation for prospects"]
    assert subjects(seats.sent(before(STARTS_AT, hours=1))) == ["seat-reminder for prospects"] * 2


@pytest.mark.parametrize("kind", ["bounced", "complained"])
@pytest.mark.parametrize("leaves", [False, True])
def test_whose_address_bounces_or_complains_gets_nothing(seats: Seats, kind: str, leaves: bool) -> None:  # noqa: FBT001 - a case
    lead_id = seats.scene.lead(1)
    reactions = [NewReaction(kind, "b", "web", lead_id=lead_id)]  # type: ignore[arg-type] # one of the kinds
    reactions += [NewReaction("unsubscribed", "u", "web", lead_id=lead_id)] if leaves else []
    record_reactions(seats.database, reactions, NOW)
    seats.tell(lead_id, "registered")
    assert seats.sent() == []
    assert {row.status for row in seats.rows() if row.occasion == "confirmation"} == {"cancelled"}


def test_a_bounce_takes_back_what_is_queued(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered")
    seats.sent()
    record_reactions(seats.database, [NewReaction("bounced", "b", "web", lead_id=lead_id)], NOW)
    assert seats.planned() == {}


def test_who_becomes_a_client_keeps_his_seat_and_is_written_to_as_a_client(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    import_leads(seats.database, [LeadInput("lead1@example.org", tags=("client",))], NOW, "test")
    assert look(seats.database, "prospects", NOW).switched == 1
    look(seats.database, "clients", NOW)
    assert subjects(seats.sent(before(STARTS_AT, days=1))) == ["seat-reminder for clients"]


def test_two_seats_of_leads_who_become_one_are_one_seat(seats: Seats) -> None:
    one, other = seats.scene.lead(1), seats.scene.lead(2)
    seats.tell(one, "registered")
    seats.tell(other, "registered")
    assert len(seats.sent()) == 2
    merge_leads(seats.database, one, other, "dana", NOW)
    (mail,) = seats.sent(before(STARTS_AT, hours=1, days=0))[1:]
    assert mail.to == "Lead1@example.org"
    assert {row.trouble for row in seats.rows("cancelled")} == {"merged with lead 2"}


def test_the_entry_of_whoever_became_one_with_another_is_moved_and_cancelled(seats: Seats) -> None:
    """The one who is kept had no seat: the entry in the other's calendar is the only one."""
    one, other = seats.scene.lead(1), seats.scene.lead(2)
    seats.tell(other, "registered")
    (first,) = seats.sent()
    merge_leads(seats.database, one, other, "dana", NOW)
    found = []
    for date in (MOVED, None):
        seats.apply(date)
        (mail,) = seats.sent()
        found.append((mail.to, entry(mail).uid, entry(mail).method, entry(mail).sequence))
    uid = entry(first).uid
    assert found == [("Lead1@example.org", uid, "REQUEST", 1), ("Lead1@example.org", uid, "CANCEL", 2)]


def both_seated(seats: Seats) -> tuple[int, int, str, str]:
    """Two leads with a seat each, and the entries in their calendars."""
    one, other = seats.scene.lead(1), seats.scene.lead(2)
    seats.tell(one, "registered")
    seats.tell(other, "registered")
    sent = {mail.to: entry(mail).uid for mail in seats.sent()}
    return one, other, sent["Lead1@example.org"], sent["Lead2@example.org"]


def test_both_entries_of_leads_who_became_one_are_moved_and_cancelled(seats: Seats) -> None:
    """What reminds him is about one of them, that of the address that is mailed."""
    one, other, mine, his = both_seated(seats)
    assert mine != his
    merge_leads(seats.database, one, other, "dana", NOW)
    (reminder,) = seats.sent(before(STARTS_AT, days=1))
    assert entry(reminder).uid == mine
    found = []
    for date in (MOVED, None):
        seats.apply(date)
        (mail,) = seats.sent()
        found += [(each.uid, each.method, each.sequence) for each in entries(mail)]
    assert found == [(mine, "REQUEST", 1), (his, "REQUEST", 1), (mine, "CANCEL", 2), (his, "CANCEL", 2)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_change_is_told_without_going_through_the_seats_of_all_years(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    plans = Plans()
    for date in (MOVED, None):
        seats.apply(date)
        with plans.watched(seats.database.engine), seats.database.write() as connection:
            announce(connection, current_definitions(connection), [("talk", "january")], NOW)
    assert len(plans.seen) > 5
    assert plans.told() == []


def test_entries_are_moved_and_cancelled_of_leads_who_are_two_again(seats: Seats) -> None:
    """One was told of the other's entry while they were one, so he is told of its end as well."""
    one, other, mine, his = both_seated(seats)
    merge = merge_leads(seats.database, one, other, "dana", NOW)
    seats.apply(MOVED)
    seats.sent()
    undo_merge(seats.database, merge.id, "dana", NOW)
    for date, method, sequence in ((AGAIN, "REQUEST", 2), (None, "CANCEL", 3)):
        seats.apply(date)
        told = {
            mail.to: [(each.uid, each.method, each.sequence) for each in entries(mail)]
            for mail in seats.sent()
        }
        assert told == {
            "Lead1@example.org": [(mine, method, sequence), (his, method, sequence)],
            "Lead2@example.org": [(his, method, sequence)],
        }


def test_a_seat_taken_after_a_merge_keeps_its_entry_when_the_leads_are_two_again(seats: Seats) -> None:
    one, other = seats.scene.lead(1), seats.scene.lead(2)
    merge = merge_leads(seats.database, one, other, "dana", NOW)
    seats.tell(one, "registered")
    (first,) = seats.sent()
    undo_merge(seats.database, merge.id, "dana", NOW)
    seats.tell(other, "registered")
    (second,) = seats.sent()
    assert entry(first).uid != entry(second).uid
    seats.apply(MOVED)
    told = {mail.to: entry(mail).uid for mail in seats.sent()}
    assert told == {first.to: entry(first).uid, second.to: entry(second).uid}


def test_what_answers_him_goes_to_whoever_has_left_at_another_address_of_his(seats: Seats) -> None:
    lead_id = seats.scene.lead(1)
    seats.scene.insert("lead_key", lead_id=lead_id, system="email", key="old@example.org")
    seats.scene.insert("suppression", email_key="old@example.org", reason="unsubscribed", at=NOW)
    seats.tell(lead_id, "registered")
    assert subjects(seats.sent()) == ["seat-confirmation for prospects"]
    seats.scene.message(lead_id)
    assert seats.sent() == []


@pytest.mark.parametrize("reason", ["complained", "imported"])
def test_it_does_not_go_to_whoever_complained_at_another_address_of_his(seats: Seats, reason: str) -> None:
    lead_id = seats.scene.lead(1)
    seats.scene.insert("lead_key", lead_id=lead_id, system="email", key="old@example.org")
    seats.scene.insert("suppression", email_key="old@example.org", reason=reason, at=NOW)
    seats.tell(lead_id, "registered")
    assert seats.sent() == []


def test_without_a_template_nothing_is_planned(scene: Scene) -> None:
    seats = Seats(scene)
    seats.tell(scene.lead(1), "registered")
    assert seats.rows() == []


# Clocks


@pytest.mark.parametrize(
    ("starts", "zone", "reminded"),
    [
        # The clock goes forward on 28 March in Berlin, on 14 March in New York, back on 31 October.
        (datetime(2027, 3, 28, 10), "Europe/Berlin", datetime(2027, 3, 27, 9, tzinfo=UTC)),  # noqa: DTZ001 - local
        (datetime(2027, 3, 29, 10), "Europe/Berlin", datetime(2027, 3, 28, 8, tzinfo=UTC)),  # noqa: DTZ001 - local
        (datetime(2027, 3, 14, 16), "America/New_York", datetime(2027, 3, 13, 16, tzinfo=UTC)),  # noqa: DTZ001 - local
        (datetime(2027, 10, 31, 10), "Europe/Berlin", datetime(2027, 10, 30, 8, tzinfo=UTC)),  # noqa: DTZ001 - local
    ],
)
def test_a_day_before_is_the_same_hour_of_his_clock(
    scene: Scene, starts: datetime, zone: str, reminded: datetime
) -> None:
    seats = Seats(scene)
    seats.apply(starts)
    seats.tell(scene.lead(1, zone=zone), "registered")
    begins_at = starts.replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    planned = {occasion.split("/")[1]: at for occasion, at in seats.planned().items() if "/" in occasion}
    assert planned == {"1 day": reminded, "1 hour": begins_at - timedelta(hours=1)}


def test_an_event_is_told_in_the_time_of_its_place_and_ends_when_work_closes(scene: Scene) -> None:
    seats = Seats(scene)
    seats.apply(STARTS, kind="event", length=Duration(2, "days"))
    seats.tell(scene.lead(1, zone="America/New_York"), "registered")
    (mail,) = seats.sent()
    assert "10:00, Berlin time" in mail.text
    assert entry(mail).ends_at == datetime(2027, 1, 20, 16, tzinfo=UTC)


# Killed, late


def test_a_reminder_that_comes_after_the_start_is_dropped(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    seats.sent()
    assert seats.sent(STARTS_AT + timedelta(minutes=1)) == []
    dropped = seats.rows("cancelled")
    assert {row.occasion for row in dropped} == {"reminder/1 day/0", "reminder/1 hour/0"}
    assert {row.trouble for row in dropped} == {"its window had closed"}


def test_a_worker_that_dies_between_claim_and_answer_sends_nothing_twice(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    dying = Delivery(seats.database, Kept(), LINKS, NOW, machine_now=MACHINE)
    with seats.database.read() as connection:
        dying._freezer.load(connection)
    (frozen,) = dying.claim(dying.reserve(10))
    later = MACHINE + LEASE + timedelta(minutes=1)
    recover(seats.database, NOW, later)
    assert seats.sent() == []
    (row,) = seats.rows("unknown")
    assert row.occasion == "confirmation"
    shown = dying._freezer.rendering(frozen.template).render(frozen.content["values"])
    assert entry(mail_of(frozen, shown, NOW)).sequence == 0


def test_a_provider_that_wants_fewer_gets_it_later(seats: Seats) -> None:
    seats.tell(seats.scene.lead(1), "registered")
    assert len(seats.sent(provider=Kept(answers=lambda _: Accepted("x")))) == 1
    assert {row.status for row in seats.rows()} == {"sent", "planned"}


# Cost


@pytest.mark.parametrize("what", ["register", "decline", "move", "cancel"])
def test_it_costs_as_many_statements_for_a_few_as_for_many(seats: Seats, what: str) -> None:
    counts = []
    seats.tell(seats.scene.lead(1), "registered")  # what is read once a process
    for number in (5, 60):
        leads = [seats.scene.lead(1000 * number + each) for each in range(number)]
        told = [
            NewReaction("registered", f"r{lead}", "web", lead_id=lead, content="talk", session="january")
            for lead in leads
        ]
        refused = [replace(each, kind="declined", key=f"d{each.lead_id}") for each in told]
        starts = MOVED if number == 5 else AGAIN
        if what != "register":
            record_reactions(seats.database, told, NOW)
        with counted(seats.database) as statements:
            if what == "register":
                record_reactions(seats.database, told, NOW)
            elif what == "decline":
                record_reactions(seats.database, refused, NOW)
            else:
                seats.apply(starts if what == "move" else None)
        if what == "cancel":
            seats.apply(STARTS)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_session_of_another_content_is_not_touched(seats: Seats) -> None:
    seats.apply(STARTS, MOVED, sessions=(Session("january", STARTS), Session("february", MOVED)))
    lead_id = seats.scene.lead(1)
    seats.tell(lead_id, "registered", "january")
    seats.tell(lead_id, "registered", "february")
    seats.tell(lead_id, "declined", "january")
    assert {row.session for row in seats.rows("planned")} == {"february"}

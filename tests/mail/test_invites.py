"""The entry of a calendar: whatever names and titles say, it stays one entry with the lines that we wrote."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar

from leadnurture.mail.invites import Appointment, invite

SEAT = Appointment(
    uid="talk.january.7@example.com",
    sequence=3,
    is_cancelled=False,
    starts_at=datetime(2027, 1, 19, 9, tzinfo=UTC),
    ends_at=datetime(2027, 1, 19, 9, 45, tzinfo=UTC),
    title="The talk",
    link="https://www.example.com/talk",
    organizer=("Dana from Querfeld", "news@example.com"),
    attendee=("Ann Ott", "ann@example.org"),
    stamp=datetime(2026, 12, 8, 9, 0, 0, 5, tzinfo=UTC),
)
HOSTILE = [
    '"><img src=x>',
    "Ann\r\nATTENDEE:mailto:eve@example.org",
    "Ann\nEND:VEVENT\nBEGIN:VEVENT",
    "Ött; Dr., Ann: head",
    "a^'b\\c",
    "🦆" * 100,
]


def test_the_same_seat_gives_the_same_text() -> None:
    assert invite(SEAT) == invite(SEAT)
    assert "DTSTAMP:20261208T090000Z\r\n" in invite(SEAT)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_and_no_title_can_add_a_line(text: str) -> None:
    written = invite(
        replace(SEAT, title=text, attendee=(text, "ann@example.org"), organizer=(text, "d@x.org"))
    )
    (calendar,) = Calendar.from_ical(written, multiple=True)
    (event,) = calendar.walk("VEVENT")
    assert str(event["ATTENDEE"]) == "mailto:ann@example.org"
    assert str(event["SUMMARY"]) == text.replace("\r\n", "\n")
    assert sorted(event.keys()) == sorted(Calendar.from_ical(invite(SEAT)).walk("VEVENT")[0].keys())
    assert max(len(line.encode()) for line in written.split("\r\n")) <= 75


def test_a_whole_calendar_of_another_day_is_the_same_entry() -> None:
    moved = invite(replace(SEAT, sequence=4, starts_at=SEAT.starts_at + timedelta(days=7)))
    first, second = (Calendar.from_ical(text).walk("VEVENT")[0] for text in (invite(SEAT), moved))
    assert first["UID"] == second["UID"]
    assert int(str(second["SEQUENCE"])) > int(str(first["SEQUENCE"]))

"""Writes a seat as an entry of a calendar (RFC 5545), which a mail carries as `invite.ics`.

One idea to hold: the UID names the entry for ever, whoever has the seat, and the sequence counts what became
of its session, so a calendar knows a later mail for the same entry, moves it, or takes it out (RFC 5546). All
times are UTC: no zone of ours can be wrong in anybody's calendar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vCalAddress, vText

from leadnurture.domain.company import Company
from leadnurture.domain.timing import Duration
from leadnurture.mail.provider import Attachment

FILE: Final = "invite.ics"
KIND: Final = "text/calendar"
PRODUCT: Final = "-//leadnurture//seats//EN"
INSTANTS: Final = ("starts_at", "ends_at", "stamp")
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Appointment:
    """A seat in a session, as a calendar takes it."""

    uid: str
    sequence: int
    is_cancelled: bool
    starts_at: datetime
    ends_at: datetime
    title: str
    link: str | None
    organizer: tuple[str, str]
    """Name and address."""
    attendee: tuple[str, str]
    stamp: datetime
    """When it was written."""


def invite(seat: Appointment) -> str:
    """The text of the file; the same seat gives the same text."""
    event = Event()
    event.add("uid", seat.uid)
    event.add("sequence", seat.sequence)
    event.add("dtstamp", seat.stamp.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", seat.starts_at.astimezone(UTC))
    event.add("dtend", seat.ends_at.astimezone(UTC))
    event.add("summary", seat.title)
    event.add("status", "CANCELLED" if seat.is_cancelled else "CONFIRMED")
    event.add("organizer", _address(*seat.organizer))
    event.add("attendee", _attendee(*seat.attendee))
    if seat.link:
        event.add("url", seat.link)
        event.add("location", seat.link)
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if seat.is_cancelled else "REQUEST")
    calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()


def files(seats: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """What a mail carries of these seats as `frozen` wrote them: one entry a file, as calendars expect it."""
    names = (FILE, *(FILE.replace(".", f"-{number}.") for number in range(2, len(seats) + 1)))
    return tuple(
        Attachment(name, KIND, invite(thawed(seat)).encode())
        for name, seat in zip(names, seats, strict=False)
    )


def frozen(seat: Appointment) -> dict[str, Any]:
    """The seat as JSON has it, as it lies in a message: what was sent can be written again exactly."""
    told = asdict(seat)
    return told | {name: told[name].isoformat() for name in INSTANTS}


def thawed(told: Mapping[str, Any]) -> Appointment:
    """What `frozen` wrote."""
    pairs = {name: tuple(told[name]) for name in ("organizer", "attendee")}
    instants = {name: datetime.fromisoformat(told[name]) for name in INSTANTS}
    return Appointment(**{**told, **pairs, **instants})


def ends_at(starts_at: datetime, length: Duration | None, company: Company) -> datetime:
    """When a session ends: after its length, one of days when work closes on the last; else an hour later."""
    if length is None:
        return starts_at + HOUR
    if length.is_absolute:
        return starts_at + timedelta(microseconds=length.microseconds)
    local = starts_at.astimezone(ZoneInfo(company.zone))
    last = (local + timedelta(days=length.days - 1)).date()
    midnight = datetime.combine(last, time())
    closes = (midnight + timedelta(minutes=company.hours.closes)).replace(tzinfo=ZoneInfo(company.zone))
    return max(closes.astimezone(UTC), starts_at + HOUR)


def _address(name: str, email: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{email}")
    if name:
        address.params["CN"] = vText(name)
    return address


def _attendee(name: str, email: str) -> vCalAddress:
    """Who has said yes already: nobody is asked to answer a calendar."""
    attendee = _address(name, email)
    attendee.params["ROLE"] = vText("REQ-PARTICIPANT")
    attendee.params["PARTSTAT"] = vText("ACCEPTED")
    attendee.params["RSVP"] = vText("FALSE")
    return attendee

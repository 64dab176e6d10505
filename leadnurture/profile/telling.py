"""How reactions, days and spans are told to people, in mails, pages and the terminal alike. Pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from leadnurture.store.instants import day_of

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
# Beyond these a larger unit says enough.
DAYS_FROM: Final = 2 * DAY
MINUTES_UNTIL: Final = 10 * HOUR

Value = bool | float | str | date
"""What a fact may be."""

NEAR: Final = {-1: "yesterday", 0: "today", 1: "tomorrow"}
DID: Final = {
    "delivered": "Got {about}",
    "opened": "Opened {about}",
    "clicked": "Clicked {about}",
    "replied": "Replied to {about}",
    "registered": "Registered for {about}",
    "declined": "Declined {about}",
    "attended": "Attended {about}",
    "missed": "Missed {about}",
    "downloaded": "Downloaded {about}",
    "unsubscribed": "Unsubscribed",
    "bounced": "The address bounced",
    "complained": "Complained about {about}",
}
WITHOUT_SUBJECT: Final = {"clicked": "Clicked", "replied": "Replied", "complained": "Complained"}


def told(kind: str, about: str | None, argument: str | None = None) -> str:
    """What a lead did, as the beginning of a sentence: `Attended Scaling without downtime`."""
    if kind == "visited":
        return f"Visited {argument or about or 'the website'}"
    if kind in {"submitted", "feedback"}:
        answer = f"Answered “{argument}”" if argument else "Answered"
        return f"{answer} to {about}" if about else answer
    if about is None:
        return WITHOUT_SUBJECT.get(kind, kind.capitalize())
    return DID[kind].format(about=about)


def local(instant: datetime, zone: str) -> datetime:
    """An instant on the clock of a zone."""
    return instant.astimezone(ZoneInfo(zone))


def date_told(day: date, today: date | None = None) -> str:
    """`8 Dec`, with its year where that is not this one's."""
    year = "" if today is not None and day.year == today.year else f" {day.year}"
    return f"{day.day} {day:%b}{year}"


def day_told(instant: datetime, zone: str, now: datetime) -> str:
    """`today`, `yesterday`, `tomorrow`, else `Tue 8 Dec`."""
    day, today = local(instant, zone).date(), local(now, zone).date()
    return NEAR.get((day - today).days) or f"{day:%a} {date_told(day, today)}"


def moment_told(instant: datetime, zone: str, now: datetime) -> str:
    """`today, 13:00` or `Tue 8 Dec, 10:00`, on the clock of the zone."""
    return f"{day_told(instant, zone, now)}, {local(instant, zone):%H:%M}"


def at_told(instant: datetime, zone: str, now: datetime) -> str:
    """The same within a sentence: `at 13:00`, `tomorrow at 9:00`, `on Tue 8 Dec at 10:00`."""
    day, clock = day_told(instant, zone, now), f"at {local(instant, zone):%H:%M}"
    if day == "today":
        return clock
    return f"{day} {clock}" if day in NEAR.values() else f"on {day} {clock}"


def span_told(span: timedelta) -> str:
    """`35 min`, `1 h 20 min`, `14 h`, `3 days`; never negative."""
    seconds = abs(int(span.total_seconds()))
    if seconds >= DAYS_FROM:
        return f"{seconds // DAY} days"
    hours, minutes = seconds // HOUR, seconds % HOUR // MINUTE
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes:02} min" if minutes and seconds < MINUTES_UNTIL else f"{hours} h"


def number_told(number: float) -> str:
    """`1,400`, and a fraction only where there is one."""
    return f"{int(number):,}" if float(number).is_integer() else f"{number:,}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 lead`, `8 leads`, `0 leads`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def fact_value(kind: str, text: str | None, number: float | None) -> Value | None:
    """A fact as a value, from the two columns in which it lies."""
    if number is None:
        return text
    if kind == "flag":
        return bool(number)
    if kind == "date":
        return day_of(int(number))
    return int(number) if float(number).is_integer() else number


def fact_told(name: str, value: Value) -> str:
    """`employees 1,400`, `role head`, `deal won`."""
    label = name.removeprefix("account.").replace("_", " ")
    if isinstance(value, bool):
        return label if value else f"not {label}"
    if isinstance(value, int | float):
        return f"{label} {number_told(value)}"
    return f"{label} {date_told(value) if isinstance(value, date) else value}"


def agreement_told(version: str) -> str:
    """The version of an agreement as a date: `1 December 2026`."""
    try:
        day = datetime.strptime(version, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return version
    return f"{day.day} {day:%B %Y}"

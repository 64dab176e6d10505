"""Business hours of one person: the company's hours and holidays on the clock of the person's own zone. Pure.

One idea to hold: time is added in instants, opening by opening, so that a day on which the clock is changed
neither gains nor loses an hour. A business day is as long as the working day, wherever in it one begins.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import holidays

from leadnurture.domain.company import Company, Person, WorkingHours
from leadnurture.domain.timing import Duration

ONE_DAY: Final = timedelta(days=1)
MONTHS: Final = 12
# The longest promise that a file can hold, 10,000 business days, ends within so many days.
FARTHEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Office:
    """When somebody works. A value, so that what is computed for it can be kept."""

    zone: str
    hours: WorkingHours
    holidays: str | None

    @property
    def day_length(self) -> timedelta:
        """A working day on which the clock is not changed."""
        return timedelta(minutes=self.hours.closes - self.hours.opens)


def office_of(company: Company, person: Person) -> Office:
    """The office of a person."""
    return Office(person.zone or company.zone, company.hours, company.holidays)


def add(start: datetime, duration: Duration, office: Office) -> datetime:
    """The instant at which a promise made at `start` falls due.

    Business hours and days count while the office is open, hours and minutes always; days, weeks and months
    keep the local hour, as a person reads a calendar.
    """
    if duration.unit == "business hours":
        return _worked(start, timedelta(hours=duration.amount), office)
    if duration.unit == "business days":
        return _worked(start, duration.amount * office.day_length, office)
    if duration.is_absolute:
        return start + timedelta(microseconds=duration.microseconds)
    begun = start.astimezone(ZoneInfo(office.zone))
    if duration.unit == "months":
        return _instant(_months_later(begun.date(), duration.amount), begun.time(), office.zone)
    return _instant(begun.date() + timedelta(days=duration.days), begun.time(), office.zone)


def _worked(start: datetime, work: timedelta, office: Office) -> datetime:
    """The instant at which so much working time has passed since `start`."""
    closes = start
    for opens, closes in _openings(start, office):
        begins = max(opens, start)
        if closes - begins >= work:
            return begins + work
        work -= max(closes - begins, timedelta())
    return closes


def _openings(start: datetime, office: Office) -> Iterator[tuple[datetime, datetime]]:
    """The spans in which the office is open, from the local day of an instant on."""
    day = start.astimezone(ZoneInfo(office.zone)).date()
    for _ in range(FARTHEST):
        span = _opening(office, day)
        if span is not None and span[1] > start:
            yield span
        day += ONE_DAY


@functools.lru_cache(maxsize=4096)
def _opening(office: Office, day: date) -> tuple[datetime, datetime] | None:
    if day.weekday() not in office.hours.weekdays or day in _holidays(office.holidays, day.year):
        return None
    return _minute(day, office.hours.opens, office.zone), _minute(day, office.hours.closes, office.zone)


@functools.lru_cache(maxsize=64)
def _holidays(code: str | None, year: int) -> frozenset[date]:
    if code is None:
        return frozenset()
    country, _, subdivision = code.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


def _minute(day: date, minute: int, zone: str) -> datetime:
    if minute >= 24 * 60:
        return _instant(day + ONE_DAY, time(), zone)
    return _instant(day, time(minute // 60, minute % 60), zone)


def _instant(day: date, clock: time, zone: str) -> datetime:
    """A local time as an instant. A skipped hour is the one after it; of a double one, the first."""
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, else its last."""
    years, month = divmod(day.month - 1 + months, MONTHS)
    following = date(day.year + years + (month + 1) // MONTHS, (month + 1) % MONTHS + 1, 1)
    return min(date(day.year + years, month + 1, 1) + timedelta(days=day.day - 1), following - ONE_DAY)

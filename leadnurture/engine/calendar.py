"""Local time in SQL: every question about days, working hours and weekdays is a look-up in `calendar_day`.

No database does zone arithmetic for us. The table is filled from `zoneinfo` and `holidays`; a date beyond it has no row,
which callers read as "sleep until the end of the table and ask again", and a date before it is long past.
"""

import functools
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlmodel import col

from leadnurture.domain.company import Company, WorkingHours
from leadnurture.domain.timing import MICROSECONDS, Duration
from leadnurture.engine.current import current_definitions
from leadnurture.engine.sql import one
from leadnurture.store import Database, stage
from leadnurture.store.instants import DAY, Instant, day_number, day_of, to_micros
from leadnurture.store.tables import CalendarDay, Lead
from leadnurture.store.work import empty, work_calendar

DAYS_BACK: Final = 60
DAYS_AHEAD: Final = 430
REFILL_BELOW: Final = 400
MINUTE: Final = 60 * MICROSECONDS
LONG_PAST: Final = 0
DAY_MINUTES: Final = 1440
log: Final = logging.getLogger(__name__)

Expression = ColumnElement[Any]
days = CalendarDay.__table__


def local_day(zone: Expression, instant: Expression) -> Expression:
    """The day number of an instant in a zone; NULL beyond the table, before it the day of UTC, since it is
    long past.
    """
    d, first = _days(), _days()
    found = one(
        d.c.day,
        d.c.zone == zone,
        d.c.begins_at <= instant,
        d.c.ends_at > instant,
        of=[d],
        order=[d.c.begins_at.desc()],
    )
    since = one(func.min(type_coerce(first.c.begins_at, BigInteger)), first.c.zone == zone, of=[first])
    micros = _micros(instant)
    return func.coalesce(found, case((micros < since, micros // DAY)))


def day_begins(zone: Expression, day: Expression) -> Expression:
    """The instant at which a local day begins; long past before the table, NULL beyond it."""
    d, first = _days(), _days()
    begins = one(type_coerce(d.c.begins_at, BigInteger), d.c.zone == zone, d.c.day == day, of=[d])
    before = one(func.min(first.c.day), first.c.zone == zone, of=[first])
    return _instant(func.coalesce(begins, case((day < before, LONG_PAST))))


def business_day(zone: Expression, day: Expression, count: int) -> Expression:
    """The day number that lies `count` business days after (negative: before) a day."""
    d, start, first = _days(), _days(), _days()
    # Counting back from a weekend, the Friday before it is the first business day.
    weekend = case((start.c.opens_at.is_(None), int(count < 0)), else_=0)
    wanted = one(
        start.c.business_number + count + weekend, start.c.zone == zone, start.c.day == day, of=[start]
    )
    found = one(func.min(d.c.day), d.c.zone == zone, d.c.business_number == wanted, of=[d])
    # Nobody counts the holidays of long ago: it is past in any case.
    before = one(func.min(first.c.day), first.c.zone == zone, of=[first])
    roughly = day + count * 7 // 5
    return func.coalesce(found, case((or_(day < before, roughly < before), roughly)))


def minute_of(zone: Expression, day: Expression, minute: int) -> Expression:
    """The instant of a local minute of a day. An hour that the clock skips is the hour after it; of a double
    one, the first.
    """
    d = _days()
    return _instant(one(_minute_in(d, minute), d.c.zone == zone, d.c.day == day, of=[d]))


def next_hour(zone: Expression, instant: Expression, weekday: int | None, minute: int) -> Expression:
    """The next local `weekday minute` at or after an instant, today included; a `weekday` of None is every
    day.
    """
    today = local_day(zone, instant)
    ahead: Expression = literal_column("0") if weekday is None else ((weekday - today - 3) % 7 + 7) % 7
    first = minute_of(zone, today + ahead, minute)
    second = minute_of(zone, today + ahead + (1 if weekday is None else 7), minute)
    return _instant(case((first >= instant, first), else_=second))


def working_day_from(zone: Expression, instant: Expression, minute: int) -> Expression:
    """The same local minute on the day of an instant if that is a working day, also after its hours, else on
    the next one.
    """
    d = _days()
    working = (d.c.zone == zone, d.c.day >= local_day(zone, instant), d.c.opens_at.is_not(None))
    return _instant(one(_minute_in(d, minute), *working, of=[d], order=[d.c.day]))


def next_opening(zone: Expression, instant: Expression) -> Expression:
    """The instant itself within working hours, else the next opening."""
    d = _days()
    opening = case((d.c.opens_at > instant, d.c.opens_at), else_=instant)
    return _instant(one(opening, d.c.zone == zone, d.c.closes_at > instant, of=[d], order=[d.c.closes_at]))


def window_close(zone: Expression, instant: Expression) -> Expression:
    """When the working hours close in which an instant lies, or the next ones."""
    d = _days()
    return _instant(
        one(d.c.closes_at, d.c.zone == zone, d.c.closes_at > instant, of=[d], order=[d.c.closes_at])
    )


def same_hour_next_working_day(zone: Expression, instant: Expression) -> Expression:
    """The same local hour on the next working day after the day of an instant; the pace limit moves mails so."""
    today, following = _days(), _days()
    since = _micros(instant) - _micros(today.c.begins_at)
    # What the clock on the wall shows, whether or not it was changed that day, and again on the other day.
    is_changed = since >= cast(today.c.shift_from, BigInteger) * MINUTE - case(
        (today.c.shift > 0, today.c.shift), else_=0
    )
    shown = since + case((is_changed, today.c.shift), else_=0)
    moved = one(
        _micros(following.c.begins_at)
        + shown
        - case((cast(following.c.shift_from, BigInteger) * MINUTE <= shown, following.c.shift), else_=0),
        today.c.zone == zone,
        today.c.begins_at <= instant,
        today.c.ends_at > instant,
        following.c.zone == zone,
        following.c.day > today.c.day,
        following.c.opens_at.is_not(None),
        of=[today, following],
        order=[following.c.day],
    )
    return _instant(moved)


def later_by(zone: Expression, instant: Expression, duration: Duration) -> Expression:
    """An instant plus a duration: hours are absolute, days and business days end at the local midnight of the
    day counted.
    """
    if duration.is_absolute:
        return _instant(_micros(instant) + duration.microseconds)
    return from_day(zone, local_day(zone, instant), duration, 1)


def from_day(zone: Expression, day: Expression, duration: Duration, sign: int) -> Expression:
    """The local midnight that lies a duration of days after (sign 1) or before (sign -1) a day."""
    if duration.unit == "business days":
        return day_begins(zone, business_day(zone, day, sign * duration.amount))
    return day_begins(zone, day + sign * duration.days)


def _days() -> FromClause:
    """The table under a name of its own, so that look-ups nest."""
    return days.alias()


def _minute_in(day: FromClause, minute: int) -> Expression:
    shifted = case((day.c.shift_from <= minute, day.c.shift), else_=0)
    return _micros(day.c.begins_at) + minute * MINUTE - shifted


def _micros(instant: Expression) -> Expression:
    """An instant as a number. A parameter keeps its type, which is what turns a datetime into microseconds."""
    return (
        cast(instant, BigInteger) if isinstance(instant, BindParameter) else type_coerce(instant, BigInteger)
    )


def _instant(expression: Expression) -> Expression:
    """Read back as an instant, without a CAST that would cost the database a step."""
    return type_coerce(expression, Instant())


# --- filling -----------------------------------------------------------------------------------------------


def fill_calendar(connection: Connection, company: Company, now: datetime, *, anew: bool = False) -> None:
    """Writes the days of every zone that is in use, where they do not reach far enough ahead, or all of them
    `anew`.
    """
    if anew:
        connection.execute(delete(days))
    reach = {
        row.zone: row.last
        for row in connection.execute(
            select(days.c.zone, func.max(days.c.day).label("last")).group_by(days.c.zone)
        )
    }
    used = set(connection.execute(select(col(Lead.zone)).distinct()).scalars()) | {company.zone}
    today = now.date()
    wanted = day_number(today) + REFILL_BELOW
    rows = [
        row
        for zone in sorted(used)
        if reach.get(zone, 0) < wanted
        for row in local_days(
            zone,
            company,
            day_of(reach[zone] + 1) if zone in reach else today - timedelta(DAYS_BACK),
            today + timedelta(DAYS_AHEAD),
        )
    ]
    if rows:
        empty(connection, work_calendar)
        stage(connection, work_calendar, rows)
        names = list(rows[0])
        connection.execute(
            insert(days).from_select(names, select(*(work_calendar.c[name] for name in names)))
        )


def keep_calendar(database: Database, now: datetime) -> None:
    """Carries the days on, for projects into which nobody imports anything for months. Mostly one query."""
    with database.read() as connection:
        company = current_definitions(connection).company
        if calendar_end(connection) >= now + timedelta(REFILL_BELOW):
            return
    database.run(lambda connection: fill_calendar(connection, company, now))


def calendar_end(connection: Connection) -> datetime:
    """Until when every zone in use has its days."""
    ends = select(func.max(days.c.ends_at).label("ends_at")).group_by(days.c.zone).subquery()
    end: datetime = connection.execute(select(func.min(ends.c.ends_at))).scalar_one()
    return end


def local_days(zone: str, company: Company, first: date, last: date) -> Iterator[dict[str, object]]:
    """The rows of `calendar_day` for one zone, from one date to another, both included."""
    known = _known_zone(zone, company.zone)
    for row in _local_days(known, company.hours, company.holidays, first, last):
        yield {"zone": zone, **row}


def _known_zone(zone: str, companys: str) -> ZoneInfo:
    """A lead whose zone this machine does not know (any more) is not forgotten: the company's clock serves
    for him.
    """
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        log.warning(
            "The zone %r is not known here, so %s serves for it; update the package tzdata.", zone, companys
        )
        return ZoneInfo(companys)


@functools.lru_cache(maxsize=64)
def free_days(holidays: str | None, year: int) -> frozenset[date]:
    """The public holidays of a year. The first call of a process costs over a second."""
    if holidays is None:
        return frozenset()
    import holidays as package  # noqa: PLC0415 - a second of start-up that most commands need not pay

    country, _, subdivision = holidays.partition("-")
    return frozenset(package.country_holidays(country, subdiv=subdivision or None, years=year))


def _local_days(
    info: ZoneInfo, hours: WorkingHours, holidays: str | None, first: date, last: date
) -> Iterator[dict[str, object]]:
    number = _business_days_until(hours, holidays, first)
    day = first
    while day <= last:
        begins, ends = _midnight(day, info), _midnight(day + timedelta(1), info)
        works = day.weekday() in hours.weekdays and day not in free_days(holidays, day.year)
        number += works
        shift_from, shift = _shift(day, info)
        yield {
            "day": day_number(day),
            "begins_at": begins,
            "ends_at": ends,
            "opens_at": _minute(day, hours.opens, info) if works else None,
            "closes_at": _minute(day, hours.closes, info) if works else None,
            "weekday": day.weekday(),
            "business_number": number,
            "shift_from": shift_from,
            "shift": shift,
        }
        day += timedelta(1)


def _business_days_until(hours: WorkingHours, holidays: str | None, first: date) -> int:
    """A count that depends on the date alone, so that days written on different days carry on from each
    other.
    """
    start = date(2020, 1, 1)
    free = {day for year in range(start.year, first.year + 1) for day in free_days(holidays, year)}
    between = (start + timedelta(count) for count in range((first - start).days))
    return sum(day.weekday() in hours.weekdays and day not in free for day in between)


def _minute(day: date, minute: int, zone: ZoneInfo) -> int:
    return (
        to_micros(
            datetime.combine(day, time(), zone).replace(hour=minute // 60, minute=minute % 60).astimezone(UTC)
        )
        if minute < DAY_MINUTES
        else _midnight(day + timedelta(1), zone)
    )


def _midnight(day: date, zone: ZoneInfo) -> int:
    return to_micros(datetime.combine(day, time(), zone).astimezone(UTC))


def _shift(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The minute from which the clock is moved on that day, and by how many microseconds; (0, 0) on other
    days.
    """
    before = datetime.combine(day, time(), zone).utcoffset()
    after = datetime.combine(day, time(23, 59), zone).utcoffset()
    if before is None or after is None or before == after:
        return 0, 0
    shift = (after - before) // timedelta(microseconds=1)
    low, high = 0, 1440
    while high - low > 1:  # the last minute that still has the offset of the morning
        middle = (low + high) // 2
        offset = datetime.combine(day, time(middle // 60, middle % 60), zone).utcoffset()
        low, high = (middle, high) if offset == before else (low, middle)
    return high, shift

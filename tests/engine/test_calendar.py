"""Local time in SQL against `zoneinfo`, where it is hardest: changes of the clock, days around holidays."""

import logging
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, literal, select, text

from leadnurture.domain.company import Company, WorkingHours
from leadnurture.domain.condition import Condition, Has
from leadnurture.domain.timing import Duration, Unit
from leadnurture.engine.calendar import (
    business_day,
    calendar_end,
    day_begins,
    fill_calendar,
    later_by,
    local_day,
    minute_of,
    next_hour,
    next_opening,
    same_hour_next_working_day,
    window_close,
    working_day_from,
)
from leadnurture.store import Database, stage
from leadnurture.store.instants import Instant, day_number, day_of, to_micros
from leadnurture.store.work import empty, work_calendar

ZONES: Final = (
    "Europe/Berlin",
    "UTC",
    "America/New_York",
    "America/Santiago",  # midnight of a day in September does not exist
    "Asia/Beirut",  # neither does one in March; in October 23:00 comes twice
    "Africa/Cairo",  # the clock is changed on working days
    "America/Havana",  # midnight comes twice in November
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Africa/Casablanca",  # backwards for a month
    "Europe/Dublin",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Eucla",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)
NOW: Final = datetime(2026, 8, 15, 12, 0, tzinfo=UTC)
FIRST: Final = datetime(2026, 6, 20, tzinfo=UTC)
LAST: Final = datetime(2027, 7, 1, tzinfo=UTC)
# Written down, so that nobody's computus is its own judge.
HESSE: Final = {
    date(2026, 10, 3), date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 1), date(2027, 3, 26),
    date(2027, 3, 29),
    date(2027, 5, 1), date(2027, 5, 6), date(2027, 5, 17), date(2027, 5, 27), date(2027, 10, 3),
}  # fmt: skip
OPENS, CLOSES = 9 * 60, 17 * 60
MINUTES = (0, 30, 59, 60, 90, 120, 150, 180, 9 * 60, 10 * 60, 17 * 60, 18 * 60, 23 * 60 + 30, 23 * 60 + 59)
COMPANY: Final = Company(
    "Querfeld", "Musterstr. 1", "Dana", "news@example.com", "https://example.com", "Europe/Berlin",
    Condition('tag("client")', Has("tag", "client")), WorkingHours(opens=OPENS, closes=CLOSES), "DE-HE",
)  # fmt: skip


Moment = tuple[str, datetime]
ZONE: Final = work_calendar.c.zone
INSTANT: Final = work_calendar.c.begins_at


# What zoneinfo says


def begins(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def at_minute(day: date, minute: int, zone: str) -> datetime:
    """Of an hour that comes twice the first; an hour that does not exist is the hour after it."""
    return datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(zone)).astimezone(UTC)


def day_in(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def works(day: date) -> bool:
    return day.weekday() < 5 and day not in HESSE


def from_day(day: date) -> Iterator[date]:
    while True:
        yield day
        day += timedelta(1)


def working_days(day: date) -> Iterator[date]:
    return (one for one in from_day(day) if works(one))


def opening(instant: datetime, zone: str) -> tuple[datetime, datetime]:
    """The working hours in which an instant lies, or the next ones."""
    hours = (
        (at_minute(day, OPENS, zone), at_minute(day, CLOSES, zone))
        for day in working_days(day_in(instant, zone))
    )
    return next((opens, closes) for opens, closes in hours if closes > instant)


def counted(day: date, count: int) -> date:
    """The day that lies so many business days after or before a day."""
    step = timedelta(1 if count > 0 else -1)
    left = abs(count)
    while left:
        day += step
        left -= works(day)
    return day


# What the database says


@pytest.fixture
def calendar(database: Database) -> Database:
    """The days of all these zones, each of which has a lead."""
    with database.write() as connection:
        for place, zone in enumerate(ZONES):
            connection.execute(
                text("""
                    INSERT INTO lead (email, email_key, first_name, last_name, track, stage, stage_since,
                                      country, language, role, source, zone, zone_given, luck,
                                      fit, engagement, score, created_at)
                    VALUES (:key, :key, '', '', 'prospects', 'new', 0, '', '', '', '', :zone, '', 1,
                            0, 0, 0, 0)"""),
                {"key": f"{place}@example.com", "zone": zone},
            )
        fill_calendar(connection, COMPANY, NOW)
    return database


def ask(database: Database, *expressions: ColumnElement[Any]) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(*expressions)).one())


def ask_each(
    database: Database, moments: Sequence[Moment], *expressions: ColumnElement[Any]
) -> list[list[Any]]:
    """The values of expressions on ZONE and INSTANT for many moments, in their order."""
    rows = [
        {"day": place, "zone": zone, "begins_at": instant} for place, (zone, instant) in enumerate(moments)
    ]
    with database.write() as connection:
        empty(connection, work_calendar)
        stage(connection, work_calendar, rows)
        found = connection.execute(
            select(*expressions).select_from(work_calendar).order_by(work_calendar.c.day)
        )
        return [list(row) for row in found]


def at(instant: datetime) -> ColumnElement[Any]:
    return literal(instant, Instant())


def changes(zone: str) -> list[datetime]:
    """The instants at which the clock of a zone is changed."""
    found, info, instant = [], ZoneInfo(zone), FIRST
    while instant < LAST:
        following = instant + timedelta(minutes=30)
        if following.astimezone(info).utcoffset() != instant.astimezone(info).utcoffset():
            found.append(following)
        instant = following
    return found


CHANGES: Final = {zone: changes(zone) for zone in ZONES}


@st.composite
def many_moments(draw: st.DrawFn) -> list[Moment]:
    """Zones and instants, most of them within days of a change of the clock."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    minutes = int((LAST - FIRST).total_seconds()) // 60
    found: list[Moment] = []
    for zone in ZONES:
        anywhere = FIRST + timedelta(minutes=chance.randint(0, minutes))
        found += [
            (zone, around + timedelta(minutes=chance.randint(-3 * 1440, 3 * 1440)))
            for around in (*CHANGES[zone], *CHANGES[zone], anywhere)
        ]
    return [(zone, max(FIRST, instant)) for zone, instant in found]


# The calendar is only read, so one is enough for all examples of a test.
fitting = settings(
    max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_zones_of_this_test_change_their_clocks_in_every_way() -> None:
    midnights = {
        zone
        for zone, found in CHANGES.items()
        if any(begins(day_in(one, zone), zone) == one for one in found)
    }
    assert {"America/Santiago", "Asia/Beirut", "Africa/Cairo"} <= midnights
    assert len(CHANGES["Africa/Casablanca"]) == 2
    assert [zone for zone, found in CHANGES.items() if not found] == [
        "UTC", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Eucla", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    ]  # fmt: skip


@fitting
@given(many_moments())
def test_days_begin_at_the_local_midnight_or_where_it_would_have_been(
    calendar: Database, moments: list[Moment]
) -> None:
    today = local_day(ZONE, INSTANT)
    hours = [minute_of(ZONE, today, minute) for minute in MINUTES]
    for (zone, instant), found in zip(
        moments, ask_each(calendar, moments, today, day_begins(ZONE, today), *hours), strict=True
    ):
        day = day_in(instant, zone)
        expected = [at_minute(day, minute, zone) for minute in MINUTES]
        assert found == [day_number(day), begins(day, zone), *expected], (zone, instant)


@fitting
@given(many_moments(), st.integers(1, 60))
def test_waits_of_days_end_at_a_local_midnight_and_hours_are_absolute(
    calendar: Database, moments: list[Moment], count: int
) -> None:
    units: tuple[Unit, ...] = ("minutes", "hours", "days", "business days")
    lengths = [Duration(count, unit) for unit in units] + [Duration(count % 8, "weeks")]
    waits = [later_by(ZONE, INSTANT, length) for length in lengths]
    for (zone, instant), found in zip(moments, ask_each(calendar, moments, *waits), strict=True):
        day = day_in(instant, zone)
        assert found == [
            instant + timedelta(minutes=count),
            instant + timedelta(hours=count),
            begins(day + timedelta(count), zone),
            begins(counted(day, count), zone),
            begins(day + timedelta(weeks=count % 8), zone),
        ], (zone, instant)


@fitting
@given(many_moments(), st.integers(1, 40))
def test_business_days_are_counted_over_weekends_and_holidays_both_ways(
    calendar: Database, moments: list[Moment], count: int
) -> None:
    today = local_day(ZONE, INSTANT)
    both = [business_day(ZONE, today, count), business_day(ZONE, today, -count)]
    for (zone, instant), found in zip(moments, ask_each(calendar, moments, *both), strict=True):
        day = day_in(instant, zone)
        before = counted(day, -count)
        expected = [counted(day, count), before]
        if before < (NOW - timedelta(60)).date():
            assert day_of(found[1]) < (NOW - timedelta(60)).date()
        else:
            assert [day_of(number) for number in found] == expected, (zone, instant)


@fitting
@given(many_moments(), st.sampled_from([None, *range(7)]), st.sampled_from(MINUTES))
def test_an_hour_is_the_next_one_with_today_included(
    calendar: Database, moments: list[Moment], weekday: int | None, minute: int
) -> None:
    for (zone, instant), found in zip(
        moments, ask_each(calendar, moments, next_hour(ZONE, INSTANT, weekday, minute)), strict=True
    ):
        ahead = (
            day for day in from_day(day_in(instant, zone)) if weekday is None or day.weekday() == weekday
        )
        expected = next(hour for day in ahead if (hour := at_minute(day, minute, zone)) >= instant)
        assert found == [expected], (zone, instant)


@fitting
@given(many_moments(), st.sampled_from([0, 8 * 60, 10 * 60, 16 * 60 + 59, 17 * 60, 18 * 60, 23 * 60]))
def test_a_planned_hour_stays_on_its_day_unless_that_is_a_holiday(
    calendar: Database, moments: list[Moment], minute: int
) -> None:
    planned = [(zone, at_minute(day_in(instant, zone), minute, zone)) for zone, instant in moments]
    for (zone, instant), found in zip(
        planned, ask_each(calendar, planned, working_day_from(ZONE, INSTANT, minute)), strict=True
    ):
        expected = at_minute(next(working_days(day_in(instant, zone))), minute, zone)
        assert found == [expected], (zone, instant)


@fitting
@given(many_moments())
def test_an_instant_outside_the_working_hours_moves_to_the_next_opening(
    calendar: Database, moments: list[Moment]
) -> None:
    both = (next_opening(ZONE, INSTANT), window_close(ZONE, INSTANT))
    for (zone, instant), found in zip(moments, ask_each(calendar, moments, *both), strict=True):
        opens, closes = opening(instant, zone)
        assert found == [max(opens, instant), closes], (zone, instant)


@fitting
@given(many_moments())
def test_the_pace_moves_a_mail_to_the_same_hour_of_the_next_working_day(
    calendar: Database, moments: list[Moment]
) -> None:
    opened = [(zone, max(instant, opening(instant, zone)[0])) for zone, instant in moments]
    moved = same_hour_next_working_day(ZONE, INSTANT)
    for (zone, instant), found in zip(opened, ask_each(calendar, opened, moved), strict=True):
        local = instant.astimezone(ZoneInfo(zone))
        following = next(working_days(local.date() + timedelta(1)))
        expected = at_minute(following, local.hour * 60 + local.minute, zone)
        assert found == [expected], (zone, instant)


def test_a_letter_for_the_evening_leaves_with_the_next_opening(calendar: Database) -> None:
    evening = at_minute(date(2026, 11, 24), 18 * 60, "Europe/Berlin")
    z = literal("Europe/Berlin")
    left = ask(calendar, next_opening(z, working_day_from(z, at(evening), 18 * 60)))
    assert left == [at_minute(date(2026, 11, 25), OPENS, "Europe/Berlin")]


# Where the table ends


def test_dates_beyond_the_table_are_unknown_and_dates_before_it_long_past(calendar: Database) -> None:
    z = literal("Europe/Berlin")
    far, past = date(2029, 3, 1), date(2025, 11, 5)
    found = ask(
        calendar,
        day_begins(z, literal(day_number(far))),
        business_day(z, literal(day_number(far)), -5),
        next_opening(z, at(begins(far, "Europe/Berlin"))),
    )
    assert found == [None, None, None]
    long_past = ask(
        calendar,
        day_begins(z, literal(day_number(past))),
        later_by(z, at(begins(past, "Europe/Berlin")), Duration(4, "days")),
        day_begins(z, business_day(z, literal(day_number(past)), -5)),
        day_begins(z, business_day(z, literal(day_number(past)), 5)),
    )
    assert [instant < NOW - timedelta(60) for instant in long_past] == [True] * 4


def test_the_table_is_carried_on_without_a_seam(calendar: Database) -> None:
    later = NOW + timedelta(200)
    with calendar.write() as connection:
        end = calendar_end(connection)
        fill_calendar(connection, COMPANY, later)
        fill_calendar(connection, COMPANY, later)
        assert calendar_end(connection) == end + timedelta(200)
        seams = connection.execute(
            text("""
                SELECT count(*) FROM calendar_day a
                  LEFT JOIN calendar_day b ON b.zone = a.zone AND b.day = a.day + 1
                 WHERE b.begins_at <> a.ends_at
                    OR (b.opens_at IS NULL) <> (b.business_number = a.business_number)""")
        ).scalar_one()
    assert seams == 0


def test_a_zone_that_the_machine_does_not_know_lives_by_the_companys_clock(
    calendar: Database, caplog: pytest.LogCaptureFixture
) -> None:
    assert "Mars/Utopia" not in available_timezones()
    with calendar.write() as connection:
        connection.execute(text("UPDATE lead SET zone = 'Mars/Utopia' WHERE zone = 'UTC'"))
        with caplog.at_level(logging.WARNING):
            fill_calendar(connection, COMPANY, NOW)
    instant = at(at_minute(date(2026, 11, 25), OPENS - 1, "Europe/Berlin"))
    opened = ask(
        calendar,
        next_opening(literal("Mars/Utopia"), instant),
        next_opening(literal("Europe/Berlin"), instant),
    )
    assert opened[0] == opened[1] == at_minute(date(2026, 11, 25), OPENS, "Europe/Berlin")
    assert "Mars/Utopia" in caplog.text


def test_instants_are_exact_to_the_microsecond() -> None:
    instant = datetime(2026, 10, 25, 0, 59, 59, 999_999, tzinfo=UTC)
    assert to_micros(instant) % 1_000_000 == 999_999

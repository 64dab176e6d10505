from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.domain.company import WorkingHours
from leadnurture.domain.timing import Duration
from leadnurture.sales import hours
from leadnurture.sales.hours import Office

BERLIN = Office("Europe/Berlin", WorkingHours(), "DE-HE")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "duration", "due"),
    [
        ("2026-12-07 09:00", Duration(4, "business hours"), "2026-12-07 13:00"),
        ("2026-12-07 13:00", Duration(4, "business hours"), "2026-12-07 17:00"),
        ("2026-12-07 15:30", Duration(4, "business hours"), "2026-12-08 11:30"),
        ("2026-12-07 06:00", Duration(2, "business hours"), "2026-12-07 11:00"),
        ("2026-12-11 16:00", Duration(4, "business hours"), "2026-12-14 12:00"),
        ("2026-12-12 12:00", Duration(2, "business hours"), "2026-12-14 11:00"),
        ("2026-12-07 14:00", Duration(1, "business days"), "2026-12-08 14:00"),
        ("2026-12-12 12:00", Duration(1, "business days"), "2026-12-14 17:00"),
        ("2026-12-07 14:00", Duration(90, "minutes"), "2026-12-07 15:30"),
        ("2026-12-07 14:00", Duration(60, "days"), "2027-02-05 14:00"),
        ("2027-01-31 14:00", Duration(1, "months"), "2027-02-28 14:00"),
        ("2026-11-30 14:00", Duration(13, "months"), "2027-12-30 14:00"),
    ],
    ids=str,
)
def test_a_promise_falls_due(start: str, duration: Duration, due: str) -> None:
    assert hours.add(berlin(start), duration, BERLIN) == berlin(due)


def test_holidays_do_not_count() -> None:
    christmas_eve = berlin("2026-12-24 16:00")
    assert hours.add(christmas_eve, Duration(2, "business hours"), BERLIN) == berlin("2026-12-28 10:00")


def test_each_works_on_the_clock_of_the_own_zone() -> None:
    start = berlin("2026-12-07 09:00")
    new_york = Office("America/New_York", WorkingHours(), None)
    assert hours.add(start, Duration(1, "business hours"), new_york) == datetime(
        2026, 12, 7, 15, 0, tzinfo=UTC
    )


def test_a_night_on_which_the_clock_changes_costs_nobody_an_hour() -> None:
    shift = Office("Europe/Berlin", WorkingHours((6,), 0, 12 * 60), None)
    spring = berlin("2027-03-28 00:00")
    assert hours.add(spring, Duration(4, "business hours"), shift) == spring + timedelta(hours=4)
    assert hours.add(spring, Duration(4, "business hours"), shift) == berlin("2027-03-28 05:00")


def test_calendar_days_keep_the_local_hour_over_a_change_of_the_clock() -> None:
    assert hours.add(berlin("2027-03-27 10:00"), Duration(1, "days"), BERLIN) == berlin("2027-03-28 10:00")


def test_an_office_that_never_opens_owes_at_once() -> None:
    start = berlin("2026-12-07 09:00")
    assert hours.add(start, Duration(1, "business hours"), Office("UTC", WorkingHours(()), None)) == start


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given a zone there
    first=st.integers(1, 30),
    second=st.integers(1, 30),
)
def test_two_promises_in_a_row_are_one(start: datetime, first: int, second: int) -> None:
    """Working time adds up, and every deadline lies within the working hours."""
    between = hours.add(start, Duration(first, "business hours"), BERLIN)
    due = hours.add(between, Duration(second, "business hours"), BERLIN)
    assert due == hours.add(start, Duration(first + second, "business hours"), BERLIN)
    local = due.astimezone(ZoneInfo("Europe/Berlin"))
    assert local.weekday() < 5
    assert time(9) < local.time() <= time(17)

"""Durations, hours and dates as people write them: text in, values of `domain.timing` out.

Each use of a duration names the units that make sense there; others are refused, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leadnurture.definitions.problems import MistakeError, listed, unknown
from leadnurture.domain.company import WorkingHours
from leadnurture.domain.timing import (
    After,
    Anchor,
    Anchored,
    At,
    Duration,
    FactAnchor,
    Hour,
    Late,
    StepAnchor,
    Unit,
    Wait,
)

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WAITS: Final[tuple[Unit, ...]] = ("minutes", "hours", "days", "weeks", "months", "business days")
UNITS: Final[tuple[Unit, ...]] = (*WAITS, "business hours")
SPANS: Final[tuple[Unit, ...]] = ("minutes", "hours", "days", "weeks")
DATES: Final[tuple[Unit, ...]] = ("days", "weeks", "months", "business days")
LENGTHS: Final[tuple[Unit, ...]] = ("minutes", "hours", "days")
PACES: Final = {"day": 1, "week": 7, "month": 30}
MOST: Final = 10_000
LAST_MINUTE: Final = 24 * 60

DURATION: Final = re.compile(r"([0-9]{1,9}) +([a-z]+(?: [a-z]+)?)")
ANCHORED: Final = re.compile(r"(.+?) +(before|after) +(\S+)")
CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})")
PACE: Final = re.compile(r"([0-9]{1,4}) +an? +(\w+)")


@dataclass(frozen=True, slots=True)
class Anchors:
    """What a date may be counted from: steps that send something, and facts that are dates."""

    steps: Collection[str]
    sending: Collection[str]
    dates: Collection[str]


def duration(text: str, units: Sequence[Unit] = UNITS, least: int = 1) -> Duration:
    """`5 business days`, `1 hour`."""
    match = DURATION.fullmatch(text.strip())
    if not match:
        raise MistakeError(
            f'"{text}" is not a length of time; write a number and a unit, as in "{_example(units)}"'
        )
    amount, word = int(match[1]), match[2]
    unit = next((unit for unit in UNITS if word in {unit, unit[:-1]}), None)
    if unit is None:
        raise MistakeError(unknown("unit", word, units))
    if unit not in units:
        raise MistakeError(f"{unit} cannot be counted here; write {listed(units)}")
    if not least <= amount <= MOST:
        raise MistakeError(f'"{text}" is out of range; write a number from {least} to {MOST}')
    return Duration(amount, unit)


def after(text: str, anchors: Anchors) -> After:
    """`1 week`, `1 day after invite`, `45 days before budget_on`."""
    match = ANCHORED.fullmatch(text.strip())
    return _anchored(match, anchors) if match else Wait(duration(text, WAITS))


def at(text: str, anchors: Anchors) -> At:
    """`tuesday 10:00`, `tuesday`, `10:00`, `2 business days before invite`."""
    match = ANCHORED.fullmatch(text.strip())
    if match:
        return _anchored(match, anchors)
    day, _, clock = text.strip().partition(" ")
    if day in WEEKDAYS:
        return Hour(WEEKDAYS.index(day), minute_of_day(clock.strip()) if clock else None)
    if CLOCK.fullmatch(text.strip()):
        return Hour(None, minute_of_day(text.strip()))
    if day.isalpha():
        raise MistakeError(unknown("weekday", day, WEEKDAYS, 'write it as in "tuesday 10:00"'))
    raise MistakeError(
        f'"{text}" is not an hour; write "tuesday 10:00", "10:00" or "2 days before" and a step or a date'
    )


def late(text: str) -> Late:
    """`skip`, `next window`, `within 4 hours`."""
    match text.split(maxsplit=1):
        case ["skip"]:
            return Late("skip")
        case ["next", "window"]:
            return Late("next window")
        case ["within", span]:
            return Late("within", duration(span, WAITS))
    raise MistakeError(
        f'"{text}" is not a rule for a late mail; write "skip", "next window" or "within 4 hours"'
    )


def again(text: str) -> Duration | None:
    """`after 180 days`, or `never`."""
    match text.split(maxsplit=1):
        case ["never"]:
            return None
        case ["after", span]:
            return duration(span, (*SPANS, "months"))
    raise MistakeError(f'"{text}" does not say when he may come again; write "after 180 days" or "never"')


def ahead(text: str) -> Duration | date:
    """What a date fact is set to: `in 6 months`, `today`, `2027-01-31`."""
    match text.split(maxsplit=1):
        case ["today"]:
            return Duration(0, "days")
        case ["in", span]:
            return duration(span, DATES)
    return day(text)


def hours(text: str) -> WorkingHours:
    """`monday to friday 9:00 to 17:00`, `monday, friday 9:00 to 12:00`."""
    match = re.fullmatch(r"([a-z ,]+?) +([0-9]{1,2}:[0-9]{2}) +to +([0-9]{1,2}:[0-9]{2})", text.strip())
    if not match:
        raise MistakeError(f'"{text}" are no working hours; write "monday to friday 9:00 to 17:00"')
    opens, closes = minute_of_day(match[2]), minute_of_day(match[3], last=LAST_MINUTE)
    if opens >= closes:
        raise MistakeError(
            f"{match[2]} to {match[3]} ends before it begins; the first hour must be the earlier one"
        )
    return WorkingHours(_weekdays(match[1]), opens, closes)


def pace(text: str) -> tuple[int, int]:
    """`2 a week` as (mails, days)."""
    match = PACE.fullmatch(text.strip())
    if not match or match[2] not in PACES or int(match[1]) < 1:
        raise MistakeError(f'"{text}" is not a pace; write "2 a week", "1 a day" or "3 a month"')
    return int(match[1]), PACES[match[2]]


def day(text: str) -> date:
    """`2026-12-08`."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()):
        raise MistakeError(f'"{text}" is not a date; write it as year-month-day, as in 2026-12-08')
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise MistakeError(f'"{text}" is not in the calendar; look at its month and day') from None


def days(text: str) -> tuple[date, date]:
    """`2026-12-21 to 2027-01-06`, or one day."""
    first, _, last = (part.strip() for part in text.partition(" to "))
    span = day(first), day(last or first)
    if span[0] > span[1]:
        raise MistakeError(f'"{text}" ends before it begins; the first date must be the earlier one')
    return span


def moment(text: str) -> datetime:
    """`2026-12-08 15:00`, local time of the company."""
    on, _, clock = text.strip().partition(" ")
    if not clock:
        raise MistakeError(
            f'"{text}" is not a session; write date and hour, as in "2026-12-08 15:00", or the word cancelled'
        )
    minute = minute_of_day(clock.strip())
    starts = day(on)
    return datetime(starts.year, starts.month, starts.day, minute // 60, minute % 60)  # noqa: DTZ001  # local on purpose


def minute_of_day(text: str, last: int = LAST_MINUTE - 1) -> int:
    """`9:30` as 570."""
    match = CLOCK.fullmatch(text)
    minute = int(match[1]) * 60 + int(match[2]) if match else -1
    if not match or int(match[2]) > 59 or minute > last:  # noqa: PLR2004  # minutes of an hour
        raise MistakeError(f'"{text}" is not an hour; write it as in 9:30 or 17:00')
    return minute


def zone(text: str) -> str:
    """`Europe/Berlin`, unchanged."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MistakeError(f'unknown zone "{text}"; write area and city, as in Europe/Berlin') from None
    return text


def _anchored(match: re.Match[str], anchors: Anchors) -> Anchored:
    anchor = _anchor(match[3], anchors)
    units = DATES if isinstance(anchor, FactAnchor) else WAITS
    length = duration(match[1], units, least=0)
    return Anchored(length, "before", anchor) if match[2] == "before" else Anchored(length, "after", anchor)


def _anchor(name: str, anchors: Anchors) -> Anchor:
    if name in anchors.sending:
        return StepAnchor(name)
    if name in anchors.dates:
        return FactAnchor(name)
    if name in anchors.steps:
        raise MistakeError(
            f'step "{name}" sends nothing, so it has no date to count from; name one that sends'
        )
    remedy = "name a step that sends, or a fact that is a date"
    sentence = unknown("step or date", name, {*anchors.sending, *anchors.dates}, remedy)
    raise MistakeError(sentence, needs_company=True)


def _weekdays(text: str) -> tuple[int, ...]:
    if " to " in text:
        first, last = (_weekday(part) for part in text.split(" to ", 1))
        return tuple(sorted((first + step) % 7 for step in range((last - first) % 7 + 1)))
    return tuple(sorted({_weekday(part) for part in re.split(r",| and ", text) if part.strip()}))


def _weekday(text: str) -> int:
    if text.strip() not in WEEKDAYS:
        remedy = 'write it as in "monday to friday 9:00 to 17:00"'
        raise MistakeError(unknown("weekday", text.strip(), WEEKDAYS, remedy))
    return WEEKDAYS.index(text.strip())


def _example(units: Sequence[Unit]) -> str:
    return str(Duration(5, units[-1]))

"""When the clock of the demo stops: whole hours of two days a week, so that what falls due gathers there.

One idea to hold: a wave costs the machine the same for one lead as for a thousand, so looks and waves wait
for the next round, and for a year the rounds lie further and further apart. Mails and what sales owes do not
wait: the clock stops for them on its way. People answer in between, too: the mails of Tuesday by Thursday,
and those of Thursday by the next Tuesday.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Europe/Berlin")
"""On the clock of the sample company are all hours here."""
ONE_DAY: Final = timedelta(days=1)
INSTANT: Final = timedelta(microseconds=1)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)
DAYS: Final = (TUESDAY, THURSDAY)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week, as (weekday, hour)."""

    week: tuple[tuple[int, int], ...]

    def first_from(self, at: datetime) -> datetime:
        """The first of them at or after an instant."""
        day = at.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        while True:
            for weekday, hour in self.week:
                if weekday == day.weekday() and (stop := day.replace(hour=hour)) >= at:
                    return stop.astimezone(at.tzinfo)
            day += ONE_DAY

    def first_after(self, at: datetime) -> datetime:
        """The first of them after an instant."""
        return self.first_from(at + INSTANT)


def _on(days: tuple[int, ...], *hours: int) -> tuple[tuple[int, int], ...]:
    return tuple((day, hour) for day in days for hour in hours)


ROUNDS: Final = Hours(_on(DAYS, 8))
"""Looks and waves, before the mails of the day leave."""
ANSWERS: Final = Hours(_on(DAYS, 7))
"""What people do: an hour before, so that their clicks have settled when the round begins."""
SENDING: Final = Hours(_on(DAYS, 8, 12, 16))
"""An afternoon in Singapore, noon in Europe, a forenoon in New York. Sales is told what it owes then, too."""
SENDING_TODAY: Final = Hours(tuple(sorted((*SENDING.week, *_on((MONDAY, WEDNESDAY, FRIDAY), 12)))))
"""For mails that are worth nothing on another day."""
DECIDING: Final = Hours(_on(DAYS, 11, 15))
"""When salespeople decide: within the half day that they owe."""

STRIDES: Final = (
    (timedelta(weeks=3), timedelta(0)),
    (timedelta(weeks=7), timedelta(weeks=1)),
    (timedelta(weeks=11), timedelta(weeks=2)),
    (timedelta(weeks=12), timedelta(weeks=4)),
    (timedelta(weeks=54), timedelta(weeks=13)),
    (timedelta.max, timedelta(weeks=4)),
)
"""Until how long after the beginning, how much time lies between two rounds at least."""


def next_round(began: datetime, last: datetime, due: datetime) -> datetime:
    """The round at which is done what falls due at an instant, in a demo that began and last had one then."""
    stride = next(stride for until, stride in STRIDES if last - began < until)
    return ROUNDS.first_from(max(due, last + INSTANT, last.astimezone(ZONE) + stride))

"""When the clock of the demo stops: whole hours of a few days a week, so that what falls due gathers there.

One idea to hold: a wave costs the machine the same for one lead as for a thousand, so the demo lets work wait
for the next of a few instants. What people do gathers there too: they answer the mails of Tuesday on
Wednesday, and those of Thursday before the next Tuesday. All is UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

ONE_DAY: Final = timedelta(days=1)
AN_HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)
WORKING_DAYS: Final = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week, as (weekday, hour)."""

    week: tuple[tuple[int, int], ...]

    def first_from(self, at: datetime) -> datetime:
        """The first of them at or after an instant."""
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while True:
            for weekday, hour in self.week:
                if weekday == day.weekday() and (stop := day.replace(hour=hour)) >= at:
                    return stop
            day += ONE_DAY

    def first_after(self, at: datetime) -> datetime:
        """The first of them after an instant."""
        return self.first_from(at + INSTANT)


ROUNDS: Final = Hours(((TUESDAY, 7), (WEDNESDAY, 15), (THURSDAY, 7)))
"""Looks and waves, and what people do: two mornings, before the mails of the day leave, and one evening."""
# A morning in Singapore and Helsinki, a forenoon in Berlin, and one in New York.
SENDING: Final = Hours(tuple((day, hour) for day in WORKING_DAYS for hour in (7, 9, 15)))
REMINDING: Final = Hours(tuple((day, hour) for day in WORKING_DAYS for hour in (7, 15)))

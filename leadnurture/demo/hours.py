"""When the clock of the demo stops: whole hours of a few days a week, so that what falls due gathers there.

One idea to hold: a wave costs the machine the same for one lead as for a thousand, so the demo lets work wait
for the next of a few instants. What people do gathers there too: they answer the mails of Tuesday by
Thursday, and those of Thursday by the next Tuesday. All is UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

ONE_DAY: Final = timedelta(days=1)
INSTANT: Final = timedelta(microseconds=1)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)
NO_TUESDAY: Final = (MONDAY, WEDNESDAY, THURSDAY, FRIDAY)


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


ROUNDS: Final = Hours(((TUESDAY, 7), (THURSDAY, 14)))
"""Looks and waves: a morning, before the mails of the day leave, and an afternoon."""
ANSWERS: Final = Hours(((TUESDAY, 6), (THURSDAY, 13)))
"""What people do: an hour before, so that their clicks have settled when the round begins."""
SENDING: Final = Hours(((TUESDAY, 7), (TUESDAY, 10), (THURSDAY, 14)))
"""A morning in Singapore, a forenoon in Berlin and London, one in New York; reminders leave then, too."""
SENDING_TODAY: Final = Hours(tuple(sorted((*SENDING.week, *((day, 10) for day in NO_TUESDAY)))))
"""For mails that are worth nothing on another day."""
DECIDING: Final = Hours(((TUESDAY, 11), (FRIDAY, 9)))
"""When salespeople decide: within the half day that they owe."""

"""Lets time pass: the clock stands still while anything is due, then goes on to the next hour of anything.

One idea to hold: between two rounds the clock is held. People do what they do, mails leave and sales decide,
each at his hour; then one round of looks and waves sees all of it together with what time has made due.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, insert, update

from leadnurture.app import Project, Upcoming, upcoming
from leadnurture.demo import rows
from leadnurture.demo.audience import Audience
from leadnurture.demo.hours import INSTANT, ROUNDS, SENDING, SENDING_TODAY, next_round
from leadnurture.store.tables import metadata

BEGINS: Final = datetime(2026, 11, 23, 7, tzinfo=UTC)
"""A Monday morning, before work."""


def set_clock(project: Project, now: datetime, *, is_held: bool = False) -> None:
    """Makes the stepping clock, or sets it: every door reads that row. Held, looks and waves wait."""
    clock = metadata.tables["clock"]

    def write(connection: Connection) -> None:
        if not connection.execute(update(clock).values(now_at=now, is_held=is_held)).rowcount:
            connection.execute(insert(clock).values(id=1, now_at=now, is_held=is_held))

    project.database.run(write)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to the company at an instant."""

    at: datetime
    do: Callable[[], None]


class Director:
    """Drives one demo.

    `rest` returns when nothing is due at an instant any more but what a held clock holds, or says False when
    it is time to end.
    """

    def __init__(
        self,
        project: Project,
        audience: Audience,
        rest: Callable[[datetime], bool],
        happenings: Iterable[Happening] = (),
        now: datetime = BEGINS,
    ) -> None:
        self._project = project
        self._audience = audience
        self._rest = rest
        self._happenings = sorted(happenings, key=lambda each: each.at)
        self.now = now
        self._began = self._last_round = now

    def step(self) -> bool:
        """Lets everything due be done, then goes on. False when it is time to end or nothing is left."""
        if not self._rest(self.now):
            return False
        self._audience.read(self.now)
        due = upcoming(self._project, self.now)
        following = min(self._rounds(due), default=None)
        errand = min(self._errands(due), default=None)
        if errand is not None and (following is None or errand < following):
            self._go_on(errand)
        elif following is not None:
            self._go_on(following)
            self._last_round = following
            set_clock(self._project, following)
        else:
            return False
        return True

    def _go_on(self, following: datetime) -> None:
        """Sets the clock forward and holds it; meanwhile people do what they do by then, each at his hour."""
        while (at := self._audience.next_at) is not None and at <= following:
            set_clock(self._project, at, is_held=True)
            self._audience.answer(at)
        set_clock(self._project, following, is_held=True)
        self.now = following
        while self._happenings and self._happenings[0].at <= following:
            self._happenings.pop(0).do()

    def _rounds(self, due: Upcoming) -> Iterator[datetime]:
        """The hours at which there is something to look at or a wave to run."""
        judging = [] if due.judging is None else [due.judging]
        work = [*due.waves.values(), *due.looks.values(), *judging]
        if self._audience.next_at is not None:
            work.append(self._audience.next_at)
        if work:
            yield next_round(self._began, self._last_round, min(work))
        for each in self._happenings[:1]:
            yield ROUNDS.first_from(max(each.at, self.now + INSTANT))

    def _errands(self, due: Upcoming) -> Iterator[datetime]:
        """The hours at which mails leave and sales is told what it owes."""
        with self._project.database.read() as connection:
            urgent = rows.next_urgent_mail(connection)
            reminder = rows.next_reminder(connection, self.now)
        if reminder is not None:
            yield reminder
        for hours, at in ((SENDING, due.sending), (SENDING_TODAY, urgent), (SENDING, due.sales)):
            if at is not None:
                yield hours.first_from(max(at, self.now + INSTANT))

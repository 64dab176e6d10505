"""Lets time pass: the clock stands still while anything is due, then goes on to the next hour of anything.

One idea to hold: what people do at an hour is told while the clock is held, so that one round of looks and
waves sees all of it together with what time has made due.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, insert, update

from leadnurture.app import Project, upcoming
from leadnurture.demo import rows
from leadnurture.demo.audience import Audience
from leadnurture.demo.hours import INSTANT, ROUNDS, SENDING, SENDING_TODAY
from leadnurture.store.tables import metadata

BEGINS: Final = datetime(2026, 11, 23, 7, tzinfo=UTC)
"""A Monday morning, before work."""


def set_clock(project: Project, now: datetime, *, is_held: bool = False) -> None:
    """Makes the stepping clock, or sets it: every door reads that row."""
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

    `rest` returns when nothing is due at an instant any more, or says False when it is time to end.
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

    def step(self) -> bool:
        """Lets everything due be done, then goes on. False when it is time to end or nothing is left."""
        if not self._rest(self.now):
            return False
        self._audience.read(self.now)
        following = min(self._times(), default=None)
        if following is None:
            return False
        self._go_on(following)
        return True

    def _go_on(self, following: datetime) -> None:
        """Sets the clock forward; meanwhile people do what they do by then, each at his hour."""
        while (at := self._audience.next_at) is not None and at <= following:
            set_clock(self._project, at, is_held=True)
            self._audience.answer(at)
        set_clock(self._project, following, is_held=True)
        self.now = following
        while self._happenings and self._happenings[0].at <= following:
            self._happenings.pop(0).do()
        set_clock(self._project, following)

    def _times(self) -> Iterator[datetime]:
        """The hours at which there is something to do; each kind of work gathers at hours of its own."""
        due, soon = upcoming(self._project, self.now), self.now + INSTANT
        work = [*due.waves.values(), *due.looks.values(), *(each.at for each in self._happenings[:1])]
        if due.judging is not None:
            work.append(due.judging)
        if self._audience.next_at is not None:
            work.append(self._audience.next_at)
        for at in work:
            yield ROUNDS.first_from(max(at, soon))
        for at in filter(None, (due.sending, due.sales)):
            yield SENDING.first_from(max(at, soon))
        with self._project.database.read() as connection:
            urgent = rows.next_urgent_mail(connection)
        if urgent is not None:
            yield SENDING_TODAY.first_from(max(urgent, soon))

"""Wakes work when it falls due, by APScheduler: a date job per program and track, no empty runs.

One idea to hold: the jobs are only a picture of the rows. Once a second (`poll`) the rows say when each kind
of work is due next and the jobs are set to that, since reactions come in through other processes. So nothing
is lost when a job is missed, and a clock that starts anew is complete after its first poll.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from leadnurture.app import Upcoming, machine_now
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import LeadNurtureError

logger = logging.getLogger("leadnurture.flows")

POLL_SECONDS: Final = 1.0
STEPPING_POLL_SECONDS: Final = 0.1
"""Where a clock steps, somebody waits for it to be done."""
GATHERING: Final = timedelta(seconds=2)
"""How long a look waits after the first reaction, so that those after it come into the same wave."""
ENGINE: Final = "engine"
"""The lane of looks and waves."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
LONGEST_END: Final = 30.0
# A date job must never be dropped: not for being late, and not because the job that has just armed it anew is
# about to end. It never runs beside itself all the same, since a lane is one thread.
JOB: Final[dict[str, Any]] = {"coalesce": True, "max_instances": 3, "misfire_grace_time": None}


class Surface(Protocol):
    """What the clock asks of the product. Work says whether it changed anything: more may be due then."""

    def now(self) -> tuple[datetime, bool]:
        """The product's now, and whether its clock is stepping."""

    def upcoming(self, now: datetime) -> Upcoming:
        """When each kind of work falls due next."""

    def judge(self) -> bool:
        """Judges clicks: a person or a machine."""

    def wave(self, program: str) -> bool:
        """Runs a wave of a program."""

    def look(self, track: Track) -> bool:
        """Looks at the changed leads of a track."""

    def deliver(self) -> bool:
        """Sends what is due."""

    def sell(self) -> bool:
        """Assigns handoffs, watches the SLA, sends notices."""

    def read_inbox(self) -> bool:
        """Reads what came in."""


@dataclass(frozen=True)
class Alarm:
    """Work that falls due at an instant of the product's clock; what shares a lane runs in turn."""

    name: str
    lane: str
    at: datetime
    work: Callable[[], bool]
    gathers: bool = False


class Clock:
    """Runs the work of a surface when it falls due, until stopped."""

    def __init__(self, surface: Surface, *, poll_seconds: float | None = None) -> None:
        self._surface = surface
        _, is_stepping = surface.now()
        self._poll_seconds = poll_seconds or (STEPPING_POLL_SECONDS if is_stepping else POLL_SECONDS)
        lanes = {lane: ThreadPoolExecutor(1) for lane in ("default", ENGINE, "mail", "sales", "inbox")}
        self._scheduler = BackgroundScheduler(executors=lanes, job_defaults=JOB, timezone="UTC")
        self._ordered: set[str] = set()
        """Armed, waiting in their lane, or running."""
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        """One poll at a time: finished work polls too, and two would both tell of one trouble."""
        self._running = 0
        self._is_over = False
        self._ended = threading.Condition()
        self._is_blind = False

    def start(self) -> None:
        """Starts the scheduler; what is due already runs at once."""
        self._scheduler.add_job(
            self.poll,
            "interval",
            seconds=self._poll_seconds,
            id="poll",
            next_run_time=machine_now(),
            max_instances=1,
        )
        self._scheduler.start()

    def stop(self, seconds: float = LONGEST_END) -> None:
        """Arms nothing more, begins nothing more, and waits for what runs. Safe to repeat."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        if not was_over:
            # A pass over the jobs that is under way removes what it has begun, and breaks where the
            # scheduler is shut down meanwhile: so no new one begins, and reading the jobs waits for the last.
            self._scheduler.pause()
            self._scheduler.get_jobs()
            # Waiting is ours: the scheduler would hold a lock meanwhile that finished work asks for.
            self._scheduler.shutdown(wait=False)
        with self._ended:
            self._ended.wait_for(lambda: not self._running, seconds)

    def poll(self) -> None:
        """Reads the rows and sets the alarms by them. A database that does not answer is asked again."""
        with self._polling:
            self._poll()

    def _poll(self) -> None:
        try:
            now, is_stepping = self._surface.now()
            alarms = list(self._alarms(self._surface.upcoming(now)))
        except Exception as error:  # noqa: BLE001 - the clock must go on
            if not self._is_blind:
                logger.error("The clock cannot read what is due: %s", told(error))  # noqa: TRY400 - a sentence
            self._is_blind = True
            return
        self._is_blind = False
        with self._lock:
            due = self._in_turn(alarms, now) if is_stepping else alarms
            for alarm in [] if self._is_over else due:
                self._arm(alarm, now, is_stepping=is_stepping)

    def _in_turn(self, alarms: Sequence[Alarm], now: datetime) -> Sequence[Alarm]:
        """Where a clock steps nothing hurries: mails and handoffs wait for all looks and waves of an hour."""
        first = [alarm for alarm in alarms if alarm.lane == ENGINE]
        is_busy = any(
            alarm.name in self._ordered or (alarm.at <= now and alarm.name not in self._not_before)
            for alarm in first
        )
        return first if is_busy else alarms

    def _alarms(self, upcoming: Upcoming) -> Iterator[Alarm]:
        if upcoming.judging is not None:
            yield Alarm("judge", ENGINE, upcoming.judging, self._surface.judge)
        for track, at in upcoming.looks.items():
            yield Alarm(f"look {track}", ENGINE, at, partial(self._surface.look, track), gathers=True)
        for program, at in upcoming.waves.items():
            yield Alarm(f"wave {program}", ENGINE, at, partial(self._surface.wave, program))
        if upcoming.sending is not None:
            yield Alarm("deliver", "mail", upcoming.sending, self._surface.deliver)
        if upcoming.sales is not None:
            yield Alarm("sell", "sales", upcoming.sales, self._surface.sell)
        if upcoming.inbox is not None:
            yield Alarm("read inbox", "inbox", upcoming.inbox, self._surface.read_inbox)

    def _arm(self, alarm: Alarm, now: datetime, *, is_stepping: bool) -> None:
        """Sets the job of an alarm, unless it runs now; an earlier one stays: reactions put nothing off."""
        at = self._due(alarm, now, is_stepping=is_stepping)
        if at is None:
            return
        at = max(at, self._not_before.get(alarm.name, at))
        job = self._scheduler.get_job(alarm.name)
        has_begun = job is None and alarm.name in self._ordered
        if has_begun or (job is not None and job.next_run_time <= at):
            return
        self._ordered.add(alarm.name)
        self._scheduler.add_job(
            self._run,
            "date",
            run_date=at,
            args=[alarm],
            id=alarm.name,
            executor=alarm.lane,
            replace_existing=True,
        )

    def _due(self, alarm: Alarm, now: datetime, *, is_stepping: bool) -> datetime | None:
        """The machine's instant for an alarm. A stepping clock stands while anything is due, so only that."""
        if is_stepping:
            return machine_now() if alarm.at <= now else None
        if alarm.at > now:
            return alarm.at
        return machine_now() + GATHERING if alarm.gathers else machine_now()

    def _run(self, alarm: Alarm) -> None:
        with self._ended:
            self._running += 1
        try:
            if not self._is_over:
                self._work(alarm)
        finally:
            with self._ended:
                self._running -= 1
                self._ended.notify_all()

    def _work(self, alarm: Alarm) -> None:
        has_more = False
        try:
            has_more = alarm.work()
        except Exception as error:  # noqa: BLE001 - one program's trouble is not another's
            self._pause(alarm.name, error)
        else:
            self._failures.pop(alarm.name, None)
            self._not_before.pop(alarm.name, None)
        finally:
            with self._lock:
                self._ordered.discard(alarm.name)
        if has_more:
            self.poll()

    def _pause(self, name: str, error: Exception) -> None:
        """Lets failing work rest, longer each time."""
        self._failures[name] = self._failures.get(name, 0) + 1
        seconds = min(FIRST_PAUSE * 2 ** (self._failures[name] - 1), LONGEST_PAUSE)
        self._not_before[name] = machine_now() + timedelta(seconds=seconds)
        is_bug = not isinstance(error, LeadNurtureError)
        logger.error(
            "%s failed, again in %d seconds: %s",
            name,
            seconds,
            told(error),
            exc_info=error if is_bug else None,
        )


def told(error: Exception) -> str:
    """An error in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]

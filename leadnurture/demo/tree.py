"""The running system as the demo sees it: its processes, what is due, what Prefect shows, what went wrong."""

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import Connection, func, select

from flows.supervisor import Supervisor
from leadnurture.app import Project, upcoming
from leadnurture.errors import LeadNurtureError
from leadnurture.store.tables import metadata

GLANCE: Final = 0.1
STUCK_SECONDS: Final = 120.0
ERROR: Final = re.compile(
    r"^\S+ \S+ (?:ERROR|CRITICAL) +(.*)$|\"level\": \"(?:ERROR|CRITICAL)\".*?\"message\": \"(.*?)\""
)
PATIENCE: Final = 4.0
"""Seconds for which nobody waits for a run that Prefect does not show."""
LAG: Final = 1
"""So many waves may still be on their way to Prefect."""
ANSWERS_WITHIN: Final = 5.0


class StuckError(LeadNurtureError):
    """The worker does not get on."""


class Tree:
    """Watches the processes while the director lets time pass."""

    def __init__(self, project: Project, supervisor: Supervisor, tick: Callable[[], bool]) -> None:
        """`tick` is asked all the time, and says False when it is time to end."""
        self._project = project
        self._supervisor = supervisor
        self._tick = tick
        self._polled = 0.0
        self._prefect = httpx.Client(base_url=supervisor.prefect_url, timeout=ANSWERS_WITHIN)

    def rest(self, now: datetime) -> bool:
        """Returns when nothing is due at that instant any more; False when the demo is to end before."""
        since = time.monotonic()
        while not self.is_quiet(now):
            if not self._tick() or self._supervisor.is_stopping(GLANCE):
                return False
            self._watch()
            if time.monotonic() - since > STUCK_SECONDS:
                raise StuckError(
                    f"Work that was due at {now:%d %b %Y, %H:%M} is not done "
                    f"after {STUCK_SECONDS:.0f} seconds; see {self.logs}."
                )
        return self._keep_step() and self._tick() and not self._supervisor.is_stopping(0)

    def _keep_step(self) -> bool:
        """Waits until Prefect shows what was done, as no worker ever does; but not for one that hangs."""
        waves, shown, since = self._waves(), -1, time.monotonic()
        while time.monotonic() - since < PATIENCE:
            now_shown = self.waves_shown()
            if now_shown is None or now_shown >= waves - LAG:
                return True
            if now_shown > shown:
                shown, since = now_shown, time.monotonic()
            if not self._tick() or self._supervisor.is_stopping(GLANCE):
                return False
            self._watch()
        return True

    def _waves(self) -> int:
        wave = metadata.tables["wave"]
        with self._project.database.read() as connection:
            return connection.execute(select(func.count()).select_from(wave)).scalar_one()

    def drain(self, now: datetime, seconds: float) -> None:
        """Lets what is due be finished, if that is quick."""
        until = time.monotonic() + seconds
        while not self.is_quiet(now) and time.monotonic() < until:
            time.sleep(GLANCE)

    def is_quiet(self, now: datetime) -> bool:
        """Whether nothing is due and nothing is under way."""
        with self._project.database.read() as connection:
            if _under_way(connection):
                return False
        due = upcoming(self._project, now)
        earliest = (due.held() if self._project.is_held() else due).earliest
        return earliest is None or earliest > now

    @property
    def logs(self) -> Path:
        """Where the processes write what they have to say."""
        return self._project.settings.data / "logs"

    def _watch(self) -> None:
        if time.monotonic() - self._polled > 1.0:
            self._polled = time.monotonic()
            self._supervisor.poll()

    def errors(self) -> list[str]:
        """What web server and worker have logged as errors, in one line each."""
        return [line for name in ("web", "worker") for line in _errors_in(self.logs / f"{name}.log")]

    def waves_shown(self) -> int | None:
        """How many waves Prefect shows; None when it does not answer."""
        programs = [program.name for program in self._project.definitions().programs]
        question = {"flows": {"name": {"any_": programs}}}
        try:
            answer = self._prefect.post("/api/flow_runs/count", json=question)
            return int(answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError):
            return None


def _under_way(connection: Connection) -> int:
    """Waves that hold their program, mails that are being sent, notices that are being tried."""
    program, message, notice = (metadata.tables[name] for name in ("program", "message", "notice"))
    waves = select(func.count()).where(program.c.lease_owner.is_not(None))
    mails = select(func.count()).where(
        message.c.status.in_(["planned", "sending"]), message.c.lease_owner.is_not(None)
    )
    notices = select(func.count()).where(notice.c.status == "planned", notice.c.attempts <= 1)
    counts = connection.execute(
        select(waves.scalar_subquery(), mails.scalar_subquery(), notices.scalar_subquery())
    ).one()
    return sum(counts)


def _errors_in(log: Path) -> Iterator[str]:
    if not log.exists():
        return
    for line in log.read_text(errors="replace").splitlines():
        if found := ERROR.search(line):
            yield f"{log.stem}: {found[1] or found[2]}"


def left_behind(data: Path) -> list[int]:
    """The processes that still run with that data folder; Linux only, elsewhere none are seen."""
    mark = f"PREFECT_HOME={data / 'prefect'}".encode()
    return [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if int(entry.name) != os.getpid() and mark in _environment(entry)
    ]


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []

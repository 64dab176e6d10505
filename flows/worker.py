"""The long-lived process that does the work: the clock, and behind it waves, looks, mails and handoffs."""

import logging
import os
import signal
import socket
import threading
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid4

from flows.clock import Clock
from flows.deliver import changed_anything, run_delivery
from flows.handoff import run_look, run_sales
from flows.nurture import run_wave
from flows.runs import Runs
from leadnurture import engine, mail
from leadnurture.app import Project, Upcoming, machine_now, read_inbox, upcoming
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import LeadNurtureError

logger = logging.getLogger("leadnurture.flows")

GRACE: Final = 5.0
"""Seconds for which the end waits for runs that are still to be shown in Prefect."""


class StepsFailedError(LeadNurtureError):
    """Steps of a wave failed; the log has the reason."""


class Worker:
    """One worker. Any number of them share the programs and the sending by leases."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._runs = Runs(project.settings.prefect_api)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._is_over = threading.Event()

    def run(self) -> None:
        """Works until SIGTERM or Ctrl-C; then finishes what it has begun."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._is_over.set())
        mail.recover(self._project.database, self._project.clock(), machine_now())
        clock = Clock(self)
        # Said first: with the first run Prefect takes the logs over, and nobody would read this line.
        logger.info("The worker is at work")
        clock.start()
        notify("READY=1")
        self._is_over.wait()
        notify("STOPPING=1")
        clock.stop()
        is_all_shown = self._runs.close(GRACE)
        logger.info("The worker has ended")
        if not is_all_shown:
            # Prefect's threads would wait for a server that does not answer any more.
            logging.shutdown()
            os._exit(0)

    def now(self) -> tuple[datetime, bool]:
        """The product's now, and whether its clock is stepping."""
        stepping = self._project.stepping()
        return (machine_now(), False) if stepping is None else (stepping, True)

    def upcoming(self, now: datetime) -> Upcoming:
        """When each kind of work falls due next, apart from what a held clock holds."""
        due = upcoming(self._project, now)
        return due.held() if self._project.is_held() else due

    def judge(self) -> bool:
        """Judges the clicks that have settled. No run: it is a part of taking them in."""
        return engine.judge(self._project.database, self._project.clock()).clicks > 0

    def wave(self, program: str) -> bool:
        """Runs a wave of a program; StepsFailedError when a part of it failed, so that it rests a while."""
        done = run_wave(self._project, program, self._owner, self._runs)
        if done is not None and done.failed:
            raise StepsFailedError(f"{', '.join(done.failed)} failed in wave {done.wave}")
        return done is not None and done.moved + done.planned + done.ended > 0

    def look(self, track: Track) -> bool:
        """Looks at the changed leads of a track."""
        return run_look(self._project, track, self._runs) is not None

    def deliver(self) -> bool:
        """Sends what is due."""
        return changed_anything(run_delivery(self._project, self._runs))

    def sell(self) -> bool:
        """Assigns handoffs, watches the SLA, sends notices."""
        done = run_sales(self._project, self._runs)
        return done is not None and any(each.count for each in done.values())

    def read_inbox(self) -> bool:
        """Reads what came in; posts that failed rest by themselves."""
        done = read_inbox(self._project, self._project.clock())
        return done.posts > done.failed


def notify(message: str) -> None:
    """Tells whoever started us, in systemd's way (sd_notify): a datagram to the socket of NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)

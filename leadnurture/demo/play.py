"""One demo from nothing to its summary: set up, start the processes, let time pass, stop, tell.

Time is counted from the first wave. Ctrl-C and the end of the time lead the same way out.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import select

from flows.supervisor import Supervisor
from leadnurture.app import Project, open_to_people
from leadnurture.demo.audience import Audience
from leadnurture.demo.director import BEGINS, Director, Happening, set_clock
from leadnurture.demo.roles import CALLED_OFF, MOVED
from leadnurture.demo.screen import Screen, open_screen
from leadnurture.demo.stage import change_sessions, leave_settings, reserved, set_up
from leadnurture.demo.summary import Summary, summarize
from leadnurture.demo.telling import told
from leadnurture.demo.tree import Tree, left_behind
from leadnurture.demo.visits import Visitor
from leadnurture.store.tables import metadata

DRAIN_SECONDS: Final = 8.0
ANSWERS_WITHIN: Final = 30.0
WIDTH: Final = 100
"""Columns of the summary where there is no terminal."""


def run(root: Path, seconds: float | None) -> int:
    """Plays the demo; 0 when all went well. Without seconds until Ctrl-C."""
    leave_settings()
    with reserved(root) as folder, open_screen() as screen:
        project, report = set_up(folder, screen.progress)
        screen.say(
            f"{report.created:,} leads are in; {report.rejected:,} of {report.rows:,} rows were rejected, "
            f"with reasons in {report.rejected_file}"
        )
        summary, errors = _play(project, screen, seconds)
        survivors = left_behind(project.settings.data)
        project.close()
    sys.stdout.write(told(summary, shutil.get_terminal_size((WIDTH, 24)).columns) + "\n")
    problems = [*summary.problems, *errors]
    if survivors:
        problems.append(f"Processes were left behind: {', '.join(map(str, survivors))}.")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def _play(project: Project, screen: Screen, seconds: float | None) -> tuple[Summary, list[str]]:
    supervisor = Supervisor(project, next_free=True)
    with supervisor.stops_on_signals():
        supervisor.start()
        screen.progress("Starting Prefect's server, the web server and the worker (a quarter of a minute)")
        supervisor.wait_ready(screen.progress)
        for address in supervisor.addresses():
            screen.say(address)
        if (first := open_to_people(project, is_seen=True)) is not None:
            screen.say(f"Sign in  {first[0]}, password {first[1]}")
        set_clock(project, BEGINS)
        game = _Game(project, screen, supervisor, seconds)
        game.play()
        shown = game.tree.waves_shown()
        screen.progress("Stopping")
    return summarize(project, BEGINS, game.director.now, shown), game.tree.errors()


class _Game:
    """Director, audience and processes of one demo, and the clock on the wall."""

    def __init__(
        self, project: Project, screen: Screen, supervisor: Supervisor, seconds: float | None
    ) -> None:
        self._project = project
        self._screen = screen
        self._seconds = seconds
        self._began: float | None = None
        self._told: set[str] = set()
        self.tree = Tree(project, supervisor, self._tick)
        self._browser = httpx.Client(base_url=supervisor.web_url, timeout=ANSWERS_WITHIN)
        visitor = Visitor(self._browser, project.settings.api_key.get_secret_value())
        self._audience = Audience(
            project.database, project.definitions(), project.settings.outbox, visitor, BEGINS
        )
        happenings = [
            *(Happening(at, partial(self._call_off, sessions)) for at, sessions in CALLED_OFF),
            *(Happening(at, partial(self._move, session, starts_at)) for at, session, starts_at in MOVED),
        ]
        self.director = Director(project, self._audience, self.tree.rest, happenings)

    def play(self) -> None:
        """Until Ctrl-C, the end of the time, or nothing is left to come."""
        try:
            while self.director.step():
                self._surface_errors()
            self.tree.drain(self.director.now, DRAIN_SECONDS)
        finally:
            self._browser.close()

    def _call_off(self, sessions: Sequence[tuple[str, str]]) -> None:
        names = ", ".join("/".join(session) for session in sessions)
        self._screen.say(f"Called off, by a word in their files: {names}")
        change_sessions(self._project, sessions)
        self._audience.call_off(sessions)

    def _move(self, session: tuple[str, str], starts_at: datetime) -> None:
        self._screen.say(f"Moved, by another date in its file: {'/'.join(session)}")
        change_sessions(self._project, [session], starts_at)
        self._audience.move(session, starts_at)

    def _tick(self) -> bool:
        if self._began is None:
            self._began = time.monotonic() if self._has_begun() else None
        passed = 0.0 if self._began is None else time.monotonic() - self._began
        self._screen.figures(self._project, self.director.now, passed)
        return self._seconds is None or passed < self._seconds

    def _has_begun(self) -> bool:
        with self._project.database.read() as connection:
            return connection.execute(select(metadata.tables["wave"].c.number).limit(1)).first() is not None

    def _surface_errors(self) -> None:
        for line in self.tree.errors():
            if line not in self._told:
                self._told.add(line)
                self._screen.say(line)

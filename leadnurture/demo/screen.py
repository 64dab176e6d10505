"""What is seen while the demo runs: a live line on a terminal, else a plain line every few seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.text import Text
from sqlalchemy import func, select

from leadnurture.app import Project
from leadnurture.demo.hours import ZONE
from leadnurture.store.tables import metadata

EVERY_SECONDS: Final = 5.0
EVERY_SECONDS_LIVE: Final = 0.5


class Screen:
    """Says how far things are, on the standard error."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._said = 0.0

    def say(self, sentence: str) -> None:
        """Something that stays to be read."""
        if self._status is None:
            sys.stderr.write(f"{sentence}\n")
            sys.stderr.flush()
        else:
            self._status.console.print(sentence, markup=False, highlight=False)

    def progress(self, sentence: str) -> None:
        """Where the set-up stands."""
        if self._status is None:
            self.say(sentence)
        else:
            self._status.update(Text(sentence, no_wrap=True, overflow="ellipsis"))

    def figures(self, project: Project, now: datetime, seconds: float) -> None:
        """The product's date with the figures so far; not more often than is readable."""
        pause = EVERY_SECONDS if self._status is None else EVERY_SECONDS_LIVE
        if time.monotonic() - self._said < pause:
            return
        self._said = time.monotonic()
        self.progress(f"{seconds:4.0f} s  {now.astimezone(ZONE):%a %d %b %Y}  {_figures(project)}")


@contextmanager
def open_screen() -> Iterator[Screen]:
    """A screen for the terminal, or for whatever stands in its place."""
    if not sys.stderr.isatty():
        yield Screen(None)
        return
    with Console(stderr=True).status("Setting up") as status:
        yield Screen(status)


def _figures(project: Project) -> str:
    message, reaction, handoff, wave = (
        metadata.tables[name] for name in ("message", "reaction", "handoff", "wave")
    )
    counts = {
        "mails": select(func.count()).where(message.c.sent_at.is_not(None)),
        "reactions": select(func.count()).select_from(reaction),
        "handoffs": select(func.count()).select_from(handoff),
        "waves": select(func.count()).select_from(wave),
    }
    with project.database.read() as connection:
        row = connection.execute(select(*(each.scalar_subquery() for each in counts.values()))).one()
    return ", ".join(f"{count:,} {name}" for name, count in zip(counts, row, strict=True))

"""A place of its own for the demo: a project below the data folder, made anew every time.

No real data is touched. A lock keeps two demos from one place. What the operator has set for his own project
does not reach this one.
"""

import fcntl
import os
import random
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import leadnurture
from leadnurture.app import Project, apply_project, open_project, open_to_people
from leadnurture.demo.director import BEGINS, set_clock
from leadnurture.demo.people import SEED
from leadnurture.errors import LeadNurtureError, NotFoundError
from leadnurture.imports import ImportReport, import_file
from leadnurture.settings import DATA_FOLDER

CHECKOUT: Final = Path(leadnurture.__file__).parents[1]
SAMPLE: Final = ("config", "templates")
LEADS: Final = Path("samples/leads.csv")
FOLDER: Final = "demo"
KEPT: Final = frozenset(
    {"LEADNURTURE_PORT", "LEADNURTURE_PREFECT_PORT", "LEADNURTURE_LOG_LEVEL", "LEADNURTURE_LOG_FORMAT"}
)
FOREIGN: Final = ("LEADNURTURE_", "PREFECT_")


class RunsAlreadyError(LeadNurtureError):
    """A demo is running in this folder already; end it with Ctrl-C first."""

    exit_code = 4


@contextmanager
def reserved(root: Path) -> Iterator[Path]:
    """The empty folder of the demo, for as long as it is held."""
    data = root / DATA_FOLDER
    data.mkdir(mode=0o700, exist_ok=True)
    with (data / f"{FOLDER}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunsAlreadyError from None
        folder = data / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder


def leave_settings() -> None:
    """Takes the operator's own settings out of this process and its children, but for ports and logs."""
    for name in [name for name in os.environ if name.startswith(FOREIGN) and name not in KEPT]:
        del os.environ[name]
    # Nor those that lie as files where containers have them.
    os.environ["LEADNURTURE_SECRETS_DIR"] = os.devnull


def set_up(folder: Path, say: Callable[[str], None] = lambda _: None) -> tuple[Project, ImportReport]:
    """The sample company with its leads on the first morning, the clock held: copied, applied, imported."""
    for name in (*SAMPLE, LEADS.parts[0]):
        if not (CHECKOUT / name).is_dir():
            raise NotFoundError(f"{CHECKOUT / name} is missing; run the demo from a complete checkout.")
        shutil.copytree(CHECKOUT / name, folder / name)
    project = open_project(folder)
    open_to_people(project, is_seen=False)  # the audience shows the key of the settings
    set_clock(project, BEGINS, is_held=True)
    say("Checking and applying the sample company")
    apply_project(project, BEGINS)
    say("Importing the sample leads")
    random.seed(SEED)  # of the splits' luck, so that every demo takes the same arms
    return project, import_file(project.database, project.definitions(), folder / LEADS, BEGINS)


def change_sessions(
    project: Project, sessions: Iterable[tuple[str, str]], starts_at: datetime | None = None
) -> None:
    """Somebody writes another date behind sessions, or `cancelled`, and applies the files."""
    local = starts_at and starts_at.astimezone(ZoneInfo(project.definitions().company.zone))
    told = f"{local:%Y-%m-%d %H:%M}" if local else "cancelled"
    for content, session in sessions:
        file = project.root / "config" / "content" / f"{content}.yaml"
        file.write_text(
            re.sub(rf"^(  {session}:).*$", rf"\g<1> {told}", file.read_text(), flags=re.MULTILINE)
        )
    apply_project(project, project.clock())

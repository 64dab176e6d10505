"""Projects by their folder, kept open: a task takes plain values only and finds its database by itself."""

import functools
from pathlib import Path

from leadnurture.app import Project, open_project


@functools.lru_cache(maxsize=8)
def project_at(folder: str) -> Project:
    """The project in a folder, opened once per process. No address and no password goes through Prefect."""
    return open_project(Path(folder))

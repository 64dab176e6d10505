"""What a run shows beside its graph: the program's chart with counts, a table of failures."""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from leadnurture import reports
from leadnurture.app import Project

logger = logging.getLogger("leadnurture.flows")


def show_chart(project: Project, program: str, now: datetime) -> None:
    """The program's chart with the number of leads on every step, as of the end of the wave."""
    try:
        with project.database.read() as connection:
            chart = reports.chart_of(connection, program, now)
        create_markdown_artifact(
            f"```mermaid\n{chart}\n```", key=_key(program), description="Where the leads are"
        )
    except Exception as error:  # noqa: BLE001 - a missing picture is no failure
        logger.warning("The chart of %s could not be shown (%s)", program, type(error).__name__)


def show_failures(about: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of what failed; inside a task it is a badge on that task."""
    try:
        create_table_artifact(
            [dict(row) for row in rows], key=_key(about), description="What failed, and why"
        )
    except Exception as error:  # noqa: BLE001 - a missing table is no failure
        logger.warning("The failures of %s could not be shown (%s)", about, type(error).__name__)


def _key(text: str) -> str:
    """Prefect takes small letters, digits and dashes only, and fails the run for anything else."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "chart"

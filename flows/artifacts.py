"""What a run shows beside its graph: the program's chart with counts, a table of failures.

Prefect's UI draws Mermaid on dark ground, in a column that is narrower than most programs; its older one
shows the text of a chart. So the chart brings its own colours, and a table beneath it says the same.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from leadnurture import reports
from leadnurture.app import Project
from leadnurture.reports import ProgramChart

logger = logging.getLogger("leadnurture.flows")

LOOK: Final = '%%{init: {"theme": "neutral", "themeVariables": {"fontSize": "20px"}}}%%'
COLOURS: Final = """\
  classDef outer fill:#f5f7f8,stroke:#7f8991
  classDef trouble fill:#fdeeec,stroke:#b0261f
"""
TO_ESCAPE: Final = re.compile(r"([\\`*_<>|\[\]])")


def show_chart(project: Project, program: str, now: datetime) -> None:
    """The program's chart with the number of leads on every step, as of the end of the wave."""
    try:
        with project.database.read() as connection:
            drawn = reports.chart_of(connection, program, now)
        markdown = chart_as_markdown(drawn, f"{project.url}/programs/{program}")
        create_markdown_artifact(markdown, key=_key(program), description="Where the leads are")
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


def chart_as_markdown(drawn: ProgramChart, page: str) -> str:
    """The chart, a table of its steps, and the address of the page that has more."""
    rows = [
        f"| {_cell(step.name)} | {_cell(step.does)} | {step.here:,} | {step.came:,} |" for step in drawn.steps
    ]
    parts = (
        f"**{_cell(drawn.title)}**: where the leads are. [The page of the program]({page}) has more.",
        f"```mermaid\n{LOOK}\n{drawn.chart}{COLOURS}```",
        "\n".join(("| Step | Does | There now | Came |", "|:--|:--|--:|--:|", *rows)),
    )
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """A text of which Markdown takes nothing for its own."""
    return TO_ESCAPE.sub(r"\\\1", text)


def _key(text: str) -> str:
    """Prefect takes small letters, digits and dashes only, and fails the run for anything else."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "chart"

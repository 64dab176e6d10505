"""The workload *drip-3* as every leg runs it: N leads get a mail, 30 % click and get a second, the rest fall
silent and get a third.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from leadnurture.definitions import check_project
from leadnurture.domain.definitions import Definitions
from leadnurture.engine import LeadInput, apply_definitions, import_leads
from leadnurture.mail import compile_templates
from leadnurture.store import Database, migrate, open_database

PROJECT: Final = Path(__file__).parent / "project"
STARTS: Final = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
CLICKED_AFTER: Final = timedelta(hours=1)
SETTLED_AFTER: Final = timedelta(hours=1, minutes=5)
SILENT_AFTER: Final = timedelta(days=4)
BATCH: Final = 5_000


def definitions() -> Definitions:
    """The benchmark's own small company."""
    checked = check_project(PROJECT)
    assert checked.definitions is not None, checked.problems  # noqa: S101 - shipped with us
    return checked.definitions


def prepare(url: str, leads: int) -> Database:
    """A database with the program applied and the leads imported, nobody enrolled yet."""
    database = open_database(url)
    migrate(database)
    project = definitions()
    templates, _ = compile_templates(project)
    apply_definitions(database, project, templates, STARTS)
    for start in range(0, leads, BATCH):
        import_leads(
            database, [lead(number) for number in range(start, min(start + BATCH, leads))], STARTS, "bench"
        )
    if not database.is_sqlite:  # as autovacuum would have done by the time a real program starts
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return database


def lead(number: int) -> LeadInput:
    """The same invented people that the other engines get."""
    return LeadInput(
        f"lead{number:06d}@example.com",
        f"First{number % 997}",
        account=f"Company {number % 4999} Ltd",
        zone="Europe/Berlin",
    )

"""Brings a database to the newest schema.

The migrations are written by hand and are the only source of the schema.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from leadnurture.store.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"
TURN: Final = 7_236_428_105
"""The number of the lock for which those wait who migrate at the same time; any number that nobody else uses."""


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    return configuration


def migrate(database: Database) -> None:
    """Runs the migrations that are missing. Safe to repeat, safe beside others who do the same."""
    if is_migrated(database):
        return
    configuration = _configuration()
    with database.write() as connection:
        if not database.is_sqlite:  # there the writer lock has done it
            connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": TURN})
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")


def is_migrated(database: Database) -> bool:
    """Whether the schema is the newest. Writes nothing."""
    heads = set(ScriptDirectory.from_config(_configuration()).get_heads())
    with database.read() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == heads

"""Hides which database it is: tables, migrations, transactions, the writer lock, and how an act is noted."""

from leadnurture.store.audit import Audited, note, noted
from leadnurture.store.database import Database, LostRaceError, open_database, stage
from leadnurture.store.migrate import is_migrated, migrate

__all__ = [
    "Audited",
    "Database",
    "LostRaceError",
    "is_migrated",
    "migrate",
    "note",
    "noted",
    "open_database",
    "stage",
]

"""Hides which database it is: tables, migrations, transactions and the writer lock."""

from leadnurture.store.database import Database, open_database, stage
from leadnurture.store.migrate import is_migrated, migrate

__all__ = ["Database", "is_migrated", "migrate", "open_database", "stage"]

"""The schema that the migrations make is the one that the tables tell, to the last name and condition."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from leadnurture.store import Database, is_migrated, migrate, open_database
from leadnurture.store.migrate import MIGRATIONS
from leadnurture.store.tables import metadata
from tests import databases

# Everything that PostgreSQL knows of the tables, as text.
CATALOG = """
SELECT format('%s.%s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN 'NOT NULL' END) AS line
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
 UNION ALL
SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
 UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
 UNION ALL
SELECT format('%s %s', relname, reloptions)
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
 UNION ALL
SELECT format('%s.%s %s', table_name, column_name, column_default)
  FROM information_schema.columns WHERE table_schema = 'public' AND column_default IS NOT NULL"""


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    opened = open_database(empty_database_url)
    yield opened
    opened.dispose()


def schema(connection: Connection) -> set[str]:
    """Every line of the schema but Alembic's own table."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
        lines = {line.strip().rstrip(",") for statement in found for line in _lines(statement)}
    else:
        lines = set(connection.execute(text(CATALOG)).scalars())
    return {line for line in lines if "alembic_version" not in line and "version_num" not in line}


def _lines(statement: str) -> list[str]:
    """Of a table each line under the table's name, since the order of its constraints says nothing."""
    head, *rest = statement.splitlines()
    return [" ".join(head.split()), *(f"{head.strip()} {' '.join(line.split())}" for line in rest)]


@contextmanager
def made_by_the_tables(
    request: pytest.FixtureRequest, database: Database, folder: Path
) -> Iterator[Database]:
    """Another database of the same kind, whose schema is what the tables say."""
    if database.is_sqlite:
        opened = open_database(databases.sqlite_url(folder / "tables.db"))
        with opened.write() as connection:
            metadata.create_all(connection)
        yield opened
        opened.dispose()
        return
    with request.getfixturevalue("postgres_server").database() as url:
        opened = open_database(url)
        with opened.write() as connection:
            metadata.create_all(connection)
        yield opened
        opened.dispose()


def test_the_migrated_schema_is_the_one_of_the_tables(
    request: pytest.FixtureRequest, empty: Database, tmp_path: Path
) -> None:
    migrate(empty)
    with made_by_the_tables(request, empty, tmp_path) as other, empty.read() as here, other.read() as there:
        assert schema(here) == schema(there)


def test_alembic_finds_nothing_to_do(empty: Database) -> None:
    migrate(empty)
    with empty.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_is_migrated_once_its_migrations_have_run(empty: Database) -> None:
    assert not is_migrated(empty)
    migrate(empty)
    assert is_migrated(empty)


def test_a_database_of_the_first_version_is_brought_along(empty: Database) -> None:
    with empty.write() as connection:
        configuration = Config()
        configuration.set_main_option("script_location", str(MIGRATIONS))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "2026_11_22_create")
        connection.execute(text("INSERT INTO clock (id, now_at) VALUES (1, 7)"))
    assert not is_migrated(empty)
    migrate(empty)
    assert is_migrated(empty)
    with empty.read() as connection:
        assert connection.execute(text("SELECT now_at FROM clock")).scalar_one() == 7
        assert connection.execute(text("SELECT count(*) FROM tool_user")).scalar_one() == 0


def test_asking_writes_nothing(empty: Database) -> None:
    is_migrated(empty)
    with empty.read() as connection:
        assert schema(connection) == set()


def test_migrating_again_changes_nothing(empty: Database) -> None:
    migrate(empty)
    with empty.write() as connection:
        connection.execute(text("INSERT INTO clock (id, now_at) VALUES (1, 7)"))
        before = schema(connection)
    migrate(empty)
    with empty.read() as connection:
        assert schema(connection) == before
        assert connection.execute(text("SELECT now_at FROM clock")).scalar_one() == 7


MIGRATE = """
import sys
from leadnurture.store import is_migrated, migrate, open_database
database = open_database(sys.argv[1])
is_migrated(database)
print("ready", flush=True)
sys.stdin.readline()
migrate(database)
"""


def test_those_who_migrate_at_once_wait_for_each_other(empty_database_url: str) -> None:
    """Two machines that start together find the same empty database."""
    with _migrating(empty_database_url) as one, _migrating(empty_database_url) as other:
        for each in (one, other):
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in (one, other):
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        assert [each.communicate()[1] for each in (one, other)] == ["", ""]
        assert (one.returncode, other.returncode) == (0, 0)
    opened = open_database(empty_database_url)
    assert is_migrated(opened)
    opened.dispose()


def _migrating(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, url],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ids_of_deleted_rows_do_not_come_back(database: Database) -> None:
    """They stand in links and in history."""
    account = text("INSERT INTO account (name, name_key, created_at) VALUES ('A', 'a', 0) RETURNING id")
    with database.write() as connection:
        first = connection.execute(account).scalar_one()
        connection.execute(text("DELETE FROM account"))
        assert connection.execute(account).scalar_one() > first

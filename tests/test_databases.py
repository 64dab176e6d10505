from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from tests import databases

if TYPE_CHECKING:
    from leadnurture.store import Database


def tables(url: str) -> set[str]:
    return set(inspect(create_engine(url, poolclass=NullPool)).get_table_names())


def test_a_fresh_database_has_the_newest_schema(database_url: str) -> None:
    assert {"lead", "enrollment", "alembic_version"} <= tables(database_url)


def test_an_empty_database_has_no_table(empty_database_url: str) -> None:
    assert tables(empty_database_url) == set()


def test_the_store_opens_a_fresh_database(database: "Database") -> None:
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM lead")).scalar() == 0


def test_a_copy_does_not_touch_its_template(sqlite_url: str, sqlite_template: Path) -> None:
    with create_engine(sqlite_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE TABLE scratch (id INTEGER)"))
    assert "scratch" not in tables(databases.sqlite_url(sqlite_template))

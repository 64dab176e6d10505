"""Opens SQLite or PostgreSQL so that the same code is right on both: transactions, the writer lock,
retries, staging.

One idea to hold: every write is a short transaction begun by `Database.write()`. On SQLite it waits its turn at
a lock that is fair across processes; on PostgreSQL it is READ COMMITTED, so that a statement sees what was
committed before it.
"""

import contextlib
import errno
import fcntl
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from leadnurture.errors import DatabaseUnavailableError, SettingError, StorageFullError
from leadnurture.store.instants import Instant, to_micros
from leadnurture.store.work import create_work_tables

Result = TypeVar("Result")
ATTEMPTS: Final = 8
# Serialisation failure and deadlock: the transaction did nothing and may simply be run again. A row that is referred to
# and is gone: its lead became one with another meanwhile, and is found anew.
RETRIED: Final = frozenset({"40001", "40P01", "23503"})
# What SQLite and PostgreSQL say when there is nothing to work with: no server, no file, no rights, no database.
UNAVAILABLE: Final = ("connection", "unable to open database", "readonly database", "file is not a database")
BUSY_MILLISECONDS: Final = 30_000
MOST_VALUES: Final = 32_766
"""So many values SQLite binds in one statement, unless it was built otherwise."""
# How many rows an INSERT … SELECT touched is asked everywhere; SQLAlchemy forgets it unless told.
POOL: Final[dict[str, Any]] = {
    "pool_size": 20,
    "max_overflow": 40,
    "execution_options": {"preserve_rowcount": True},
    "hide_parameters": True,
}


class LostRaceError(Exception):
    """What a transaction had found was changed by somebody else before it was locked; `Database.run` begins anew."""


class Database:
    """A database of ours. `read` and `write` give connections; `run` repeats a function that lost a race."""

    def __init__(self, engine: Engine, lock_folder: Path | None) -> None:
        self.engine = engine
        self._turn = None if lock_folder is None else _Turn(lock_folder)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, not PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @property
    def url(self) -> URL:
        """Where it lies; renders without its password."""
        return self.engine.url

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads. It never turns into a writer, so it never waits for one."""
        with _translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One short write transaction, committed at the end, rolled back by an exception."""
        with _translated(), self._turn or contextlib.nullcontext(), self.engine.connect() as connection:
            if not connection.info.get("has_work_tables"):
                create_work_tables(connection)
                connection.commit()
                connection.info["has_work_tables"] = True
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work` in a write transaction, repeated when PostgreSQL chose it as the victim of a
        race.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.write() as connection:
                    return work(connection)
            except (DBAPIError, LostRaceError) as error:
                if attempt + 1 == ATTEMPTS or not _is_lost_race(error):
                    raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - no secret
        raise AssertionError

    def dispose(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def _is_lost_race(error: DBAPIError | LostRaceError) -> bool:
    return isinstance(error, LostRaceError) or getattr(error.orig, "sqlstate", None) in RETRIED


class _Turn:
    """A writer lock that is fair across processes and threads: whoever waits at the turnstile is next.

    Two files, since a single lock lets a busy writer take it again before the one that waits has woken.
    """

    def __init__(self, folder: Path) -> None:
        with _reachable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._paths = (folder / "turnstile.lock", folder / "writer.lock")
        self._held: list[int] = []

    def __enter__(self) -> None:
        with _reachable(self._folder):
            turnstile, writer = (
                os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for path in self._paths
            )
        try:
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            fcntl.flock(writer, fcntl.LOCK_EX)
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(turnstile)
        self._held.append(writer)

    def __exit__(self, *_: object) -> None:
        os.close(self._held.pop())


def open_database(url: str) -> Database:
    """A database by its URL: `sqlite:///path` or `postgresql+psycopg://…`; connects lazily, creates no
    schema.
    """
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        engine = create_engine(parsed, isolation_level="READ COMMITTED", **POOL)
        event.listen(engine, "connect", _prepare_postgresql)
        return Database(engine, None)
    raise SettingError(
        f"LEADNURTURE_DATABASE_URL names {parsed.drivername}; use sqlite:///path or postgresql://user@host/name."
    )


def _open_sqlite(url: URL) -> Database:
    if not url.database or url.database == ":memory:":
        raise SettingError(
            "LEADNURTURE_DATABASE_URL names no file; use sqlite:///path, since several processes share the database."
        )
    path = Path(url.database)
    with _reachable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    return Database(engine, path.with_name(path.name + ".locks"))


def _prepare_postgresql(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a DBAPI connection
    """Tells the planner what our statements are like: they find a chunk of rows by keys, mostly in memory.

    Compiling their many sub-selects to machine code takes up to a second, running them a few milliseconds. A merge
    goes through a table in the order of its key, however few rows of it are wanted.
    """
    for setting in ("jit = off", "random_page_cost = 1.1", "enable_mergejoin = off"):
        connection.execute(f"SET {setting}")
    connection.commit()


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # the driver begins no transactions of its own
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "temp_store=MEMORY",
        "cache_size=-32000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into one of our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError from error
        raise DatabaseUnavailableError(
            f"{folder} cannot be written ({error.strerror}); give it to this user, or name another file in "
            "LEADNURTURE_DATABASE_URL."
        ) from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turns what a person can mend into one of our errors."""
    try:
        yield
    except DatabaseError as error:
        said = str(error.orig)
        if "disk is full" in said or "No space left" in said:
            raise StorageFullError from error
        if any(words in said for words in UNAVAILABLE):
            raise DatabaseUnavailableError(
                f"The database does not answer ({said.splitlines()[0]}); start it or correct LEADNURTURE_DATABASE_URL."
            ) from error
        raise


def stage(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], through: str = ""
) -> None:
    """Fills a work table with rows by one statement, whatever their number.

    Not `executemany`: that one gives the interpreter lock away per row and waits for it. The keys of the first
    row name the columns; what is the same in every row is told once. Instants may be datetimes or microseconds.
    `through` is an INSERT of ours that fills the table from the rows, which it knows as `told`, and from others; the
    driver gets it as it is, so it has neither parameters nor percent signs.
    """
    if not rows:
        return
    cells = {name: _cells(table.c[name], rows) for name in rows[0]}
    first = next(iter(cells))
    same = {name: of[0] for name, of in cells.items() if name != first and of.count(of[0]) == len(rows)}
    own = {name: of for name, of in cells.items() if name not in same}
    if connection.dialect.name == "sqlite":
        source, sent = _from_values(own, same, list(cells))
    else:
        types = {name: table.c[name].type.compile(connection.dialect) for name in cells}
        source, sent = _from_document(own, same, types)
    names = ", ".join(f'"{name}"' for name in cells)
    filling = (
        f"WITH told ({names}) AS ({source}) {through}"
        if through
        else f"INSERT INTO {table.name} ({names}) {source}"
    )
    connection.exec_driver_sql(filling, sent)


Source = tuple[str, tuple[object, ...]]
"""A SELECT of the rows, and what it is sent with."""


def _from_values(own: Mapping[str, list[object]], same: Mapping[str, object], names: list[str]) -> Source:
    """Rows as SQLite reads them fast, five times as fast as a document, which it parses anew for every value.

    Only more values than it binds come as a document.
    """
    rows = list(zip(*own.values(), strict=True))
    sent: tuple[object, ...] = tuple(chain.from_iterable(rows))
    row = f"({', '.join('?' * len(own))})"
    source, cell, begin = f"(VALUES {', '.join([row] * len(rows))})", "column{}", 1
    if len(sent) + len(same) > MOST_VALUES:
        source, cell, begin, sent = "json_each(?)", "value ->> {}", 0, (json.dumps(rows),)
    places = {name: cell.format(place) for place, name in enumerate(own, begin)}
    shown = ", ".join(places.get(name, "?") for name in names)
    return f"SELECT {shown} FROM {source}", (*same.values(), *sent)


def _from_document(
    own: Mapping[str, list[object]], same: Mapping[str, object], types: Mapping[str, str]
) -> Source:
    """Rows as PostgreSQL reads them fast."""
    typed = ", ".join(f'"{name}" {types[name]}' for name in own)
    shown = ", ".join(f"CAST(%s AS {types[name]})" if name in same else f'"{name}"' for name in types)
    document = json.dumps([dict(zip(own, row, strict=True)) for row in zip(*own.values(), strict=True)])
    source = f"SELECT {shown} FROM json_to_recordset(CAST(%s AS json)) AS staged({typed})"
    return source, (*same.values(), document)


def _cells(column: Column[Any], rows: Sequence[Mapping[str, object]]) -> list[object]:
    """One column of the rows, instants in microseconds."""
    values = [row[column.name] for row in rows]
    if not isinstance(column.type, Instant):
        return values
    return [to_micros(value) if isinstance(value, datetime) else value for value in values]

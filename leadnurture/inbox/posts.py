"""Posts as they came in: one row each, kept before the sender is answered.

One idea to hold: `retry_at` is lease and rest in one. Whoever takes a post sets it ahead, so that nobody else
reads it meanwhile and a reader that dies gives it back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, TextClause, bindparam, text

from leadnurture.store import Database
from leadnurture.store.instants import Instant, from_micros, to_micros

LEASE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Kept:
    """A post that is in the database; `is_new` is False where the same bytes lay there before."""

    id: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Post:
    """A post that somebody has taken to read."""

    id: int
    source: str
    body: bytes
    about: Mapping[str, str]
    received_at: datetime
    attempts: int
    """How often it was taken, this time with it."""


def keep(
    database: Database,
    source: str,
    body: bytes,
    now: datetime,
    *,
    about: Mapping[str, str] | None = None,
    key: str | None = None,
    until: datetime | None = None,
) -> Kept:
    """Keeps a post; once this has returned, it is there for good. The same `key` is kept once.

    `until`, of the machine's clock: nobody else reads it before.
    """
    row = {
        "source": source,
        "key": key,
        "body": body,
        "about": json.dumps(about or {}),
        "now": to_micros(now),
        "until": None if until is None else to_micros(until),
        "attempts": 0 if until is None else 1,
    }

    def write(connection: Connection) -> Kept:
        fresh = connection.execute(_KEEP, row).scalar()
        if fresh is not None:
            return Kept(int(fresh), is_new=True)
        return Kept(int(connection.execute(_KNOWN, row).scalar_one()), is_new=False)

    return database.run(write)


_KEEP: Final = text("""
    INSERT INTO inbox (source, key, body, about, received_at, status, attempts, retry_at)
    VALUES (:source, :key, :body, :about, :now, 'new', :attempts, :until)
        ON CONFLICT DO NOTHING RETURNING id""").bindparams(bindparam("body", type_=LargeBinary))
_KNOWN: Final = text("SELECT id FROM inbox WHERE source = :source AND key = :key")


def keep_for_now(database: Database, source: str, body: bytes, now: datetime, machine_now: datetime) -> Post:
    """Keeps a post that the caller reads himself; if he dies over it, others do once the lease has ended."""
    kept = keep(database, source, body, now, until=machine_now + LEASE)
    return Post(kept.id, source, body, {}, now, attempts=1)


def take(database: Database, machine_now: datetime, only: int | None = None) -> Post | None:
    """The post that is next in line, for the caller alone; None when there is none, or it is not `only`.

    A read first: asking for nothing takes no writer's turn.
    """
    due = {"machine_now": to_micros(machine_now)}
    with database.read() as connection:
        first = connection.execute(_NEXT, due).scalar()
    if first is None or (only is not None and first != only):
        return None
    return database.run(lambda connection: _take(connection, due, machine_now))


def _take(connection: Connection, due: dict[str, int], machine_now: datetime) -> Post | None:
    statement = _TAKE if connection.dialect.name == "sqlite" else _TAKE_BESIDE_OTHERS
    row: Any = connection.execute(statement, due | {"until": to_micros(machine_now + LEASE)}).first()
    if row is None:
        return None
    about = json.loads(row.about)
    return Post(row.id, row.source, bytes(row.body), about, from_micros(row.received_at), row.attempts)


_NEXT: Final = text("""
    SELECT id FROM inbox
     WHERE status <> 'done' AND status <> 'unusable' AND (retry_at IS NULL OR retry_at <= :machine_now)
     ORDER BY id LIMIT 1""")


def _taking(lock: str) -> TextClause:
    return text(f"""
        UPDATE inbox SET retry_at = :until, attempts = attempts + 1
         WHERE id = (SELECT id FROM inbox
                      WHERE status <> 'done' AND status <> 'unusable'
                        AND (retry_at IS NULL OR retry_at <= :machine_now)
                      ORDER BY id LIMIT 1 {lock})
        RETURNING id, source, body, about, received_at, attempts""")  # noqa: S608 - our own words


_TAKE: Final = _taking("")
_TAKE_BESIDE_OTHERS: Final = _taking("FOR UPDATE SKIP LOCKED")


def put_back(
    database: Database, post_id: int, status: str, *, retry_at: datetime | None, trouble: str | None
) -> None:
    """Says how a post stands after it was read."""
    values = {
        "id": post_id,
        "status": status,
        "retry_at": None if retry_at is None else to_micros(retry_at),
        "trouble": trouble,
    }
    database.run(lambda connection: connection.execute(_PUT_BACK, values))


_PUT_BACK: Final = text(
    "UPDATE inbox SET status = :status, retry_at = :retry_at, trouble = :trouble WHERE id = :id"
)


def next_reading(connection: Connection) -> datetime | None:
    """When the next post is to be read, of the machine's clock; long ago means at once."""
    found = connection.execute(_NEXT_AT)
    return found.scalar()


_NEXT_AT: Final = text("""
    SELECT min(coalesce(retry_at, 0)) AS at FROM inbox
     WHERE status <> 'done' AND status <> 'unusable'""").columns(at=Instant())


def unread(connection: Connection) -> int:
    """How many posts nobody has read to the end."""
    count = text("SELECT count(*) FROM inbox WHERE status <> 'done' AND status <> 'unusable'")
    return int(connection.execute(count).scalar_one())


def replay(database: Database, *, source: str | None = None, since: datetime | None = None) -> int:
    """Lets posts be read again from the beginning; their number. What was recorded is not recorded twice."""
    values = {"source": source, "since": None if since is None else to_micros(since)}
    return database.run(lambda connection: connection.execute(_REPLAY, values).rowcount)


_REPLAY: Final = text("""
    UPDATE inbox SET status = 'new', attempts = 0, retry_at = NULL, trouble = NULL
     WHERE (CAST(:source AS VARCHAR) IS NULL OR source = :source)
       AND (CAST(:since AS BIGINT) IS NULL OR received_at >= :since)""")

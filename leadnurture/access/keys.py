"""The keys that other systems show. A key is shown once, when it is added; only its hash is kept."""

import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from leadnurture.domain.roles import SCOPES
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note
from leadnurture.store.tables import metadata

KEY: Final = metadata.tables["api_key"]
BEGINS: Final = "ln_"
"""So that whoever finds one knows what it is."""
SHOWN: Final = 8
LONG_ENOUGH: Final = 24
"""Of a shorter key nothing is shown."""
LONGEST_NAME: Final = 100
OF_SETTINGS: Final = "settings"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without itself."""

    id: int
    name: str
    start: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def keys(connection: Connection) -> tuple[ApiKey, ...]:
    """All of them, those first that are in use, by name."""
    question = select(KEY).order_by(KEY.c.revoked_at.is_not(None), KEY.c.name, KEY.c.id)
    return tuple(
        ApiKey(row.id, row.name, row.start, tuple(row.scopes.split()), row.created_at, row.revoked_at)
        for row in connection.execute(question)
    )


def scopes_of(connection: Connection, shown: str) -> frozenset[str] | None:
    """For what a key is good; None when it is none of ours, or revoked. Writes nothing."""
    is_it = KEY.c.hash == _hash(shown), KEY.c.revoked_at.is_(None)
    scopes = connection.scalar(select(KEY.c.scopes).where(*is_it))
    return None if scopes is None else frozenset(scopes.split())


def add_key(database: Database, name: str, scopes: Sequence[str], by: str, now: datetime) -> str:
    """Adds a key; itself, which is not kept."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInputError("Give the key a name of one line, best that of the system that shows it.")
    if not scopes or not set(SCOPES).issuperset(scopes):
        raise InvalidInputError(f"Say what the key is for, one or more of {', '.join(SCOPES)}.")
    key = BEGINS + secrets.token_urlsafe(32)

    try:
        database.run(lambda connection: _insert(connection, name, key, scopes, by, now))
    except IntegrityError as error:
        said = f"There is a key {name} already; revoke it first, or choose another name."
        raise InvalidInputError(said) from error
    return key


def take_up_key(database: Database, key: str, by: str, now: datetime) -> None:
    """Takes up the key of the settings, for everything, unless it is known: a revoked one stays revoked.

    Safe to repeat.
    """

    def take_up(connection: Connection) -> None:
        taken = connection.scalars(select(KEY.c.name).where(KEY.c.revoked_at.is_(None))).all()
        numbered = (f"{OF_SETTINGS}-{number}" for number in range(2, len(taken) + 3))
        name = next(name for name in (OF_SETTINGS, *numbered) if name not in taken)
        _insert(connection, name, key, SCOPES, by, now)

    with database.read() as connection:
        is_known = connection.scalar(select(KEY.c.id).where(KEY.c.hash == _hash(key))) is not None
    if key and not is_known:
        with contextlib.suppress(IntegrityError):  # another process was first
            database.run(take_up)


def revoke_key(database: Database, key: int | str, by: str, now: datetime) -> None:
    """Ends a key in use, by its id or its name; at once and for good."""

    def revoke(connection: Connection) -> None:
        key_id = key if isinstance(key, int) else _living(connection, key.strip())
        row = connection.execute(select(KEY).where(KEY.c.id == key_id).with_for_update()).first()
        if row is None or row.revoked_at is not None:
            raise NotFoundError(f"There is no key {key} in use; `leadnurture key list` names them.")
        connection.execute(update(KEY).where(KEY.c.id == row.id).values(revoked_at=now))
        note(connection, by, "key revoked", row.name, now)

    database.run(revoke)


def _insert(
    connection: Connection, name: str, key: str, scopes: Sequence[str], by: str, now: datetime
) -> None:
    told = " ".join(scope for scope in SCOPES if scope in scopes)
    start = key[:SHOWN] if len(key) >= LONG_ENOUGH else ""
    row = {"name": name, "hash": _hash(key), "start": start, "scopes": told, "created_at": now}
    connection.execute(insert(KEY).values(row))
    note(connection, by, "key added", name, now, detail=f"for {told}")


def _living(connection: Connection, name: str) -> int | None:
    return connection.scalar(select(KEY.c.id).where(KEY.c.name == name, KEY.c.revoked_at.is_(None)))


def _hash(key: str) -> str:
    """Enough for what is random and long."""
    return hashlib.sha256(key.encode()).hexdigest()

"""Signing in and out.

Whatever a browser showed before, a sign-in gives it a new token; only its hash is kept.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from leadnurture.access import attempts, passwords
from leadnurture.access.users import SIGN_IN, USER, name_key
from leadnurture.domain.roles import Role
from leadnurture.store import Database, note

LASTS: Final = timedelta(hours=12)
"""A sign-in ends after so long, however busy."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """From where somebody signs in."""

    address: str
    browser: str | None = None
    """Its mark, where the owner of the name was signed in in it before."""
    token: str | None = None
    """Of the sign-in that it shows now."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, and until when."""

    user_id: int
    name: str
    role: Role
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class TryLater:
    """Too many attempts came from there."""

    wait: timedelta


def sign_in(
    database: Database, name: str, password: str, visitor: Visitor, now: datetime, machine_now: datetime
) -> str | TryLater | None:
    """The token of a new sign-in; None where name and password do not fit, as late for any name."""
    tried = attempts.buckets(name_key(name), visitor.address, visitor.browser)
    wait = database.run(lambda connection: attempts.count(connection, tried, machine_now))
    if wait is not None:
        return TryLater(wait)
    with database.read() as connection:
        user = connection.execute(select(USER).where(USER.c.name_key == name_key(name))).first()
    if not passwords.fits(password, user.password if user else None) or user is None:
        return None
    better = passwords.hashed(password) if passwords.is_outdated(user.password) else None
    token = secrets.token_urlsafe(32)

    def begin(connection: Connection) -> bool:
        kept = connection.scalar(select(USER.c.password).where(USER.c.id == user.id).with_for_update())
        if kept != user.password:  # changed or removed meanwhile
            return False
        attempts.take_back(connection, tried, machine_now)
        if better is not None:
            connection.execute(update(USER).where(USER.c.id == user.id).values(password=better))
        _begin(connection, user.id, token, visitor.token, machine_now)
        note(connection, user.name, "signed in", user.name, now)
        return True

    return token if database.run(begin) else None


def begin_again(database: Database, user_id: int, machine_now: datetime) -> str:
    """The token of a new sign-in of somebody who has just proved who he is."""
    token = secrets.token_urlsafe(32)
    database.run(lambda connection: _begin(connection, user_id, token, None, machine_now))
    return token


def _begin(
    connection: Connection, user_id: int, token: str, former: str | None, machine_now: datetime
) -> None:
    """Writes the sign-in; the one that the browser had before ends, and so do those whose time is up."""
    over = SIGN_IN.c.ends_at <= machine_now
    if former is not None:
        over |= SIGN_IN.c.token_hash == _hash(former)
    connection.execute(delete(SIGN_IN).where(over))
    lasts = {"begun_at": machine_now, "ends_at": machine_now + LASTS}
    row = {"user_id": user_id, "token_hash": _hash(token), **lasts}
    connection.execute(insert(SIGN_IN).values(row))


def signed_in(connection: Connection, token: str, machine_now: datetime) -> SignedIn | None:
    """Who shows the token, as long as it holds. Writes nothing."""
    row = connection.execute(
        select(USER.c.id, USER.c.name, USER.c.role, SIGN_IN.c.ends_at)
        .join(SIGN_IN, SIGN_IN.c.user_id == USER.c.id)
        .where(SIGN_IN.c.token_hash == _hash(token), SIGN_IN.c.ends_at > machine_now)
    ).first()
    return None if row is None else SignedIn(row.id, row.name, row.role, row.ends_at)


def end_sign_in(database: Database, token: str, by: str, now: datetime) -> None:
    """Signs out in one browser. Safe to repeat."""

    def end(connection: Connection) -> None:
        if connection.execute(delete(SIGN_IN).where(SIGN_IN.c.token_hash == _hash(token))).rowcount:
            note(connection, by, "signed out", by, now)

    database.run(end)


def end_sign_ins(database: Database, user_id: int, by: str, now: datetime) -> None:
    """Signs out in every browser."""

    def end(connection: Connection) -> None:
        ended = connection.execute(delete(SIGN_IN).where(SIGN_IN.c.user_id == user_id)).rowcount
        note(connection, by, "signed out everywhere", by, now, detail=f"in {ended} browsers")

    database.run(end)


def _hash(token: str) -> str:
    """Enough for what is random and long."""
    return hashlib.sha256(token.encode()).hexdigest()

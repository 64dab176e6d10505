"""The people who sign in: their names, their roles, their passwords. There is always one admin left."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from leadnurture.access import attempts, passwords
from leadnurture.domain.roles import Role
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note
from leadnurture.store.tables import metadata

USER: Final = metadata.tables["tool_user"]
SIGN_IN: Final = metadata.tables["sign_in"]
LONGEST_NAME: Final = 100
FIRST: Final = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who signs in; `sign_ins` is in how many browsers he is."""

    id: int
    name: str
    role: Role
    created_at: datetime
    sign_ins: int


def users(connection: Connection, machine_now: datetime) -> tuple[User, ...]:
    """Everybody, by name."""
    is_his = SIGN_IN.c.user_id == USER.c.id, SIGN_IN.c.ends_at > machine_now
    count = select(func.count()).where(*is_his).scalar_subquery()
    question = select(USER, count.label("sign_ins")).order_by(USER.c.name_key)
    return tuple(
        User(row.id, row.name, row.role, row.created_at, row.sign_ins) for row in connection.execute(question)
    )


def has_users(connection: Connection) -> bool:
    """Whether there is anybody who could sign in."""
    return connection.execute(select(USER.c.id).limit(1)).first() is not None


def user_named(connection: Connection, name: str) -> int:
    """The id of the user of that name; NotFoundError when there is none."""
    found = connection.scalar(select(USER.c.id).where(USER.c.name_key == name_key(name)))
    if found is None:
        raise NotFoundError(f"There is no user {name.strip()}; `leadnurture user list` names them.")
    return int(found)


def name_key(name: str) -> str:
    """The form in which names are compared; nobody's where it cannot be a name."""
    name = name.strip().casefold()
    return name if name.isprintable() else ""


def add_user(database: Database, name: str, role: Role, by: str, now: datetime) -> str:
    """Adds somebody; the password that was made up for him, which is not kept."""
    name = _sound(name)
    password = passwords.made_up()
    kept = passwords.hashed(password)

    try:
        database.run(lambda connection: _insert(connection, name, role, kept, by, now))
    except IntegrityError as error:
        raise InvalidInputError(f"There is a user {name} already; choose another name.") from error
    return password


def add_first_user(database: Database, by: str, now: datetime) -> tuple[str, str] | None:
    """Adds an admin where nobody is; his name and password, or None where somebody is. Safe beside others."""
    password = passwords.made_up()
    kept = passwords.hashed(password)

    def add(connection: Connection) -> bool:
        if has_users(connection):
            return False
        _insert(connection, FIRST, "admin", kept, by, now)
        return True

    try:
        return (FIRST, password) if database.run(add) else None
    except IntegrityError:  # another process was first
        return None


def give_password(database: Database, user_id: int, by: str, now: datetime) -> str:
    """A new password, made up, instead of the old one; whoever is signed in by that name is signed out."""
    password = passwords.made_up()
    kept = passwords.hashed(password)

    def give(connection: Connection) -> None:
        user = _locked(connection, user_id)
        _set_password(connection, user_id, kept)
        note(connection, by, "new password given", user.name, now)

    database.run(give)
    return password


def change_password(
    database: Database, user_id: int, old: str, new: str, now: datetime, machine_now: datetime
) -> None:
    """His own new password for the old one; every sign-in of his ends."""
    tried = attempts.of_account(user_id)
    if (wait := database.run(lambda connection: attempts.count(connection, tried, machine_now))) is not None:
        raise InvalidInputError(f"Too many attempts; wait {math.ceil(wait.total_seconds())} seconds.")
    with database.read() as connection:
        user = connection.execute(select(USER).where(USER.c.id == user_id)).first()
    if user is None or not passwords.fits(old, user.password):
        raise InvalidInputError("The present password is another one; type it again.")
    passwords.refuse_weak(new, user.name)
    kept = passwords.hashed(new)

    def change(connection: Connection) -> None:
        if _locked(connection, user_id).password != user.password:
            raise InvalidInputError("The password was changed meanwhile; sign in with the new one.")
        _set_password(connection, user_id, kept)
        attempts.take_back(connection, tried, machine_now)
        note(connection, user.name, "password changed", user.name, now)

    database.run(change)


def set_role(database: Database, user_id: int, role: Role, by: str, now: datetime) -> None:
    """Another role, from his next click on."""

    def change(connection: Connection) -> None:
        user = _locked(connection, user_id)
        if role != "admin":
            _refuse_last_admin(connection, user)
        connection.execute(update(USER).where(USER.c.id == user_id).values(role=role))
        note(connection, by, "role changed", user.name, now, detail=f"{user.role}, now {role}")

    database.run(change)


def remove_user(database: Database, user_id: int, by: str, now: datetime) -> None:
    """Takes somebody out, at once; what he did stays in the audit."""

    def remove(connection: Connection) -> None:
        user = _locked(connection, user_id)
        _refuse_last_admin(connection, user)
        connection.execute(delete(SIGN_IN).where(SIGN_IN.c.user_id == user_id))
        connection.execute(delete(USER).where(USER.c.id == user_id))
        note(connection, by, "user removed", user.name, now, detail=user.role)

    database.run(remove)


def _insert(connection: Connection, name: str, role: Role, kept: str, by: str, now: datetime) -> None:
    row = {"name": name, "name_key": name_key(name), "role": role, "password": kept, "created_at": now}
    connection.execute(insert(USER).values(row))
    note(connection, by, "user added", name, now, detail=role)


def _set_password(connection: Connection, user_id: int, kept: str) -> None:
    connection.execute(update(USER).where(USER.c.id == user_id).values(password=kept))
    connection.execute(delete(SIGN_IN).where(SIGN_IN.c.user_id == user_id))


def _locked(connection: Connection, user_id: int) -> Row[tuple[object, ...]]:
    """The user, and all admins locked with him: two of them cannot take away each other's role at once."""
    question = select(USER).where((USER.c.role == "admin") | (USER.c.id == user_id)).order_by(USER.c.id)
    for row in connection.execute(question.with_for_update()):
        if row.id == user_id:
            return row
    raise NotFoundError("There is no such user any more; look at the list again.")


def _refuse_last_admin(connection: Connection, user: Row[tuple[object, ...]]) -> None:
    admins = connection.scalar(select(func.count()).where(USER.c.role == "admin"))
    if user.role == "admin" and admins == 1:
        raise InvalidInputError(f"{user.name} is the last admin; make somebody else one first.")


def _sound(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or " " in name:
        raise InvalidInputError(
            f"A name to sign in with is a word or an address of at most {LONGEST_NAME} characters."
        )
    return name

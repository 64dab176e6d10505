"""Commands about who may come in: users and keys. A password or a key is printed once, and kept nowhere."""

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

from leadnurture import app
from leadnurture.app import Project, machine_now, open_project
from leadnurture.cli.output import (
    HERE,
    Format,
    OutputFormat,
    ProjectFolder,
    actor,
    columns,
    is_seen,
    show,
    told,
)
from leadnurture.domain.roles import SCOPES, Role

if TYPE_CHECKING:
    from leadnurture.access import ApiKey, User

logger = logging.getLogger(__name__)
UserName = Annotated[
    str, typer.Argument(metavar="NAME", help="With which one signs in: a word or an address.")
]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Best that of the system which shows the key.")]
NOBODY: Final = "Nobody can sign in yet; `leadnurture user add NAME --role admin` makes the first user."


def open_to_people(project: Project) -> None:
    """Makes the first admin where there is nobody, and tells his password to whoever started the command."""
    first = app.open_to_people(project, is_seen=is_seen())
    if first is not None:
        told(f"Sign in as {first[0]} with the password {first[1]} (shown this once).")
    elif not app.is_open_to_people(project):
        logger.warning(NOBODY)


def add_user(
    name: UserName,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = "viewer",
    project: ProjectFolder = HERE,
) -> None:
    """Add somebody who signs in; prints the password that is made up."""
    from leadnurture import access

    opened = open_project(project)
    typer.echo(access.add_user(opened.database, name, role, actor(), opened.clock()))
    told(f"{name} has the role {role}. This is the password; it is shown this once.")


def list_users(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """List who signs in, and as what."""
    from leadnurture import access

    opened = open_project(project)
    with opened.database.read() as connection:
        found = access.users(connection, machine_now())
    show(
        found,
        form,
        lambda: columns([("name", "role", "signed in"), *map(_user_told, found)]) if found else NOBODY,
    )


def _user_told(user: "User") -> tuple[str, ...]:
    return user.name, user.role, f"{user.sign_ins} browsers" if user.sign_ins else "-"


def give_password(name: UserName, project: ProjectFolder = HERE) -> None:
    """Make a new password for somebody, and print it; every sign-in of that name ends."""
    from leadnurture import access

    opened = open_project(project)
    user_id = _user(opened, name)
    typer.echo(access.give_password(opened.database, user_id, actor(), opened.clock()))
    told(f"This is the new password of {name}; it is shown this once.")


def set_role(
    name: UserName, role: Annotated[Role, typer.Argument(metavar="ROLE")], project: ProjectFolder = HERE
) -> None:
    """Give somebody another role."""
    from leadnurture import access

    opened = open_project(project)
    access.set_role(opened.database, _user(opened, name), role, actor(), opened.clock())
    told(f"{name} has the role {role} now.")


def remove_user(name: UserName, project: ProjectFolder = HERE) -> None:
    """Remove somebody; every sign-in of that name ends, and what was done under it stays in the audit."""
    from leadnurture import access

    opened = open_project(project)
    access.remove_user(opened.database, _user(opened, name), actor(), opened.clock())
    told(f"{name} is removed.")


def _user(project: Project, name: str) -> int:
    from leadnurture import access

    with project.database.read() as connection:
        return access.user_named(connection, name)


def add_key(
    name: KeyName,
    scope: Annotated[
        list[str], typer.Option(help=f"What the key is for: {', '.join(SCOPES)}; may be repeated.")
    ],
    project: ProjectFolder = HERE,
) -> None:
    """Make a key for another system, and print it."""
    from leadnurture import access

    opened = open_project(project)
    typer.echo(access.add_key(opened.database, name, scope, actor(), opened.clock()))
    told("This is the key; it is shown this once.")


def list_keys(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """List the keys, and what each is for."""
    from leadnurture import access

    opened = open_project(project)
    with opened.database.read() as connection:
        found = access.keys(connection)
    head = ("name", "begins with", "is for", "status")
    show(found, form, lambda: columns([head, *map(_key_told, found)]) if found else "There is no key yet.")


def _key_told(key: "ApiKey") -> tuple[str, ...]:
    status = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
    return key.name, f"{key.start}…" if key.start else "-", ", ".join(key.scopes), status


def revoke_key(name: KeyName, project: ProjectFolder = HERE) -> None:
    """End a key, at once and for good."""
    from leadnurture import access

    opened = open_project(project)
    access.revoke_key(opened.database, name, actor(), opened.clock())
    told(f"The key {name} is revoked.")

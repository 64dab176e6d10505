"""The pages of the admins: users, keys, and who did what. Passwords and keys are shown once, when made."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from leadnurture import access, store
from leadnurture.domain.roles import ROLES, SCOPES, Role, Scope
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import NotFoundError
from leadnurture.web.doorkeeper import READ
from leadnurture.web.site import PAGE, Before, Here, Id, Site

router = APIRouter()
Name = Annotated[str, Form(max_length=200)]


@router.api_route("/users", methods=READ)
def list_users(site: Here, track: Track = "prospects") -> HTMLResponse:
    """Who signs in, and as what."""
    return _users(site, track)


def _users(site: Site, track: Track = "prospects", fresh: tuple[str, str] | None = None) -> HTMLResponse:
    with site.project.database.read() as connection:
        everybody = access.users(connection, site.machine_clock())
    values = {"section": "/users", "track": track, "users": everybody, "roles": ROLES, "fresh": fresh}
    return site.page("users.html", values)


@router.post("/users")
def add_user(site: Here, name: Name, role: Annotated[Role, Form()]) -> HTMLResponse:
    """Adds somebody, and shows his first password."""
    project = site.project
    password = access.add_user(project.database, name, role, site.whoever.name, project.clock())
    return _users(site, fresh=(name.strip(), password))


@router.post("/users/{user_id}/role")
def set_role(site: Here, user_id: Id, role: Annotated[Role, Form()]) -> Response:
    """Gives somebody another role."""
    access.set_role(site.project.database, user_id, role, site.whoever.name, site.project.clock())
    return RedirectResponse("/users", 303)


@router.post("/users/{user_id}/password")
def give_password(site: Here, user_id: Id) -> HTMLResponse:
    """Makes somebody a new password, and shows it."""
    project = site.project
    name = _user_name(site, user_id)
    password = access.give_password(project.database, user_id, site.whoever.name, project.clock())
    return _users(site, fresh=(name, password))


@router.post("/users/{user_id}/remove")
def remove_user(site: Here, user_id: Id) -> Response:
    """Takes somebody out."""
    access.remove_user(site.project.database, user_id, site.whoever.name, site.project.clock())
    return RedirectResponse("/users", 303)


def _user_name(site: Site, user_id: int) -> str:
    with site.project.database.read() as connection:
        for user in access.users(connection, site.machine_clock()):
            if user.id == user_id:
                return user.name
    raise NotFoundError("There is no such user any more; look at the list again.")


@router.api_route("/keys", methods=READ)
def list_keys(site: Here, track: Track = "prospects") -> HTMLResponse:
    """Which systems may tell and read."""
    return _keys(site, track)


def _keys(site: Site, track: Track = "prospects", fresh: tuple[str, str] | None = None) -> HTMLResponse:
    with site.project.database.read() as connection:
        found = access.keys(connection)
    values = {"section": "/keys", "track": track, "keys": found, "scopes": SCOPES, "fresh": fresh}
    return site.page("keys.html", values)


@router.post("/keys")
def add_key(site: Here, name: Name, scope: Annotated[list[Scope] | None, Form()] = None) -> HTMLResponse:
    """Makes a key, and shows it."""
    project = site.project
    key = access.add_key(project.database, name, scope or (), site.whoever.name, project.clock())
    return _keys(site, fresh=(name.strip(), key))


@router.post("/keys/{key_id}/revoke")
def revoke_key(site: Here, key_id: Id) -> Response:
    """Ends a key."""
    access.revoke_key(site.project.database, key_id, site.whoever.name, site.project.clock())
    return RedirectResponse("/keys", 303)


@router.api_route("/audit", methods=READ)
def show_audit(
    site: Here,
    track: Track = "prospects",
    before: Before = None,
) -> HTMLResponse:
    """Who did what, newest first."""
    with site.project.database.read() as connection:
        found = store.noted(connection, limit=PAGE + 1, before=before)
    rows = found[:PAGE]
    values = {
        "section": "/audit",
        "track": track,
        "rows": rows,
        "newest": "/audit" if before else None,
        "older": f"/audit?before={rows[-1].id}" if len(found) > PAGE else None,
    }
    return site.page("audit.html", values)

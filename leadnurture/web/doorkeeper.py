"""Stands before every door: lets in whom `rights` lets in, and refuses everybody else.

What people do is done from the tool's own pages at its own addresses: on this machine, or at the public https
address of the settings. A website that posts a form of its own, or lets its name point here, is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import HTTPException, Request

from leadnurture import access
from leadnurture.domain.roles import Needed, Scope
from leadnurture.settings import Settings, is_loopback
from leadnurture.web.identity import Identity, IdentitySource
from leadnurture.web.project import Project
from leadnurture.web.rights import PEOPLE, PUBLIC, SYSTEMS, route

READ: Final = ["GET", "HEAD"]
NO_KEY: Final = (
    "Send the header `Authorization: Bearer …` with a key that is in use; `leadnurture key add` makes one."
)


@dataclass(frozen=True, slots=True)
class Address:
    """Under which of the tool's own addresses somebody came."""

    origin: str
    is_secure: bool
    """By https, so that what a browser keeps is for https alone."""


def address_of(request: Request, settings: Settings) -> Address | None:
    """The address; None when it is none of the tool's own."""
    host = request.headers.get("host", "").lower()
    if settings.public_host is not None and host == settings.public_host:
        return Address(f"https://{host}", is_secure=True)
    return Address(f"http://{host}", is_secure=False) if is_here(request) else None


def is_here(request: Request) -> bool:
    """Whether it comes from this machine, and calls it by its own name."""
    caller = request.client.host if request.client else ""
    return is_loopback(caller) and is_loopback(request.url.hostname or "")


def doorkeeper(project: Project, source: IdentitySource) -> Callable[[Request], None]:
    """A dependency of the whole app; leaves who came in `request.state.me`."""

    def admit(request: Request) -> None:
        name = route(request.method, request.scope["route"].path)
        request.state.me = None
        if name in PEOPLE:
            _refuse_elsewhere(request, project.settings)
            request.state.me = _person(request, source, PEOPLE[name])
        elif name in SYSTEMS:
            if not (SYSTEMS[name] == "read" and is_here(request)):
                _refuse_without_key(request, project, SYSTEMS[name])
        elif name not in PUBLIC:
            raise HTTPException(403, "Nothing is said about who may come in here.")
        elif PUBLIC[name] == "entrance":
            _refuse_elsewhere(request, project.settings)

    return admit


def _refuse_elsewhere(request: Request, settings: Settings) -> None:
    address = address_of(request, settings)
    if address is None:
        other = f"at {settings.url}, and " if settings.public_host else ""
        raise HTTPException(403, f"The pages open {other}on the machine itself, under http://127.0.0.1.")
    if request.method not in READ and not _is_from_here(request, address):
        raise HTTPException(403, "This was not sent by a page of the tool. Open the page and do it there.")


def _is_from_here(request: Request, address: Address) -> bool:
    """As the browser says, not the page: by Fetch Metadata, by the origin where it is too old for that."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("origin", "").lower() == address.origin


def _person(request: Request, source: IdentitySource, needed: Needed) -> Identity:
    me = source.identify(request)
    if me is None:
        if request.method not in READ:
            raise HTTPException(401, "You are signed out by now. Sign in, and repeat what you did.")
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise HTTPException(303, "Sign in first.", {"Location": source.entrance(back)})
    if not me.may(needed):
        raise HTTPException(403, f"This needs the role {needed}; yours is {me.role}. An admin can change it.")
    return me


def _refuse_without_key(request: Request, project: Project, needed: Scope) -> None:
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    with project.database.read() as connection:
        scopes = access.scopes_of(connection, shown) if scheme.lower() == "bearer" and shown else None
    if scopes is None:
        raise HTTPException(401, NO_KEY, {"WWW-Authenticate": "Bearer"})
    if needed not in scopes:
        raise HTTPException(
            403, f"This key is not for {needed}; `leadnurture key add --scope {needed}` makes one."
        )

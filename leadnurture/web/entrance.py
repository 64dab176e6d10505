"""Where people sign in and out, with names and passwords of our own: our source of identities."""

import logging
import math
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import access
from leadnurture.web.doorkeeper import READ, address_of
from leadnurture.web.identity import Identity, page_of_ours
from leadnurture.web.identity import entrance as our_entrance
from leadnurture.web.project import Project
from leadnurture.web.site import Here, Site

logger = logging.getLogger(__name__)
router = APIRouter()
YEAR: Final = 365 * 24 * 3600
WRONG: Final = "This name and this password do not belong together."
Field = Annotated[str, Form()]


class SignIns:
    """Knows who is signed in by what his browser shows; see `access`."""

    def __init__(self, project: Project, machine_clock: Callable[[], datetime]) -> None:
        self._project = project
        self._clock = machine_clock
        self._browsers = access.Browsers(project.settings.secret.get_secret_value())

    def identify(self, request: Request) -> Identity | None:
        """Whose sign-in the browser shows, unless it has ended or nothing was seen of it for too long."""
        now = self._clock()
        shown = self._browsers.read(request.cookies.get(self._name(request), ""))
        if shown is None or shown.is_idle(now):
            return None
        with self._project.database.read() as connection:
            who = access.signed_in(connection, shown.token, now)
        if who is None:
            return None
        cookie = self.cookie(request, shown.token) if shown.is_worn(now) else None
        return Identity(who.name, who.role, who.user_id, cookie)

    def entrance(self, back: str) -> str:
        """Our own page to sign in."""
        return our_entrance(back)

    def token(self, request: Request) -> str | None:
        """What the browser shows, whether or not it still holds."""
        shown = self._browsers.read(request.cookies.get(self._name(request), ""))
        return None if shown is None else shown.token

    def browser(self, request: Request, name: str) -> str | None:
        """The mark of the browser, if the owner of the name was signed in in it."""
        shown = request.cookies.get(self._name(request, "browser"), "")
        return self._browsers.known_to(shown, access.name_key(name))

    def cookie(self, request: Request, token: str) -> str:
        """For a browser in which somebody is signed in, as the value of `Set-Cookie`."""
        return self._cookie(request, self._name(request), self._browsers.show(token, self._clock()))

    def no_cookie(self, request: Request) -> str:
        """For a browser in which nobody is signed in any more."""
        return self._cookie(request, self._name(request), "", seconds=0)

    def memory(self, request: Request, name: str) -> str:
        """For a browser in which the owner of the name was signed in."""
        value = self._browsers.remember(access.name_key(name))
        return self._cookie(request, self._name(request, "browser"), value, seconds=YEAR)

    def _name(self, request: Request, what: str = "sign-in") -> str:
        """Browsers give all ports of a host its cookies; the prefix binds one to https and to the host."""
        if _is_secure(request, self._project):
            return f"__Host-leadnurture-{what}"
        return f"leadnurture-{self._project.settings.port}-{what}"

    def _cookie(self, request: Request, name: str, value: str, seconds: int | None = None) -> str:
        response = Response()
        secure = _is_secure(request, self._project)
        response.set_cookie(name, value, max_age=seconds, secure=secure, httponly=True, samesite="lax")
        return response.headers["set-cookie"]


def _is_secure(request: Request, project: Project) -> bool:
    address = address_of(request, project.settings)
    return address is not None and address.is_secure


def our_own(request: Request) -> SignIns:
    """Our own source of identities, which there is beside any other."""
    found: SignIns = request.app.state.sign_ins
    return found


@router.api_route("/sign-in", methods=READ)
def ask_who(site: Here, next_: Annotated[str, Query(alias="next", max_length=2_000)] = "/") -> HTMLResponse:
    """The form for name and password."""
    return _form(site, next_)


def _form(site: Site, back: str, *, name: str = "", said: str = "", status: int = 200) -> HTMLResponse:
    with site.project.database.read() as connection:
        is_anybody = access.has_users(connection)
    values = {"back": page_of_ours(back), "name": name, "said": said, "is_anybody": is_anybody}
    return site.page("sign-in.html", values, status=status)


@router.post("/sign-in")
# A field that is missing is as good as an empty one.
def sign_in(  # nosec B107
    request: Request,
    site: Here,
    name: Field = "",
    password: Field = "",
    next_: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Signs in and goes on to the page that was asked for; the same answer for whatever is wrong."""
    ours, project = our_own(request), site.project
    address = request.client.host if request.client else ""
    visitor = access.Visitor(address, ours.browser(request, name), ours.token(request))
    token = access.sign_in(project.database, name, password, visitor, project.clock(), site.machine_clock())
    if isinstance(token, access.TryLater):
        seconds = math.ceil(token.wait.total_seconds())
        logger.warning("attempts to sign in from %s have to wait for %s seconds", address, seconds)
        said = f"There were too many attempts from here. Try again in {seconds} seconds."
        response: Response = _form(site, next_, name=name, said=said, status=429)
        response.headers["Retry-After"] = str(seconds)
        return response
    if token is None:
        return _form(site, next_, name=name, said=WRONG, status=401)
    response = RedirectResponse(page_of_ours(next_), 303)
    response.headers.append("Set-Cookie", ours.cookie(request, token))
    if visitor.browser is None:
        response.headers.append("Set-Cookie", ours.memory(request, name))
    return response


@router.post("/sign-out")
def sign_out(request: Request, site: Here) -> Response:
    """Signs out in this browser."""
    ours = our_own(request)
    token = ours.token(request)
    if token is not None:
        access.end_sign_in(site.project.database, token, site.whoever.name, site.project.clock())
    return signed_out(request, site)


def signed_out(request: Request, site: Site) -> Response:
    """Leads to where one signs in, with nothing left in the browser."""
    response = RedirectResponse(site.source.entrance("/"), 303)
    response.headers.append("Set-Cookie", our_own(request).no_cookie(request))
    return response

"""Puts the doors and pages together, and says in which words an error leaves the house."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from leadnurture.errors import (
    DatabaseUnavailableError,
    InvalidInputError,
    LeadNurtureError,
    NotFoundError,
    NotSignedError,
    SchemaOutdatedError,
    StorageFullError,
    TooOldError,
)
from leadnurture.web import (
    account,
    administration,
    answers,
    api,
    clicks,
    content,
    desk,
    doors,
    entrance,
    health,
    hooks,
    pages,
    people,
    preferences,
    replies,
)
from leadnurture.web.doorkeeper import doorkeeper
from leadnurture.web.guard import HEADERS, Guard
from leadnurture.web.identity import IdentitySource
from leadnurture.web.project import Project
from leadnurture.web.rights import check_rights
from leadnurture.web.site import STATIC, Site

logger = logging.getLogger(__name__)

STATUS: Final[dict[type, int]] = {
    NotFoundError: 404,
    InvalidInputError: 422,
    NotSignedError: 401,
    DatabaseUnavailableError: 503,
    SchemaOutdatedError: 503,
    StorageFullError: 507,
}
FOR_MACHINES: Final = ("/api/", "/hooks/", "/healthz", "/readyz", "/metrics")
TITLES_OF_OURS: Final[dict[type, str]] = {
    doors.BrokenLinkError: "This link does not work",
    TooOldError: "This link is too old",
    NotFoundError: "There is nothing here",
}
TITLES: Final = {
    303: "Sign in",
    401: "You are signed out",
    403: "This is not open to you",
    404: "This page does not exist",
    405: "This page does not exist",
    503: "We cannot answer right now",
}


def machine_clock() -> datetime:
    """The machine's own time."""
    return datetime.now(UTC)


def create_app(
    project: Project,
    source: IdentitySource | None = None,
    clock: Callable[[], datetime] = machine_clock,
) -> FastAPI:
    """The web of a project: public links, hooks, the API, and the pages of the tool.

    `source` knows who is signed in, our own users unless given; `clock` is the machine's.
    """
    ours = entrance.SignIns(project, clock)
    source = source or ours
    keeper = Depends(doorkeeper(project, source))
    app = FastAPI(title="leadnurture", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[keeper])
    app.state.site = Site(project, source, clock)
    app.state.sign_ins = ours
    app.add_middleware(Guard)
    app.add_exception_handler(LeadNurtureError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _bug)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    public = (doors, answers, preferences, api, hooks, health, entrance)
    for each in (*public, account, administration, desk, pages, people, replies, clicks, content):
        app.include_router(each.router)
    check_rights(app)
    return app


def _ours(request: Request, error: Exception) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    return _said(request, status, str(error), TITLES_OF_OURS.get(type(error)))


def _invalid(request: Request, _: Exception) -> Response:
    return _said(request, 404, "The address is not complete, or it names nothing that we know.")


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentence = error.detail
    if error.status_code in {404, 405} and sentence in {"Not Found", "Method Not Allowed"}:
        sentence = "Look at the address again, or go back to where you came from."
    response = _said(request, error.status_code, sentence)
    response.headers.update(error.headers or {})
    return response


def _bug(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, _route(request), exc_info=error)
    response = _said(request, 500, "The mistake is ours and has been noted. Please try again in a while.")
    response.headers.update(HEADERS)
    return response


def _said(request: Request, status: int, sentence: str, title: str | None = None) -> Response:
    if request.url.path.startswith(FOR_MACHINES):
        return JSONResponse({"error": sentence}, status)
    site: Site = request.app.state.site
    return site.sorry(title or TITLES.get(status, "Something went wrong"), sentence, status=status)


def _route(request: Request) -> str:
    """The path without its token, which is nobody's business but the reader's."""
    route = request.scope.get("route")
    return str(getattr(route, "path", "an unknown path"))

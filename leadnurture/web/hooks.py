"""`POST /hooks/…`: what mail providers tell of our mails, and platforms of their sessions.

2xx means that it is in the database. It is read afterwards: at once, after the answer, where nothing that
came before it waits to be read.
"""

import logging
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, BackgroundTasks, Path, Request
from fastapi.responses import JSONResponse

from leadnurture import imports, inbox, mail
from leadnurture.app import readers
from leadnurture.errors import LeadNurtureError
from leadnurture.web.api import Body
from leadnurture.web.site import Here, Site

log: Final = logging.getLogger(__name__)
router = APIRouter(prefix="/hooks")
Provider = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=50)]


@router.post("/sendgrid/events")
def receive_sendgrid_events(
    request: Request, body: Body, site: Here, afterwards: BackgroundTasks
) -> JSONResponse:
    """SendGrid's event webhook; NotSignedError (401) unless its signature fits the key in the settings."""
    project = site.project
    key = project.settings.sendgrid_webhook_key
    kept = mail.receive_sendgrid_events(
        project.database, body, request.headers, key, project.clock(), machine_now=_machine_now()
    )
    return _answer(site, kept, afterwards)


@router.post("/sendgrid/inbound")
def receive_inbound(request: Request, body: Body, site: Here, afterwards: BackgroundTasks) -> JSONResponse:
    """SendGrid's Inbound Parse; NotSignedError (401) without the password of the settings."""
    project = site.project
    key = project.settings.inbound_key
    kept = mail.receive_inbound(
        project.database, body, request.headers, key.get_secret_value() if key else None, project.clock()
    )
    return _answer(site, kept, afterwards)


@router.post("/webinar/{provider}")
def receive_webinar_event(
    provider: Provider, request: Request, body: Body, site: Here, afterwards: BackgroundTasks
) -> JSONResponse:
    """What a webinar platform tells of its sessions; NotSignedError (401) unless it is signed and fresh."""
    project = site.project
    kept = imports.receive_platform_event(
        project.database,
        imports.Platform(provider, project.settings.secrets_of(provider)),
        body,
        request.headers,
        project.clock(),
        machine_now=_machine_now(),
    )
    return _answer(site, kept, afterwards)


def _answer(site: Site, kept: inbox.Kept, afterwards: BackgroundTasks) -> JSONResponse:
    if kept.is_new:
        afterwards.add_task(_read, site, kept.id)
    return JSONResponse({"kept": kept.id, "is_new": kept.is_new}, background=afterwards)


def _read(site: Site, post_id: int) -> None:
    project = site.project
    try:
        inbox.read_post(project.database, readers(project.links), post_id, project.clock(), _machine_now)
    except LeadNurtureError as error:  # the worker will read it
        log.warning("post %d is read later: %s", post_id, error)


def _machine_now() -> datetime:
    return datetime.now(UTC)

"""`POST /hooks/…`: what mail providers tell of our mails. 2xx means that it is in the database."""

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from leadnurture import mail
from leadnurture.web.api import Body
from leadnurture.web.site import Here

router = APIRouter(prefix="/hooks")


@router.post("/sendgrid/events")
def receive_sendgrid_events(request: Request, body: Body, site: Here) -> JSONResponse:
    """SendGrid's event webhook; NotSignedError (401) unless its signature fits the key in the settings."""
    project = site.project
    key = project.settings.sendgrid_webhook_key
    received = mail.receive_sendgrid_events(
        project.database, body, request.headers, key, project.clock(), machine_now=datetime.now(UTC)
    )
    return JSONResponse(asdict(received))

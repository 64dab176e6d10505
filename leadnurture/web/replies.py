"""The page of replies: what leads wrote back, and the buttons by which somebody sorts it."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.vocabulary import Track
from leadnurture.web.doorkeeper import READ
from leadnurture.web.site import Here, Id

router = APIRouter()


@router.api_route("/replies", methods=READ)
def list_replies(site: Here, track: Track = "prospects") -> HTMLResponse:
    """What waits to be sorted, the oldest first."""
    with site.project.database.read() as connection:
        rows = reports.unsorted_replies(connection, track=track)
    return site.page("replies.html", {"section": "/replies", "track": track, "replies": rows})


@router.post("/replies/{reply_id}")
def sort_reply(
    reply_id: Id,
    site: Here,
    decision: Annotated[engine.Sorting, Form()],
    track: Annotated[Track, Form()],
) -> Response:
    """Sorts a reply and all else that its lead wrote; the first decision wins."""
    engine.sort_reply(site.project.database, reply_id, decision, site.whoever.name, site.project.clock())
    return RedirectResponse(f"/replies?track={track}", 303)

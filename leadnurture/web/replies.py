"""The page of replies: what leads wrote back, and the buttons by which somebody sorts it."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.vocabulary import Track
from leadnurture.web.doors import READ, BrokenLinkError
from leadnurture.web.pages import keep_here
from leadnurture.web.site import Here

SORTER: Final = "marketing"
router = APIRouter(dependencies=[Depends(keep_here)], default_response_class=HTMLResponse)


@router.api_route("/replies", methods=READ)
def list_replies(site: Here, track: Track = "prospects") -> HTMLResponse:
    """What waits to be sorted, the oldest first."""
    with site.project.database.read() as connection:
        rows = reports.unsorted_replies(connection, track=track)
    values = {
        "section": "/replies",
        "track": track,
        "replies": rows,
        # The token in it keeps other websites from posting a decision.
        "actions": {row.id: f"/replies/{site.project.links.sort(row.id)}" for row in rows},
    }
    return site.page("replies.html", values)


@router.post("/replies/{token}")
def sort_reply(
    token: str, site: Here, decision: Annotated[engine.Sorting, Form()], track: Annotated[Track, Form()]
) -> Response:
    """Sorts a reply and all else that its lead wrote; the first decision wins."""
    reply_id = site.project.links.read_sort(token)
    if reply_id is None:
        raise BrokenLinkError
    engine.sort_reply(site.project.database, reply_id, decision, SORTER, site.project.clock())
    return RedirectResponse(f"/replies?track={track}", 303)

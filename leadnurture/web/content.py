"""The pages of what there is to send, and the button that says who came to a session."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.vocabulary import Track
from leadnurture.web.doorkeeper import READ
from leadnurture.web.site import Here

router = APIRouter()
SOURCE: Final = "person"
ContentName = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=200)]
SessionName = Annotated[str, Form(pattern=r"^[a-z0-9-]+$", max_length=200)]


@router.api_route("/content", methods=READ)
def list_contents(site: Here, track: Track = "prospects") -> HTMLResponse:
    """All that there is for a track; what takes place at dates is for whoever has a seat."""
    now = site.project.clock()
    with site.project.database.read() as connection:
        rows = reports.contents(connection, now)
    values = {
        "section": "/content",
        "track": track,
        "dated": [row for row in rows if row.sessions],
        "shelf": [row for row in rows if not row.sessions and track in row.tracks],
    }
    return site.page("contents.html", values)


@router.api_route("/content/{content}", methods=READ)
def show_content(content: ContentName, site: Here, track: Track = "prospects") -> HTMLResponse:
    """A content with its sessions, and who stands how to each of them."""
    now = site.project.clock()
    with site.project.database.read() as connection:
        page = reports.content_page(connection, content, now)
    return site.page("content.html", {"section": "/content", "track": track, "page": page})


@router.post("/content/{content}/attendance")
def close_list(
    content: ContentName,
    site: Here,
    session: SessionName,
    attended: Annotated[list[Annotated[str, Form(max_length=320)]] | None, Form()] = None,
) -> Response:
    """Closes the list of a session: who is ticked attended, who had a seat and is not ticked missed it."""
    project, actor = site.project, site.whoever.name
    came, now = attended or (), project.clock()
    engine.close_session(project.database, content, session, came, now, SOURCE, actor=actor)
    return RedirectResponse(f"/content/{content}#{session}", 303)

"""The pages of what there is to send, and the button that says who came to a session."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.web.doorkeeper import READ
from leadnurture.web.site import Here

router = APIRouter()
SOURCE: Final = "person"
ContentName = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=200)]
SessionName = Annotated[str, Form(pattern=r"^[a-z0-9-]+$", max_length=200)]
TOO_MANY: Final = "These are more people than a page can ask about; use `leadnurture close` with a file."
NOT_YET: Final = "Nobody can have come yet: the session has not begun, or it was cancelled."


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
    project, now = site.project, site.project.clock()
    with project.database.read() as connection:
        page = reports.content_page(connection, content, now)
    row = next((each for each in page.content.sessions if each.name == session), None)
    if row is None:
        raise NotFoundError(f"{content} has no session {session}; look at its page.")
    if row.stand in {"ahead", "cancelled"}:
        raise InvalidInputError(NOT_YET)
    if not row.is_listed:  # whoever the page left out would have missed it
        raise InvalidInputError(TOO_MANY)
    engine.close_session(
        project.database, content, session, attended or (), now, SOURCE, actor=site.whoever.name
    )
    return RedirectResponse(f"/content/{content}#{session}", 303)

"""What salespeople decide on the tool's own pages, under their own names."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import InvalidInputError, LeadNurtureError
from leadnurture.web.doors import LONGEST_NOTE, NO_REASON, Told, handoff_page, plain
from leadnurture.web.site import Here, Id, Site

router = APIRouter()


@router.post("/handoffs/{handoff_id}")
def decide(
    handoff_id: Id,
    site: Here,
    told: Told,
    decision: Annotated[Literal["accepted", "returned"], Form()],
    reason: Annotated[str | None, Form(max_length=200)] = None,
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
    track: Annotated[Track, Form(alias="list")] = "prospects",
) -> Response:
    """Accepts or returns, and goes back to the list. The first decision wins; a later one is told who did."""
    if decision == "returned" and not reason:
        raise InvalidInputError(NO_REASON)
    project, me = site.project, site.whoever
    by, now = acting_as(site, me.name), project.clock()
    decided = engine.decide_handoff(
        project.database,
        handoff_id,
        decision,
        by,
        now,
        reason=reason,
        note=plain(note) or None,
        actor=me.name,
        told=told,
    )
    if decided.was_open:
        return RedirectResponse(f"/handoffs?track={track}", 303)
    with project.database.read() as connection:
        row = reports.handoff(connection, handoff_id, now)
    return handoff_page(site, row, was_late=True)


def acting_as(site: Site, name: str) -> str:
    """The id of the person of the company whose id or address the name is; else the name."""
    try:
        people = site.definitions().company.people
    except LeadNurtureError:  # nothing is applied yet
        return name
    key = name.casefold()
    return next((one.id for one in people if key in {one.id.casefold(), one.email.casefold()}), name)

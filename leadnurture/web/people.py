"""What our people tell of a lead on its page, under their own names, and the copy of what is held of it."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import JSONResponse, RedirectResponse

from leadnurture import engine
from leadnurture.profile import export_person
from leadnurture.web.desk import acting_as
from leadnurture.web.doors import LONGEST_NOTE, plain
from leadnurture.web.site import Here, Id

router = APIRouter(prefix="/leads/{lead_id}")
Words = Annotated[str, Form(max_length=LONGEST_NOTE)]


@router.post("/export")
def export(lead_id: Id, site: Here) -> JSONResponse:
    """Everything that is held about the lead, to be kept as a file; the audit says who took it."""
    project = site.project
    held = export_person(project.database, lead_id, site.whoever.name, project.clock())
    return JSONResponse(held, headers={"Content-Disposition": f'attachment; filename="lead-{lead_id}.json"'})


@router.post("/merge")
def merge(lead_id: Id, site: Here, other: Annotated[str, Form(max_length=320)]) -> Response:
    """Makes another lead one with this one, and goes back to the page."""
    project, me = site.project, site.whoever
    by = acting_as(site, me.name)
    done = engine.merge_leads(project.database, lead_id, plain(other), by, project.clock(), actor=me.name)
    return RedirectResponse(f"/leads/{done.kept_id}", 303)


@router.post("/merges/{merge_id}/undo")
def undo_merge(lead_id: Id, merge_id: Id, site: Here) -> Response:
    """Makes two leads again of one, and goes back to the page of the one who was kept."""
    project, me = site.project, site.whoever
    by = acting_as(site, me.name)
    done = engine.undo_merge(project.database, merge_id, by, project.clock(), actor=me.name, kept_id=lead_id)
    return RedirectResponse(f"/leads/{done.kept_id}", 303)


@router.post("/notes")
def note(lead_id: Id, site: Here, text: Words = "") -> Response:
    """Keeps a note and goes back to the page."""
    project, me = site.project, site.whoever
    engine.add_note(
        project.database, lead_id, plain(text), acting_as(site, me.name), project.clock(), actor=me.name
    )
    return RedirectResponse(f"/leads/{lead_id}#said", 303)


@router.post("/feedback")
def record_feedback(
    lead_id: Id,
    site: Here,
    channel: Annotated[engine.Channel, Form()],
    key: Annotated[str, Form(pattern=r"^\w{8,64}$")],
    answer: Annotated[str, Form(max_length=200)] = "",
    about: Annotated[str, Form(pattern=r"^\d{0,18}$")] = "",
    text: Words = "",
) -> Response:
    """Records what the lead answered to somebody of ours, once for each form."""
    project, me = site.project, site.whoever
    feedback = engine.Feedback(plain(answer), channel, key, int(about) if about else None, plain(text))
    by = acting_as(site, me.name)
    engine.record_feedback(project.database, lead_id, feedback, by, project.clock(), actor=me.name)
    return RedirectResponse(f"/leads/{lead_id}#said", 303)

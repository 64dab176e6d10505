"""The button by which somebody who looks at a lead says whether a person or a machine clicked."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from leadnurture import engine
from leadnurture.web import lookup
from leadnurture.web.site import Here, Id

router = APIRouter()


@router.post("/clicks/{click_id}")
def judge_click(
    click_id: Id,
    site: Here,
    judgement: Annotated[Literal["person", "machine"], Form()],
) -> Response:
    """What the click brought follows at once, or is taken back."""
    project = site.project
    engine.revise_click(project.database, click_id, judgement, site.whoever.name, project.clock())
    with project.database.read() as connection:
        lead_id = lookup.lead_of_click(connection, click_id)
    return RedirectResponse(f"/leads/{lead_id}", 303)

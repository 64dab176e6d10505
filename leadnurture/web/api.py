"""`POST /api/leads` and `/api/reactions`: other systems tell what they know. Every call may be repeated.

An answer of 200 means that all of it is in the database, 207 that some of it is (the body says which is not,
and why), 422 that nothing of it is. The post itself is kept first and read at once: who dies in between has
told it all the same.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from leadnurture import imports, inbox
from leadnurture.store import Database
from leadnurture.web.site import Here, Site

ReadTellings = Callable[[Database, inbox.Post, datetime], imports.Outcome]
READERS: Final[dict[str, ReadTellings]] = {
    "leads": imports.read_leads,
    "reactions": imports.read_reactions,
}


async def body_of(request: Request) -> bytes:
    """The body as it came; the guard has measured it."""
    return await request.body()


Body = Annotated[bytes, Depends(body_of)]
router = APIRouter(prefix="/api")


@router.post("/reactions")
def record_reactions(body: Body, site: Here) -> JSONResponse:
    """Records reactions, deals and closed attendance lists."""
    return _told(site, "reactions", body)


@router.post("/leads")
def import_leads(body: Body, site: Here) -> JSONResponse:
    """Creates leads, or changes what is said of them; who has an address already is that lead."""
    return _told(site, "leads", body)


def _told(site: Site, source: str, body: bytes) -> JSONResponse:
    """Refuses what is no JSON, keeps the rest, reads it and says what became of it."""
    imports.items_of(body)
    site.definitions()
    project = site.project
    now = project.clock()
    kept = inbox.keep_for_now(project.database, source, body, now, datetime.now(UTC))
    outcome = READERS[source](project.database, kept, now)
    inbox.finish(project.database, kept, outcome.read)
    return _answer(outcome)


def _answer(outcome: imports.Outcome) -> JSONResponse:
    """200 for all, 207 for some, 422 for none."""
    not_done = len({problem.item for problem in outcome.problems})
    status = 200 if not not_done else 422 if not_done == outcome.told else 207
    said = {"recorded": outcome.recorded, "duplicates": outcome.duplicates}
    return JSONResponse(said | {"problems": [asdict(problem) for problem in outcome.problems]}, status)

"""What machines ask about us: are we alive, are we ready, how much is there."""

from collections.abc import Iterator, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

from leadnurture import engine, reports, store
from leadnurture.errors import LeadNurtureError, SchemaOutdatedError
from leadnurture.web.site import Here, Site

router = APIRouter()
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], int]


@router.get("/healthz")
def healthz() -> JSONResponse:
    """The process answers, and says whose it is."""
    return JSONResponse({"status": "ok", "server": "leadnurture"})


@router.get("/readyz")
def readyz(site: Here) -> JSONResponse:
    """The database answers, its schema is the newest, a project is applied; else 503 says what is missing."""
    try:
        _check(site)
    except LeadNurtureError as error:
        return JSONResponse({"status": "not ready", "error": str(error)}, 503)
    return JSONResponse({"status": "ready"})


def _check(site: Site) -> None:
    database = site.project.database
    if not store.is_migrated(database):
        raise SchemaOutdatedError
    with database.read() as connection:
        engine.current_definitions(connection)


@router.get("/metrics")
def metrics(site: Here) -> PlainTextResponse:
    """The numbers of the whole in the text format of Prometheus. Names no person."""
    with site.project.database.read() as connection:
        status = reports.status(connection, site.project.clock())
    lines = [line for name, help_, samples in _families(status) for line in _family(name, help_, samples)]
    return PlainTextResponse("\n".join(lines) + "\n", media_type=PROMETHEUS)


def _families(status: reports.Status) -> Iterator[tuple[str, str, list[Sample]]]:
    yield "leads", "Leads by track.", _by("track", status.tracks)
    yield "leads_at_stage", "Leads by stage.", _by("stage", status.stages)
    yield "looks_due", "Leads that changed and were not looked at since.", [({}, status.looks_due)]
    yield "enrollments", "Enrollments by status.", _by("status", status.enrollments_by_status)
    due: list[Sample] = [({"program": row.name}, row.due) for row in status.programs]
    yield "enrollments_due", "Enrollments that the next wave will judge, by program.", due
    yield "messages", "Mails by status.", _by("status", status.messages)
    yield "reactions", "Reactions by kind.", _by("kind", status.reactions)
    yield "clicks", "Clicks by judgement.", _by("judgement", status.clicks)
    yield "handoffs", "Handoffs by status.", _by("status", status.handoffs)
    yield "notices", "Notices to our people by status.", _by("status", status.notices)
    yield "inbox", "Posts that are not read to the end, or unusable.", _by("status", status.inbox)
    items = _by("outcome", status.inbox_items)
    yield "inbox_items", "Items that came in and of which nothing was recorded.", items
    unsorted = "Replies that nobody has sorted; no mail goes to these leads."
    yield "unsorted_replies", unsorted, [({}, status.unsorted_replies)]
    yield "suppressed", "Addresses that are never mailed again.", [({}, status.suppressed)]


def _by(label: str, numbers: Mapping[str, int]) -> list[Sample]:
    return [({label: word}, number) for word, number in numbers.items()]


def _family(name: str, help_: str, samples: list[Sample]) -> Iterator[str]:
    yield f"# HELP leadnurture_{name} {help_}"
    yield f"# TYPE leadnurture_{name} gauge"
    for labels, number in samples:
        told = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
        yield f"leadnurture_{name}{{{told}}} {number}" if told else f"leadnurture_{name} {number}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

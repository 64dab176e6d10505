"""What machines ask about us: are we alive, are we ready, how much is there."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from leadnurture import engine, store
from leadnurture.errors import LeadNurtureError, SchemaOutdatedError
from leadnurture.web.site import Here, Site

router = APIRouter()


@router.get("/healthz")
def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


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

"""What `apply` stored last, read back once per version and kept."""

import functools

from sqlalchemy import Connection, text

from leadnurture.definitions import load_definitions, load_program
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program
from leadnurture.errors import NotFoundError


def current_definitions(connection: Connection) -> Definitions:
    """The newest definitions. Raises NotFoundError before the first `apply`."""
    newest = connection.execute(text("SELECT max(id) FROM project_version")).scalar()
    if newest is None:
        msg = "Nothing is applied yet; run `leadnurture apply` in the project's folder."
        raise NotFoundError(msg)
    key = (str(connection.engine.url), newest)
    if key not in _loaded:
        body = connection.execute(
            text("SELECT body FROM project_version WHERE id = :id"), {"id": newest}
        ).scalar_one()
        _loaded.clear()
        _loaded[key] = load_definitions(body)
    return _loaded[key]


_loaded: dict[tuple[str, int], Definitions] = {}


def first_step(connection: Connection, program: str) -> tuple[int, str]:
    """The current version of a program and the name of its first step.

    Raises NotFoundError for an unknown program.
    """
    row = connection.execute(
        text("""
            SELECT v.id, s.name FROM program_version v JOIN program_step s ON s.version_id = v.id
             WHERE v.program = :program AND v.is_current ORDER BY s.position LIMIT 1"""),
        {"program": program},
    ).first()
    if row is None:
        msg = f"There is no program {program!r}; `leadnurture status` lists them."
        raise NotFoundError(msg)
    return row.id, row.name


def program_versions(connection: Connection, program: str) -> dict[int, Program]:
    """The versions of a program that are current or still hold leads, the current one first."""
    rows = connection.execute(
        text("""
            SELECT v.id, v.body FROM program_version v
             WHERE v.program = :program AND EXISTS (SELECT 1 FROM program_step s WHERE s.version_id = v.id)
             ORDER BY v.is_current DESC, v.number DESC"""),
        {"program": program},
    )
    return {row.id: parsed_program(row.body) for row in rows}


@functools.lru_cache(maxsize=256)
def parsed_program(body: str) -> Program:
    """A stored program as a value."""
    return load_program(body)

"""Who did what: a row for every act of a person, written in the transaction of the act itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from leadnurture.store.tables import metadata

AUDIT: Final = metadata.tables["audit"]


@dataclass(frozen=True, slots=True)
class Audited:
    """One act, as it is kept for good."""

    id: int
    at: datetime
    actor: str
    act: str
    subject: str
    detail: str | None


def note(
    connection: Connection, actor: str, act: str, subject: str, now: datetime, *, detail: str | None = None
) -> None:
    """Keeps who did what with what."""
    connection.execute(insert(AUDIT).values(at=now, actor=actor, act=act, subject=subject, detail=detail))


def noted(connection: Connection, *, limit: int, before: int | None = None) -> tuple[Audited, ...]:
    """What was done, newest first."""
    question = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(AUDIT.c.id < before)
    return tuple(
        Audited(row.id, row.at, row.actor, row.act, row.subject, row.detail)
        for row in connection.execute(question)
    )

"""The rows of sales, and the one way to decide that somebody is told: one notice of a kind for a handoff."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, insert, literal_column, select

from leadnurture.store.tables import metadata

HANDOFF: Final = metadata.tables["handoff"]
NOTICE: Final = metadata.tables["notice"]
# Literals instead of parameters: only so do the partial indexes on these rows serve.
IS_OPEN: Final = HANDOFF.c.status == literal_column("'open'")
IS_PLANNED: Final = NOTICE.c.status == literal_column("'planned'")
NoticeKind = Literal["handoff", "reminder", "escalation", "withdrawn"]
"""`withdrawn` tells of a decision, the others ask for one."""


def decide_notices(connection: Connection, kind: NoticeKind, people: Mapping[int, str], now: datetime) -> int:
    """How many notices were new, one for each handoff of `people`. Safe to repeat under the leads' locks."""
    known = set(
        connection.scalars(
            select(NOTICE.c.handoff_id).where(NOTICE.c.kind == kind, NOTICE.c.handoff_id.in_(people))
        )
    )
    rows = [
        {
            "handoff_id": handoff_id,
            "kind": kind,
            "person": person,
            "status": "planned",
            "planned_at": now,
            "attempts": 0,
        }
        for handoff_id, person in people.items()
        if handoff_id not in known
    ]
    if rows:
        connection.execute(insert(NOTICE).values(rows))
    return len(rows)

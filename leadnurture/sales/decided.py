"""The rows of sales, and the one way to decide that somebody is told: one notice of a kind for a handoff."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, insert, literal_column, select

from leadnurture.store.tables import metadata

HANDOFF: Final = metadata.tables["handoff"]
NOTICE: Final = metadata.tables["notice"]
TASK: Final = metadata.tables["task"]
REPLY: Final = metadata.tables["reply"]
# Literals instead of parameters: only so do the partial indexes on these rows serve.
IS_OPEN: Final = HANDOFF.c.status == literal_column("'open'")
IS_PLANNED: Final = NOTICE.c.status == literal_column("'planned'")
NoticeKind = Literal["handoff", "reminder", "escalation", "withdrawn", "task", "tell", "reply"]
"""`withdrawn` tells of a decision, `tell` of whatever a program says; the others ask for something."""


def decide_notices(connection: Connection, kind: NoticeKind, people: Mapping[int, str], now: datetime) -> int:
    """How many notices were new, one for each handoff of `people`. Safe to repeat under the leads' locks."""
    known = set(
        connection.scalars(
            select(NOTICE.c.handoff_id).where(NOTICE.c.kind == kind, NOTICE.c.handoff_id.in_(people))
        )
    )
    fresh = [handoff_id for handoff_id in people if handoff_id not in known]
    leads = connection.execute(select(HANDOFF.c.id, HANDOFF.c.lead_id).where(HANDOFF.c.id.in_(fresh)))
    rows = [
        {
            "lead_id": row.lead_id,
            "handoff_id": row.id,
            "kind": kind,
            "person": people[row.id],
            "status": "planned",
            "planned_at": now,
            "attempts": 0,
        }
        for row in leads
    ]
    if rows:
        connection.execute(insert(NOTICE).values(rows))
    return len(rows)

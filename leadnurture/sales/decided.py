"""Decides that somebody is to be told something about a handoff: one row a kind, however often asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, insert, select

from leadnurture.store.tables import metadata

NOTICE: Final = metadata.tables["notice"]
NoticeKind = Literal["handoff", "reminder", "escalation"]


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

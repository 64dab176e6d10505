"""Whether anybody is asleep: an active enrollment is due at some time, or waits for a mail on its way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, select

from leadnurture.store.tables import metadata

ENROLLMENT: Final = metadata.tables["enrollment"]
MESSAGE: Final = metadata.tables["message"]
SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Asleep:
    """An enrollment that nothing will ever wake: a fault of ours, and a lead that would be lost."""

    enrollment_id: int
    lead_id: int
    program: str
    step: str
    arrived_at: datetime


def asleep(connection: Connection) -> tuple[Asleep, ...]:
    """The first hundred that are active, never due, and wait for no mail; normally none. One statement."""
    on_its_way = exists().where(
        MESSAGE.c.id == ENROLLMENT.c.message_id,
        MESSAGE.c.step == ENROLLMENT.c.step,
        MESSAGE.c.visit == ENROLLMENT.c.visit,
        MESSAGE.c.status.in_(["planned", "sending"]),
    )
    columns = ("id", "lead_id", "program", "step", "arrived_at")
    question = (
        select(*(ENROLLMENT.c[name] for name in columns))
        .where(ENROLLMENT.c.status == "active", ENROLLMENT.c.due_at.is_(None), ~on_its_way)
        .order_by(ENROLLMENT.c.id)
        .limit(SHOWN)
    )
    return tuple(Asleep(*row) for row in connection.execute(question))

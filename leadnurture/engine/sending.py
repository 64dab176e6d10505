"""What became of a mail: its status moves forward, its enrollment begins to wait or takes its way out of
trouble.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from leadnurture.domain.vocabulary import MESSAGE_ORDER, MessageStatus, Why
from leadnurture.engine.sql import few, lock_leads_of, run, sql
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note, stage
from leadnurture.store.work import empty, work_settle

# Statuses with their place in the order, for "only forward" in SQL; failed and cancelled end it from planned
# and sending.
_PLACES: Final = " ".join(f"WHEN '{status}' THEN {place}" for place, status in enumerate(MESSAGE_ORDER))
PLACE_OF: Final = f"CASE {{}} {_PLACES} ELSE 99 END"


@dataclass(frozen=True, slots=True)
class Settled:
    """One outcome. `planned` is for an attempt that was proved unsent, with `send_at` for when to try again."""

    message_id: int
    status: MessageStatus
    why: Why | None = None
    trouble: str | None = None
    provider_id: str | None = None
    send_at: datetime | None = None


def settle_messages(connection: Connection, outcomes: Sequence[Settled], now: datetime) -> int:
    """Writes outcomes: statuses only move forward, a sent or unknown mail starts its wait, a failed one its `otherwise`.

    Six statements at most, whatever the number. Safe to repeat and out of order. The result is the number of messages that changed.
    """
    if not outcomes:
        return 0
    latest = {outcome.message_id: outcome for outcome in sorted(outcomes, key=lambda one: _place(one.status))}
    empty(connection, work_settle)
    stage(connection, work_settle, [_row(outcome) for outcome in latest.values()])
    lock_leads_of(connection, "SELECT m.lead_id FROM message m JOIN work_settle w ON w.message_id = m.id")
    changed = run(
        connection,
        f"""
        UPDATE message SET status = w.status, settled_at = :now, trouble = coalesce(w.trouble, message.trouble),
               provider_id = coalesce(w.provider_id, message.provider_id),
               lease_owner = NULL, lease_until = NULL,
               send_at = coalesce(w.send_at, message.send_at),
               sent_at = CASE WHEN w.status IN ('sent', 'deferred', 'delivered', 'bounced', 'complained', 'unknown')
                              THEN coalesce(message.sent_at, message.attempt_at, :now) ELSE message.sent_at END
          FROM work_settle w
         WHERE w.message_id = message.id AND {few(connection, "message.id", "SELECT message_id FROM work_settle")}
           AND (({PLACE_OF.format("w.status")} > {PLACE_OF.format("message.status")} AND w.status NOT IN ('failed', 'cancelled')
                 AND message.status NOT IN ('failed', 'cancelled'))
                OR (w.status IN ('failed', 'cancelled') AND message.status IN ('planned', 'sending', 'unknown'))
                OR (w.status = 'failed' AND message.status IN ('sent', 'deferred'))
                OR (w.status IN ('delivered', 'bounced', 'complained') AND message.status = 'failed' AND message.attempt > 0)
                OR (w.status = 'planned' AND message.status = 'sending')
                OR (w.status = 'planned' AND message.status = 'planned' AND w.send_at IS NOT NULL))""",
        now=now,
    )
    _begin_waits(connection, now)
    if any(outcome.status in {"failed", "cancelled"} for outcome in latest.values()):
        _take_trouble(connection, now)
    return changed


def settle_by_hand(
    database: Database, message_id: int, status: Literal["sent", "failed"], by: str, now: datetime
) -> None:
    """Settles a mail whose outcome is unknown, as a person found out; who did so is noted.

    NotFoundError for an unknown mail, InvalidInputError for one whose outcome is known.
    """

    def settle(connection: Connection) -> None:
        row = connection.execute(sql("SELECT status FROM message WHERE id = :id"), {"id": message_id}).first()
        if row is None:
            raise NotFoundError(f"There is no mail {message_id}; look for it in the outbox.")
        outcome = Settled(message_id, status, trouble=f"settled by {by}")
        if row.status != "unknown" or not settle_messages(connection, [outcome], now):
            raise InvalidInputError(f"Mail {message_id} is {row.status}; only an unknown one can be settled.")
        note(connection, by, "settled a mail", f"message {message_id}", now, detail=status)

    database.run(settle)


def _row(outcome: Settled) -> dict[str, object]:
    return {
        "message_id": outcome.message_id,
        "status": outcome.status,
        "why": outcome.why,
        "trouble": outcome.trouble,
        "provider_id": outcome.provider_id,
        "send_at": outcome.send_at,
    }


def _place(status: MessageStatus) -> float:
    """A provider that gave a mail up outweighs that it took it, and is outweighed by the reader's own server."""
    if status == "failed":
        return MESSAGE_ORDER.index("delivered") - 0.5
    return MESSAGE_ORDER.index(status) if status in MESSAGE_ORDER else 99


def _begin_waits(connection: Connection, now: datetime) -> None:
    """The silence of a step counts from its mail; a mail whose outcome is unknown may have arrived, so its
    wait begins too.
    """
    run(
        connection,
        f"""
        UPDATE enrollment SET deadline_at = coalesce(m.wait_until, :now), due_at = coalesce(m.wait_until, :now)
          {_still_at_its_step(connection)}
           AND m.status IN ('unknown', 'sent', 'deferred', 'delivered', 'bounced', 'complained')""",
        now=now,
    )


def _take_trouble(connection: Connection, now: datetime) -> None:
    run(
        connection,
        f"""
        UPDATE enrollment SET trouble = coalesce(w.why, m.status), due_at = :now
          {_still_at_its_step(connection)}
           AND m.status IN ('failed', 'cancelled')""",
        now=now,
    )


def _still_at_its_step(connection: Connection) -> str:
    """The FROM and WHERE of enrollments that stand at the step whose mail `m` was settled, and have not begun to wait."""
    settled = "work_settle w JOIN message m ON m.id = w.message_id"
    return f"""
          FROM {settled}
         WHERE enrollment.id = m.enrollment_id AND enrollment.message_id = m.id
           AND {few(connection, "enrollment.id", f"SELECT m.enrollment_id FROM {settled}")}
           AND enrollment.step = m.step AND enrollment.visit = m.visit AND enrollment.acted
           AND enrollment.deadline_at IS NULL AND enrollment.status IN ('active', 'paused')"""

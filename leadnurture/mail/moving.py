"""Gives a mail that cannot leave now its new time: after a hold or pause, at an opening, in the next window.

One idea to hold: only a missed window moves the nominal date (`planned_at`), and with it the wait. A hold, a
pause, a closed office and the pace move the sending alone, and of these only the pace moves the end of the
window: it makes no mail late.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    null,
    select,
    text,
    update,
)

from leadnurture.domain.company import WorkingHours
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Step
from leadnurture.domain.timing import Hour, Wait
from leadnurture.engine.calendar import (
    day_begins,
    local_day,
    next_hour,
    next_opening,
    same_hour_next_working_day,
    window_close,
    working_day_from,
)
from leadnurture.store import stage
from leadnurture.store.instants import DAY, Instant
from leadnurture.store.tables import CalendarDay
from leadnurture.store.work import empty, work_claim, work_missed

GIVES_UP: Final = timedelta(days=30)
HALF_DAY: Final = DAY // 2
MOVED: Final = ("held", "missed", "closed", "paced")
Expression = ColumnElement[Any]
days: Final = CalendarDay.__table__
NOW: Final = bindparam("now", type_=Instant())


def move(
    connection: Connection, definitions: Definitions, verdicts: Mapping[str, Sequence[int]], now: datetime
) -> int:
    """Moves the held, missed, closed and paced mails of `work_claim`; after a month the pace gives one up.

    At most twelve statements, whatever the number. The result is the number of mails that moved.
    """
    if not any(verdicts.get(verdict) for verdict in MOVED):
        return 0
    if verdicts.get("missed"):
        _find_windows(connection, definitions)
    for statement in _STATEMENTS:
        connection.execute(statement, {"now": now})
    return connection.execute(
        text("""
            UPDATE message SET send_at = w.send_at, planned_at = w.planned_at, late_at = w.late_at,
                   wait_until = w.wait_until, lease_owner = NULL, lease_until = NULL
              FROM work_claim w
             WHERE w.message_id = message.id AND w.is_mine
               AND w.verdict IN ('held', 'missed', 'closed', 'paced')""")
    ).rowcount


def _find_windows(connection: Connection, definitions: Definitions) -> None:
    """Says of each mail that missed its window when its step has the next, and what its silence counts in."""
    rows = connection.execute(
        text("""
            SELECT m.id, m.program, m.step FROM message m JOIN work_claim w ON w.message_id = m.id
             WHERE w.is_mine AND w.verdict = 'missed'""")
    )
    steps = {(program.name, step.name): step for program in definitions.programs for step in program.steps}
    hours = definitions.company.hours
    windows = [{"message_id": row.id, **_window(steps.get((row.program, row.step)), hours)} for row in rows]
    empty(connection, work_missed)
    stage(connection, work_missed, windows)
    connection.execute(
        text("""
            UPDATE work_claim SET weekday = s.weekday, minute = s.minute, counts = s.counts
              FROM work_missed s WHERE s.message_id = work_claim.message_id""")
    )


def _window(step: Step | None, hours: WorkingHours) -> dict[str, object]:
    """When a step has its windows; one without an hour, or that is gone, has them whenever work opens."""
    after = step.after if step is not None else None
    counts = None
    if isinstance(after, Wait):
        counts = "hours" if after.duration.is_absolute else "days"
    at = step.at if step is not None else None
    if not isinstance(at, Hour):
        return {"weekday": None, "minute": None, "counts": counts}
    return {
        "weekday": at.weekday,
        "minute": hours.opens if at.minute is None else at.minute,
        "counts": counts,
    }


def _missed() -> list[Update]:
    """The next window of the step: its date, the hour it may leave, its end, the wait that moves along."""
    w = work_claim
    zone: Expression = w.c.zone
    weekday: Any = w.c.weekday  # columns where the calendar takes numbers
    minute: Any = w.c.minute
    hour = case(
        (weekday.is_(None), next_hour(zone, NOW, None, minute)), else_=next_hour(zone, NOW, weekday, minute)
    )
    planned = case((minute.is_(None), next_opening(zone, NOW)), else_=hour)
    shift = cast(planned, BigInteger) - cast(w.c.planned_at, BigInteger)
    working = case((minute.is_(None), w.c.planned_at), else_=working_day_from(zone, w.c.planned_at, minute))
    shifted = cast(w.c.wait_until, BigInteger) + w.c.shift
    # Days end at a local midnight, also across a change of the clock.
    midnight = day_begins(zone, local_day(zone, shifted + HALF_DAY))
    waits = case((w.c.counts == "days", midnight), (w.c.counts == "hours", shifted), else_=w.c.wait_until)
    missed = update(w).where(w.c.verdict == "missed")
    return [
        missed.values(shift=shift, planned_at=planned),
        missed.values(send_at=next_opening(zone, working)),
        missed.values(late_at=window_close(zone, w.c.send_at), wait_until=waits),
    ]


def _others() -> list[Update]:
    """The end of a hold or a pause; the next opening; the next working day at the same hour."""
    w = work_claim
    zone: Expression = w.c.zone
    # Beyond the calendar: asked again tomorrow, when it reaches further.
    tomorrow = cast(NOW, BigInteger) + DAY
    today = (
        select(days.c.begins_at)
        .where(days.c.zone == zone, days.c.begins_at <= NOW, days.c.ends_at > NOW)
        .correlate(w)
        .scalar_subquery()
    )
    since = case((w.c.send_at >= today, w.c.send_at), else_=NOW)
    next_day = func.coalesce(same_hour_next_working_day(zone, since), tomorrow)
    later = cast(next_day, BigInteger) - cast(w.c.send_at, BigInteger)
    late = case((w.c.late_at.is_(None), null()), else_=cast(w.c.late_at, BigInteger) + later)
    month = int(GIVES_UP.total_seconds()) * 1_000_000
    tired = cast(w.c.send_at, BigInteger) > cast(w.c.planned_at, BigInteger) + month
    return [
        update(w).where(w.c.verdict == "held").values(send_at=w.c.held_until),
        update(w)
        .where(w.c.verdict == "closed")
        .values(send_at=func.coalesce(next_opening(zone, NOW), tomorrow)),
        update(w).where(w.c.verdict == "paced").values(send_at=next_day, late_at=late),
        update(w).where(and_(w.c.verdict == "paced", tired)).values(verdict="given up"),
    ]


_STATEMENTS: Final = (*_missed(), *_others())

"""Takes planned messages to send: reserves them by a lease, then judges and claims them under the locks of their leads.

One idea to hold: what is true at the planning may be false now. Everything that forbids a mail is asked again in the
transaction that claims it, after the lead is locked, so nothing is claimed once an unsubscribe has committed (I4) and no
prospect's mail reaches somebody who has become a client meanwhile (I3). Every step is one statement, whatever the number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    null,
    select,
    text,
    update,
)

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.timing import Hour, Wait
from leadnurture.domain.vocabulary import GONE_STATUSES, SESSION_KINDS
from leadnurture.engine import Settled, current_definitions, lock_leads, settle_messages
from leadnurture.engine.calendar import (
    day_begins,
    local_day,
    next_hour,
    next_opening,
    same_hour_next_working_day,
    window_close,
    working_day_from,
)
from leadnurture.mail.freeze import Freezer, Frozen
from leadnurture.store import stage
from leadnurture.store.instants import DAY, Instant, to_micros
from leadnurture.store.tables import CalendarDay, Lead, Message
from leadnurture.store.work import work_claim, work_frozen, work_missed, work_pick

GIVES_UP: Final = timedelta(days=30)
HALF_DAY: Final = DAY // 2
Expression = ColumnElement[Any]
messages: Final = Message.__table__  # type: ignore[attr-defined] # SQLModel's tables have it
leads: Final = Lead.__table__  # type: ignore[attr-defined] # as above
days: Final = CalendarDay.__table__  # type: ignore[attr-defined] # as above
NOW: Final = bindparam("now", type_=Instant())
# What a claim may say, and what then becomes of the message.
MOVED: Final = ("held", "missed", "closed", "paced")
_GONE: Final = ", ".join(f"'{status}'" for status in GONE_STATUSES)
_SESSIONS: Final = ", ".join(f"'{kind}'" for kind in sorted(SESSION_KINDS))


class Pick(NamedTuple):
    """A message that is reserved."""

    message_id: int
    lead_id: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim did. Only `mails` may be sent; they are `sending` once the transaction has committed."""

    mails: tuple[Frozen, ...] = ()
    refused: int = 0
    moved: int = 0


# --- reserving -------------------------------------------------------------------------------------------------------


def reserve(
    connection: Connection, owner: str, now: datetime, machine_now: datetime, until: datetime, limit: int
) -> list[Pick]:
    """Reserves due messages for a worker, those that wait longest first. One statement; a crash gives them back at `until`.

    Leads at whom a look is due, and enrollments that are woken, come first to the look and the wave: exit, goal and `on`
    are judged there before any mail of theirs leaves.
    """
    skip = "" if connection.dialect.name == "sqlite" else "FOR UPDATE OF m SKIP LOCKED"
    rows = connection.execute(
        text(f"""
            WITH picked AS (
                SELECT m.id
                  FROM message m JOIN lead l ON l.id = m.lead_id JOIN enrollment e ON e.id = m.enrollment_id
                 WHERE m.status = 'planned' AND m.send_at <= :now AND (m.lease_until IS NULL OR m.lease_until <= :machine_now)
                   AND (l.look_at IS NULL OR l.look_at > :now)
                   AND e.status <> 'paused' AND (e.due_at IS NULL OR e.due_at > :now)
                 ORDER BY m.send_at, m.id LIMIT :limit {skip})
            UPDATE message SET lease_owner = :owner, lease_until = :until WHERE id IN (SELECT id FROM picked)
            RETURNING id, lead_id, send_at"""),  # noqa: S608 - our own words
        {
            "now": to_micros(now),
            "machine_now": to_micros(machine_now),
            "until": to_micros(until),
            "owner": owner,
            "limit": limit,
        },
    )
    return [Pick(row.id, row.lead_id) for row in sorted(rows, key=lambda row: (row.send_at, row.id))]


def release(connection: Connection, owner: str) -> None:
    """Gives back what a worker reserved and did not claim."""
    connection.execute(
        text(
            "UPDATE message SET lease_owner = NULL, lease_until = NULL WHERE status = 'planned' AND lease_owner = :owner"
        ),
        {"owner": owner},
    )


def next_sending(
    connection: Connection, now: datetime, machine_now: datetime | None = None
) -> datetime | None:
    """When the next mail may leave that waits for nothing but its time. Writes nothing.

    Mails that rest until an instant of the machine's clock (after a 429) are left out until then, if that clock is given.
    """
    resting = "" if machine_now is None else "AND (m.lease_until IS NULL OR m.lease_until <= :machine_now)"
    found = connection.execute(
        text(f"""
            SELECT m.send_at FROM message m JOIN lead l ON l.id = m.lead_id JOIN enrollment e ON e.id = m.enrollment_id
             WHERE m.status = 'planned' {resting} AND (l.look_at IS NULL OR l.look_at > :now)
               AND e.status <> 'paused' AND (e.due_at IS NULL OR e.due_at > :now)
             ORDER BY m.send_at LIMIT 1""").columns(send_at=Instant()),  # noqa: S608 - our own words
        {"now": to_micros(now)} | ({} if machine_now is None else {"machine_now": to_micros(machine_now)}),
    )
    return found.scalar()


# --- claiming --------------------------------------------------------------------------------------------------------


def claim(
    connection: Connection,
    owner: str,
    picks: Sequence[Pick],
    freezer: Freezer,
    now: datetime,
    until: datetime,
) -> Claimed:
    """Judges reserved messages and claims those that may leave. A constant number of statements."""
    lock_leads(connection, sorted({pick.lead_id for pick in picks}))
    definitions = current_definitions(connection)
    connection.execute(delete(work_pick))
    stage(connection, work_pick, [{"message_id": pick.message_id, "lead_id": pick.lead_id} for pick in picks])
    _judge(connection, definitions, owner, now)
    _keep_the_pace(connection)
    verdicts = _mine(connection)
    moved = _move(connection, definitions, verdicts, now)
    refused = _refuse(connection, now)
    _wait_for_looks(connection)
    frozen = freezer.freeze(connection, definitions)
    _begin(connection, frozen, now, until)
    return Claimed(tuple(frozen), refused, moved)


def _judge(connection: Connection, definitions: Definitions, owner: str, now: datetime) -> None:
    """Fills `work_claim` with all that is due to the leads, since one mail takes the place of another; the first word wins."""
    connection.execute(delete(work_claim))
    rules, values = _rules(definitions)
    connection.execute(
        text(f"""
            INSERT INTO work_claim (message_id, lead_id, zone, is_mine, template, mails, paced_from, planned_at, send_at, late_at, wait_until,
                                    trouble, verdict)
            SELECT m.id, m.lead_id, l.zone, m.lease_owner = :owner AND p.message_id IS NOT NULL, t.hash, r.mails,
                   coalesce(f.begins_at, :now - r.days * {DAY}), m.planned_at, m.send_at, m.late_at, m.wait_until, s.reason,
                   CASE WHEN e.status NOT IN ('active', 'paused') THEN 'ended'
                        WHEN e.status = 'paused' OR e.due_at <= :now OR l.look_at <= :now THEN 'waits'
                        WHEN m.track <> l.track THEN 'track'
                        WHEN s.email_key IS NOT NULL THEN 'suppressed'
                        WHEN m.needs_consent AND r.consent IS NOT NULL AND NOT EXISTS (
                             SELECT 1 FROM consent k WHERE k.lead_id = l.id AND k.purpose = r.consent
                                AND k.given_at <= :now AND k.withdrawn_at IS NULL) THEN 'consent'
                        WHEN t.hash IS NULL THEN 'template'
                        WHEN m.session IS NOT NULL AND n.starts_at IS NULL THEN 'called off'
                        WHEN c.kind IN ({_SESSIONS}) AND n.starts_at <= :now THEN 'over'
                        WHEN l.hold_until > :now THEN 'held'
                        WHEN m.late_at < :now AND m.late = 'next window' THEN 'missed'
                        WHEN m.late_at < :now THEN 'late'
                        WHEN d.opens_at IS NULL OR d.opens_at > :now OR d.closes_at <= :now THEN 'closed'
                        ELSE 'go' END
              FROM message m
              JOIN lead l ON l.id = m.lead_id
              JOIN enrollment e ON e.id = m.enrollment_id
              JOIN ({rules}) r ON r.track = l.track
              LEFT JOIN work_pick p ON p.message_id = m.id
              LEFT JOIN suppression s ON s.email_key = l.email_key
              LEFT JOIN content c ON c.name = m.content
              LEFT JOIN content_track t ON t.content = m.content AND t.track = m.track
              LEFT JOIN content_session n ON n.content = m.session_content AND n.name = m.session
              LEFT JOIN calendar_day d ON d.zone = l.zone AND d.begins_at <= :now AND d.ends_at > :now
              LEFT JOIN calendar_day f ON f.zone = l.zone AND f.day = d.day - r.days + 1
             WHERE m.status = 'planned' AND m.send_at <= :now AND m.lead_id IN (SELECT lead_id FROM work_pick)"""),  # noqa: S608 - our own words
        {"owner": owner, "now": to_micros(now), **values},
    )


def _rules(definitions: Definitions) -> tuple[str, dict[str, object]]:
    """Consent and pace of each track as rows."""
    rows, values = [], {}
    for number, agreement in enumerate(definitions.agreements):
        mails, span = agreement.pace or (None, 1)
        rows.append(
            f"SELECT CAST(:track_{number} AS VARCHAR) AS track, CAST(:consent_{number} AS VARCHAR) AS consent, "
            f"CAST(:mails_{number} AS INTEGER) AS mails, CAST(:days_{number} AS INTEGER) AS days"
        )
        values |= {
            f"track_{number}": agreement.track,
            f"consent_{number}": agreement.consent,
            f"mails_{number}": mails,
            f"days_{number}": span,
        }
    return " UNION ALL ".join(rows), values


def _keep_the_pace(connection: Connection) -> None:
    """At most so many mails in any so many local days, over all programs of a lead; the higher priority goes first.

    Local days, not hours: else a weekly mail would be late by the seconds that the one before took, and an hour in spring.
    """
    connection.execute(
        text(f"""
            UPDATE work_claim SET verdict = 'paced'
              FROM (SELECT w.message_id, w.mails, coalesce(g.gone, 0) AS gone,
                           row_number() OVER (PARTITION BY w.lead_id ORDER BY m.priority DESC, m.planned_at, m.id) AS place
                      FROM work_claim w JOIN message m ON m.id = w.message_id
                      LEFT JOIN (SELECT x.lead_id, count(*) AS gone
                                   FROM (SELECT lead_id, max(paced_from) AS paced_from FROM work_claim GROUP BY lead_id) y
                                   JOIN message x ON x.lead_id = y.lead_id AND x.attempt_at >= y.paced_from AND x.status IN ({_GONE})
                                  GROUP BY x.lead_id) g ON g.lead_id = w.lead_id
                     WHERE w.verdict = 'go') q
             WHERE q.message_id = work_claim.message_id AND q.gone + q.place > q.mails""")  # noqa: S608 - our own words
    )


def _mine(connection: Connection) -> Mapping[str, list[int]]:
    """The messages of this worker by verdict."""
    found: dict[str, list[int]] = {}
    for row in connection.execute(
        text("SELECT message_id, verdict FROM work_claim WHERE is_mine ORDER BY message_id")
    ):
        found.setdefault(row.verdict, []).append(row.message_id)
    return found


# --- moving ----------------------------------------------------------------------------------------------------------


def _move(
    connection: Connection, definitions: Definitions, verdicts: Mapping[str, list[int]], now: datetime
) -> int:
    """Gives held, missed, closed and paced mails their new time; who was paced for a month is given up."""
    if not any(verdicts.get(verdict) for verdict in MOVED):
        return 0
    _missed(connection, definitions, verdicts.get("missed", []))
    for statement in _MOVES:
        connection.execute(statement, {"now": now})
    return connection.execute(
        text("""
            UPDATE message SET send_at = w.send_at, planned_at = w.planned_at, late_at = w.late_at, wait_until = w.wait_until,
                   lease_owner = NULL, lease_until = NULL
              FROM work_claim w
             WHERE w.message_id = message.id AND w.is_mine AND w.verdict IN ('held', 'missed', 'closed', 'paced')""")
    ).rowcount


def _missed(connection: Connection, definitions: Definitions, message_ids: Sequence[int]) -> None:
    """Says of each mail that missed its window when its step has the next one, and what its silence counts in."""
    connection.execute(delete(work_missed))
    if not message_ids:
        return
    rows = connection.execute(
        text(
            "SELECT m.id, m.program, m.step FROM message m JOIN work_claim w ON w.message_id = m.id WHERE w.is_mine AND w.verdict = 'missed'"
        )
    )
    hours = {
        (program.name, step.name): (step.at, step.after)
        for program in definitions.programs
        for step in program.steps
    }
    staged = []
    for row in rows:
        at, after = hours.get((row.program, row.step), (None, None))
        minute = None
        if isinstance(at, Hour):
            minute = definitions.company.hours.opens if at.minute is None else at.minute
        absolute = after.duration.is_absolute if isinstance(after, Wait) else None
        staged.append(
            {
                "message_id": row.id,
                "weekday": at.weekday if isinstance(at, Hour) else None,
                "minute": minute,
                "counts_days": absolute is False,
                "counts_hours": absolute is True,
            }
        )
    stage(connection, work_missed, staged)


def _moves() -> list[Any]:
    """The statements that fill the new times into `work_claim`; instants on the columns of a row, all zones at once."""
    w, missed = work_claim, work_missed
    zone = w.c.zone

    def of_step(column: Expression) -> Any:  # noqa: ANN401 - a column where the calendar takes a number
        return select(column).where(missed.c.message_id == w.c.message_id).scalar_subquery()

    weekday, minute = of_step(missed.c.weekday), of_step(missed.c.minute)
    hour = case(
        (weekday.is_(None), next_hour(zone, NOW, None, minute)), else_=next_hour(zone, NOW, weekday, minute)
    )
    # A mail without an hour of its own has its next window when work opens.
    dated = (
        update(w)
        .where(w.c.verdict == "missed")
        .values(planned_at=case((minute.is_(None), next_opening(zone, NOW)), else_=hour))
    )
    working = case((minute.is_(None), w.c.planned_at), else_=working_day_from(zone, w.c.planned_at, minute))
    planned_before = select(messages.c.planned_at).where(messages.c.id == w.c.message_id).scalar_subquery()
    shift = cast(w.c.planned_at, BigInteger) - cast(planned_before, BigInteger)
    shifted = cast(w.c.wait_until, BigInteger) + shift
    # Days end at a local midnight, also across a change of the clock.
    waits = case(
        (of_step(missed.c.counts_days), day_begins(zone, local_day(zone, shifted + HALF_DAY))),
        (of_step(missed.c.counts_hours), shifted),
        else_=w.c.wait_until,
    )
    window = (
        update(w).where(w.c.verdict == "missed").values(send_at=next_opening(zone, working), wait_until=waits)
    )
    closing = update(w).where(w.c.verdict == "missed").values(late_at=window_close(zone, w.c.send_at))
    hold = select(leads.c.hold_until).where(leads.c.id == w.c.lead_id).scalar_subquery()
    held = update(w).where(w.c.verdict == "held").values(send_at=hold)
    # Beyond the calendar: asked again tomorrow, when it reaches further.
    tomorrow = cast(NOW, BigInteger) + DAY
    closed = (
        update(w)
        .where(w.c.verdict == "closed")
        .values(send_at=func.coalesce(next_opening(zone, NOW), tomorrow))
    )
    today = (
        select(days.c.begins_at)
        .where(days.c.zone == zone, days.c.begins_at <= NOW, days.c.ends_at > NOW)
        .scalar_subquery()
    )
    since = case((w.c.send_at >= today, w.c.send_at), else_=NOW)
    next_day = func.coalesce(same_hour_next_working_day(zone, since), tomorrow)
    # The pace makes no mail late: its window moves along.
    late = case(
        (w.c.late_at.is_(None), null()),
        else_=cast(w.c.late_at, BigInteger) + cast(next_day, BigInteger) - cast(w.c.send_at, BigInteger),
    )
    paced = update(w).where(w.c.verdict == "paced").values(send_at=next_day, late_at=late)
    month = int(GIVES_UP.total_seconds()) * 1_000_000
    tired = update(w).where(
        and_(w.c.verdict == "paced", cast(w.c.send_at, BigInteger) > cast(w.c.planned_at, BigInteger) + month)
    )
    return [dated, window, closing, held, closed, paced, tired.values(verdict="given up")]


_MOVES: Final = _moves()


# --- refusing and beginning ------------------------------------------------------------------------------------------

# (why, trouble for people) of each verdict that ends a message.
ENDS: Final[Mapping[str, tuple[Any, str]]] = {
    "ended": ("cancelled", "the enrollment had ended"),
    "track": ("cancelled", "the lead has changed the track"),
    "suppressed": ("refused", "the address is suppressed"),
    "consent": ("refused", "there is no consent"),
    "template": ("failed", "there is no template for the track"),
    "called off": ("cancelled", "the session was cancelled"),
    "over": ("late", "the session had begun"),
    "late": ("late", "its window had closed"),
    "given up": ("held", "the pace left no room for it within 30 days"),
}


def _refuse(connection: Connection, now: datetime) -> int:
    """Ends what must not be sent; its enrollment takes `otherwise`."""
    rows = connection.execute(
        text("SELECT message_id, verdict, trouble FROM work_claim WHERE is_mine AND verdict <> 'go'")
    )
    ends = [(row, *ENDS[row.verdict]) for row in rows if row.verdict in ENDS]
    outcomes = [
        Settled(
            row.message_id,
            "failed" if why == "failed" else "cancelled",
            why,
            f"{said}: {row.trouble}" if row.trouble else said,
        )
        for row, why, said in ends
    ]
    return settle_messages(connection, outcomes, now)


def _wait_for_looks(connection: Connection) -> None:
    """Gives back what a look or a wave must judge first."""
    connection.execute(
        text("""
            UPDATE message SET lease_owner = NULL, lease_until = NULL
             WHERE id IN (SELECT message_id FROM work_claim WHERE is_mine AND verdict = 'waits')""")
    )


def _begin(connection: Connection, frozen: Sequence[Frozen], now: datetime, until: datetime) -> None:
    """Marks as `sending` what leaves next, with all that it is made of."""
    if not frozen:
        return
    connection.execute(delete(work_frozen))
    stage(
        connection,
        work_frozen,
        [{"message_id": one.message_id, "template": one.template, "facts": one.facts} for one in frozen],
    )
    connection.execute(
        text("""
            UPDATE message SET status = 'sending', attempt = attempt + 1, attempt_at = :now, lease_until = :until,
                   template = w.template, facts = w.facts
              FROM work_frozen w WHERE w.message_id = message.id"""),
        {"now": to_micros(now), "until": to_micros(until)},
    )

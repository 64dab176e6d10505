"""Takes planned messages to send: reserves them by a lease, then judges and claims them under locks.

One idea to hold: what is true at the planning may be false now. Everything that forbids a mail is asked again
in the transaction that claims it, after the lead is locked, so nothing is claimed once an unsubscribe has
committed (I4) and no prospect's mail reaches somebody who has become a client meanwhile (I3). Every step is
one statement, whatever the number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.language import readers
from leadnurture.domain.vocabulary import GONE_STATUSES, SESSION_KINDS
from leadnurture.engine import (
    Settled,
    about_unwanted,
    current_definitions,
    few,
    lock_leads,
    settle_messages,
)
from leadnurture.mail.freeze import Freezer, Frozen
from leadnurture.mail.moving import move
from leadnurture.store import stage
from leadnurture.store.instants import DAY, Instant, to_micros
from leadnurture.store.tables import Message
from leadnurture.store.work import empty, work_claim, work_frozen, work_pick

messages: Final = Message.__table__
_GONE: Final = ", ".join(f"'{status}'" for status in GONE_STATUSES)
MONTH: Final = 30
"""Days of a month, as in a pace."""
# Unsubscribed, at whichever address, and no server or reader has ever refused a mail of ours.
_MERELY_LEFT: Final = """coalesce(s.reason, 'unsubscribed') = 'unsubscribed'
                         AND NOT EXISTS (SELECT 1 FROM reaction b
                                          WHERE b.lead_id = l.id AND b.kind IN ('bounced', 'complained'))
                         AND NOT EXISTS (SELECT 1 FROM lead_key b
                                           JOIN suppression v ON v.email_key = b.key
                                          WHERE b.lead_id = l.id AND b.system = 'email'
                                            AND v.reason NOT IN ('unsubscribed', 'bounced'))"""
_SESSIONS: Final = ", ".join(f"'{kind}'" for kind in sorted(SESSION_KINDS))


HELD_UNTIL: Final = """
    CASE WHEN v.paused_until > coalesce(l.hold_until, 0) THEN v.paused_until ELSE l.hold_until END"""
"""The later of two ends: of the hold that a person of ours laid, and of the pause that the lead asked for."""
IS_UNWANTED: Final = about_unwanted("l.id", "m.content", "m.session_content")
"""The lead wants none of the topics that the mail is about."""
OWES_NO_ANSWER: Final = (
    "NOT EXISTS (SELECT 1 FROM reply u WHERE u.lead_id = m.lead_id AND u.sorted_at IS NULL)"
)
"""No reply of the lead waits for somebody to sort it."""
MAY_LEAVE: Final = f"""(l.look_at IS NULL OR l.look_at > :now)
                   AND (e.id IS NULL OR (e.status <> 'paused' AND (e.due_at IS NULL OR e.due_at > :now)))
                   AND (m.is_service OR {OWES_NO_ANSWER})"""
"""Nothing is due at the lead `l` and the enrollment `e` of a mail `m` that must be judged before it; a mail
about a seat has no enrollment.
"""
WANTS_NO_MAIL: Final = """EXISTS (SELECT 1 FROM lead_key a JOIN suppression u ON u.email_key = a.key
                               WHERE a.lead_id = m.lead_id AND a.system = 'email'
                                 AND u.reason <> 'bounced')"""
"""He has unsubscribed at another address of his."""


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


# --- reserving -----------------------------------------------------------------------------------------


def reserve(
    connection: Connection, owner: str, now: datetime, machine_now: datetime, until: datetime, limit: int
) -> list[Pick]:
    """Reserves due messages for a worker, those that wait longest first.

    One statement; a crash gives them back at `until`.

    Leads at whom a look is due, and enrollments that are woken, come first to the look and the wave: exit,
    goal and `on` are judged there before any mail of theirs leaves. To whom somebody owes an answer nothing
    leaves but what answers him.
    """
    skip = "" if connection.dialect.name == "sqlite" else "FOR UPDATE OF m SKIP LOCKED"
    rows = connection.execute(
        text(f"""
            WITH picked AS (
                SELECT m.id
                  FROM message m
                  JOIN lead l ON l.id = m.lead_id LEFT JOIN enrollment e ON e.id = m.enrollment_id
                 WHERE m.status = 'planned' AND m.send_at <= :now
                   AND (m.lease_until IS NULL OR m.lease_until <= :machine_now)
                   AND {MAY_LEAVE}
                 ORDER BY m.send_at, m.id LIMIT :limit {skip})
            UPDATE message SET lease_owner = :owner, lease_until = :until WHERE id IN (SELECT id FROM picked)
            RETURNING send_at, id, lead_id"""),  # noqa: S608 - our own words
        {
            "now": to_micros(now),
            "machine_now": to_micros(machine_now),
            "until": to_micros(until),
            "owner": owner,
            "limit": limit,
        },
    )
    return [Pick(message_id, lead_id) for _, message_id, lead_id in sorted(map(tuple, rows))]


def release(connection: Connection, owner: str, picks: Sequence[Pick]) -> None:
    """Gives back what a worker reserved and did not claim. Looks at these alone, however many are planned."""
    _stage_picks(connection, picks)
    connection.execute(
        text(
            "UPDATE message SET lease_owner = NULL, lease_until = NULL"
            " WHERE id IN (SELECT message_id FROM work_pick) AND status = 'planned' AND lease_owner = :owner"
        ),
        {"owner": owner},
    )


def _stage_picks(connection: Connection, picks: Sequence[Pick]) -> None:
    empty(connection, work_pick)
    stage(connection, work_pick, [{"message_id": pick.message_id, "lead_id": pick.lead_id} for pick in picks])


def next_sending(
    connection: Connection, now: datetime, machine_now: datetime | None = None
) -> datetime | None:
    """When the next mail may leave that waits for nothing but its time. Writes nothing.

    Mails that rest until an instant of the machine's clock (after a 429) are left out until then, if that
    clock is given.
    """
    resting = "" if machine_now is None else "AND (m.lease_until IS NULL OR m.lease_until <= :machine_now)"
    found = connection.execute(
        text(f"""
            SELECT m.send_at
              FROM message m JOIN lead l ON l.id = m.lead_id LEFT JOIN enrollment e ON e.id = m.enrollment_id
             WHERE m.status = 'planned' {resting} AND {MAY_LEAVE}
             ORDER BY m.send_at LIMIT 1""").columns(send_at=Instant()),  # noqa: S608 - our own words
        {"now": to_micros(now)} | ({} if machine_now is None else {"machine_now": to_micros(machine_now)}),
    )
    return found.scalar()


# --- claiming ------------------------------------------------------------------------------------------


def claim(
    connection: Connection,
    owner: str,
    picks: Sequence[Pick],
    freezer: Freezer,
    now: datetime,
    until: datetime,
) -> Claimed:
    """Judges reserved messages and claims those that may leave. A constant number of statements."""
    lock_leads(connection, sorted({pick.lead_id for pick in picks}), may_be_gone=True)
    definitions = current_definitions(connection)
    _stage_picks(connection, picks)
    _judge(connection, definitions, owner, now)
    _keep_the_pace(connection)
    verdicts = _mine(connection)
    moved = move(connection, definitions, verdicts, now)
    refused = _refuse(connection, now)
    _wait_for_looks(connection)
    frozen = freezer.freeze(connection, definitions, now)
    _begin(connection, frozen, now, until)
    return Claimed(tuple(frozen), refused, moved)


def _judge(connection: Connection, definitions: Definitions, owner: str, now: datetime) -> None:
    """Fills `work_claim` with all that is due to the leads: one mail takes the place of another."""
    empty(connection, work_claim)
    # `|| ''` keeps PostgreSQL from the index of all that is planned, SQLite from that of a track's leads.
    rules, values = _rules(definitions)
    locale, languages = _locale(definitions)
    connection.execute(
        text(f"""
            INSERT INTO work_claim (message_id, lead_id, zone, is_mine, template, locale, mails, paced_from,
                                    own_mails, own_paced_from, held_until,
                                    planned_at, send_at, late_at, wait_until, trouble, verdict)
            SELECT m.id, m.lead_id, l.zone, m.lease_owner = :owner AND p.message_id IS NOT NULL,
                   coalesce(t.hash, o.hash), CASE WHEN t.hash IS NULL THEN :first_locale ELSE t.locale END,
                   r.mails,
                   coalesce(f.begins_at, :now - r.days * {DAY}), v.mails,
                   coalesce(b.begins_at, :now - {MONTH} * {DAY}), {HELD_UNTIL},
                   m.planned_at, m.send_at, m.late_at, m.wait_until, s.reason,
                   CASE WHEN e.status NOT IN ('active', 'paused') THEN 'ended'
                        WHEN e.status = 'paused' OR e.due_at <= :now OR l.look_at <= :now THEN 'waits'
                        WHEN NOT (m.is_service OR {OWES_NO_ANSWER}) THEN 'waits'
                        WHEN m.track <> l.track THEN 'track'
                        WHEN (s.email_key IS NOT NULL OR {WANTS_NO_MAIL})
                             AND NOT (m.is_service AND {_MERELY_LEFT}) THEN 'suppressed'
                        WHEN m.needs_consent AND r.consent IS NOT NULL AND NOT EXISTS (
                             SELECT 1 FROM consent k WHERE k.lead_id = l.id AND k.purpose = r.consent
                                AND k.given_at <= :now AND k.withdrawn_at IS NULL) THEN 'consent'
                        WHEN {IS_UNWANTED} AND NOT m.is_service THEN 'unwanted'
                        WHEN t.hash IS NULL AND o.hash IS NULL THEN 'template'
                        WHEN m.session IS NOT NULL AND n.starts_at IS NULL
                             AND m.content <> 'seat-cancelled' THEN 'called off'
                        WHEN c.kind IN ({_SESSIONS}) AND n.starts_at <= :now THEN 'over'
                        WHEN {HELD_UNTIL} > :now AND NOT m.is_service THEN 'held'
                        WHEN m.late_at < :now AND m.late = 'next window' THEN 'missed'
                        WHEN m.late_at < :now THEN 'late'
                        WHEN (d.opens_at IS NULL OR d.opens_at > :now OR d.closes_at <= :now)
                             AND NOT m.is_service THEN 'closed'
                        ELSE 'go' END
              FROM message m
              JOIN lead l ON l.id = m.lead_id
              LEFT JOIN enrollment e ON e.id = m.enrollment_id
              JOIN ({rules}) r ON r.track = l.track || ''
              LEFT JOIN work_pick p ON p.message_id = m.id
              LEFT JOIN suppression s ON s.email_key = l.email_key
              LEFT JOIN preference v ON v.lead_id = l.id
              LEFT JOIN content c ON c.name = m.content
              LEFT JOIN content_track o ON o.content = m.content AND o.track = m.track AND o.locale = ''
              LEFT JOIN content_track t ON t.content = m.content AND t.track = m.track AND t.locale = {locale}
              LEFT JOIN content_session n ON n.content = m.session_content AND n.name = m.session
              LEFT JOIN calendar_day d ON d.zone = l.zone AND d.begins_at <= :now AND d.ends_at > :now
              LEFT JOIN calendar_day f ON f.zone = l.zone AND f.day = d.day - r.days + 1
              LEFT JOIN calendar_day b
                     ON b.zone = l.zone AND b.day = d.day - {MONTH} + 1 AND v.mails IS NOT NULL
             WHERE m.status || '' = 'planned' AND m.send_at <= :now
               AND m.lead_id IN (SELECT lead_id FROM work_pick)
               AND {few(connection, "m.lead_id", "SELECT lead_id FROM work_pick")}"""),  # noqa: S608 - our own words
        {"owner": owner, "now": to_micros(now), **values, **languages},
    )


def _locale(definitions: Definitions) -> tuple[str, dict[str, object]]:
    """The locale that a lead reads beside the first one, else NULL; the templates of the first have none."""
    first, *others = definitions.company.locales
    values: dict[str, object] = {"first_locale": first}
    if not others:
        return "NULL", values
    told = "lower(replace(trim(l.language), '_', '-')) || '-'"
    cases: list[str] = []
    for number, (beginning, locale) in enumerate(readers([first, *others])):
        values |= {
            f"begins_{number}": f"{beginning}%",
            f"locale_{number}": None if locale == first else locale,
        }
        cases.append(f"WHEN {told} LIKE :begins_{number} THEN CAST(:locale_{number} AS VARCHAR)")
    return f"CASE {' '.join(cases)} END", values


def _rules(definitions: Definitions) -> tuple[str, dict[str, object]]:
    """Consent and pace of each track as rows."""
    rows: list[str] = []
    values: dict[str, object] = {}
    for number, agreement in enumerate(definitions.agreements):
        mails, span = agreement.pace or (None, 1)
        rows.append(
            f"SELECT CAST(:track_{number} AS VARCHAR) AS track, "
            f"CAST(:consent_{number} AS VARCHAR) AS consent, "
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
    """At most so many mails in any so many local days, over all programs; the higher priority goes first.

    Two such limits hold, that of the agreement and the lead's own. What answers him neither waits nor counts.

    Local days, not hours: else a weekly mail would be late by the seconds that the one before took, and an
    hour in spring.
    """
    connection.execute(
        text(f"""
            UPDATE work_claim SET verdict = 'paced'
              FROM (SELECT w.message_id, w.mails, coalesce(g.gone, 0) AS gone,
                           w.own_mails, coalesce(h.gone, 0) AS own_gone,
                           row_number() OVER (
                               PARTITION BY w.lead_id ORDER BY m.priority DESC, m.planned_at, m.id) AS place
                      FROM work_claim w JOIN message m ON m.id = w.message_id
                      LEFT JOIN ({_gone_since(connection, "paced_from", "mails")}) g ON g.lead_id = w.lead_id
                      LEFT JOIN ({_gone_since(connection, "own_paced_from", "own_mails")}) h
                             ON h.lead_id = w.lead_id
                     WHERE w.verdict = 'go' AND NOT m.is_service) q
             WHERE q.message_id = work_claim.message_id
               AND (q.gone + q.place > q.mails OR q.own_gone + q.place > q.own_mails)""")  # noqa: S608 - our own words
    )


def _gone_since(connection: Connection, begin: str, limit: str) -> str:
    """How many mails left to each lead since the beginning of a limit's days, where there is that limit."""
    return f"""
        SELECT x.lead_id, count(*) AS gone
          FROM (SELECT lead_id, max({begin}) AS since_at
                  FROM work_claim WHERE {limit} IS NOT NULL GROUP BY lead_id) y
          JOIN message x ON x.lead_id = y.lead_id AND x.attempt_at >= y.since_at
           AND x.status IN ({_GONE}) AND NOT x.is_service
           AND {few(connection, "x.lead_id", "SELECT lead_id FROM work_claim")}
         GROUP BY x.lead_id"""  # noqa: S608 - our own words


def _mine(connection: Connection) -> Mapping[str, list[int]]:
    """The messages of this worker by verdict."""
    found: dict[str, list[int]] = {}
    for row in connection.execute(
        text("SELECT message_id, verdict FROM work_claim WHERE is_mine ORDER BY message_id")
    ):
        found.setdefault(row.verdict, []).append(row.message_id)
    return found


# --- refusing and beginning ----------------------------------------------------------------------------

# (why, trouble for people) of each verdict that ends a message.
ENDS: Final[Mapping[str, tuple[Any, str]]] = {
    "ended": ("cancelled", "the enrollment had ended"),
    "track": ("cancelled", "the lead has changed the track"),
    "suppressed": ("refused", "the address is suppressed"),
    "consent": ("refused", "there is no consent"),
    "unwanted": ("unwanted", "the lead wants no mail about its topics"),
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
    empty(connection, work_frozen)
    stage(
        connection,
        work_frozen,
        [{"message_id": one.message_id, "template": one.template, "facts": one.facts} for one in frozen],
    )
    connection.execute(
        text(f"""
            UPDATE message SET status = 'sending', attempt = attempt + 1, attempt_at = :now,
                   lease_until = :until, template = w.template, facts = w.facts
              FROM work_frozen w
             WHERE w.message_id = message.id
               AND {few(connection, "message.id", "SELECT message_id FROM work_frozen")}"""),  # noqa: S608 - our own words
        {"now": to_micros(now), "until": to_micros(until)},
    )

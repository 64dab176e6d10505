"""Plans the mails about a seat: confirmation, reminders, moved, cancelled; each once, in sets.

They belong to the webinar or event, not to a program: whoever has a seat gets them, wherever he took it. Two things plan them, each
in its own transaction: a seat that is taken or given back, and an `apply` that changes a session. What is planned says nothing yet:
date and sequence are read when the mail is claimed. So a mail that still waits tells of every change until then, and only who was
told already is told again.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import STANDING_KINDS, SeatMail
from leadnurture.engine.sql import lock_leads_of, run, sql
from leadnurture.store import stage
from leadnurture.store.instants import from_micros, to_micros
from leadnurture.store.work import empty, work_reminder, work_seat, work_session

KINDS: Final = ", ".join(f"'{kind}'" for kind in sorted(STANDING_KINDS))
# A webinar is read in the time of its reader, an event in that of its place.
ZONE: Final = "CASE c.kind WHEN 'event' THEN CAST(:zone AS VARCHAR) ELSE l.zone END"
COLUMNS: Final = (
    "lead_id, program, step, visit, track, content, session_content, session, is_service, occasion, seat_id, priority, needs_consent, "
    "status, planned_at, send_at, late_at, late, attempt"
)


def follow_seats(connection: Connection, definitions: Definitions, now: datetime) -> None:
    """What follows from the fresh rows of `work_reaction`: who took a seat gets mails, who gave it back no more.

    The caller holds the leads' locks. Eight statements at most, whatever the size.
    """
    told = f"SELECT DISTINCT lead_id, content, coalesce(session, '') AS session FROM work_reaction WHERE reaction_id IS NOT NULL AND kind IN ({KINDS})"
    if connection.dialect.name != "sqlite":  # a session that is being changed is read when that is done
        connection.execute(
            sql(f"""
                SELECT n.name FROM content_session n
                 WHERE EXISTS (SELECT 1 FROM ({told}) w WHERE w.content = n.content AND w.session = n.name)
                 ORDER BY n.content, n.name FOR SHARE""")
        )
    empty(connection, work_seat)
    seats = run(
        connection,
        f"""
        INSERT INTO work_seat (lead_id, content, session, track, zone, seat_id, starts_at, before_at, sequence)
        SELECT s.lead_id, s.content, s.session, l.track, {ZONE}, CASE s.kind WHEN 'registered' THEN s.seat_id END,
               n.starts_at, n.before_at, n.sequence
          FROM ({told}) w
          JOIN standing s ON s.lead_id = w.lead_id AND s.content = w.content AND s.session = w.session
          JOIN lead l ON l.id = s.lead_id
          JOIN content c ON c.name = s.content
          JOIN content_session n ON n.content = s.content AND n.name = s.session""",
        zone=definitions.company.zone,
    )
    if not seats:
        return
    _cancel(connection, "w.seat_id IS NULL", "there is no seat any more", now)
    _plan(connection, "seat-confirmation", "'confirmation'", "w.starts_at", "TRUE", now)
    _stage_reminders(connection, definitions)
    _remind(connection, now)


def announce(
    connection: Connection, definitions: Definitions, changed: Sequence[tuple[str, str]], now: datetime
) -> None:
    """Tells whoever has a seat that its session was moved or cancelled, and plans the reminders of all anew.

    For `apply`, after it has written the sessions. Fourteen statements at most, whatever the size.
    """
    # Sessions that are ahead are few, seats of all the years many: CROSS tells SQLite where to begin. The instant
    # stands in it, since it is asked with and without parameters.
    seated = f"""
        (SELECT n.*, s.lead_id, s.seat_id FROM content_session n CROSS JOIN standing s
          WHERE (n.starts_at > {to_micros(now)} OR n.before_at > {to_micros(now)}) AND s.content = n.content
            AND s.session = n.name AND s.kind = 'registered' AND s.seat_id IS NOT NULL) AS seat"""
    lock_leads_of(connection, f"SELECT lead_id FROM {seated}")
    empty(connection, work_seat, work_session)
    stage(
        connection, work_session, [{"content": content, "session": session} for content, session in changed]
    )
    seats = run(
        connection,
        f"""
        INSERT INTO work_seat (lead_id, content, session, track, zone, seat_id, starts_at, before_at, sequence, news)
        SELECT l.id, seat.content, seat.name, l.track, {ZONE}, seat.seat_id, seat.starts_at, seat.before_at, seat.sequence,
               CASE WHEN w.session IS NULL THEN NULL WHEN seat.starts_at IS NULL THEN 'cancelled' ELSE 'moved' END
          FROM {seated}
          JOIN lead l ON l.id = seat.lead_id
          JOIN content c ON c.name = seat.content
          LEFT JOIN work_session w ON w.content = seat.content AND w.session = seat.name""",
        zone=definitions.company.zone,
    )  # fmt: skip
    if not seats:
        return
    _stage_reminders(connection, definitions)
    _withdraw(connection, now)
    is_untold = """NOT EXISTS (SELECT 1 FROM message q WHERE q.seat_id = w.seat_id AND q.occasion IS NOT NULL AND q.status = 'planned'
                               AND q.content IN ('seat-confirmation', 'seat-moved'))"""
    moved = f"w.news = 'moved' AND {is_untold}"
    _plan(connection, "seat-moved", "'moved/' || CAST(w.sequence AS VARCHAR)", "w.starts_at", moved, now)
    cancelled = "w.news = 'cancelled'"
    _plan(
        connection,
        "seat-cancelled",
        "'cancelled/' || CAST(w.sequence AS VARCHAR)",
        "w.before_at",
        cancelled,
        now,
    )
    _remind(connection, now)


# --- planning ------------------------------------------------------------------------------------------


def _plan(
    connection: Connection, mail: SeatMail, occasion: str, ends: str, condition: str, now: datetime
) -> None:
    """A mail to whoever has one of the seats, due now, pointless after `ends`; at most one a seat and occasion."""
    run(
        connection,
        f"""
        INSERT INTO message ({COLUMNS})
        SELECT w.lead_id, '', '', 0, w.track, t.content, w.content, w.session, TRUE, {occasion}, w.seat_id, 0, FALSE,
               'planned', :now, :now, {ends}, 'skip', 0
          FROM work_seat w JOIN content_track t ON t.content = :mail AND t.track = w.track AND t.locale = ''
         WHERE w.seat_id IS NOT NULL AND {ends} > :now AND {condition}
            ON CONFLICT DO NOTHING""",
        mail=mail, now=now,
    )  # fmt: skip


def _remind(connection: Connection, now: datetime) -> None:
    """The reminders that lie ahead; one that a change of the file had taken away comes back with it."""
    run(
        connection,
        f"""
        INSERT INTO message ({COLUMNS})
        SELECT w.lead_id, '', '', 0, w.track, t.content, w.content, w.session, TRUE, r.occasion, w.seat_id, 0, FALSE,
               'planned', r.at, r.at, w.starts_at, 'skip', 0
          FROM work_seat w
          JOIN work_reminder r ON r.content = w.content AND r.session = w.session AND r.zone = w.zone
          JOIN content_track t ON t.content = 'seat-reminder' AND t.track = w.track AND t.locale = ''
         WHERE w.seat_id IS NOT NULL AND r.at > :now
            ON CONFLICT (seat_id, occasion) WHERE occasion IS NOT NULL
            DO UPDATE SET status = 'planned', settled_at = NULL, trouble = NULL, planned_at = excluded.planned_at,
                          send_at = excluded.send_at, late_at = excluded.late_at
             WHERE message.status = 'cancelled' AND message.attempt = 0""",
        now=now,
    )


def _stage_reminders(connection: Connection, definitions: Definitions) -> None:
    """Fills `work_reminder`: one row a session, zone and reminder, however many have seats."""
    rows = connection.execute(
        sql("""
            SELECT DISTINCT content, session, zone, starts_at, sequence FROM work_seat
             WHERE seat_id IS NOT NULL AND starts_at IS NOT NULL""")
    )
    spans = {content.name: content.remind for content in definitions.contents}
    empty(connection, work_reminder)
    stage(
        connection,
        work_reminder,
        [
            {
                "content": row.content,
                "session": row.session,
                "zone": row.zone,
                "occasion": f"reminder/{span}/{row.sequence}",
                "at": at,
            }
            for row in rows
            for span, at in _reminders(spans.get(row.content, ()), from_micros(row.starts_at), row.zone)
        ],
    )


def _reminders(
    spans: Sequence[Duration], starts_at: datetime, zone: str
) -> Iterator[tuple[Duration, datetime]]:
    """When each reminder leaves.

    A day before 15:00 is 15:00 of the day before, also where the clock is changed in between; an hour is an hour.
    """
    for span in spans:
        if span.is_absolute:
            yield span, starts_at - timedelta(microseconds=span.microseconds)
        else:
            local = starts_at.astimezone(ZoneInfo(zone))
            earlier = date.fromordinal(local.toordinal() - span.days)
            yield span, datetime.combine(earlier, local.time(), ZoneInfo(zone)).astimezone(starts_at.tzinfo)


# --- taking back ---------------------------------------------------------------------------------------


def _withdraw(connection: Connection, now: datetime) -> None:
    """Queued mails that a changed session makes wrong, and the new end of those that stay right."""
    _cancel(
        connection,
        "(w.starts_at IS NULL OR w.starts_at <= :now) AND m.content <> 'seat-cancelled'",
        "the session was cancelled",
        now,
    )
    _cancel(
        connection,
        "w.starts_at IS NOT NULL AND m.content = 'seat-cancelled'",
        "the session has a new date",
        now,
    )
    kept = """SELECT 1 FROM work_reminder r WHERE r.content = w.content AND r.session = w.session AND r.zone = w.zone
                 AND r.occasion = m.occasion"""
    _cancel(
        connection,
        f"m.content = 'seat-reminder' AND NOT EXISTS ({kept})",
        "it is reminded at another time",
        now,
    )
    run(
        connection,
        """
        UPDATE message SET late_at = w.starts_at
          FROM work_seat w
         WHERE w.seat_id = message.seat_id AND message.occasion IS NOT NULL AND w.starts_at IS NOT NULL AND message.status = 'planned'
           AND message.content IN ('seat-confirmation', 'seat-moved')""",
    )


def _cancel(connection: Connection, condition: str, why: str, now: datetime) -> None:
    """Takes back queued mails about the seats of `work_seat`."""
    run(
        connection,
        f"""
        UPDATE message SET status = 'cancelled', settled_at = :now, trouble = :why
         WHERE id IN (
            SELECT m.id FROM work_seat w
              JOIN message m ON m.lead_id = w.lead_id AND m.session_content = w.content AND m.session = w.session
             WHERE m.status = 'planned' AND m.occasion IS NOT NULL AND {condition})""",
        now=now, why=why,
    )  # fmt: skip

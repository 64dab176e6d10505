"""The floor: the state changes of drip-3 as hand-written bulk SQL over our own tables, whole sets, no chunks, no rules.

It is what somebody would write who knows that exactly this program runs, on an idle database, once. The engine's time is told
as a ratio to it.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from leadnurture.bench.course import CLICKED_AFTER, SETTLED_AFTER, SILENT_AFTER, STARTS
from leadnurture.store import Database
from leadnurture.store.instants import to_micros

WAIT: Final = timedelta(days=3)


def run_floor(database: Database) -> None:
    """Takes every lead of the database through drip-3: enrolled, mailed, clicked or silent, mailed again,
    done.
    """
    clicked, settled, silent = STARTS + CLICKED_AFTER, STARTS + SETTLED_AFTER, STARTS + SILENT_AFTER
    with database.read() as connection:
        version = connection.exec_driver_sql("SELECT id FROM program_version").scalar_one()
    _write(database, ENROLL, STARTS, version=version)
    _write(database, PLAN, STARTS, step="first", content="guide")
    _write(database, SENT, STARTS, step="first", until=to_micros(STARTS + WAIT))
    _write(database, REACT, clicked, settled=to_micros(settled), ends=to_micros(settled + timedelta(days=90)))
    _write(database, NOTE_WAYS_BACK, settled)
    _write(database, MOVE, settled, of="1", target="liked", rule="on clicked", chosen="lead_id % 10 < 3")
    _write(database, PLAN, settled, step="liked", content="case-study")
    _write(database, SENT, settled, step="liked", until=None)
    _write(database, FINISH, settled, step="liked")
    _write(database, MOVE, silent, of="2", target="silent", rule="then", chosen="step = 'first'")
    _write(database, PLAN, silent, step="silent", content="reminder")
    _write(database, SENT, silent, step="silent", until=None)
    _write(database, FINISH, silent, step="silent")


def _write(database: Database, statements: tuple[str, ...], now: datetime, **values: object) -> None:
    def write(connection: Connection) -> None:
        for statement in statements:
            filled = statement.replace(":now", str(to_micros(now)))
            for name, value in values.items():
                shown = (
                    "NULL"
                    if value is None
                    else str(value)
                    if name in {"version", "until", "settled", "ends", "of", "chosen"}
                    else f"'{value}'"
                )
                filled = filled.replace(f":{name}", shown)
            connection.exec_driver_sql(
                filled.replace("%", "%%") if connection.dialect.name == "postgresql" else filled
            )

    database.run(write)


ENROLL: Final = (
    """INSERT INTO enrollment (lead_id, program, version_id, status, step, visit, arrived_at, seen_reaction_id, acted, due_at, wave, started_at)
       SELECT id, 'drip-3', :version, 'active', 'first', 1, :now, 0, FALSE, :now, 0, :now FROM lead""",
    """INSERT INTO transition (enrollment_id, lead_id, at, to_step, visit, status, rule)
       SELECT id, lead_id, :now, step, 1, 'active', 'enter' FROM enrollment""",
    "UPDATE lead SET look_at = NULL",
)
PLAN: Final = (
    """INSERT INTO message (enrollment_id, lead_id, program, step, visit, track, content, session_content, priority, needs_consent, status,
                            planned_at, send_at, late_at, late, wait_until, attempt)
       SELECT id, lead_id, program, step, visit, 'prospects', :content, :content, 0, FALSE, 'planned', :now, :now, :now, 'next window', NULL, 0
         FROM enrollment WHERE status = 'active' AND step = :step AND NOT acted""",
    """UPDATE enrollment SET acted = TRUE, due_at = NULL, content = :content, session_content = :content,
              message_id = (SELECT m.id FROM message m WHERE m.enrollment_id = enrollment.id AND m.step = enrollment.step AND m.visit = enrollment.visit)
        WHERE status = 'active' AND step = :step AND NOT acted""",
)
SENT: Final = (
    "UPDATE message SET status = 'sent', sent_at = :now, settled_at = :now WHERE status = 'planned' AND step = :step",
    "UPDATE enrollment SET deadline_at = coalesce(:until, :now), due_at = coalesce(:until, :now) WHERE status = 'active' AND step = :step",
)
REACT: Final = (
    """INSERT INTO click (lead_id, message_id, program, step, content, at, recorded_at, source, key, natural_key, judgement, reason, judge_at)
       SELECT lead_id, id, program, step, content, :now, :now, 'floor', 'floor:' || id, 'clicked|' || id, 'undecided', 'not yet', :settled
         FROM message WHERE step = 'first' AND lead_id % 10 < 3""",
    """INSERT INTO reaction (lead_id, kind, content, message_id, at, recorded_at, counts_at, source, key, natural_key)
       SELECT lead_id, 'clicked', content, id, :now, :now, :settled, 'floor', 'floor:' || id, 'clicked|' || lead_id || '|' || id
         FROM message WHERE step = 'first' AND lead_id % 10 < 3""",
    """UPDATE click SET judgement = 'person', reason = 'nothing speaks for a machine', judge_at = NULL, judged_at = :settled,
              reaction_id = (SELECT r.id FROM reaction r WHERE r.key = click.key)""",
    """INSERT INTO point (lead_id, track, rule, subject, points, reaction_id, agreement, begins_at, ends_at)
       SELECT lead_id, 'prospects', 'clicked', content, 20, id, '2026-01-01', :settled, :ends FROM reaction""",
    """INSERT INTO interest (lead_id, topic, subject, reaction_id, begins_at, ends_at)
       SELECT lead_id, 'scaling', content, id, :settled, :ends FROM reaction""",
    "UPDATE message SET status = 'delivered', settled_at = :now WHERE step = 'first' AND lead_id % 10 < 3",
    """INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, saw, agreement)
       SELECT id, 'prospects', stage, 'engaged', :settled, 'engaged', 'engagement 20', '2026-01-01' FROM lead WHERE id % 10 < 3""",
    "UPDATE lead SET engagement = 20, score = 20, stage = 'engaged', stage_since = :settled, look_at = :ends WHERE id % 10 < 3",
)
NOTE_WAYS_BACK: Final = (
    """INSERT INTO way_back (enrollment_id, lead_id, reaction_id, left_at, step, visit, arrived_at, seen_reaction_id, acted, message_id,
                             content, session_content, deadline_at)
       SELECT e.id, e.lead_id, r.id, :now, e.step, e.visit, e.arrived_at, e.seen_reaction_id, e.acted, e.message_id, e.content,
              e.session_content, e.deadline_at
         FROM enrollment e JOIN reaction r ON r.lead_id = e.lead_id WHERE e.status = 'active' AND e.step = 'first'""",
)
# `+ 0`: else PostgreSQL looks for the greatest by going through all reactions backwards.
MOVE: Final = (
    """INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
       SELECT id, lead_id, :now, step, :target, 1, 'active', :rule FROM enrollment WHERE status = 'active' AND step = 'first' AND :chosen""",
    """UPDATE enrollment SET step = :target, visit = 1, arrived_at = :now, acted = FALSE, deadline_at = NULL, due_at = :now,
              seen_reaction_id = coalesce((SELECT max(r.id + 0) FROM reaction r WHERE r.lead_id = enrollment.lead_id), 0)
        WHERE status = 'active' AND step = 'first' AND :chosen""",
)
FINISH: Final = (
    """INSERT INTO transition (enrollment_id, lead_id, at, from_step, visit, status, rule)
       SELECT id, lead_id, :now, step, visit, 'completed', 'then' FROM enrollment WHERE status = 'active' AND step = :step""",
    "UPDATE enrollment SET status = 'completed', ended_at = :now, due_at = NULL, deadline_at = NULL WHERE status = 'active' AND step = :step",
)

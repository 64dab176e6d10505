"""Enrollments begin, end, pause and resume: whole sets that lie in a work table, each move with its reason.

The callers fill `work_enroll` or `work_end` while they hold the leads' locks; what happens to the rows is written once, here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from leadnurture.engine.sql import run, wake_leads_of
from leadnurture.store.instants import DAY, to_micros
from leadnurture.store.work import empty, work_end, work_move

# Who was enrolled just now: without a history yet.
BEGUN: Final = """
          FROM work_enroll w
          JOIN enrollment e ON e.lead_id = w.lead_id AND e.program = w.program AND e.status = 'active' AND e.started_at = :now
         WHERE NOT EXISTS (SELECT 1 FROM transition t WHERE t.enrollment_id = e.id)"""


def enroll(connection: Connection, now: datetime, at_once: int) -> int:
    """Enrolls the leads of `work_enroll`, best priority first, as many at once as the agreement allows; `is_free` rows always.

    Six statements. A lead that is already in the program is left where it stands. The result is the number enrolled.
    """
    # `|| ''` keeps PostgreSQL from the index of live enrollments, which begins with the program: it walks it whole for each lead
    # while it knows no numbers of a table that fills.
    begun = run(
        connection,
        """
        INSERT INTO enrollment (lead_id, program, version_id, status, step, visit, arrived_at, seen_reaction_id, acted,
                                due_at, wave, started_at)
        SELECT lead_id, program, version_id, 'active', step, 1, :now,
               coalesce((SELECT max(r.id + 0) FROM reaction r WHERE r.lead_id = ranked.lead_id), 0), FALSE, :now, 0, :now
          FROM (SELECT w.lead_id, w.program, w.version_id, w.step, w.is_free,
                       row_number() OVER (PARTITION BY w.lead_id ORDER BY w.is_free DESC, w.priority DESC, w.rank)
                       + (SELECT count(*) FROM enrollment e WHERE e.lead_id = w.lead_id AND e.status || '' IN ('active', 'paused')) AS place
                  FROM work_enroll w) AS ranked
         WHERE place <= :at_once OR is_free
            ON CONFLICT DO NOTHING""",
        now=now,
        at_once=at_once,
    )
    empty(connection, work_move)
    run(
        connection,
        f"""
        INSERT INTO work_move (program, from_step, to_step, rule, moves)
        SELECT w.program, '', w.step, w.rule, count(*) {BEGUN} GROUP BY w.program, w.step, w.rule""",
        now=now,
    )
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule, saw)
        SELECT e.id, e.lead_id, :now, NULL, e.step, 1, e.status, w.rule, w.saw {BEGUN}""",
        now=now,
    )
    count_moves(connection, now)
    return begun


def count_moves(connection: Connection, now: datetime) -> None:
    """Adds the moves of `work_move` to those of the day. Sorted, so that two workers never wait for each other."""
    run(
        connection,
        """
        INSERT INTO move_count (program, day, from_step, to_step, rule, moves)
        SELECT program, :day, from_step, to_step, rule, sum(moves) FROM work_move
         GROUP BY program, from_step, to_step, rule ORDER BY program, from_step, to_step, rule
            ON CONFLICT (program, day, from_step, to_step, rule) DO UPDATE SET moves = move_count.moves + excluded.moves""",
        day=to_micros(now) // DAY,
    )


def end_enrollments(connection: Connection, now: datetime) -> int:
    """Ends the enrollments of `work_end` with the status and rule that stand there, cancels their queued mails, wakes their leads.

    Four statements. Ending frees a place: the next look may enroll the lead elsewhere.
    """
    run(
        connection,
        """
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule, saw)
        SELECT e.id, e.lead_id, :now, e.step, NULL, e.visit, w.status, w.rule, w.saw
          FROM work_end w JOIN enrollment e ON e.id = w.enrollment_id
         WHERE e.status IN ('active', 'paused')""",
        now=now,
    )
    run(
        connection,
        """
        UPDATE message SET status = 'cancelled', settled_at = :now,
               trouble = (SELECT w.rule FROM work_end w WHERE w.enrollment_id = message.enrollment_id)
         WHERE status = 'planned' AND enrollment_id IN (SELECT enrollment_id FROM work_end)""",
        now=now,
    )
    ended = run(
        connection,
        """
        UPDATE enrollment SET status = w.status, ended_at = :now, due_at = NULL, deadline_at = NULL, pause = NULL, paused_at = NULL,
               goal_at = CASE WHEN w.status = 'reached' THEN coalesce(enrollment.goal_at, :now) ELSE enrollment.goal_at END
          FROM work_end w
         WHERE w.enrollment_id = enrollment.id AND enrollment.status IN ('active', 'paused')""",
        now=now,
    )
    wake_leads_of(connection, "SELECT lead_id FROM work_end", now)
    return ended


def end_all(connection: Connection, lead_id: int, rule: str, now: datetime) -> None:
    """Ends everything that a lead is enrolled in; who had reached the goal before has reached it."""
    empty(connection, work_end)
    run(
        connection,
        """
        INSERT INTO work_end (enrollment_id, lead_id, status, rule)
        SELECT id, lead_id, CASE WHEN goal_at IS NULL THEN 'exited' ELSE 'reached' END, :rule
          FROM enrollment WHERE lead_id = :lead AND status IN ('active', 'paused')""",
        lead=lead_id,
        rule=rule,
    )
    end_enrollments(connection, now)


def pause_enrollments(
    connection: Connection,
    leads: str,
    now: datetime,
    pause: str,
    rule: str,
    *,
    spared: Sequence[int] = (),
) -> int:
    """Pauses what the leads of a sub-select are enrolled in, but for the enrollments that are spared.

    Queued mails stay queued and are not claimed meanwhile.
    """
    others = f"AND id NOT IN ({', '.join(map(str, spared))})" if spared else ""
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
        SELECT e.id, e.lead_id, :now, e.step, e.step, e.visit, 'paused', :rule
          FROM enrollment e WHERE e.status = 'active' AND e.lead_id IN ({leads}) {others}""",
        now=now,
        rule=rule,
    )
    return run(
        connection,
        f"UPDATE enrollment SET status = 'paused', pause = :pause, paused_at = :now WHERE status = 'active' AND lead_id IN ({leads}) {others}",
        now=now,
        pause=pause,
    )


def resume_enrollments(connection: Connection, leads: str, now: datetime, pause: str, rule: str) -> int:
    """Resumes what was paused for that reason: back where they stood, every deadline later by the length of
    the pause. Due at once is what had only just arrived, whose mail failed meanwhile, or what was to be
    judged anew.
    """
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
        SELECT e.id, e.lead_id, :now, e.step, e.step, e.visit, 'active', :rule
          FROM enrollment e WHERE e.status = 'paused' AND e.pause = :pause AND e.lead_id IN ({leads})""",
        now=now,
        pause=pause,
        rule=rule,
    )
    return run(
        connection,
        f"""
        UPDATE enrollment SET status = 'active', pause = NULL, paused_at = NULL,
               due_at = CASE WHEN NOT acted OR trouble IS NOT NULL OR due_at = 0 THEN :now ELSE deadline_at + (:now - paused_at) END,
               deadline_at = deadline_at + (:now - paused_at)
         WHERE status = 'paused' AND pause = :pause AND lead_id IN ({leads})""",
        now=now,
        pause=pause,
    )

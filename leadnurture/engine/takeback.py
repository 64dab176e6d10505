"""Takes back what a machine's click had brought: points, interests, its branch while nothing was sent, a stage or an offer that
rested on it alone.

The lost clicks lie in `work_click` and their leads are locked. What is restored is judged again by the next look and wave, so
whatever else speaks for the same stage or way moves him on again. Facts and tags that an arm has set stay, and so does what a
person decided.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, literal, not_, null, select

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.clicks import TAKEN_BACK, WITHDRAWN
from leadnurture.domain.definitions import Definitions
from leadnurture.engine.conditions import Scope, compile_condition
from leadnurture.engine.look_statements import statements_of
from leadnurture.engine.moves import count_moves, resume_enrollments
from leadnurture.engine.reactions import earn_points, show_interest
from leadnurture.engine.sql import run, some, wake_leads_of
from leadnurture.store.tables import Handoff, Lead, StageChange
from leadnurture.store.work import (
    empty,
    work_back,
    work_click,
    work_lead,
    work_move,
    work_reaction,
    work_stage_back,
)

LOST: Final = "SELECT reaction_id FROM work_click WHERE is_lost"
LOSERS: Final = "SELECT lead_id FROM work_click WHERE is_lost"
CHANGED: Final = "SELECT lead_id FROM work_click WHERE is_lost OR is_again"
# Who had completed is in it again; paused like all others while the lead is offered to sales.
AGAIN: Final = """CASE WHEN {0}.status <> 'completed' THEN {0}.status
    WHEN EXISTS (SELECT 1 FROM handoff h WHERE h.lead_id = {0}.lead_id AND h.status = 'open') THEN 'paused' ELSE 'active' END"""
lead: Final = Lead.__table__
handoff: Final = Handoff.__table__
changes: Final = StageChange.__table__
STAGE_BACK: Final = ("lead_id", "handoff_id", "stage", "rule", "agreement")


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How many clicks count no more or again, what went back for it and what was withdrawn."""

    lost: int
    again: int
    went_back: int
    withdrawn: int


def take_back(connection: Connection, definitions: Definitions, now: datetime) -> TakenBack:
    """Lets clicks of persons count again, too. Two statements where no click changed sides; else a constant number, whatever theirs."""
    lost = run(connection, f"UPDATE reaction SET counts_at = NULL WHERE id IN ({LOST})")
    regained = "SELECT reaction_id FROM work_click WHERE is_again"
    again = run(connection, f"UPDATE reaction SET counts_at = :now WHERE id IN ({regained})", now=now)
    if not lost and not again:
        return TakenBack(0, 0, 0, 0)
    _count_anew(connection, definitions, now)
    went_back = _go_back(connection, now)
    _find_stages(connection, definitions, now)
    withdrawn = _step_back(connection, now)
    wake_leads_of(connection, CHANGED, now)
    return TakenBack(lost, again, went_back, withdrawn)


def _count_anew(connection: Connection, definitions: Definitions, now: datetime) -> None:
    """What the clicks on those contents earned goes, and goes to the first of them that counts now.

    So the points are those that the reactions give when they are counted anew (`rescoring`); likewise the interests.
    """
    about = """
        SELECT DISTINCT r.lead_id, r.content FROM work_click w JOIN reaction r ON r.id = w.reaction_id
         WHERE w.is_lost OR w.is_again"""
    run(
        connection,
        f"""
        DELETE FROM point WHERE lead_id IN ({CHANGED}) AND reaction_id IN (
            SELECT r.id FROM reaction r JOIN ({about}) AS a ON a.lead_id = r.lead_id AND coalesce(a.content, '') = coalesce(r.content, '')
             WHERE r.kind = 'clicked' AND r.id > (SELECT l.track_reaction_id FROM lead l WHERE l.id = r.lead_id))""",
    )
    run(
        connection,
        f"""
        DELETE FROM interest
         WHERE reaction_id IS NOT NULL AND lead_id IN ({CHANGED})
           AND EXISTS (SELECT 1 FROM ({about}) AS a WHERE a.lead_id = interest.lead_id AND a.content = interest.subject)""",
    )
    empty(connection, work_reaction)
    run(
        connection,
        f"""
        INSERT INTO work_reaction (position, lead_id, message_id, kind, content, session, argument, counts_at, reaction_id)
        SELECT r.id, r.lead_id, r.message_id, r.kind, r.content, r.session, r.argument, r.counts_at, r.id
          FROM reaction r JOIN ({about}) AS a ON a.lead_id = r.lead_id AND coalesce(a.content, '') = coalesce(r.content, '')
         WHERE r.counts_at IS NOT NULL""",
    )
    show_interest(connection, definitions)
    run(
        connection,
        """
        DELETE FROM work_reaction
         WHERE kind <> 'clicked'
            OR reaction_id <= (SELECT l.track_reaction_id FROM lead l WHERE l.id = work_reaction.lead_id)""",
    )
    earn_points(connection, definitions, now)
    _end_returned(connection)


def _end_returned(connection: Connection) -> None:
    """Ends what those clicks have just earned where a return came after them."""
    returned = """(SELECT min(h.decided_at) FROM handoff h WHERE h.lead_id = point.lead_id AND h.track = point.track
                      AND h.status = 'returned' AND h.decided_reaction_id >= point.reaction_id)"""
    run(
        connection,
        f"""
        UPDATE point SET ends_at = {returned}
         WHERE points > 0 AND lead_id IN (SELECT lead_id FROM work_reaction)
           AND reaction_id IN (SELECT reaction_id FROM work_reaction) AND (ends_at IS NULL OR ends_at > {returned})
           AND {returned} IS NOT NULL""",
    )


def _go_back(connection: Connection, now: datetime) -> int:
    """Enrollments stand again where the oldest lost click moved them from, unless a mail has left since."""
    empty(connection, work_back)
    found = run(
        connection,
        f"""
        INSERT INTO work_back (enrollment_id, lead_id, way_id)
        SELECT e.id, e.lead_id, min(b.id)
          FROM way_back b JOIN enrollment e ON e.id = b.enrollment_id
         WHERE b.lead_id IN ({LOSERS})
           AND (b.reaction_id IN ({LOST})
                OR (b.reaction_id IS NULL AND EXISTS (
                    SELECT 1 FROM work_click w WHERE w.is_lost AND w.lead_id = b.lead_id AND w.reaction_id > b.seen_reaction_id
                       AND w.counted_at <= b.left_at)))
           AND EXISTS (SELECT 1 FROM program_step s WHERE s.version_id = e.version_id AND s.name = b.step)
           AND (e.status IN ('active', 'paused') OR (e.status = 'completed' AND NOT EXISTS (
                SELECT 1 FROM enrollment o WHERE o.lead_id = e.lead_id AND o.status IN ('active', 'paused'))
                AND EXISTS (SELECT 1 FROM lead l WHERE l.id = e.lead_id AND l.stage IN ('new', 'engaged', 'qualified', 'handed_off'))))
           AND NOT EXISTS (SELECT 1 FROM message m
                WHERE m.enrollment_id = e.id AND m.status NOT IN ('planned', 'cancelled', 'failed') AND m.attempt_at >= b.left_at
                  AND NOT (m.step = b.step AND m.visit = b.visit))
           AND NOT EXISTS (SELECT 1 FROM handoff h
                WHERE h.enrollment_id = e.id AND h.opened_at >= b.left_at AND h.status IN ('accepted', 'returned'))
         GROUP BY e.id, e.lead_id""",
    )
    if not found:
        return 0
    pairs = "FROM work_back k JOIN way_back b ON b.id = k.way_id JOIN enrollment e ON e.id = k.enrollment_id"
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule, saw)
        SELECT e.id, e.lead_id, :now, e.step, b.step, b.visit, {AGAIN.format("e")}, :rule,
               (SELECT min(w.reason) FROM work_click w WHERE w.is_lost AND w.lead_id = e.lead_id)
          {pairs}""",
        now=now,
        rule=TAKEN_BACK,
    )
    empty(connection, work_move)
    run(
        connection,
        f"""
        INSERT INTO work_move (program, from_step, to_step, rule, moves)
        SELECT e.program, e.step, b.step, :rule, count(*) {pairs} GROUP BY e.program, e.step, b.step""",
        rule=TAKEN_BACK,
    )
    count_moves(connection, now)
    _restore(connection, now)
    return found


def _ask_no_more(connection: Connection, now: datetime) -> None:
    """What our people were asked or are to be told on the ways that were taken back: nothing waits for it."""
    back = "FROM work_back k JOIN way_back b ON b.id = k.way_id"
    run(
        connection,
        f"""
        UPDATE task SET status = 'withdrawn', closed_at = :now
         WHERE status = 'open' AND EXISTS (SELECT 1 {back} WHERE k.enrollment_id = task.enrollment_id
               AND task.opened_at >= b.left_at AND NOT (task.step = b.step AND task.visit = b.visit))""",
        now=now,
    )
    run(
        connection,
        f"""
        UPDATE notice SET status = 'cancelled'
         WHERE status = 'planned' AND kind = 'tell' AND EXISTS (SELECT 1 {back} WHERE k.lead_id = notice.lead_id
               AND notice.planned_at >= b.left_at AND notice.key LIKE CAST(k.enrollment_id AS VARCHAR) || '/%')""",
    )


def _restore(connection: Connection, now: datetime) -> None:
    _ask_no_more(connection, now)
    run(
        connection,
        """
        UPDATE message SET status = 'cancelled', settled_at = :now, trouble = :rule
         WHERE status = 'planned' AND enrollment_id IN (SELECT enrollment_id FROM work_back)""",
        now=now,
        rule=TAKEN_BACK,
    )
    # The mail for which he waited there, if he had moved on before it left.
    run(
        connection,
        """
        UPDATE message SET status = 'planned', settled_at = NULL, trouble = NULL
          FROM work_back k JOIN way_back b ON b.id = k.way_id
         WHERE message.id = b.message_id AND message.step = b.step AND message.visit = b.visit AND message.status = 'cancelled'
           AND message.attempt_at IS NULL AND b.acted""",
    )
    # Due at its deadline, if that is past now; a `look` wakes it where anything else speaks for going on.
    run(
        connection,
        f"""
        UPDATE enrollment SET pause = CASE WHEN {AGAIN.format("enrollment")} = 'active' THEN NULL ELSE coalesce(enrollment.pause, 'handoff') END,
               paused_at = CASE WHEN {AGAIN.format("enrollment")} = 'active' THEN NULL ELSE coalesce(enrollment.paused_at, :now) END,
               step = b.step, visit = b.visit, arrived_at = b.arrived_at, seen_reaction_id = b.seen_reaction_id,
               acted = b.acted, trouble = NULL, why = b.why, message_id = b.message_id, content = b.content,
               session_content = b.session_content, session = b.session, deadline_at = b.deadline_at,
               due_at = CASE WHEN b.acted THEN b.deadline_at ELSE :now END,
               status = {AGAIN.format("enrollment")}, ended_at = NULL
          FROM work_back k JOIN way_back b ON b.id = k.way_id
         WHERE enrollment.id = k.enrollment_id""",
        now=now,
    )
    run(
        connection,
        """
        DELETE FROM way_back WHERE id IN (
            SELECT b.id FROM work_back k JOIN way_back b ON b.enrollment_id = k.enrollment_id WHERE b.id >= k.way_id)""",
    )


def _find_stages(connection: Connection, definitions: Definitions, now: datetime) -> None:
    """Offers of steps that the way back has left, offers over a threshold that is crossed no more, and who is not even engaged."""
    empty(connection, work_stage_back)
    run(
        connection,
        """
        INSERT INTO work_stage_back (lead_id, handoff_id, rule, agreement)
        SELECT h.lead_id, h.id, :rule, h.agreement
          FROM handoff h JOIN work_back k ON k.enrollment_id = h.enrollment_id WHERE h.status = 'open'""",
        rule=WITHDRAWN,
    )
    for agreement in definitions.agreements:
        empty(connection, work_lead)
        losers = run(
            connection,
            f"INSERT INTO work_lead (lead_id, zone) SELECT id, zone FROM lead WHERE track || '' = :track AND id IN ({LOSERS})",
            track=agreement.track,
        )
        if losers:
            for statement in statements_of(definitions, agreement.track).score:
                connection.execute(statement, {"now": now})
            _find_offers(connection, agreement, now)
            _find_engaged(connection, agreement, now)


def _find_offers(connection: Connection, agreement: Agreement, now: datetime) -> None:
    """Open offers that the threshold made since the click counted, and would not make now."""
    when = agreement.stage("qualified").when
    if when is None:
        return
    over = (
        select(handoff.c.lead_id, handoff.c.id, null(), literal(WITHDRAWN), handoff.c.agreement)
        .join_from(handoff, lead, lead.c.id == handoff.c.lead_id)
        .where(
            lead.c.id.in_(select(work_lead.c.lead_id)),
            handoff.c.status == "open",
            handoff.c.enrollment_id.is_(None),
            handoff.c.track == agreement.track,
            _lost_before(handoff.c.opened_at),
            not_(compile_condition(when, Scope(lead=lead))),
        )
    )
    connection.execute(work_stage_back.insert().from_select(STAGE_BACK, over), {"now": now})


def _find_engaged(connection: Connection, agreement: Agreement, now: datetime) -> None:
    """Who became engaged since the click counted, was nothing more, and would not become it now."""
    when = agreement.stage("engaged").when
    if when is None:
        return
    became = some(
        changes.c.lead_id == lead.c.id,
        changes.c.from_stage == "new",
        changes.c.to_stage == "engaged",
        changes.c.at == lead.c.stage_since,
        of=[changes],
    )
    version = agreement.version.isoformat()
    engaged = select(lead.c.id, null(), literal("new"), literal(TAKEN_BACK), literal(version)).where(
        lead.c.id.in_(select(work_lead.c.lead_id)),
        lead.c.stage == "engaged",
        became,
        _lost_before(lead.c.stage_since),
        not_(compile_condition(when, Scope(lead=lead))),
    )
    connection.execute(work_stage_back.insert().from_select(STAGE_BACK, engaged), {"now": now})


def _lost_before(at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a click that counts no more counted at that instant."""
    lost = (work_click.c.lead_id == lead.c.id, work_click.c.is_lost, work_click.c.counted_at <= at)
    return some(*lost, of=[work_click])


def _step_back(connection: Connection, now: datetime) -> int:
    """Stages as before, offers withdrawn: the result is how many of these.

    Sales is told where it was told of the offer; what was paused goes on, later by the length of the pause.
    """
    run(
        connection,
        """
        UPDATE work_stage_back SET stage = coalesce(
            (SELECT s.from_stage FROM stage_change s
              WHERE s.lead_id = work_stage_back.lead_id AND s.to_stage IN ('engaged', 'qualified', 'handed_off')
                AND s.at >= (SELECT min(w.counted_at) FROM work_click w WHERE w.is_lost AND w.lead_id = work_stage_back.lead_id)
              ORDER BY s.id LIMIT 1),
            (SELECT h.stage_before FROM handoff h WHERE h.id = work_stage_back.handoff_id))
         WHERE handoff_id IS NOT NULL""",
    )
    run(
        connection,
        """
        INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, agreement)
        SELECT l.id, l.track, l.stage, w.stage, :now, w.rule, w.agreement
          FROM work_stage_back w JOIN lead l ON l.id = w.lead_id""",
        now=now,
    )
    run(
        connection,
        "UPDATE lead SET stage = w.stage, stage_since = :now FROM work_stage_back w WHERE w.lead_id = lead.id",
        now=now,
    )
    withdrawn = run(
        connection,
        """
        UPDATE handoff SET status = 'withdrawn', decided_at = :now, note = :said, is_told = FALSE
         WHERE id IN (SELECT handoff_id FROM work_stage_back)""",
        now=now,
        said="A machine clicked, not the lead.",
    )
    if withdrawn:
        _call_off(connection, now)
    return withdrawn


def _call_off(connection: Connection, now: datetime) -> None:
    run(
        connection,
        """
        INSERT INTO notice (lead_id, handoff_id, kind, person, status, planned_at, attempts)
        SELECT n.lead_id, n.handoff_id, 'withdrawn', n.person, 'planned', :now, 0
          FROM notice n JOIN work_stage_back w ON w.handoff_id = n.handoff_id
         WHERE n.kind = 'handoff' AND (n.status = 'sent' OR n.attempts > 0)
            ON CONFLICT DO NOTHING""",
        now=now,
    )
    offered = "SELECT lead_id FROM work_stage_back WHERE handoff_id IS NOT NULL"
    resume_enrollments(connection, offered, now, "handoff", WITHDRAWN)

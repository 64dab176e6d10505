"""Offers leads to sales and takes the answer: at most one open handoff per lead, the first decision wins.

The engine opens the row; who gets it, and the notice to him, are decided by `sales`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select

from leadnurture.domain.agreement import Agreement, ReturnReason
from leadnurture.domain.definitions import Definitions
from leadnurture.engine.current import current_definitions, first_step
from leadnurture.engine.known import learn_facts, lock_accounts
from leadnurture.engine.moves import end_all, enroll, pause_enrollments, resume_enrollments
from leadnurture.engine.sql import lock_lead_of, lock_leads, run
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database
from leadnurture.store import note as audit
from leadnurture.store.tables import Handoff
from leadnurture.store.work import empty, work_enroll

handoffs = Handoff.__table__


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision came to; `was_open` is False when somebody had decided before."""

    status: str
    was_open: bool
    by: str | None


def open_handoffs(connection: Connection, agreement: Agreement, now: datetime) -> int:
    """Opens a handoff for each lead of `work_handoff` that has none, and pauses what it is enrolled in.

    Five statements. Whoever is already with sales is left alone.
    """
    opened = run(
        connection,
        """
        INSERT INTO handoff (lead_id, track, status, opened_at, reason, wanted, enrollment_id, agreement, fit, engagement, score,
                             stage_before, is_told)
        SELECT l.id, l.track, 'open', :now, w.reason, w.wanted, w.enrollment_id, :agreement, l.fit, l.engagement, l.score, l.stage, FALSE
          FROM work_handoff w JOIN lead l ON l.id = w.lead_id
         WHERE l.stage IN ('new', 'engaged', 'qualified')
            ON CONFLICT DO NOTHING""",
        now=now,
        agreement=agreement.version.isoformat(),
    )
    if not opened:
        return 0
    fresh = "SELECT h.lead_id FROM handoff h JOIN work_handoff w ON w.lead_id = h.lead_id WHERE h.status = 'open' AND h.opened_at = :now"
    run(
        connection,
        f"""
        INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, agreement)
        SELECT l.id, l.track, l.stage, 'handed_off', :now, h.reason, h.agreement
          FROM lead l JOIN handoff h ON h.lead_id = l.id AND h.status = 'open'
         WHERE l.stage <> 'handed_off' AND l.id IN ({fresh})""",
        now=now,
    )
    pause_enrollments(connection, fresh, now, "handoff", "handed off to sales")
    run(
        connection,
        f"""
        UPDATE lead SET stage = 'handed_off', stage_since = :now, look_at = :now WHERE id IN ({fresh})""",
        now=now,
    )
    return opened


def decide_handoff(  # noqa: PLR0913 - who decides what, why and when
    database: Database,
    handoff_id: int,
    decision: Literal["accepted", "returned"],
    by: str,
    now: datetime,
    *,
    reason: str | None = None,
    note: str | None = None,
    actor: str | None = None,
    told: Mapping[str, str] | None = None,
) -> Decided:
    """Sales accepts a lead, which ends its nurture, or returns it for a reason of the agreement, which recycles it.

    `actor` is who did it as the audit keeps it, where that says more than `by`; `told` are the facts that the
    reason asks for, as far as they are known.

    The first decision wins; safe to repeat. Raises NotFoundError for an unknown handoff, InvalidInputError for an unknown reason.
    """

    def decide(connection: Connection) -> Decided:
        lock = lock_accounts if told else lock_leads
        lead_id = lock_lead_of(connection, handoffs, handoff_id, lock)
        if lead_id is None:
            msg = f"There is no handoff {handoff_id}; open the list of handoffs and choose one."
            raise NotFoundError(msg)
        row = connection.execute(select(handoffs).where(handoffs.c.id == handoff_id)).one()
        if row.status != "open":
            return Decided(row.status, was_open=False, by=row.decided_by)
        definitions = current_definitions(connection)
        agreement = definitions.agreement(row.track)
        outcome = None if decision == "accepted" else _return_reason(agreement, reason)
        run(
            connection,
            """
            UPDATE handoff SET status = :status, decided_at = :now, decided_by = :by, return_reason = :reason, note = :note,
                   decided_reaction_id = coalesce((SELECT max(r.id + 0) FROM reaction r WHERE r.lead_id = handoff.lead_id), 0),
                   is_told = FALSE
             WHERE id = :id""",
            id=handoff_id, status=decision, by=by, reason=reason if outcome else None, note=note, now=now,
        )  # fmt: skip
        ask = outcome.ask if outcome else None
        learned = learn_facts(connection, lead_id, ask, told or {}, now) if ask else ()
        detail = ", ".join([f"handoff {handoff_id}", *([outcome.reason] if outcome else []), *learned])
        audit(connection, actor or by, f"handoff {decision}", f"lead {lead_id}", now, detail=detail)
        stage = "accepted" if outcome is None else "engaged"
        run(
            connection,
            """
            INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, agreement)
            SELECT id, track, stage, :stage, :now, :rule, :agreement FROM lead WHERE id = :lead""",
            lead=lead_id, stage=stage, now=now, agreement=row.agreement,
            rule=f"accepted by {by}" if outcome is None else f"returned by {by}: {outcome.reason}",
        )  # fmt: skip
        run(
            connection,
            "UPDATE lead SET stage = :stage, stage_since = :now, look_at = :now WHERE id = :lead",
            lead=lead_id,
            stage=stage,
            now=now,
        )
        if outcome is None:
            end_all(connection, lead_id, f"accepted by {by}", now)
        else:
            _recycle(connection, definitions, row.track, lead_id, outcome, now)
        return Decided(decision, was_open=True, by=by)

    return database.run(decide)


def _return_reason(agreement: Agreement, reason: str | None) -> ReturnReason:
    for known in agreement.returns:
        if known.reason == reason:
            return known
    reasons = ", ".join(known.reason for known in agreement.returns)
    msg = f"The agreement of {agreement.track} knows no reason {reason!r}; choose one of: {reasons}."
    raise InvalidInputError(msg)


def _recycle(
    connection: Connection,
    definitions: Definitions,
    track: str,
    lead_id: int,
    outcome: ReturnReason,
    now: datetime,
) -> None:
    """A return ends the living engagement points, so that only new behaviour crosses the threshold again."""
    run(
        connection,
        """
        UPDATE point SET ends_at = :now
         WHERE lead_id = :lead AND track = :track AND points > 0 AND (ends_at IS NULL OR ends_at > :now)""",
        lead=lead_id,
        track=track,
        now=now,
    )
    if outcome.go == "resume":
        resume_enrollments(
            connection, f"SELECT {lead_id}", now, "handoff", f"returned by sales: {outcome.reason}"
        )
        return
    end_all(connection, lead_id, f"returned by sales: {outcome.reason}", now)
    if outcome.program is None:
        return
    version_id, step = first_step(connection, outcome.program)
    empty(connection, work_enroll)
    run(
        connection,
        """
        INSERT INTO work_enroll (lead_id, program, version_id, step, priority, rank, rule, is_free)
        SELECT l.id, :program, :version, :step, 0, 0, :rule, TRUE FROM lead l
         WHERE l.id = :lead AND NOT EXISTS (SELECT 1 FROM suppression s WHERE s.email_key = l.email_key)
           AND (:consent = '' OR EXISTS (SELECT 1 FROM consent c
                 WHERE c.lead_id = l.id AND c.purpose = :consent AND c.withdrawn_at IS NULL))""",
        lead=lead_id, program=outcome.program, version=version_id, step=step, rule=f"returned by sales: {outcome.reason}",
        consent=consent_of(definitions, outcome.program),
    )  # fmt: skip
    enroll(connection, now, 0)


def consent_of(definitions: Definitions, program: str) -> str:
    """The purpose for which a lead must have consented to be in a program; empty when none is asked."""
    value = definitions.program(program)
    return (definitions.agreement(value.track).consent or "") if value.needs_consent else ""

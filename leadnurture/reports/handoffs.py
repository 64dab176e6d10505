"""What lies before sales: open handoffs, highest score first (D20), and leads that miss only a fact (D4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, select

from leadnurture import engine
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import NotFoundError
from leadnurture.profile import Evidence, evidence
from leadnurture.profile.telling import agreement_told, moment_told, span_told
from leadnurture.store.tables import metadata

HANDOFF: Final = metadata.tables["handoff"]
NOTICE: Final = metadata.tables["notice"]
ALMOST: Final = metadata.tables["almost_qualified"]
LEAD: Final = metadata.tables["lead"]
SHOWN: Final = 100
DECIDED_SINCE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sla:
    """What is left of the time in which sales owes an answer."""

    due_at: datetime
    tone: Literal["", "due", "over"]
    """`due` once the reminder is; `over` after the deadline."""
    left: str
    """`1 h 20 min left` or `30 min over`."""
    until: str
    """`until today, 13:00`, on the clock of whoever has the lead."""


@dataclass(frozen=True, slots=True)
class HandoffRow:
    """One handoff with all that helps to decide it."""

    id: int
    track: Track
    status: str
    evidence: Evidence
    score: int
    """As of the handoff, like the two below."""
    fit: int
    engagement: int
    reason: str
    agreement: str
    opened_at: datetime
    assigned_to: str | None
    """A person's id."""
    owner: str
    """That person's name; empty while nobody has it."""
    sla: Sla | None
    """None once it is decided, and without an agreed time."""
    told: tuple[tuple[str, str, datetime | None], ...]
    """(kind, name, when) of the notices so far."""
    decided_at: datetime | None
    decided_by: str | None
    return_reason: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class AlmostQualified:
    """A lead over the threshold of whom a fact is missing."""

    evidence: Evidence
    missing: tuple[str, ...]
    since_at: datetime


@dataclass(frozen=True, slots=True)
class Promise:
    """What the agreement of the track says about handoffs."""

    version: str
    agreed: tuple[tuple[str, str], ...]
    """(side, name)."""
    within: str
    remind: str
    escalate: str
    returns: tuple[str, ...]
    """The reasons for which a lead may be returned."""


@dataclass(frozen=True, slots=True)
class HandoffList:
    """The desk of sales."""

    track: str
    open: tuple[HandoffRow, ...]
    decided: tuple[HandoffRow, ...]
    """In the last 24 hours, newest first."""
    almost: tuple[AlmostQualified, ...]
    promise: Promise


def handoff_list(connection: Connection, track: Track, now: datetime, limit: int = SHOWN) -> HandoffList:
    """The handoffs of a track as they stand. Eleven statements and one a fit rule, whatever their number."""
    definitions = engine.current_definitions(connection)
    of_track = select(HANDOFF).where(HANDOFF.c.track == track)
    waiting = (
        of_track.where(HANDOFF.c.status == "open").order_by(HANDOFF.c.score.desc(), HANDOFF.c.id).limit(limit)
    )
    lately = (
        of_track.where(HANDOFF.c.decided_at > now - DECIDED_SINCE)
        .order_by(HANDOFF.c.decided_at.desc())
        .limit(limit)
    )
    rows, decided = connection.execute(waiting).all(), connection.execute(lately).all()
    missing = connection.execute(_almost(track, limit)).all()
    known = evidence(connection, {row.lead_id for row in (*rows, *decided, *missing)}, now)
    told = _told(connection, [row.id for row in (*rows, *decided)], definitions.company)
    return HandoffList(
        track=track,
        open=tuple(_row(row, known[row.lead_id], told, definitions, now) for row in rows),
        decided=tuple(_row(row, known[row.lead_id], told, definitions, now) for row in decided),
        almost=tuple(
            AlmostQualified(known[row.lead_id], tuple(row.missing.split(",")), row.since_at)
            for row in missing
        ),
        promise=_promise(definitions.agreement(track), definitions.company),
    )


def handoff(connection: Connection, handoff_id: int, now: datetime) -> HandoffRow:
    """One handoff; the evidence of a decided one is as of its opening. Raises NotFoundError."""
    row = connection.execute(select(HANDOFF).where(HANDOFF.c.id == handoff_id)).first()
    if row is None:
        raise NotFoundError(f"There is no handoff {handoff_id}; open the list of handoffs and choose one.")
    definitions = engine.current_definitions(connection)
    known = evidence(connection, [row.lead_id], now if row.status == "open" else row.opened_at)
    return _row(row, known[row.lead_id], _told(connection, [row.id], definitions.company), definitions, now)


def _almost(track: str, limit: int) -> Any:  # noqa: ANN401 - a select of many columns
    joined = select(ALMOST).join(LEAD, LEAD.c.id == engine.merely(ALMOST.c.lead_id))
    is_of_track = engine.merely(LEAD.c.track) == track
    return joined.where(is_of_track).order_by(LEAD.c.score.desc(), LEAD.c.id).limit(limit)


def _told(
    connection: Connection, handoff_ids: Sequence[int], company: Company
) -> Mapping[int, tuple[tuple[str, str, datetime | None], ...]]:
    question = select(NOTICE).where(NOTICE.c.handoff_id.in_(handoff_ids)).order_by(NOTICE.c.id)
    found: dict[int, tuple[tuple[str, str, datetime | None], ...]] = {}
    for row in connection.execute(question):
        found[row.handoff_id] = (
            *found.get(row.handoff_id, ()),
            (row.kind, _name(company, row.person), row.sent_at),
        )
    return found


def _row(
    row: Row[Any],
    known: Evidence,
    told: Mapping[int, tuple[tuple[str, str, datetime | None], ...]],
    definitions: Definitions,
    now: datetime,
) -> HandoffRow:
    return HandoffRow(
        id=row.id,
        track=row.track,
        status=row.status,
        evidence=known,
        score=row.score,
        fit=row.fit,
        engagement=row.engagement,
        reason=row.reason,
        agreement=agreement_told(row.agreement),
        opened_at=row.opened_at,
        assigned_to=row.assigned_to,
        owner=_name(definitions.company, row.assigned_to),
        sla=_sla(row, definitions.company, now) if row.status == "open" and row.due_at else None,
        told=told.get(row.id, ()),
        decided_at=row.decided_at,
        decided_by=_name(definitions.company, row.decided_by) or None,
        return_reason=row.return_reason,
        note=row.note,
    )


def _sla(row: Row[Any], company: Company, now: datetime) -> Sla:
    zone = next(
        (each.zone for each in company.people if each.id == row.assigned_to and each.zone), company.zone
    )
    moment = moment_told(row.due_at, zone, now)
    if row.due_at <= now:
        return Sla(row.due_at, "over", f"{span_told(now - row.due_at)} over", f"since {moment}")
    is_near = row.remind_at is not None and row.remind_at <= now
    return Sla(row.due_at, "due" if is_near else "", f"{span_told(row.due_at - now)} left", f"until {moment}")


def _promise(agreement: Agreement, company: Company) -> Promise:
    owed = agreement.stage("handed_off")
    return Promise(
        version=agreement_told(agreement.version.isoformat()),
        agreed=tuple((side, _name(company, person)) for side, person in agreement.agreed),
        within=str(owed.within or ""),
        remind=str(owed.remind or ""),
        escalate=_name(company, owed.escalate),
        returns=tuple(each.reason for each in agreement.returns),
    )


def _name(company: Company, person_id: str | None) -> str:
    return next((person.name for person in company.people if person.id == person_id), person_id or "")

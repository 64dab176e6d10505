"""Counts points anew from the reactions, and compares a changed agreement with the one in force.

One idea to hold: points are a function of the reactions, the returns and the agreement. `replayed` is that function as
one SELECT; `rescore` makes the rows equal to it, `compare_agreements` only asks what would become of the scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Subquery,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union_all,
    update,
)

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.condition import Condition
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import TRACKS, Track
from leadnurture.engine.conditions import NOW, Scope, compile_condition, living
from leadnurture.engine.current import current_definitions
from leadnurture.engine.reactions import POINT, point_rows
from leadnurture.engine.sql import least, lock_leads_of, one, run, some, sql
from leadnurture.store import Database
from leadnurture.store.tables import Handoff, Lead, Point, Reaction
from leadnurture.store.work import empty, work_lead, work_point

CHUNK: Final = 2_000
NEVER: Final[ColumnElement[int]] = literal_column("9223372036854775807")
lead: Final = Lead.__table__
point: Final = Point.__table__
reaction: Final = Reaction.__table__
handoff: Final = Handoff.__table__


@dataclass(frozen=True, slots=True)
class Rescored:
    """What counting anew came to."""

    leads: int = 0
    added: int = 0
    removed: int = 0

    def __add__(self, other: "Rescored") -> "Rescored":
        return Rescored(self.leads + other.leads, self.added + other.added, self.removed + other.removed)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A lead on whom two agreements disagree."""

    lead_id: int
    email: str
    stage: str
    score: int
    """By the agreement in force."""
    planned: int
    """By the planned one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a planned agreement would make of the leads of a track."""

    track: Track
    leads: int
    changed: int
    """Leads with another score."""
    threshold: str | None
    """As it is planned."""
    crossing: tuple[Crossing, ...]
    """Who would be over the threshold and is not by the agreement in force."""
    falling: tuple[Crossing, ...]
    """Who would not be over it any more."""


def replayed(agreement: Agreement, leads: FromClause | None = None) -> Subquery | None:
    """Every point that the reactions give by an agreement, as rows of `point`; None where it gives none.

    Of all leads of the track, or of those whose `lead_id` lies in a table. A return ends what was earned before it;
    what counted in an earlier stay on the track never counts again.
    """
    told = select(
        reaction.c.lead_id, reaction.c.id.label("reaction_id"), reaction.c.message_id, reaction.c.kind, reaction.c.content,
        reaction.c.argument, reaction.c.counts_at,
    ).join_from(reaction, lead, lead.c.id == reaction.c.lead_id).where(
        reaction.c.id > lead.c.track_reaction_id, reaction.c.counts_at.is_not(None)
    )  # fmt: skip
    if leads is not None:
        told = told.where(reaction.c.lead_id.in_(select(leads.c.lead_id)))
    source = told.subquery()
    rules = [select(point_rows(agreement, rule, source)) for rule in agreement.engagement]
    if not rules:
        return None
    rows = union_all(*rules).subquery()
    returned = one(
        func.min(handoff.c.decided_at),
        handoff.c.lead_id == rows.c.lead_id,
        handoff.c.track == rows.c.track,
        handoff.c.status == "returned",
        handoff.c.decided_reaction_id >= rows.c.reaction_id,
        of=[handoff],
    )
    end = least(func.coalesce(rows.c.ends_at, NEVER), func.coalesce(returned, NEVER))
    ends_at = case((rows.c.points > 0, func.nullif(end, NEVER)), else_=rows.c.ends_at)
    columns = [rows.c[name] for name in POINT[:-1]]
    return select(*columns, ends_at.label("ends_at")).where(not_(_had_before(rows))).subquery()


def _had_before(rows: FromClause) -> ColumnElement[bool]:
    """Whether the same counted in an earlier stay on the track."""
    earlier, now_at = point.alias(), lead.alias()
    return some(
        earlier.c.lead_id == rows.c.lead_id,
        earlier.c.track == rows.c.track,
        earlier.c.rule == rows.c.rule,
        earlier.c.subject == rows.c.subject,
        now_at.c.id == earlier.c.lead_id,
        earlier.c.reaction_id <= now_at.c.track_reaction_id,
        of=[earlier, now_at],
    )


# Counting anew


def rescore(
    database: Database,
    now: datetime,
    *,
    chunk: int = CHUNK,
    progress: Callable[[Rescored], None] = lambda _: None,
) -> Rescored:
    """Makes the points of every lead what the reactions give by the agreement in force; looks follow where they differ.

    Seven statements and one per chunk, a chunk a transaction. Safe to repeat: the second time changes nothing.
    """
    total = Rescored()
    for track in TRACKS:
        last = 0
        while True:
            done, last = database.run(lambda connection: _chunk(connection, track, last, chunk, now))  # noqa: B023 - run at once
            total += done
            progress(total)
            if done.leads < chunk:
                break
    return total


def _chunk(
    connection: Connection, track: Track, after: int, chunk: int, now: datetime
) -> tuple[Rescored, int]:
    definitions = current_definitions(connection)
    empty(connection, work_lead, work_point)
    leads = run(
        connection,
        "INSERT INTO work_lead (lead_id) SELECT id FROM lead WHERE track = :track AND id > :after ORDER BY id LIMIT :chunk_size",
        track=track, after=after, chunk_size=chunk,
    )  # fmt: skip
    if not leads or track not in {agreement.track for agreement in definitions.agreements}:
        return Rescored(leads), after
    lock_leads_of(connection, "SELECT lead_id FROM work_lead")
    rows = replayed(definitions.agreement(track), work_lead)
    if rows is not None:
        connection.execute(
            insert(work_point).from_select(POINT, select(*(rows.c[name] for name in POINT))), {"now": now}
        )
    connection.execute(_wake(track), {"now": now})
    removed = connection.execute(_remove(track)).rowcount
    added = connection.execute(_add()).rowcount
    last = connection.execute(sql("SELECT max(lead_id) FROM work_lead")).scalar_one()
    return Rescored(leads, added, removed), int(last)


def _same(left: FromClause, right: FromClause) -> list[ColumnElement[bool]]:
    """Whether two rows say the same; by which version of the agreement is not asked."""
    asked = ("lead_id", "track", "rule", "subject", "points", "reaction_id", "begins_at")
    ends = func.coalesce(left.c.ends_at, NEVER) == func.coalesce(right.c.ends_at, NEVER)
    return [*(left.c[name] == right.c[name] for name in asked), ends]


def _wrong(track: Track) -> list[ColumnElement[bool]]:
    """Which points of this stay on the track the reactions do not give."""
    stay = lead.alias()
    this_stay = some(
        stay.c.id == point.c.lead_id,
        func.coalesce(point.c.reaction_id, NEVER) > stay.c.track_reaction_id,
        of=[stay],
    )
    return [point.c.track == track, this_stay, not_(some(*_same(work_point, point), of=[work_point]))]


def _lacking() -> ColumnElement[bool]:
    known = point.alias()
    return not_(some(*_same(known, work_point), of=[known]))


def _wake(track: Track) -> Any:  # noqa: ANN401 - an Update
    """A look follows at whoever has other points than before."""
    differs = or_(
        some(point.c.lead_id == lead.c.id, *_wrong(track), of=[point]),
        some(work_point.c.lead_id == lead.c.id, _lacking(), of=[work_point]),
    )
    later = or_(lead.c.look_at.is_(None), lead.c.look_at > NOW)
    chosen = lead.c.id.in_(select(work_lead.c.lead_id))
    return update(lead).where(chosen, later, differs).values(look_at=NOW)


def _remove(track: Track) -> Any:  # noqa: ANN401 - a Delete
    return delete(point).where(point.c.lead_id.in_(select(work_lead.c.lead_id)), *_wrong(track))


def _add() -> Any:  # noqa: ANN401 - an Insert
    missing = select(*(work_point.c[name] for name in POINT)).where(_lacking())
    return insert(point).from_select(POINT, missing)


# Comparing


def compare_agreements(connection: Connection, planned: Definitions, now: datetime) -> tuple[Comparison, ...]:
    """What the planned agreements would make of every lead, beside those in force. Writes nothing.

    Two statements a track, whatever the number of leads.
    """
    in_force = current_definitions(connection)
    tracks = {agreement.track for agreement in in_force.agreements}
    return tuple(
        _compared(connection, in_force.agreement(agreement.track), agreement, now)
        for agreement in planned.agreements
        if agreement.track in tracks
    )


def _compared(connection: Connection, in_force: Agreement, planned: Agreement, now: datetime) -> Comparison:
    then = _as_planned(planned)
    old, new = _is_over(in_force, Scope(lead=lead)), _is_over(planned, Scope(lead=then))
    both = select(lead.c.id).join_from(lead, then, then.c.id == lead.c.id)
    counts = connection.execute(
        both.with_only_columns(func.count(), func.sum(case((lead.c.score != then.c.score, 1), else_=0))),
        {"now": now},
    ).one()
    columns = (lead.c.id, lead.c.email, lead.c.stage, lead.c.score, then.c.score, new)
    nurtured = lead.c.stage.in_(["new", "engaged", "qualified", "handed_off"])
    differing = and_(nurtured, old != new).self_group()
    rows = connection.execute(
        both.with_only_columns(*columns).where(differing).order_by(then.c.score.desc(), lead.c.id),
        {"now": now},
    )
    crossing: list[Crossing] = []
    falling: list[Crossing] = []
    for *told, is_over in rows:
        (crossing if is_over else falling).append(Crossing(*told))
    threshold = planned.stage("qualified").when
    return Comparison(
        planned.track, counts[0], int(counts[1] or 0), None if threshold is None else str(threshold),
        tuple(crossing), tuple(falling),
    )  # fmt: skip


def _as_planned(agreement: Agreement) -> Subquery:
    """The leads of a track with the figures that an agreement would give them."""
    rows, scope = replayed(agreement), Scope(lead=lead)
    engagement: ColumnElement[Any] = literal(0)
    if rows is not None:
        summed = (
            select(rows.c.lead_id, func.sum(rows.c.points).label("points"))
            .where(*living(rows))
            .group_by(rows.c.lead_id)
            .subquery()
        )
        engagement = func.coalesce(summed.c.points, 0)
    fit: ColumnElement[Any] = literal(0)
    for rule in agreement.fit:
        fit = fit + case((compile_condition(rule.condition, scope), rule.points), else_=0)
    kept = [column for column in lead.c if column.name not in {"fit", "engagement", "score"}]
    found = select(*kept, fit.label("fit"), engagement.label("engagement")).where(
        lead.c.track == agreement.track
    )
    if rows is not None:
        found = found.select_from(lead.outerjoin(summed, summed.c.lead_id == lead.c.id))
    figures, formula = found.subquery(), agreement.score
    score = figures.c.fit * formula.fit + figures.c.engagement * formula.engagement + formula.constant
    return select(*figures.c, score.label("score")).subquery()


def _is_over(agreement: Agreement, scope: Scope) -> ColumnElement[bool]:
    when: Condition | None = agreement.stage("qualified").when
    return false() if when is None else compile_condition(when, scope)

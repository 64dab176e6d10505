"""Gives every open handoff to one person, by the routing that the track agreed, and decides its notice.

One idea to hold: whose lead it becomes is thought out on a read-only connection; the write transaction only
locks the leads, drops what was assigned or decided meanwhile, and stores the rest. A handoff is a mail to a
person, so a loop over handoffs is as cheap as the mails that follow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Cast, Connection, Row, Select, Update, case, cast, func, literal, select, update

from leadnurture import engine
from leadnurture.domain.agreement import Agreement, Route
from leadnurture.domain.company import Company, Person
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import TRACKS
from leadnurture.sales import hours, people
from leadnurture.sales.decided import HANDOFF, IS_OPEN, decide_notices
from leadnurture.store import Database
from leadnurture.store.instants import Instant
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
CHUNK: Final = 200
# How many of a person's newest handoffs are remembered: more than anybody stands in one list.
REMEMBERED: Final = 30


@dataclass(frozen=True, slots=True)
class Assignment:
    """What was decided about one handoff."""

    handoff_id: int
    lead_id: int
    person: str
    due_at: datetime | None
    remind_at: datetime | None


def assign_handoffs(database: Database, now: datetime) -> int:
    """How many handoffs got their person, deadline and notice. Safe to repeat; leaves none without a person.

    A dozen statements a chunk of 200 and one a condition of the routing, whatever the handoffs.
    """
    assigned = 0
    while True:
        with database.read() as connection:
            assignments = _think(connection, now)
        if not assignments:
            return assigned
        assigned += database.run(partial(_store, assignments=assignments, now=now))


def _think(connection: Connection, now: datetime) -> tuple[Assignment, ...]:
    handoffs = connection.execute(_unassigned()).all()
    if not handoffs:
        return ()
    definitions = engine.current_definitions(connection)
    routes = _routes(connection, handoffs, definitions, now)
    newest_first = _remembered(connection)
    assignments = []
    for handoff in handoffs:
        agreement = definitions.agreement(handoff.track)
        person = _person_for(
            handoff, routes.get(handoff.id), definitions.company, agreement, newest_first, now
        )
        newest_first.insert(0, person.id)
        assignments.append(_assignment(handoff, person, definitions.company, agreement, now))
    return tuple(assignments)


def _unassigned() -> Select[Any]:
    return (
        select(HANDOFF.c.id, HANDOFF.c.lead_id, HANDOFF.c.track, HANDOFF.c.wanted, ACCOUNT.c.owner)
        .join(LEAD, LEAD.c.id == HANDOFF.c.lead_id)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .where(IS_OPEN, HANDOFF.c.assigned_to.is_(None))
        .order_by(HANDOFF.c.id)
        .limit(CHUNK)
    )


def _routes(
    connection: Connection, handoffs: Sequence[Row[Any]], definitions: Definitions, now: datetime
) -> Mapping[int, Route]:
    """The first route by handoff whose condition is true of the lead."""
    found: dict[int, Route] = {}
    for track in TRACKS:
        waiting = {row.lead_id: row.id for row in handoffs if row.track == track}
        for route in definitions.agreement(track).routing if waiting else ():
            taken = (
                set(waiting)
                if route.when is None
                else engine.leads_matching(connection, route.when, list(waiting), now)
            )
            found.update({waiting.pop(lead_id): route for lead_id in taken})
    return found


def _remembered(connection: Connection) -> list[str]:
    """Who got the newest handoffs, newest first."""
    rank = (
        func.row_number().over(partition_by=HANDOFF.c.assigned_to, order_by=HANDOFF.c.id.desc()).label("rank")
    )
    ranked = (
        select(HANDOFF.c.id, HANDOFF.c.assigned_to, rank).where(HANDOFF.c.assigned_to.is_not(None)).subquery()
    )
    newest = select(ranked.c.assigned_to).where(ranked.c.rank <= REMEMBERED).order_by(ranked.c.id.desc())
    return list(connection.scalars(newest))


def _person_for(
    handoff: Row[Any],
    route: Route | None,
    company: Company,
    agreement: Agreement,
    newest_first: Iterable[str],
    now: datetime,
) -> Person:
    """Whom the program asked for, else whom the routing names, else the last resort."""
    for names in ((handoff.wanted,) if handoff.wanted else (), route.to if route else ()):
        meant = [person for name in names for person in people.meant_by(company, name, handoff.owner)]
        there = people.those_there(meant, company, now)
        if there:
            return people.whose_turn(there, newest_first)
    return people.last_resort(company, agreement, now)


def _assignment(
    handoff: Row[Any], person: Person, company: Company, agreement: Agreement, now: datetime
) -> Assignment:
    owed = agreement.stage("handed_off")
    office = hours.office_of(company, person)
    due_at = hours.add(now, owed.within, office) if owed.within else None
    remind_at = hours.add(now, owed.remind, office) if owed.remind else None
    return Assignment(handoff.id, handoff.lead_id, person.id, due_at, remind_at)


def _store(connection: Connection, assignments: Sequence[Assignment], now: datetime) -> int:
    engine.lock_leads(connection, sorted(each.lead_id for each in assignments))
    still = select(HANDOFF.c.id).where(
        HANDOFF.c.id.in_([each.handoff_id for each in assignments]),
        IS_OPEN,
        HANDOFF.c.assigned_to.is_(None),
    )
    waiting = set(connection.scalars(still))
    kept = [each for each in assignments if each.handoff_id in waiting]
    if kept:
        connection.execute(_assigning(kept))
        decide_notices(connection, "handoff", {each.handoff_id: each.person for each in kept}, now)
    return len(kept)


def _assigning(kept: Sequence[Assignment]) -> Update:
    def instants(name: str) -> Cast[datetime]:
        chosen = {each.handoff_id: literal(getattr(each, name), Instant) for each in kept}
        return cast(case(chosen, value=HANDOFF.c.id), Instant)

    return (
        update(HANDOFF)
        .where(HANDOFF.c.id.in_([each.handoff_id for each in kept]))
        .values(
            assigned_to=case({each.handoff_id: each.person for each in kept}, value=HANDOFF.c.id),
            due_at=instants("due_at"),
            remind_at=instants("remind_at"),
        )
    )

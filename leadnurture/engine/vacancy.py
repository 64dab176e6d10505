"""Says who may take a seat: as long as the session lies ahead and one is left.

One idea to hold: to ask is not to tell. Whoever asks for a seat gets one that is left; the session's row is locked before its seats
are counted, so of two who ask for the last one at once the second counts the first. What is told of a seat that somebody has
elsewhere already is a fact: it is recorded, and the session is over-booked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)

from leadnurture.engine.conditions import COUNTS_AS, NOW
from leadnurture.engine.sql import one, some, sql
from leadnurture.store.tables import Content, ContentSession, Reaction, Standing
from leadnurture.store.work import work_reaction

Expression = ColumnElement[Any]
Obstacle = Literal["cancelled", "over", "full"]
"""Why a seat cannot be taken."""
contents: Final = Content.__table__
sessions: Final = ContentSession.__table__
standing: Final = Standing.__table__
w = work_reaction


def seats_taken(content: Expression, session: Expression) -> Expression:
    """How many seats of a session are taken, also by those of whom it is told that they came or missed it."""
    seated = standing.c.kind.in_(COUNTS_AS["registered"])
    return one(
        func.count(), standing.c.content == content, standing.c.session == session, seated, of=[standing]
    )


def has_seat(lead_id: Expression, content: Expression, session: Expression) -> Expression:
    """Whether a lead has a seat in a session of which nobody has said yet whether he came."""
    here = standing.c.content == content, standing.c.session == session
    return some(standing.c.lead_id == lead_id, *here, standing.c.kind == "registered", of=[standing])


def obstacle_of(
    connection: Connection, lead_id: int, content: str, session: str, now: datetime
) -> Obstacle | None:
    """Why a lead cannot take a seat; None where he can, or has one. Writes nothing.

    Content without a session has no seats; then it says whether it is there at all. One statement.
    """
    is_dated = and_(sessions.c.content == contents.c.name, sessions.c.name == session)
    taken = seats_taken(contents.c.name, sessions.c.name)
    rule = _obstacle(taken) if session else case((not_(contents.c.is_live), "cancelled"))
    his = has_seat(literal(lead_id), contents.c.name, literal(session))
    question = (
        select(case((not_(his), rule)))
        .select_from(contents.outerjoin(sessions, is_dated))
        .where(contents.c.name == content)
    )
    obstacle: Obstacle | None = connection.execute(question, {"now": now}).scalar()
    return obstacle


def _obstacle(taken: Expression) -> Expression:
    """The rule itself, for whoever asks when so many seats of a session are taken."""
    is_off = or_(contents.c.name.is_(None), not_(contents.c.is_live), sessions.c.starts_at.is_(None))
    is_over = or_(sessions.c.closed_at.is_not(None), sessions.c.starts_at <= NOW)
    return case((is_off, "cancelled"), (is_over, "over"), (taken >= contents.c.seats, "full"))


def refuse_wishes(connection: Connection, now: datetime) -> Mapping[int, Obstacle]:
    """Takes the wishes for seats that are not to be had out of `work_reaction`, and says why, by position.

    Whoever asks for the seat that he has gets it, and what was recorded before is no new wish. Of a batch who stands
    first comes first. The caller holds the leads' locks. Three statements.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(
            sql("""
                SELECT n.name FROM content_session n
                 WHERE EXISTS (SELECT 1 FROM work_reaction w WHERE w.kind = 'registered' AND w.content = n.content AND w.session = n.name)
                 ORDER BY n.content, n.name FOR NO KEY UPDATE""")
        )
    connection.execute(_REFUSE, {"now": now})
    gone = sql("DELETE FROM work_reaction WHERE refused IS NOT NULL RETURNING position, refused")
    return {row.position: row.refused for row in connection.execute(gone)}


def _refusal() -> Update:
    """Says of each wish what hinders it: the seats that are taken, and those that stand before it in the batch."""
    is_new = not_(some(Reaction.__table__.c.key == w.c.key, of=[Reaction.__table__]))
    seat = w.c.lead_id, w.c.content, w.c.session
    newcomers = (
        select(*seat, func.min(w.c.position).label("position"))
        .where(w.c.kind == "registered", w.c.lead_id.is_not(None), w.c.session.is_not(None))
        .where(is_new, not_(has_seat(*seat)))
        .group_by(*seat)
        .subquery()
    )
    place = func.row_number().over(
        partition_by=(newcomers.c.content, newcomers.c.session), order_by=newcomers.c.position
    )
    queue = select(newcomers, (place - 1).label("ahead")).subquery()
    is_dated = and_(sessions.c.content == queue.c.content, sessions.c.name == queue.c.session)
    taken = seats_taken(queue.c.content, queue.c.session) + queue.c.ahead
    judged = (
        select(queue.c.lead_id, queue.c.content, queue.c.session, _obstacle(taken).label("obstacle"))
        .select_from(
            queue.outerjoin(contents, contents.c.name == queue.c.content).outerjoin(sessions, is_dated)
        )
        .subquery()
    )
    same = (w.c[name] == judged.c[name] for name in ("lead_id", "content", "session"))
    return update(w).where(w.c.is_wish, is_new, *same).values(refused=judged.c.obstacle)


_REFUSE: Final = _refusal()

"""Which content a step sends: a named one, or the next of the shelf that the lead has not had.

The shelf is laid out once a chunk (`work_shelf`); each lead then takes the best of it. *Had* is asked of the rows
themselves: what was sent, downloaded, attended or declined.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    false,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Executable

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Send
from leadnurture.domain.vocabulary import SESSION_KINDS
from leadnurture.engine.conditions import NOW, living
from leadnurture.engine.preferences import is_about_unwanted, is_unwanted
from leadnurture.engine.sql import bytewise, one, some
from leadnurture.engine.vacancy import has_seat, seats_taken
from leadnurture.engine.windows import Timing
from leadnurture.store.tables import (
    Content,
    ContentSession,
    ContentTopic,
    ContentTrack,
    Interest,
    Message,
    Reaction,
    Standing,
)
from leadnurture.store.work import Emptied, work_shelf, work_step

Expression = ColumnElement[Any]
message: Final = Message.__table__
reaction: Final = Reaction.__table__
content: Final = Content.__table__
session: Final = ContentSession.__table__
topic: Final = ContentTopic.__table__
variant: Final = ContentTrack.__table__
standing: Final = Standing.__table__
interest: Final = Interest.__table__
w = work_step

NOT_GONE: Final = ("cancelled", "failed")


class Shelf:
    """Fills content and session, or the trouble, into the new rows of a chunk; `choose` gives the statements."""

    def __init__(self, definitions: Definitions, program: Program, timing: Timing) -> None:
        self.definitions = definitions
        self.program = program
        self.timing = timing

    def choose(self, send: Send) -> list[Executable]:
        """The statements for the new rows that have no trouble yet."""
        if send.content is not None:
            return self._choose_fixed(send.content)
        statements: list[Executable] = []
        new = and_(w.c.is_new, w.c.trouble.is_(None))
        statements.append(update(w).where(new).values(content=null()))
        kinds = set(send.next_of)
        if kinds & SESSION_KINDS:
            statements += [
                Emptied(work_shelf),
                self._shelve_sessions(sorted(kinds & SESSION_KINDS), send.about),
            ]
            statements += self._next_session(send.about)
        if kinds - SESSION_KINDS:
            statements += [Emptied(work_shelf), self._shelve(sorted(kinds - SESSION_KINDS), send.about)]
            best = self._best(self._order(send.about), send.about, work_shelf.c.content)
            statements.append(
                update(w)
                .where(new, w.c.content.is_(None))
                .values(content=best, session_content=null(), session=null())
            )
        statements.append(self._about_itself(new))
        statements.append(update(w).where(new, w.c.content.is_(None)).values(trouble="empty"))
        return statements

    def _about_itself(self, new: Expression) -> Executable:
        """A mail that is about no session is about its own content, unless it is anchored on a webinar's."""
        return update(w).where(new, w.c.session.is_(None)).values(session_content=w.c.content, session="")

    def _choose_fixed(self, name: str) -> list[Executable]:
        new = and_(w.c.is_new, w.c.trouble.is_(None))
        kind = self.definitions.content(name).kind
        if kind in SESSION_KINDS:
            return [
                Emptied(work_shelf),
                self._shelve_sessions([kind], None, name),
                *self._next_session(None),
                self._refuse(
                    new,
                    (self._standing_of(w.c.lead_id, literal(name), ("declined",)), "declined"),
                    (is_about_unwanted(w.c.lead_id, literal(name)), "unwanted"),
                    (and_(w.c.content.is_(None), some(*self._open, of=[work_shelf])), "had"),
                    (w.c.content.is_(None), "empty"),
                ),
            ]
        anchored = self.timing.is_about_session
        about_session: dict[str, Any] = {} if anchored else {"session_content": name, "session": ""}
        chosen = update(w).where(new).values(content=name, **about_session)
        had = [
            message.c.lead_id == w.c.lead_id,
            message.c.content == name,
            message.c.track == self.program.track,
            message.c.status.not_in(NOT_GONE),
        ]
        if anchored:  # a mail about a webinar goes once per session
            had.append(func.coalesce(message.c.session, "") == func.coalesce(w.c.session, ""))
        offered = some(content.c.name == name, content.c.is_live, of=[content])
        return [
            chosen,
            self._refuse(
                new,
                (not_(offered), "empty"),
                (self._standing_of(w.c.lead_id, literal(name), ("declined",)), "declined"),
                (is_about_unwanted(w.c.lead_id, literal(name), w.c.session_content), "unwanted"),
                (
                    or_(some(*had, of=[message]), self._reacted(literal(name), ("downloaded", "declined"))),
                    "had",
                ),
            ),
            *([self._about_itself(new)] if anchored else []),
        ]

    @staticmethod
    def _refuse(new: Expression, *troubles: tuple[Expression, str]) -> Executable:
        """The first trouble that a new row has; one pass over the chunk, and only troubled rows are written."""
        return (
            update(w)
            .where(new, or_(*(condition for condition, _ in troubles)))
            .values(trouble=case(*troubles))
        )

    def _standing_of(self, lead_id: Expression, name: Expression, kinds: Sequence[str]) -> Expression:
        return some(
            standing.c.lead_id == lead_id,
            standing.c.content == name,
            standing.c.kind.in_(kinds),
            of=[standing],
        )

    def _reacted(self, name: Expression, kinds: Sequence[str]) -> Expression:
        return some(
            reaction.c.lead_id == w.c.lead_id,
            reaction.c.kind.in_(kinds),
            reaction.c.content == name,
            of=[reaction],
        )

    def _shelve_sessions(
        self, kinds: Sequence[str], about: str | None, name: str | None = None
    ) -> Executable:
        """Sessions ahead that have a variant for the track; a full one is there for who has a seat in it."""
        taken = seats_taken(session.c.content, session.c.name)
        chosen = self._offered(kinds, about, name)
        return insert(work_shelf).from_select(
            ["content", "session", "starts_at", "published_day", "is_full"],
            select(
                session.c.content,
                session.c.name,
                session.c.starts_at,
                content.c.published_day,
                func.coalesce(taken >= content.c.seats, false()),
            )
            .join_from(session, content, content.c.name == session.c.content)
            .where(*chosen, session.c.starts_at > NOW),
        )

    def _shelve(self, kinds: Sequence[str], about: str | None) -> Executable:
        return insert(work_shelf).from_select(
            ["content", "published_day"],
            select(content.c.name, content.c.published_day).where(*self._offered(kinds, about, None)),
        )

    def _offered(self, kinds: Sequence[str], about: str | None, name: str | None) -> list[Expression]:
        chosen: list[Expression] = [
            content.c.is_live,
            content.c.kind.in_(kinds),
            or_(content.c.until_at.is_(None), content.c.until_at > NOW),
            some(variant.c.content == content.c.name, variant.c.track == self.program.track, of=[variant]),
        ]
        if name is not None:
            chosen.append(content.c.name == name)
        elif about not in {None, "interests"}:
            chosen.append(some(topic.c.content == content.c.name, topic.c.topic == about, of=[topic]))
        services = [each.name for each in self.definitions.contents if each.is_service]
        if name is None and services:  # an answer is not offered
            chosen.append(content.c.name.not_in(services))
        return chosen

    def _strength(self) -> Expression:
        """How many living interests of the lead a content of the shelf meets, of those that he wants mail about."""
        met = (
            not_(is_unwanted(w.c.lead_id, interest.c.topic)),
            topic.c.topic == interest.c.topic,
            topic.c.content == work_shelf.c.content,
            interest.c.lead_id == w.c.lead_id,
        )
        return one(func.count(), *met, *living(interest), of=[interest, topic])

    def _order(self, about: str | None) -> list[Expression]:
        """Strongest living interest first, newest first, then by name.

        Least is best, so that all are sorted upwards.
        """
        newest: list[Expression] = [-work_shelf.c.published_day, bytewise(work_shelf.c.content)]
        return [-self._strength(), *newest] if about == "interests" else newest

    def _not_had(self) -> list[Expression]:
        name = work_shelf.c.content
        sent = some(
            message.c.lead_id == w.c.lead_id, message.c.content == name, message.c.track == self.program.track,
            message.c.status.not_in(NOT_GONE), or_(work_shelf.c.session.is_(None), message.c.session == work_shelf.c.session),
            of=[message],
        )  # fmt: skip
        return [
            not_(sent),
            not_(self._standing_of(w.c.lead_id, name, ("attended", "declined"))),
            not_(self._reacted(name, ("downloaded", "declined"))),
            not_(is_about_unwanted(w.c.lead_id, name)),
        ]

    def _best(
        self, order: Sequence[Expression], about: str | None, column: Expression, *more: Expression
    ) -> Expression:
        wanted = [*self._not_had(), *more]
        if about == "interests":
            wanted.append(self._strength() > 0)
        elif about is not None:
            wanted.append(not_(is_unwanted(w.c.lead_id, literal(about))))
        # Sorted by columns of a derived table: SQLite resolves no outer name inside of an ORDER BY.
        keys = [key.label(f"key_{place}") for place, key in enumerate(order)]
        offers = select(column.label("offer"), *keys).where(*wanted).correlate_except(work_shelf).subquery()
        ranked = select(offers.c.offer).order_by(*(offers.c[key.name] for key in keys)).limit(1)
        return ranked.correlate_except(offers).scalar_subquery()

    @property
    def _has_seat(self) -> Expression:
        return has_seat(w.c.lead_id, work_shelf.c.content, work_shelf.c.session)

    @property
    def _open(self) -> tuple[Expression, Expression]:
        """Behind the sending, with a seat for the lead."""
        behind = work_shelf.c.starts_at > func.coalesce(w.c.send_at, NOW)
        return behind, or_(not_(work_shelf.c.is_full), self._has_seat)

    def _next_session(self, about: str | None) -> list[Executable]:
        """The soonest session behind the sending that he has not had; one that he registered for counts, it
        ends the wait.
        """
        new = and_(w.c.is_new, w.c.trouble.is_(None))
        order = [case((self._has_seat, 0), else_=1), work_shelf.c.starts_at, bytewise(work_shelf.c.content)]
        key = work_shelf.c.content + literal("\n") + work_shelf.c.session
        return [
            update(w)
            .where(new)
            .values(
                content=self._best(order, about, key, *self._open), session_content=null(), session=null()
            ),
            update(w)
            .where(
                new,
                w.c.content.is_not(None),
                w.c.content == work_shelf.c.content + literal("\n") + work_shelf.c.session,
            )
            .values(
                content=work_shelf.c.content,
                session_content=work_shelf.c.content,
                session=work_shelf.c.session,
            ),
        ]

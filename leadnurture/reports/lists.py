"""Lists to page through: the leads, and the mails of the outbox. A page begins where the last one ended."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)

from leadnurture import engine
from leadnurture.domain.vocabulary import STAGES, Stage, Track
from leadnurture.domain.words import end_of, prefixes_of
from leadnurture.profile.evidence import name_of
from leadnurture.reports.ways import mail_trouble
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
ENROLLMENT: Final = metadata.tables["enrollment"]
MESSAGE: Final = metadata.tables["message"]
CONTENT: Final = metadata.tables["content"]
WORD: Final = metadata.tables["lead_word"]
ACCOUNT_WORD: Final = metadata.tables["account_word"]
PAGE: Final = 50
FEW: Final = 5_000
"""So many ids are looked up for a filter, and of so many leads the rows are read."""
TRIED: Final = 1_000
"""So many leads are asked for what many have: mostly that fills a page."""
BEST_FIRST: Final = LEAD.c.score.desc(), LEAD.c.id.desc()

Place = tuple[int, int]
"""Where a lead stands in the list: (score, id)."""


@dataclass(frozen=True, slots=True)
class LeadRow:
    """One lead of the list."""

    id: int
    name: str
    email: str
    account: str
    track: str
    stage: str
    role: str
    country: str
    fit: int
    engagement: int
    score: int
    programs: tuple[str, ...]
    """In which the lead is now."""
    created_at: datetime

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return self.score, self.id


@dataclass(frozen=True, slots=True)
class MailRow:
    """One mail of the outbox."""

    id: int
    lead_id: int
    name: str
    email: str
    track: str
    program: str
    step: str
    visit: int
    content: str
    title: str
    """Of the content; the subject is shown with the mail itself, from the facts that were frozen."""
    about: str | None
    """The webinar or event that it is about."""
    session: str | None
    variant: str | None
    status: str
    planned_at: datetime
    send_at: datetime
    sent_at: datetime | None
    trouble: str | None
    is_rendered: bool
    """Whether it can be shown as it was sent."""


def leads(  # noqa: PLR0913 - the filters of a list
    connection: Connection,
    *,
    search: str = "",
    track: Track = "prospects",
    stage: Stage | None = None,
    program: str | None = None,
    least: int | None = None,
    limit: int = PAGE,
    before: Place | None = None,
) -> tuple[LeadRow, ...]:
    """Leads of a track that match all filters, highest score first; `least` is a score, `before` the place of
    the last row of the page before.

    What few leads have is looked up. What many have is tried on the head of the list, and where that fills no
    page, it is put together: that costs as much as there are such leads, whatever their places.
    """
    filters = [] if program is None else [_in_program(program)]
    filters += [_with_word(prefix) for prefix in prefixes_of(search)]
    if search.strip() and len(filters) == (program is not None):
        return ()  # signs alone are in no name
    chosen = _List(track, (stage,) if stage else STAGES, least, before)
    return _rows(connection, _page_of(connection, chosen, filters, limit))


@dataclass(frozen=True, slots=True)
class _List:
    """Which leads there are to choose from, in the order of a page."""

    track: Track
    stages: Sequence[Stage]
    least: int | None
    before: Place | None

    def head(self, limit: int) -> Select[Any]:
        """The first ids. A stage at a time, since in each of them the index has the order of the list."""
        each = [
            select(LEAD.c.score, LEAD.c.id)
            .where(LEAD.c.track == self.track, LEAD.c.stage == stage, *self._bounds())
            .order_by(*BEST_FIRST)
            .limit(limit)
            for stage in self.stages
        ]
        pages = union_all(*(select(one.subquery()) for one in each)).subquery()
        return select(pages.c.id).order_by(pages.c.score.desc(), pages.c.id.desc()).limit(limit)

    def tried(self, filters: Sequence["_Filter"], limit: int) -> Select[Any]:
        """The ids of a page, as far as the head of the list has them."""
        here = LEAD.c.id.in_(select(self.head(TRIED).subquery().c.id))
        conditions = [each.is_true for each in filters]
        return select(LEAD.c.id).where(here, *conditions).order_by(*BEST_FIRST).limit(limit)

    def among(self, few: Collection[int], filters: Sequence["_Filter"], limit: int) -> Select[Any]:
        """The ids of a page out of these. The index of the list is of no use here, and must not be taken."""
        here = (
            LEAD.c.id.in_(sorted(few)),
            LEAD.c.track.concat("") == self.track,
            LEAD.c.stage.concat("").in_(self.stages),
        )
        conditions = [each.is_true for each in filters]
        chosen = select(LEAD.c.id).where(*here, *self._bounds(), *conditions)
        return chosen.order_by(*BEST_FIRST).limit(limit)

    def places(self) -> Select[Any]:
        """All of it, in no order."""
        here = LEAD.c.track == self.track, LEAD.c.stage.in_(self.stages)
        return select(LEAD.c.score, LEAD.c.id).where(*here, *self._bounds())

    def _bounds(self) -> list[ColumnElement[bool]]:
        bounds = [] if self.least is None else [LEAD.c.score >= self.least]
        return (
            bounds
            if self.before is None
            else [*bounds, tuple_(LEAD.c.score, LEAD.c.id) < tuple_(*self.before)]
        )


@dataclass(frozen=True, slots=True)
class _Filter:
    """A condition in two forms: the ids for which it is true, and whether it is true of a row of `lead`."""

    ids: Callable[[int | None], Select[Any]]
    """So many of them, or all."""
    is_true: ColumnElement[bool]


def _with_word(prefix: str) -> _Filter:
    """A word of his, or of his account, begins so."""
    his = WORD.c.word >= prefix, WORD.c.word < end_of(prefix)
    its = ACCOUNT_WORD.c.word >= prefix, ACCOUNT_WORD.c.word < end_of(prefix)
    of_people = select(LEAD.c.id).join(ACCOUNT_WORD, ACCOUNT_WORD.c.account_id == LEAD.c.account_id)
    with_it = select(ACCOUNT_WORD.c.account_id).where(*its).scalar_subquery()

    def ids(most: int | None) -> Select[Any]:
        # Lest PostgreSQL begin with the leads.
        first = (
            select(LEAD.c.id).where(engine.among(LEAD.c.account_id, with_it))
            if most is None
            else of_people.where(*its).order_by(ACCOUNT_WORD.c.word)
        )
        either = (select(WORD.c.lead_id.label("id")).where(*his), first)
        return select(union_all(*(select(one.limit(most).subquery().c.id) for one in either)).subquery())

    has_one = func.coalesce(
        _any(WORD.c.lead_id == LEAD.c.id, *his), _any(ACCOUNT_WORD.c.account_id == LEAD.c.account_id, *its)
    ).is_not(None)
    return _Filter(ids, has_one)


def _any(*criteria: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Whether there is such a row, asked of each lead: for an EXISTS PostgreSQL reads all of them first."""
    return select(literal_column("1")).where(*criteria).limit(1).scalar_subquery()


def _in_program(program: str) -> _Filter:
    """He is in it now."""
    live = ENROLLMENT.c.program == program, _is_live()
    return _Filter(
        select(ENROLLMENT.c.lead_id.label("id")).where(*live).limit,
        _any(ENROLLMENT.c.lead_id == LEAD.c.id, *live).is_not(None),
    )


def _page_of(connection: Connection, chosen: _List, filters: Sequence[_Filter], limit: int) -> Sequence[int]:
    """The ids of a page."""
    if not filters:
        return connection.scalars(chosen.head(limit)).all()
    few, many = _looked_up(connection, filters)
    if few is None:
        ids = connection.scalars(chosen.tried(many, limit)).all()
        if len(ids) == limit:
            return ids
    return _put_together(connection, few, many, chosen, limit)


def _looked_up(connection: Connection, filters: Sequence[_Filter]) -> tuple[set[int] | None, list[_Filter]]:
    """The leads that meet all filters which few meet, None where there is no such filter; and the others."""
    few: set[int] | None = None
    many: list[_Filter] = []
    for each in filters:
        (found,) = _columns(connection, each.ids(FEW + 1))
        if len(found) > FEW:
            many.append(each)
        else:
            few = set(found) if few is None else few.intersection(found)
    return few, many


def _put_together(
    connection: Connection, few: set[int] | None, many: Sequence[_Filter], chosen: _List, limit: int
) -> Sequence[int]:
    """The ids of a page. Reads indexes alone, of each word from the first lead who has it to the last."""
    others = list(many)
    common = set(_looked_up_all(connection, others.pop(0))) if few is None else few
    while others and len(common) > FEW:
        common = common.intersection(_looked_up_all(connection, others.pop(0)))
    if len(common) <= FEW:
        return connection.scalars(chosen.among(common, others, limit)).all()
    places = zip(*_columns(connection, chosen.places()), strict=True)
    return [lead for _, lead in nlargest(limit, (place for place in places if place[1] in common))]


def _looked_up_all(connection: Connection, one: _Filter) -> list[int]:
    (ids,) = _columns(connection, one.ids(None))
    return ids


def _columns(connection: Connection, rows: Select[Any]) -> list[list[int]]:
    """Each column of numbers as one text: row by row it would take ten times as long."""
    gather = func.json_group_array if connection.dialect.name == "sqlite" else func.json_agg
    texts = connection.execute(select(*(cast(gather(column), Text) for column in rows.subquery().c))).one()
    return [json.loads(text or "[]") for text in texts]


def _rows(connection: Connection, ids: Sequence[int]) -> tuple[LeadRow, ...]:
    question = (
        select(LEAD, ACCOUNT.c.name.label("account"))
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .where(LEAD.c.id.in_(ids))
        .order_by(*BEST_FIRST)
    )
    rows = connection.execute(question).all()
    enrolled = _enrolled(connection, [row.id for row in rows])
    return tuple(
        LeadRow(
            id=row.id,
            name=name_of(row),
            email=row.email,
            account=row.account or "",
            track=row.track,
            stage=row.stage,
            role=row.role,
            country=row.country,
            fit=row.fit,
            engagement=row.engagement,
            score=row.score,
            programs=tuple(enrolled.get(row.id, ())),
            created_at=row.created_at,
        )
        for row in rows
    )


def outbox(
    connection: Connection,
    *,
    track: str | None = None,
    status: str | None = None,
    program: str | None = None,
    limit: int = PAGE,
    before: int | None = None,
) -> tuple[MailRow, ...]:
    """Mails, newest first; `before` is the id with which the last page ended. One statement."""
    question = (
        select(MESSAGE, LEAD.c.first_name, LEAD.c.last_name, LEAD.c.email, CONTENT.c.title)
        .join(LEAD, LEAD.c.id == MESSAGE.c.lead_id)
        .outerjoin(CONTENT, CONTENT.c.name == MESSAGE.c.content)
    )
    chosen = (MESSAGE.c.track, track), (MESSAGE.c.status, status), (MESSAGE.c.program, program)
    for column, wanted in chosen:
        question = question.where(column == wanted) if wanted else question
    return tuple(
        MailRow(
            id=row.id,
            lead_id=row.lead_id,
            name=name_of(row),
            email=row.email,
            track=row.track,
            program=row.program,
            step=row.step,
            visit=row.visit,
            content=row.content,
            title=row.title or row.content,
            about=row.session_content,
            session=row.session,
            variant=row.variant,
            status=row.status,
            planned_at=row.planned_at,
            send_at=row.send_at,
            sent_at=row.sent_at,
            trouble=mail_trouble(row.trouble) if row.trouble else None,
            is_rendered=row.template is not None,
        )
        for row in connection.execute(_page(question, MESSAGE.c.id, limit, before))
    )


def _page(question: Select[Any], key: Any, limit: int, before: int | None) -> Select[Any]:  # noqa: ANN401 - a column
    if before is not None:
        question = question.where(key < before)
    return question.order_by(key.desc()).limit(limit)


def _is_live() -> ColumnElement[bool]:
    # Written out, not bound: only then does a database see that the index of the living has them all.
    return ENROLLMENT.c.status.in_([literal_column("'active'"), literal_column("'paused'")])


def _enrolled(connection: Connection, lead_ids: Sequence[int]) -> Mapping[int, list[str]]:
    question = select(ENROLLMENT.c.lead_id, ENROLLMENT.c.program).where(
        ENROLLMENT.c.lead_id.in_(lead_ids), _is_live()
    )
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(question.order_by(ENROLLMENT.c.id)):
        found[row.lead_id].append(row.program)
    return found

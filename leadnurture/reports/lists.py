"""Lists to page through: the leads, and the mails of the outbox. A page begins where the last one ended."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, exists, func, or_, select

from leadnurture.profile.evidence import name_of
from leadnurture.reports.ways import mail_trouble
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
ENROLLMENT: Final = metadata.tables["enrollment"]
MESSAGE: Final = metadata.tables["message"]
CONTENT: Final = metadata.tables["content"]
PAGE: Final = 50


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


def leads(
    connection: Connection,
    *,
    search: str = "",
    track: str | None = None,
    stage: str | None = None,
    program: str | None = None,
    limit: int = PAGE,
    before: int | None = None,
) -> tuple[LeadRow, ...]:
    """Leads that match all filters, newest first; `before` is the id with which the last page ended."""
    question = select(LEAD, ACCOUNT.c.name.label("account")).outerjoin(
        ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id
    )
    for word in search.casefold().split():
        question = question.where(_found(word))
    for column, wanted in ((LEAD.c.track, track), (LEAD.c.stage, stage)):
        question = question.where(column == wanted) if wanted else question
    if program:
        is_in = exists().where(ENROLLMENT.c.lead_id == LEAD.c.id, ENROLLMENT.c.program == program, _is_live())
        question = question.where(is_in)
    rows = connection.execute(_page(question, LEAD.c.id, limit, before)).all()
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


def _found(word: str) -> Any:  # noqa: ANN401 - a truth in SQL
    texts = LEAD.c.email_key, func.lower(LEAD.c.first_name), func.lower(LEAD.c.last_name), ACCOUNT.c.name_key
    return or_(*(text.contains(word, autoescape=True) for text in texts))


def _is_live() -> Any:  # noqa: ANN401 - as above
    return ENROLLMENT.c.status.in_(("active", "paused"))


def _enrolled(connection: Connection, lead_ids: Sequence[int]) -> Mapping[int, list[str]]:
    question = select(ENROLLMENT.c.lead_id, ENROLLMENT.c.program).where(
        ENROLLMENT.c.lead_id.in_(lead_ids), _is_live()
    )
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(question.order_by(ENROLLMENT.c.id)):
        found[row.lead_id].append(row.program)
    return found

"""What the audience looks up: which step a mail came from, who came into which program, who was offered.

Reads only. People know what they were sent; the script must know which of its lines that is.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, func, select

from leadnurture.definitions import load_ask
from leadnurture.store.tables import metadata

Tables: Final = metadata.tables


def _of(name: str) -> Table:
    return Tables[name]


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail of a program that lies in the outbox."""

    message_id: int
    lead_id: int
    email: str
    program: str
    step: str
    visit: int
    content: str
    kind: str
    session: tuple[str, str] | None
    """The content and the session that it is about."""
    starts_at: datetime | None


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An enrollment that has just begun, and what a role may ask of its lead."""

    enrollment_id: int
    lead_id: int
    account_id: int | None
    email: str
    program: str
    step: str
    track: str
    fit: int
    interests: frozenset[str]
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A handoff of which a notice tells."""

    handoff_id: int
    lead_id: int
    email: str
    track: str
    fit: int
    kind: str
    is_by_threshold: bool
    """Not by a step of a program."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A task of which a notice tells."""

    task_id: int
    lead_id: int
    email: str
    asks: tuple[str, ...]
    """Names of the questions that are open."""
    is_of_program: bool


def letters(connection: Connection, message_ids: Collection[int]) -> list[Letter]:
    """The mails of those files, in the order of their addressees; nobody answers a reminder."""
    message, lead, content, session = (
        _of(name) for name in ("message", "lead", "content", "content_session")
    )
    question = (
        select(message, lead.c.email, content.c.kind.label("content_kind"), session.c.starts_at)
        .join(lead, lead.c.id == message.c.lead_id)
        .join(content, content.c.name == message.c.content)
        .outerjoin(
            session,
            and_(session.c.content == message.c.session_content, session.c.name == message.c.session),
        )
        .where(message.c.id.in_(message_ids), message.c.occasion.is_(None))
        .order_by(lead.c.email_key, message.c.id)
    )
    return [_letter(row) for row in connection.execute(question)]


def _letter(row: Any) -> Letter:  # noqa: ANN401 - a row
    about = (row.session_content, row.session) if row.session else None
    return Letter(
        row.id, row.lead_id, row.email, row.program, row.step, row.visit, row.content, row.content_kind,
        about, row.starts_at,
    )  # fmt: skip


def newcomers(connection: Connection, since: int) -> list[Newcomer]:
    """The enrollments above an id, those first whose lead has the fewest colleagues."""
    enrollment, lead, interest, fact = (_of(name) for name in ("enrollment", "lead", "interest", "lead_fact"))
    topics = select(func.group_concat(interest.c.topic.distinct())).where(interest.c.lead_id == lead.c.id)
    other = lead.alias()
    colleagues = select(func.count()).where(other.c.account_id == lead.c.account_id)
    dated = select(fact.c.number).where(fact.c.lead_id == lead.c.id, fact.c.name == "budget_on")
    question = (
        select(enrollment.c.id, enrollment.c.lead_id, enrollment.c.program, enrollment.c.step)
        .add_columns(lead.c.email, lead.c.track, lead.c.fit, lead.c.account_id)
        .add_columns(topics.scalar_subquery().label("topics"), dated.scalar_subquery().label("dated"))
        .join(lead, lead.c.id == enrollment.c.lead_id)
        .where(enrollment.c.id > since)
        .order_by(enrollment.c.program, colleagues.scalar_subquery(), lead.c.email_key)
    )
    return [_newcomer(row) for row in connection.execute(question)]


def _newcomer(row: Any) -> Newcomer:  # noqa: ANN401 - a row
    topics = frozenset(row.topics.split(",")) if row.topics else frozenset[str]()
    return Newcomer(
        row.id, row.lead_id, row.account_id, row.email, row.program, row.step, row.track, row.fit, topics,
        row.dated is not None,
    )  # fmt: skip


def places(connection: Connection, enrollment_ids: Collection[int]) -> list[tuple[int, str, int]]:
    """Where enrollments stand: id, step, visit."""
    enrollment = _of("enrollment")
    question = select(enrollment.c.id, enrollment.c.step, enrollment.c.visit).where(
        enrollment.c.id.in_(enrollment_ids), enrollment.c.status == "active"
    )
    return [(row.id, row.step, row.visit) for row in connection.execute(question.order_by(enrollment.c.id))]


def offers(connection: Connection, notice_ids: Collection[int]) -> dict[int, Offer]:
    """The handoffs behind notices, by the notice's id."""
    notice, handoff, lead = (_of(name) for name in ("notice", "handoff", "lead"))
    question = (
        select(notice.c.id, notice.c.kind, handoff.c.id.label("handoff_id"), handoff.c.track, handoff.c.fit)
        .add_columns(handoff.c.reason.startswith("crossed the threshold").label("is_by_threshold"))
        .add_columns(lead.c.id.label("lead_id"), lead.c.email)
        .join(handoff, handoff.c.id == notice.c.handoff_id)
        .join(lead, lead.c.id == handoff.c.lead_id)
        .where(notice.c.id.in_(notice_ids))
    )
    return {
        row.id: Offer(
            row.handoff_id, row.lead_id, row.email, row.track, row.fit, row.kind, row.is_by_threshold
        )
        for row in connection.execute(question)
    }


def errands(connection: Connection, notice_ids: Collection[int]) -> dict[int, Errand]:
    """The tasks behind notices, by the notice's id."""
    notice, task, lead, almost = (_of(name) for name in ("notice", "task", "lead", "almost_qualified"))
    question = (
        select(notice.c.id, task.c.id.label("task_id"), task.c.ask, task.c.enrollment_id, almost.c.missing)
        .add_columns(lead.c.id.label("lead_id"), lead.c.email)
        .join(task, task.c.id == notice.c.task_id)
        .join(lead, lead.c.id == task.c.lead_id)
        .outerjoin(almost, almost.c.lead_id == lead.c.id)
        .where(notice.c.id.in_(notice_ids))
    )
    return {row.id: _errand(row) for row in connection.execute(question)}


def _errand(row: Any) -> Errand:  # noqa: ANN401 - a row
    is_of_program = row.enrollment_id is not None
    names = [each.name for each in load_ask(row.ask).questions] if row.ask else []
    missing = (row.missing or "").split(", ")
    asks = tuple(name for name in names if is_of_program or name in missing)
    return Errand(row.task_id, row.lead_id, row.email, asks, is_of_program)


def next_reminder(connection: Connection, now: datetime) -> datetime | None:
    """When whoever has a seat is reminded next: an hour before something, so not at a stop but then."""
    message = _of("message")
    ahead = message.c.status == "planned", message.c.content == "seat-reminder", message.c.send_at > now
    return connection.execute(select(func.min(message.c.send_at)).where(*ahead)).scalar()


def next_urgent_mail(connection: Connection) -> datetime | None:
    """When the next mail falls due that is left out where it cannot leave that day."""
    message = _of("message")
    question = select(func.min(message.c.send_at)).where(
        message.c.status == "planned", message.c.late == "skip"
    )
    return connection.execute(question).scalar()

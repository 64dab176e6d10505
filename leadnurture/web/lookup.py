"""What stands behind an id in an address: a reader, a seat, a file, a click, a handoff. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, func, literal, or_, select

from leadnurture import engine
from leadnurture.domain.company import Company
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.language import locale_of
from leadnurture.domain.vocabulary import LEFT
from leadnurture.errors import NotFoundError
from leadnurture.store.tables import metadata

CLICK: Final = metadata.tables["click"]
CONTENT: Final = metadata.tables["content"]
HANDOFF: Final = metadata.tables["handoff"]
LEAD: Final = metadata.tables["lead"]
MESSAGE: Final = metadata.tables["message"]
SESSION: Final = metadata.tables["content_session"]
STANDING: Final = metadata.tables["standing"]
SUPPRESSION: Final = metadata.tables["suppression"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who opened a link, and whether he has unsubscribed already."""

    lead_id: int
    email: str
    zone: str
    locale: str
    """Of the company's, the one that he reads."""
    has_left: bool


@dataclass(frozen=True, slots=True)
class Seat:
    """A session that a message offered, and how its reader stands to it."""

    lead_id: int
    locale: str
    """Of the company's, the one that its reader reads."""
    zone: str
    """In which its time is read: of the reader, of the company for an event, to which one travels."""
    content: str
    title: str
    session: str
    starts_at: datetime | None
    standing: str | None
    obstacle: engine.Obstacle | None
    """Why no seat can be taken any more."""


@dataclass(frozen=True, slots=True)
class File:
    """What a mail gives to fetch."""

    content: str
    title: str
    kind: str
    link: str
    locale: str
    """Of the company's, the one that its reader reads."""


def file(connection: Connection, message_id: int, definitions: Definitions) -> File | None:
    """What a download link is about; None where its content has no link any more."""
    question = (
        select(CONTENT.c.name, CONTENT.c.title, CONTENT.c.kind, CONTENT.c.link, LEAD.c.language)
        .join_from(MESSAGE, CONTENT, CONTENT.c.name == MESSAGE.c.content)
        .join(LEAD, LEAD.c.id == MESSAGE.c.lead_id)
        .where(MESSAGE.c.id == message_id)
    )
    row = connection.execute(question).first()
    if row is None or not row.link:
        return None
    locale = locale_of(row.language, definitions.company.locales)
    return File(row.name, _title(row.name, row.title, definitions, locale), row.kind, row.link, locale)


def _title(name: str, title: str, definitions: Definitions, locale: str) -> str:
    """Of a content that may be gone from the files."""
    known = definitions.find_content(name)
    return title if known is None else known.title_in(locale)


def reader(connection: Connection, lead_id: int, company: Company) -> Reader | None:
    """The lead of a link to unsubscribe or to choose, also of one that was signed before a merge."""
    try:
        his_id = engine.lead_id_of(connection, lead_id)
    except NotFoundError:
        return None
    question = (
        select(LEAD.c.id, LEAD.c.email, LEAD.c.zone, LEAD.c.language, SUPPRESSION.c.reason)
        .outerjoin(SUPPRESSION, SUPPRESSION.c.email_key == LEAD.c.email_key)
        .where(LEAD.c.id == his_id)
    )
    row = connection.execute(question).one()
    locale = locale_of(row.language, company.locales)
    return Reader(row.id, row.email, row.zone, locale, row.reason in LEFT)


def lead_of_click(connection: Connection, click_id: int) -> int | None:
    """Whose click it was."""
    return connection.scalar(select(CLICK.c.lead_id).where(CLICK.c.id == click_id))


def open_handoff(connection: Connection, lead_id: int) -> int | None:
    """The handoff that sales has to decide; at most one is open."""
    is_it = HANDOFF.c.lead_id == lead_id, HANDOFF.c.status == "open"
    return connection.scalar(select(HANDOFF.c.id).where(*is_it))


def seat(
    connection: Connection, message_id: int, session: str, definitions: Definitions, now: datetime
) -> Seat | None:
    """What a register link is about; the content may be another one than the mail's own."""
    message, lead, content, dates, mine = MESSAGE, LEAD, CONTENT, SESSION, STANDING
    question = (
        select(lead.c.id, lead.c.zone, lead.c.language, content.c.name, content.c.title, content.c.kind)
        .add_columns(dates.c.starts_at, mine.c.kind.label("standing"))
        .join_from(message, lead, lead.c.id == message.c.lead_id)
        .join(content, content.c.name == func.coalesce(message.c.session_content, message.c.content))
        .outerjoin(dates, and_(dates.c.content == content.c.name, dates.c.name == session))
        .outerjoin(
            mine,
            and_(mine.c.lead_id == lead.c.id, mine.c.content == content.c.name, mine.c.session == session),
        )
        .where(message.c.id == message_id, or_(literal(session) == "", dates.c.name.is_not(None)))
    )
    row = connection.execute(question).first()
    if row is None:
        return None
    locale = locale_of(row.language, definitions.company.locales)
    return Seat(
        lead_id=row.id,
        locale=locale,
        zone=definitions.company.zone if row.kind == "event" else row.zone,
        content=row.name,
        title=_title(row.name, row.title, definitions, locale),
        session=session,
        starts_at=row.starts_at,
        standing=row.standing,
        obstacle=engine.obstacle_of(connection, row.id, row.name, session, now),
    )

"""What leads wrote back and nobody has sorted yet: their mail waits for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from leadnurture import engine
from leadnurture.profile.evidence import name_of
from leadnurture.store.tables import metadata

REPLY: Final = metadata.tables["reply"]
LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
MESSAGE: Final = metadata.tables["message"]
CONTENT: Final = metadata.tables["content"]
MOST: Final = 200


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """One reply that waits to be sorted."""

    id: int
    lead_id: int
    name: str
    email: str
    account: str
    track: str
    at: datetime
    sender: str
    """Who wrote it: not always the lead himself."""
    subject: str
    text: str
    message_id: int | None
    title: str | None
    """Of the content of the mail that he answered, where it is known."""
    program: str | None


def unsorted_replies(connection: Connection, *, track: str | None = None) -> tuple[ReplyRow, ...]:
    """Those that wait, the oldest first, two hundred at most. One statement."""
    question = (
        select(REPLY, LEAD.c.first_name, LEAD.c.last_name, LEAD.c.email, LEAD.c.track)
        .add_columns(ACCOUNT.c.name.label("account"), CONTENT.c.title, MESSAGE.c.program)
        .join(LEAD, LEAD.c.id == REPLY.c.lead_id)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .outerjoin(MESSAGE, MESSAGE.c.id == REPLY.c.message_id)
        .outerjoin(CONTENT, CONTENT.c.name == MESSAGE.c.content)
        .where(REPLY.c.sorted_at.is_(None))
        .order_by(engine.merely(REPLY.c.id))
        .limit(MOST)
    )
    if track is not None:
        question = question.where(engine.merely(LEAD.c.track) == track)
    return tuple(
        ReplyRow(
            id=row.id,
            lead_id=row.lead_id,
            name=name_of(row),
            email=row.email,
            account=row.account or "",
            track=row.track,
            at=row.at,
            sender=row.sender,
            subject=row.subject,
            text=row.text,
            message_id=row.message_id,
            title=row.title,
            program=row.program,
        )
        for row in connection.execute(question)
    )


def render_replies(rows: tuple[ReplyRow, ...]) -> str:
    """The replies for a terminal."""
    if not rows:
        return "No reply waits to be sorted.\n"
    return "\n".join(_told(row) for row in rows)


def _told(row: ReplyRow) -> str:
    about = f", to {row.title}" if row.title else ""
    head = f"{row.id}  {row.name} <{row.email}>, {row.at:%Y-%m-%d %H:%M} UTC{about}"
    words = "\n".join(f"    {line}" for line in row.text.strip().splitlines()[:10])
    return f"{head}\n    {row.subject}\n{words}\n"

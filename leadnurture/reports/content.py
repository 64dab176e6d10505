"""What there is to send, its sessions, and who has a seat."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, case, func, select

from leadnurture.engine import MOST_ASKED
from leadnurture.errors import NotFoundError
from leadnurture.profile.evidence import name_of
from leadnurture.store.tables import metadata

CONTENT: Final = metadata.tables["content"]
SESSION: Final = metadata.tables["content_session"]
TRACK: Final = metadata.tables["content_track"]
STANDING: Final = metadata.tables["standing"]
LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
Stand = Literal["cancelled", "ahead", "open", "over", "closed"]
"""Where a session stands. `open`: it has taken place, and nobody has said who of those with a seat came.
`over`: it has, and nobody had one.
"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One date of a content, and how many stand how to it."""

    name: str
    starts_at: datetime | None
    closed_at: datetime | None
    seats: int | None
    taken: int
    """Seats that are taken, also by those who attended or missed it."""
    registered: int
    """Seats of those of whom nobody has said whether they came."""
    attended: int
    stand: Stand

    @property
    def overbooked(self) -> int:
        """How many more seats are taken than there are: given away elsewhere, or the file has fewer now."""
        return max(self.taken - self.seats, 0) if self.seats is not None and self.stand == "ahead" else 0

    @property
    def is_listed(self) -> bool:
        """Whether its page names everybody who has a seat."""
        return self.registered <= MOST_ASKED


@dataclass(frozen=True, slots=True)
class ContentRow:
    """A thing worth sending, with its sessions, the soonest first."""

    name: str
    kind: str
    title: str
    link: str | None
    tracks: tuple[str, ...]
    sessions: tuple[SessionRow, ...]


@dataclass(frozen=True, slots=True)
class SeatRow:
    """Somebody who stands somehow to a session."""

    lead_id: int
    name: str
    email: str
    account: str
    kind: str
    """registered, declined, attended, missed."""


@dataclass(frozen=True, slots=True)
class ContentPage:
    """A content with everybody who has, had or refused a seat, by session."""

    content: ContentRow
    people: Mapping[str, Sequence[SeatRow]]


def contents(connection: Connection, now: datetime) -> tuple[ContentRow, ...]:
    """All that is live, by kind and name. Three statements."""
    tracks, sessions = _tracks(connection), _sessions(connection, now)
    rows = connection.execute(
        select(CONTENT).where(CONTENT.c.is_live).order_by(CONTENT.c.kind, CONTENT.c.name)
    )
    return tuple(_content(row, tracks, sessions) for row in rows)


def content_page(connection: Connection, name: str, now: datetime) -> ContentPage:
    """One content; NotFoundError where there is none. Four statements."""
    row = connection.execute(select(CONTENT).where(CONTENT.c.name == name, CONTENT.c.is_live)).first()
    if row is None:
        raise NotFoundError(f"There is no content {name!r}; /content lists them.")
    content = _content(row, _tracks(connection), _sessions(connection, now))
    return ContentPage(content, _people(connection, name))


def _content(
    row: Row[Any], tracks: Mapping[str, list[str]], sessions: Mapping[str, list[SessionRow]]
) -> ContentRow:
    return ContentRow(
        row.name,
        row.kind,
        row.title or row.name,
        row.link,
        tuple(tracks.get(row.name, ())),
        tuple(sessions.get(row.name, ())),
    )


def _tracks(connection: Connection) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(
        select(TRACK.c.content, TRACK.c.track).distinct().order_by(TRACK.c.track.desc())
    ):
        found[row.content].append(row.track)
    return found


def _sessions(connection: Connection, now: datetime) -> Mapping[str, list[SessionRow]]:
    counted = (
        select(
            STANDING.c.content,
            STANDING.c.session,
            func.sum(case((STANDING.c.kind != "declined", 1), else_=0)).label("taken"),
            func.sum(case((STANDING.c.kind == "attended", 1), else_=0)).label("attended"),
            func.sum(case((STANDING.c.kind == "registered", 1), else_=0)).label("registered"),
        )
        .group_by(STANDING.c.content, STANDING.c.session)
        .subquery()
    )
    question = (
        select(SESSION, CONTENT.c.seats, counted.c.taken, counted.c.attended, counted.c.registered)
        .join(CONTENT, CONTENT.c.name == SESSION.c.content)
        .outerjoin(counted, (counted.c.content == SESSION.c.content) & (counted.c.session == SESSION.c.name))
        .order_by(SESSION.c.starts_at.is_(None), SESSION.c.starts_at, SESSION.c.name)
    )
    found: dict[str, list[SessionRow]] = defaultdict(list)
    for row in connection.execute(question):
        session = SessionRow(
            row.name,
            row.starts_at,
            row.closed_at,
            row.seats,
            int(row.taken or 0),
            int(row.registered or 0),
            int(row.attended or 0),
            _stand(row, now),
        )
        found[row.content].append(session)
    return found


def _stand(row: Row[Any], now: datetime) -> Stand:
    if row.starts_at is None:
        return "cancelled"
    if row.closed_at is not None:
        return "closed"
    if row.starts_at > now:
        return "ahead"
    return "open" if row.registered else "over"


def _people(connection: Connection, content: str) -> Mapping[str, Sequence[SeatRow]]:
    place = func.row_number().over(
        partition_by=STANDING.c.session, order_by=(LEAD.c.last_name, LEAD.c.first_name, LEAD.c.id)
    )
    listed = (
        select(
            STANDING.c.session, STANDING.c.kind, LEAD.c.id, LEAD.c.first_name, LEAD.c.last_name, LEAD.c.email
        )
        .add_columns(ACCOUNT.c.name.label("account"), place.label("place"))
        .join(LEAD, LEAD.c.id == STANDING.c.lead_id)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .where(STANDING.c.content == content, STANDING.c.session != "")
        .subquery()
    )
    found: dict[str, list[SeatRow]] = defaultdict(list)
    for row in connection.execute(
        select(listed).where(listed.c.place <= MOST_ASKED).order_by(listed.c.place)
    ):
        seat = SeatRow(row.id, name_of(row), row.email, row.account or "", row.kind)
        found[row.session].append(seat)
    return found

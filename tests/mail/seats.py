"""A company with a webinar whose seats are taken, given back, moved and cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from icalendar import Calendar

from leadnurture.domain.content import Content, Session
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import SEAT_MAILS, ReactionKind
from leadnurture.engine import NewReaction, record_reactions
from leadnurture.mail import Mail, deliver
from leadnurture.mail.provider import Attachment
from leadnurture.store import Database
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, TEMPLATES, Scene, definitions, template

# A Tuesday, 10:00 in Berlin.
STARTS = datetime(2027, 1, 19, 10)  # noqa: DTZ001 - local, as in a file
DAY = Duration(1, "days")
HOUR = Duration(1, "hours")
SEATS = {
    f"{mail}/{track}.mjml": template(
        f"{mail} for {track}",
        "{{ session.title }}, {{ session.date }}, {{ session.time }}, {{ session.zone }}"
        " <a href='{{ link }}'>Join</a> <a href='{{ decline_link }}'>Back</a>",
    )
    for mail in SEAT_MAILS
    for track in ("prospects", "clients")
}


@dataclass
class Seats:
    """The company, its clock, and the mails that left."""

    scene: Scene
    now: datetime = NOW
    provider: Kept = field(default_factory=Kept)
    told: int = 0

    @property
    def database(self) -> Database:
        return self.scene.database

    def apply(self, *starts: datetime | None, **content: Any) -> None:  # noqa: ANN401 - fields of a content
        """Stores the webinar with a session `january`, and `february` if a second date is given."""
        names = ("january", "february")
        webinar: dict[str, Any] = {
            "kind": "webinar",
            "title": (("en", "The talk"),),
            "length": Duration(45, "minutes"),
            "link": "https://www.example.com/talk",
            "remind": (DAY, HOUR),
            "tracks": ("prospects",),
            "sessions": tuple(Session(name, at) for name, at in zip(names, starts, strict=False)),
        }
        others = tuple(each for each in definitions().contents if each.name != "talk")
        self.scene.apply(
            contents=(*others, Content("talk", **{**webinar, **content})),
            templates=tuple({**TEMPLATES, **SEATS}.items()),
        )

    def tell(
        self, lead_id: int, kind: ReactionKind, session: str | None = "january", source: str = "web"
    ) -> None:
        """A lead takes a seat or gives it back; his look is over."""
        self.told += 1
        key = f"told-{self.told}"
        reaction = NewReaction(kind, key, source, self.now, lead_id, content="talk", session=session)
        assert record_reactions(self.database, [reaction], self.now).recorded == 1
        self.looked(lead_id)

    def looked(self, lead_id: int) -> None:
        """As after a look at a lead, of whom nothing is due."""
        self.scene.change("lead", lead_id, look_at=None)

    def sent(self, at: datetime | None = None, provider: Kept | None = None) -> list[Mail]:
        """What leaves now, or at an instant."""
        self.now = at or self.now
        for row in self.scene.rows("lead"):
            self.looked(row.id)
        provider = provider or self.provider
        before = len(provider.mails)
        deliver(self.database, provider, LINKS, self.now, machine_now=MACHINE)
        return sorted(provider.mails[before:], key=lambda mail: mail.message_id or 0)

    def rows(self, *status: str) -> list[Any]:
        """Mails about seats, with one of these states if any are named."""
        return [
            row
            for row in self.scene.rows("message")
            if row.occasion and row.status in (status or (row.status,))
        ]

    def planned(self) -> dict[str, datetime]:
        """When each planned mail about a seat leaves, by its occasion."""
        return {row.occasion: row.send_at for row in self.rows("planned")}


@dataclass(frozen=True)
class Entry:
    """What a calendar reads in the file of a mail."""

    method: str
    uid: str
    sequence: int
    status: str
    begins_at: datetime
    ends_at: datetime
    title: str
    text: bytes


def entry(mail: Mail) -> Entry:
    """The one entry that a mail carries."""
    (only,) = entries(mail)
    return only


def entries(mail: Mail) -> list[Entry]:
    """All entries that a mail carries, each a file of its own."""
    names = ["invite.ics", *(f"invite-{number}.ics" for number in range(2, len(mail.attachments) + 1))]
    assert [(file.name, file.kind) for file in mail.attachments] == [
        (name, "text/calendar") for name in names
    ]
    return [_entry(file) for file in mail.attachments]


def _entry(file: Attachment) -> Entry:
    (calendar,) = Calendar.from_ical(file.content, multiple=True)
    (event,) = calendar.walk("VEVENT")
    begins_at, ends_at = event.decoded("DTSTART"), event.decoded("DTEND")
    assert isinstance(begins_at, datetime)
    assert isinstance(ends_at, datetime)
    return Entry(
        str(calendar["METHOD"]),
        str(event["UID"]),
        int(str(event.decoded("SEQUENCE"))),
        str(event["STATUS"]),
        begins_at,
        ends_at,
        str(event["SUMMARY"]),
        file.content,
    )


def subjects(mails: Sequence[Mail]) -> list[str]:
    """What the mails are, in the order of planning."""
    return [mail.subject for mail in mails]


def before(instant: datetime, **span: float) -> datetime:
    """An instant earlier."""
    return instant - timedelta(**span)

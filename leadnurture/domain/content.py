"""A piece of content: a thing worth sending, with a variant for each track that uses it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from leadnurture.domain.asking import Ask
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import SESSION_KINDS, ContentKind, ReactionKind, Track

BEHIND: Final = frozenset[ReactionKind]({"attended", "missed"})
"""What can only be told of a session that has begun."""


@dataclass(frozen=True, slots=True)
class Session:
    """One date of a webinar or an event."""

    name: str
    starts: datetime | None
    """Local time of the company's zone, naive; None when the session is cancelled."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file of `config/content/`. Live: a change holds for everyone from the next mail on."""

    name: str
    kind: ContentKind
    title: tuple[tuple[str, str], ...]
    """(locale, title), the default locale first."""
    topics: tuple[str, ...] = ()
    sessions: tuple[Session, ...] = ()
    length: Duration | None = None
    seats: int | None = None
    link: str | None = None
    published: date | None = None
    until: date | None = None
    cost: float | None = None
    ask: Ask | None = None
    """What the page behind `{{ ask_link }}` asks."""
    remind: tuple[Duration, ...] = ()
    """How long before a session whoever has a seat is reminded."""
    is_service: bool = False
    """It answers something he asked for: any hour, whatever the pace, without consent, without points."""
    tracks: tuple[Track, ...] = ()
    """The tracks for which a template lies in `templates/email/<name>/`."""
    file: str = ""

    @property
    def has_sessions(self) -> bool:
        """Whether it takes place at dates, instead of lying on the shelf."""
        return self.kind in SESSION_KINDS

    @property
    def default_title(self) -> str:
        """The title in the company's first locale."""
        return self.title[0][1] if self.title else self.name

    def title_in(self, locale: str) -> str:
        """The title in a locale; the default one where there is none."""
        return dict(self.title).get(locale) or self.default_title

    def sessions_meant(
        self, kind: ReactionKind, at: datetime | None, now: datetime, zone: str
    ) -> tuple[str, ...]:
        """Which sessions can be meant where none is named.

        Whoever registers or declines means one that is ahead then, else any; whoever attended or missed means
        one that has begun when it is told.
        """
        starts = {one.name: one.starts.replace(tzinfo=ZoneInfo(zone)) for one in self.sessions if one.starts}
        if kind in BEHIND:
            return tuple(name for name, begins_at in starts.items() if begins_at <= now)
        ahead = tuple(name for name, begins_at in starts.items() if begins_at > (at or now))
        return ahead or tuple(one.name for one in self.sessions)


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A mail of one content, track and locale, with MJML compiled away: Jinja of subject, HTML and text."""

    content: str
    track: str
    hash: str
    path: str
    subject: str
    html: str
    text: str
    locale: str = ""
    """Empty for the first locale of the company, which serves whoever reads none of the others."""

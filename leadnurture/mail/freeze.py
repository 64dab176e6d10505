"""What a mail is made of, frozen when it is claimed: so that what was sent can be shown again exactly.

One idea to hold: a template is asked first which names it looks up, and only these are frozen. The JSON is
short, holds no more about a person than his mail does, and rendering it again with the template of the same
hash gives the same mail.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from leadnurture.definitions.mails import ASK_LINK, LINKS
from leadnurture.domain.clicks import HIDDEN_LINK
from leadnurture.domain.company import Company
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.language import (
    Language,
    date_told,
    duration_told,
    hours_told,
    language_of,
    place_told,
    weekday_told,
)
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import GONE_STATUSES, SeatMail
from leadnurture.engine import current_definitions
from leadnurture.links import Links
from leadnurture.mail import invites
from leadnurture.mail.invites import Appointment, ends_at
from leadnurture.mail.names import Path
from leadnurture.mail.rendering import Rendering, rendering
from leadnurture.store.instants import day_of, from_micros

DECLARED: Final = frozenset({"facts", "account"})
GONE: Final = ", ".join(f"'{status}'" for status in GONE_STATUSES)
NEWS: Final = frozenset[SeatMail]({"seat-moved", "seat-cancelled"})
"""What is told to every entry that there is; all else to the one of the seat."""
LINK: Final = "link"
"""The name of the link to a content, in the token of a click."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A claimed message with all that its mail is made of."""

    message_id: int
    template: str
    content: Mapping[str, Any]
    """`to`, `to_name`, `from`, `from_name`, `reply_to`, `bounces_to`, the `values` of the template, and the
    `invites` of a mail about a seat.
    """

    @property
    def facts(self) -> str:
        """As it lies in `message.facts`."""
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))


class Freezer:
    """Knows the compiled templates of the project and the links of its mails."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._known: dict[str, Rendering] = {}

    def load(self, connection: Connection) -> None:
        """Compiles the templates that are new, outside of any transaction that writes."""
        hashes = set(connection.execute(text("SELECT DISTINCT hash FROM content_track")).scalars())
        if not hashes <= self._known.keys():
            rows = connection.execute(
                text(
                    "SELECT hash, subject, html, text FROM source"
                    " WHERE hash IN (SELECT hash FROM content_track)"
                )
            )
            self._known = {row.hash: rendering(row.subject, row.html, row.text) for row in rows}

    def rendering(self, template: str) -> Rendering:
        """The compiled template of a claimed message."""
        return self._known[template]

    def freeze(self, connection: Connection, definitions: Definitions, now: datetime) -> list[Frozen]:
        """What the messages that may leave are made of; one with a template newer than the last `load` waits.

        Three statements at most.
        """
        rows = [row for row in connection.execute(_FACTS) if row.template in self._known]
        wanted = {row.template: self._known[row.template].paths for row in rows}
        declared = (
            _declared(connection, definitions.company)
            if any(path.root in DECLARED for paths in wanted.values() for path in paths)
            else {}
        )
        entries = _entries(connection) if any(row.occasion is not None for row in rows) else {}
        return [
            self._frozen(
                row, wanted[row.template], declared.get(row.id, {}), entries.get(row.id, ()), definitions, now
            )
            for row in rows
        ]

    def _frozen(
        self,
        row: Row[Any],
        paths: Sequence[Path],
        declared: Mapping[str, object],
        entries: Sequence[str],
        definitions: Definitions,
        now: datetime,
    ) -> Frozen:
        sender_name, sender = _sender(row, definitions)
        known = _Known(row, definitions, declared, (sender_name, sender))
        values: dict[str, Any] = {}
        for path in paths:
            if path.attribute is not None:
                values.setdefault(path.root, {})[path.attribute] = known.value(path)
            elif path.root not in LINKS:
                values[path.root] = row.variant or ""
        values |= {
            name: self._link(name, row, definitions.company)
            for name in LINKS
            if Path(name, None) in paths or name == "unsubscribe_link"
        }
        content = {
            "to": row.email,
            "to_name": _full_name(row),
            "from": sender,
            "from_name": sender_name,
            "reply_to": self._reply_to(row, sender, definitions.company),
            "bounces_to": self._links.answer_address(row.id) or sender,
            "values": values,
        }
        if row.occasion is not None:
            seat = _appointment(row, definitions, (sender_name, sender), now)
            uids = entries if row.content in NEWS else entries[:1]
            content["invites"] = [invites.frozen(replace(seat, uid=uid)) for uid in uids or (seat.uid,)]
        return Frozen(row.id, row.template, content)

    def _reply_to(self, row: Row[Any], sender: str, company: Company) -> list[str]:
        """Where answers go: to us, if they can; to the account manager who writes himself, in any case."""
        answers = self._links.answer_address(row.id)
        if answers is None:
            return [sender]
        return [answers] if sender == company.sender_address else [sender, answers]

    def _link(self, name: str, row: Row[Any], company: Company) -> str:
        links = self._links
        of_lead = {"unsubscribe_link": links.unsubscribe, "preferences_link": links.preferences}.get(name)
        if of_lead is not None:
            return of_lead(row.lead_id, row.id)
        of_session = {"register_link": links.register, "decline_link": links.decline}.get(name)
        if of_session is not None:
            return of_session(row.id, row.session or "")
        if name == ASK_LINK:
            return links.ask(row.id)
        if name == "hidden_link":
            return links.click(row.id, HIDDEN_LINK)
        if name == "download_link":
            return links.download(row.id) if row.link else company.url
        return links.click(row.id, LINK) if row.link or row.session_link else company.url


def target_of(connection: Connection, message_id: int, target: str) -> str | None:
    """Where a link of a message leads: to its content, else to the webinar that it is about.

    The hidden link leads there, too, or to the company. None for a link that is not there.
    """
    row = connection.execute(
        text("""
            SELECT coalesce(c.link, o.link) AS link FROM message m
              LEFT JOIN content c ON c.name = m.content LEFT JOIN content o ON o.name = m.session_content
             WHERE m.id = :id"""),
        {"id": message_id},
    ).first()
    if row is None or target not in {LINK, HIDDEN_LINK}:
        return None
    return row.link or (current_definitions(connection).company.url if target == HIDDEN_LINK else None)


_FACTS: Final = text("""
    SELECT m.id, m.lead_id, m.content, m.session, m.session_content, m.variant, w.template, w.locale,
           l.email, l.first_name, l.last_name, l.country, l.language, l.role, l.zone, l.source, l.track,
           a.name AS account_name, a.domain AS account_domain, a.owner AS account_owner,
           c.title, c.kind, c.link,
           o.title AS session_title, o.link AS session_link, o.kind AS session_kind,
           coalesce(n.starts_at, n.before_at) AS starts_at, n.sequence, m.occasion, m.seat_id
      FROM work_claim w
      JOIN message m ON m.id = w.message_id
      JOIN lead l ON l.id = m.lead_id
      LEFT JOIN account a ON a.id = l.account_id
      LEFT JOIN content c ON c.name = m.content
      LEFT JOIN content o ON o.name = m.session_content
      LEFT JOIN content_session n ON n.content = m.session_content AND n.name = m.session
     WHERE w.is_mine AND w.verdict = 'go' ORDER BY m.id""")


def _entries(connection: Connection) -> Mapping[int, Sequence[str]]:
    """The entries of its session that a message's lead was ever sent, by their UIDs.

    What was sent decides, and not to whom the seat belongs now: leads become one and two again, and calendars
    know nothing of it. First the entry that went to the address that is mailed, and the newest.
    """
    rows = connection.execute(
        text(f"""
            SELECT m.id, l.email, o.facts
              FROM work_claim w
              JOIN message m ON m.id = w.message_id
              JOIN lead l ON l.id = m.lead_id
              JOIN message o ON o.lead_id = m.lead_id
                            AND o.session_content = m.session_content AND o.session = m.session
             WHERE w.is_mine AND w.verdict = 'go' AND m.occasion IS NOT NULL
               AND o.occasion IS NOT NULL AND o.status IN ({GONE}) AND o.facts <> ''
             ORDER BY m.id, o.id DESC""")  # noqa: S608 - our own words
    )
    here: dict[int, list[str]] = {}
    elsewhere: dict[int, list[str]] = {}
    for row in rows:
        told = thawed(row.facts)
        found = here if told["to"] == row.email else elsewhere
        found.setdefault(row.id, []).extend(each["uid"] for each in told["invites"])
    return {
        number: tuple(dict.fromkeys([*here.get(number, ()), *elsewhere.get(number, ())]))
        for number in here | elsewhere
    }


def _declared(connection: Connection, company: Company) -> Mapping[int, Mapping[str, object]]:
    """The declared facts of each message's lead and account, by their full names, in the mail's language."""
    kinds = dict(company.facts)
    rows = connection.execute(
        text("""
            SELECT w.message_id, w.locale, f.name, f.text, f.number
              FROM work_claim w JOIN lead_fact f ON f.lead_id = w.lead_id
             WHERE w.is_mine AND w.verdict = 'go'
             UNION ALL
            SELECT w.message_id, w.locale, 'account.' || f.name, f.text, f.number
              FROM work_claim w
              JOIN lead l ON l.id = w.lead_id JOIN account_fact f ON f.account_id = l.account_id
             WHERE w.is_mine AND w.verdict = 'go'""")
    )
    found: dict[int, dict[str, object]] = {}
    for row in rows:
        value = _fact(kinds.get(row.name), row.text, row.number, language_of(row.locale))
        found.setdefault(row.message_id, {})[row.name] = value
    return found


def _fact(kind: str | None, words: str | None, number: float | None, language: Language) -> object:
    if number is None:
        return words
    if kind == "date":
        return date_told(day_of(int(number)), language)
    if kind == "flag":
        return bool(number)
    return int(number) if number.is_integer() else number


def _sender(row: Row[Any], definitions: Definitions) -> tuple[str, str]:
    """Who writes: the account manager where the agreement says so and there is one, else the company."""
    company = definitions.company
    if definitions.agreement(row.track).sender == "account manager" and row.account_owner:
        for person in company.people:
            if person.id == row.account_owner:
                return person.name, person.email
    return company.sender_in(row.locale), company.sender_address


def _full_name(row: Row[Any]) -> str:
    return " ".join(f"{row.first_name} {row.last_name}".split())


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that a template may look up about one message, in the language of its template."""

    row: Row[Any]
    definitions: Definitions
    declared: Mapping[str, object]
    sender: tuple[str, str]

    def value(self, path: Path) -> object:
        """The value of a dotted name; None where nothing is known."""
        return _VALUES[path.root](self, path.attribute or "")

    def of_lead(self, name: str) -> object:
        """`lead.first_name`."""
        if name in {"address", "email"}:
            return self.row.email
        return _full_name(self.row) if name == "name" else getattr(self.row, name)

    def of_account(self, name: str) -> object:
        """`account.name`, and the declared facts of the account."""
        if name == "owner":
            names = {person.id: person.name for person in self.definitions.company.people}
            return names.get(self.row.account_owner)
        return (
            getattr(self.row, f"account_{name}")
            if name in {"name", "domain"}
            else self.declared.get(f"account.{name}")
        )

    def of_content(self, name: str) -> object:
        """`content.title`."""
        content = self.definitions.find_content(self.row.content)
        if name == "title" and content is not None:
            return content.title_in(self.row.locale)
        if name == "length":
            length = None if content is None else content.length
            return None if length is None else duration_told(length, language_of(self.row.locale))
        return getattr(self.row, name)

    def of_session(self, name: str) -> object:
        """What the mail is about: a webinar in the reader's time, an event in that of its place."""
        row, company = self.row, self.definitions.company
        content = self.definitions.find_content(row.session_content)
        if name == "title":
            return row.session_title if content is None else content.title_in(row.locale)
        if row.starts_at is None:
            return None
        zone = company.zone if row.session_kind == "event" else row.zone
        length = None if content is None else content.length
        return session_words(row.starts_at, zone, length, language_of(row.locale))[name]

    def of_company(self, name: str) -> object:
        """`company.postal_address`."""
        return getattr(self.definitions.company, name)


_VALUES: Final[Mapping[str, Callable[[_Known, str], object]]] = {
    "lead": _Known.of_lead,
    "account": _Known.of_account,
    "facts": lambda known, name: known.declared.get(name),
    "content": _Known.of_content,
    "session": _Known.of_session,
    "sender": lambda known, name: known.sender[("name", "address").index(name)],
    "company": _Known.of_company,
}


def _appointment(
    row: Row[Any], definitions: Definitions, sender: tuple[str, str], now: datetime
) -> Appointment:
    """The seat as an entry of a calendar; its days are the company's, since it takes place there."""
    company = definitions.company
    content = definitions.find_content(row.session_content)
    starts_at = from_micros(row.starts_at)
    host = urlsplit(company.url).hostname or "localhost"
    return Appointment(
        uid=f"{row.session_content}.{row.session}.{row.seat_id}@{host}",
        sequence=row.sequence,
        is_cancelled=row.content == "seat-cancelled",
        starts_at=starts_at,
        ends_at=ends_at(starts_at, None if content is None else content.length, company),
        title=row.session_title if content is None else content.title_in(row.locale),
        link=row.session_link,
        organizer=sender,
        attendee=(_full_name(row), row.email),
        stamp=now,
    )


@functools.lru_cache(maxsize=4096)
def session_words(
    starts_at: int, zone: str, length: Duration | None, language: Language = "en"
) -> Mapping[str, str]:
    """`Tuesday 8 December 2026`, `15:00 to 15:45`, `Oslo time` of an instant in microseconds."""
    starts = from_micros(starts_at).astimezone(ZoneInfo(zone))
    ends = None
    if length is not None and length.is_absolute:
        ends = f"{starts + timedelta(microseconds=length.microseconds):%H:%M}"
    return {
        "date": weekday_told(starts.date(), language),
        "time": hours_told(f"{starts:%H:%M}", ends, language),
        "zone": place_told(zone, language),
    }


def thawed(facts: str) -> Mapping[str, Any]:
    """What `Frozen.facts` wrote."""
    content: Mapping[str, Any] = json.loads(facts)
    return content

"""`config/content/<name>.yaml` → `domain.content`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from leadnurture.definitions import files, times
from leadnurture.definitions.asks import read_ask
from leadnurture.definitions.company import address_of_page
from leadnurture.definitions.names import DECLARE_LOCALE, NAME, NAME_RULE, Names
from leadnurture.definitions.nodes import Entry, Map, Node, Scalar, named
from leadnurture.definitions.problems import Place, Report, meant
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import topics
from leadnurture.definitions.values import parsed, text_of
from leadnurture.domain.content import Content, Session
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import CONTENT_KINDS, SEAT_MAILS, SESSION_KINDS, TRACKS, ContentKind

CANCELLED: Final = "cancelled"
ONLY_SESSIONS: Final = "belongs to webinars and events, which take place at dates; leave it out"
NO_SERVICE: Final = "belongs to mails that answer something; a webinar or an event is offered, leave it out"
ONLY_SHELF: Final = "belongs to what lies on the shelf; a session ends by its date, leave it out"


def kind_of(node: Node | None) -> ContentKind | None:
    """The kind of a content before anything else of it is read; None while it is not readable."""
    kind = node.get("kind") if isinstance(node, Map) else None
    text = meant(kind.text, CONTENT_KINDS) if isinstance(kind, Scalar) else None
    return next((known for known in CONTENT_KINDS if known == text), None)


def read_content(
    name: str, node: Node | None, locales: tuple[str, ...], names: Names, report: Report
) -> Content:
    """The content; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Content, report)
    if not NAME.fullmatch(name):
        report.error(Place(), f'"{name}" cannot be the name of a content; rename the file with {NAME_RULE}')
    if name in SEAT_MAILS:
        report.error(Place(), f'"{name}" is the name of a mail to whoever has a seat; rename the file')
    if kind := kind_of(node):
        _check_kind(kind, fields)
    return Content(
        name=name,
        kind=fields.choice("kind", CONTENT_KINDS, "email"),
        title=_title(name, fields, locales, names, report),
        topics=topics(fields.scalars("topics"), names.topics, report),
        sessions=tuple(_session(entry, report) for entry in fields.entries("sessions")),
        length=fields.duration("length", times.LENGTHS),
        seats=fields.number("seats", 0, least=1) or None,
        link=fields.parsed("link", address_of_page, None),
        published=fields.day("published"),
        until=fields.day("until"),
        cost=_cost(fields),
        ask=read_ask(fields, names),
        remind=_remind(fields, report),
        is_service=_flag(fields, "service"),
        tracks=tuple(track for track in TRACKS if (name, track) in names.variants),
        file=report.file,
    )


def _check_kind(kind: ContentKind, fields: Fields) -> None:
    takes_place = kind in SESSION_KINDS
    if takes_place and _flag(fields, "service"):
        fields.report.error(fields.at("service"), f'"service" {NO_SERVICE}')
    for key in ("until",) if takes_place else ("sessions", "length", "seats", "remind"):
        if key in fields:
            why = ONLY_SHELF if takes_place else ONLY_SESSIONS
            fields.report.error(fields.at(key), f'"{key}" {why}')


def _title(
    name: str, fields: Fields, locales: tuple[str, ...], names: Names, report: Report
) -> tuple[tuple[str, str], ...]:
    """The titles by locale; one that has a template, and the first one, must have its own."""
    node = fields.node("title")
    if not isinstance(node, Map):
        return ((locales[0], fields.text("title")),)
    entries = fields.entries("title")
    titles = {entry.key.text: text_of(entry.value, "a title", report) or "" for entry in entries}
    for entry in entries:
        if entry.key.text not in locales:
            report.unknown(entry.key.place, "locale", entry.key.text, locales, DECLARE_LOCALE)
    for locale in locales:
        if locale not in titles and (locale == locales[0] or (name, locale) in names.translations):
            report.error(node.place, f"the title in {locale} is missing, and there are mails in it; add it")
    return tuple((locale, titles[locale]) for locale in locales if locale in titles)


def _session(entry: Entry, report: Report) -> Session:
    name = entry.key.text
    if not NAME.fullmatch(name):
        report.error(entry.key.place, f'"{name}" cannot be the name of a session; write {NAME_RULE}')
    return Session(name, parsed(entry.value, f'session "{name}"', _starts, report, None))


def _starts(text: str) -> datetime | None:
    return None if text == CANCELLED else times.moment(text)


def _remind(fields: Fields, report: Report) -> tuple[Duration, ...]:
    """The reminders, each once, the earliest first as they were written."""
    found = (
        parsed(part, '"remind"', lambda text: times.duration(text, times.SPANS), report, None)
        for part in fields.scalars("remind")
    )
    return tuple(dict.fromkeys(span for span in found if span is not None))


def _flag(fields: Fields, key: str) -> bool:
    node = fields.node(key)
    if node is None or (isinstance(node, Scalar) and isinstance(node.value, bool)):
        return isinstance(node, Scalar) and node.value is True
    fields.report.error(node.place, f'"{key}" takes true or false, not {named(node)}')
    return False


def _cost(fields: Fields) -> float | None:
    node = fields.node("cost")
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if node:
        fields.report.error(node.place, f'"cost" takes a number, not {named(node)}')
    return None

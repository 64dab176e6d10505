"""`config/content/<name>.yaml` → `domain.content`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from leadnurture.definitions import files, times
from leadnurture.definitions.company import address_of_page
from leadnurture.definitions.names import NAME, NAME_RULE
from leadnurture.definitions.nodes import Map, Scalar, named
from leadnurture.definitions.problems import Place, listed
from leadnurture.definitions.reading import Fields, known, parsed, text_of
from leadnurture.domain.content import Content, Session
from leadnurture.domain.vocabulary import CONTENT_KINDS, SESSION_KINDS, TRACKS, ContentKind

if TYPE_CHECKING:
    from datetime import date, datetime

    from leadnurture.definitions.names import Names
    from leadnurture.definitions.nodes import Entry, Node
    from leadnurture.definitions.problems import Report

CANCELLED: Final = "cancelled"
OF_SESSIONS: Final = ("sessions", "length", "seats")
OF_THE_SHELF: Final = ("until",)


def kind_of(node: Node | None) -> ContentKind | None:
    """The kind of a content before anything else of it is read; None while it is not readable."""
    kind = node.get("kind") if isinstance(node, Map) else None
    return cast("ContentKind", kind.text) if isinstance(kind, Scalar) and kind.text in get_args(ContentKind) else None


def read_content(name: str, node: Node | None, locales: tuple[str, ...], names: Names, report: Report) -> Content:
    """The content; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Content, report)
    kind = cast("ContentKind", fields.choice("kind", CONTENT_KINDS, "email", "kind"))
    _check_name(name, report)
    _check_kind(kind, fields, report)
    return Content(
        name=name,
        kind=kind,
        title=_title(fields, locales, report),
        topics=_topics(fields, names, report),
        sessions=tuple(_session(entry, report) for entry in fields.entries("sessions")),
        length=fields.duration("length", times.LENGTHS),
        seats=fields.number("seats", 0, least=1) or None,
        link=fields.parsed("link", address_of_page, None),
        published=fields.day("published"),
        until=fields.day("until"),
        cost=_cost(fields, report),
        tracks=tuple(track for track in TRACKS if (name, track) in names.variants),
        file=report.file,
    )


def check_future(content: Content, today: date | None, place: Place, report: Report) -> None:
    """Warn where a content that is sent by its name will not take place any more."""
    ahead = [session for session in content.sessions if session.starts and (today is None or session.starts.date() >= today)]
    if content.has_sessions and not ahead:
        report.warn(place, f'"{content.name}" has no session ahead, so this mail goes to nobody; add one to {content.file}')


def _check_name(name: str, report: Report) -> None:
    if not NAME.fullmatch(name):
        report.error(Place(), f'"{name}" cannot be the name of a content; rename the file with {NAME_RULE}')


def _check_kind(kind: ContentKind, fields: Fields, report: Report) -> None:
    foreign = OF_THE_SHELF if kind in SESSION_KINDS else OF_SESSIONS
    where = "its sessions say how long it is offered" if kind in SESSION_KINDS else f"only {listed(sorted(SESSION_KINDS))} take place"
    for key in foreign:
        if key in fields:
            report.error(fields.at(key), f'"{key}" has no meaning for kind {kind}: {where}; leave it out')


def _title(fields: Fields, locales: tuple[str, ...], report: Report) -> tuple[tuple[str, str], ...]:
    node = fields.node("title")
    if not isinstance(node, Map):
        return ((locales[0], fields.text("title")),)
    titles = {entry.key.text: text_of(entry.value, "a title", report) or "" for entry in fields.entries("title")}
    for entry in node.entries:
        if entry.key.text not in locales:
            report.unknown(entry.key.place, "locale", entry.key.text, locales, "name it under locales in config/leadnurture.yaml")
    for locale in locales:
        if locale not in titles:
            report.error(node.place, f"the title in {locale} is missing; add it, it is a locale of the company")
    return tuple((locale, titles.get(locale, "")) for locale in locales)


def _topics(fields: Fields, names: Names, report: Report) -> tuple[str, ...]:
    scalars = fields.scalars("topics")
    if not report.company_is_known:
        return tuple(scalar.text for scalar in scalars)
    return known(scalars, names.topics, "topic", report, "declare it under topics in config/leadnurture.yaml")


def _session(entry: Entry, report: Report) -> Session:
    name = entry.key.text
    if not NAME.fullmatch(name):
        report.error(entry.key.place, f'"{name}" cannot be the name of a session; write {NAME_RULE}')
    return Session(name, parsed(entry.value, f'session "{name}"', _starts, report, None))


def _starts(text: str) -> datetime | None:
    return None if text == CANCELLED else times.moment(text)


def _cost(fields: Fields, report: Report) -> float | None:
    node = fields.node("cost")
    if node is None:
        return None
    if isinstance(node, Scalar) and isinstance(node.value, int | float) and not isinstance(node.value, bool) and node.value >= 0:
        return float(node.value)
    report.error(node.place, f'"cost" takes a number, not {named(node)}')
    return None

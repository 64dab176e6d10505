"""The page behind the second link of every mail: what a lead wants from us. GET and HEAD change nothing."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from leadnurture import engine
from leadnurture.domain.company import Company
from leadnurture.domain.language import date_told, language_of, name_of
from leadnurture.profile import telling
from leadnurture.web import lookup
from leadnurture.web.doorkeeper import READ
from leadnurture.web.doors import BrokenLinkError
from leadnurture.web.site import Here, Site

router = APIRouter()
BY: Final = "the lead, by the link in a mail"
Topic = Annotated[str, Form(max_length=200)]


@router.api_route("/p/{token}", methods=READ)
def ask_for_preferences(token: str, site: Here) -> HTMLResponse:
    """Topics, pace, a pause, the language and the way out, as they are now."""
    message_id, who, company = _reader(site, token)
    return _page(site, message_id, who, company)


@router.post("/p/{token}")
def choose_preferences(
    token: str,
    site: Here,
    mails: Annotated[int, Form()],
    topic: Annotated[list[Topic] | None, Form(max_length=100)] = None,
    pause: Annotated[int | None, Form()] = None,
    language: Annotated[str | None, Form(max_length=20)] = None,
) -> HTMLResponse:
    """Keeps what was chosen. Whoever has unsubscribed already has chosen all there is."""
    message_id, who, company = _reader(site, token)
    if who.has_left:
        return _page(site, message_id, who, company)
    choice = engine.Choice(frozenset(topic or ()), mails or None, pause, language)
    project = site.project
    engine.choose_preferences(project.database, who.lead_id, choice, BY, project.clock())
    message_id, who, company = _reader(site, token)
    return _page(site, message_id, who, company, is_saved=True)


def _reader(site: Site, token: str) -> tuple[int | None, lookup.Reader, Company]:
    choosing = site.project.links.read_preferences(token)
    if choosing is None:
        raise BrokenLinkError
    with site.project.database.read() as connection:
        company = engine.current_definitions(connection).company
        who = lookup.reader(connection, choosing.lead_id, company)
    if who is None:
        raise BrokenLinkError
    return choosing.message_id, who, company


def _page(
    site: Site, message_id: int | None, who: lookup.Reader, company: Company, *, is_saved: bool = False
) -> HTMLResponse:
    if who.has_left:
        return site.page("unsubscribed.html", {"email": who.email}, locale=who.locale)
    with site.project.database.read() as connection:
        wants = engine.preferences_of(connection, who.lead_id, site.project.clock())
    leave = site.project.links.unsubscribe(who.lead_id, message_id)
    values = {
        "email": who.email,
        "wants": wants,
        "topics": company.topics,
        "paces": engine.PACES,
        "pauses": engine.PAUSES,
        "paused_until": _until(wants, who),
        "locales": [(locale, name_of(locale)) for locale in company.locales],
        "reads": who.locale,
        "leave": urlsplit(leave).path,
        "is_saved": is_saved,
    }
    return site.page("preferences.html", values, locale=who.locale)


def _until(wants: engine.Preferences, who: lookup.Reader) -> str:
    if wants.paused_until is None:
        return ""
    return date_told(telling.local(wants.paused_until, who.zone).date(), language_of(who.locale))

"""The pages of the tool. They read, and change nothing; who may see them stands in `rights`."""

import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection

from leadnurture import engine, mail, reports
from leadnurture.domain.vocabulary import MESSAGE_STATUSES, ORDERED_STAGES, STAGES, Stage, Track
from leadnurture.errors import NotFoundError
from leadnurture.profile import telling
from leadnurture.web import lookup
from leadnurture.web.doorkeeper import READ
from leadnurture.web.doors import return_reasons
from leadnurture.web.guard import POLICY_OF_MAIL, POLICY_WITH_CHART
from leadnurture.web.site import PAGE, Before, Here, Id, Site

HEAD: Final = re.compile(r"<head[^>]*>", re.IGNORECASE)
# A frame without the right to open windows: links that open one do nothing.
DEAD_LINKS: Final = '<base target="_blank">'
# Mermaid draws more than it can be read.
MOST_STEPS: Final = 25
MOST_MAILS: Final = 12
"""Of which somebody may tell what the lead said."""
Shown = Literal["everything", "reactions", "mails", "moves", "people"]
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "everything": frozenset(),
    "reactions": frozenset({"reaction", "click", "points", "consent", "preferences"}),
    "mails": frozenset({"mail"}),
    "moves": frozenset({"moved", "stage", "handoff", "deal"}),
    "people": frozenset({"note", "handoff", "deal"}),
}
"""The kinds of entries that each view of a journey shows."""

Answer = TypeVar("Answer")
FactValue = bool | float | str | date
ProgramName = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=200)]
Search = Annotated[str, Query(max_length=200)]
Score = Annotated[str, Query(pattern=r"^(-?\d{1,6})?$")]
"""A form that is sent empty asks for nothing."""


router = APIRouter(default_response_class=HTMLResponse)


def _ask(site: Site, question: Callable[[Connection], Answer]) -> Answer:
    with site.project.database.read() as connection:
        return question(connection)


@router.api_route("/", methods=READ)
def start(site: Here, track: Track = "prospects") -> HTMLResponse:
    """How everything stands."""
    now = site.project.clock()
    status = _ask(site, lambda connection: reports.status(connection, now))
    programs = [row for row in status.programs if row.track == track and row.is_live]
    values = {"section": "/", "track": track, "status": status, "programs": programs}
    return site.page("start.html", values)


@router.api_route("/programs", methods=READ)
def list_programs(site: Here, track: Track = "prospects") -> HTMLResponse:
    """The programs of a track, and how many leads are in them."""
    now = site.project.clock()
    rows = _ask(site, lambda connection: reports.programs(connection, now))
    programs = [row for row in rows if row.track == track]
    return site.page("programs.html", {"section": "/programs", "track": track, "programs": programs})


@router.api_route("/programs/{name}", methods=READ)
def show_program(name: ProgramName, site: Here) -> HTMLResponse:
    """A program: its chart with counts, and the same as a table."""
    now = site.project.clock()
    page = _ask(site, lambda connection: reports.program_page(connection, name, now))
    ways: dict[str, list[object]] = {}
    for way in page.ways:
        ways.setdefault(way.step, []).append(way)
    values = {"section": "/programs", "track": page.track, "program": page, "ways": ways}
    chart = page.chart if len(page.steps) <= MOST_STEPS else ""
    policy = POLICY_WITH_CHART if chart else None
    return site.page("program.html", {**values, "chart": chart}, policy=policy)


@router.api_route("/handoffs", methods=READ)
def list_handoffs(site: Here, track: Track = "prospects") -> HTMLResponse:
    """The desk of sales: open handoffs, highest score first, and what was decided lately."""
    now = site.project.clock()
    desk = _ask(site, lambda connection: reports.handoff_list(connection, track, now))
    values = {
        "section": "/handoffs",
        "track": track,
        "desk": desk,
        "return_reasons": return_reasons(site.definitions(), track),
    }
    return site.page("handoffs.html", values)


@router.api_route("/leads", methods=READ)
def list_leads(
    site: Here,
    track: Track = "prospects",
    q: Search = "",
    stage: Stage | Literal[""] = "",
    program: Annotated[str, Query(pattern=r"^[\w.-]*$", max_length=200)] = "",
    score: Score = "",
    before: Annotated[str, Query(pattern=r"^(-?\d{1,9}_\d{1,18})?$")] = "",
) -> HTMLResponse:
    """Leads by words of name, address and account, by stage, program and score; highest score first."""
    search = _printable(q)
    least, place = int(score) if score else None, _place(before)

    def question(connection: Connection) -> tuple[Sequence[reports.LeadRow], bool]:
        filters = partial(reports.leads, connection, search=search, stage=stage or None, least=least)
        found = filters(track=track, program=program or None, limit=PAGE + 1, before=place)
        other: Track = "clients" if track == "prospects" else "prospects"
        return found, not found and not program and bool(filters(track=other, limit=1))

    found, elsewhere = _ask(site, question)
    chosen = {"track": track, "q": search, "stage": stage, "program": program, "score": score}
    values = {
        "section": "/leads",
        **chosen,
        "is_elsewhere": elsewhere,
        "stage_names": STAGES,
        "stages": [(name, _address("/leads", {**chosen, "stage": name})) for name in ("", *STAGES)],
        "program_names": _program_names(site, track),
        **_paged(found, before, "/leads", chosen, lambda row: "{}_{}".format(*row.place)),
    }
    return site.page("leads.html", values)


def _place(before: str) -> tuple[int, int] | None:
    score, _, lead_id = before.partition("_")
    return (int(score), int(lead_id)) if before else None


def _program_names(site: Site, track: Track) -> list[tuple[str, str]]:
    """The programs of a track by title; none while nothing is applied."""
    try:
        programs = site.definitions().programs
    except NotFoundError:
        return []
    return [(one.name, one.title or one.name) for one in programs if one.track == track]


def _paged(
    found: Sequence[Any],
    before: object,
    path: str,
    chosen: Mapping[str, str | None],
    place: Callable[[Any], object] = attrgetter("id"),
) -> dict[str, object]:
    """The rows of one page, and the addresses of the first page and of the one that follows."""
    rows = found[:PAGE]
    more = {**chosen, "before": str(place(rows[-1]))} if len(found) > PAGE else None
    return {
        "rows": rows,
        "newest": _address(path, chosen) if before else None,
        "older": _address(path, more) if more else None,
    }


def _address(path: str, chosen: Mapping[str, str | None]) -> str:
    return f"{path}?{urlencode({name: value for name, value in chosen.items() if value})}"


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()


@router.api_route("/leads/{lead_id}", methods=READ)
def show_lead(lead_id: Id, site: Here, show: Shown = "everything") -> Response:
    """What we know of a lead: journey, score, and what comes next. A number of before a merge leads on."""
    now = site.project.clock()
    its_id = _ask(site, lambda connection: engine.lead_id_of(connection, lead_id))
    if its_id != lead_id:
        return RedirectResponse(f"/leads/{its_id}", 303)

    def question(connection: Connection) -> tuple[reports.Journey, reports.HandoffRow | None]:
        open_id = lookup.open_handoff(connection, lead_id)
        handoff = None if open_id is None else reports.handoff(connection, open_id, now)
        return reports.journey(connection, lead_id, now), handoff

    journey, handoff = _ask(site, question)
    who = journey.who
    values = {
        "section": "/leads",
        "track": who.track,
        "journey": journey,
        "handoff": handoff,
        "return_reasons": return_reasons(site.definitions(), who.track),
        "stage_names": STAGES if who.stage == "lost" else ORDERED_STAGES,
        "facts": [_fact(name, value) for name, value in who.facts if not name.startswith("account.")],
        "account_facts": [_fact(name, value) for name, value in who.facts if name.startswith("account.")],
        "show": show,
        "kinds": KINDS,
        "days": _days(journey, KINDS[show]),
        "answers": engine.feedback_answers(site.definitions(), who.track),
        "channels": engine.CHANNELS,
        "sent": _sent(journey),
        "form_key": secrets.token_hex(12),
    }
    return site.page("lead.html", values, zone=journey.zone)


def _fact(name: str, value: FactValue) -> tuple[str, str]:
    label = name.removeprefix("account.").replace("_", " ").capitalize()
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if isinstance(value, date):
        return label, telling.date_told(value)
    return label, value if isinstance(value, str) else telling.number_told(value)


def _sent(journey: reports.Journey) -> list[Any]:
    """The mails of which somebody may speak, newest first."""
    mails = [entry for entry in journey.story if entry.kind == "mail" and entry.text.startswith("Sent")]
    return mails[: -MOST_MAILS - 1 : -1]


def _days(journey: reports.Journey, kinds: Collection[str]) -> list[tuple[datetime, list[Any]]]:
    """The story by day, newest first; within a day too. Only these kinds of entries, if there are any."""
    days: dict[date, list[Any]] = {}
    for entry in reversed(journey.story):
        if kinds and entry.kind not in kinds:
            continue
        days.setdefault(telling.local(entry.at, journey.zone).date(), []).append(entry)
    return [(entries[0].at, entries) for entries in days.values()]


@router.api_route("/outbox", methods=READ)
def list_mails(
    site: Here, track: Track = "prospects", status: str | None = None, before: Before = None
) -> HTMLResponse:
    """The mails of a track, newest first."""
    wanted = status if status in MESSAGE_STATUSES else None
    found = _ask(
        site,
        lambda connection: reports.outbox(
            connection, track=track, status=wanted, limit=PAGE + 1, before=before
        ),
    )
    chosen = {"track": track, "status": wanted}
    tabs = (None, *MESSAGE_STATUSES)
    values = {
        "section": "/outbox",
        **chosen,
        "tabs": [(name, _address("/outbox", {**chosen, "status": name})) for name in tabs],
        **_paged(found, before, "/outbox", chosen),
    }
    return site.page("outbox.html", values)


@router.api_route("/outbox/{message_id}", methods=READ)
def show_message(message_id: Id, site: Here) -> HTMLResponse:
    """A mail as it was sent, HTML beside text."""

    def question(connection: Connection) -> dict[str, object]:
        row = next(iter(reports.outbox(connection, before=message_id + 1, limit=1)), None)
        if row is None or row.id != message_id:
            raise NotFoundError(f"There is no mail {message_id}; look for it in the outbox.")
        shown = mail.show(connection, message_id) if row.is_rendered else None
        invite = mail.invite_of(connection, message_id)
        return {"section": "/outbox", "track": row.track, "message": row, "shown": shown, "invite": invite}

    return site.page("mail.html", _ask(site, question))


@router.api_route("/outbox/{message_id}/html", methods=READ)
def show_mail(message_id: Id, site: Here) -> HTMLResponse:
    """The HTML of a mail as it was sent, for a frame: it may run nothing, ask nobody and lead nowhere."""
    shown = _ask(site, lambda connection: mail.show(connection, message_id))
    html, heads = HEAD.subn(lambda found: found[0] + DEAD_LINKS, shown.html, count=1)
    return HTMLResponse(
        html if heads else DEAD_LINKS + html, headers={"Content-Security-Policy": POLICY_OF_MAIL}
    )

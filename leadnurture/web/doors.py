"""The public links of mails and notices: click, unsubscribe, register, download, accept or return a handoff.

GET and HEAD change nothing, except that `/c/…` appends one raw click. A token that cannot be read is a
page that says so. Every answer of a person is told under a key of its own: whoever answers again means it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, mail, reports
from leadnurture.domain.agreement import ReturnReason
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.language import hours_told, language_of, place_told, weekday_told
from leadnurture.domain.vocabulary import ReactionKind, Track
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.profile import telling
from leadnurture.web import lookup
from leadnurture.web.doorkeeper import READ
from leadnurture.web.guard import POLICY
from leadnurture.web.questions import put_about
from leadnurture.web.site import Here, Site

router = APIRouter()
SOURCE: Final = "web"
SAFE_SCHEMES: Final = ("http://", "https://")
LONGEST_NOTE: Final = 2_000
OBSTACLES: Final[Mapping[engine.Obstacle, str]] = {
    "cancelled": "Cancelled",
    "over": "Already over",
    "full": "No seat is left",
}
NO_REASON: Final = "Choose why you return the lead; go back and press again."


async def _told(request: Request) -> Mapping[str, str]:
    """The facts that a reason to return a lead asks for: fields whose names begin with `told.`."""
    form = await request.form()
    fields = ((name.removeprefix("told."), value) for name, value in form.items() if name.startswith("told."))
    return {name: value for name, value in fields if isinstance(value, str)}


Told = Annotated[Mapping[str, str], Depends(_told)]


class BrokenLinkError(NotFoundError):
    """This link is cut off or no longer works. Open it again from the mail, whole."""


@router.api_route("/c/{token}", methods=READ)
def click(token: str, request: Request, site: Here) -> Response:
    """Leads on to the link's own target, which is looked up, never taken from the address."""
    project = site.project
    clicked = project.links.read_click(token)
    if clicked is None:
        raise BrokenLinkError
    with project.database.read() as connection:
        target = mail.target_of(connection, clicked.message_id, clicked.target)
    if target is None or not target.startswith(SAFE_SCHEMES):
        raise BrokenLinkError
    raw = engine.RawClick(
        message_id=clicked.message_id,
        link=clicked.target,
        method="HEAD" if request.method == "HEAD" else "GET",
        agent=request.headers.get("user-agent", ""),
        network=project.links.network(request.client.host if request.client else None),
        key=secrets.token_hex(12),
    )
    engine.keep_click(project.database, raw, project.clock())
    return RedirectResponse(target, 302)


def _record(site: Site, kind: ReactionKind, **about: Any) -> engine.Recorded:  # noqa: ANN401 - fields of NewReaction
    reaction = engine.NewReaction(kind=kind, key=secrets.token_hex(12), source=SOURCE, **about)
    return engine.record_reactions(site.project.database, [reaction], site.project.clock())


@router.api_route("/u/{token}", methods=READ)
def ask_to_unsubscribe(token: str, site: Here) -> HTMLResponse:
    """The page with the button; scanners that follow the link change nothing."""
    who, _ = _leaving(site, token)
    template = "unsubscribed.html" if who.has_left else "unsubscribe.html"
    return site.page(template, {"email": who.email}, locale=who.locale)


@router.post("/u/{token}")
def unsubscribe(token: str, site: Here) -> HTMLResponse:
    """Honours at once, by the button or by a mail program (RFC 8058): nothing but the token is asked for."""
    who, message_id = _leaving(site, token)
    if not who.has_left:
        _record(site, "unsubscribed", lead_id=who.lead_id, message_id=message_id)
    return site.page("unsubscribed.html", {"email": who.email}, locale=who.locale)


def _leaving(site: Site, token: str) -> tuple[lookup.Reader, int | None]:
    leaving = site.project.links.read_unsubscribe(token)
    if leaving is None:
        raise BrokenLinkError
    with site.project.database.read() as connection:
        company = engine.current_definitions(connection).company
        who = lookup.reader(connection, leaving.lead_id, company)
    if who is None:
        raise BrokenLinkError
    return who, leaving.message_id


@router.api_route("/w/{token}", methods=READ)
def ask_for_seat(token: str, site: Here) -> HTMLResponse:
    """The page with the buttons to register and to decline; what the link said stands first."""
    _, seat = _seat(site, token)
    return _seat_page(site, seat, declines=site.project.links.read_decline(token) is not None)


@router.post("/w/{token}")
def answer_for_seat(
    token: str, site: Here, answer: Annotated[Literal["registered", "declined"], Form()]
) -> HTMLResponse:
    """Records the answer; whoever answers again is taken at his last word."""
    message_id, seat = _seat(site, token)
    is_wish = answer == "registered"
    if is_wish and not seat.session:
        return _seat_page(site, seat)
    if answer != seat.standing:
        about = {"message_id": message_id, "content": seat.content, "session": seat.session or None}
        refused = _record(site, answer, is_wish=is_wish, **about).refused
        if refused:
            return _seat_page(site, replace(seat, obstacle=refused[0]), is_refused=True)
    return _seat_page(site, replace(seat, standing=answer), answered=answer)


def _seat(site: Site, token: str) -> tuple[int, lookup.Seat]:
    links = site.project.links
    offered = links.read_register(token) or links.read_decline(token)
    if offered is None:
        raise BrokenLinkError
    with site.project.database.read() as connection:
        definitions = engine.current_definitions(connection)
        now = site.project.clock()
        seat = lookup.seat(connection, offered.message_id, offered.session, definitions, now)
    if seat is None:
        raise BrokenLinkError
    return offered.message_id, seat


def _seat_page(
    site: Site,
    seat: lookup.Seat,
    answered: str | None = None,
    *,
    declines: bool = False,
    is_refused: bool = False,
) -> HTMLResponse:
    """`is_refused`: he has just asked for a seat in vain."""
    values = {
        "seat": seat,
        "declines": declines,
        "answered": answered,
        "when": _local_time(seat),
        "obstacle": OBSTACLES[seat.obstacle] if seat.obstacle else None,
        "is_refused": is_refused,
    }
    return site.page("seat.html", values, locale=seat.locale)


def _local_time(seat: lookup.Seat) -> str:
    if seat.starts_at is None:
        return ""
    local, language = telling.local(seat.starts_at, seat.zone), language_of(seat.locale)
    hour = hours_told(f"{local:%H:%M}", None, language)
    return f"{weekday_told(local.date(), language)}, {hour}, {place_told(seat.zone, language)}"


@router.api_route("/d/{token}", methods=READ)
def ask_for_file(token: str, site: Here) -> HTMLResponse:
    """The page with the button; scanners that follow the link fetch nothing."""
    _, file = _file(site, token)
    target = urlsplit(file.link)
    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {target.scheme}://{target.netloc}")
    return site.page("download.html", {"file": file}, policy=policy, locale=file.locale)


@router.post("/d/{token}")
def fetch_file(token: str, site: Here) -> Response:
    """Notes that it was downloaded and leads on to it, wherever the content's file says that it is."""
    message_id, file = _file(site, token)
    _record(site, "downloaded", message_id=message_id, content=file.content)
    return RedirectResponse(file.link, 303)


def _file(site: Site, token: str) -> tuple[int, lookup.File]:
    message_id = site.project.links.read_download(token)
    if message_id is None:
        raise BrokenLinkError
    with site.project.database.read() as connection:
        file = lookup.file(connection, message_id, engine.current_definitions(connection))
    if file is None or not file.link.startswith(SAFE_SCHEMES):
        raise BrokenLinkError
    return message_id, file


@router.api_route("/h/{token}", methods=READ)
def ask_for_decision(token: str, site: Here) -> HTMLResponse:
    """Who is offered to sales and why, with the buttons to accept and to return."""
    return handoff_page(site, _handoff(site, token))


@router.post("/h/{token}")
def decide(
    token: str,
    site: Here,
    told: Told,
    decision: Annotated[Literal["accepted", "returned"], Form()],
    reason: Annotated[str | None, Form(max_length=200)] = None,
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
) -> HTMLResponse:
    """Accepts or returns. The first decision wins; a later one is told who did."""
    row = _handoff(site, token)
    if decision == "returned" and not reason:
        raise InvalidInputError(NO_REASON)
    project = site.project
    by, now = row.assigned_to or "sales", project.clock()
    actor = f"{by}, by the link in the notice"
    decided = engine.decide_handoff(
        project.database, row.id, decision, by, now, reason=reason, note=plain(note) or None, actor=actor,
        told=told,
    )  # fmt: skip
    return handoff_page(site, _handoff(site, token), was_late=not decided.was_open)


def plain(note: str) -> str:
    """A note without what nobody types."""
    return "".join(character for character in note if character >= " " or character in "\n\t").strip()


def _handoff(site: Site, token: str) -> reports.HandoffRow:
    project = site.project
    now = project.clock()
    handoff_id = project.links.read_handoff(token, now)
    if handoff_id is None:
        raise BrokenLinkError
    with project.database.read() as connection:
        return reports.handoff(connection, handoff_id, now)


def handoff_page(site: Site, row: reports.HandoffRow, *, was_late: bool = False) -> HTMLResponse:
    """Who is offered to sales, or what became of it; `was_late` says that an answer came after another."""
    reasons = return_reasons(site.definitions(), row.track)
    values = {
        "handoff": row,
        "return_reasons": reasons,
        "next": {reason["reason"]: reason["next"] for reason in reasons}.get(row.return_reason or "", ""),
        "was_late": was_late,
    }
    return site.page("handoff.html", values)


def return_reasons(definitions: Definitions, track: Track) -> list[dict[str, Any]]:
    """The reasons for which the agreement lets sales return a lead, what each asks, and what follows."""
    return [
        {
            "reason": known.reason,
            "next": _next(definitions, known),
            "asked": [put_about(question) for question in (known.ask.questions if known.ask else ())],
        }
        for known in definitions.agreement(track).returns
    ]


def _next(definitions: Definitions, known: ReturnReason) -> str:
    if known.program:
        return f"Goes on in the program “{definitions.program(known.program).title}”"
    return "Goes on where the program stood" if known.go == "resume" else "No further programs"

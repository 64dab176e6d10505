"""What is asked and answered: by a lead on the page of a mail, by one of our people about a task.

GET and HEAD change nothing. One question at a time, in the order in which the file asks; the page after an
answer asks the next one, or says thank you.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import engine, reports
from leadnurture.domain.language import language_of
from leadnurture.domain.vocabulary import Track
from leadnurture.web import lookup
from leadnurture.web.desk import acting_as
from leadnurture.web.doorkeeper import READ
from leadnurture.web.doors import LONGEST_NOTE, BrokenLinkError, plain
from leadnurture.web.questions import Put, put_about, put_to_lead
from leadnurture.web.site import Here, Id, Site

router = APIRouter()
Name = Annotated[str, Form(max_length=100)]
Said = Annotated[str, Form(max_length=400)]
Note = Annotated[str, Form(max_length=LONGEST_NOTE)]


@router.api_route("/a/{token}", methods=READ)
def ask(token: str, site: Here, again: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
    """The page with the question that is not answered yet, or with one that he wants to answer anew."""
    message_id, task_id = _of(site, token)
    if task_id is not None:
        return _task_page(site, _task(site, task_id))
    return _page(site, _mail(site, message_id or 0), again=again)


@router.post("/a/{token}")
def answer(token: str, site: Here, answer: Said, name: Name = "", note: Note = "") -> HTMLResponse:
    """Takes an answer; the same again changes nothing."""
    project, now = site.project, site.project.clock()
    message_id, task_id = _of(site, token)
    if task_id is not None:
        asking = _task(site, task_id)
        by = (asking.task.person if asking.task else None) or "somebody"
        given = engine.Given(name, answer, by, f"{by}, by the link in the notice", note=plain(note) or None)
        done = engine.answer(project.database, given, now, task_id=task_id)
        return _task_page(site, done.asking, was_late=done.became == "known")
    asking = _mail(site, message_id or 0)
    question = asking.ask.question(name) if asking.ask else None
    wording = _put(site, asking, name).wording if question and question.about == "consent" else ""
    given = engine.Given(name, answer, wording=wording)
    done = engine.answer(project.database, given, now, message_id=message_id)
    return _page(site, done.asking, is_answered=True, is_refused=done.became == "unsubscribed")


def _of(site: Site, token: str) -> tuple[int | None, int | None]:
    """The mail or the task that a link is about."""
    links = site.project.links
    message_id, task_id = links.read_ask(token), links.read_task(token, site.project.clock())
    if message_id is None and task_id is None:
        raise BrokenLinkError
    return message_id, task_id


def _mail(site: Site, message_id: int) -> engine.Asking:
    with site.project.database.read() as connection:
        asking = engine.asked_by_mail(connection, message_id, site.project.clock())
    if asking is None or asking.ask is None:
        raise BrokenLinkError
    return asking


def _task(site: Site, task_id: int) -> engine.Asking:
    with site.project.database.read() as connection:
        asking = engine.asked_by_task(connection, task_id)
    if asking is None:
        raise BrokenLinkError
    return asking


def _put(site: Site, asking: engine.Asking, name: str) -> Put:
    question = asking.ask.question(name) if asking.ask else None
    if question is None:
        raise BrokenLinkError
    return put_to_lead(question, site.definitions().company, asking.email, language_of(_locale(site, asking)))


def _locale(site: Site, asking: engine.Asking) -> str:
    """The one that whoever is asked reads."""
    company = site.definitions().company
    with site.project.database.read() as connection:
        who = lookup.reader(connection, asking.lead_id, company)
    return company.locales[0] if who is None else who.locale


def _page(
    site: Site, asking: engine.Asking, *, again: str = "", is_answered: bool = False, is_refused: bool = False
) -> HTMLResponse:
    left = next(iter(asking.left), None)
    changeable = [question.name for question in asking.changeable]
    name = again if again in changeable else left.name if left and not is_refused else None
    values = {
        "asking": asking,
        "question": _put(site, asking, name) if name else None,
        "is_answered": is_answered,
        "is_refused": is_refused,
        "said": [(_put(site, asking, each), asking.said[each]) for each in changeable],
    }
    return site.page("ask.html", values, locale=_locale(site, asking))


def _task_page(site: Site, asking: engine.Asking, *, was_late: bool = False) -> HTMLResponse:
    left = next(iter(asking.left), None)
    is_open = asking.task is not None and asking.task.status == "open"
    values = {
        "asking": asking,
        "task": asking.task,
        "question": put_about(left) if left else None,
        "is_open": is_open,
        "was_late": was_late,
        "names": {person.id: person.name for person in site.definitions().company.people},
    }
    return site.page("task.html", values)


@router.api_route("/tasks", methods=READ)
def list_tasks(site: Here, track: Track = "prospects") -> HTMLResponse:
    """What our people are to do; whoever looks sees what is his own first."""
    me = acting_as(site, site.whoever.name)
    with site.project.database.read() as connection:
        tasks = reports.open_tasks(connection, site.project.clock(), track=track, me=me)
    rows = [(row, put_about(row.question) if row.question else None) for row in tasks.rows]
    return site.page("tasks.html", {"section": "/tasks", "track": track, "rows": rows, "total": tasks.total})


@router.post("/tasks/{task_id}")
def answer_task(
    task_id: Id,
    site: Here,
    answer: Said,
    name: Name = "",
    note: Note = "",
    track: Annotated[Track, Form(alias="list")] = "prospects",
) -> Response:
    """Takes an answer and goes back to the list; one that came too late is told who answered before."""
    by, project = acting_as(site, site.whoever.name), site.project
    given = engine.Given(name, answer, by, site.whoever.name, note=plain(note) or None)
    done = engine.answer(project.database, given, project.clock(), task_id=task_id)
    if done.became == "taken":
        return RedirectResponse(f"/tasks?track={track}", 303)
    return _task_page(site, done.asking, was_late=True)

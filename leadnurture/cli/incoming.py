"""Commands about what came in: read it again, sort replies, judge clicks, settle mails in doubt."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from leadnurture.app import Project, open_project, read_inbox
from leadnurture.cli.output import HERE, Format, OutputFormat, ProjectFolder, progress, show, told
from leadnurture.errors import InvalidInputError

if TYPE_CHECKING:
    from leadnurture.engine import Judged

SOMEBODY = "a person at the command line"
SOURCES = ("sendgrid", "inbound", "webinar", "leads", "reactions")


def replay(
    source: Annotated[
        str | None,
        typer.Option(help="Only what came from there: sendgrid, inbound, webinar, leads, reactions."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only what came in from that day on.")
    ] = None,
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Read again what came in; what was recorded is not recorded twice."""
    from leadnurture import inbox

    if source is not None and source not in SOURCES:
        raise InvalidInputError(f'Nothing comes from "{source}"; there are {", ".join(SOURCES)}.')
    opened = open_project(project)
    begins = None if since is None else _midnight(opened, since.date())
    inbox.replay(opened.database, source=source, since=begins)
    counts = {"read": 0, "failed": 0}
    with progress("Reading", form) as say:
        is_done = False
        while not is_done:
            done = read_inbox(opened, opened.clock())
            counts["read"] += done.posts - done.failed
            counts["failed"] += done.failed
            is_done = done.is_done
            say(f"{counts['read']:,} posts")
    show(counts, form, lambda: f"{counts['read']:,} posts read, {counts['failed']:,} failed.")
    if counts["failed"]:
        raise typer.Exit(1)


def _midnight(project: Project, day: date) -> datetime:
    zone = ZoneInfo(project.definitions().company.zone)
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def replies(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """List the replies that wait to be sorted."""
    from leadnurture import reports

    opened = open_project(project)
    with opened.database.read() as connection:
        rows = reports.unsorted_replies(connection)
    show(rows, form, lambda: reports.render_replies(rows))


def sort(
    reply: Annotated[int, typer.Argument(metavar="REPLY", help="Its number in `leadnurture replies`.")],
    decision: Annotated[
        Literal["resume", "end", "unsubscribe"], typer.Argument(metavar="resume|end|unsubscribe")
    ],
    by: Annotated[str, typer.Option(help="Who says so.")] = SOMEBODY,
    project: ProjectFolder = HERE,
) -> None:
    """Sort a reply, so that the lead's mail goes on or ends."""
    from leadnurture.engine import sort_reply

    opened = open_project(project)
    done = sort_reply(opened.database, reply, decision, by, opened.clock())
    told("Sorted." if done.was_open else f"Sorted before as {done.decision}, by {done.by}.")


def tasks(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """List what our people are to do."""
    from leadnurture import reports

    opened = open_project(project)
    with opened.database.read() as connection:
        found = reports.open_tasks(connection, opened.clock())
    show(found, form, lambda: reports.render_tasks(found))


def answer(
    task: Annotated[int, typer.Argument(metavar="TASK", help="Its number in `leadnurture tasks`.")],
    words: Annotated[
        str,
        typer.Argument(metavar="ANSWER", help="One of its answers; done or refused where it asks nothing."),
    ],
    question: Annotated[
        str, typer.Option(help="Which of its questions; without it the one that is asked next.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who says so.")] = SOMEBODY,
    note: Annotated[str, typer.Option(help="What else was said.")] = "",
    project: ProjectFolder = HERE,
) -> None:
    """Answer a task, so that what waits for it goes on."""
    from leadnurture import engine

    opened = open_project(project)
    with opened.database.read() as connection:
        asking = engine.asked_by_task(connection, task)
    asked_next = asking.left[0].name if asking and asking.left and words != "refused" else ""
    given = engine.Given(question or asked_next, words, by, note=note or None)
    done = engine.answer(opened.database, given, opened.clock(), task_id=task)
    if done.became == "taken":
        left = ", ".join(each.name for each in done.asking.left)
        told(f"Noted. Still open: {left}." if left else "Noted.")
    else:
        told("Answered before.")


def judge(
    click: Annotated[int, typer.Argument(metavar="CLICK", help="Its number, as `explain` tells it.")],
    judgement: Annotated[Literal["person", "machine"], typer.Argument(metavar="person|machine")],
    reason: Annotated[str, typer.Option(help="Why you think so.")] = "",
    by: Annotated[str, typer.Option(help="Who says so.")] = SOMEBODY,
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Say whether a person or a machine clicked.

    The rules say nothing of that click any more.
    """
    from leadnurture.engine import revise_click

    opened = open_project(project)
    done = revise_click(opened.database, click, judgement, by, opened.clock(), reason=reason)
    show(done, form, lambda: _told_of_judging(done))


def _told_of_judging(done: "Judged") -> str:
    if not done.clicks:
        return "Nothing changes: that was said of it before."
    if done.persons:
        return "It counts: points and program follow with the next look."
    if not done.lost:
        return "It does not count, and did not before."
    return (
        "It does not count any more: points and interests are taken back. Enrollments that went back: "
        f"{done.went_back:,}; handoffs withdrawn: {done.withdrawn:,}."
    )


def settle(
    mail: Annotated[int, typer.Argument(metavar="MAIL", help="Its number in the outbox.")],
    outcome: Annotated[Literal["sent", "failed"], typer.Argument(metavar="sent|failed")],
    by: Annotated[str, typer.Option(help="Who says so.")] = SOMEBODY,
    project: ProjectFolder = HERE,
) -> None:
    """Settle a mail whose outcome is unknown, by hand."""
    from leadnurture.engine import settle_by_hand

    opened = open_project(project)
    settle_by_hand(opened.database, mail, outcome, by, opened.clock())
    told(f"Mail {mail} is {outcome}.")

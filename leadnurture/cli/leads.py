"""Commands about leads: how they stand, one lead's journey, and the facts that steer them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import uuid4

import typer

from leadnurture.app import compare_with_files, find_lead, open_project
from leadnurture.cli.output import HERE, Format, OutputFormat, ProjectFolder, actor, progress, show, told

if TYPE_CHECKING:
    from leadnurture.engine import Comparison, Rescored
    from leadnurture.imports import ImportReport

MOST_SHOWN = 20
LeadName = Annotated[str, typer.Argument(metavar="LEAD", help="The lead's address or number.")]


def import_leads(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="See samples/README.md for its columns.")],
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Import leads from a CSV file.

    Rows that cannot be used come back in FILE.rejected.csv, each with the reason. The same file twice gives
    the same leads once.
    """
    from leadnurture.imports import import_file

    opened = open_project(project)
    with progress(f"Importing {file.name}", form) as say:
        report = import_file(
            opened.database,
            opened.definitions(),
            file,
            opened.clock(),
            progress=lambda r: say(f"{r.rows:,} rows"),
        )
    show(report, form, lambda: _told_of(report))


def rescore(
    *,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what the agreements of the files would change.")
    ] = False,
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Count the points anew, or plan a changed agreement."""
    from leadnurture.engine import rescore as count_anew

    opened = open_project(project)
    if plan:
        compared = compare_with_files(opened, opened.clock())
        show(compared, form, lambda: "\n".join(map(_told_of_plan, compared)))
        return
    with progress("Counting anew", form) as say:
        done = count_anew(opened.database, opened.clock(), progress=lambda d: say(f"{d.leads:,} leads"))
    show(done, form, lambda: _told_of_rescoring(done))


def _told_of_rescoring(done: "Rescored") -> str:
    if not (done.added or done.removed):
        return f"Nothing has changed: the points of all {done.leads:,} leads are what their reactions give."
    return (
        f"{done.leads:,} leads counted anew: {done.added:,} points added, {done.removed:,} taken out. "
        "The next look judges whose have changed."
    )


def _told_of_plan(compared: "Comparison") -> str:
    head = f"{compared.track}: {compared.changed:,} of {compared.leads:,} leads would have another score"
    if compared.threshold is None:
        return f"{head}; the agreement has no threshold."
    lines = [head, f"  threshold: {compared.threshold}"]
    for said, found in (
        ("would cross it", compared.crossing),
        ("would be over it no longer", compared.falling),
    ):
        lines.append(f"  {len(found):,} {said}")
        shown = found[:MOST_SHOWN]
        width = max((len(one.email) for one in shown), default=0)
        lines += [f"    {one.email:{width}}  {one.score:>4} → {one.planned:<4} {one.stage}" for one in shown]
        if len(found) > MOST_SHOWN:
            lines.append(f"    and {len(found) - MOST_SHOWN:,} more; --format json lists all")
    return "\n".join(lines)


def status(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Show how many there are of everything, and what is due."""
    from leadnurture import reports

    opened = open_project(project)
    with opened.database.read() as connection:
        numbers = reports.status(connection, opened.clock())
    show(numbers, form, lambda: reports.render_status(numbers))


def explain(lead: LeadName, project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Tell one lead's whole journey, with the reason of every move."""
    from leadnurture import reports

    opened = open_project(project)
    with opened.database.read() as connection:
        journey = reports.journey(connection, find_lead(opened, lead), opened.clock())
    show(journey, form, lambda: reports.render_journey(journey))


def export(lead: LeadName, project: ProjectFolder = HERE) -> None:
    """Print everything that is held about one lead, as JSON."""
    from leadnurture.profile import export_person

    opened = open_project(project)
    show(export_person(opened.database, lead, actor(), opened.clock()), Format.json, str)


def merge(
    kept: Annotated[str, typer.Argument(metavar="LEAD", help="Who is kept, by address or number.")],
    gone: Annotated[str, typer.Argument(metavar="OTHER", help="The same person, by address or number.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decided it.")] = "command",
    project: ProjectFolder = HERE,
) -> None:
    """Make two leads one who are the same person."""
    from leadnurture.engine import merge_leads

    opened = open_project(project)
    done = merge_leads(opened.database, kept, gone, by, opened.clock())
    done_so = f"Lead {done.gone_id} is lead {done.kept_id} now."
    told(f"{done_so} `leadnurture unmerge {done.id}` makes them two again.")


def unmerge(
    number: Annotated[int, typer.Argument(metavar="MERGE", help="The number of the merge.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decided it.")] = "command",
    project: ProjectFolder = HERE,
) -> None:
    """Make two leads again of one who was merged."""
    from leadnurture.engine import undo_merge

    opened = open_project(project)
    done = undo_merge(opened.database, number, by, opened.clock())
    told(f"Leads {done.kept_id} and {done.gone_id} are two again.")


def react(  # noqa: PLR0913, PLR0917 - the options of a command
    lead: LeadName,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="registered, attended, replied, visited …")],
    content: Annotated[str | None, typer.Option(metavar="NAME", help="The content it is about.")] = None,
    session: Annotated[str | None, typer.Option(metavar="NAME", help="The session of that content.")] = None,
    argument: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The path of a visit, the answer of a form.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="ID", help="Your own id of it: told twice, it counts once.")
    ] = None,
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Record that a lead did something."""
    from leadnurture.domain.vocabulary import REACTION_KINDS
    from leadnurture.engine import NewReaction, record_reactions
    from leadnurture.errors import InvalidInputError
    from leadnurture.imports import unclear_session, unknown_names

    if kind not in REACTION_KINDS:
        raise InvalidInputError(f'There is no reaction "{kind}"; there are {", ".join(REACTION_KINDS)}.')
    opened = open_project(project)
    now, definitions = opened.clock(), opened.definitions()
    fault = unknown_names(content, session, definitions)
    if fault is None and content is not None and session is None:
        fault = unclear_session(kind, content, None, definitions, now)
    if fault:
        raise InvalidInputError(f"{fault[1]}; {fault[2]}.")
    reaction = NewReaction(
        kind=kind,
        key=key or f"command:{uuid4()}",
        source="command",
        lead_id=find_lead(opened, lead),
        content=content,
        session=session,
        argument=argument,
    )
    recorded = record_reactions(opened.database, [reaction], now)
    show(recorded, form, lambda: "Recorded." if recorded.recorded else "Known already.")


def close(
    content: Annotated[str, typer.Argument(metavar="CONTENT", help="The webinar or event.")],
    session: Annotated[str, typer.Argument(metavar="SESSION", help="Its session.")],
    attended: Annotated[
        Path, typer.Argument(metavar="ATTENDED.csv", help="The addresses of those who came.")
    ],
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Close the attendance list of a session.

    Whose address is in the file attended; who was registered and is not in it has missed it.
    """
    from leadnurture.engine import close_session
    from leadnurture.imports import read_emails

    opened = open_project(project)
    recorded = close_session(
        opened.database, content, session, read_emails(attended), opened.clock(), "command"
    )
    show(
        recorded,
        form,
        lambda: f"{recorded.recorded:,} recorded, addresses unknown: {len(recorded.unknown):,}.",
    )


def deal(
    lead: LeadName,
    outcome: Annotated[Literal["won", "lost"], typer.Argument(metavar="OUTCOME", help="How it ended.")],
    value: Annotated[float | None, typer.Option(metavar="NUMBER", help="What it is worth.")] = None,
    key: Annotated[
        str | None, typer.Option(metavar="ID", help="Your own id of it: told twice, it counts once.")
    ] = None,
    project: ProjectFolder = HERE,
) -> None:
    """Record that the deal with a lead was won or lost."""
    from leadnurture.engine import set_deal

    opened = open_project(project)
    now, lead_id = opened.clock(), find_lead(opened, lead)
    set_deal(
        opened.database, lead_id, outcome, value, key or f"command:{lead_id}:{outcome}:{now.date()}", now
    )
    told(f"The deal is {outcome}.")


def _told_of(report: "ImportReport") -> str:
    lines = [*report.warnings]
    if report.warned > len(report.warnings):
        lines.append(f"… and {report.warned - len(report.warnings):,} more warnings")
    if report.ignored_columns:
        lines.append(f"Columns that mean nothing to us: {', '.join(report.ignored_columns)}")
    counts = ("rows", "created", "updated", "unchanged", "rejected", "reactions")
    lines += [f"{name:<9} {getattr(report, name):>9,}" for name in counts]
    if report.rejected_file:
        lines.append(f"The rejected rows and their reasons are in {report.rejected_file}")
    return "\n".join(lines)

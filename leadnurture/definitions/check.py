"""A whole project: its frozen values, or all of its problems. Writes nothing, never raises for bad files.

Names come first, out of the company's file and the names of files; then every file is read by itself against
them; at last what only the whole can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from leadnurture.definitions.agreements import read_agreement
from leadnurture.definitions.company import FILE, read_company
from leadnurture.definitions.contents import read_content
from leadnurture.definitions.mails import ASK_LINK
from leadnurture.definitions.names import Names
from leadnurture.definitions.nodes import Map
from leadnurture.definitions.problems import Place, Problem
from leadnurture.definitions.programs import read_program
from leadnurture.definitions.project import AGREEMENTS, CONTENT, PROGRAMS, TEMPLATES, File, Project
from leadnurture.definitions.templates import check_templates
from leadnurture.definitions.times import WEEKDAYS
from leadnurture.definitions.ways import check_ways
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import WorkingHours
from leadnurture.domain.content import Content
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Step
from leadnurture.domain.timing import Hour
from leadnurture.domain.vocabulary import SEAT_MAILS, TRACKS, SeatMail, Track

NO_CONFIG: Final = "there is no folder config here; go to the project's folder, or name it with --project"
NO_COMPANY: Final = (
    "the file is missing; it says who sends: name, postal address, sender, url, zone, client, people"
)
NO_AGREEMENT: Final = (
    "the file is missing; it is the agreement of the track: version, agreed, fit, stages, routing"
)
NO_ROUTING: Final = (
    '"routing" is missing, and leads are handed off; say who gets them, as in `- to: [lena, marc]`'
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_project` found: the definitions, or None when a problem is more than a warning."""

    definitions: Definitions | None
    problems: tuple[Problem, ...]
    """All at once, by file and place."""


def check_project(root: Path, *, today: date | None = None) -> Checked:
    """All that `root` defines, or all that is wrong with it. With `today`, past sessions count as over."""
    if not (root / "config").is_dir():
        return Checked(None, (Problem("config", 1, 1, NO_CONFIG),))
    project = Project(root)
    definitions = _read(project, today)
    problems = tuple(sorted({problem for report in project.reports() for problem in report.problems}))
    has_errors = any(not problem.is_warning for problem in problems)
    return Checked(None if has_errors else definitions, problems)


def _read(project: Project, today: date | None) -> Definitions:
    names = project.names()
    if project.node(FILE) is None and FILE not in project.files:
        project.report(FILE).error(Place(), NO_COMPANY)
    company = read_company(project.node(FILE), names, project.report(FILE))
    definitions = Definitions(
        company=company,
        agreements=tuple(_agreements(project, names)),
        contents=tuple(_contents(project, company.locales, names)),
        programs=tuple(_programs(project, names)),
        templates=tuple(project.template_texts().items()),
        sources=tuple((path, file.text) for path, file in project.files.items()),
    )
    _check_templates(project, definitions)
    _check_asking(project, definitions)
    _check_seats(project, definitions, names)
    _check_receivers(project, definitions)
    for program in definitions.programs:
        for step in program.steps:
            _check_sending(project, definitions, program, step, today)
    return definitions


def _contents(project: Project, locales: tuple[str, ...], names: Names) -> Iterator[Content]:
    for file in project.within(CONTENT):
        content = read_content(file.stem, file.node, locales, names, file.report)
        if not content.tracks and not content.has_sessions:
            wanted = f"{TEMPLATES}/{content.name}/prospects.mjml or clients.mjml"
            file.report.error(Place(), f'content "{content.name}" has no text; write {wanted}')
        yield content


def _programs(project: Project, names: Names) -> Iterator[Program]:
    for track in TRACKS:
        for file in project.within(PROGRAMS[track]):
            if names.programs[file.stem] != track:
                sentence = f'program "{file.stem}" stands in both tracks, and names are unique; rename one'
                file.report.error(Place(), sentence)
            program = read_program(file.stem, track, file.node, names, file.report)
            check_ways(program, _places(file), file.report)
            yield program


def _agreements(project: Project, names: Names) -> Iterator[Agreement]:
    for track in TRACKS:
        path = AGREEMENTS[track]
        if path in project.files:
            yield read_agreement(track, project.node(path), names, project.report(path))
        elif track == "prospects" or (project.root / "config" / track).is_dir():
            project.report(path).error(Place(), NO_AGREEMENT)


def _check_templates(project: Project, definitions: Definitions) -> None:
    reports = {path.removeprefix(f"{TEMPLATES}/"): file.report for path, file in project.templates.items()}
    contents = frozenset(content.name for content in definitions.contents)
    check_templates(project.template_texts(), contents, definitions.company, reports)


def _check_asking(project: Project, definitions: Definitions) -> None:
    """A content that asks leads to its page, and no other one does."""
    asking = {content.name: content.ask is not None for content in definitions.contents}
    for path, text in project.template_texts().items():
        content = path.rpartition("/")[0]
        leads_there = ASK_LINK in text
        file = project.templates[f"{TEMPLATES}/{path}"]
        if content not in asking or leads_there == asking[content]:
            continue
        line = next((number for number, each in enumerate(text.split("\n"), 1) if ASK_LINK in each), 1)
        if leads_there:
            sentence = f'"{content}" asks nothing; write ask into config/content/{content}.yaml'
        else:
            sentence = f'"{content}" asks something, and this mail leads nowhere; show {{{{ ask_link }}}}'
        file.report.error(Place(line), sentence)


def _check_seats(project: Project, definitions: Definitions, names: Names) -> None:
    """Whoever has a seat is written to, whatever his track."""
    for content in definitions.contents:
        needed: list[SeatMail] = [mail for mail in SEAT_MAILS if mail != "seat-reminder" or content.remind]
        wanted: list[tuple[str, Track]] = [
            (mail, agreement.track) for mail in needed for agreement in definitions.agreements
        ]
        missing = [variant for variant in wanted if variant not in names.variants]
        if content.sessions and missing:
            report = project.report(content.file)
            tree = project.node(content.file)
            node = tree.get("sessions") if isinstance(tree, Map) else None
            files = ", ".join(f"{TEMPLATES}/{mail}/{track}.mjml" for mail, track in missing)
            report.error(node.place if node else Place(), f"whoever has a seat gets mails; write {files}")
            return


def _check_receivers(project: Project, definitions: Definitions) -> None:
    """Whoever is handed off must go to somebody."""
    for agreement in definitions.agreements:
        programs = [program for program in definitions.programs if program.track == agreement.track]
        handoffs = [step.handoff for program in programs for step in program.steps if step.handoff]
        hands_off = bool(agreement.stage("qualified").when) or any(not handoff.to for handoff in handoffs)
        path = AGREEMENTS[agreement.track]
        tree = project.node(path)
        if hands_off and isinstance(tree, Map) and tree.get("routing") is None:
            project.report(path).error(Place(), NO_ROUTING)


def _check_sending(
    project: Project, definitions: Definitions, program: Program, step: Step, today: date | None
) -> None:
    """Warn of a mail that goes to nobody, or never at the hour that it names."""
    file = project.files[program.file]
    content = next(
        (each for each in definitions.contents if step.send and each.name == step.send.content), None
    )
    if content and content.has_sessions and not _is_ahead(content, today):
        sentence = (
            f'"{content.name}" has no session ahead, so this mail goes to nobody; add one to {content.file}'
        )
        file.report.warn(_place(file, step, "send"), sentence)
    if content and content.is_service:
        return
    if isinstance(step.at, Hour) and (sentence := _outside(step.at, definitions.company.hours)):
        file.report.warn(_place(file, step, "at"), sentence)


def _is_ahead(content: Content, today: date | None) -> bool:
    starts = [session.starts.date() for session in content.sessions if session.starts]
    return any(today is None or day >= today for day in starts)


def _outside(hour: Hour, hours: WorkingHours) -> str:
    """What happens to an hour outside of the working hours; empty for one inside."""
    if hour.weekday is not None and hour.weekday not in hours.weekdays:
        return f"{WEEKDAYS[hour.weekday]} is no working day of the company, so the mail moves to the next one"
    if hour.minute is not None and not hours.opens <= hour.minute < hours.closes:
        return "the hour is outside of the company's working hours, so the mail moves to the next opening"
    return ""


def _places(file: File) -> dict[str, Place]:
    """Where each step of a program begins."""
    steps = file.node.get("steps") if isinstance(file.node, Map) else None
    return {entry.key.text: entry.key.place for entry in steps.entries} if isinstance(steps, Map) else {}


def _place(file: File, step: Step, key: str) -> Place:
    """Where the value of a key of a step stands."""
    steps = file.node.get("steps") if isinstance(file.node, Map) else None
    own = steps.get(step.name) if isinstance(steps, Map) else None
    value = own.get(key) if isinstance(own, Map) else None
    return value.place if value else Place(step.line)

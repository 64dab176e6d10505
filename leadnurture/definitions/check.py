"""Reads a whole project: its frozen values, or the complete list of its problems. Reads files, writes none, never raises for them.

Names come first, out of the company's file and the names of files; then every file is read on its own against them; at last what
only the whole can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from leadnurture.definitions import nodes
from leadnurture.definitions.agreements import read_agreement
from leadnurture.definitions.company import FILE, declared, read_company
from leadnurture.definitions.contents import check_future, kind_of, read_content
from leadnurture.definitions.names import Names
from leadnurture.definitions.problems import Place, Report, unknown
from leadnurture.definitions.programs import read_program
from leadnurture.definitions.templates import check_templates, variants
from leadnurture.definitions.ways import check_ways
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import BUILT_IN_FACTS, TRACKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from leadnurture.definitions.nodes import Node
    from leadnurture.definitions.problems import Problem
    from leadnurture.domain.agreement import Agreement
    from leadnurture.domain.company import Company
    from leadnurture.domain.content import Content
    from leadnurture.domain.program import Program

CONTENT: Final = "config/content"
TEMPLATES: Final = "templates/email"
TEST: Final = ".test.yaml"


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_project` found: the definitions, or None when a problem is more than a warning."""

    definitions: Definitions | None
    problems: tuple[Problem, ...]
    """All at once, by file and place."""


@dataclass(slots=True)
class _File:
    """A file of the project: its text, its tree where it has one, and its problems."""

    text: str
    report: Report
    node: Node | None = None

    @property
    def stem(self) -> str:
        return PurePosixPath(self.report.file).stem


def check_project(root: Path, *, today: date | None = None) -> Checked:
    """Everything that `root` defines, or everything that is wrong with it. With `today` sessions that are over count as over."""
    if not (root / "config").is_dir():
        report = Report("config")
        report.error(Place(), "there is no folder config here; go to the project's folder, or make a project with `leadnurture init`")
        return Checked(None, tuple(report.problems))
    project = _Project(root, today)
    definitions = project.read()
    problems = tuple(sorted(problem for report in project.reports() for problem in report.problems))
    has_errors = any(not problem.is_warning for problem in problems)
    return Checked(None if has_errors else definitions, problems)


def project_names(root: Path) -> tuple[Names, frozenset[str]]:
    """The names of a project and those of all its steps, as far as its files can be read."""
    return _Project(root, None).names_and_steps()


class _Project:
    """The files of one project on their way to definitions."""

    def __init__(self, root: Path, today: date | None) -> None:
        self.root = root
        self.today = today
        self.files = {path: _read(root, path) for path in sorted(_paths(root / "config", root))}
        self.templates = {path: _read(root, path) for path in sorted(_paths(root / TEMPLATES, root))}
        self.strays: list[Report] = []

    def reports(self) -> Iterator[Report]:
        for file in (*self.files.values(), *self.templates.values()):
            yield file.report
        yield from self.strays

    def read(self) -> Definitions:
        self._sort_out()
        names = self._names()
        company = read_company(self.files[FILE].node if FILE in self.files else None, names, self._company_report())
        contents = tuple(self._contents(company.locales, names))
        programs = tuple(self._programs(names))
        agreements = tuple(self._agreements(names))
        self._check_whole(company, agreements, contents, programs)
        return Definitions(
            company=company,
            agreements=agreements,
            contents=contents,
            programs=programs,
            templates=tuple(self._template_texts().items()),
            sources=tuple((path, file.text) for path, file in self.files.items()),
        )

    def names_and_steps(self) -> tuple[Names, frozenset[str]]:
        self._sort_out()
        steps = (node.get("steps") for file in self.files.values() if isinstance(node := file.node, nodes.Map))
        return self._names(), frozenset(entry.key.text for step in steps if isinstance(step, nodes.Map) for entry in step.entries)

    def _company_report(self) -> Report:
        return self.files[FILE].report if FILE in self.files else Report(FILE)

    def _sort_out(self) -> None:
        """Parse what is YAML and has a place in a project; report what has none."""
        for path in list(self.files):
            file = self.files[path]
            if path.endswith(TEST) or not path.endswith((".yaml", ".yml")):
                del self.files[path]
            elif sentence := _stray(path):
                file.report.error(Place(), sentence)
                self.strays.append(file.report)
                del self.files[path]
            elif not file.report.problems:
                file.node = nodes.parse(file.text, file.report)
        if FILE not in self.files:
            self._missing(FILE, "it says who sends: name, postal address, sender, url, zone")

    def _missing(self, path: str, why: str) -> None:
        report = Report(path)
        report.error(Place(), f"the file is missing; {why}")
        self.strays.append(report)

    def _names(self) -> Names:
        company = declared(self.files[FILE].node if FILE in self.files else None, self._company_report())
        for file in self.files.values():
            file.report.company_is_known = FILE in self.files and self.files[FILE].node is not None
        return Names(
            facts={**BUILT_IN_FACTS, **company.facts},
            declared=frozenset(company.facts) - set(BUILT_IN_FACTS),
            topics=company.topics,
            people=company.people,
            roles=company.roles,
            contents={file.stem: kind_of(file.node) for file in self._in(CONTENT)},
            variants=variants(self._template_texts()),
            programs={file.stem: track for track in TRACKS for file in self._in(f"config/{track}/programs")},
        )

    def _in(self, folder: str) -> Iterator[_File]:
        for path, file in self.files.items():
            if str(PurePosixPath(path).parent) == folder:
                yield file

    def _template_texts(self) -> dict[str, str]:
        return {path.removeprefix(f"{TEMPLATES}/"): file.text for path, file in self.templates.items() if path.endswith(".mjml")}

    def _contents(self, locales: tuple[str, ...], names: Names) -> Iterator[Content]:
        for file in self._in(CONTENT):
            content = read_content(file.stem, file.node, locales, names, file.report)
            if not content.tracks and not content.has_sessions:
                sentence = f'content "{content.name}" has no text; write {TEMPLATES}/{content.name}/prospects.mjml or clients.mjml'
                file.report.error(Place(), sentence)
            yield content

    def _programs(self, names: Names) -> Iterator[Program]:
        for track in TRACKS:
            for file in self._in(f"config/{track}/programs"):
                if names.programs[file.stem] != track:
                    sentence = f'program "{file.stem}" stands in both tracks, and names are unique; rename one of the two files'
                    file.report.error(Place(), sentence)
                program = read_program(file.stem, track, file.node, names, file.report)
                if file.node is not None:
                    check_ways(program, file.report)
                yield program

    def _agreements(self, names: Names) -> Iterator[Agreement]:
        for track in TRACKS:
            path = f"config/{track}/track.yaml"
            if path in self.files:
                yield read_agreement(track, self.files[path].node, names, self.files[path].report)
            elif (self.root / "config" / track).is_dir() or track == "prospects":
                self._missing(path, "it is the agreement of the track: version, agreed, fit, engagement, stages, routing")

    def _check_whole(
        self, company: Company, agreements: tuple[Agreement, ...], contents: tuple[Content, ...], programs: tuple[Program, ...]
    ) -> None:
        self._check_templates(company, contents)
        self._check_receivers(agreements, programs)
        by_name = {content.name: content for content in contents}
        for program in programs:
            for step in program.steps:
                content = by_name.get(step.send.content or "") if step.send else None
                if content:
                    check_future(content, self.today, Place(step.line), self.files[program.file].report)

    def _check_templates(self, company: Company, contents: tuple[Content, ...]) -> None:
        reports = {path.removeprefix(f"{TEMPLATES}/"): file.report for path, file in self.templates.items()}
        check_templates(self._template_texts(), frozenset(content.name for content in contents), company, reports)

    def _check_receivers(self, agreements: tuple[Agreement, ...], programs: tuple[Program, ...]) -> None:
        """Whoever is handed off must go to somebody."""
        for agreement in agreements:
            report = self.files[f"config/{agreement.track}/track.yaml"].report
            hands_off = any(step.handoff and not step.handoff.to for program in programs if program.track == agreement.track for step in program.steps)
            if not agreement.routing and "routing" not in _keys(self.files[report.file].node) and (hands_off or agreement.stage("qualified").when):
                report.error(Place(), '"routing" is missing, and leads are handed off; say who gets them, as in routing: [{to: [lena, marc]}]')


def _keys(node: Node | None) -> set[str]:
    return {entry.key.text for entry in node.entries} if isinstance(node, nodes.Map) else set()


def _paths(folder: Path, root: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path.relative_to(root).as_posix()


def _read(root: Path, path: str) -> _File:
    report = Report(path)
    try:
        return _File((root / path).read_bytes().decode("utf-8-sig"), report)
    except UnicodeDecodeError:
        report.error(Place(), "the file is not UTF-8; save it as UTF-8 in your editor")
    except OSError as error:
        report.error(Place(), f"the file cannot be read ({error.strerror}); look at its rights")
    return _File("", report)


def _stray(path: str) -> str | None:
    """Why a file has no place in a project, or None when it has one."""
    if path.endswith(".yml"):
        return "files end with .yaml here; rename it"
    folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
    folders = (CONTENT, *(f"config/{track}/programs" for track in TRACKS))
    single = (FILE, *(f"config/{track}/track.yaml" for track in TRACKS))
    if folder in folders or path in single:
        return None
    if folder in {str(PurePosixPath(known).parent) for known in single}:
        return unknown("file", path, single, "programs belong into a folder programs, content into config/content")
    return unknown("folder", folder, folders, "a project has config/content, config/prospects/programs and config/clients/programs") if name else None


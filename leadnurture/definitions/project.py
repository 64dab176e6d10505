"""The files of a project as they lie on disk: which there are, which have no business there, what they name.

Reads files and writes none. A file that cannot be read is a problem of that file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from leadnurture.definitions import nodes
from leadnurture.definitions.company import FILE, declared
from leadnurture.definitions.contents import kind_of
from leadnurture.definitions.names import Names
from leadnurture.definitions.nodes import Map, Node
from leadnurture.definitions.problems import Place, Report, unknown
from leadnurture.definitions.templates import translations, variants
from leadnurture.domain.vocabulary import BUILT_IN_FACTS, TRACKS, Track

CONTENT: Final = "config/content"
TEMPLATES: Final = "templates/email"
TEST: Final = ".test.yaml"
PROGRAMS: Final[dict[Track, str]] = {track: f"config/{track}/programs" for track in TRACKS}
AGREEMENTS: Final[dict[Track, str]] = {track: f"config/{track}/track.yaml" for track in TRACKS}
FOLDERS: Final = (CONTENT, *PROGRAMS.values())
SINGLE: Final = (FILE, *AGREEMENTS.values())


@dataclass(slots=True)
class File:
    """A file of the project: its text, its tree where it has one, and its problems."""

    text: str
    report: Report
    node: Node | None = None

    @property
    def stem(self) -> str:
        """Its name without folder and ending: the name of the content or program in it."""
        return PurePosixPath(self.report.file).stem


class Project:
    """All files of one project, parsed but not judged."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {path: _read(root, path) for path in sorted(_paths(root, "config")) if _is_ours(path)}
        self.templates = {path: _read(root, path) for path in sorted(_paths(root, TEMPLATES))}
        self._absent: dict[str, Report] = {}
        self._strays = [self.files.pop(path) for path in list(self.files) if self._is_stray(path)]
        for file in self.files.values():
            if not file.report.problems:
                file.node = nodes.parse(file.text, file.report)
        company = self.files.get(FILE)
        for file in self.files.values():
            file.report.company_is_known = company is not None and company.node is not None

    def _is_stray(self, path: str) -> bool:
        sentence = _stray(path)
        if sentence:
            self.files[path].report.error(Place(), sentence)
        return bool(sentence)

    def reports(self) -> Iterator[Report]:
        """The problems of every file, of those that are missing too."""
        yield from self._absent.values()
        for file in (*self.files.values(), *self._strays, *self.templates.values()):
            yield file.report

    def report(self, path: str) -> Report:
        """The report of a file, whether it is there or not."""
        file = self.files.get(path)
        return file.report if file else self._absent.setdefault(path, Report(path))

    def node(self, path: str) -> Node | None:
        """The tree of a file, None where there is none."""
        file = self.files.get(path)
        return file.node if file else None

    def within(self, folder: str) -> Iterator[File]:
        """The files of a folder."""
        return (file for path, file in self.files.items() if str(PurePosixPath(path).parent) == folder)

    def template_texts(self) -> dict[str, str]:
        """Text by path below the folder of the mails."""
        paths = (path for path in self.templates if path.endswith(".mjml"))
        return {path.removeprefix(f"{TEMPLATES}/"): self.templates[path].text for path in paths}

    def names(self) -> Names:
        """Everything that the files may refer to; reports what is wrong with the declarations."""
        company = declared(self.node(FILE), self.report(FILE))
        programs: dict[str, Track] = {}
        for track in TRACKS:
            for file in self.within(PROGRAMS[track]):
                programs.setdefault(file.stem, track)
        return Names(
            facts={**BUILT_IN_FACTS, **company.facts},
            declared=frozenset(company.facts) - set(BUILT_IN_FACTS),
            topics=company.topics,
            locales=company.locales,
            people=company.people,
            roles=company.roles,
            contents={file.stem: kind_of(file.node) for file in self.within(CONTENT)},
            variants=variants(self.template_texts()),
            translations=translations(self.template_texts()),
            programs=programs,
        )

    def steps(self) -> frozenset[str]:
        """The names of all steps of all programs."""
        trees = (file.node for folder in PROGRAMS.values() for file in self.within(folder))
        steps = (tree.get("steps") for tree in trees if isinstance(tree, Map))
        return frozenset(entry.key.text for step in steps if isinstance(step, Map) for entry in step.entries)


def _paths(root: Path, folder: str) -> Iterator[str]:
    """Every file below a folder, except hidden ones."""
    for path in (root / folder).rglob("*"):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix()


def _is_ours(path: str) -> bool:
    return path.endswith((".yaml", ".yml")) and not path.endswith(TEST)


def _read(root: Path, path: str) -> File:
    report = Report(path)
    try:
        return File((root / path).read_bytes().decode("utf-8-sig"), report)
    except UnicodeDecodeError:
        report.error(Place(), "the file is not UTF-8; save it as UTF-8 in your editor")
    except OSError as error:
        report.error(Place(), f"the file cannot be read ({error.strerror}); look at its rights")
    return File("", report)


def _stray(path: str) -> str:
    """Why a file has no place in a project; empty when it has one."""
    if path.endswith(".yml"):
        return "files end with .yaml here; rename it"
    folder = str(PurePosixPath(path).parent)
    if folder in FOLDERS or path in SINGLE:
        return ""
    if folder in {str(PurePosixPath(single).parent) for single in SINGLE}:
        return unknown(
            "file", path, SINGLE, "programs belong into a folder programs, content into config/content"
        )
    return unknown("folder", folder, FOLDERS)

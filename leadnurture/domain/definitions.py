"""All files of a project as one value: what `check` returns, `apply` stores and the engine reads back."""

from dataclasses import dataclass

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company
from leadnurture.domain.content import Content
from leadnurture.domain.program import Program
from leadnurture.domain.vocabulary import Track


@dataclass(frozen=True, slots=True)
class Definitions:
    """A whole, checked project."""

    company: Company
    agreements: tuple[Agreement, ...]
    contents: tuple[Content, ...]
    programs: tuple[Program, ...]
    templates: tuple[tuple[str, str], ...] = ()
    """(path below `templates/email`, text): `scaling-1/prospects.mjml`, `_layout.mjml`."""
    sources: tuple[tuple[str, str], ...] = ()
    """(path below the project, text) of every YAML file that was read."""

    def agreement(self, track: Track) -> Agreement:
        """The agreement of a track; KeyError when the project has none."""
        for agreement in self.agreements:
            if agreement.track == track:
                return agreement
        raise KeyError(track)

    def program(self, name: str) -> Program:
        """The program of that name; KeyError when there is none."""
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)

    def content(self, name: str) -> Content:
        """The content of that name; KeyError when there is none."""
        for content in self.contents:
            if content.name == name:
                return content
        raise KeyError(name)

"""All files of a project as one value: what `check` returns, `apply` stores and the engine reads back."""

from collections.abc import Iterator
from dataclasses import dataclass

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company
from leadnurture.domain.condition import Condition
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

    def conditions(self) -> Iterator[Condition]:
        """Every condition that decides about leads, wherever it stands."""
        for agreement in self.agreements:
            written = [agreement.pause, *(rule.when for rule in agreement.stages)]
            written += [route.when for route in agreement.routing]
            yield from (condition for condition in written if condition is not None)
        for program in self.programs:
            yield from program.conditions()

    def content(self, name: str) -> Content:
        """The content of that name; KeyError when there is none."""
        content = self.find_content(name)
        if content is None:
            raise KeyError(name)
        return content

    def find_content(self, name: str | None) -> Content | None:
        """The content of that name; None where it is gone from the files, or no name is known."""
        return next((content for content in self.contents if content.name == name), None)

"""Names in one file that are declared in another: people, topics, facts, programs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from leadnurture.definitions.names import ADD_PERSON, DECLARE_FACT, DECLARE_TOPIC, Names
from leadnurture.definitions.nodes import Scalar
from leadnurture.definitions.problems import Report, meant
from leadnurture.definitions.reading import Fields
from leadnurture.domain.vocabulary import Track


def person(fields: Fields, key: str, choices: Collection[str], report: Report) -> str | None:
    """The person, or where roles are among the choices the role, of a key; None where there is none."""
    node = fields.scalar(key)
    return next(iter(people([node], choices, report)), None) if node else None


def people(scalars: Iterable[Scalar], choices: Collection[str], report: Report) -> tuple[str, ...]:
    """Several people in their order."""
    return _known(scalars, choices, "person", ADD_PERSON, report)


def topics(scalars: Iterable[Scalar], choices: Collection[str], report: Report) -> tuple[str, ...]:
    """Topics that the company declares."""
    return _known(scalars, choices, "topic", DECLARE_TOPIC, report)


def facts(scalars: Iterable[Scalar], choices: Collection[str], report: Report) -> tuple[str, ...]:
    """Facts that are built in or declared by the company."""
    return _known(scalars, choices, "fact", DECLARE_FACT, report)


def program(fields: Fields, key: str, track: Track, names: Names, report: Report) -> str | None:
    """The program of a key, which must be of the same track; None where there is none."""
    node = fields.scalar(key)
    if node is None:
        return None
    home = names.programs.get(node.text)
    if home is None:
        mates = [name for name, its_track in names.programs.items() if its_track == track]
        report.unknown(
            node.place, "program", node.text, mates, f"a program is a file of config/{track}/programs"
        )
    elif home != track:
        sentence = f'program "{node.text}" belongs to the track {home}; nobody changes the track by a program'
        report.error(node.place, sentence)
    return node.text


def _known(
    scalars: Iterable[Scalar], choices: Collection[str], what: str, remedy: str, report: Report
) -> tuple[str, ...]:
    """The names, each as it was probably meant, after a report of those that the company does not declare."""
    found = tuple(scalars)
    for scalar in found:
        if scalar.text not in choices and report.company_is_known:
            report.unknown(scalar.place, what, scalar.text, choices, remedy)
    return tuple(meant(scalar.text, choices) or scalar.text for scalar in found)

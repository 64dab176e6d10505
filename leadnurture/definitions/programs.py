"""`config/<track>/programs/<name>.yaml` → `domain.program`: the head, and the steps of `steps`.

Where the steps lead is judged afterwards and as a whole, in `ways`.
"""

from __future__ import annotations

from leadnurture.definitions import arms, conditions, files, times
from leadnurture.definitions.arms import Surroundings
from leadnurture.definitions.names import NAME, NAME_RULE, Names
from leadnurture.definitions.nodes import Entry, Map, Node
from leadnurture.definitions.problems import MistakeError, Place, Report
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import person
from leadnurture.definitions.steps import read_step
from leadnurture.domain.program import Program
from leadnurture.domain.vocabulary import END, Track


def read_program(name: str, track: Track, node: Node | None, names: Names, report: Report) -> Program:
    """The program; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Program, report)
    around = _surroundings(track, fields.node("steps"), names, report)
    _check_names(name, fields, around)
    return Program(
        name=name,
        track=track,
        title=fields.text("title"),
        owner=person(fields, "owner", names.people | names.roles, report) or "",
        steps=tuple(read_step(entry, around) for entry in fields.entries("steps")),
        enter=fields.condition("enter", names, conditions.LEAD),
        again=fields.parsed("again", times.again, None),
        goal=fields.condition("goal", names, conditions.LEAD),
        exit=fields.condition("exit", names, conditions.LEAD),
        on=arms.on(fields, around),
        priority=fields.number("priority", 0),
        needs_consent=fields.parsed("consent", _needs_consent, True),  # noqa: FBT003 - the default of the domain
        moved=tuple(_moved(entry, around) for entry in fields.entries("moved")),
        file=report.file,
    )


def _surroundings(track: Track, steps: Node | None, names: Names, report: Report) -> Surroundings:
    entries = steps.entries if isinstance(steps, Map) else ()
    sending = (entry for entry in entries if isinstance(entry.value, Map) and entry.value.get("send"))
    own = frozenset(entry.key.text for entry in entries)
    return Surroundings(
        track=track,
        names=names,
        anchors=times.Anchors(own, frozenset(entry.key.text for entry in sending), names.dates),
        scope=conditions.Scope("on", knows_step=True, steps=own),
        report=report,
    )


def _check_names(name: str, fields: Fields, around: Surroundings) -> None:
    if not NAME.fullmatch(name):
        sentence = f'"{name}" cannot be the name of a program; rename the file with {NAME_RULE}'
        around.report.error(Place(), sentence)
    for entry in fields.entries("steps"):
        if sentence := _name_mistake(entry.key.text, around.names):
            around.report.error(entry.key.place, sentence)


def _name_mistake(step: str, names: Names) -> str:
    """Why a step cannot bear its name; empty where it can."""
    if step == END:
        return '"end" is the end of every program and cannot be a step; choose another name'
    if not NAME.fullmatch(step):
        return f'"{step}" cannot be the name of a step; write {NAME_RULE}'
    if step in names.contents:
        return f'"{step}" is a content, and reactions to it could mean both; choose another name for the step'
    if step in names.facts:
        return (
            f'"{step}" is a fact, and dates counted from it could mean both; choose another name for the step'
        )
    return ""


def _needs_consent(text: str) -> bool:
    if text != "none":
        raise MistakeError(f'"{text}" cannot be asked by a program; write none, or leave it to the agreement')
    return False


def _moved(entry: Entry, around: Surroundings) -> tuple[str, str]:
    if entry.key.text in around.scope.steps:
        sentence = f'step "{entry.key.text}" is still there; "moved" names steps that were removed'
        around.report.error(entry.key.place, sentence)
    return entry.key.text, arms.target(entry.value, around).step or END

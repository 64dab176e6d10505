"""The ways out of a step: `on`, `then`, `otherwise`, and what an arm notes on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leadnurture.definitions import files, times
from leadnurture.definitions.conditions import Scope
from leadnurture.definitions.names import DECLARE_FACT, Names
from leadnurture.definitions.nodes import Entry, Map, Node, Scalar, named
from leadnurture.definitions.problems import Report, meant
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import person, program
from leadnurture.definitions.values import condition, parsed, text_of
from leadnurture.domain.condition import Condition, Value
from leadnurture.domain.program import Arm, Go, Setting, Tell
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import END, ENDING_KINDS, FactKind, Track


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the steps of one program may speak of, and where problems go."""

    track: Track
    names: Names
    anchors: times.Anchors
    scope: Scope
    report: Report


def on(fields: Fields, around: Surroundings) -> tuple[Arm, ...]:
    """The arms of reactions."""
    return tuple(_reaction_arm(entry, around) for entry in fields.entries("on"))


def then(fields: Fields, around: Surroundings) -> tuple[Arm, ...]:
    """The arms when time is up."""
    arms: list[Arm] = []
    for item in fields.items("then"):
        line = Fields(item, files.Arm, around.report)
        if arms and arms[-1].when is None:
            sentence = "this arm is never reached, the one above has no if; write it above or remove it"
            around.report.error(line.place, sentence)
        when = line.condition("if", around.names, around.scope)
        text = when.text if when else ""
        arms.append(_arm(text, when, line, around, item.place.line))
    return tuple(arms)


def otherwise(fields: Fields, around: Surroundings) -> Go | None:
    """The way out when the step could not do what it says."""
    node = fields.node("otherwise")
    if isinstance(node, Map):
        return _way(Fields(node, files.Otherwise, around.report), around)
    return target(node, around) if node else None


def settings(fields: Fields, around: Surroundings) -> tuple[Setting, ...]:
    """The facts and tags of `set`."""
    return tuple(setting for entry in fields.entries("set") if (setting := _setting(entry, around)))


def tell(fields: Fields, around: Surroundings) -> Tell | None:
    """The notice of `tell`, None where there is none."""
    if "tell" not in fields:
        return None
    return Tell(fields.text("tell"), receiver(fields, around))


def receiver(fields: Fields, around: Surroundings) -> str | None:
    """The person or role of `to`, None where there is none."""
    return person(fields, "to", around.names.people | around.names.roles, around.report)


def target(node: Node, around: Surroundings) -> Go:
    """A step of this program or the end; of an unknown one what was probably meant."""
    if not isinstance(node, Scalar):
        around.report.error(node.place, f"here belongs the name of a step, not {named(node)}")
    elif text_of(node, "a target", around.report):
        check_target(node, around)
        name = meant(node.text, [*around.scope.steps, END])
        return Go(end=True) if name in {END, None} else Go(step=name)
    return Go(end=True)


def check_target(node: Scalar, around: Surroundings) -> None:
    """Report a target that is neither a step of the program nor the end."""
    known = [*around.scope.steps, END]
    if node.text not in known and node.text in around.names.programs:
        sentence = f'"{node.text}" is a program, not a step; write {{program: {node.text}}}'
        around.report.error(node.place, sentence)
    elif node.text not in known:
        around.report.unknown(node.place, "step", node.text, known)


def _reaction_arm(entry: Entry, around: Surroundings) -> Arm:
    key, place = entry.key.text.strip(), entry.key.place
    when = condition(entry.key, around.names, around.scope, around.report)
    if key in ENDING_KINDS:
        sentence = f'"{key}" ends every program by itself, so this arm is never taken; remove it'
        around.report.warn(place, sentence)
    if isinstance(entry.value, Map):
        fields = Fields(entry.value, files.Way, around.report)
        return _arm(key, when, fields, around, place.line)
    return Arm(key, when, target(entry.value, around), (), place.line)


def _arm(text: str, when: Condition | None, fields: Fields, around: Surroundings, line: int) -> Arm:
    if "to" in fields and "tell" not in fields:
        around.report.error(fields.at("to"), '"to" belongs to a tell; leave it out')
    notes = settings(fields, around)
    return Arm(text, when, _way(fields, around), notes, line, tell(fields, around))


def _way(fields: Fields, around: Surroundings) -> Go:
    """Where an arm leads: exactly one of `go` and `program`."""
    go = fields.node("go")
    if go and "program" in fields:
        around.report.error(fields.at("program"), 'an arm leads to one place; write either "go" or "program"')
    if go:
        return target(go, around)
    if "program" in fields:
        return Go(program=program(fields, "program", around.track, around.names, around.report) or "")
    around.report.error(fields.place, 'this arm leads nowhere; add "go" with a step or end, or "program"')
    return Go(end=True)


def _setting(entry: Entry, around: Surroundings) -> Setting | None:
    name, names = entry.key.text, around.names
    if name == "tag":
        return Setting(name, text_of(entry.value, '"tag"', around.report) or "")
    if name in names.declared:
        value = _fact_value(entry, names.facts[name], around)
        return None if value is None else Setting(name, value)
    if name in names.facts:
        sentence = (
            f'"{name}" comes from the lead or the CRM; a program sets tag and facts that the company declares'
        )
        around.report.error(entry.key.place, sentence)
    elif around.report.company_is_known:
        around.report.unknown(entry.key.place, "fact", name, [*names.declared, "tag"], DECLARE_FACT)
    return None


def _fact_value(entry: Entry, kind: FactKind, around: Surroundings) -> Value | Duration | None:
    node, what = entry.value, f'"{entry.key.text}"'
    if kind == "text":
        return text_of(node, what, around.report)
    if kind == "date":
        parse: Callable[[str], Value | Duration | None] = times.ahead
        return parsed(node, what, parse, around.report, None)
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool | int | float) and isinstance(value, bool) == (kind == "flag"):
        return value
    wanted = "true or false" if kind == "flag" else "a number"
    around.report.error(node.place, f"{what} is a {kind} and takes {wanted}, not {named(node)}")
    return None

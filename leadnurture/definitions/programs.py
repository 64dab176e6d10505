"""`config/<track>/programs/<name>.yaml` → `domain.program`: the head, the steps, and what a single step may say.

Where the steps lead is judged afterwards and as a whole, in `ways`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from leadnurture.definitions import conditions, files, times
from leadnurture.definitions.agreements import person, program, warned
from leadnurture.definitions.names import NAME, NAME_RULE
from leadnurture.definitions.nodes import Map, Scalar, named
from leadnurture.definitions.problems import Place, listed
from leadnurture.definitions.reading import Fields, condition, known, parsed, text_of, whole_number
from leadnurture.domain.program import Arm, Go, Handoff, Program, Send, Setting, Step
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import CONTENT_KINDS, END, ENDING_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadnurture.definitions.conditions import Scope
    from leadnurture.definitions.names import Names
    from leadnurture.definitions.nodes import Entry, Node
    from leadnurture.definitions.problems import Report
    from leadnurture.domain.condition import Value
    from leadnurture.domain.timing import After
    from leadnurture.domain.vocabulary import ContentKind, FactKind, Track

INTERESTS: Final = "interests"
WINNER: Final = "winner"
# Beside a lone split nothing else happens: it sends everybody on at once.
NOT_BESIDE_SPLIT: Final = ("at", "late", "on", "after", "then", "otherwise", "handoff")
DOING: Final = ("send", "task", "handoff", "split")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the steps of one program may speak of, and where problems go."""

    track: Track
    names: Names
    anchors: times.Anchors
    scope: Scope
    report: Report


def read_program(name: str, track: Track, node: Node | None, names: Names, report: Report) -> Program:
    """The program; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Program, report)
    around = _surroundings(track, fields.node("steps"), names, report)
    in_head = conditions.Scope("exit", steps=around.scope.steps)
    _check_names(name, fields, around)
    return Program(
        name=name,
        track=track,
        title=fields.text("title"),
        owner=person(fields, "owner", names.people | names.roles, report) or "",
        steps=tuple(_step(entry, around) for entry in fields.entries("steps")),
        enter=warned(fields.condition("enter", names, conditions.LEAD), fields.at("enter"), report),
        again=fields.parsed("again", times.again, None),
        goal=fields.condition("goal", names, in_head),
        exit=warned(fields.condition("exit", names, in_head), fields.at("exit"), report),
        on=_on(fields, around),
        priority=fields.number("priority", 0),
        needs_consent=fields.choice("consent", ("none",)) != "none",
        moved=tuple(_moved(entry, around) for entry in fields.entries("moved")),
        file=report.file,
    )


def _surroundings(track: Track, steps: Node | None, names: Names, report: Report) -> Surroundings:
    entries = steps.entries if isinstance(steps, Map) else ()
    own = frozenset(entry.key.text for entry in entries)
    sending = frozenset(entry.key.text for entry in entries if isinstance(entry.value, Map) and entry.value.get("send"))
    return Surroundings(
        track=track,
        names=names,
        anchors=times.Anchors(own, sending, names.dates),
        scope=conditions.Scope("on", bare=True, steps=own),
        report=report,
    )


def _check_names(name: str, fields: Fields, around: Surroundings) -> None:
    if not NAME.fullmatch(name):
        around.report.error(Place(), f'"{name}" cannot be the name of a program; rename the file with {NAME_RULE}')
    for entry in fields.entries("steps"):
        if sentence := _name_mistake(entry.key.text, around.names):
            around.report.error(entry.key.place, sentence)


def _name_mistake(step: str, names: Names) -> str | None:
    if step == END:
        return '"end" is the end of every program and cannot be a step; choose another name'
    if not NAME.fullmatch(step):
        return f'"{step}" cannot be the name of a step; write {NAME_RULE}'
    if step in names.contents:
        return f'"{step}" is the name of a content, and a reaction to it could mean both; choose another name for the step'
    if step in names.facts:
        return f'"{step}" is the name of a fact, and a date counted from it could mean both; choose another name for the step'
    return None


def _moved(entry: Entry, around: Surroundings) -> tuple[str, str]:
    if entry.key.text in around.scope.steps:
        around.report.error(entry.key.place, f'step "{entry.key.text}" is still there; "moved" names steps that were removed')
    return entry.key.text, _target(entry.value, around).step or END


def _step(entry: Entry, around: Surroundings) -> Step:
    fields = Fields(entry.value, files.Step, around.report, entry.key.place)
    _check_step(entry, fields, around.report)
    split = _split(fields, around)
    sends = "send" in fields
    return Step(
        name=entry.key.text,
        send=_send(fields, split, around) if sends else None,
        handoff=Handoff(fields.text("handoff"), _receiver(fields, around)) if "handoff" in fields else None,
        split=() if sends else split,
        sets=_sets(fields, around),
        at=fields.parsed("at", lambda text: times.at(text, around.anchors), None),
        late=fields.parsed("late", times.late, None),
        on=_on(fields, around),
        after=_after(fields, around),
        then=_then(fields, around),
        otherwise=_otherwise(fields, around),
        line=entry.key.place.line,
    )


def _check_step(entry: Entry, fields: Fields, report: Report) -> None:
    """What a step may not say, or must say, whatever stands around it."""
    place, name = entry.key.place, entry.key.text
    doing = [key for key in DOING if key in fields and (key, "send" in fields) != ("split", True)]
    if len(doing) > 1:
        report.error(fields.at(doing[1]), f"a step does one thing, but this one has {' and '.join(doing)}; make two steps")
    if isinstance(entry.value, Map) and not any(key in fields for key in (*DOING, "on", "after", "then", "set", "tell")):
        report.error(place, f'step "{name}" does nothing; write send, handoff, split, after or then, or remove it')
    if "on" in fields and "after" not in fields and "handoff" not in fields and "split" not in doing:
        report.error(fields.at("on"), f'step "{name}" waits for ever for who does not react; say how long with "after"')
    _check_companions(fields, doing, report)


def _check_companions(fields: Fields, doing: list[str], report: Report) -> None:
    for key in ("at", "late"):
        if key in fields and "send" not in fields and "split" not in doing:
            report.error(fields.at(key), f'"{key}" is about a mail, and this step sends none; leave it out, or wait with "after"')
    if "to" in fields and not any(key in fields for key in ("handoff", "task", "tell")):
        report.error(fields.at("to"), '"to" belongs to a handoff; leave it out')
    if "split" in doing:
        for key in NOT_BESIDE_SPLIT:
            if key in fields and key not in doing:
                report.error(fields.at(key), f'"{key}" never happens beside a split, which sends everybody on at once; write it in the steps behind')


def _send(fields: Fields, variants: tuple[tuple[str, int], ...], around: Surroundings) -> Send:
    node = fields.node("send")
    if isinstance(node, Map):
        return _send_next(Fields(node, files.Next, around.report), variants, around)
    content = fields.maybe("send")
    if node and content:
        _check_content(content, node.place, around)
    return Send(content=content, variants=variants)


def _check_content(content: str, place: Place, around: Surroundings) -> None:
    if content not in around.names.contents:
        around.report.unknown(place, "content", content, around.names.contents, "a content is a file of config/content")
    elif (content, around.track) not in around.names.variants:
        file = f"templates/email/{content}/{around.track}.mjml"
        around.report.error(place, f'content "{content}" has no variant for {around.track}; write {file}')


def _send_next(fields: Fields, variants: tuple[tuple[str, int], ...], around: Surroundings) -> Send:
    kinds = known(fields.scalars("next"), CONTENT_KINDS, "kind", around.report)
    node, about = fields.node("about"), fields.maybe("about")
    if node and about and about not in {*around.names.topics, INTERESTS} and around.report.company_is_known:
        remedy = "declare it under topics in config/leadnurture.yaml, or write interests"
        around.report.unknown(node.place, "topic", about, [*around.names.topics, INTERESTS], remedy)
    _check_shelf(kinds, fields, around)
    return Send(next_of=cast("tuple[ContentKind, ...]", kinds), about=about, variants=variants)


def _check_shelf(kinds: tuple[str, ...], fields: Fields, around: Surroundings) -> None:
    names = around.names
    on_the_shelf = {kind for content, kind in names.contents.items() if (content, around.track) in names.variants}
    if kinds and None not in on_the_shelf and not on_the_shelf & set(kinds):
        around.report.warn(fields.at("next"), f"there is no {listed(kinds)} for {around.track}, so this mail goes to nobody; add one to config/content")


def _receiver(fields: Fields, around: Surroundings) -> str | None:
    return person(fields, "to", around.names.people | around.names.roles, around.report)


def _split(fields: Fields, around: Surroundings) -> tuple[tuple[str, int], ...]:
    entries, sends = fields.entries("split"), "send" in fields
    if len(entries) == 1:
        around.report.error(fields.at("split"), "a split needs two ways at least; add one or remove it")
    for entry in entries:
        if not sends:
            _check_target(entry.key, around)
        elif entry.key.text == WINNER:
            around.report.not_yet(entry.key.place, WINNER)
    return tuple((entry.key.text, whole_number(entry.value, "a share", around.report, 1, least=1)) for entry in entries)


def _after(fields: Fields, around: Surroundings) -> After | None:
    return fields.parsed("after", lambda text: times.after(text, around.anchors), None)


def _on(fields: Fields, around: Surroundings) -> tuple[Arm, ...]:
    return tuple(_reaction_arm(entry, around) for entry in fields.entries("on"))


def _reaction_arm(entry: Entry, around: Surroundings) -> Arm:
    when = warned(condition(entry.key, around.names, around.scope, around.report), entry.key.place, around.report)
    if entry.key.text.strip() in ENDING_KINDS:
        around.report.warn(entry.key.place, f'"{entry.key.text}" ends every program by itself, so this arm is never taken; remove it')
    if isinstance(entry.value, Map):
        fields = Fields(entry.value, files.Way, around.report)
        return Arm(entry.key.text, when, _way(fields, around), _sets(fields, around), entry.key.place.line)
    return Arm(entry.key.text, when, _target(entry.value, around), (), entry.key.place.line)


def _then(fields: Fields, around: Surroundings) -> tuple[Arm, ...]:
    arms: list[Arm] = []
    for item in fields.items("then"):
        line = Fields(item, files.Arm, around.report)
        if arms and arms[-1].when is None:
            around.report.error(line.place, "this arm is never reached, the one above has no if; write it above or remove it")
        when = warned(line.condition("if", around.names, around.scope), line.at("if"), around.report)
        arms.append(Arm(when.text if when else "", when, _way(line, around), _sets(line, around), item.place.line))
    return tuple(arms)


def _otherwise(fields: Fields, around: Surroundings) -> Go | None:
    node = fields.node("otherwise")
    if node is None:
        return None
    after = fields.node("after")
    is_dated = isinstance(after, Scalar) and times.ANCHORED.fullmatch(after.text)
    if "send" not in fields and not is_dated and "split" not in fields and "task" not in fields:
        sentence = '"otherwise" is for what cannot be done, and this step sends nothing and waits for no date; write it as an arm of then'
        around.report.error(fields.at("otherwise"), sentence)
    if isinstance(node, Map):
        return _way(Fields(node, files.Otherwise, around.report), around)
    return _target(node, around)


def _way(fields: Fields, around: Surroundings) -> Go:
    """Where an arm leads: exactly one of `go` and `program`."""
    if "go" in fields and "program" in fields:
        around.report.error(fields.at("program"), 'an arm leads to one place; write either "go" or "program"')
    elif "program" in fields:
        return Go(program=program(fields, "program", around.track, around.names, around.report) or "")
    elif node := fields.node("go"):
        return _target(node, around)
    else:
        around.report.error(fields.place, 'this arm leads nowhere; add "go" with a step or end, or "program"')
    return Go(end=True)


def _target(node: Node, around: Surroundings) -> Go:
    if not isinstance(node, Scalar):
        around.report.error(node.place, f"here belongs the name of a step, not {named(node)}")
        return Go(end=True)
    if text_of(node, "a target", around.report) is None or not _check_target(node, around):
        return Go(end=True)
    return Go(end=True) if node.text == END else Go(step=node.text)


def _check_target(node: Scalar, around: Surroundings) -> bool:
    if node.text in around.scope.steps or node.text == END:
        return True
    if node.text in around.names.programs:
        around.report.error(node.place, f'"{node.text}" is a program, not a step; write {{program: {node.text}}}')
    else:
        around.report.unknown(node.place, "step", node.text, [*around.scope.steps, END])
    return False


def _sets(fields: Fields, around: Surroundings) -> tuple[Setting, ...]:
    return tuple(setting for entry in fields.entries("set") if (setting := _setting(entry, around)))


def _setting(entry: Entry, around: Surroundings) -> Setting | None:
    name, names = entry.key.text, around.names
    if name == "tag":
        return Setting(name, text_of(entry.value, '"tag"', around.report) or "")
    if name in names.declared:
        value = _fact_value(entry, names.facts[name], around)
        return None if value is None else Setting(name, value)
    if name in names.facts:
        around.report.error(entry.key.place, f'"{name}" comes from the lead or the CRM; a program may set tag and the facts that the company declares')
    elif around.report.company_is_known:
        remedy = "declare it under facts in config/leadnurture.yaml"
        around.report.unknown(entry.key.place, "fact", name, [*names.declared, "tag"], remedy)
    return None


def _fact_value(entry: Entry, kind: FactKind, around: Surroundings) -> Value | Duration | None:
    node = entry.value
    if kind in {"text", "date"}:
        parse: Callable[[str], Value | Duration] = times.ahead if kind == "date" else str
        return parsed(node, f'"{entry.key.text}"', parse, around.report, None)
    value = node.value if isinstance(node, Scalar) else None
    is_flag = isinstance(value, bool)
    if (kind == "flag") == is_flag and isinstance(value, bool | int | float):
        return value
    wanted = "true or false" if kind == "flag" else "a number"
    around.report.error(node.place, f'"{entry.key.text}" is a {kind} and takes {wanted}, not {named(node)}')
    return None

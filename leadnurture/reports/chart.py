"""A program as a Mermaid flowchart, drawn from its file, with where the leads are.

One idea to hold: a line is a pair of steps. Ways between the same two are one line with all of their
labels, and what the program's own `on` says is drawn once, from a box that stands for every step. Pure; the
traps of Mermaid (reserved ids, quotes in labels) are known here and nowhere else.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from leadnurture.domain.program import Go, Program, Step
from leadnurture.profile.telling import number_told
from leadnurture.reports.ways import does_briefly, is_branch, label_of, rules_of

ENTER: Final = "o_enter"
EVERY_STEP: Final = "o_every"
END: Final = "o_end"
THINNEST: Final = 1.0
THICKEST: Final = 4.0
LABEL_WIDTH: Final = 26
# What a label must not contain as it is, since Mermaid or the browser would read it.
ESCAPES: Final = {"#": "#35;", "&": "&amp;", '"': "#quot;", "<": "&lt;", ">": "&gt;", "`": "#96;"}


@dataclass(frozen=True, slots=True)
class ChartCounts:
    """Where the leads of a program are, and how many went which way."""

    here: Mapping[str, int] = field(default_factory=dict)
    """By step."""
    moved: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (step, rule of the way), in the last 30 days."""
    entered: int = 0
    """In the last 30 days."""
    trouble: Collection[str] = ()
    """Steps that could not do what they say."""
    machines: Mapping[str, int] = field(default_factory=dict)
    """By step, clicks on its mails that were judged a machine's, in the last 30 days."""


@dataclass(frozen=True, slots=True)
class _Line:
    source: str
    target: str
    labels: tuple[str, ...]
    moved: int
    is_dotted: bool = False


def program_chart(program: Program, counts: ChartCounts | None = None) -> str:
    """The chart as Mermaid text; without counts it tells the program alone."""
    lines = _lines(program, counts or ChartCounts())
    texts = [
        "flowchart TD",
        *_boxes(program, counts, {end for line in lines for end in (line.source, line.target)}),
        *(_line_text(line, counts is not None) for line in lines),
        *_classes(program, counts, lines),
    ]
    most = max((line.moved for line in lines), default=0)
    if most:
        texts += [
            f"linkStyle {index} stroke-width:{_width(line.moved, most)}px" for index, line in enumerate(lines)
        ]
    return "\n  ".join(texts) + "\n"


def _lines(program: Program, counts: ChartCounts) -> list[_Line]:
    found: dict[tuple[str, str], _Line] = {(ENTER, _id(program.steps[0].name)): _enter_line(program, counts)}
    for step in program.steps:
        for rule, go in rules_of(program, step):
            moved = counts.moved.get((step.name, rule), 0)
            _merge(found, _Line(_id(step.name), _target(go), (label_of(rule, step),), moved))
    for arm in program.on:
        rule = f"on {arm.text} (program)"
        moved = sum(number for (_, each), number in counts.moved.items() if each == rule)
        _merge(found, _Line(EVERY_STEP, _target(arm.go), (arm.text,), moved, is_dotted=True))
    return list(found.values())


def _enter_line(program: Program, counts: ChartCounts) -> _Line:
    return _Line(ENTER, _id(program.steps[0].name), (), counts.entered)


def _merge(found: dict[tuple[str, str], _Line], line: _Line) -> None:
    known = found.get((line.source, line.target))
    labels = tuple(dict.fromkeys((*(known.labels if known else ()), *line.labels)))
    moved = line.moved + (known.moved if known else 0)
    found[line.source, line.target] = _Line(line.source, line.target, labels, moved, line.is_dotted)


def _boxes(program: Program, counts: ChartCounts | None, drawn: Collection[str]) -> list[str]:
    entered = (
        f"{number_told(counts.entered)} in 30 days"
        if counts
        else program.enter.text
        if program.enter
        else "sent here"
    )
    boxes = [f'{ENTER}(["{_two_lines("enter", entered)}"])']
    boxes += [_box(step, counts) for step in program.steps]
    names = {step.name for step in program.steps}
    kept = [name for name in (counts.here if counts else ()) if name not in names]
    boxes += [
        f'{_id(name)}["{_head(name, counts)}<br/><small>of an earlier version</small>"]' for name in kept
    ]
    if EVERY_STEP in drawn:
        boxes.append(f'{EVERY_STEP}(["from every step"])')
    boxes += [f'{node}(["{_escaped(name)}"])' for node, name in _outside(program) if node in drawn]
    return boxes


def _outside(program: Program) -> list[tuple[str, str]]:
    """The programs that it sends into, and the end."""
    goes = [go for step in program.steps for _, go in rules_of(program, step)] + [
        arm.go for arm in program.on
    ]
    programs = dict.fromkeys(go.program for go in goes if go.program)
    return [(_target(Go(program=name)), name) for name in programs] + [(END, "end")]


def _box(step: Step, counts: ChartCounts | None) -> str:
    opening, closing = ("[[", "]]") if step.handoff else ("{", "}") if is_branch(step) else ("[", "]")
    text = _head(step.name, counts)
    if counts and step.name in counts.trouble:
        text = f"▲ {text}"
    small = _wrapped(does_briefly(step))
    if counts and (clicks := counts.machines.get(step.name)):
        small += f"<br/>{number_told(clicks)} {'click' if clicks == 1 else 'clicks'} of machines"
    return f'{_id(step.name)}{opening}"{text}<br/><small>{small}</small>"{closing}'


def _head(name: str, counts: ChartCounts | None) -> str:
    return f"{name} <b>{number_told(counts.here.get(name, 0))}</b>" if counts else name


def _two_lines(first: str, second: str) -> str:
    return f"{_escaped(first)}<br/><small>{_wrapped(second)}</small>"


def _line_text(line: _Line, is_counted: bool) -> str:  # noqa: FBT001 - a drawing has two kinds
    label = _wrapped(", ".join(line.labels))
    if is_counted and line.moved:
        label = f"{label} <b>{number_told(line.moved)}</b>".strip()
    arrow = "-.->" if line.is_dotted else "-->"
    return (
        f'{line.source} {arrow}|"{label}"| {line.target}' if label else f"{line.source} {arrow} {line.target}"
    )


def _classes(program: Program, counts: ChartCounts | None, lines: Collection[_Line]) -> list[str]:
    drawn = {end for line in lines for end in (line.source, line.target)}
    outer = [ENTER, *(_id(step.name) for step in program.steps if step.handoff)]
    outer += [EVERY_STEP] * (EVERY_STEP in drawn) + [node for node, _ in _outside(program) if node in drawn]
    names = {step.name for step in program.steps}
    outer += [_id(name) for name in (counts.here if counts else ()) if name not in names]
    trouble = [_id(name) for name in sorted(names & set(counts.trouble))] if counts else []
    return [f"class {','.join(ids)} {name}" for ids, name in ((outer, "outer"), (trouble, "trouble")) if ids]


def _target(go: Go) -> str:
    if go.step:
        return _id(go.step)
    return f"p_{_plain(go.program)}" if go.program else END


def _id(step: str) -> str:
    """Prefixed, since a step may be called as Mermaid calls its own things: call, class, default."""
    return f"s_{_plain(step)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def _escaped(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)


def _wrapped(text: str) -> str:
    """Escaped, and broken at spaces so that a long condition makes a box higher, not wider."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= LABEL_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br/>".join(_escaped(line) for line in lines)


def _width(moved: int, most: int) -> str:
    """By the root of the share, in halves of a pixel: a tenth of the leads is still seen."""
    width = THINNEST + (THICKEST - THINNEST) * (moved / most) ** 0.5
    return f"{round(width * 2) / 2:.1f}"

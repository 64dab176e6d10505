"""Where the steps of a program lead as a whole: what is never reached, falls into a handoff, or never ends.

A loop is looked for edge by edge, not step by step: in the graph without the ways that wait there may be no
loop, nor in the graph without the ways that are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from leadnurture.definitions.conditions import NEVER
from leadnurture.definitions.problems import Place, Report
from leadnurture.domain.condition import And, Compare, Condition, DaysUntil, Figure, Node, Reacted
from leadnurture.domain.program import Go, Program, Step
from leadnurture.domain.timing import Anchored
from leadnurture.domain.vocabulary import STANDING_KINDS

BELOW: Final = frozenset({"<", "<=", "=="})
UNREACHED: Final = "is never reached; lead an arm to it or remove it"
NEVER_WAITS: Final = 'never waits; give one of its steps "after"'
NEVER_ENDS: Final = (
    'never ends; add "visit < 3" to one of its arms, or send {next: …} with otherwise, or count from a date'
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a step to a step."""

    start: str
    target: str
    waits: bool
    """Whether time must pass, or a person must act, before it is taken."""
    is_bounded: bool
    """Whether it cannot be taken for ever."""


def check_ways(program: Program, places: Mapping[str, Place], report: Report) -> None:
    """Report unreachable steps, falls into a handoff and loops; `places` says where each step begins."""
    ways = [way for step in program.steps for way in (*_early(program, step), *_late(program, step))]
    for name in _unreached(program, ways):
        report.error(places[name], f'step "{name}" {UNREACHED}')
    for step in program.steps:
        fall = _fall(program, step)
        if fall and fall.step and program.step(fall.step).handoff:
            sentence = f'who does nothing falls from "{step.name}" into the handoff "{fall.step}"'
            report.error(
                places[step.name], f'{sentence}; let its then end with an arm without if, "- go: end"'
            )
    unwaited, unbounded = (
        [way for way in ways if not way.waits],
        [way for way in ways if not way.is_bounded],
    )
    for some, sentence in ((unwaited, NEVER_WAITS), (unbounded, NEVER_ENDS)):
        if loop := _loop(program, some):
            report.error(places[loop[0]], f"the loop {' → '.join([*loop, loop[0]])} {sentence}")


def _early(program: Program, step: Step) -> Iterator[Way]:
    """The ways of `on`. A moment needs a person each time, for it steers only once; what stands holds on."""
    for arm in (*step.on, *program.on):
        if arm.go.step and arm.go.step != step.name:
            acts = any(_is_act(part) for part in _needed(arm.when))
            is_bounded = acts or _bounds(arm.when) or _is_bounded(step)
            yield Way(step.name, arm.go.step, acts or step.after is not None, is_bounded)


def _late(program: Program, step: Step) -> Iterator[Way]:
    """The ways when time is up, by a split, and when the step could not do what it says."""
    waits, is_bounded = step.after is not None, _is_bounded(step)
    for name, _ in step.split:
        yield Way(step.name, name, waits=False, is_bounded=False)
    for arm in step.then:
        if arm.go.step:
            yield Way(step.name, arm.go.step, waits, is_bounded or _bounds(arm.when))
    if step.otherwise and step.otherwise.step:
        acts = step.task is not None  # a person says that it cannot be done
        yield Way(step.name, step.otherwise.step, waits=acts, is_bounded=acts)
    fall = _fall(program, step)
    if fall and fall.step:
        yield Way(step.name, fall.step, waits, is_bounded)


def _fall(program: Program, step: Step) -> Go | None:
    """Where a lead goes for whom nothing of `then` is true; None where that cannot be."""
    if step.split or step.handoff or any(arm.when is None for arm in step.then):
        return None
    return program.following(step)


def _is_bounded(step: Step) -> bool:
    """Whether a step itself ends a loop: its shelf runs empty and leads elsewhere, or a date passes."""
    runs_empty = step.send is not None and bool(step.send.next_of) and step.otherwise is not None
    return runs_empty or isinstance(step.at, Anchored) or isinstance(step.after, Anchored)


def _bounds(condition: Condition | None) -> bool:
    return any(_is_bound(part) for part in _needed(condition))


def _needed(condition: Condition | None) -> Iterator[Node]:
    """The parts of a condition that must all be true."""
    parts = [condition.node] if condition else []
    while parts:
        part = parts.pop()
        if isinstance(part, And):
            parts += part.parts
        else:
            yield part


def _is_act(node: Node) -> bool:
    return node == NEVER or (isinstance(node, Reacted) and node.kind not in STANDING_KINDS)


def _is_bound(node: Node) -> bool:
    """Whether it cannot stay true for ever: `visit < n`, or a number of days to a date."""
    if not isinstance(node, Compare):
        return node == NEVER
    return (node.term == Figure("visit") and node.operator in BELOW) or isinstance(node.term, DaysUntil)


def _unreached(program: Program, ways: list[Way]) -> list[str]:
    reached, ahead = set[str](), [step.name for step in program.steps[:1]]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += [way.target for way in ways if way.start == name and way.target not in reached]
    return [step.name for step in program.steps if step.name not in reached]


def _loop(program: Program, ways: list[Way]) -> list[str]:
    """The steps of one loop, the first of the file first; empty when there is none."""
    targets = {step.name: [way.target for way in ways if way.start == step.name] for step in program.steps}
    while targets:
        free = [name for name, after in targets.items() if not any(target in targets for target in after)]
        if not free:
            return _around(targets)
        for name in free:
            del targets[name]
    return []


def _around(targets: Mapping[str, list[str]]) -> list[str]:
    """Follow ways inside of what is left, where every step leads on, until a step comes again."""
    path = [next(iter(targets))]
    while (onward := next(target for target in targets[path[-1]] if target in targets)) not in path:
        path.append(onward)
    loop = path[path.index(onward) :]
    first = loop.index(min(loop, key=list(targets).index))
    return loop[first:] + loop[:first]

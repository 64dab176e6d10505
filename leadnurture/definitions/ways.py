"""Where the steps of a program lead, judged as a whole: what is never reached, who falls into a handoff, which loop never ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from leadnurture.definitions.problems import Place
from leadnurture.domain.condition import And, Compare, DaysUntil, Figure, Reacted
from leadnurture.domain.timing import Anchored
from leadnurture.domain.vocabulary import STANDING_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadnurture.definitions.problems import Report
    from leadnurture.domain.condition import Condition, Node
    from leadnurture.domain.program import Go, Program, Step

BELOW: Final = frozenset({"<", "<=", "=="})
INDENT: Final = 3


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a step to a step."""

    start: str
    target: str
    waits: bool
    """Whether time passes before it is taken."""
    is_bounded: bool
    """Whether it cannot be taken for ever."""


def check_ways(program: Program, report: Report) -> None:
    """Report unreachable steps, falls into a handoff and loops. Expects a program whose targets exist."""
    ways = list(_ways(program))
    _check_reach(program, ways, report)
    _check_falls(program, report)
    _check_loops(program, ways, report)


def _ways(program: Program) -> Iterator[Way]:
    for step in program.steps:
        for arm in (*step.on, *program.on):
            if arm.go.step and arm.go.step != step.name:
                acts = _is_act(arm.when)
                yield Way(step.name, arm.go.step, acts or step.after is not None, acts or _bounds(arm.when) or _is_bounded(step))
        yield from _late_ways(program, step)


def _late_ways(program: Program, step: Step) -> Iterator[Way]:
    """The ways when time is up, by a split, and when the step could not do what it says."""
    waits, is_bounded = step.after is not None, _is_bounded(step)
    for name, _ in step.split:
        yield Way(step.name, name, waits=False, is_bounded=False)
    for arm in step.then:
        if arm.go.step:
            yield Way(step.name, arm.go.step, waits, is_bounded or _bounds(arm.when))
    if step.otherwise and step.otherwise.step:
        yield Way(step.name, step.otherwise.step, waits=False, is_bounded=False)
    fall = _fall(program, step)
    if fall and fall.step:
        yield Way(step.name, fall.step, waits, is_bounded)


def _fall(program: Program, step: Step) -> Go | None:
    """Where a lead goes for whom nothing of `then` is true; None where that cannot be."""
    if step.split or step.handoff or any(arm.when is None for arm in step.then):
        return None
    return program.following(step)


def _is_bounded(step: Step) -> bool:
    """Whether a step itself ends a loop: the shelf of `next` runs empty and leads elsewhere, a date passes."""
    runs_empty = step.send is not None and bool(step.send.next_of) and step.otherwise is not None
    return runs_empty or isinstance(step.at, Anchored) or isinstance(step.after, Anchored)


def _bounds(condition: Condition | None) -> bool:
    """Whether a condition cannot stay true for ever: `visit < n`, or a number of days to a date."""
    return condition is not None and any(_is_bound(part) for part in _all_of(condition.node))


def _is_act(condition: Condition | None) -> bool:
    """Whether a person must do something each time: a moment steers an enrollment once, what stands holds on."""
    parts = _all_of(condition.node) if condition else ()
    return any(isinstance(part, Reacted) and part.kind not in STANDING_KINDS for part in parts)


def _all_of(node: Node) -> Iterator[Node]:
    if isinstance(node, And):
        for part in node.parts:
            yield from _all_of(part)
    else:
        yield node


def _is_bound(node: Node) -> bool:
    if not isinstance(node, Compare):
        return False
    return (node.term == Figure("visit") and node.operator in BELOW) or isinstance(node.term, DaysUntil)


def _check_reach(program: Program, ways: list[Way], report: Report) -> None:
    reached, ahead = set[str](), [step.name for step in program.steps[:1]]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += [way.target for way in ways if way.start == name and way.target not in reached]
    for step in program.steps:
        if step.name not in reached:
            report.error(Place(step.line, INDENT), f'step "{step.name}" is never reached; lead an arm to it or remove it')


def _check_falls(program: Program, report: Report) -> None:
    for step in program.steps:
        fall = _fall(program, step)
        if fall and fall.step and program.step(fall.step).handoff:
            sentence = f'who does nothing falls from "{step.name}" into the handoff "{fall.step}"; end its then with an arm without if, as in "- go: end"'
            report.error(Place(step.line, INDENT), sentence)


def _check_loops(program: Program, ways: list[Way], report: Report) -> None:
    def tell(keep: Callable[[Way], bool], sentence: str) -> bool:
        loop = _loop(program, [way for way in ways if keep(way)])
        if loop:
            step = program.step(loop[0])
            report.error(Place(step.line, INDENT), f"the loop {' → '.join([*loop, loop[0]])} {sentence}")
        return bool(loop)

    tell(lambda way: not way.waits, 'never waits; give one of its steps "after"')
    tell(lambda way: not way.is_bounded, 'never ends; add "visit < 3" to an arm of it, or send {next: …} with otherwise, or count from a date')


def _loop(program: Program, ways: list[Way]) -> list[str]:
    """The names of one loop in the order of the file's first step of it; empty when there is none."""
    targets = {step.name: [way.target for way in ways if way.start == step.name] for step in program.steps}
    while targets:
        free = [name for name, after in targets.items() if not any(target in targets for target in after)]
        if not free:
            return _around(targets)
        for name in free:
            del targets[name]
    return []


def _around(targets: dict[str, list[str]]) -> list[str]:
    """Follow ways inside of what is left, where every step leads on, until a step comes again."""
    path = [next(iter(targets))]
    while True:
        onward = next(target for target in targets[path[-1]] if target in targets)
        if onward in path:
            loop = path[path.index(onward) :]
            first = min(loop, key=list(targets).index)
            return loop[loop.index(first) :] + loop[: loop.index(first)]
        path.append(onward)



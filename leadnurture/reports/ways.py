"""The steps of a program and its ways in words, and the rules under which history keeps them.

One idea to hold: a transition remembers the way that it took as the engine wrote it: `on registered`, `then
visit < 3`, `time is up`, with the trouble in brackets behind it. `rules_of` lists the same words from the
program, so that both meet.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from leadnurture.domain.program import Go, Program, Send, Step
from leadnurture.domain.timing import After, Anchored, FactAnchor
from leadnurture.domain.vocabulary import WHYS

TROUBLE: Final = re.compile(rf" \(({'|'.join(WHYS)})\)$")
PROGRAM_WIDE: Final = " (program)"
TIME_IS_UP: Final = "time is up"
MOVED_ON: Final = "moved on"
"""The trouble of a mail that was called back, since its step was left."""
# Troubles that a person should look at; all others are the planned answer to a deviation.
ALARMING: Final = frozenset({"failed", "refused"})
TROUBLES: Final[Mapping[str, str]] = {
    "empty": "nothing left to send",
    "had": "had it already",
    "declined": "declined it before",
    "unwanted": "wants no mail about its topics",
    "late": "its time had passed",
    "held": "held back too long",
    "failed": "could not be delivered",
    "cancelled": "cancelled",
    "no_date": "no date is known",
    "refused": "must not be mailed",
}
"""Why a step could not do what it says, for people."""


def rules_of(program: Program, step: Step) -> Iterator[tuple[str, Go]]:
    """Every way out of a step as (rule, target), without the program's own `on`."""
    for arm in step.on:
        yield f"on {arm.text}", arm.go
    if step.otherwise is not None:
        yield "otherwise", step.otherwise
    for name, weight in step.split:
        yield f"split {name} {weight}", Go(step=name)
    for arm in step.then:
        yield f"then {arm.text}".strip(), arm.go
    if not step.split and step.handoff is None and all(arm.when is not None for arm in step.then):
        yield (TIME_IS_UP if waits(step) else "next"), program.following(step)


def waits(step: Step) -> bool:
    """Whether time passes at a step: what sends waits for its sending."""
    return step.send is not None or step.after is not None


def is_branch(step: Step) -> bool:
    """Whether a step only chooses."""
    return (
        step.send is None
        and step.task is None
        and step.handoff is None
        and step.after is None
        and not step.on
    )


def rule_without_trouble(rule: str) -> tuple[str, str | None]:
    """A transition's rule as (rule, trouble)."""
    found = TROUBLE.search(rule)
    return (rule[: found.start()], found[1]) if found else (rule, None)


def rule_told(rule: str) -> str:
    """A transition's rule for people: `otherwise: nothing left to send`."""
    way, why = rule_without_trouble(rule)
    if way.endswith(PROGRAM_WIDE):
        way = f"{way.removesuffix(PROGRAM_WIDE)}, from every step"
    if way.startswith("pause "):
        way = f"while {way.removeprefix('pause ')}"
    return f"{way}: {TROUBLES[why]}" if why else way


def mail_trouble(trouble: str) -> str:
    """Why a mail did not leave, as a sentence."""
    said = "the lead had moved on" if trouble == MOVED_ON else trouble
    return f"{said[:1].upper()}{said[1:].rstrip('.')}."


def is_reaction(rule: str) -> bool:
    """Whether the lead did something; the other ways are silence, trouble, chance."""
    return rule.startswith("on ")


def label_of(rule: str, step: Step) -> str:
    """A way as it stands on a line of the chart."""
    if rule in {"then", TIME_IS_UP, "next"}:
        return TIME_IS_UP if step.send or step.on else "else" if any(arm.when for arm in step.then) else ""
    if rule.startswith("split "):
        return f"{100 * int(rule.rsplit(' ', 1)[1]) // sum(weight for _, weight in step.split)} %"
    return rule.removeprefix("on ").removeprefix("then ").removesuffix(PROGRAM_WIDE)


def does_briefly(step: Step) -> str:
    """What a step does, for the second line of its box."""
    if step.handoff:
        return "handoff to sales"
    if step.task:
        return "task for one of us"
    if step.send:
        return _next_of(step.send) or str(step.send.content)
    if step.split:
        return "by chance"
    if step.after is not None:
        return _waits(step.after)
    conditions = [arm.when.text for arm in step.then if arm.when]
    return conditions[0] if conditions else "waits for a reaction" if step.on else "goes on"


def _waits(after: After) -> str:
    if not isinstance(after, Anchored):
        return f"waits {after}"
    if after.duration.amount == 0 and isinstance(after.anchor, FactAnchor):
        return f"waits until {after.anchor.fact}"
    return f"waits until {after}"


def does(step: Step) -> str:
    """What a step does, for a table."""
    if step.handoff:
        return f"handoff: {step.handoff.text}"
    if step.task:
        return f"task: {step.task.text}"
    if step.send:
        following = _next_of(step.send)
        return f"sends the {following}" if following else f"sends {step.send.content}"
    if step.split:
        return "splits " + ", ".join(f"{weight} {name}" for name, weight in step.split)
    brief = does_briefly(step)
    return f"branches: {brief}" if is_branch(step) and brief != "goes on" else brief


def _next_of(send: Send) -> str:
    if not send.next_of:
        return ""
    about = {None: "", "interests": " about the lead’s interests"}.get(send.about, f" about {send.about}")
    *most, last = send.next_of
    return f"next {' or '.join(filter(None, (', '.join(most), last)))}{about}"

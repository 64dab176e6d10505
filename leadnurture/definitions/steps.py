"""One step of a program: what it does, how long it waits, and what it may not say by itself."""

from __future__ import annotations

from typing import Final

from leadnurture.definitions import arms, files, times
from leadnurture.definitions.arms import Surroundings
from leadnurture.definitions.asks import read_ask
from leadnurture.definitions.nodes import Entry, Map, Scalar
from leadnurture.definitions.problems import Report, listed, meant
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import topics
from leadnurture.definitions.values import whole_number
from leadnurture.domain.program import Handoff, Send, Step, Task
from leadnurture.domain.timing import After, Anchored, Duration, FactAnchor
from leadnurture.domain.vocabulary import CONTENT_KINDS, ContentKind

INTERESTS: Final = "interests"
WINNER: Final = "winner"
DOING: Final = ("send", "task", "handoff", "split")
WAITING: Final = ("on", "after", "then", "set", "tell")
# Beside a lone split nothing else happens: it sends everybody on at once.
NOT_BESIDE_SPLIT: Final = ("at", "late", "on", "after", "then", "otherwise")
# A wait that could not be read must not look like a loop without a wait or a bound as well.
UNREADABLE: Final[After] = Anchored(Duration(1, "days"), "after", FactAnchor(""))

IDLE: Final = "does nothing; write send, task, handoff, split, after or then, or remove it"
FOR_EVER: Final = 'waits for ever for who does not react; say how long with "after"'
NO_MAIL: Final = 'is about a mail, and this step sends none; leave it out, or wait with "after"'
ONLY_TASKS: Final = '"ask" belongs to a task, a content or a return; write what is to be done as task'
NEVER_FAILS: Final = (
    '"otherwise" is for what could not be done, and this step sends nothing and waits for no date; '
    "write it as the last arm of then"
)
PASSES: Final = "never happens beside a split, which sends everybody on at once; write it in the steps behind"


def read_step(entry: Entry, around: Surroundings) -> Step:
    """The step; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(entry.value, files.Step, around.report, entry.key.place)
    _check(entry, fields, around.report)
    split = _split(fields, around)
    return Step(
        name=entry.key.text,
        send=_send(fields, split, around),
        task=_task(fields, around),
        handoff=_handoff(fields, around),
        tell=arms.tell(fields, around),
        split=() if "send" in fields else split,
        sets=arms.settings(fields, around),
        at=fields.parsed("at", lambda text: times.at(text, around.anchors), None),
        late=fields.parsed("late", times.late, None),
        on=arms.on(fields, around),
        after=_after(fields, around),
        then=arms.then(fields, around),
        otherwise=arms.otherwise(fields, around),
        line=entry.key.place.line,
    )


def _check(entry: Entry, fields: Fields, report: Report) -> None:
    """What a step may not say, or must say, whatever stands around it."""
    name = entry.key.text
    doing = [key for key in DOING if key in fields and (key != "split" or "send" not in fields)]
    if len(doing) > 1:
        sentence = f"a step does one thing, but this one has {' and '.join(doing)}; make two steps"
        report.error(fields.at(doing[1]), sentence)
    if isinstance(entry.value, Map) and not any(key in fields for key in (*DOING, *WAITING)):
        report.error(entry.key.place, f'step "{name}" {IDLE}')
    if "on" in fields and "after" not in fields and "handoff" not in fields and "split" not in doing:
        report.error(fields.at("on"), f'step "{name}" {FOR_EVER}')
    if "split" in doing:
        _refuse(fields, NOT_BESIDE_SPLIT, PASSES, report)
    elif "send" not in fields:
        _refuse(fields, ("at", "late"), NO_MAIL, report)
    _check_companions(fields, report)


def _refuse(fields: Fields, keys: tuple[str, ...], why: str, report: Report) -> None:
    for key in keys:
        if key in fields:
            report.error(fields.at(key), f'"{key}" {why}')


def _check_companions(fields: Fields, report: Report) -> None:
    if "to" in fields and not any(key in fields for key in ("handoff", "task", "tell")):
        report.error(fields.at("to"), '"to" belongs to a handoff, a task or a tell; leave it out')
    if "ask" in fields and "task" not in fields:
        report.error(fields.at("ask"), ONLY_TASKS)
    after = fields.node("after")
    is_dated = isinstance(after, Scalar) and times.ANCHORED.fullmatch(after.text)
    if "otherwise" in fields and not is_dated and not any(key in fields for key in ("send", "split", "task")):
        report.error(fields.at("otherwise"), NEVER_FAILS)


def _handoff(fields: Fields, around: Surroundings) -> Handoff | None:
    if "handoff" not in fields:
        return None
    return Handoff(fields.text("handoff"), arms.receiver(fields, around))


def _task(fields: Fields, around: Surroundings) -> Task | None:
    if "task" not in fields:
        return None
    return Task(fields.text("task"), arms.receiver(fields, around), read_ask(fields, around.names))


def _after(fields: Fields, around: Surroundings) -> After | None:
    if "after" not in fields:
        return None
    return fields.parsed("after", lambda text: times.after(text, around.anchors), UNREADABLE)


def _send(fields: Fields, variants: tuple[tuple[str, int], ...], around: Surroundings) -> Send | None:
    node = fields.node("send")
    if isinstance(node, Map):
        return _send_next(Fields(node, files.Next, around.report), variants, around)
    if node is None:
        return None
    scalar = fields.scalar("send")
    return Send(content=_content(scalar, around) if scalar else "", variants=variants)


def _content(scalar: Scalar, around: Surroundings) -> str:
    name, names = scalar.text, around.names
    if name not in names.contents:
        known = names.contents
        around.report.unknown(scalar.place, "content", name, known, "a content is a file of config/content")
    elif (name, around.track) not in names.variants:
        file = f"templates/email/{name}/{around.track}.mjml"
        sentence = f'content "{name}" has no variant for {around.track}; write {file}'
        around.report.error(scalar.place, sentence)
    return name


def _send_next(fields: Fields, variants: tuple[tuple[str, int], ...], around: Surroundings) -> Send:
    kinds = tuple(kind for scalar in fields.scalars("next") if (kind := _kind(scalar, around)))
    about = fields.scalar("about")
    known = topics([about] if about else [], around.names.topics | {INTERESTS}, around.report)
    _check_shelf(kinds, fields, around)
    return Send(next_of=kinds, about=known[0] if known else None, variants=variants)


def _kind(scalar: Scalar, around: Surroundings) -> ContentKind | None:
    if scalar.text not in CONTENT_KINDS:
        around.report.unknown(scalar.place, "kind", scalar.text, CONTENT_KINDS)
    return next((kind for kind in CONTENT_KINDS if kind == meant(scalar.text, CONTENT_KINDS)), None)


def _check_shelf(kinds: tuple[ContentKind, ...], fields: Fields, around: Surroundings) -> None:
    names = around.names
    there = {kind for name, kind in names.contents.items() if (name, around.track) in names.variants}
    if kinds and None not in there and not there & set(kinds):
        sentence = f"there is no {listed(kinds)} for {around.track}, so this mail goes to nobody; add one"
        around.report.warn(fields.at("next"), sentence)


def _split(fields: Fields, around: Surroundings) -> tuple[tuple[str, int], ...]:
    entries, sends = fields.entries("split"), "send" in fields
    if len(entries) == 1:
        around.report.error(fields.at("split"), "a split needs two ways at least; add one or remove it")
    for entry in entries:
        if not sends:
            arms.check_target(entry.key, around)
        elif entry.key.text == WINNER:
            around.report.not_yet(entry.key.place, WINNER)
    return tuple(
        (entry.key.text, whole_number(entry.value, "a share", around.report, 1, 1)) for entry in entries
    )

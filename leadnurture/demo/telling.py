"""The summary as people read it: a block per program, then what must agree, and the branches at the very end.

Plain text for any width; a line is broken between two items, never within one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from leadnurture.demo.branches import Branch, ProgramTold, StepTold
from leadnurture.demo.summary import Summary

WIDTHS: Final = (72, 112)
"""The narrowest and the widest text that reads well."""
LABEL: Final = 14
STEP: Final = 14
FIGURE: Final = 7
GAP: Final = "   "
WHOSE: Final = {"person": "of people", "undecided": "undecided", "machine": "of machines"}


def told(summary: Summary, width: int = WIDTHS[1]) -> str:
    """The whole summary, without a last line break."""
    return "\n".join(_lines(summary, min(max(width, WIDTHS[0]), WIDTHS[1])))


def _lines(summary: Summary, width: int) -> Iterator[str]:
    for program in summary.programs:
        yield ""
        yield from _program(program, width)
    weeks = (summary.until - summary.since).days // 7
    since, until = (f"{day.day} {day:%B %Y}" for day in (summary.since, summary.until))
    yield ""
    yield from _labelled("Time", [f"{since} to {until}: {weeks} weeks"], width)
    yield from _labelled("Leads", [f"{summary.leads:,} in"], width)
    yield from _labelled("Reactions", _counted(summary.reactions), width)
    clicks = [f"{summary.clicks[judgement]:,} {whose}" for judgement, whose in WHOSE.items()]
    yield from _labelled("Clicks", [*clicks, f"{summary.taken_back:,} taken back"], width)
    after = f"mails after unsubscribe: {summary.mails_after_leaving:,}"
    yield from _labelled("Unsubscribed", [f"{summary.left:,}", after], width)
    against = f"mails against their choice: {summary.mails_against_choice:,}"
    yield from _labelled("Preferences", [f"{summary.chose:,} chose", against], width)
    said = f"{summary.confirmed:,} of {summary.asked:,} who were asked said yes"
    yield from _labelled("Double opt-in", [said], width)
    yield from _labelled("Locales", _counted(summary.locales), width)
    yield from _labelled("Seat mails", _counted(summary.seats), width)
    for label, items in _handoffs(summary):
        yield from _labelled(label, items, width)
    recycled = [f"{summary.recycled:,} leads", f"{summary.became_clients:,} became clients"]
    yield from _labelled("Recycled", recycled, width)
    agree = "agree" if not summary.problems else "do not agree"
    files = f"{summary.mails:,} mails by the rows and {summary.files:,} .eml files {agree}"
    yield from _labelled("Duplicates", [f"{summary.duplicates:,}", files], width)
    yield from _labelled("Waves", [f"{summary.waves:,}", _shown(summary)], width)
    taken = f"{summary.branches - len(summary.untaken):,} of {summary.branches:,} taken"
    yield from _labelled("Branches", [taken], width)
    yield from (f"  not yet: {name}" for name in summary.untaken)


def _program(program: ProgramTold, width: int) -> Iterator[str]:
    yield f"{program.name} {'─' * (width - len(program.name) - 1)}"
    yield from _wrapped("  ", _taken(program.ways), width)
    yield f"  {'step':<{STEP}}{'leads':>{FIGURE}}{'mails':>{FIGURE}}{GAP}ways on"
    for step in program.steps:
        yield from _wrapped(_figures(step), _taken(step.branches), width)


def _figures(step: StepTold) -> str:
    mails = f"{step.mails:,}" if step.mails else ""
    return f"  {step.name:<{STEP}}{step.arrived:>{FIGURE},}{mails:>{FIGURE}}{GAP}"


def _taken(branches: Iterable[Branch]) -> list[str]:
    return [f"{branch.name} {branch.taken:,}" for branch in branches]


def _counted(counts: Counter[str]) -> list[str]:
    return [f"{name} {count:,}" for name, count in counts.most_common()]


def _handoffs(summary: Summary) -> Iterator[tuple[str, list[str]]]:
    """A line per track, of which the first has the label."""
    label = "Handoffs"
    for track in sorted({track for track, _ in summary.handoffs}):
        outcomes = Counter({name: count for (of, name), count in summary.handoffs.items() if of == track})
        first, *others = _counted(outcomes)
        yield label, [f"{outcomes.total():,} of {track}: {first}", *others]
        label = ""


def _shown(summary: Summary) -> str:
    if summary.waves_shown is None:
        return "Prefect did not answer"
    return f"{summary.waves_shown:,} seen in Prefect"


def _labelled(label: str, items: Sequence[str], width: int) -> Iterator[str]:
    yield from _wrapped(f"{label:<{LABEL}}", items, width)


def _wrapped(head: str, items: Sequence[str], width: int) -> Iterator[str]:
    """The items behind a head; those that do not fit stand below the first."""
    line = head
    for number, item in enumerate(items):
        part = item if number == len(items) - 1 else f"{item}; "
        if len(line) + len(part.rstrip()) > width and line.strip() and len(line) > len(head):
            yield line.rstrip()
            line = " " * len(head)
        line += part
    yield line.rstrip()

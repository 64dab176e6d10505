"""A journey as plain text for a terminal of a hundred columns."""

import textwrap
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby
from typing import Final

from leadnurture.profile.telling import agreement_told, date_told, fact_told, local
from leadnurture.reports.coming import Coming
from leadnurture.reports.journeys import Journey
from leadnurture.reports.story import Entry

WIDTH: Final = 100
LABEL: Final = 13
MARKS: Final = {
    "came": "·", "consent": "·", "reaction": "●", "click": "○", "points": "●", "mail": "✉", "stage": "▲",
    "handoff": "★", "moved": "◆", "task": "□", "deal": "★", "note": "✎",
}  # fmt: skip


def render_journey(journey: Journey) -> str:
    """The journey as it is read in a terminal: who, score, next, story."""
    sections = (_head(journey), _score(journey), _next(journey), _story(journey))
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(journey: Journey) -> Iterator[str]:
    who = journey.who
    place = f"{who.track}, {who.stage.replace('_', ' ')}"
    name = f"{who.name} <{who.email}>" if who.name != who.email else who.email
    yield f"{name}{place:>{max(WIDTH - len(name), len(place) + 2)}}"
    yield ", ".join(filter(None, (who.who, journey.zone, f"lead {who.lead_id}")))
    yield "─" * WIDTH
    yield from _labelled("Facts", ", ".join(fact_told(name, value) for name, value in who.facts))
    yield from _labelled("Known as", ", ".join(f"{system} {key}" for system, key in journey.keys))
    yield from _labelled("Owner", journey.owner)
    yield from _labelled("CRM", " ".join(filter(None, journey.crm or ())))
    yield from _labelled("Tags", ", ".join(journey.tags))
    yield from _labelled("Products", ", ".join(journey.products))
    yield from _labelled("Interests", ", ".join(_interests(journey)))
    yield from _labelled("Consents", ", ".join(_consents(journey)) or "none")
    if journey.suppression:
        reason, since = journey.suppression
        yield from _labelled("Suppressed", f"{reason}, since {_day(journey, since)}")
    if journey.hold_until and journey.hold_until > journey.now:
        yield from _labelled("Held", f"until {_day(journey, journey.hold_until)}")
    yield from _labelled("Missing", ", ".join(journey.missing))


def _interests(journey: Journey) -> Iterator[str]:
    for row in journey.interests:
        past = "" if row.is_living else ", past"
        yield f"{row.topic} ({row.reactions}, last {_day(journey, row.last_at)}{past})"


def _consents(journey: Journey) -> Iterator[str]:
    for row in journey.consents:
        if row.withdrawn_at:
            yield f"{row.purpose} withdrawn {_day(journey, row.withdrawn_at)}"
        else:
            yield f"{row.purpose} since {_day(journey, row.given_at)}"


def _score(journey: Journey) -> Iterator[str]:
    who = journey.who
    yield f"Score {who.score} = {journey.score_formula}: fit {who.fit}, engagement {who.engagement}"
    yield f"{'':{LABEL}}qualified when {journey.threshold}, agreement of {agreement_told(journey.agreement)}"
    for fit in who.fit_reasons:
        yield f"{fit.points:>+8}  {fit.saw}"
    for reason in who.reasons:
        until = f", until {_day(journey, reason.ends_at)}" if reason.ends_at else ""
        yield from _wrapped(f"{reason.points:>+8}  ", f"{reason.text}, {_day(journey, reason.at)}{until}")


def _next(journey: Journey) -> Iterator[str]:
    yield "Next"
    for each in journey.coming:
        yield from _coming(journey, each)


def _coming(journey: Journey, each: Coming) -> Iterator[str]:
    when = "no date" if each.at is None else "now" if each.at <= journey.now else _moment(journey, each.at)
    yield from _wrapped(f"  {when:<22}", each.text)
    yield from _wrapped(" " * 24, each.why)


def _story(journey: Journey) -> Iterator[str]:
    yield "Story"
    for day, entries in groupby(journey.story, key=lambda entry: local(entry.at, journey.zone).date()):
        yield from _of_day(journey, day, entries)


def _of_day(journey: Journey, day: date, entries: Iterable[Entry]) -> Iterator[str]:
    yield ""
    yield f"  {day:%A} {day.day} {day:%B %Y}"
    for entry in entries:
        yield from _wrapped(f"    {local(entry.at, journey.zone):%H:%M}  {MARKS[entry.kind]} ", entry.text)
        yield from _wrapped(" " * 13, entry.why)


def _labelled(label: str, text: str) -> Iterator[str]:
    if text:
        yield from _wrapped(f"{label:<{LABEL}}", text)


def _wrapped(prefix: str, text: str) -> Iterator[str]:
    if text:
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=prefix, subsequent_indent=" " * len(prefix), break_on_hyphens=False
        )


def _day(journey: Journey, instant: datetime) -> str:
    return date_told(local(instant, journey.zone).date(), local(journey.now, journey.zone).date())


def _moment(journey: Journey, instant: datetime) -> str:
    clock = local(instant, journey.zone)
    return f"{clock:%a} {date_told(clock.date(), local(journey.now, journey.zone).date())}, {clock:%H:%M}"

"""How a page writes instants: compared with its now, never bare; mails share `profile.telling`."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from markupsafe import Markup

from leadnurture.profile import telling

NOTHING: Final = "–"


@dataclass(frozen=True)
class Wording:
    """The clock of one page: its now, and the zone in which the company reads it."""

    zone: str
    now: datetime

    def clock(self, instant: datetime) -> str:
        """`13:00`."""
        return f"{telling.local(instant, self.zone):%H:%M}"

    def day(self, instant: datetime) -> str:
        """`today`, else `Mon 7 Dec`."""
        return telling.day_told(instant, self.zone, self.now)

    def date(self, instant: datetime | date) -> str:
        """`7 December 2026`: for what will be read long after."""
        day = telling.local(instant, self.zone).date() if isinstance(instant, datetime) else instant
        return f"{day.day} {day:%B %Y}"

    def heading(self, instant: datetime) -> str:
        """`Wednesday 9 December`, with its year where that is another one: the head of a day of a journey."""
        day = telling.local(instant, self.zone)
        year = "" if day.year == telling.local(self.now, self.zone).year else f" {day.year}"
        return f"{day:%A} {day.day} {day:%B}{year}"

    def moment(self, instant: datetime | None) -> Markup:
        """`yesterday, 16:48` as an HTML time; a dash where there is none."""
        if instant is None:
            return Markup(NOTHING)  # noqa: S704 - a constant of ours
        written = telling.moment_told(instant, self.zone, self.now)
        return Markup('<time datetime="{}">{}</time>').format(instant.isoformat(timespec="minutes"), written)

    def ahead(self, instant: datetime) -> str:
        """`20 min`, `3 days`: how far off it is; `now` once it is due."""
        return "now" if instant <= self.now else telling.span_told(instant - self.now)

    def due(self, instant: datetime | None) -> Markup:
        """The same for what is to come: `now` once it is due."""
        if instant is not None and instant <= self.now:
            return Markup("now")
        return self.moment(instant)


def number(value: float | None) -> str:
    """`1,284`; a dash for nothing."""
    return NOTHING if value is None else telling.number_told(value)


def counted(value: int, one: str, many: str | None = None) -> str:
    """`1 lead`, `8 leads`, `no leads`."""
    told = telling.counted(value, one, many)
    return told if value else f"no{told.removeprefix('0')}"


def share(part: float, whole: float) -> str:
    """`62 %`; a dash where there is nothing to compare with."""
    return f"{100 * part / whole:.0f} %" if whole else NOTHING


def words(name: str | None) -> str:
    """A word of the glossary as people write it: `handed_off` is `handed off`."""
    return (name or "").replace("_", " ")

"""Durations, hours and anchors as a program writes them. The calendar turns them into instants."""

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["minutes", "hours", "days", "weeks", "months", "business days", "business hours"]
SECONDS: Final[dict[str, int]] = {"minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}
MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Duration:
    """`5 business days`. Minutes and hours are absolute; days, weeks and business days are dates (local
    midnights).
    """

    amount: int
    unit: Unit

    def __str__(self) -> str:
        unit = self.unit[:-1] if self.amount == 1 else self.unit
        return f"{self.amount} {unit}"

    @property
    def is_absolute(self) -> bool:
        """Whether it counts hours on the clock instead of dates in the calendar."""
        return self.unit in {"minutes", "hours"}

    @property
    def days(self) -> int:
        """Calendar days of `days` and `weeks`; business days and months are not days."""
        return self.amount * {"days": 1, "weeks": 7}[self.unit]

    @property
    def microseconds(self) -> int:
        """Length of an absolute duration, or of days of 24 hours, for spans that no calendar rules (`live: 90
        days`).
        """
        return self.amount * SECONDS[self.unit] * MICROSECONDS


@dataclass(frozen=True, slots=True)
class StepAnchor:
    """The session that a webinar's step sent about, else the planned date of that step's mail."""

    step: str
    type: Literal["step_anchor"] = "step_anchor"


@dataclass(frozen=True, slots=True)
class FactAnchor:
    """A date that is known of the lead or of its account (`budget_on`, `account.contract_ends_on`)."""

    fact: str
    type: Literal["fact_anchor"] = "fact_anchor"


Anchor = StepAnchor | FactAnchor


@dataclass(frozen=True, slots=True)
class Anchored:
    """`2 business days before invite`."""

    duration: Duration
    direction: Literal["before", "after"]
    anchor: Anchor
    type: Literal["anchored"] = "anchored"

    def __str__(self) -> str:
        name = self.anchor.step if isinstance(self.anchor, StepAnchor) else self.anchor.fact
        return f"{self.duration} {self.direction} {name}"


@dataclass(frozen=True, slots=True)
class Hour:
    """`tuesday 10:00`, `tuesday` (its first working hour) or `10:00` (the next one, today included)."""

    weekday: int | None
    """0 is Monday."""
    minute: int | None
    """Of the local day; None means the first working hour."""
    type: Literal["hour"] = "hour"


@dataclass(frozen=True, slots=True)
class Wait:
    """`after: 5 business days`, counted from the planned date of the sending, else from the arrival."""

    duration: Duration
    type: Literal["wait"] = "wait"

    def __str__(self) -> str:
        return str(self.duration)


At = Hour | Anchored
After = Wait | Anchored


@dataclass(frozen=True, slots=True)
class Late:
    """What becomes of a mail that missed its window: skip it, send it within a time, or wait for the next
    window.
    """

    rule: Literal["skip", "within", "next window"]
    within: Duration | None = None

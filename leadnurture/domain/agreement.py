"""The agreement of a track: what marketing and sales decided together about fit, threshold, stages, owners
and time.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from leadnurture.domain.asking import Ask
from leadnurture.domain.condition import Condition, Reacted
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import Stage, Track


@dataclass(frozen=True, slots=True)
class FitRule:
    """Points while a condition over facts is true."""

    condition: Condition
    points: int


@dataclass(frozen=True, slots=True)
class EngagementRule:
    """Points for a reaction: once per content, for visits once a day."""

    text: str
    reacted: Reacted
    points: int


@dataclass(frozen=True, slots=True)
class ScoreFormula:
    """`score: fit + engagement` as integer weights."""

    fit: int = 1
    engagement: int = 1
    constant: int = 0


@dataclass(frozen=True, slots=True)
class StageRule:
    """What the agreement says of one stage; the stages and their order are fixed."""

    stage: Stage
    means: str = ""
    when: Condition | None = None
    needs: tuple[str, ...] = ()
    owner: str | None = None
    within: Duration | None = None
    remind: Duration | None = None
    escalate: str | None = None
    promise: str | None = None
    stalled: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of `routing`: people in turn, a name as often as its weight; `account.owner` or `account
    manager` stand for him.
    """

    to: tuple[str, ...]
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class ReturnReason:
    """What becomes of a lead that sales returned for this reason."""

    reason: str
    program: str | None = None
    go: Literal["resume", "end"] | None = None
    ask: Ask | None = None
    """Facts that sales is asked for with the return."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`config/<track>/track.yaml`. Live; its version is named by every handoff and every point."""

    track: Track
    version: date
    agreed: tuple[tuple[str, str], ...]
    """(side, person): who agreed for marketing and for sales."""
    consent: str | None = None
    pace: tuple[int, int] | None = None
    """(mails, days): at most so many in any so many days, over all programs of a person."""
    at_once: int = 1
    pause: Condition | None = None
    fit: tuple[FitRule, ...] = ()
    live: Duration | None = None
    engagement: tuple[EngagementRule, ...] = ()
    score: ScoreFormula = ScoreFormula()
    stages: tuple[StageRule, ...] = ()
    routing: tuple[Route, ...] = ()
    returns: tuple[ReturnReason, ...] = ()
    sender: Literal["company", "account manager"] = "company"
    preview: Duration | None = None
    crm_required: bool = False

    def stage(self, name: Stage) -> StageRule:
        """The rule of a stage; an empty one where the agreement is silent."""
        for rule in self.stages:
            if rule.stage == name:
                return rule
        return StageRule(name)

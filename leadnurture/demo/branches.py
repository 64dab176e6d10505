"""Which ways of the programs were taken, and by how many: the proof that the demo shows all of the sample.

A branch is a way as its file writes it; history names the same words (`on registered`, `then clicked`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Step
from leadnurture.domain.vocabulary import WHYS
from leadnurture.store.tables import metadata

TROUBLE: Final = re.compile(rf" \(({'|'.join(WHYS)})\)$")
"""What history adds to the way of somebody whose step could not do what it says."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A way out of a step, into the program or out of it, and how often it was taken."""

    name: str
    taken: int


@dataclass(frozen=True, slots=True)
class StepTold:
    """What happened at a step."""

    name: str
    arrived: int
    mails: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class ProgramTold:
    """What happened in a program."""

    name: str
    ways: tuple[Branch, ...]
    """In, out, and what holds in every step."""
    steps: tuple[StepTold, ...]

    @property
    def untaken(self) -> tuple[str, ...]:
        """The branches that nobody took."""
        own = [f"{self.name}: {branch.name}" for branch in self.ways if not branch.taken]
        of_steps = [
            f"{self.name}, {step.name}: {branch.name}"
            for step in self.steps
            for branch in step.branches
            if not branch.taken
        ]
        return (*own, *of_steps)

    @property
    def size(self) -> int:
        """How many branches there are."""
        return len(self.ways) + sum(len(step.branches) for step in self.steps)


def programs_told(connection: Connection, definitions: Definitions) -> tuple[ProgramTold, ...]:
    """Every program with all of its branches. Four statements."""
    moves, arrivals, mails, goals = (
        _moves(connection),
        _arrivals(connection),
        _mails(connection),
        _goals(connection),
    )
    return tuple(
        _told(program, moves, arrivals, mails, goals[program.name]) for program in definitions.programs
    )


Counts = Counter[tuple[str, str, str]]


def _told(
    program: Program,
    moves: Counts,
    arrivals: Counter[tuple[str, str]],
    mails: Counter[tuple[str, str]],
    goals: int,
) -> ProgramTold:
    steps = tuple(
        StepTold(
            step.name,
            arrivals[program.name, step.name],
            mails[program.name, step.name],
            tuple(
                Branch(f"{rule} → {target}", moves[program.name, step.name, rule])
                for rule, target in _ways(program, step)
            ),
        )
        for step in program.steps
    )
    return ProgramTold(program.name, tuple(_heads(program, moves, goals)), steps)


def _ways(program: Program, step: Step) -> Iterator[tuple[str, str]]:
    """(rule, target) of every way out of a step, in the words of the history."""
    for arm in step.on:
        yield f"on {arm.text}", str(arm.go)
    if step.otherwise is not None:
        yield "otherwise", str(step.otherwise)
    for name, weight in step.split:
        yield f"split {name} {weight}", name
    for arm in step.then:
        yield f"then {arm.text}".strip(), str(arm.go)
    if not step.split and step.handoff is None and all(arm.when is not None for arm in step.then):
        waits = step.send is not None or step.after is not None
        yield "time is up" if waits else "next", str(program.following(step))


def _heads(program: Program, moves: Counts, goals: int) -> Iterator[Branch]:
    def taken(beginning: str) -> int:
        return sum(
            count
            for (name, _, rule), count in moves.items()
            if name == program.name and rule.startswith(beginning)
        )

    yield (
        Branch("enter", taken("enter "))
        if program.enter
        else Branch("sent here", taken("sent ") + taken("returned "))
    )
    for arm in program.on:
        yield Branch(f"on {arm.text} → {arm.go}", taken(f"on {arm.text} (program)"))
    if program.exit is not None:
        yield Branch("exit", taken("exit "))
    if program.goal is not None:
        yield Branch("goal", goals)


def _moves(connection: Connection) -> Counts:
    transition, enrollment = metadata.tables["transition"], metadata.tables["enrollment"]
    question = (
        select(enrollment.c.program, transition.c.from_step, transition.c.rule, func.count().label("leads"))
        .join(enrollment, enrollment.c.id == transition.c.enrollment_id)
        .group_by(enrollment.c.program, transition.c.from_step, transition.c.rule)
    )
    found: Counts = Counter()
    for row in connection.execute(question):
        found[row.program, row.from_step or "", TROUBLE.sub("", row.rule)] += row.leads
    return found


def _arrivals(connection: Connection) -> Counter[tuple[str, str]]:
    transition, enrollment = metadata.tables["transition"], metadata.tables["enrollment"]
    moved = transition.c.from_step.is_(None) | (transition.c.from_step != transition.c.to_step)
    question = (
        select(enrollment.c.program, transition.c.to_step, func.count().label("leads"))
        .join(enrollment, enrollment.c.id == transition.c.enrollment_id)
        .where(transition.c.to_step.is_not(None), moved)
        .group_by(enrollment.c.program, transition.c.to_step)
    )
    return Counter({(row.program, row.to_step): row.leads for row in connection.execute(question)})


def _mails(connection: Connection) -> Counter[tuple[str, str]]:
    message = metadata.tables["message"]
    question = (
        select(message.c.program, message.c.step, func.count().label("mails"))
        .where(message.c.sent_at.is_not(None))
        .group_by(message.c.program, message.c.step)
    )
    return Counter({(row.program, row.step): row.mails for row in connection.execute(question)})


def _goals(connection: Connection) -> Counter[str]:
    enrollment = metadata.tables["enrollment"]
    question = (
        select(enrollment.c.program, func.count().label("leads"))
        .where(enrollment.c.goal_at.is_not(None))
        .group_by(enrollment.c.program)
    )
    return Counter({row.program: row.leads for row in connection.execute(question)})

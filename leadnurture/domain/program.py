"""A program: steps that do one thing, wait, and choose; and the rules of its head."""

from collections.abc import Iterator
from dataclasses import dataclass

from leadnurture.domain.asking import Ask
from leadnurture.domain.condition import Condition, Value
from leadnurture.domain.timing import After, At, Duration, Late
from leadnurture.domain.vocabulary import ContentKind, Track


@dataclass(frozen=True, slots=True)
class Go:
    """Where an arm leads: a step of this program, another program, or the end. Exactly one of the three."""

    step: str | None = None
    program: str | None = None
    end: bool = False

    def __str__(self) -> str:
        return self.step or (f"program {self.program}" if self.program else "end")


@dataclass(frozen=True, slots=True)
class Setting:
    """`set: {ask_again_on: in 6 months}` or `set: {tag: quiet}`; `name` is a fact or `tag`."""

    name: str
    value: Value | Duration
    """A duration means that long after the day of the move."""


@dataclass(frozen=True, slots=True)
class Tell:
    """`tell: He asked for a call`: a notice to one of our people."""

    text: str
    to: str | None = None
    """A person or a role; None is the owner of the program."""


@dataclass(frozen=True, slots=True)
class Task:
    """`task: Ask what they use today`: something for one of our people to do."""

    text: str
    to: str | None = None
    """As of `Tell`."""
    ask: Ask | None = None
    """None: it is done, or it cannot be done."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way out: the first arm whose condition is true is taken; one without a condition is always true."""

    text: str
    """The key or the `if` as written; empty when unconditional."""
    when: Condition | None
    go: Go
    sets: tuple[Setting, ...] = ()
    line: int = 0
    tell: Tell | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """`send: webinar-last-call` or `send: {next: [article, report], about: interests}`."""

    content: str | None = None
    next_of: tuple[ContentKind, ...] = ()
    about: str | None = None
    """A topic; `interests` means the lead's own, strongest first; None means any."""
    variants: tuple[tuple[str, int], ...] = ()
    """(name, weight) of a `split` beside the `send`."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """`handoff: Answered the webinar series`."""

    text: str
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One stop: do (`send`, `task`, `handoff`, `split`), wait (`on`, `after`), choose (`then` …)."""

    name: str
    send: Send | None = None
    task: Task | None = None
    handoff: Handoff | None = None
    tell: Tell | None = None
    split: tuple[tuple[str, int], ...] = ()
    """(step, weight) of a `split` that stands alone."""
    sets: tuple[Setting, ...] = ()
    at: At | None = None
    late: Late | None = None
    on: tuple[Arm, ...] = ()
    after: After | None = None
    then: tuple[Arm, ...] = ()
    otherwise: Go | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """One file of `config/<track>/programs/`."""

    name: str
    track: Track
    title: str
    owner: str
    steps: tuple[Step, ...]
    enter: Condition | None = None
    again: Duration | None = None
    goal: Condition | None = None
    exit: Condition | None = None
    on: tuple[Arm, ...] = ()
    priority: int = 0
    needs_consent: bool = True
    """False for `consent: none`."""
    moved: tuple[tuple[str, str], ...] = ()
    file: str = ""

    def step(self, name: str) -> Step:
        """The step of that name; KeyError when there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def conditions(self) -> Iterator[Condition]:
        """Every condition of the file."""
        arms = (*self.on, *(arm for step in self.steps for arm in (*step.on, *step.then)))
        written = (self.enter, self.exit, self.goal, *(arm.when for arm in arms))
        yield from (condition for condition in written if condition is not None)

    def following(self, step: Step) -> Go:
        """Where a step leads when nothing of its `then` is true: the next step of the file, else the end."""
        index = self.steps.index(step)
        if index + 1 < len(self.steps):
            return Go(step=self.steps[index + 1].name)
        return Go(end=True)

    def ways(self, step: Step) -> Iterator[tuple[str, Go]]:
        """Every way out of a step as (label, target), without the program's own `on`; the chart and the flow
        draw these.
        """
        for arm in step.on:
            yield arm.text, arm.go
        for name, weight in step.split:
            yield f"split {weight}", Go(step=name)
        for arm in step.then:
            yield arm.text or "time is up", arm.go
        if step.otherwise:
            yield "otherwise", step.otherwise
        falls = not step.split and all(arm.when is not None for arm in step.then)
        if falls and step.handoff is None:
            yield "time is up" if not step.then else "else", self.following(step)

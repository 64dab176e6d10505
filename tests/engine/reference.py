"""The engine once more, in plain Python: one lead at a time, loops for sets, `zoneinfo` for tables.

Written from the language's rules, to be compared with the SQL. It reads the same definitions, since parsing
is not tested here, and nothing else of the product. A round is what the driver does: looks, waves, mails.
It is over 500 lines because it is the whole language, to be read beside it.
"""

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import holidays as package

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company
from leadnurture.domain.condition import (
    And,
    Compare,
    DaysUntil,
    Fact,
    Figure,
    Has,
    Known,
    Node,
    Not,
    OneOf,
    OpenHandoff,
    Or,
    Reacted,
    Term,
    Value,
    Word,
)
from leadnurture.domain.content import Content
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Arm, Go, Program, Send, Setting, Step
from leadnurture.domain.timing import Anchored, Duration, FactAnchor, Hour, Late, Wait

SETTLE: Final = timedelta(seconds=120)
STANDING: Final = {"registered", "declined", "attended", "missed"}
SHOW_INTEREST: Final = {"clicked", "replied", "registered", "attended", "downloaded", "submitted", "visited"}
STAGES: Final = ["new", "engaged", "qualified", "handed_off", "accepted", "opportunity", "won"]
GONE: Final = {"cancelled", "failed"}
Coin = Callable[["Enrollment"], str]


# Time


@dataclass(frozen=True)
class Calendar:
    """Days and hours in one zone."""

    company: Company
    zone: str

    def day(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.zone)).date()

    def minute(self, day: date, minute: int) -> datetime:
        local = datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(self.zone))
        return local.astimezone(UTC)

    def midnight(self, day: date) -> datetime:
        return self.minute(day, 0)

    def works(self, day: date) -> bool:
        return day.weekday() in self.company.hours.weekdays and day not in _holidays(self.company.holidays)

    def opening(self, instant: datetime) -> datetime:
        """The instant within working hours, else the next opening."""
        opens, closes = self.window(instant)
        return instant if opens <= instant < closes else opens

    def window(self, instant: datetime) -> tuple[datetime, datetime]:
        """The working hours in which an instant lies, or the next ones."""
        day = self.day(instant)
        while True:
            opens, closes = (
                self.minute(day, at) for at in (self.company.hours.opens, self.company.hours.closes)
            )
            if self.works(day) and closes > instant:
                return opens, closes
            day += timedelta(1)

    def hour(self, instant: datetime, weekday: int | None, minute: int) -> datetime:
        """The next such hour, today included."""
        day = self.day(instant)
        while weekday not in {None, day.weekday()} or self.minute(day, minute) < instant:
            day += timedelta(1)
        return self.minute(day, minute)

    def workday(self, instant: datetime, minute: int) -> datetime:
        """That hour on the day of an instant, or on the next working day."""
        day = self.day(instant)
        while not self.works(day):
            day += timedelta(1)
        return self.minute(day, minute)

    def later(self, instant: datetime, duration: Duration, sign: int = 1) -> datetime:
        """Hours are absolute; days end at the local midnight of the day counted."""
        if duration.unit in {"minutes", "hours"}:
            return instant + sign * timedelta(**{duration.unit: duration.amount})
        return self.midnight(self.counted(self.day(instant), duration, sign))

    def counted(self, day: date, duration: Duration, sign: int) -> date:
        if duration.unit != "business days":
            return day + sign * timedelta(**{duration.unit: duration.amount})
        left = duration.amount
        while left:
            day += timedelta(sign)
            left -= self.works(day)
        return day


def _holidays(name: str | None) -> set[date]:
    if name not in _KNOWN:
        country, _, part = (name or "").partition("-")
        years = range(2026, 2029)
        _KNOWN[name] = set(package.country_holidays(country, part or None, years=years)) if name else set()
    return _KNOWN[name]


_KNOWN: dict[str | None, set[date]] = {}


# What there is


@dataclass(eq=False)
class Mail:
    step: str
    visit: int
    content: str
    about: tuple[str, str | None] | None
    planned: datetime
    send: datetime
    late: datetime | None
    wait: datetime | None
    track: str
    status: str = "planned"


@dataclass(eq=False)
class Reaction:
    kind: str
    content: str | None
    session: str | None
    mail: Mail | None
    argument: str | None
    recorded: datetime
    counts: datetime
    steered: bool = False


@dataclass(eq=False)
class Points:
    rule: str
    subject: str
    points: int
    begins: datetime
    ends: datetime | None


@dataclass(eq=False)
class Enrollment:
    program: Program
    step: str
    started: datetime
    arrived: datetime
    seen: int
    """How many reactions there were when he came to the step."""
    status: str = "active"
    visits: Counter[str] = field(default_factory=Counter)
    acted: bool = False
    woken: bool = False
    trouble: str | None = None
    why: str | None = None
    mail: Mail | None = None
    mails: list[Mail] = field(default_factory=list)
    content: str | None = None
    about: tuple[str, str | None] | None = None
    deadline: datetime | None = None
    goal: datetime | None = None
    pause: str | None = None
    paused: datetime | None = None
    ended: datetime | None = None

    @property
    def lives(self) -> bool:
        return self.status in {"active", "paused"}


@dataclass(eq=False)
class Task:
    """What one of us is to do."""

    enrollment: Enrollment
    step: str
    visit: int
    status: str = "open"


@dataclass(eq=False)
class Lead:
    id: int
    zone: str
    account: str
    words: dict[str, str]
    """role, country, source …"""
    facts: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    interests: dict[tuple[str, str], tuple[datetime, datetime | None]] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)
    suppressed: bool = False
    track: str = "prospects"
    stage: str = "new"
    fit: int = 0
    engagement: int = 0
    score: int = 0
    points: list[Points] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    clicks: list[Reaction] = field(default_factory=list)
    """Not judged yet: they become reactions when they count."""
    standing: dict[tuple[str, str | None], str] = field(default_factory=dict)
    enrollments: list[Enrollment] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    tells: list[str] = field(default_factory=list)
    """What our people were told of him."""
    dirty: bool = True

    @property
    def living(self) -> list[Enrollment]:
        return [each for each in self.enrollments if each.lives]

    @property
    def offered(self) -> bool:
        return "open" in self.offers


# What happens


@dataclass
class World:
    """All of it at an instant. `coin` says which arm of a split the engine chose: chance is not ours."""

    definitions: Definitions
    now: datetime
    coin: Coin
    leads: list[Lead] = field(default_factory=list)
    account_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    untold: set[str] = field(default_factory=set)
    moves: int = 0

    # People

    def react(self, lead: Lead, kind: str, **about: Any) -> None:  # noqa: ANN401 - fields of Reaction
        """Something he did, told once."""
        mail: Mail | None = about.get("mail")
        content = about.get("content") or (mail.content if mail else None)
        session = about.get("session")
        if mail and mail.about and mail.about[0] == content:
            session = session or mail.about[1]
        counts = self.now + SETTLE if kind == "clicked" else self.now
        reaction = Reaction(kind, content, session, mail, about.get("argument"), self.now, counts)
        if kind == "clicked":
            lead.clicks.append(reaction)
            return
        lead.reactions.append(reaction)
        if kind in STANDING and content:
            before = lead.standing.get((content, session))
            if not (kind == "registered" and before in {"attended", "missed"}):
                lead.standing[content, session] = kind
        self._score(lead, reaction)
        if kind in {"unsubscribed", "bounced", "complained"}:
            lead.suppressed = True
            self._cancel(mail for each in lead.enrollments for mail in each.mails)
        if kind not in {"opened", "delivered"}:
            lead.dirty = True

    def _judge(self, lead: Lead) -> None:
        """Clicks that have settled; here all are a person's."""
        for click in [each for each in lead.clicks if each.counts <= self.now]:
            lead.clicks.remove(click)
            lead.reactions.append(click)
            self._score(lead, click)
            lead.dirty = True

    def report(self, lead: Lead, task: Task, words: str) -> None:
        """One of us answers; what cannot be done is trouble of the step, if he still stands there."""
        task.status = "refused" if words == "refused" else "done"
        if task.status == "done":
            self.react(lead, "feedback", argument=words)
            return
        each, lead.dirty = task.enrollment, True
        here = each.step == task.step and each.visits[each.step] == task.visit
        if here and each.lives and each.acted and not each.trouble:
            each.trouble, each.woken = "refused", True

    def _score(self, lead: Lead, reaction: Reaction) -> None:
        agreement = self.definitions.agreement(lead.track)  # type: ignore[arg-type] # a track
        lives = None if agreement.live is None else timedelta(days=agreement.live.amount)
        for rule in agreement.engagement:
            subject = reaction.content or ""
            if reaction.kind == "visited":
                subject = str(self.calendar(lead).day(reaction.counts))
            counted = any(each.rule == rule.text and each.subject == subject for each in lead.points)
            if (
                _fits(rule.reacted, reaction)
                and rule.reacted.about in {None, reaction.content}
                and not counted
            ):
                ends = reaction.counts + lives if lives and rule.points > 0 else None
                lead.points.append(Points(rule.text, subject, rule.points, reaction.counts, ends))
        if reaction.content and reaction.kind in SHOW_INTEREST:
            for topic in self.definitions.content(reaction.content).topics:
                begins, _ = lead.interests.get((topic, reaction.content), (reaction.counts, None))
                lead.interests[topic, reaction.content] = (begins, reaction.counts + lives if lives else None)

    def accept(self, lead: Lead) -> None:
        """Sales takes him: his nurture ends."""
        if self._decide(lead, "accepted", "accepted"):
            self._end_all(lead)

    def give_back(self, lead: Lead, reason: str) -> None:
        """Sales returns him: only new behaviour crosses the threshold again."""
        if not self._decide(lead, "returned", "engaged"):
            return
        for each in lead.points:
            if each.points > 0 and (each.ends is None or each.ends > self.now):
                each.ends = self.now
        returns = self.definitions.agreement(lead.track).returns  # type: ignore[arg-type] # a track
        outcome = next(each for each in returns if each.reason == reason)
        if outcome.go == "resume":
            self._resume(lead, "handoff")
            return
        self._end_all(lead)
        if outcome.program and not lead.suppressed:
            self._send_on(lead, outcome.program)

    def _decide(self, lead: Lead, status: str, stage: str) -> bool:
        if not lead.offered:
            return False
        lead.offers[lead.offers.index("open")] = status
        lead.stage, lead.dirty = stage, True
        self.untold.add(lead.account)
        return True

    def win(self, lead: Lead) -> None:
        """A deal: his account is a client."""
        lead.stage = "won"
        self.account_facts.setdefault(lead.account, {})["deal_won"] = True
        self._end_all(lead)
        self.wake_account(lead.account)

    def wake_account(self, account: str) -> None:
        for each in self.leads:
            each.dirty |= each.account == account

    def apply(self, definitions: Definitions) -> None:
        """New files: here only contents change."""
        self.definitions = definitions
        for each in self.leads:
            each.dirty = True

    # Time passes

    def advance(self, to: datetime) -> None:
        self.settle()
        while (following := min(self._instants(), default=to)) < to:
            self._jump(following)
        self._jump(to)

    def _jump(self, to: datetime) -> None:
        self.now = to
        for lead in self.leads:
            lead.dirty |= to in set(self._reasons(lead))
            self._judge(lead)
        self.settle()

    def _instants(self) -> Iterator[datetime]:
        for lead in self.leads:
            found = [*self._reasons(lead), *(each.counts for each in lead.clicks)]
            for each in lead.living:
                found += [each.deadline] if each.deadline else []
                found += [mail.send for mail in each.mails if mail.status == "planned"]
            yield from (instant for instant in found if instant > self.now)

    def _reasons(self, lead: Lead) -> Iterator[datetime]:
        """When time alone changes what is known of him."""
        yield from (each.begins for each in lead.points)
        yield from (each.ends for each in lead.points if each.ends)
        yield from (ends for _, ends in lead.interests.values() if ends)
        calendar = self.calendar(lead)
        yield calendar.midnight(calendar.day(self.now))
        yield calendar.midnight(calendar.day(self.now) + timedelta(1))
        for each in lead.enrollments:
            if each.ended and each.program.again:
                yield each.ended + timedelta(days=each.program.again.days)

    def settle(self) -> None:
        before = -1
        while before != self.moves:
            before = self.moves
            self._looks()
            self._waves()
            self._mails()

    def calendar(self, lead: Lead) -> Calendar:
        return Calendar(self.definitions.company, lead.zone)

    # The look: track, score, stages, offers, exit, goal, pause, enroll

    def _looks(self) -> None:
        for account in self.untold:
            self.wake_account(account)
        self.untold.clear()
        for agreement in self.definitions.agreements:
            chosen = [lead for lead in self.leads if lead.dirty and lead.track == agreement.track]
            chosen = [lead for lead in chosen if not self._switches(lead)]
            for phase in (self._stages, self._ends, self._pauses, self._enrolls, self._wakes):
                for lead in chosen:
                    phase(lead, agreement)

    def _switches(self, lead: Lead) -> bool:
        track = "clients" if self._holds(self.definitions.company.client.node, lead) else "prospects"
        if track == lead.track:
            return False
        for each in lead.living:
            self._end(lead, each, "exited")
        for one in lead.points:
            one.ends = self.now if one.ends is None or one.ends > self.now else one.ends
        if lead.offered:
            lead.offers[lead.offers.index("open")] = "withdrawn"
            self.untold.add(lead.account)
        lead.track, lead.stage, lead.engagement = track, "new", 0
        self.moves += 1
        return True

    def _stages(self, lead: Lead, agreement: Agreement) -> None:
        lead.fit = sum(rule.points for rule in agreement.fit if self._holds(rule.condition.node, lead))
        living = [
            each
            for each in lead.points
            if each.begins <= self.now < (each.ends or datetime.max.replace(tzinfo=UTC))
        ]
        lead.engagement = sum(each.points for each in living)
        formula = agreement.score
        lead.score = formula.fit * lead.fit + formula.engagement * lead.engagement + formula.constant
        for stage in ("engaged", "qualified"):
            rule = agreement.stage(stage)
            below = lead.stage in STAGES[: STAGES.index(stage)]
            if (
                rule.when
                and below
                and self._holds(rule.when.node, lead)
                and all(self._fact(lead, name) for name in rule.needs)
            ):
                lead.stage = stage
        if lead.stage == "qualified":
            self._offer(lead)

    def _offer(self, lead: Lead) -> None:
        if lead.stage not in STAGES[:3] or lead.offered:
            return
        lead.offers.append("open")
        self.untold.add(lead.account)
        lead.stage, lead.dirty = "handed_off", True
        self.moves += 1
        for each in lead.living:
            self._pause(each, "handoff")

    def _ends(self, lead: Lead, _: Agreement) -> None:
        for each in lead.living:
            head = each.program
            if lead.suppressed:
                self._end(lead, each, "undeliverable")
            elif head.exit and self._holds(head.exit.node, lead):
                self._end(lead, each, "exited")
            elif head.goal and each.goal is None and self._holds(head.goal.node, lead):
                each.goal = self.now
                if not lead.offered:
                    self._end(lead, each, "reached")

    def _pauses(self, lead: Lead, agreement: Agreement) -> None:
        if not lead.offered:
            self._resume(lead, "handoff")
        if agreement.pause is None:
            return
        if self._holds(agreement.pause.node, lead):
            for each in lead.living:
                self._pause(each, "agreement")
        elif not lead.offered:
            self._resume(lead, "agreement")

    def _pause(self, each: Enrollment, pause: str) -> None:
        if each.status == "active":
            each.status, each.pause, each.paused = "paused", pause, self.now
            self.moves += 1

    def _resume(self, lead: Lead, pause: str) -> None:
        for each in lead.living:
            if each.status == "paused" and each.pause == pause:
                each.status, each.pause, each.woken = "active", None, True
                self.moves += 1
                if each.deadline and each.paused:
                    each.deadline += self.now - each.paused

    def _enrolls(self, lead: Lead, agreement: Agreement) -> None:
        programs = [each for each in self.definitions.programs if each.track == lead.track and each.enter]
        wanted = [program for program in programs if self._may_enter(lead, program, agreement)]
        room = agreement.at_once - len(lead.living)
        for program in sorted(wanted, key=lambda each: -each.priority)[: max(room, 0)]:
            self._enroll(lead, program)

    def _may_enter(self, lead: Lead, program: Program, agreement: Agreement) -> bool:
        for each in lead.enrollments:
            if each.program.name == program.name:
                again = program.again
                if (
                    each.lives
                    or again is None
                    or (each.ended or self.now) + timedelta(days=again.days) > self.now
                ):
                    return False
        if lead.suppressed or lead.offered or lead.stage in STAGES[3:] or not self._may_mail(lead, program):
            return False
        if agreement.pause and self._holds(agreement.pause.node, lead):
            return False
        would_leave = [each for each in (program.exit, program.goal) if each and self._holds(each.node, lead)]
        return not would_leave and program.enter is not None and self._holds(program.enter.node, lead)

    def _may_mail(self, lead: Lead, program: Program) -> bool:
        purpose = self.definitions.agreement(program.track).consent
        return purpose is None or not program.needs_consent or purpose in lead.consents

    def _enroll(self, lead: Lead, program: Program) -> None:
        first = program.steps[0].name
        each = Enrollment(program, first, self.now, self.now, len(lead.reactions), visits=Counter({first: 1}))
        lead.enrollments.append(each)
        self.moves += 1

    def _send_on(self, lead: Lead, name: str) -> None:
        program = self.definitions.program(name)
        if self._may_mail(lead, program) and all(each.program.name != name for each in lead.living):
            self._enroll(lead, program)

    def _wakes(self, lead: Lead, _: Agreement) -> None:
        lead.dirty = False
        for each in lead.living:
            each.woken |= each.acted and each.status == "active"

    def _end(self, lead: Lead, each: Enrollment, status: str) -> None:
        each.status, each.ended, each.deadline, lead.dirty = status, self.now, None, True
        self._cancel(each.mails)
        self.moves += 1

    def _end_all(self, lead: Lead) -> None:
        for each in lead.living:
            self._end(lead, each, "exited" if each.goal is None else "reached")

    @staticmethod
    def _cancel(mails: "list[Mail] | Iterator[Mail]") -> None:
        for mail in mails:
            if mail.status == "planned":
                mail.status = "cancelled"

    # The wave: on arrival, when woken, when time is up

    def _waves(self) -> None:
        for program in self.definitions.programs:
            for step in program.steps:
                standing = [
                    (lead, each)
                    for lead in self.leads
                    for each in lead.living
                    if each.program.name == program.name
                ]
                for lead, each in standing:
                    up = each.deadline is not None and each.deadline <= self.now
                    if (
                        each.step == step.name
                        and each.status == "active"
                        and not lead.dirty
                        and (not each.acted or each.woken or up)
                    ):
                        self._visit(lead, each, step)

    def _visit(self, lead: Lead, each: Enrollment, step: Step) -> None:
        is_new, each.woken = not each.acted, False
        mail = self._act(lead, each, step) if is_new else None
        self._time(lead, each, step)
        arm = self._reaction(lead, each, step)
        if arm is None and (each.trouble or self._is_up(lead, each, step, is_new=is_new)):
            arm = self._choice(lead, each, step)
        if is_new:
            self._set(lead, step.sets)
            lead.tells += [step.tell.text] if step.tell else []
        if arm is not None:
            self._go(lead, each, arm)
        elif is_new:
            self.moves += 1
            each.acted = True
            if step.task:
                lead.tasks.append(Task(each, step.name, each.visits[step.name]))
            if mail:
                each.mail = mail
                each.mails.append(mail)
                each.deadline = None
            if step.handoff:
                self._offer(lead)
                each.woken = each.status == "active"

    def _act(self, lead: Lead, each: Enrollment, step: Step) -> Mail | None:
        """What the step does: its mail, or why it cannot send one."""
        if step.send is None:
            each.deadline = (
                self.calendar(lead).later(self.now, step.after.duration)
                if isinstance(step.after, Wait)
                else self.now
            )
            return None
        each.mail = None
        times = self._times(lead, each, step)
        if times is None:
            each.content = None
            return None
        planned, send, late = times
        chosen = self._choose(lead, each, step, step.send, send)
        if chosen is None:
            return None
        wait = (
            self.calendar(lead).later(planned, step.after.duration) if isinstance(step.after, Wait) else None
        )
        each.content, each.about = chosen
        visit = each.visits[step.name]
        return Mail(step.name, visit, chosen[0], chosen[1], planned, send, late, wait, each.program.track)

    def _time(self, lead: Lead, each: Enrollment, step: Step) -> None:
        """Anchored dates move with their anchor, also those of a mail that is planned."""
        for item in (step.at, step.after):
            if not isinstance(item, Anchored):
                continue
            found = self._anchor(lead, each, item)
            if isinstance(found, str):
                each.trouble = each.trouble or found
            elif item is step.after:
                each.deadline = found if step.send is None or each.deadline else None
                for mail in each.mails:
                    mail.wait = found if mail.status == "planned" else mail.wait
            elif each.mail and each.mail.status == "planned":
                self._replan(lead, each, step, each.mail)

    def _replan(self, lead: Lead, each: Enrollment, step: Step, mail: Mail) -> None:
        times = self._times(lead, each, step)
        if (
            times is None
            or times[0] == mail.planned
            or self.calendar(lead).opening(self.now) == times[0] > mail.planned
        ):
            return
        mail.planned, mail.send, mail.late = times
        if isinstance(step.after, Wait):
            mail.wait = self.calendar(lead).later(mail.planned, step.after.duration)

    def _times(
        self, lead: Lead, each: Enrollment, step: Step
    ) -> tuple[datetime, datetime, datetime | None] | None:
        """(planned, send, late) of the step's mail as of now."""
        calendar, at = self.calendar(lead), step.at
        planned = send = self.now
        if isinstance(at, Hour):
            minute = calendar.company.hours.opens if at.minute is None else at.minute
            planned = calendar.hour(self.now, at.weekday, minute)
            send = calendar.workday(planned, minute)
        elif isinstance(at, Anchored):
            found = self._anchor(lead, each, at)
            if isinstance(found, str):
                each.trouble = found
                return None
            planned = send = found
        send = calendar.opening(send)
        rule = late_rule(step)
        closes = calendar.later(send, rule.within) if rule.within else calendar.window(send)[1]
        if isinstance(at, Anchored) and closes <= self.now:
            if rule.rule != "next window":
                each.trouble = "late"
                return None
            planned = send = calendar.opening(self.now)
            closes = calendar.window(send)[1]
        return planned, send, closes

    def _anchor(self, lead: Lead, each: Enrollment, item: Anchored) -> datetime | str:
        """The instant of an anchored date, or why there is none."""
        calendar, sign = self.calendar(lead), 1 if item.direction == "after" else -1
        if isinstance(item.anchor, FactAnchor):
            day = self._fact(lead, item.anchor.fact)
            return "no_date" if day is None else calendar.midnight(calendar.counted(day, item.duration, sign))
        mail = self._sent_by(each, item.anchor.step)
        if mail and mail.visit != each.visits[item.anchor.step]:
            mail = None  # the last visit sent nothing: it stands for the seat that he had
        if mail and mail.about and mail.about[0] == mail.content and mail.about[1]:
            each.about = mail.about
        elif mail:
            return calendar.later(mail.planned, item.duration, sign)
        if each.about is None or each.about[1] is None:
            return "no_date"
        starts = self.starts(*each.about)
        return "cancelled" if starts is None else calendar.later(starts, item.duration, sign)

    def starts(self, content: str, session: str | None) -> datetime | None:
        """When a session begins; None when it is cancelled."""
        found = next(
            (each for each in self.definitions.content(content).sessions if each.name == session), None
        )
        if found is None or found.starts is None:
            return None
        return found.starts.replace(tzinfo=ZoneInfo(self.definitions.company.zone)).astimezone(UTC)

    # What to send

    def _choose(
        self, lead: Lead, each: Enrollment, step: Step, send: Send, at: datetime
    ) -> tuple[str, tuple[str, str | None] | None] | None:
        """(content, about) or trouble."""
        shelf = [content for content in self.definitions.contents if each.program.track in content.tracks]
        if send.content is not None:
            content = self.definitions.content(send.content)
            if content.has_sessions:
                return self._session(lead, each, [content], at, fixed=True)
            return self._fixed(lead, each, step, content)
        each.content = each.about = None
        if send.about not in {None, "interests"}:
            shelf = [content for content in shelf if send.about in content.topics]
        shelf = [content for content in shelf if content.kind in send.next_of]
        found = self._session(
            lead, each, [content for content in shelf if content.has_sessions], at, fixed=False
        )
        if found:
            return found
        flat = [
            content for content in shelf if not content.has_sessions and not self._had(lead, content, None)
        ]
        if send.about == "interests":
            flat = [content for content in flat if self._strength(lead, content)]
            flat.sort(key=lambda content: -self._strength(lead, content))
        best = min(
            flat,
            key=lambda c: (-self._strength(lead, c) if send.about == "interests" else 0, _newest(c)),
            default=None,
        )
        each.trouble = "empty" if best is None else None
        return None if best is None else (best.name, (best.name, None))

    def _fixed(
        self, lead: Lead, each: Enrollment, step: Step, content: Content
    ) -> tuple[str, tuple[str, str | None] | None] | None:
        is_about = any(
            isinstance(item, Anchored) and not isinstance(item.anchor, FactAnchor)
            for item in (step.at, step.after)
        )
        about = each.about if is_about else (content.name, None)
        if "declined" in self._stands(lead, content.name):
            each.trouble = "declined"
        elif self._had(lead, content, about[1] if about and about[0] != content.name else None):
            each.trouble = "had"
        each.content, each.about = content.name, about
        return None if each.trouble else (content.name, about)

    def _session(
        self, lead: Lead, each: Enrollment, contents: list[Content], at: datetime, *, fixed: bool
    ) -> tuple[str, tuple[str, str | None] | None] | None:
        """The soonest behind the sending that he has not had; one in which he has a seat comes first."""
        ahead = [
            (content, session.name, starts)
            for content in contents
            for session in content.sessions
            if (starts := self.starts(content.name, session.name))
            and starts > max(at, self.now)
            and self._has_seat(lead, content, session.name)
        ]
        free = [
            (content, name, starts) for content, name, starts in ahead if not self._had(lead, content, name)
        ]
        if not free:
            if fixed:
                is_declined = "declined" in self._stands(lead, contents[0].name)
                each.trouble = "declined" if is_declined else "had" if ahead else "empty"
            return None
        best = min(
            free,
            key=lambda one: (lead.standing.get((one[0].name, one[1])) != "registered", one[2], one[0].name),
        )
        return best[0].name, (best[0].name, best[1])

    def _has_seat(self, lead: Lead, content: Content, session: str) -> bool:
        stands = [each.standing.get((content.name, session), "declined") for each in self.leads]
        has_seat = lead.standing.get((content.name, session)) == "registered"
        taken = len(stands) - stands.count("declined")
        return content.seats is None or has_seat or taken < content.seats

    def _stands(self, lead: Lead, content: str) -> set[str]:
        return {kind for (name, _), kind in lead.standing.items() if name == content}

    def _had(self, lead: Lead, content: Content, session: str | None) -> bool:
        """Sent on this track (about that session), downloaded, attended, declined."""
        track = lead.track
        mails = [
            mail
            for each in lead.enrollments
            for mail in each.mails
            if mail.status not in GONE and mail.track == track
        ]
        sent = any(
            mail.content == content.name and (session is None or (mail.about and mail.about[1] == session))
            for mail in mails
        )
        did = any(
            each.kind in {"downloaded", "declined"} and each.content == content.name
            for each in lead.reactions
        )
        return sent or did or bool(self._stands(lead, content.name) & {"attended", "declined"})

    def _strength(self, lead: Lead, content: Content) -> int:
        return sum(
            topic in content.topics and self._lives(span) for (topic, _), span in lead.interests.items()
        )

    def _lives(self, span: tuple[datetime, datetime | None]) -> bool:
        return span[0] <= self.now and (span[1] is None or span[1] > self.now)

    # The ways out

    def _reaction(self, lead: Lead, each: Enrollment, step: Step) -> Arm | None:
        for arms, is_wide in ((step.on, False), (each.program.on, True)):
            for arm in arms:
                if arm.go.step == step.name or arm.when is None:
                    continue
                if self._holds(arm.when.node, lead, each, is_wide=is_wide):
                    self._steer(lead, arm.when.node)
                    return arm
        return None

    def _steer(self, lead: Lead, node: Node) -> None:
        if isinstance(node, Reacted) and node.kind not in STANDING:
            newest = [one for one in lead.reactions if _fits(node, one) and one.counts <= self.now]
            newest[-1].steered = True

    def _is_up(self, lead: Lead, each: Enrollment, step: Step, *, is_new: bool) -> bool:
        if is_new and (step.send or step.handoff):
            return False
        if each.deadline is None or each.deadline > self.now:
            return False
        asks = step.on or each.program.on or any(arm.when for arm in step.then)
        return not (asks and any(one.recorded >= each.arrived for one in lead.clicks))

    def _choice(self, lead: Lead, each: Enrollment, step: Step) -> Arm:
        if each.trouble and step.otherwise:
            return Arm("otherwise", None, step.otherwise)
        if step.split:
            return Arm("split", None, Go(step=self.coin(each)))
        for arm in step.then:
            if arm.when is None or self._holds(arm.when.node, lead, each):
                return arm
        return Arm("next", None, each.program.following(step))

    def _go(self, lead: Lead, each: Enrollment, arm: Arm) -> None:
        self.moves += 1
        self._cancel([mail for mail in each.mails if mail.step == each.step])
        self._set(lead, arm.sets)
        lead.tells += [arm.tell.text] if arm.tell else []
        each.why, each.trouble, each.deadline, each.acted = each.trouble, None, None, False
        if arm.go.step:
            each.step, each.arrived, each.seen = arm.go.step, self.now, len(lead.reactions)
            each.visits[each.step] += 1
            return
        self._end(lead, each, "moved" if arm.go.program else "completed")
        if arm.go.program:
            self._send_on(lead, arm.go.program)

    def _set(self, lead: Lead, settings: tuple[Setting, ...]) -> None:
        for setting in settings:
            lead.dirty = True
            if setting.name == "tag":
                lead.tags.add(str(setting.value))
            else:
                lead.facts[setting.name] = self._value(setting.value)

    def _value(self, value: Value | Duration) -> Value:
        """A duration is that long after today, where the company is; months end on their last day."""
        if not isinstance(value, Duration):
            return value
        today = Calendar(self.definitions.company, self.definitions.company.zone).day(self.now)
        if value.unit != "months":
            return today + timedelta(**{value.unit: value.amount})
        years, month = divmod(today.month - 1 + value.amount, 12)
        last = (date(today.year + years + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(1)).day
        return date(today.year + years, month + 1, min(today.day, last))

    # Mails

    def _mails(self) -> None:
        for lead in self.leads:
            for each in lead.living:
                for mail in each.mails:
                    waits = lead.dirty or each.status == "paused" or each.woken or each.trouble
                    if mail.status == "planned" and mail.send <= self.now and not waits:
                        self._claim(lead, each, mail)

    def _claim(self, lead: Lead, each: Enrollment, mail: Mail) -> None:
        step = each.program.step(each.step)
        starts = self.starts(*mail.about) if mail.about and mail.about[1] else None
        why = None
        if lead.suppressed or not self._may_mail(lead, each.program):
            why = "refused"
        elif mail.about and mail.about[1] and starts is None:
            why = "cancelled"
        elif starts and mail.about and mail.about[0] == mail.content and starts <= self.now:
            why = "late"
        elif mail.late and mail.late < self.now:
            if late_rule(step).rule == "next window":
                self._next_window(lead, mail, step)
                return
            why = "late"
        self.moves += 1
        if why:
            mail.status, each.trouble, each.woken = "cancelled", why, True
        else:
            mail.status, each.deadline = "sent", mail.wait or self.now

    def _next_window(self, lead: Lead, mail: Mail, step: Step) -> None:
        mail.planned, mail.send, mail.late, wait = next_window(self.calendar(lead), step, self.now)
        mail.wait = wait or mail.wait
        self.moves += 1

    # Conditions

    def _holds(  # noqa: C901, PLR0911 - one line a kind of node
        self, node: Node, lead: Lead, each: Enrollment | None = None, *, is_wide: bool = False
    ) -> bool:
        match node:
            case And(parts):
                return all(self._holds(part, lead, each, is_wide=is_wide) for part in parts)
            case Or(parts):
                return any(self._holds(part, lead, each, is_wide=is_wide) for part in parts)
            case Not(part):
                return not self._holds(part, lead, each, is_wide=is_wide)
            case Compare(term, operator, value):
                return _compares(self._term(term, lead, each), operator, value)
            case OneOf(term, values):
                return self._term(term, lead, each) in values
            case Known(fact):
                known = self._fact(lead, fact.name)
                return bool(known) if fact.kind == "flag" else known is not None
            case Has():
                return self._has(node, lead)
            case OpenHandoff():
                return any(
                    one.offered for one in self.leads if one is not lead and one.account == lead.account
                )
            case Reacted():
                if node.kind in STANDING:
                    return self._stood(node, lead, each)
                return any(self._moved(node, one, lead, each, is_wide=is_wide) for one in lead.reactions)

    def _term(self, term: Term, lead: Lead, each: Enrollment | None) -> Any:  # noqa: ANN401, PLR0911 - a value
        match term:
            case Fact(name):
                return self._fact(lead, name)
            case Figure("visit"):
                return each.visits[each.step] if each else None
            case Figure(name):
                return getattr(lead, name)
            case Word("why"):
                return (each.trouble or each.why) if each else None
            case Word("stage"):
                return lead.stage
            case Word("zone"):
                return lead.zone
            case Word(name):
                return lead.words.get(name)
            case DaysUntil(fact):
                day = self._fact(lead, fact)
                return None if day is None else (day - self.calendar(lead).day(self.now)).days

    def _fact(self, lead: Lead, name: str) -> Any:  # noqa: ANN401 - as above
        if name == "account.name":
            return lead.account
        if name.startswith("account."):
            return self.account_facts.get(lead.account, {}).get(name.removeprefix("account."))
        return lead.words.get(name) or lead.facts.get(name)

    def _has(self, node: Has, lead: Lead) -> bool:
        if node.what == "interest":
            return any(
                topic == node.name and self._lives(span) for (topic, _), span in lead.interests.items()
            )
        return node.name in {"tag": lead.tags, "consent": lead.consents, "product": set[str]()}[node.what]

    def _stood(self, node: Reacted, lead: Lead, each: Enrollment | None) -> bool:
        """What holds now. Who attended or missed had a seat."""
        kinds = {"registered", "attended", "missed"} if node.kind == "registered" else {node.kind}
        if node.about is None and each is not None:
            about = each.about or ("", None)
            return any(lead.standing.get((about[0], session)) in kinds for session in {about[1], None})
        sent = self._sent_by(each, node.about) if node.about_is_step else None
        return bool(self._stands(lead, sent.content if sent else str(node.about)) & kinds)

    def _moved(  # noqa: PLR0911 - one line a rule
        self, node: Reacted, one: Reaction, lead: Lead, each: Enrollment | None, *, is_wide: bool
    ) -> bool:
        """Whether a reaction makes a moment true: since he came to the step, about what it should be."""
        if not _fits(node, one) or one.counts > self.now:
            return False
        if node.within is not None and one.recorded < self.now - timedelta(
            microseconds=node.within.microseconds
        ):
            return False
        if each is not None and (one.steered if node.within else lead.reactions.index(one) < each.seen):
            return False
        if each is not None and one.kind == "clicked" and not node.within and one.recorded < each.arrived:
            return False
        if node.about is not None:
            return self._is_named(node, one, each)
        if each is None or node.within is not None:
            return True
        if is_wide:
            ours = one.mail in each.mails or one.content in {mail.content for mail in each.mails}
            return ours or (one.mail is None and one.content is None)
        return one.mail is each.mail if one.mail else one.content in {None, each.content}

    def _is_named(self, node: Reacted, one: Reaction, each: Enrollment | None) -> bool:
        if not node.about_is_step:
            return one.content == node.about
        sent = self._sent_by(each, node.about)
        return sent is not None and (one.mail is sent or (one.mail is None and one.content == sent.content))

    def _sent_by(self, each: Enrollment | None, step: str | None) -> Mail | None:
        mails = [mail for mail in each.mails if mail.step == step and mail.status not in GONE] if each else []
        return mails[-1] if mails else None


def late_rule(step: Step) -> Late:
    """`skip` for what should have come before something, else the next window."""
    if step.late:
        return step.late
    return Late("skip" if isinstance(step.at, Anchored) and step.at.direction == "before" else "next window")


def next_window(
    calendar: Calendar, step: Step, now: datetime
) -> tuple[datetime, datetime, datetime, datetime | None]:
    """(planned, send, late, wait) of a mail that missed its window."""
    planned = send = calendar.opening(now)
    if isinstance(step.at, Hour):
        minute = calendar.company.hours.opens if step.at.minute is None else step.at.minute
        planned = calendar.hour(now, step.at.weekday, minute)
        send = calendar.opening(calendar.workday(planned, minute))
    wait = calendar.later(planned, step.after.duration) if isinstance(step.after, Wait) else None
    return planned, send, calendar.window(send)[1], wait


def _fits(node: Reacted, one: Reaction) -> bool:
    if node.kind != one.kind:
        return False
    if node.argument is None:
        return True
    if node.kind == "visited":
        return fnmatch.fnmatchcase((one.argument or "").lower(), node.argument.lower())
    return node.argument == one.argument


def _newest(content: Content) -> tuple[int, str]:
    return (-(content.published or date.min).toordinal(), content.name)


def _compares(left: Any, operator: str, right: Any) -> bool:  # noqa: ANN401 - values of facts
    if left is None:
        return False
    if right in STAGES and left in {*STAGES, "lost"} and operator not in {"==", "!="}:
        if left == "lost":
            return False
        left, right = STAGES.index(left), STAGES.index(right)
    compared: dict[str, Callable[[], bool]] = {
        "==": lambda: left == right, "!=": lambda: left != right, "<": lambda: left < right,
        "<=": lambda: left <= right, ">": lambda: left > right, ">=": lambda: left >= right,
    }  # fmt: skip
    return bool(compared[operator]())

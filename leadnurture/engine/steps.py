"""One step of one program version as a fixed list of statements over a chunk of enrollments.

The order of a chunk: lock the leads (1), drop what is no longer due (2), do what the step does (3), judge (4), then write the
moves. Locking and judging are two statements, since a row that was locked is read anew while its sub-selects are not.
The statements are built once per version and step and run with `now`, `wave` and the chunk's size as parameters.
It is over 500 lines because they share the columns of one work table, and are read in the order of a chunk.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.sql import Executable

from leadnurture.domain.condition import Condition, Reacted, leaves
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Arm, Go, Program, Send, Step, Tell
from leadnurture.domain.timing import Wait
from leadnurture.domain.vocabulary import SESSION_KINDS
from leadnurture.engine.conditions import NOW, Scope, compile_condition, fired_by, values_seen
from leadnurture.engine.shelf import Shelf
from leadnurture.engine.sql import one
from leadnurture.engine.step_tasks import tasks_and_notices
from leadnurture.engine.windows import HORIZON, Timing
from leadnurture.store.instants import Instant
from leadnurture.store.tables import (
    Click,
    Content,
    ContentSession,
    Enrollment,
    Lead,
    Message,
    Notice,
    Reaction,
    Transition,
    WayBack,
)
from leadnurture.store.tables import Task as TaskRow
from leadnurture.store.work import work_move, work_step, work_window

Expression = ColumnElement[Any]
e: Final = Enrollment.__table__
lead: Final = Lead.__table__
message: Final = Message.__table__
reaction: Final = Reaction.__table__
click: Final = Click.__table__
way_back: Final = WayBack.__table__
transition: Final = Transition.__table__
notice: Final = Notice.__table__
task: Final = TaskRow.__table__
content: Final = Content.__table__
session: Final = ContentSession.__table__
w = work_step

# Named unlike any column: an UPDATE takes parameters that bear the name of a column for values.
WAVE: Final = bindparam("this_wave", type_=Integer())
CHUNK: Final = bindparam("chunk_size", type_=Integer())
LUCK_RANGE: Final = 2**31
COINS: Final = 2**20
SOON: Final = 60_000_000
"""A minute, in microseconds."""


@dataclass(frozen=True)
class Way:
    """A way out of the step, with what history will say of it."""

    go: Go
    rule: str
    condition: Condition | None = None
    is_program_wide: bool = False
    sets: tuple[Any, ...] = ()
    is_trouble: bool = False
    tell: Tell | None = None


@dataclass(frozen=True)
class StepStatements:
    """What a chunk of one step executes, in this order; `moves` and `plans` say which of them to count."""

    claim: Executable
    drop: Executable
    act: tuple[Executable, ...]
    judge: Executable
    write_transitions: Executable
    count: Executable
    cancel_queued: Executable | None
    plan: Executable | None
    tasks: tuple[Executable, ...]
    """What our people are to do, and what they are told."""
    note_ways_back: Executable | None
    wait: Executable
    move: Executable
    ways: tuple[Way, ...]
    asks_calendar: bool
    """Whether a date of it may lie beyond the calendar."""


def build_statements(
    definitions: Definitions, version_id: int, program: Program, step: Step
) -> StepStatements:
    """The statements of a step. Pure: nothing is executed here."""
    return _Builder(definitions, version_id, program, step).statements()


@functools.lru_cache(maxsize=1024)
def split_constants(program: str, step: str) -> tuple[int, int]:
    """An odd multiplier and an offset of a step's own, so that one lead's luck gives independent coins to
    successive splits.
    """
    seed = 0
    for character in f"{program}/{step}":
        seed = (seed * 131 + ord(character)) % LUCK_RANGE
    return (seed * 2_654_435_761 % LUCK_RANGE) | 1, seed * 40_503 % LUCK_RANGE


def _asks_for_click(condition: Condition) -> bool:
    return any(isinstance(leaf, Reacted) and leaf.kind == "clicked" for leaf in leaves(condition.node))


class _Builder:
    """Keeps what the statements of one step share; used once."""

    def __init__(self, definitions: Definitions, version_id: int, program: Program, step: Step) -> None:
        self.definitions = definitions
        self.version_id = version_id
        self.program = program
        self.step = step
        self.agreement = definitions.agreement(program.track)
        self.is_service = self._sends_service()
        preview = None if self.is_service else self.agreement.preview
        self.timing = Timing(program, step, definitions.company.hours, preview, self.is_service)
        self.ways = tuple(self._ways())
        self.positions = {one.name: index for index, one in enumerate(program.steps)}

    def _sends_service(self) -> bool:
        send = self.step.send
        return (
            send is not None
            and send.content is not None
            and self.definitions.content(send.content).is_service
        )

    def statements(self) -> StepStatements:
        """All of them, for `build_statements`."""
        return StepStatements(
            claim=self._claim(),
            drop=self._drop(),
            act=tuple(self._act()),
            judge=self._judge(),
            write_transitions=self._write_transitions(),
            count=self._count(),
            cancel_queued=self._cancel_queued() if self.step.send else None,
            plan=self._plan() if self.step.send else None,
            tasks=tuple(
                tasks_and_notices(self.program, self.step, [way.tell for way in self.ways], self._by_way)
            ),
            note_ways_back=self._note_ways_back(),
            wait=self._wait(),
            move=self._move(),
            ways=self.ways,
            asks_calendar=self.timing.has_anchor,
        )

    # --- who is due ----------------------------------------------------------------------------------------

    def _claim(self) -> Executable:
        """Locks the leads of what is due, woken ones first, and skips leads whose look is due or that another
        worker holds.
        """
        keeps_mail = true() if self.step.send is None else e.c.acted
        due = (
            select(
                e.c.id, e.c.lead_id, lead.c.zone, not_(e.c.acted), e.c.trouble, e.c.content, e.c.session_content, e.c.session,
                e.c.deadline_at, case((keeps_mail, e.c.message_id)),
            )
            .join_from(e, lead, lead.c.id == e.c.lead_id)
            .where(*self._is_due(), or_(lead.c.look_at.is_(None), lead.c.look_at > NOW))
            .order_by(e.c.due_at)
            .limit(CHUNK)
            .with_for_update(of=lead, key_share=True, skip_locked=True)
        )  # fmt: skip
        columns = [
            "enrollment_id",
            "lead_id",
            "zone",
            "is_new",
            "trouble",
            "content",
            "session_content",
            "session",
            "deadline_at",
            "message_id",
        ]
        return insert(w).from_select(columns, due)

    def _is_due(self) -> Sequence[Expression]:
        return (
            e.c.status == literal_column("'active'"),
            e.c.program == self.program.name,
            e.c.step == self.step.name,
            e.c.version_id == self.version_id,
            e.c.due_at <= NOW,
            e.c.wave < WAVE,
        )

    def _drop(self) -> Executable:
        """On PostgreSQL only the locked row was read anew: what somebody else moved meanwhile is dropped
        here.

        It begins with the chunk: asked of each of its rows, PostgreSQL reads all leads first.
        """
        chunk = w.alias()
        still = (
            select(chunk.c.enrollment_id)
            .join(e, and_(e.c.id == chunk.c.enrollment_id, e.c.lead_id == chunk.c.lead_id))
            .join(lead, lead.c.id == chunk.c.lead_id)
            .where(*self._is_due(), or_(lead.c.look_at.is_(None), lead.c.look_at > NOW))
        )
        return delete(w).where(w.c.enrollment_id.not_in(still))

    # --- what the step does --------------------------------------------------------------------------------

    def _act(self) -> list[Executable]:
        statements: list[Executable] = []
        if self.step.send is not None:
            statements += self._act_on_send(self.step.send)
        elif isinstance(self.step.after, Wait):
            statements += self.timing.wait_statements()
            statements.append(self._from_window("deadline_at"))
        elif self.step.after is None:
            statements.append(update(w).where(w.c.is_new).values(deadline_at=NOW))
        statements += self.timing.deadline_statements()
        if self.ways and (self.step.on or self.program.on or any(arm.when for arm in self.step.then)):
            statements.append(update(w).where(w.c.deadline_at <= NOW).values(settling_at=self._settling()))
        return statements

    def _settling(self) -> Expression:
        """When the last click of this visit that is not judged yet will be."""
        came = one(e.c.arrived_at, e.c.id == w.c.enrollment_id, of=[e])
        unjudged = (click.c.lead_id == w.c.lead_id, click.c.recorded_at >= came, click.c.judged_at.is_(None))
        return one(func.max(click.c.judge_at), *unjudged, of=[click])

    def _from_window(self, *columns: str) -> Executable:
        return (
            update(w)
            .where(w.c.is_new, work_window.c.zone == w.c.zone)
            .values({name: work_window.c[name] for name in columns})
        )

    def _act_on_send(self, send: Send) -> list[Executable]:
        """Times first where they do not hang on the content, since a session must lie behind the sending."""
        statements: list[Executable] = []
        if self.timing.step.at is None or self.timing.minute is not None:
            statements += self.timing.window_statements()
            if not self._plans_from_window:
                statements.append(self._from_window("planned_at", "send_at", "late_at", "deadline_at"))
        else:
            statements += self.timing.anchored_statements()
        statements += Shelf(self.definitions, self.program, self.timing).choose(send)
        return statements

    @property
    def _plans_from_window(self) -> bool:
        """Whether nothing but the plan asks for the times: then they need not be copied into the rows."""
        send = self.step.send
        if send is None or send.content is None or self.timing.has_anchor:
            return False
        return self.definitions.content(send.content).kind not in SESSION_KINDS

    # --- judging -------------------------------------------------------------------------------------------

    def _ways(self) -> list[Way]:
        ways = [self._way(arm, f"on {arm.text}", is_program_wide=False) for arm in self.step.on]
        ways += [self._way(arm, f"on {arm.text} (program)", is_program_wide=True) for arm in self.program.on]
        ways = [
            way for way in ways if way.go.step != self.step.name
        ]  # a target that he stands on does not fire
        if self.step.otherwise is not None:
            ways.append(Way(self.step.otherwise, "otherwise", is_trouble=True))
        ways += [Way(Go(step=name), f"split {name} {weight}") for name, weight in self.step.split]
        ways += [self._way(arm, f"then {arm.text}".strip(), is_program_wide=False) for arm in self.step.then]
        if not self.step.split and all(arm.when is not None for arm in self.step.then):
            ways.append(Way(self.program.following(self.step), "time is up" if self._waits else "next"))
        return ways

    @property
    def _waits(self) -> bool:
        return self.step.send is not None or self.step.after is not None

    @staticmethod
    def _way(arm: Arm, rule: str, *, is_program_wide: bool) -> Way:
        return Way(arm.go, rule, arm.when, is_program_wide, arm.sets, tell=arm.tell)

    def _scope(self, way: Way) -> Scope:
        return Scope(
            lead=lead, enrollment=e, message=w.c.message_id, content=w.c.content, session_content=w.c.session_content,
            session=w.c.session, trouble=w.c.trouble, is_program_wide=way.is_program_wide,
        )  # fmt: skip

    def _judge(self) -> Executable:
        """First true way, in the order of the file; NULL means stay."""
        reactions = len([way for way in self.ways if way.rule.startswith("on ")])
        branches: list[tuple[Expression, int]] = []
        for index, way in enumerate(self.ways):
            if index == reactions and not way.is_trouble:
                branches.append((not_(self._is_ready()), -1))
            if way.is_trouble:
                branches.append((w.c.trouble.is_not(None), index))
                branches.append((not_(self._is_ready()), -1))
                continue
            branches.append((self._is_true(way, index), index))
        if all(way.rule.startswith("on ") for way in self.ways):
            branches.append((not_(self._is_ready()), -1))
        chosen = case(*branches, else_=-1)
        judged = update(w).values(arm=chosen)
        return (
            judged.where(e.c.id == w.c.enrollment_id, lead.c.id == w.c.lead_id)
            if self._reads_rows()
            else judged
        )

    def _reads_rows(self) -> bool:
        return any(way.condition is not None for way in self.ways) or bool(self.step.split)

    def _is_ready(self) -> Expression:
        """Time is up, and no click is settling; or the step could not do what it says."""
        up = and_(w.c.deadline_at <= NOW, w.c.settling_at.is_(None))
        if self.step.send is not None:  # on arrival the deadline is only planned: it starts with the sending
            up = and_(up, not_(w.c.is_new))
        if self.step.handoff is not None:
            up = and_(up, not_(w.c.is_new))
        return or_(w.c.trouble.is_not(None), func.coalesce(up, false()))

    def _is_true(self, way: Way, index: int) -> Expression:
        if way.rule.startswith("split "):
            return self._coin() < self._share_until(index)
        return true() if way.condition is None else compile_condition(way.condition, self._scope(way))

    def _coin(self) -> Expression:
        """The step's own coin below COINS from the lead's luck.

        Multiplying by an odd number is a bijection, so it stays uniform.
        """
        factor, offset = split_constants(self.program.name, self.step.name)
        mixed = (lead.c.luck * literal(factor, BigInteger) + literal(offset, BigInteger)) % literal(
            LUCK_RANGE, BigInteger
        )
        coin: Expression = mixed // literal(LUCK_RANGE // COINS, BigInteger)
        return coin

    def _share_until(self, index: int) -> int:
        splits = [way for way in self.ways if way.rule.startswith("split ")]
        first = self.ways.index(splits[0])
        weights = [weight for _, weight in self.step.split]
        return COINS * sum(weights[: index - first + 1]) // sum(weights)

    # --- writing -------------------------------------------------------------------------------------------

    def _by_way(self, values: Sequence[Any]) -> Expression:
        return case(*[(w.c.arm == index, value) for index, value in enumerate(values)], else_=null())

    def _targets(self) -> Expression:
        return self._by_way([literal(way.go.step, String) if way.go.step else null() for way in self.ways])

    def _statuses(self) -> Expression:
        kinds = ["active" if way.go.step else "moved" if way.go.program else "completed" for way in self.ways]
        return (
            literal("active") if set(kinds) == {"active"} else self._by_way([literal(kind) for kind in kinds])
        )

    def _write_transitions(self) -> Executable:
        target = self._targets()
        earlier = transition.alias()
        visit = one(
            func.coalesce(func.max(earlier.c.visit), 0) + 1,
            earlier.c.enrollment_id == e.c.id,
            earlier.c.to_step == target,
            of=[earlier],
        )
        seen = [values_seen(way.condition, self._scope(way)) for way in self.ways]
        fired = [
            fired_by(way.condition, self._scope(way))
            if way.condition is not None and way.rule.startswith("on ")
            else None
            for way in self.ways
        ]
        columns = [
            "enrollment_id",
            "lead_id",
            "at",
            "from_step",
            "to_step",
            "visit",
            "status",
            "rule",
            "saw",
            "reaction_id",
        ]
        rows = (
            select(
                e.c.id, e.c.lead_id, NOW, e.c.step, target, visit, self._statuses(), self._rules(),
                self._by_way([null() if one is None else one for one in seen]) if any(one is not None for one in seen) else null(),
                self._by_way([null() if one is None else one for one in fired]) if any(one is not None for one in fired) else null(),
            )
            .join_from(w, e, e.c.id == w.c.enrollment_id)
            .join(lead, lead.c.id == w.c.lead_id)
            .where(w.c.arm >= 0)
        )  # fmt: skip
        return insert(transition).from_select(columns, rows)

    def _count(self) -> Executable:
        """How many took each way, for the charts."""
        counted = (
            select(
                literal(self.program.name),
                literal(self.step.name),
                func.coalesce(self._targets(), ""),
                self._rules(),
                func.count(),
            )
            .where(w.c.arm >= 0)
            .group_by(w.c.arm, w.c.trouble)
        )
        return insert(work_move).from_select(["program", "from_step", "to_step", "rule", "moves"], counted)

    def _rules(self) -> Expression:
        """The rule that fired, with the trouble that led to it."""
        rules = self._by_way([literal(way.rule) for way in self.ways])
        return case(
            (w.c.trouble.is_not(None), rules + literal(" (") + w.c.trouble + literal(")")), else_=rules
        )

    def _cancel_queued(self) -> Executable:
        """What fires cancels the queued mail in the same transaction; one that is already being sent counts
        as sent.
        """
        queued = select(w.c.message_id).where(w.c.arm >= 0, not_(w.c.is_new))
        return (
            update(message)
            .where(message.c.status == "planned", message.c.id.in_(queued))
            .values(status="cancelled", settled_at=NOW, trouble="moved on")
        )

    def _plan(self) -> Executable:
        """One message per enrollment, step and visit: the unique key is what forbids a second."""
        send = self.step.send or Send()
        columns = [
            "enrollment_id", "lead_id", "program", "step", "visit", "track", "content", "session_content", "session", "variant", "priority",
            "needs_consent", "is_service", "status", "planned_at", "send_at", "late_at", "late", "wait_until", "attempt",
        ]  # fmt: skip
        times = work_window if self._plans_from_window else w
        rows = (
            select(
                e.c.id, e.c.lead_id, literal(self.program.name), literal(self.step.name), e.c.visit, literal(self.program.track),
                w.c.content, w.c.session_content, func.nullif(w.c.session, ""), self._variant(send), literal(self.program.priority),
                literal(self.program.needs_consent and not self.is_service), literal(self.is_service), literal("planned"), times.c.planned_at, times.c.send_at, times.c.late_at,
                literal(self.timing.late.rule), times.c.deadline_at, literal(0),
            )
            .join_from(w, e, e.c.id == w.c.enrollment_id)
            .where(w.c.is_new, w.c.arm < 0, w.c.trouble.is_(None), not_(func.coalesce(w.c.is_beyond, false())))
        )  # fmt: skip
        if self._plans_from_window:
            rows = rows.join(work_window, work_window.c.zone == w.c.zone)
        if send.variants:
            rows = rows.join(lead, lead.c.id == e.c.lead_id)
        return insert(message).from_select(columns, rows)

    def _variant(self, send: Send) -> Expression:
        if not send.variants:
            return null()
        total = sum(weight for _, weight in send.variants)
        until, branches = 0, []
        for name, weight in send.variants:
            until += weight
            branches.append((self._coin() < COINS * until // total, literal(name)))
        return case(*branches)

    def _note_ways_back(self) -> Executable | None:
        """Where those stand whom a click moves on, should it prove a machine's. None where no way asks for one."""
        fired: list[Any] = [null()] * len(self.ways)
        by_click: list[int] = []
        for index, way in enumerate(self.ways):
            if way.condition is not None and _asks_for_click(way.condition):
                single = fired_by(way.condition, self._scope(way))
                fired[index] = null() if single is None else single
                by_click.append(index)
        if not by_click:
            return None
        columns = [
            "enrollment_id", "lead_id", "reaction_id", "left_at", "step", "visit", "arrived_at", "seen_reaction_id", "acted", "why",
            "message_id", "content", "session_content", "session", "deadline_at",
        ]  # fmt: skip
        rows = (
            select(
                e.c.id, e.c.lead_id, self._by_way(fired), NOW, e.c.step, e.c.visit, e.c.arrived_at, e.c.seen_reaction_id, e.c.acted,
                e.c.why, e.c.message_id, e.c.content, e.c.session_content, e.c.session, case((e.c.acted, w.c.deadline_at)),
            )
            .join_from(w, e, e.c.id == w.c.enrollment_id)
            .join(lead, lead.c.id == e.c.lead_id)
            .where(w.c.arm.in_(by_click))
        )  # fmt: skip
        return insert(way_back).from_select(columns, rows)

    def _wait(self) -> Executable:
        """Whoever stays sleeps until its deadline, its unsettled click, the end of the calendar, or its
        mail's sending.
        """
        deadline: Expression = w.c.deadline_at
        beyond = func.coalesce(w.c.is_beyond, false())
        values: dict[str, Any] = {
            "acted": not_(beyond),
            "content": w.c.content,
            "session_content": w.c.session_content,
            "session": w.c.session,
        }
        if self.step.send is not None:
            planned = one(
                message.c.id,
                message.c.enrollment_id == e.c.id,
                message.c.step == e.c.step,
                message.c.visit == e.c.visit,
                of=[message],
            )
            values["message_id"] = case((w.c.is_new, planned), else_=e.c.message_id)
            values["deadline_at"] = case((w.c.is_new, null()), else_=deadline)
            deadline = case((w.c.is_new, null()), else_=deadline)
        else:
            values["deadline_at"] = deadline
        # Should the judging be late, he looks again soon: nobody else would wake him for a machine's click.
        judged = case((w.c.settling_at > NOW, w.c.settling_at), else_=NOW + SOON)
        slept = case((deadline <= NOW, case((w.c.settling_at.is_not(None), judged))), else_=deadline)
        values["due_at"] = type_coerce(case((beyond, HORIZON), else_=slept), Instant())
        return update(e).where(e.c.id == w.c.enrollment_id, w.c.arm < 0).values(values)

    def _move(self) -> Executable:
        """Whoever goes stands at the next step, due at once; backwards he is due in the next wave."""
        target = self._targets()
        # Plus nothing: else PostgreSQL may look for the greatest id of all and walk down until one is the lead's.
        newest = one(
            func.coalesce(func.max(reaction.c.id + 0), 0), reaction.c.lead_id == e.c.lead_id, of=[reaction]
        )
        came = one(
            func.max(transition.c.visit),
            transition.c.enrollment_id == e.c.id,
            transition.c.to_step == target,
            of=[transition],
        )
        here = self.positions[self.step.name]
        backwards = [
            index
            for index, way in enumerate(self.ways)
            if way.go.step and self.positions[way.go.step] <= here
        ]
        leaves = [index for index, way in enumerate(self.ways) if not way.go.step]
        values: dict[str, Any] = {
            "step": func.coalesce(target, e.c.step),
            "visit": func.coalesce(came, e.c.visit),
            "arrived_at": NOW,
            "seen_reaction_id": newest,
            "acted": false(),
            "why": w.c.trouble,
            "trouble": null(),
            "deadline_at": null(),
            "content": w.c.content,
            "session_content": w.c.session_content,
            "session": w.c.session,
        }
        if self.step.send is not None:  # who reacts before the mail leaves was sent nothing by this step
            values["message_id"] = case((w.c.is_new, null()), else_=e.c.message_id)
        values["due_at"] = case((w.c.arm.in_(leaves), null()), else_=NOW) if leaves else NOW
        if backwards:
            values["wave"] = case((w.c.arm.in_(backwards), WAVE), else_=e.c.wave)
        if leaves:
            values["status"] = self._statuses()
            values["ended_at"] = case((w.c.arm.in_(leaves), NOW), else_=e.c.ended_at)
        return update(e).where(e.c.id == w.c.enrollment_id, w.c.arm >= 0).values(values)

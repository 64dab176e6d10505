"""When a mail may leave and how long silence is waited for: the `at`, `late` and `after` of a step as SQL.

Without an anchor all of it depends on the zone alone, so it is computed once a zone (`work_window`), not once a lead.
With an anchor it depends on the lead's session or fact, and is computed on the rows of the chunk.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Executable

from leadnurture.domain.company import WorkingHours
from leadnurture.domain.program import Program, Step
from leadnurture.domain.timing import Anchored, Duration, FactAnchor, Hour, Late, StepAnchor, Wait
from leadnurture.engine.calendar import (
    day_begins,
    from_day,
    later_by,
    local_day,
    next_hour,
    next_opening,
    window_close,
    working_day_from,
)
from leadnurture.engine.conditions import NOW, fact_value
from leadnurture.engine.sql import one, some
from leadnurture.store.instants import Instant
from leadnurture.store.tables import ContentSession, Lead, Message, Transition
from leadnurture.store.work import work_step, work_window

Expression = ColumnElement[Any]
HORIZON: Final = bindparam("horizon", type_=Instant())
leads: Final = Lead.__table__
messages: Final = Message.__table__
transitions: Final = Transition.__table__
sessions: Final = ContentSession.__table__


@dataclass(frozen=True)
class Timing:
    """The times of one step; `statements` fill them in for the chunk that lies in `work_step`."""

    program: Program
    step: Step
    hours: WorkingHours
    preview: Duration | None = None
    """For so long a person of ours can see a mail before it may leave."""
    is_service: bool = False
    """Its mail answers something he asked for: it leaves when it is planned, at any hour."""

    @property
    def late(self) -> Late:
        """`skip` for what should have come before something, else the next window."""
        if self.step.late is not None:
            return self.step.late
        comes_before = isinstance(self.step.at, Anchored) and self.step.at.direction == "before"
        return Late("skip") if comes_before else Late("next window")

    @property
    def minute(self) -> int | None:
        """The hour of an `at`; a bare day means the first working hour."""
        if isinstance(self.step.at, Hour):
            return self.hours.opens if self.step.at.minute is None else self.step.at.minute
        return None

    def window_statements(self) -> list[Executable]:
        """Fills `work_window`: when a mail of this step is planned, may leave, is late.

        For a step whose `at` has no anchor.
        """
        window, zone = work_window, work_window.c.zone
        at = self.step.at
        seen = (
            [] if self.preview is None else [update(window).values(planned_at=self._seen(zone, self.preview))]
        )
        since = NOW if self.preview is None else window.c.planned_at
        planned: Expression = (
            next_hour(zone, since, at.weekday, self.minute or 0) if isinstance(at, Hour) else since
        )
        filled = insert(window).from_select(
            ["zone"], select(work_step.c.zone).where(work_step.c.is_new).distinct()
        )
        dated = update(window).values(planned_at=planned)
        working = (
            window.c.planned_at
            if self.minute is None or self.is_service
            else working_day_from(zone, window.c.planned_at, self.minute)
        )
        opened = update(window).values(send_at=self._opened(zone, working))
        closed = update(window).values(
            late_at=self._late_at(zone, window.c.send_at),
            deadline_at=self._silence(zone, window.c.planned_at),
        )
        return [filled, *seen, dated, opened, closed]

    @staticmethod
    def _seen(zone: Expression, preview: Duration) -> Expression:
        """When a mail that is planned now has been seen long enough."""
        return later_by(zone, NOW, preview)

    def wait_statements(self) -> list[Executable]:
        """Fills `work_window` with the deadline that counts from the arrival, for a step that sends nothing."""
        filled = insert(work_window).from_select(
            ["zone"], select(work_step.c.zone).where(work_step.c.is_new).distinct()
        )
        return [filled, update(work_window).values(deadline_at=self._silence(work_window.c.zone, NOW))]

    def anchored_statements(self) -> list[Executable]:
        """Fills the same into the rows themselves, for a step whose `at` is anchored; a mail that is planned
        already moves with its anchor.
        """
        at, w = self.step.at, work_step
        if not isinstance(at, Anchored):
            return []
        zone, unsent = w.c.zone, or_(w.c.is_new, some(*self._queued, of=[messages]))
        known = or_(w.c.anchor_at.is_not(None), w.c.anchor_day.is_not(None))
        statements: list[Executable] = [
            *self._anchor(at.anchor),
            update(w).where(unsent).values(planned_at=self._anchored(at)),
            update(w).where(w.c.is_new).values(is_beyond=and_(w.c.planned_at.is_(None), known)),
            update(w).where(unsent).values(send_at=self._opened(zone, w.c.planned_at)),
        ]
        closed = update(w).where(unsent).values(late_at=self._late_at(zone, w.c.send_at))
        missed = update(w).where(unsent, or_(w.c.late_at <= NOW, w.c.late_at < w.c.send_at))
        if self.late.rule == "next window" and self.is_service:
            return [*statements, closed, self._replan()]
        if self.late.rule == "next window":
            opening = next_opening(zone, NOW)
            again = {"planned_at": opening, "send_at": opening, "late_at": window_close(zone, NOW)}
            return [*statements, *self._previewed(zone), closed, missed.values(again), self._replan()]
        return [
            *statements,
            closed,
            *self._previewed(zone),
            missed.where(w.c.trouble.is_(None)).values(trouble="late"),
            self._replan(),
        ]

    def _previewed(self, zone: Expression) -> list[Executable]:
        if self.preview is None:
            return []
        until = self._seen(zone, self.preview)
        early = update(work_step).where(work_step.c.is_new, work_step.c.send_at < until)
        return [early.values(send_at=next_opening(zone, until))]

    @property
    def _queued(self) -> tuple[Expression, ...]:
        """The mail of a row, as long as it may move."""
        return messages.c.id == work_step.c.message_id, messages.c.status == "planned"

    def _replan(self) -> Executable:
        """Moves planned mails whose anchor moved. One that waits for its next window keeps the earlier one."""
        w = work_step
        is_later_window = and_(
            w.c.planned_at == next_opening(w.c.zone, NOW), w.c.planned_at > messages.c.planned_at
        )
        times: dict[str, Expression] = {name: w.c[name] for name in ("planned_at", "send_at", "late_at")}
        if isinstance(self.step.after, Wait):
            times["wait_until"] = self._silence(w.c.zone, w.c.planned_at)
        moved = (w.c.trouble.is_(None), w.c.planned_at != messages.c.planned_at, not_(is_later_window))
        return update(messages).where(*self._queued, *moved).values(times)

    def deadline_statements(self) -> list[Executable]:
        """The deadline as a function of the row: of its planned date, or of the anchor of `after`, which may
        have moved. Beyond the calendar it is its end, to be asked again then.
        """
        after, w = self.step.after, work_step
        if isinstance(after, Wait) and self.step.send is not None and isinstance(self.step.at, Anchored):
            silence = self._silence(w.c.zone, w.c.planned_at)
            return [update(w).where(w.c.is_new).values(deadline_at=silence)]
        if not isinstance(after, Anchored):
            return []
        known = or_(w.c.anchor_at.is_not(None), w.c.anchor_day.is_not(None))
        deadline = case((known, func.coalesce(self._anchored(after), HORIZON)))
        if self.step.send is None:
            return [*self._anchor(after.anchor), update(w).values(deadline_at=deadline)]
        # A mail that still waits to be sent has not started its silence.
        started = or_(w.c.is_new, w.c.deadline_at.is_not(None))
        return [
            *self._anchor(after.anchor),
            update(w).where(started).values(deadline_at=deadline),
            update(messages).where(*self._queued).values(wait_until=deadline),
        ]

    def _opened(self, zone: Expression, instant: Expression) -> Expression:
        return instant if self.is_service else next_opening(zone, instant)

    def _late_at(self, zone: Expression, send_at: Expression) -> Expression:
        late = self.late
        if late.within is not None:
            return later_by(zone, send_at, late.within)
        if not self.is_service:
            return window_close(zone, send_at)
        # Without hours the window is the day; what waits for the next one is never late.
        return null() if late.rule == "next window" else day_begins(zone, local_day(zone, send_at) + 1)

    def _silence(self, zone: Expression, since: Expression) -> Expression:
        after = self.step.after
        return later_by(zone, since, after.duration) if isinstance(after, Wait) else null()

    def _anchor(self, anchor: FactAnchor | StepAnchor) -> list[Executable]:
        """Fills an anchor into the rows: an instant, and for facts its day. Without one the row has trouble."""
        w = work_step
        missing = and_(w.c.anchor_at.is_(None), w.c.anchor_day.is_(None))
        no_date = update(w).where(w.c.is_new, w.c.trouble.is_(None), missing).values(trouble="no_date")
        if isinstance(anchor, StepAnchor):
            return [*self._session_anchor(anchor), no_date]
        lead = leads.alias()
        day = cast(fact_value(anchor.fact, "date", lead), BigInteger)
        return [
            update(w).values(anchor_day=one(day, lead.c.id == w.c.lead_id, of=[lead])),
            update(w).values(anchor_at=day_begins(w.c.zone, w.c.anchor_day)),
            no_date,
        ]

    def _session_anchor(self, anchor: StepAnchor) -> list[Executable]:
        """A webinar's step stands for the session that it sent about, or that he came with; any other for its
        mail's planned date.
        """
        w, mail, came = work_step, messages.alias(), transitions.alias()
        arrived = (came.c.enrollment_id == w.c.enrollment_id, came.c.to_step == anchor.step)
        latest = [
            mail.c.enrollment_id == w.c.enrollment_id,
            mail.c.step == anchor.step,
            # A visit that sent nothing, since he had a seat before, stands for that seat and not for an older mail.
            mail.c.visit == one(func.max(came.c.visit), *arrived, of=[came]),
            mail.c.status.not_in(["cancelled", "failed"]),
        ]
        planned, about, which = (
            one(value, *latest, of=[mail])
            for value in (
                mail.c.planned_at,
                case((mail.c.content == mail.c.session_content, mail.c.session_content)),
                case((mail.c.content == mail.c.session_content, mail.c.session)),
            )
        )
        starts = one(
            sessions.c.starts_at,
            sessions.c.content == w.c.session_content,
            sessions.c.name == w.c.session,
            of=[sessions],
        )
        is_dated = and_(w.c.session.is_not(None), w.c.session != "")
        return [
            update(w).values(anchor_day=null(), anchor_at=planned),
            update(w).where(which.is_not(None)).values(session_content=about, session=which),
            update(w)
            .where(is_dated, or_(w.c.anchor_at.is_(None), which.is_not(None)))
            .values(
                anchor_at=starts, trouble=func.coalesce(w.c.trouble, case((starts.is_(None), "cancelled")))
            ),
        ]

    def _anchored(self, item: Anchored) -> Expression:
        sign = 1 if item.direction == "after" else -1
        zone, at = work_step.c.zone, work_step.c.anchor_at
        if item.duration.is_absolute:
            return at + sign * item.duration.microseconds
        day: Expression = (
            work_step.c.anchor_day if isinstance(item.anchor, FactAnchor) else local_day(zone, at)
        )
        return from_day(zone, day, item.duration, sign)

    @property
    def is_about_session(self) -> bool:
        """Whether its mail is about the session of another step."""
        return any(
            isinstance(item, Anchored) and isinstance(item.anchor, StepAnchor)
            for item in (self.step.at, self.step.after)
        )

    @property
    def has_anchor(self) -> bool:
        """Whether `at` or `after` hangs on something else than the arrival."""
        return isinstance(self.step.at, Anchored) or isinstance(self.step.after, Anchored)

"""When a mail may leave and how long silence is waited for: the `at`, `late` and `after` of a step as SQL.

Without an anchor all of it depends on the zone alone, so it is computed once a zone (`work_window`), not once a lead.
With an anchor it depends on the lead's session or fact, and is computed on the rows of the chunk.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    Update,
    and_,
    case,
    cast,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Executable

from leadnurture.domain.company import WorkingHours
from leadnurture.domain.program import Program, Step
from leadnurture.domain.timing import Anchored, FactAnchor, Hour, Late, StepAnchor, Wait
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
from leadnurture.engine.sql import one
from leadnurture.store.tables import ContentSession, Lead, Message
from leadnurture.store.work import work_step, work_window

Expression = ColumnElement[Any]
leads: Final = Lead.__table__  # type: ignore[attr-defined] # SQLModel's tables have it
messages: Final = Message.__table__  # type: ignore[attr-defined] # as above
sessions: Final = ContentSession.__table__  # type: ignore[attr-defined] # as above


@dataclass(frozen=True)
class Timing:
    """The times of one step; `statements` fill them in for the chunk that lies in `work_step`."""

    program: Program
    step: Step
    hours: WorkingHours

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
        planned: Expression = (
            next_hour(zone, NOW, at.weekday, self.minute or 0) if isinstance(at, Hour) else NOW
        )
        filled = insert(window).from_select(
            ["zone"], select(work_step.c.zone).where(work_step.c.is_new).distinct()
        )
        dated = update(window).values(planned_at=planned)
        working = (
            window.c.planned_at
            if self.minute is None
            else working_day_from(zone, window.c.planned_at, self.minute)
        )
        opened = update(window).values(send_at=next_opening(zone, working))
        closed = update(window).values(
            late_at=self._late_at(zone, window.c.send_at),
            deadline_at=self._silence(zone, window.c.planned_at),
        )
        return [filled, dated, opened, closed]

    def wait_statements(self) -> list[Executable]:
        """Fills `work_window` with the deadline that counts from the arrival, for a step that sends nothing."""
        filled = insert(work_window).from_select(
            ["zone"], select(work_step.c.zone).where(work_step.c.is_new).distinct()
        )
        return [filled, update(work_window).values(deadline_at=self._silence(work_window.c.zone, NOW))]

    def anchored_statements(self) -> list[Executable]:
        """Fills the same into the rows themselves, for a step whose `at` is anchored."""
        at = self.step.at
        if not isinstance(at, Anchored):
            return []
        zone, new = work_step.c.zone, work_step.c.is_new
        planned = update(work_step).where(new).values(planned_at=self._anchored(at))
        opened = update(work_step).where(new).values(send_at=next_opening(zone, work_step.c.planned_at))
        closed = update(work_step).where(new).values(late_at=self._late_at(zone, work_step.c.send_at))
        missed = and_(new, work_step.c.late_at <= NOW)
        if self.late.rule == "next window":
            again = (
                update(work_step)
                .where(missed)
                .values(
                    planned_at=next_opening(zone, NOW),
                    send_at=next_opening(zone, NOW),
                    late_at=window_close(zone, NOW),
                )
            )
            return [planned, opened, closed, again]
        return [
            planned,
            opened,
            closed,
            update(work_step).where(missed, work_step.c.trouble.is_(None)).values(trouble="late"),
        ]

    def deadline_statement(self) -> Update | None:
        """The deadline as a function of the row: of its planned date, or of the anchor of `after`, which may
        have moved.
        """
        after = self.step.after
        if isinstance(after, Anchored):
            if self.step.send is None:
                return update(work_step).values(deadline_at=self._anchored(after))
            # A mail that still waits to be sent has not started its silence.
            started = or_(work_step.c.is_new, work_step.c.deadline_at.is_not(None))
            return update(work_step).where(started).values(deadline_at=self._anchored(after))
        if isinstance(after, Wait) and self.step.send is not None and isinstance(self.step.at, Anchored):
            return (
                update(work_step)
                .where(work_step.c.is_new)
                .values(deadline_at=self._silence(work_step.c.zone, work_step.c.planned_at))
            )
        return None

    def _late_at(self, zone: Expression, send_at: Expression) -> Expression:
        late = self.late
        return (
            later_by(zone, send_at, late.within) if late.within is not None else window_close(zone, send_at)
        )

    def _silence(self, zone: Expression, since: Expression) -> Expression:
        after = self.step.after
        return later_by(zone, since, after.duration) if isinstance(after, Wait) else null()

    def anchor_statements(self) -> list[Executable]:
        """Fills the anchor of `at` or `after` into the rows: an instant, and for facts its day.

        Without one the row has trouble.
        """
        anchors = {item.anchor for item in (self.step.at, self.step.after) if isinstance(item, Anchored)}
        statements: list[Executable] = []
        for anchor in sorted(anchors, key=str):
            if isinstance(anchor, FactAnchor):
                lead = leads.alias()
                day = cast(fact_value(anchor.fact, "date", lead), BigInteger)
                known = one(day, lead.c.id == work_step.c.lead_id, of=[lead])
                statements.append(update(work_step).values(anchor_day=known))
                statements.append(
                    update(work_step).values(anchor_at=day_begins(work_step.c.zone, work_step.c.anchor_day))
                )
            else:
                statements += self._session_anchor(anchor)
        return statements

    def _session_anchor(self, anchor: StepAnchor) -> list[Executable]:
        """A webinar's step stands for the session that it sent about, or that he came with; any other for its
        mail's planned date.
        """
        send = self.program.step(anchor.step).send
        mail = messages.alias()
        latest = [
            mail.c.enrollment_id == work_step.c.enrollment_id,
            mail.c.step == anchor.step,
            mail.c.status.not_in(["cancelled", "failed"]),
        ]
        newest = [mail.c.visit.desc()]
        planned = one(mail.c.planned_at, *latest, of=[mail], order=newest)
        if send is None:
            return [update(work_step).values(anchor_at=planned)]
        held = (*latest, mail.c.session.is_not(None))
        about, which = (
            one(mail.c[name], *held, of=[mail], order=newest) for name in ("session_content", "session")
        )
        starts = one(
            sessions.c.starts_at,
            sessions.c.content == work_step.c.session_content,
            sessions.c.name == work_step.c.session,
            of=[sessions],
        )
        return [
            update(work_step).values(
                session_content=func.coalesce(about, work_step.c.session_content),
                session=func.coalesce(which, work_step.c.session),
            ),
            update(work_step).values(anchor_at=case((work_step.c.session != "", starts), else_=planned)),
            update(work_step)
            .where(
                work_step.c.session.is_not(None), work_step.c.session != "", work_step.c.anchor_at.is_(None)
            )
            .values(trouble="cancelled"),
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

    def no_date(self) -> Expression:
        """Rows whose anchor is not known at all; beyond the calendar is another matter."""
        return and_(work_step.c.anchor_at.is_(None), work_step.c.anchor_day.is_(None))

    def is_beyond(self) -> Expression:
        """Rows whose date lies beyond the calendar: they sleep until its end and are computed again."""
        column = work_step.c.planned_at if isinstance(self.step.at, Anchored) else work_step.c.deadline_at
        return and_(
            column.is_(None), or_(work_step.c.anchor_at.is_not(None), work_step.c.anchor_day.is_not(None))
        )

    @property
    def has_anchor(self) -> bool:
        """Whether `at` or `after` hangs on something else than the arrival."""
        return isinstance(self.step.at, Anchored) or isinstance(self.step.after, Anchored)


def tables_of_windows() -> tuple[Table, ...]:
    """What a caller empties before a chunk."""
    return (work_step, work_window)

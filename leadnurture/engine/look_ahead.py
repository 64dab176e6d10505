"""How a look ends: who is woken, since something leads him on now, and when time alone will change something again.

One idea to hold: whoever is named neither here nor by a deadline sleeps, however often he is looked at.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    update,
)

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.condition import (
    Compare,
    Condition,
    DaysUntil,
    OneOf,
    Reacted,
    depends_on_dates,
    leaves,
)
from leadnurture.domain.program import Arm, Program
from leadnurture.domain.timing import Anchored
from leadnurture.engine.calendar import day_begins, local_day
from leadnurture.engine.conditions import NOW, Scope, compile_condition, fact_value
from leadnurture.engine.sql import least, one, some
from leadnurture.store.tables import Enrollment, Interest, Lead, Point, ProgramVersion
from leadnurture.store.work import work_lead

Expression = ColumnElement[Any]
lead: Final = Lead.__table__
enrollment: Final = Enrollment.__table__
point: Final = Point.__table__
interest: Final = Interest.__table__
version: Final = ProgramVersion.__table__
HERE: Final = lead.c.id.in_(select(work_lead.c.lead_id))
"""The leads of the chunk."""


def close(agreement: Agreement, programs: Sequence[Program]) -> list[Any]:
    """Wakes whom a way `on` of his step leads on now, and notes when time alone will change something again."""
    return [
        *(_wake(program) for program in programs),
        update(lead).where(HERE).values(look_at=_next_reason(agreement, programs)),
    ]


def _wake(program: Program) -> Any:  # noqa: ANN401 - an Update
    """Everything else waits for its time. The wave judges again, in order.

    Who stands in a kept version is woken in any case, as is who waits for a date that may have moved.
    """
    dated = [
        step.name
        for step in program.steps
        if isinstance(step.at, Anchored) or isinstance(step.after, Anchored)
    ]
    return (
        update(enrollment)
        .where(
            enrollment.c.lead_id == lead.c.id,
            HERE,
            enrollment.c.program == program.name,
            enrollment.c.status == literal_column("'active'"),
            enrollment.c.acted,
            or_(*_steering(program), enrollment.c.step.in_(dated), _is_kept()),
        )
        .values(due_at=literal_column("0"))
    )


def _steering(program: Program) -> list[Expression]:
    """Per step, and for the whole program, that a way `on` leads elsewhere now."""
    here = Scope(
        lead=lead, enrollment=enrollment, message=enrollment.c.message_id, content=enrollment.c.content,
        session_content=enrollment.c.session_content, session=enrollment.c.session, trouble=enrollment.c.trouble,
    )  # fmt: skip
    anywhere = replace(here, is_program_wide=True)
    of_steps = [
        and_(enrollment.c.step == step.name, _any_true(step.on, here)) for step in program.steps if step.on
    ]
    of_program = [
        and_(enrollment.c.step != (arm.go.step or ""), _any_true([arm], anywhere)) for arm in program.on
    ]
    return [*of_steps, *of_program]


def _any_true(arms: Sequence[Arm], scope: Scope) -> Expression:
    return or_(*(compile_condition(arm.when, scope) for arm in arms if arm.when is not None))


def _is_kept() -> Expression:
    return some(version.c.id == enrollment.c.version_id, not_(version.c.is_current), of=[version])


def _next_reason(agreement: Agreement, programs: Sequence[Program]) -> Expression:
    """The earliest of: points begin or end, an interest ends, the same program again, midnight for dates."""
    never: Expression = literal_column("9223372036854775807")
    reasons: list[Expression] = [
        one(func.min(point.c.ends_at), point.c.lead_id == lead.c.id, point.c.ends_at > NOW, of=[point]),
        one(func.min(point.c.begins_at), point.c.lead_id == lead.c.id, point.c.begins_at > NOW, of=[point]),
        one(
            func.min(interest.c.ends_at),
            interest.c.lead_id == lead.c.id,
            interest.c.ends_at > NOW,
            of=[interest],
        ),
    ]
    for program in programs:
        if program.enter is not None and program.again is not None:
            again = enrollment.c.ended_at + program.again.microseconds
            reasons.append(
                one(
                    func.min(again),
                    enrollment.c.lead_id == lead.c.id,
                    enrollment.c.program == program.name,
                    again > NOW,
                    of=[enrollment],
                )
            )
    watching = _watches_dates(agreement, programs)
    if watching is not None:
        reasons.append(case((watching, day_begins(lead.c.zone, local_day(lead.c.zone, NOW) + 1))))
    return func.nullif(
        least(*(func.coalesce(reason, never) for reason in reasons), type_=BigInteger()), never
    )


def _watches_dates(agreement: Agreement, programs: Sequence[Program]) -> Expression | None:
    """For whom a midnight alone can change something: he stands where a condition on dates is asked, or such
    a date of his is known.
    """
    asked = [
        agreement.pause,
        *(rule.condition for rule in agreement.fit),
        *(rule.when for rule in agreement.stages),
    ]
    asked += [program.enter for program in programs]
    watching: list[Expression] = [
        _dates_known(condition)
        for condition in asked
        if condition is not None and depends_on_dates(condition)
    ]
    for program in programs:
        anywhere = (program.exit, program.goal, *(arm.when for arm in program.on))
        here = [
            enrollment.c.lead_id == lead.c.id,
            enrollment.c.program == program.name,
            enrollment.c.status.in_(["active", "paused"]),
        ]
        if any(depends_on_dates(condition) for condition in anywhere):
            watching.append(some(*here, of=[enrollment]))
            continue
        steps = [step.name for step in program.steps if any(depends_on_dates(arm.when) for arm in step.on)]
        if steps:
            watching.append(some(*here, enrollment.c.step.in_(steps), of=[enrollment]))
    return or_(*watching) if watching else None


def _dates_known(condition: Condition) -> Expression:
    """A missing date makes every comparison false, whatever the day; `within` looks back from every day."""
    facts = {
        leaf.term.fact
        for leaf in leaves(condition.node)
        if isinstance(leaf, Compare | OneOf) and isinstance(leaf.term, DaysUntil)
    }
    if any(isinstance(leaf, Reacted) and leaf.within is not None for leaf in leaves(condition.node)):
        return literal_column("1 = 1")
    return or_(*(fact_value(name, "date", lead).is_not(None) for name in sorted(facts)))

"""What a look executes, built once per version of the definitions and track.

Everything that is known of a lead is judged here: fit, engagement, track, stages, exits, goals, the pause, and who may
enter. What comes of it later is said in `look_ahead`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    String,
    bindparam,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    update,
)

from leadnurture.domain.agreement import Agreement, StageRule
from leadnurture.domain.condition import (
    Condition,
    depends_on_colleagues,
)
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program
from leadnurture.domain.vocabulary import BUILT_IN_FACTS, STAGES, Track
from leadnurture.engine.conditions import (
    NOW,
    Scope,
    compile_condition,
    fact_value,
    has_consent,
    living,
    values_seen,
)
from leadnurture.engine.look_ahead import HERE, close
from leadnurture.engine.sql import one, some
from leadnurture.store.tables import (
    AlmostQualified,
    Enrollment,
    Handoff,
    Interest,
    Lead,
    Point,
    ProgramVersion,
    StageChange,
    Suppression,
)
from leadnurture.store.work import work_end, work_enroll, work_lead

Expression = ColumnElement[Any]
lead: Final = Lead.__table__
enrollment: Final = Enrollment.__table__
point: Final = Point.__table__
interest: Final = Interest.__table__
suppression: Final = Suppression.__table__
handoff: Final = Handoff.__table__
changes: Final = StageChange.__table__
version: Final = ProgramVersion.__table__
almost: Final = AlmostQualified.__table__


@dataclass(frozen=True)
class Pauses:
    """The agreement's `pause`: `mark` writes into the chunk for whom it is true."""

    rule: str | None
    mark: Any


@dataclass(frozen=True)
class Statements:
    """What a look at one track executes, built once per version of the definitions."""

    claim: Any
    drop: Any
    judge_track: Any
    score: tuple[Any, ...]
    stages: tuple[Any, ...]
    ends: tuple[Any, ...]
    count_goals: Any
    pauses: Pauses
    enters: tuple[tuple[str, Any], ...]
    close: tuple[Any, ...]
    counts_colleagues: bool


_built: dict[Track, tuple[Definitions, Statements]] = {}


def statements_of(definitions: Definitions, track: Track) -> Statements:
    """The statements of a track, kept as long as the same definitions ask. Nothing is executed here."""
    known = _built.get(track)
    # By identity: comparing or hashing all the definitions would cost more than a small chunk.
    if known is None or known[0] is not definitions:
        known = _built[track] = (definitions, _build(definitions, track))
    return known[1]


def counts_colleagues(definitions: Definitions) -> bool:
    """Whether the stage of one person can change what is true of another of the account."""
    return statements_of(definitions, definitions.agreements[0].track).counts_colleagues


def _build(definitions: Definitions, track: Track) -> Statements:
    agreement = definitions.agreement(track)
    programs = [program for program in definitions.programs if program.track == track]
    scope = Scope(lead=lead)
    return Statements(
        claim=_claim(),
        drop=_drop(),
        judge_track=_judge_track(definitions, track, scope),
        score=tuple(_score(agreement, scope)),
        stages=tuple(_stages(agreement, scope)),
        ends=tuple(_ends(programs, scope)),
        count_goals=_count_goals(programs, scope),
        pauses=_pauses(agreement, scope),
        enters=tuple(
            (program.name, _enter(definitions, agreement, program, scope))
            for program in programs
            if program.enter is not None
        ),
        close=tuple(close(agreement, programs)),
        counts_colleagues=any(depends_on_colleagues(condition) for condition in definitions.conditions()),
    )


def _claim() -> Any:  # noqa: ANN401 - an Insert
    due = (
        select(lead.c.id, lead.c.zone)
        .where(lead.c.track == bindparam("this_track"), lead.c.look_at.is_not(None), lead.c.look_at <= NOW)
        .order_by(lead.c.look_at, lead.c.id)
        .limit(bindparam("chunk_size"))
        .with_for_update(key_share=True, skip_locked=True)
    )
    return insert(work_lead).from_select(["lead_id", "zone"], due)


def _drop() -> Any:  # noqa: ANN401 - a Delete
    chunk = work_lead.alias()
    still = (
        select(chunk.c.lead_id)
        .join(lead, lead.c.id == chunk.c.lead_id)
        .where(lead.c.track == bindparam("this_track"), lead.c.look_at <= NOW)
    )
    return work_lead.delete().where(work_lead.c.lead_id.not_in(still))


def _judge_track(definitions: Definitions, track: Track, scope: Scope) -> Any:  # noqa: ANN401 - an Update
    is_client = compile_condition(definitions.company.client, scope)
    belongs = is_client if track == "clients" else not_(is_client)
    return update(work_lead).where(lead.c.id == work_lead.c.lead_id).values(is_switched=not_(belongs))


def _score(agreement: Agreement, scope: Scope) -> list[Any]:
    """Fit is the sum of the rules true now, engagement the sum of the living points; integers, so that they
    add up.
    """
    fit: Expression = literal_column("0")
    for rule in agreement.fit:
        fit = fit + case((compile_condition(rule.condition, scope), rule.points), else_=0)
    engagement = one(
        func.coalesce(func.sum(point.c.points), 0),
        point.c.lead_id == lead.c.id,
        point.c.track == lead.c.track,
        *living(point),
        of=[point],
    )
    formula = agreement.score
    figures = select(lead.c.id, fit.label("fit"), engagement.label("engagement")).where(HERE).subquery()
    score = figures.c.fit * formula.fit + figures.c.engagement * formula.engagement + formula.constant
    differs = or_(
        lead.c.fit != figures.c.fit, lead.c.engagement != figures.c.engagement, lead.c.score != score
    )
    return [
        update(lead)
        .where(lead.c.id == figures.c.id, differs)
        .values(fit=figures.c.fit, engagement=figures.c.engagement, score=score)
    ]


def _stages(agreement: Agreement, scope: Scope) -> list[Any]:
    """Stages are entered upwards when their condition is true and their needs are met; none is left because
    it turned false.
    """
    statements: list[Any] = []
    for stage in ("engaged", "qualified"):
        rule = agreement.stage(stage)
        if rule.when is None:
            continue
        statements += _enter_stage(agreement, rule, scope)
    return statements


def _enter_stage(agreement: Agreement, rule: StageRule, scope: Scope) -> list[Any]:
    assert rule.when is not None  # noqa: S101 - asked by the caller
    before = list(STAGES[: STAGES.index(rule.stage)])
    may = (HERE, lead.c.stage.in_(before), compile_condition(rule.when, scope))
    missing = _missing(rule, scope)
    complete = () if missing is None else (missing == "",)
    seen = values_seen(rule.when, scope)
    columns = ["lead_id", "track", "from_stage", "to_stage", "at", "rule", "saw", "agreement"]
    rows = select(
        lead.c.id, lead.c.track, lead.c.stage, literal(rule.stage), NOW, literal(f"{rule.stage} when {rule.when}"),
        null() if seen is None else seen, literal(agreement.version.isoformat()),
    ).where(*may, *complete)  # fmt: skip
    statements: list[Any] = [
        insert(changes).from_select(columns, rows),
        update(lead).where(*may, *complete).values(stage=rule.stage, stage_since=NOW),
    ]
    if missing is not None:
        over = select(lead.c.id).where(*may)
        statements.insert(
            0,
            almost.delete().where(
                almost.c.lead_id.in_(select(work_lead.c.lead_id)),
                or_(almost.c.lead_id.not_in(over), almost.c.lead_id.in_(over.where(missing == ""))),
            ),
        )
        statements.insert(
            1,
            update(almost).where(lead.c.id == almost.c.lead_id, HERE, missing != "").values(missing=missing),
        )
        known = some(almost.c.lead_id == lead.c.id, of=[almost])
        lacking = select(lead.c.id, missing, NOW, false()).where(*may, missing != "", not_(known))
        columns = ["lead_id", "missing", "since_at", "is_told"]
        statements.insert(2, insert(almost).from_select(columns, lacking))
    return statements


def _missing(rule: StageRule, scope: Scope) -> Expression | None:
    """The needed facts that are not known, as text; empty when all are."""
    if not rule.needs:
        return None
    text: Expression = literal("", String)
    for name in rule.needs:
        kind = BUILT_IN_FACTS.get(name, "text")
        value = fact_value(name, kind, scope.lead) if name in BUILT_IN_FACTS else _any_fact(name, scope)
        text = text + case((value.is_(None), literal(f"{name}, ")), else_="")
    return func.rtrim(text, ", ")


def _any_fact(name: str, scope: Scope) -> Expression:
    """A declared fact whatever its kind."""
    return func.coalesce(
        fact_value(name, "text", scope.lead), cast(fact_value(name, "number", scope.lead), String)
    )


def _ends(programs: Sequence[Program], scope: Scope) -> list[Any]:
    """Who leaves: first whoever cannot be mailed, then by `exit`, then by `goal` unless an offer is open."""
    statements = [
        _ending(
            literal("undeliverable"),
            literal("address ") + _reason(scope),
            None,
            [some(suppression.c.email_key == lead.c.email_key, of=[suppression])],
        ),
    ]
    for program in programs:
        if program.exit is not None:
            statements.append(
                _ending(
                    literal("exited"),
                    literal(f"exit {program.exit}"),
                    program.exit,
                    _of(program, program.exit, scope),
                    scope,
                )
            )
        if program.goal is not None:
            closed = not_(some(handoff.c.lead_id == lead.c.id, handoff.c.status == "open", of=[handoff]))
            fresh = enrollment.c.goal_at.is_(None)
            statements.append(
                _ending(
                    literal("reached"),
                    literal(f"goal {program.goal}"),
                    program.goal,
                    [*_of(program, program.goal, scope), closed, fresh],
                    scope,
                )
            )
    return statements


def _reason(scope: Scope) -> Expression:
    return func.coalesce(
        one(suppression.c.reason, suppression.c.email_key == scope.lead.c.email_key, of=[suppression]),
        "suppressed",
    )


def _of(program: Program, condition: Condition, scope: Scope) -> list[Expression]:
    return [enrollment.c.program == program.name, compile_condition(condition, scope)]


def _ending(
    status: Expression,
    rule: Expression,
    condition: Condition | None,
    wanted: Sequence[Expression],
    scope: Scope | None = None,
) -> Any:  # noqa: ANN401 - an Insert
    seen = None if scope is None else values_seen(condition, scope)
    marked = select(work_end.c.enrollment_id)
    rows = (
        select(enrollment.c.id, enrollment.c.lead_id, status, rule, null() if seen is None else seen)
        .join_from(enrollment, lead, lead.c.id == enrollment.c.lead_id)
        .where(HERE, enrollment.c.status.in_(["active", "paused"]), *wanted, enrollment.c.id.not_in(marked))
    )
    return insert(work_end).from_select(["enrollment_id", "lead_id", "status", "rule", "saw"], rows)


def _count_goals(programs: Sequence[Program], scope: Scope) -> Any:  # noqa: ANN401 - an Update
    """A goal that is reached while an offer is open is counted once; the enrollment is only paused until the
    decision.
    """
    reached = [
        (enrollment.c.program == program.name) & compile_condition(program.goal, scope)
        for program in programs
        if program.goal is not None
    ]
    wanted = or_(*reached) if reached else literal_column("1 = 0")
    return (
        update(enrollment)
        .where(
            lead.c.id == enrollment.c.lead_id,
            HERE,
            enrollment.c.status == "paused",
            enrollment.c.goal_at.is_(None),
            wanted,
        )
        .values(goal_at=NOW)
    )


def _pauses(agreement: Agreement, scope: Scope) -> Pauses:
    if agreement.pause is None:
        return Pauses(None, None)
    mark = (
        update(work_lead)
        .where(lead.c.id == work_lead.c.lead_id)
        .values(is_switched=compile_condition(agreement.pause, scope))
    )
    return Pauses(str(agreement.pause), mark)


def _enter(definitions: Definitions, agreement: Agreement, program: Program, scope: Scope) -> Any:  # noqa: ANN401 - an Insert
    """Candidates of one program: the condition holds, he may be mailed, he is not in it, `again` allows it,
    and neither `exit` nor `goal` would end it on arrival.
    """
    assert program.enter is not None  # noqa: S101 - asked by the caller
    ours = (enrollment.c.lead_id == lead.c.id, enrollment.c.program == program.name)
    before = some(*ours, of=[enrollment])
    if program.again is not None:
        before = some(
            *ours,
            or_(enrollment.c.ended_at.is_(None), enrollment.c.ended_at > NOW - program.again.microseconds),
            of=[enrollment],
        )
    wanted: list[Expression] = [
        HERE,
        lead.c.stage.in_(["new", "engaged", "qualified", "lost"]),
        not_(before),
        not_(some(suppression.c.email_key == lead.c.email_key, of=[suppression])),
        not_(some(handoff.c.lead_id == lead.c.id, handoff.c.status == "open", of=[handoff])),
        compile_condition(program.enter, scope),
        *(not_(compile_condition(end, scope)) for end in (program.exit, program.goal) if end is not None),
    ]
    if program.needs_consent and agreement.consent is not None:
        wanted.append(has_consent(lead, literal(agreement.consent)))
    if agreement.crm_required:
        wanted.append(lead.c.crm_id.is_not(None))
    if agreement.pause is not None:
        wanted.append(not_(compile_condition(agreement.pause, scope)))
    seen = values_seen(program.enter, scope)
    rank = [one_.name for one_ in definitions.programs].index(program.name)
    rows = select(
        lead.c.id, literal(program.name), bindparam("first_version"), bindparam("first_step"), literal(program.priority), literal(rank),
        literal(f"enter {program.enter}"), null() if seen is None else seen, literal_column("FALSE"),
    ).where(*wanted)  # fmt: skip
    return insert(work_enroll).from_select(
        ["lead_id", "program", "version_id", "step", "priority", "rank", "rule", "saw", "is_free"], rows
    )

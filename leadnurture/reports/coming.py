"""What comes next for a lead and when, or why nothing comes: nobody has to guess why a mail does not leave.

One idea to hold: everything that could hold a mail back is named, each with the date on which it stops
doing so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from leadnurture import engine
from leadnurture.definitions import load_program
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.condition import Condition
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Step
from leadnurture.domain.vocabulary import GONE_STATUSES, STAGES
from leadnurture.reports.story import Setting
from leadnurture.reports.ways import rules_of
from leadnurture.store.tables import metadata

ENROLLMENT: Final = metadata.tables["enrollment"]
VERSION: Final = metadata.tables["program_version"]
MESSAGE: Final = metadata.tables["message"]
REPLY: Final = metadata.tables["reply"]
HANDOFF: Final = metadata.tables["handoff"]
TASK: Final = metadata.tables["task"]
PREFERENCE: Final = metadata.tables["preference"]
MONTH: Final = 30
"""Days of a month, as in a pace."""
WAITING: Final = ("sending", "unknown")


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that will happen, or does not; `at` is None where no date is known."""

    at: datetime | None
    text: str
    why: str = ""
    program: str | None = None
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for the lead as a whole, as the journey has read it already."""

    lead: Row[Any]
    suppression: tuple[str, datetime] | None
    consents: Mapping[str, bool]
    """By purpose, whether it is given now."""


def coming(
    connection: Connection, standing: Standing, definitions: Definitions, setting: Setting
) -> tuple[Coming, ...]:
    """Dated things first, in order of time. Six statements; one a program for whoever is in none."""
    agreement = definitions.agreement(standing.lead.track)
    enrollments = _enrollments(connection, standing.lead.id)
    found = [
        *_obstacles(connection, standing, agreement, setting),
        *_replies(connection, standing.lead.id, setting),
        *_tasks(connection, standing.lead.id, setting),
        *_offers(connection, standing.lead.id, agreement, setting),
        *_pace(connection, standing.lead.id, agreement, setting),
    ]
    found += _about_seats(connection, standing.lead.id, setting)
    messages = _messages(connection, [row.id for row in enrollments])
    for row in enrollments:
        message = messages.get((row.id, row.step, row.visit))
        found.append(_next_of(row, message, agreement, setting))
    if standing.lead.look_at is not None and standing.lead.look_at <= setting.now:
        found.append(
            Coming(setting.now, "A look at what has changed", "Whatever follows from it is decided then.")
        )
    elif not enrollments:
        found.append(_in_no_program(connection, standing, definitions, setting))
    return tuple(sorted(found, key=lambda each: (each.at is None, each.at or setting.now)))


def _obstacles(
    connection: Connection, standing: Standing, agreement: Agreement, setting: Setting
) -> Iterator[Coming]:
    if standing.suppression is not None:
        reason, at = standing.suppression
        yield Coming(None, "No mail, ever", f"The address is suppressed since {setting.date(at)}: {reason}.")
    if agreement.consent and not standing.consents.get(agreement.consent):
        why = f"The agreement asks for consent to {agreement.consent}, and there is none."
        yield Coming(None, "No mail without consent", why)
    paused = connection.scalar(
        select(PREFERENCE.c.paused_until).where(PREFERENCE.c.lead_id == standing.lead.id)
    )
    if paused is not None and paused > setting.now:
        yield Coming(paused, "The pause ends", "The lead asked to be sent nothing until then.")
    hold = standing.lead.hold_until
    if hold is not None and hold > setting.now:
        yield Coming(hold, "The hold ends", "A person asked to send nothing until then.")


def _replies(connection: Connection, lead_id: int, setting: Setting) -> Iterator[Coming]:
    question = select(func.min(REPLY.c.at)).where(REPLY.c.lead_id == lead_id, REPLY.c.sorted_at.is_(None))
    since = connection.scalar(question)
    if since is not None:
        why = f"He wrote on {setting.date(since)}; no mail leaves until somebody has sorted it."
        yield Coming(None, "His reply is sorted", why)


def _tasks(connection: Connection, lead_id: int, setting: Setting) -> Iterator[Coming]:
    waiting = TASK.c.lead_id == lead_id, TASK.c.status == "open", engine.waits_for_task()
    for row in connection.execute(select(TASK).where(*waiting).order_by(TASK.c.id)):
        has = f"{setting.person(row.person)} has it" if row.person else "It is about to be given to somebody"
        yield Coming(
            None, f"Somebody of ours answers: {row.text}", f"{has}, since {setting.moment(row.opened_at)}."
        )


def _offers(connection: Connection, lead_id: int, agreement: Agreement, setting: Setting) -> Iterator[Coming]:
    question = select(HANDOFF).where(HANDOFF.c.lead_id == lead_id, HANDOFF.c.status == "open")
    escalate = agreement.stage("handed_off").escalate
    then = f" Then {setting.person(escalate)} is told." if escalate else ""
    for row in connection.execute(question):
        if row.assigned_to is None:
            yield Coming(setting.now, "Sales gets the lead", "The handoff is about to be given to somebody.")
            continue
        has = f"{setting.person(row.assigned_to)} has the lead."
        if row.due_at is None:
            yield Coming(None, "Sales answers", has)
        elif row.due_at > setting.now:
            yield Coming(row.due_at, "First contact falls due", has + then)
        else:
            yield Coming(None, "First contact is overdue", f"{has} It was due {setting.moment(row.due_at)}.")


def _pace(connection: Connection, lead_id: int, agreement: Agreement, setting: Setting) -> Iterator[Coming]:
    """Only when the limit is reached: until then it holds nothing back."""
    own = connection.scalar(select(PREFERENCE.c.mails).where(PREFERENCE.c.lead_id == lead_id))
    limits = [
        ("The pace is", agreement.pace),
        ("The lead asked for at most", None if own is None else (own, MONTH)),
    ]
    for said, limit in limits:
        if limit is not None:
            yield from _reached(connection, lead_id, said, limit, setting)


def _reached(
    connection: Connection, lead_id: int, said: str, limit: tuple[int, int], setting: Setting
) -> Iterator[Coming]:
    mails, days = limit
    span = timedelta(days=days)
    gone = (
        MESSAGE.c.lead_id == lead_id,
        MESSAGE.c.status.in_(GONE_STATUSES),
        MESSAGE.c.attempt_at > setting.now - span,
        MESSAGE.c.is_service.is_(False),
    )
    question = select(MESSAGE.c.attempt_at).where(*gone).order_by(MESSAGE.c.attempt_at.desc()).limit(mails)
    sent = connection.scalars(question).all()
    if len(sent) == mails:
        why = f"{said} {mails} in {days} days, and {mails} left since {setting.moment(sent[-1])}."
        yield Coming(sent[-1] + span, "Room for the next mail", why)


def _about_seats(connection: Connection, lead_id: int, setting: Setting) -> Iterator[Coming]:
    """Confirmations and reminders that are planned."""
    planned = MESSAGE.c.lead_id == lead_id, MESSAGE.c.status == "planned", MESSAGE.c.occasion.is_not(None)
    for row in connection.execute(select(MESSAGE).where(*planned)):
        why = f"For the seat in {setting.title(row.session_content)}, session {row.session}."
        yield Coming(row.send_at, f"{setting.title(row.content)} leaves", why)


def _enrollments(connection: Connection, lead_id: int) -> Sequence[Row[Any]]:
    question = (
        select(ENROLLMENT, VERSION.c.body)
        .join(VERSION, VERSION.c.id == ENROLLMENT.c.version_id)
        .where(ENROLLMENT.c.lead_id == lead_id, ENROLLMENT.c.status.in_(("active", "paused")))
        .order_by(ENROLLMENT.c.id)
    )
    return connection.execute(question).all()


def _messages(
    connection: Connection, enrollment_ids: Sequence[int]
) -> Mapping[tuple[int, str, int], Row[Any]]:
    question = select(MESSAGE).where(MESSAGE.c.enrollment_id.in_(enrollment_ids))
    return {(row.enrollment_id, row.step, row.visit): row for row in connection.execute(question)}


def _next_of(row: Row[Any], message: Row[Any] | None, agreement: Agreement, setting: Setting) -> Coming:
    at, text, why = _next(row, message, agreement, setting)
    return Coming(at, text, why, row.program, row.step)


def _next(
    row: Row[Any], message: Row[Any] | None, agreement: Agreement, setting: Setting
) -> tuple[datetime | None, str, str]:
    place = f"{setting.title(row.program)}, step {row.step}"
    if row.status == "paused":
        return None, "Nothing, for now", f"{place}: paused, since {_pause(row, agreement)}."
    if message is not None and message.status == "planned":
        return (
            message.send_at,
            f"{setting.title(message.content)} leaves",
            f"{place}.{_moved(message, setting)}",
        )
    if message is not None and message.status in WAITING and row.deadline_at is None:
        return (
            None,
            "The outcome of a sending",
            f"{place}: {setting.title(message.content)} is {message.status}.",
        )
    program = load_program(row.body)
    step = program.step(row.step)
    if row.deadline_at is not None and row.deadline_at > setting.now:
        return row.deadline_at, "Silence is taken for an answer", f"{place}: {_waits_for(program, step)}."
    if row.due_at is not None and row.due_at <= setting.now:
        return setting.now, "The next wave decides", f"{place}."
    return row.due_at, "The next look", f"{place}: {_waits_for(program, step)}."


def _pause(row: Row[Any], agreement: Agreement) -> str:
    if row.pause == "agreement" and agreement.pause is not None:
        return f"the agreement says so: {agreement.pause.text}"
    if row.pause == "reply":
        return "a reply of his waits to be sorted"
    return "a handoff is open"


def _moved(message: Row[Any], setting: Setting) -> str:
    if message.send_at == message.planned_at:
        return ""
    return f" Planned for {setting.moment(message.planned_at)}, moved by working hours, pace or a hold."


def _waits_for(program: Program, step: Step) -> str:
    """What would end the wait, and where silence leads: `waits for registered → seat; else last-call`."""
    arms = [f"{arm.text} → {arm.go}" for arm in (*step.on, *program.on) if arm.go.step != step.name]
    silence = [
        f"{rule.removeprefix('then ')} → {go}" if rule.startswith("then ") else str(go)
        for rule, go in rules_of(program, step)
        if rule.startswith("then") or rule in {"time is up", "next"}
    ]
    waits = f"waits for {', '.join(arms)}" if arms else "waits"
    return f"{waits}; else {', else '.join(silence)}" if silence else waits


def _why_not(
    program: Program, agreement: Agreement, standing: Standing, holds: Callable[[Condition | None], bool]
) -> str:
    """What keeps a lead out of a program whose condition is true, as a look judges it."""
    purpose = agreement.consent if program.needs_consent else None
    if standing.suppression is not None:
        return f"its address is suppressed ({standing.suppression[0]})"
    if purpose is not None and not standing.consents.get(purpose, False):
        return f"there is no consent to {purpose}"
    if agreement.crm_required and standing.lead.crm_id is None:
        return "the CRM does not know it"
    if agreement.pause is not None and holds(agreement.pause):
        return f"the agreement lets it wait: {agreement.pause.text}"
    if holds(program.exit) or holds(program.goal):
        return "what would end it there is true already"
    return "it was there before, or another comes first"


def _in_no_program(
    connection: Connection, standing: Standing, definitions: Definitions, setting: Setting
) -> Coming:
    """Which programs would take the lead, or what each of them asks for."""
    lead = standing.lead
    if STAGES.index(lead.stage) >= STAGES.index("handed_off"):
        return Coming(None, "No program", f"The lead is {lead.stage.replace('_', ' ')}: sales has the word.")
    asked = [program for program in definitions.programs if program.track == lead.track and program.enter]

    def holds(condition: Condition | None) -> bool:
        return condition is not None and bool(
            engine.leads_matching(connection, condition, [lead.id], setting.now)
        )

    takes = [program for program in asked if holds(program.enter)]
    if takes:
        agreement = definitions.agreement(lead.track)
        reasons = [
            f"{program.name} would take the lead, but {_why_not(program, agreement, standing, holds)}"
            for program in takes
        ]
        return Coming(None, "In no program", f"{'; '.join(reasons)}.")
    wanted = "; ".join(f"{program.name} asks for {program.enter}" for program in asked)
    return Coming(None, "In no program", f"No condition is true: {wanted}.")

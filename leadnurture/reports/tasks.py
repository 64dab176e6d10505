"""What our people are to do: open tasks, each with the question that is asked next."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, case, func, select

from leadnurture import engine
from leadnurture.definitions import load_ask
from leadnurture.domain.asking import Question, unanswered
from leadnurture.domain.vocabulary import LEFT
from leadnurture.profile import Evidence, evidence
from leadnurture.store.tables import metadata

TASK: Final = metadata.tables["task"]
ANSWER: Final = metadata.tables["answer"]
LEAD: Final = metadata.tables["lead"]
CONSENT: Final = metadata.tables["consent"]
SUPPRESSION: Final = metadata.tables["suppression"]
SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One open task."""

    id: int
    evidence: Evidence
    text: str
    title: str
    """Of the program that waits for it; empty where a fact is missing."""
    person: str | None
    """Whose it is, a person's id."""
    owner: str
    """That person's name."""
    is_own: bool
    opened_at: datetime
    question: Question | None
    """What is asked next; None: whether it is done."""


@dataclass(frozen=True, slots=True)
class TaskList:
    """The open tasks of a track."""

    rows: tuple[TaskRow, ...]
    total: int
    """Of all, also of those that are not shown."""


def open_tasks(
    connection: Connection, now: datetime, *, track: str | None = None, me: str = "", limit: int = SHOWN
) -> TaskList:
    """What waits for an answer, of `me` first. Eleven statements and one a fit rule, whatever the tasks."""
    definitions = engine.current_definitions(connection)
    rows = connection.execute(_open(track, me, limit)).all()
    total = connection.scalar(_waiting(select(func.count()), track)) or 0
    leads = {row.lead_id for row in rows}
    known = evidence(connection, leads, now)
    said = _pairs(
        connection,
        select(ANSWER.c.task_id, ANSWER.c.name).where(ANSWER.c.task_id.in_([row.id for row in rows])),
    )
    living = CONSENT.c.lead_id.in_(leads), CONSENT.c.withdrawn_at.is_(None)
    consents = _pairs(connection, select(CONSENT.c.lead_id, CONSENT.c.purpose).where(*living))
    titles = {program.name: program.title for program in definitions.programs}
    names = {person.id: person.name for person in definitions.company.people}
    return TaskList(
        tuple(
            TaskRow(
                id=row.id,
                evidence=known[row.lead_id],
                text=row.text,
                title=titles.get(row.program, row.program or ""),
                person=row.person,
                owner=names.get(row.person, row.person or ""),
                is_own=bool(me) and row.person == me,
                opened_at=row.opened_at,
                question=_next(row, said[row.id], known[row.lead_id], consents[row.lead_id]),
            )
            for row in rows
        ),
        total,
    )


def _open(track: str | None, me: str, limit: int) -> Select[Any]:
    own = case((TASK.c.person == me, 0), else_=1)
    question = select(TASK, SUPPRESSION.c.reason.label("suppressed"))
    return _waiting(question, track).order_by(own, TASK.c.opened_at, TASK.c.id).limit(limit)


def _waiting(question: Select[Any], track: str | None) -> Select[Any]:
    found = (
        question.select_from(TASK)
        .join(LEAD, LEAD.c.id == TASK.c.lead_id)
        .outerjoin(SUPPRESSION, SUPPRESSION.c.email_key == LEAD.c.email_key)
        .where(TASK.c.status == "open", engine.waits_for_task())
    )
    return found if track is None else found.where(engine.merely(LEAD.c.track) == track)


def _pairs(connection: Connection, question: Select[Any]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for key, name in connection.execute(question):
        found[key].append(name)
    return found


def _next(
    row: Row[Any], said: Collection[str], known: Evidence, consents: Collection[str]
) -> Question | None:
    if row.ask is None:
        return None
    facts = {name for name, _ in known.facts}
    facts |= {name for name in ("role", "country") if getattr(known, name)}
    facts |= {"account.name"} if known.account else set()
    has_left = row.suppressed in LEFT
    left = unanswered(load_ask(row.ask), said=said, facts=facts, consents=consents, has_left=has_left)
    return left[0] if left else None


def render_tasks(tasks: TaskList) -> str:
    """The tasks for a terminal."""
    if not tasks.rows:
        return "No task waits for an answer.\n"
    return "\n".join(_told(row) for row in tasks.rows)


def _told(row: TaskRow) -> str:
    lead = row.evidence
    since = f"since {row.opened_at:%Y-%m-%d %H:%M} UTC, {row.owner or 'nobody yet'}"
    return f"{row.id}  {lead.name} <{lead.email}>, {since}\n    {row.text}\n    {_answers(row.question)}\n"


def _answers(question: Question | None) -> str:
    if question is None:
        return "done or refused"
    answers: Sequence[str] = question.choices or (f"a {question.kind}",)
    return f"{question.name}: {', '.join(answers)}"

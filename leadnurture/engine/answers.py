"""Takes the answers to what is asked: by a lead on the page of a mail, by one of our people about a task.

One idea to hold: an answer is a row, and the newest row of a question holds. Everything that follows (the fact,
the interest, the consent with its proof, the reaction that steers) is written with it, under the lead's lock.
A lead may answer anew; a task is answered once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select

from leadnurture.definitions import load_ask
from leadnurture.domain.asking import DONE, REFUSED, Ask, Question, answer_of, plain, unanswered
from leadnurture.domain.condition import Value
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import LEFT, ReactionKind, Track
from leadnurture.engine.current import current_definitions
from leadnurture.engine.known import NO_ANSWER, known_facts, lock_accounts, set_known
from leadnurture.engine.preferences import want_topic
from leadnurture.engine.reactions import NewReaction, record_in
from leadnurture.engine.sql import run, some, sql, wake_leads
from leadnurture.errors import InvalidInputError, NotFoundError, TooOldError
from leadnurture.store import Database, LostRaceError
from leadnurture.store import note as audit
from leadnurture.store.tables import (
    Account,
    AlmostQualified,
    Answer,
    Consent,
    Enrollment,
    Lead,
    Message,
    Suppression,
    Task,
)

answers: Final = Answer.__table__
tasks: Final = Task.__table__
messages: Final = Message.__table__
leads: Final = Lead.__table__
accounts: Final = Account.__table__
suppressions: Final = Suppression.__table__

LIVES: Final = timedelta(days=180)
"""How long after its mail a page still asks."""
CHANGED: Final = "What is asked has changed meanwhile. Open the page again."
SAID: Final = "said"
"""What stands in an interest for the content that showed it: his own words."""
Became = Literal["taken", "known", "unsubscribed"]


@dataclass(frozen=True, slots=True)
class Given:
    """One answer: to which question, in which words, and whose."""

    name: str
    """Of the question; empty for a task that asks nothing."""
    answer: str
    by: str | None = None
    """The person of ours who says it; None: the lead himself."""
    actor: str | None = None
    """The person as the audit keeps him, where that says more."""
    wording: str = ""
    """What the page said beside the button, as the proof of a consent."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """What a mail or a task asks, and what of it is not known yet."""

    lead_id: int
    email: str
    name: str
    track: Track
    account: str
    ask: Ask | None
    left: tuple[Question, ...]
    """In their order; the first is asked now."""
    said: Mapping[str, str]
    """What was answered here so far, by question."""
    has_left: bool
    """Whether he has unsubscribed: then no consent is asked for."""
    message_id: int | None = None
    content: str | None = None
    task: Row[Any] | None = None

    @property
    def changeable(self) -> tuple[Question, ...]:
        """Whose answers of once can be given anew: not a consent, which is withdrawn by other means."""
        questions = self.ask.questions if self.ask else ()
        return tuple(each for each in questions if each.name in self.said and each.about != "consent")


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an answer: taken, known (somebody said it before), or unsubscribed (no consent is taken)."""

    became: Became
    asking: Asking


def asked_by_mail(connection: Connection, message_id: int, now: datetime) -> Asking | None:
    """What the page of a mail asks; None for a mail that there is not. Five statements at most.

    Raises TooOldError for one that was sent too long ago.
    """
    row = connection.execute(
        _who(messages, *(messages.c[name] for name in ("id", "content", "sent_at", "attempt_at"))).where(
            messages.c.id == message_id
        )
    ).first()
    if row is None:
        return None
    sent_at = row.sent_at or row.attempt_at
    if sent_at is not None and now - sent_at > LIVES:
        raise TooOldError
    definitions = current_definitions(connection)
    content = definitions.find_content(row.content)
    said = _said(connection, answers.c.message_id == message_id)
    asking = _asking(connection, row, content.ask if content else None, said)
    return replace(asking, message_id=message_id, content=row.content)


def asked_by_task(connection: Connection, task_id: int) -> Asking | None:
    """What a task asks; None for a task that there is not. Five statements at most."""
    row = connection.execute(_who(tasks, *tasks.c).where(tasks.c.id == task_id)).first()
    if row is None:
        return None
    said = _said(connection, answers.c.task_id == task_id)
    ask = load_ask(row.ask) if row.ask and row.status == "open" else None
    return replace(_asking(connection, row, ask, said), task=row)


def _who(table: Any, *columns: Any) -> Any:  # noqa: ANN401 - a table about leads, and its columns
    return (
        select(leads.c.id.label("who"), leads.c.email, leads.c.first_name, leads.c.last_name, leads.c.track)
        .add_columns(accounts.c.name.label("account"), suppressions.c.reason.label("suppressed"), *columns)
        .join_from(table, leads, leads.c.id == table.c.lead_id)
        .outerjoin(accounts, accounts.c.id == leads.c.account_id)
        .outerjoin(suppressions, suppressions.c.email_key == leads.c.email_key)
    )


def _asking(connection: Connection, row: Row[Any], ask: Ask | None, said: Mapping[str, str]) -> Asking:
    has_left = row.suppressed in LEFT
    left: tuple[Question, ...] = ()
    if ask is not None:
        consents = _consents(connection, row.who, ask)
        said = {name: each for name, each in said.items() if not _is_withdrawn(ask, name, consents)}
        left = _left(connection, row.who, ask, said, consents, has_left=has_left)
    name = f"{row.first_name} {row.last_name}".strip() or row.email
    return Asking(row.who, row.email, name, row.track, row.account or "", ask, left, said, has_left)


def _said(connection: Connection, about: Any) -> Mapping[str, str]:  # noqa: ANN401 - a condition
    """The answer that holds, by question."""
    rows = connection.execute(select(answers.c.name, answers.c.answer).where(about).order_by(answers.c.id))
    return {row.name: row.answer for row in rows}


def _is_withdrawn(ask: Ask, name: str, consents: Collection[str]) -> bool:
    """Whether it was a yes that holds no more: it is asked for again, as whatever is not known."""
    question = ask.question(name)
    return question is not None and question.about == "consent" and question.purpose not in consents


def _left(
    connection: Connection,
    lead_id: int,
    ask: Ask,
    said: Mapping[str, str],
    consents: Collection[str],
    *,
    has_left: bool,
) -> tuple[Question, ...]:
    asks_facts = any(question.about == "fact" for question in ask.questions)
    facts = known_facts(connection, lead_id) if asks_facts else ()
    return unanswered(ask, said=said, facts=facts, consents=consents, has_left=has_left)


def _consents(connection: Connection, lead_id: int, ask: Ask) -> Collection[str]:
    """The purposes to which he has agreed, where any is asked for."""
    if all(question.about != "consent" for question in ask.questions):
        return ()
    consent = Consent.__table__
    living = consent.c.lead_id == lead_id, consent.c.withdrawn_at.is_(None)
    return connection.scalars(select(consent.c.purpose).where(*living)).all()


def waits_for_task() -> ColumnElement[bool]:
    """Whether somebody waits for a task, beside rows of it: the program is still at work, the facts still missing."""
    enrollment, almost = Enrollment.__table__, AlmostQualified.__table__
    lives = enrollment.c.id == tasks.c.enrollment_id, enrollment.c.status.in_(["active", "paused"])
    missing = some(almost.c.lead_id == tasks.c.lead_id, of=[almost])
    return or_(some(*lives, of=[enrollment]), and_(tasks.c.enrollment_id.is_(None), missing))


def answer(
    database: Database,
    given: Given,
    now: datetime,
    *,
    message_id: int | None = None,
    task_id: int | None = None,
) -> Answered:
    """Takes an answer to what a mail or a task asks. Safe to repeat: the same answer again changes nothing.

    Raises NotFoundError for a mail or task that there is not, or a mail that is too old, InvalidInputError for an
    answer that is none.
    """
    return database.run(partial(_answer, given=given, now=now, message_id=message_id, task_id=task_id))


def _answer(
    connection: Connection, given: Given, now: datetime, message_id: int | None, task_id: int | None
) -> Answered:
    def ask() -> Asking:
        found = (
            asked_by_mail(connection, message_id, now)
            if message_id
            else asked_by_task(connection, task_id or 0)
        )
        if found is None:
            msg = "There is no such mail or task; open the page again."
            raise NotFoundError(msg)
        return found

    given = replace(given, answer=plain(given.answer))
    lead_id = ask().lead_id
    lock_accounts(connection, [lead_id])
    asking = ask()  # as it is now that nobody else can answer
    if asking.lead_id != lead_id:  # he became one with another while we waited, or two again
        raise LostRaceError
    task = asking.task
    if task is not None and task.status == "open" and (given.name, given.answer) == ("", REFUSED):
        _close(connection, task, REFUSED, given, now)
        return Answered("taken", ask())
    if task is not None and (task.status != "open" or given.name in asking.said):
        return Answered("known", asking)
    question, value = _meant(asking, given)
    if question is not None and question.about == "consent" and asking.has_left:
        return Answered("unsubscribed", asking)
    if asking.said.get(given.name) == given.answer:
        return Answered("known", asking)
    reaction = _write(connection, asking, given, now)
    if question is not None and value is not None:
        _learn(connection, asking, question, value, given, reaction, now)
    if task is not None and not ask().left:
        _close(connection, task, DONE, given, now)
    wake_leads(connection, [asking.lead_id], now)
    return Answered("taken", ask())


def _meant(asking: Asking, given: Given) -> tuple[Question | None, Value | None]:
    if asking.task is not None and not asking.left and (given.name, given.answer) == ("", DONE):
        return None, None
    question = asking.ask.question(given.name) if asking.ask else None
    if question is None:
        raise InvalidInputError(CHANGED)
    value = answer_of(question, given.answer)
    if value is None:
        raise InvalidInputError(NO_ANSWER)
    return question, value


def _write(connection: Connection, asking: Asking, given: Given, now: datetime) -> int | None:
    """The row of the answer, and the reaction that steers by it; the id of the latter."""
    task = asking.task
    row = insert(answers).values(
        lead_id=asking.lead_id, message_id=asking.message_id, task_id=task.id if task else None, name=given.name,
        answer=given.answer, told_by=given.by, at=now,
    )  # fmt: skip
    (answer_id,) = connection.execute(row).inserted_primary_key or (0,)
    if given.by is not None:
        told = f"{given.name or 'task'}: {given.answer}"
        audit(connection, given.actor or given.by, "answered", f"lead {asking.lead_id}", now, detail=told)
    if task is not None and task.enrollment_id is None:
        return None  # no program waits for it: what was found out is no act of his
    kind: ReactionKind = "submitted" if given.by is None else "feedback"
    key = f"answer-{answer_id}"
    source = "web" if given.by is None else "person"
    reaction = NewReaction(
        kind, key, source, lead_id=asking.lead_id, message_id=asking.message_id, argument=given.answer
    )
    record_in(connection, [reaction], now)
    return connection.execute(
        sql("SELECT id FROM reaction WHERE key = :key"), {"key": f"{source}:{key}"}
    ).scalar()


def _learn(
    connection: Connection,
    asking: Asking,
    question: Question,
    value: Value,
    given: Given,
    reaction: int | None,
    now: datetime,
) -> None:
    """What follows from an answer beside the reaction."""
    if question.about == "fact":
        set_known(connection, asking.lead_id, question.name, value, now)
    elif question.about == "language":
        run(connection, "UPDATE lead SET language = :said WHERE id = :id", said=str(value), id=asking.lead_id)
    elif question.about == "interest":
        _show_interest(connection, current_definitions(connection), asking, str(value), reaction, now)
        want_topic(connection, asking.lead_id, str(value))
    elif question.about == "consent":
        _consent(connection, asking, question.purpose, given, now)


def _show_interest(
    connection: Connection,
    definitions: Definitions,
    asking: Asking,
    topic: str,
    reaction: int | None,
    now: datetime,
) -> None:
    """An interest of his own words lives as long as one that he shows."""
    live = definitions.agreement(asking.track).live
    run(
        connection,
        """
        INSERT INTO interest (lead_id, topic, subject, reaction_id, begins_at, ends_at)
        VALUES (:lead, :topic, :subject, :reaction, :now, CAST(:now AS BIGINT) + CAST(:lives AS BIGINT))
            ON CONFLICT (lead_id, topic, subject) DO UPDATE SET ends_at = excluded.ends_at
         WHERE interest.ends_at < excluded.ends_at OR excluded.ends_at IS NULL""",
        lead=asking.lead_id, topic=topic, subject=SAID, reaction=reaction, now=now,
        lives=None if live is None else live.microseconds,
    )  # fmt: skip


def _consent(connection: Connection, asking: Asking, purpose: str, given: Given, now: datetime) -> None:
    """With its proof: who said yes to which words, where and when. A withdrawn one is given anew."""
    source = f"page of mail {asking.message_id}" if given.by is None else f"told by {given.by}"
    run(
        connection,
        """
        INSERT INTO consent (lead_id, purpose, given_at, source, wording)
        VALUES (:lead, :purpose, :now, :source, :wording)
            ON CONFLICT (lead_id, purpose) DO UPDATE
               SET given_at = excluded.given_at, source = excluded.source, wording = excluded.wording, withdrawn_at = NULL
             WHERE consent.withdrawn_at IS NOT NULL""",
        lead=asking.lead_id, purpose=purpose, source=source, wording=given.wording, now=now,
    )  # fmt: skip


def _close(
    connection: Connection, task: Row[Any], status: Literal["done", "refused"], given: Given, now: datetime
) -> None:
    """The task is done, or cannot be: then the step that waits for it takes `otherwise`."""
    by = given.by or "the lead"
    run(
        connection,
        """
        UPDATE task SET status = :status, closed_at = :now, closed_by = :by, note = coalesce(:note, note)
         WHERE id = :id AND status = 'open'""",
        status=status, now=now, by=by, note=given.note, id=task.id,
    )  # fmt: skip
    if status == DONE:
        return
    audit(connection, given.actor or by, "refused a task", f"lead {task.lead_id}", now, detail=given.note)
    run(
        connection,
        """
        UPDATE enrollment SET trouble = 'refused', due_at = :now
         WHERE id = :id AND step = :step AND visit = :visit AND status IN ('active', 'paused') AND acted AND trouble IS NULL""",
        id=task.enrollment_id, step=task.step, visit=task.visit, now=now,
    )  # fmt: skip
    wake_leads(connection, [task.lead_id], now)

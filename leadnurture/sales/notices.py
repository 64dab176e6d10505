"""The mails to our own people: rendered from `templates/notice`, sent at least once, each on its own.

One idea to hold: before a notice is tried, its next try is written down. So a crash, a broken template or
an address that refuses costs that notice a delay, never the others, and two workers do not send the same
one at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, Select, exists, func, literal, or_, select, update

from leadnurture import engine
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company, Person
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import Track
from leadnurture.profile import Evidence, evidence
from leadnurture.profile.telling import agreement_told, at_told, day_told, moment_told, span_told
from leadnurture.sales import people
from leadnurture.sales.decided import HANDOFF, IS_OPEN, IS_PLANNED, NOTICE, REPLY, TASK
from leadnurture.sales.templates import notice_template
from leadnurture.store import Database
from leadnurture.store.instants import AT_ONCE

CHUNK: Final = 50
FIRST_RETRY: Final = timedelta(minutes=1)
LAST_RETRY: Final = timedelta(hours=1)
DOUBLINGS: Final = 6
SHOWN_READINGS: Final = 3
SHOWN_LETTERS: Final = 600


@dataclass(frozen=True, slots=True)
class NoticeMail:
    """A mail to one of our people."""

    to: str
    """The bare address."""
    name: str
    subject: str
    html: str
    text: str
    key: str
    """The same at every try, so that a mail program shows a repeated one once."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the notices that were tried."""

    sent: int = 0
    cancelled: int = 0
    """What they ask for was decided before they left."""
    failures: tuple[tuple[int, str], ...] = ()
    """(notice, why); they are tried again."""


@dataclass(frozen=True, slots=True)
class NoticeLinks:
    """Where the buttons lead: pages that decide a handoff, answer a task, sort replies, and the profile."""

    handoff: Callable[[int], str]
    task: Callable[[int], str]
    lead: Callable[[int], str]
    replies: str


def next_notice(connection: Connection) -> datetime | None:
    """The machine's instant from which a planned notice may be tried; long past when at once."""
    first = func.min(func.coalesce(NOTICE.c.retry_at, literal(AT_ONCE, BigInteger)))
    return connection.scalar(select(first).where(IS_PLANNED, NOTICE.c.person.is_not(None)))


def send_notices(
    database: Database,
    folder: Path,
    send: Callable[[NoticeMail], str | None],
    links: NoticeLinks,
    now: datetime,
    *,
    machine_now: datetime,
) -> Sent:
    """Sends what is planned, oldest first, at most fifty; call again while anything was sent.

    `send` says why a mail was not accepted, or None. A notice whose handoff is decided, whose task is done
    or wanted no more, or whose reply is sorted, is cancelled.
    Rendering and sending happen outside of transactions.
    """
    with database.read() as connection:
        first = next_notice(connection)
    if first is None or first > machine_now:
        return Sent()
    claimed, cancelled = database.run(partial(_claim, machine_now=machine_now))
    if not claimed:
        return Sent(cancelled=cancelled)
    with database.read() as connection:
        known = evidence(connection, {row.lead_id for row in claimed}, now)
        definitions = engine.current_definitions(connection)
    failures: list[tuple[int, str]] = []
    for row in claimed:
        values = partial(_values, row, known[row.lead_id], definitions, links, now)
        trouble = _try(row, folder, send, values, definitions, known[row.lead_id].track)
        database.run(partial(_mark, notice_id=row.id, trouble=trouble, now=now))
        if trouble:
            failures.append((row.id, trouble))
    return Sent(len(claimed) - len(failures), cancelled, tuple(failures))


def _claim(connection: Connection, machine_now: datetime) -> tuple[Sequence[Row[Any]], int]:
    """The notices that are ours to try until their next try, and how many are not wanted any more."""
    is_decided = exists().where(HANDOFF.c.id == NOTICE.c.handoff_id, ~IS_OPEN)
    is_done = exists().where(
        TASK.c.id == NOTICE.c.task_id, or_(TASK.c.status != "open", ~engine.waits_for_task())
    )
    is_sorted = exists().where(REPLY.c.id == NOTICE.c.reply_id, REPLY.c.sorted_at.is_not(None))
    unwanted = update(NOTICE).where(
        IS_PLANNED, or_((NOTICE.c.kind != "withdrawn") & is_decided, is_done, is_sorted)
    )
    cancelled = connection.execute(unwanted.values(status="cancelled")).rowcount
    is_ours = IS_PLANNED & NOTICE.c.person.is_not(None)
    free = (is_ours, or_(NOTICE.c.retry_at.is_(None), NOTICE.c.retry_at <= machine_now))
    oldest = select(NOTICE.c.id).where(*free).order_by(NOTICE.c.planned_at, NOTICE.c.id).limit(CHUNK)
    tries = connection.execute(select(NOTICE.c.id, NOTICE.c.attempts).where(NOTICE.c.id.in_(oldest))).all()
    ours: list[int] = []
    for attempts in sorted({row.attempts for row in tries}):
        chosen = [row.id for row in tries if row.attempts == attempts]
        taken = update(NOTICE).where(NOTICE.c.id.in_(chosen), *free).returning(NOTICE.c.id)
        retry_at = machine_now + min(FIRST_RETRY * 2 ** min(attempts, DOUBLINGS), LAST_RETRY)
        ours += connection.scalars(taken.values(attempts=attempts + 1, retry_at=retry_at))
    return connection.execute(_claimed(ours)).all(), cancelled


def _claimed(ids: Sequence[int]) -> Select[Any]:
    columns = [column.label(f"handoff_{column.name}") for column in HANDOFF.c if column.name != "lead_id"]
    joined = (
        NOTICE.outerjoin(HANDOFF, HANDOFF.c.id == NOTICE.c.handoff_id)
        .outerjoin(TASK, TASK.c.id == NOTICE.c.task_id)
        .outerjoin(REPLY, REPLY.c.id == NOTICE.c.reply_id)
    )
    about = [
        NOTICE.c[name] for name in ("id", "kind", "person", "lead_id", "task_id", "reply_id", "planned_at")
    ]
    told = func.coalesce(NOTICE.c.text, TASK.c.text).label("told")
    wrote = REPLY.c.subject, REPLY.c.text.label("wrote")
    question = select(*about, told, TASK.c.program, *wrote, *columns).select_from(joined)
    return question.where(NOTICE.c.id.in_(ids)).order_by(NOTICE.c.planned_at, NOTICE.c.id)


def _try(
    row: Row[Any],
    folder: Path,
    send: Callable[[NoticeMail], str | None],
    values: Callable[[Person], Mapping[str, object]],
    definitions: Definitions,
    track: Track,
) -> str | None:
    """None when the mail was accepted, else why not."""
    try:
        return send(_mail(row, folder, values, definitions, track))
    except Exception as error:  # noqa: BLE001 - one notice never holds up the others; its trouble is kept and shown
        return f"{type(error).__name__}: {error}"


def _mark(connection: Connection, notice_id: int, trouble: str | None, now: datetime) -> None:
    values: dict[str, object] = (
        {"trouble": trouble} if trouble else {"status": "sent", "sent_at": now, "trouble": None}
    )
    connection.execute(update(NOTICE).where(NOTICE.c.id == notice_id).values(values))


def _mail(
    row: Row[Any],
    folder: Path,
    values: Callable[[Person], Mapping[str, object]],
    definitions: Definitions,
    track: Track,
) -> NoticeMail:
    company = definitions.company
    person = people.by_id(company, row.person)
    if person is None:  # gone from the company's file since
        person = people.last_resort(company, definitions.agreement(track), row.planned_at)
    rendered = notice_template(folder, row.kind).render(values(person))
    return NoticeMail(
        to=person.email,
        name=person.name,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        key=f"notice-{row.id}",
    )


def _values(
    row: Row[Any],
    known: Evidence,
    definitions: Definitions,
    links: NoticeLinks,
    now: datetime,
    person: Person,
) -> dict[str, object]:
    """What a notice may speak of: plain words and numbers, times on the clock of whoever reads it."""
    company = definitions.company
    zone = person.zone or company.zone
    is_of_handoff = row.handoff_id is not None
    about: dict[str, object] = {"said": row.told or "", "program": _title(definitions, row.program)}
    if is_of_handoff:
        agreement = definitions.agreement(row.handoff_track)
        about = {
            "handoff": _handoff(row, agreement, company, zone, now),
            "decision_link": links.handoff(row.handoff_id),
        }
    elif row.task_id is not None:
        about["answer_link"] = links.task(row.task_id)
    elif row.reply_id is not None:
        about |= {"reply": _reply(row), "sort_link": links.replies}
    return {
        "company": {"name": company.name},
        "person": {"name": person.name, "first_name": person.name.split()[0]},
        "lead": _lead(row, known),
        "reasons": [
            {"points": f"+{each.points}", "text": each.text, "when": day_told(each.at, zone, now)}
            for each in known.strongest
        ],
        "more": max(
            sum(each.points for each in known.reasons) - sum(each.points for each in known.strongest), 0
        ),
        "fit": [{"points": f"{each.points:+}", "saw": each.saw} for each in known.fit_reasons],
        "read": [
            {"title": each.title, "kind": each.kind, "when": day_told(each.at, zone, now)}
            for each in _new(known)
        ],
        "colleagues": [
            {"name": each.name, "role": each.role, "did": each.did, "when": day_told(each.at, zone, now)}
            for each in known.colleagues
            if each.did and each.at
        ],
        **about,
        "lead_link": links.lead(row.lead_id),
    }


def _reply(row: Row[Any]) -> dict[str, str]:
    """The beginning of what he wrote; the whole stands on the page of replies."""
    wrote = row.wrote.strip()
    return {
        "subject": row.subject.strip() or "no subject",
        "text": wrote if len(wrote) <= SHOWN_LETTERS else wrote[:SHOWN_LETTERS].rsplit(None, 1)[0] + " …",
    }


def _title(definitions: Definitions, program: str | None) -> str:
    return next((each.title for each in definitions.programs if each.name == program), "")


def _new(known: Evidence) -> Sequence[Any]:
    """What was read and is not among the reasons already."""
    shown = {reason.content for reason in known.strongest}
    return [each for each in known.readings if each.content not in shown][:SHOWN_READINGS]


def _lead(row: Row[Any], known: Evidence) -> dict[str, object]:
    """The scores of a handoff are those with which it was made: they are why."""
    is_of_handoff = row.handoff_id is not None
    return {
        "name": known.name, "email": known.email, "who": known.who, "account": known.account,
        "language": known.language, "score": row.handoff_score if is_of_handoff else known.score,
        "fit": row.handoff_fit if is_of_handoff else known.fit,
        "engagement": row.handoff_engagement if is_of_handoff else known.engagement,
    }  # fmt: skip


def _handoff(
    row: Row[Any], agreement: Agreement, company: Company, zone: str, now: datetime
) -> dict[str, object]:
    owed = agreement.stage("handed_off")
    due: datetime | None = row.handoff_due_at
    return {
        "reason": row.handoff_reason[:1].upper() + row.handoff_reason[1:],
        "agreement": agreement_told(row.handoff_agreement),
        "assigned_to": _name(company, row.handoff_assigned_to),
        "within": str(owed.within) if owed.within else "",
        "due": moment_told(due, zone, now) if due else "",
        "left": span_told(due - now) if due and due > now else "",
        "over": span_told(now - due) if due and due <= now else "",
        "due_at": at_told(due, zone, now) if due else "",
        "remind_at": at_told(row.handoff_remind_at, zone, now) if row.handoff_remind_at else "",
        "escalate": _escalates_to(agreement, company),
    }


def _escalates_to(agreement: Agreement, company: Company) -> str:
    name = agreement.stage("handed_off").escalate
    return _name(company, name) if name else ""


def _name(company: Company, person_id: str) -> str:
    person = people.by_id(company, person_id)
    return person.name if person else person_id

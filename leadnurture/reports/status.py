"""The numbers of the whole: what there is, where it stands, what is due."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, TextClause, func, select, text

from leadnurture.domain.vocabulary import GONE_STATUSES, STAGES
from leadnurture.profile.telling import counted
from leadnurture.reports.programs import ProgramRow, programs
from leadnurture.store.tables import metadata

INBOX: Final = metadata.tables["inbox"]
ITEM: Final = metadata.tables["inbox_item"]
LEAD: Final = metadata.tables["lead"]
MESSAGE: Final = metadata.tables["message"]
REACTION: Final = metadata.tables["reaction"]
WIDTH: Final = 18
LINE: Final = 100
COUNTED: Final = (
    "tracks", "stages", "enrollments_by_status", "messages", "reactions", "clicks", "handoffs", "notices",
    "inbox", "inbox_items",
)  # fmt: skip
TIED: Final = "\xa0"


@dataclass(frozen=True, slots=True)
class Status:
    """Everything counted once, as of an instant."""

    now: datetime
    leads: int
    enrollments: int
    """Ever; those that go on are in `enrollments_by_status`."""
    due: int
    """Enrollments that the next waves will judge."""
    looks_due: int
    """Leads that changed and were not looked at since."""
    tracks: Mapping[str, int]
    stages: Mapping[str, int]
    enrollments_by_status: Mapping[str, int]
    messages: Mapping[str, int]
    reactions: Mapping[str, int]
    reacting: Mapping[str, int]
    """How many leads have reacted how, however often."""
    clicks: Mapping[str, int]
    """By judgement; those that are not judged yet are undecided."""
    handoffs: Mapping[str, int]
    notices: Mapping[str, int]
    inbox: Mapping[str, int]
    """Posts that were not read to the end, and such that nobody can read."""
    inbox_items: Mapping[str, int]
    """Items of which nothing was recorded, by the reason."""
    unsorted_replies: int
    """What leads wrote back; no mail goes to them until it is sorted."""
    almost_qualified: int
    suppressed: int
    programs: tuple[ProgramRow, ...]


def status(connection: Connection, now: datetime) -> Status:
    """The numbers. Fifteen statements, whatever there is."""
    rows = programs(connection, now)
    stages = _by(connection, LEAD.c.stage)
    enrollments = _by(connection, metadata.tables["enrollment"].c.status)
    reactions = _reactions(connection)
    changed = select(func.count()).select_from(LEAD).where(LEAD.c.look_at <= now)
    return Status(
        now=now,
        leads=sum(stages.values()),
        enrollments=sum(enrollments.values()),
        due=sum(row.due for row in rows),
        looks_due=connection.scalar(changed) or 0,
        tracks=_by(connection, LEAD.c.track),
        stages={stage: stages[stage] for stage in STAGES if stage in stages},
        enrollments_by_status=enrollments,
        messages=_by(connection, MESSAGE.c.status),
        reactions={row.kind: row.times for row in reactions},
        reacting={row.kind: row.leads for row in sorted(reactions, key=lambda row: -row.leads)},
        clicks=_by(connection, metadata.tables["click"].c.judgement),
        handoffs=_by(connection, metadata.tables["handoff"].c.status),
        notices=_by(connection, metadata.tables["notice"].c.status),
        inbox=_by(connection, INBOX.c.status, text("status <> 'done'")),
        inbox_items=_by(connection, ITEM.c.outcome, text("outcome <> 'recorded'")),
        unsorted_replies=_count(connection, metadata.tables["reply"], text("sorted_at IS NULL")),
        almost_qualified=_count(connection, metadata.tables["almost_qualified"]),
        suppressed=_count(connection, metadata.tables["suppression"]),
        programs=rows,
    )


def duplicates(connection: Connection) -> int:
    """How many mails gave a lead what it had before; nought, unless the engine is wrong.

    Counted by what the reader sees, the content and the session that it was about, whichever step or program
    sent it: so a step that was sent twice is among them.
    """
    gone = MESSAGE.c.status.in_([each for each in GONE_STATUSES if each != "sending"])
    session = func.coalesce(MESSAGE.c.session, "")
    occasion = func.coalesce(MESSAGE.c.seat_id, 0), func.coalesce(MESSAGE.c.occasion, "")
    about = MESSAGE.c.lead_id, MESSAGE.c.track, MESSAGE.c.content, session, *occasion
    beyond = (
        select((func.count() - 1).label("beyond"))
        .where(gone)
        .group_by(*about)
        .having(func.count() > 1)
        .subquery()
    )
    return int(connection.scalar(select(func.coalesce(func.sum(beyond.c.beyond), 0))) or 0)


def render_status(status: Status) -> str:
    """The numbers for a terminal."""
    sums = counted(status.leads, "lead"), counted(status.enrollments, "enrollment"), f"{status.due:,} due now"
    lines = [", ".join(sums), ""]
    for name in COUNTED:
        counts: Mapping[str, int] = getattr(status, name)
        told = [f"{word.replace('_', ' ')} {count:,}" for word, count in counts.items()]
        lines += _row(name.removesuffix("_by_status").replace("_", " "), told or ["none"])
    lines += _row("almost qualified", [f"{status.almost_qualified:,}"])
    lines += _row("suppressed", [f"{status.suppressed:,}"])
    lines += _row("replies to sort", [f"{status.unsorted_replies:,}"])
    if not status.programs:
        return "\n".join([*lines, "", "There is no program yet; `leadnurture apply` brings them in."]) + "\n"
    lines += ["", f"{'program':<28}{'in it':>8}{'due':>8}{'enrolled':>10}{'goal':>8}  next due (UTC)"]
    lines += [_program_line(row, status.now) for row in status.programs]
    return "\n".join(lines) + "\n"


def _row(name: str, told: Sequence[str]) -> list[str]:
    """A name and its counts, on as many lines as they need; a count stays with its word."""
    text = ", ".join(each.replace(" ", TIED) for each in told)
    lines = textwrap.wrap(
        text, LINE, initial_indent=f"{name:{WIDTH}}", subsequent_indent=" " * WIDTH, break_on_hyphens=False
    )
    return [line.replace(TIED, " ") for line in lines]


def _program_line(row: ProgramRow, now: datetime) -> str:
    next_due = (
        "-" if row.next_due is None else "now" if row.next_due <= now else f"{row.next_due:%Y-%m-%d %H:%M}"
    )
    numbers = f"{row.active + row.paused:>8,}{row.due:>8,}{row.enrolled:>10,}{row.reached:>8,}"
    return f"{row.name:<28}{numbers}  {next_due}"


def _by(connection: Connection, column: Column[str], *where: TextClause) -> dict[str, int]:
    question = (
        select(column, func.count()).where(*where).group_by(column).order_by(func.count().desc(), column)
    )
    return {row[0]: row[1] for row in connection.execute(question)}


def _reactions(connection: Connection) -> Sequence[Row[Any]]:
    """Every kind with its times and its leads, most frequent first, without clicks that count for nothing."""
    of, times = REACTION.c, func.count().label("times")
    question = select(of.kind, times, func.count(of.lead_id.distinct()).label("leads"))
    counting = question.where(of.counts_at.is_not(None)).group_by(of.kind)
    return connection.execute(counting.order_by(times.desc(), of.kind)).all()


def _count(connection: Connection, table: Table, *where: TextClause) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

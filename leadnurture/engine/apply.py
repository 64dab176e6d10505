"""Stores checked definitions and moves everyone in flight to them, in one transaction.

What the engine needs at run time lies in tables afterwards: versions of programs, content with its sessions and templates, the
calendar. A program that did not change keeps its version; one that did takes its enrollments along by the names of the steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, update

from leadnurture.definitions import dump_definitions, dump_program
from leadnurture.domain.content import CompiledTemplate, Content
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Step
from leadnurture.domain.timing import Wait
from leadnurture.domain.vocabulary import END, SEAT_MAILS
from leadnurture.engine.calendar import fill_calendar, later_by
from leadnurture.engine.conditions import NOW
from leadnurture.engine.current import parsed_program
from leadnurture.engine.seats import announce
from leadnurture.engine.sql import run, sql, wake_leads_of
from leadnurture.errors import ProjectProblemsError
from leadnurture.store import Database
from leadnurture.store.instants import day_number, to_micros
from leadnurture.store.tables import Enrollment, Lead, Message


@dataclass(frozen=True, slots=True)
class Applied:
    """What an `apply` changed."""

    version: int
    programs: tuple[str, ...] = ()
    """The programs that have a new version."""
    moved: int = 0
    """Enrollments that were taken along."""
    sessions: tuple[str, ...] = ()
    """Sessions that are new, moved or cancelled, as `content/session`."""


def apply_definitions(
    database: Database, definitions: Definitions, templates: Sequence[CompiledTemplate], now: datetime
) -> Applied:
    """Stores them. Safe to repeat: the same files change nothing.

    Raises ProjectProblemsError when a removed step holds leads.
    """

    def write(connection: Connection) -> Applied:
        body = dump_definitions(definitions)
        newest = connection.execute(
            sql("SELECT id, body FROM project_version ORDER BY id DESC LIMIT 1")
        ).first()
        is_new = newest is None or newest.body != body
        if is_new:
            run(
                connection,
                "INSERT INTO project_version (body, applied_at) VALUES (:body, :now)",
                body=body,
                now=now,
            )
        version = connection.execute(sql("SELECT max(id) FROM project_version")).scalar_one()
        _store_templates(connection, templates)
        sessions = _store_contents(connection, definitions, templates, now)
        if is_new:
            announce(connection, definitions, [_split(name) for name in sessions], now)
        fill_calendar(connection, definitions.company, now, anew=is_new)
        changed, moved = _store_programs(connection, definitions, now)
        if is_new:
            _judge_anew(connection, now)
        return Applied(version, tuple(changed), moved, tuple(sessions))

    return database.run(write)


def _split(name: str) -> tuple[str, str]:
    content, _, session = name.partition("/")
    return content, session


def _judge_anew(connection: Connection, now: datetime) -> None:
    """Rules, hours and sessions may all have changed: every lead is looked at, every step judged."""
    run(connection, "UPDATE lead SET look_at = :now WHERE look_at IS NULL OR look_at > :now", now=now)
    run(connection, "UPDATE enrollment SET due_at = 0 WHERE status IN ('active', 'paused') AND acted")


def _store_templates(connection: Connection, templates: Sequence[CompiledTemplate]) -> None:
    rows = {one.hash: one for one in templates}.values()
    for one in rows:
        run(
            connection,
            """INSERT INTO source (hash, path, subject, html, text) VALUES (:hash, :path, :subject, :html, :text) ON CONFLICT DO NOTHING""",
            hash=one.hash, path=one.path, subject=one.subject, html=one.html, text=one.text,
        )  # fmt: skip


def _store_contents(
    connection: Connection, definitions: Definitions, templates: Sequence[CompiledTemplate], now: datetime
) -> list[str]:
    zone = ZoneInfo(definitions.company.zone)
    run(connection, "UPDATE content SET is_live = FALSE")
    changed: list[str] = []
    for content in definitions.contents:
        _store_content(connection, content, zone, now)
        changed += _store_sessions(connection, content, zone)
    for mail in SEAT_MAILS:  # so that their templates lie with the others; never live, so nothing offers them
        run(
            connection,
            """
            INSERT INTO content (name, kind, title, published_day, is_live) VALUES (:name, 'email', :title, 0, FALSE)
                ON CONFLICT (name) DO NOTHING""",
            name=mail, title=mail.replace("-", " ").capitalize(),
        )  # fmt: skip
    run(connection, "DELETE FROM content_track")
    for one in templates:
        run(
            connection,
            "INSERT INTO content_track (content, track, locale, hash) VALUES (:content, :track, :locale, :hash)",
            content=one.content,
            track=one.track,
            locale=one.locale,
            hash=one.hash,
        )
    for name in changed:
        content_name, session = _split(name)
        waiting = """
            SELECT lead_id FROM enrollment
             WHERE status IN ('active', 'paused') AND session_content = :content AND session = :session"""
        wake_leads_of(connection, waiting, now, content=content_name, session=session)
    return changed


def _store_content(connection: Connection, content: Content, zone: ZoneInfo, now: datetime) -> None:
    until = None if content.until is None else datetime.combine(content.until, time(), zone).astimezone(UTC)
    run(
        connection,
        """
        INSERT INTO content (name, kind, title, link, seats, published_day, until_at, is_live)
        VALUES (:name, :kind, :title, :link, :seats, :published, :until, TRUE)
            ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, title = excluded.title, link = excluded.link, seats = excluded.seats,
               published_day = CASE WHEN :is_dated THEN excluded.published_day ELSE content.published_day END,
               until_at = excluded.until_at, is_live = TRUE""",
        name=content.name, kind=content.kind, title=content.default_title, link=content.link, seats=content.seats,
        published=day_number(content.published or now.astimezone(zone).date()), until=_micros(until), is_dated=content.published is not None,
    )  # fmt: skip
    run(connection, "DELETE FROM content_topic WHERE content = :name", name=content.name)
    for topic in content.topics:
        run(
            connection,
            "INSERT INTO content_topic (content, topic) VALUES (:name, :topic)",
            name=content.name,
            topic=topic,
        )


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _store_sessions(connection: Connection, content: Content, zone: ZoneInfo) -> list[str]:
    """Sessions that changed: each change counts in its sequence. One that left the file is cancelled."""
    rows = connection.execute(
        sql("SELECT name, starts_at FROM content_session WHERE content = :content"), {"content": content.name}
    )
    known = {row.name: row.starts_at for row in rows}
    told = {
        one.name: None if one.starts is None else _micros(one.starts.replace(tzinfo=zone).astimezone(UTC))
        for one in content.sessions
    }
    told.update({name: None for name in known if name not in told})
    changed = [name for name, starts in told.items() if name not in known or known[name] != starts]
    for name in changed:
        run(
            connection,
            """
            INSERT INTO content_session (content, name, starts_at, sequence) VALUES (:content, :name, :starts, 0)
                ON CONFLICT (content, name) DO UPDATE SET starts_at = excluded.starts_at, sequence = content_session.sequence + 1,
                   before_at = coalesce(content_session.starts_at, content_session.before_at)""",
            content=content.name, name=name, starts=told[name],
        )  # fmt: skip
    return [f"{content.name}/{name}" for name in changed if name in known]


def _store_programs(connection: Connection, definitions: Definitions, now: datetime) -> tuple[list[str], int]:
    run(connection, "UPDATE program SET is_live = FALSE")
    sources = dict(definitions.sources)
    changed: list[str] = []
    moved = 0
    for program in definitions.programs:
        run(
            connection,
            """
            INSERT INTO program (name, track, title, priority, is_live, wave) VALUES (:name, :track, :title, :priority, TRUE, 0)
                ON CONFLICT (name) DO UPDATE SET track = excluded.track, title = excluded.title, priority = excluded.priority, is_live = TRUE""",
            name=program.name, track=program.track, title=program.title, priority=program.priority,
        )  # fmt: skip
        body = dump_program(program)
        current = connection.execute(
            sql("SELECT id, body, number FROM program_version WHERE program = :program AND is_current"),
            {"program": program.name},
        ).first()
        if current is not None and current.body == body:
            continue
        changed.append(program.name)
        version = _new_version(
            connection,
            program,
            sources.get(program.file, ""),
            body,
            1 if current is None else current.number + 1,
            now,
        )
        if current is not None:
            moved += _take_along(connection, program, parsed_program(current.body), version, now)
    _drop_empty_versions(connection)
    return changed, moved


def _new_version(
    connection: Connection, program: Program, source: str, body: str, number: int, now: datetime
) -> int:
    run(
        connection,
        "UPDATE program_version SET is_current = FALSE WHERE program = :program",
        program=program.name,
    )
    run(
        connection,
        """
        INSERT INTO program_version (program, number, source, body, is_current, applied_at)
        VALUES (:program, :number, :source, :body, TRUE, :now)""",
        program=program.name, number=number, source=source, body=body, now=now,
    )  # fmt: skip
    version = connection.execute(
        sql("SELECT id FROM program_version WHERE program = :program AND is_current"),
        {"program": program.name},
    ).scalar_one()
    for position, step in enumerate(program.steps):
        run(
            connection,
            "INSERT INTO program_step (version_id, name, program, position) VALUES (:version, :name, :program, :position)",
            version=version, name=step.name, program=program.name, position=position,
        )  # fmt: skip
    return int(version)


def _take_along(
    connection: Connection, program: Program, before: Program, version: int, now: datetime
) -> int:
    """Moves enrollments by the names of their steps; `moved:` says where those of a removed step go.

    Nobody repeats a step.
    """
    renamed = dict(program.moved)
    names = {step.name for step in program.steps}
    held = connection.execute(
        sql("""
            SELECT step, count(*) AS leads FROM enrollment
             WHERE program = :program AND status IN ('active', 'paused') AND version_id <> :version GROUP BY step"""),
        {"program": program.name, "version": version},
    ).all()
    lost = [row for row in held if row.step not in names and renamed.get(row.step) not in {*names, END}]
    if lost:
        stands = ", ".join(f"{row.step} ({row.leads} leads)" for row in lost)
        msg = f"{program.file}: steps were removed that still hold leads: {stands}; say where they go: moved: {{{lost[0].step}: another-step}}."
        raise ProjectProblemsError(msg)
    former = {step.name: step for step in before.steps}
    for old, new in renamed.items():
        if new == END:
            _end_at(connection, program, old, now)
        elif old in former and new not in former and _does_the_same(former[old], program.step(new)):
            _rename(connection, program, old, new, now)
            former[new] = former[old]
        else:
            _send_to(connection, program, old, new, now)
    moved = run(
        connection,
        "UPDATE enrollment SET version_id = :version WHERE program = :program AND status IN ('active', 'paused') AND version_id <> :version",
        program=program.name,
        version=version,
    )
    for step in program.steps:
        if step.name in former and former[step.name].after != step.after:
            _wait_anew(connection, program, step.name, step.after, now)
    return moved


def _does_the_same(old: Step, new: Step) -> bool:
    """Whether a step only bears another name: who waits there goes on waiting."""
    return (old.send, old.handoff, old.split) == (new.send, new.handoff, new.split)


def _rename(connection: Connection, program: Program, old: str, new: str, now: datetime) -> None:
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
        SELECT id, lead_id, :now, step, :new, visit, status, 'renamed by a new version' FROM enrollment WHERE {_HELD}""",
        program=program.name, old=old, new=new, now=now,
    )  # fmt: skip
    run(
        connection,
        f"UPDATE message SET step = :new WHERE step = :old AND enrollment_id IN (SELECT id FROM enrollment WHERE {_HELD})",
        program=program.name, old=old, new=new,
    )  # fmt: skip
    run(
        connection,
        f"UPDATE enrollment SET step = :new WHERE {_HELD}",
        program=program.name, old=old, new=new,
    )  # fmt: skip


def _send_to(connection: Connection, program: Program, old: str, new: str, now: datetime) -> None:
    """Who stands at a removed step comes to another one, for one visit more if he has been there."""
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
        SELECT id, lead_id, :now, step, CAST(:new AS VARCHAR),
               1 + coalesce((SELECT max(t.visit) FROM transition t WHERE t.enrollment_id = enrollment.id AND t.to_step = :new), 0),
               status, 'moved by a new version' FROM enrollment WHERE {_HELD}""",
        program=program.name, old=old, new=new, now=now,
    )  # fmt: skip
    _cancel_queued(connection, program, old, now)
    run(
        connection,
        f"""
        UPDATE enrollment SET step = CAST(:new AS VARCHAR), acted = FALSE, deadline_at = NULL, due_at = :now, trouble = NULL,
               visit = (SELECT max(t.visit) FROM transition t WHERE t.enrollment_id = enrollment.id AND t.to_step = :new)
         WHERE {_HELD}""",
        program=program.name, old=old, new=new, now=now,
    )  # fmt: skip


def _end_at(connection: Connection, program: Program, old: str, now: datetime) -> None:
    run(
        connection,
        f"""
        INSERT INTO transition (enrollment_id, lead_id, at, from_step, to_step, visit, status, rule)
        SELECT id, lead_id, :now, step, NULL, visit, 'completed', 'ended by a new version' FROM enrollment WHERE {_HELD}""",
        program=program.name, old=old, now=now,
    )  # fmt: skip
    _cancel_queued(connection, program, old, now)
    run(
        connection,
        f"""
        UPDATE enrollment SET status = 'completed', ended_at = :now, due_at = NULL, deadline_at = NULL, pause = NULL, paused_at = NULL
         WHERE {_HELD}""",
        program=program.name, old=old, now=now,
    )  # fmt: skip


def _cancel_queued(connection: Connection, program: Program, old: str, now: datetime) -> None:
    run(
        connection,
        """
        UPDATE message SET status = 'cancelled', settled_at = :now, trouble = 'the step was removed'
         WHERE status = 'planned' AND program = :program AND step = :old""",
        program=program.name, old=old, now=now,
    )  # fmt: skip


_HELD: Final = "program = :program AND step = :old AND status IN ('active', 'paused')"


def _wait_anew(connection: Connection, program: Program, step: str, after: Any, now: datetime) -> None:  # noqa: ANN401 - an After or None
    """A changed wait counts from where the old one counted; one that is over by now is due now."""
    e, m, lead = Enrollment.__table__, Message.__table__, Lead.__table__
    standing = (e.c.program == program.name, e.c.step == step, e.c.status.in_(["active", "paused"]))
    if isinstance(after, Wait):
        since = func.coalesce(m.c.planned_at, e.c.arrived_at)
        queued = update(m).where(
            m.c.program == program.name, m.c.step == step, m.c.status == "planned", lead.c.id == m.c.lead_id
        )
        connection.execute(
            queued.values(wait_until=later_by(lead.c.zone, m.c.planned_at, after.duration)), {"now": now}
        )
        waiting = update(e).where(
            *standing, e.c.acted, e.c.deadline_at.is_not(None), lead.c.id == e.c.lead_id
        )
        ours = waiting.where(m.c.id == e.c.message_id, m.c.step == e.c.step)
        connection.execute(
            ours.values(deadline_at=later_by(lead.c.zone, since, after.duration)), {"now": now}
        )
        silent = waiting.where(e.c.message_id.is_(None))
        connection.execute(
            silent.values(deadline_at=later_by(lead.c.zone, e.c.arrived_at, after.duration)), {"now": now}
        )
    connection.execute(
        update(e).where(*standing, e.c.acted, e.c.deadline_at.is_not(None)).values(due_at=NOW), {"now": now}
    )


def _drop_empty_versions(connection: Connection) -> None:
    """Steps of old versions that hold nobody any more need not be probed."""
    run(
        connection,
        """
        DELETE FROM program_step WHERE version_id IN (
            SELECT v.id FROM program_version v WHERE NOT v.is_current
               AND NOT EXISTS (SELECT 1 FROM enrollment e WHERE e.version_id = v.id AND e.status IN ('active', 'paused')))""",
    )

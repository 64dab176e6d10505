"""Rows for tests: the sample company applied, and leads whose past is written by hand."""

import functools
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, insert, select, update

from leadnurture import engine
from leadnurture.definitions import check_project
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.words import words_of, words_of_address
from leadnurture.store import Database
from leadnurture.store.instants import day_number
from leadnurture.store.tables import metadata

ROOT = Path(__file__).parents[2]
# A Monday, nine o'clock in Berlin and Vienna.
NOW = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

_numbers = itertools.count(1)


@functools.cache
def sample_company() -> Definitions:
    """The company of `config/`."""
    definitions = check_project(ROOT, today=NOW.date()).definitions
    assert definitions is not None
    return definitions


def apply(database: Database, definitions: Definitions | None = None) -> Definitions:
    """Stores definitions, the sample company's unless others are given."""
    definitions = definitions or sample_company()
    engine.apply_definitions(database, definitions, (), NOW - 30 * DAY)
    return definitions


def add(connection: Connection, table: str, **values: object) -> int:
    """A row; the result is its id where it has one."""
    target = metadata.tables[table]
    inserted = connection.execute(insert(target).values(values))
    key = inserted.inserted_primary_key
    return int(key[0]) if key is not None and "id" in target.c else 0


def add_account(connection: Connection, name: str = "Fjellheim Kraft", **values: object) -> int:
    """An account."""
    defaults = {"name": name, "name_key": name.casefold(), "created_at": NOW - 90 * DAY}
    account_id = add(connection, "account", **{**defaults, **values})
    for word in words_of(name):
        add(connection, "account_word", account_id=account_id, word=word)
    return account_id


def add_lead(connection: Connection, name: str = "Ingrid Solheim", **values: object) -> int:
    """A prospect in Berlin, never looked at."""
    first, last = name.split()
    email = str(values.pop("email", f"{first}.{last}@example.com".lower()))
    defaults = {
        "email": email, "email_key": email.casefold(), "first_name": first, "last_name": last,
        "track": "prospects", "stage": "new", "stage_since": NOW - 30 * DAY, "country": "NO",
        "language": "en", "role": "head", "source": "report", "zone": "Europe/Berlin", "zone_given": "",
        "luck": 1, "fit": 0, "engagement": 0, "score": 0, "created_at": NOW - 30 * DAY,
    }  # fmt: skip
    lead_id = add(connection, "lead", **{**defaults, **values})
    for word in words_of(name) | words_of_address(email):
        add(connection, "lead_word", lead_id=lead_id, word=word)
    return lead_id


def add_reaction(connection: Connection, lead_id: int, kind: str, at: datetime, **values: object) -> int:
    """Something that the lead did."""
    key = f"test-{next(_numbers)}"
    defaults = {"at": at, "recorded_at": at, "counts_at": at, "source": "web", "key": key, "natural_key": key}
    return add(connection, "reaction", lead_id=lead_id, kind=kind, **{**defaults, **values})


def add_point(
    connection: Connection, lead_id: int, points: int, reaction_id: int | None = None, **values: object
) -> int:
    """Engagement points, living for 90 days from a day before now."""
    defaults = {
        "track": "prospects", "rule": "attended", "subject": str(next(_numbers)), "agreement": "2026-12-01",
        "begins_at": NOW - DAY, "ends_at": NOW + 89 * DAY,
    }  # fmt: skip
    return add(
        connection, "point", lead_id=lead_id, points=points, reaction_id=reaction_id, **{**defaults, **values}
    )


def add_handoff(connection: Connection, lead_id: int, **values: object) -> int:
    """An open handoff that nobody has yet."""
    defaults = {
        "track": "prospects", "status": "open", "opened_at": NOW,
        "reason": "crossed the threshold: fit >= 40 and engagement >= 30",
        "agreement": "2026-12-01", "fit": 55, "engagement": 73, "score": 128, "stage_before": "qualified",
    }  # fmt: skip
    return add(connection, "handoff", lead_id=lead_id, **{**defaults, **values})


def add_ingrid(connection: Connection) -> int:
    """A lead who is worth a call, with an account, a past, points and two colleagues."""
    account_id = add_account(connection)
    add(connection, "account_fact", account_id=account_id, name="employees", number=1400)
    add(connection, "account_fact", account_id=account_id, name="industry", text="energy")
    lead_id = add_lead(
        connection,
        account_id=account_id,
        stage="handed_off",
        fit=65,
        engagement=70,
        score=135,
        zone="Europe/Oslo",
    )
    past = [
        ("feedback", "migration-checklist", "interested", 40, 'feedback("interested")', 1),
        ("attended", "scaling-1", None, 20, "attended", 1),
        ("downloaded", "downtime-costs", None, 10, "downloaded", 18),
    ]
    for kind, content, argument, points, rule, days in past:
        at = NOW - days * DAY
        reaction_id = add_reaction(connection, lead_id, kind, at, content=content, argument=argument)
        add_point(
            connection,
            lead_id,
            points,
            reaction_id,
            rule=rule,
            subject=content,
            begins_at=at,
            ends_at=at + 90 * DAY,
        )
    add_reaction(connection, lead_id, "clicked", NOW - 20 * DAY, content="slow-before-down")
    chief = add_lead(connection, "Sverre Haugland", account_id=account_id, role="chief", score=70)
    add_reaction(connection, chief, "visited", NOW - 4 * DAY, argument="/pricing")
    engineer = add_lead(connection, "Maja Brekke", account_id=account_id, role="engineer", score=33)
    add_reaction(connection, engineer, "clicked", NOW - 5 * DAY, content="scaling-1")
    return lead_id


def add_enrollment(connection: Connection, lead_id: int, program: str, step: str, **values: object) -> int:
    """Active at a step of the current version, since two days, due tomorrow."""
    versions = metadata.tables["program_version"]
    version_id = connection.scalar(
        select(versions.c.id).where(versions.c.program == program, versions.c.is_current)
    )
    defaults = {
        "version_id": version_id, "status": "active", "visit": 1, "arrived_at": NOW - 2 * DAY,
        "acted": True, "seen_reaction_id": 0, "due_at": NOW + DAY, "deadline_at": NOW + DAY, "wave": 0,
        "started_at": NOW - 9 * DAY,
    }  # fmt: skip
    return add(
        connection, "enrollment", lead_id=lead_id, program=program, step=step, **{**defaults, **values}
    )


def add_move(
    connection: Connection, enrollment_id: int, lead_id: int, way: str, rule: str, **values: object
) -> int:
    """A transition two days ago, written as `invite > seat`, ` > invite` or `letter > `."""
    from_step, _, to_step = (part.strip() or None for part in way.partition(">"))
    defaults = {
        "at": NOW - 2 * DAY,
        "visit": 1,
        "status": "active",
        "from_step": from_step,
        "to_step": to_step,
    }
    row = {"enrollment_id": enrollment_id, "lead_id": lead_id, "rule": rule, **defaults, **values}
    _count(connection, row)
    return add(connection, "transition", **row)


def _count(connection: Connection, row: Mapping[str, Any]) -> None:
    """The engine counts a move of a wave in the same transaction; a pause is none."""
    if row["from_step"] == row["to_step"]:
        return
    enrollment = metadata.tables["enrollment"]
    program = connection.scalar(select(enrollment.c.program).where(enrollment.c.id == row["enrollment_id"]))
    key = {
        "program": program,
        "day": day_number(row["at"].date()),
        "from_step": row["from_step"] or "",
        "to_step": row["to_step"] or "",
        "rule": row["rule"],
    }
    moves = metadata.tables["move_count"]
    same = [moves.c[name] == value for name, value in key.items()]
    if not connection.execute(update(moves).where(*same).values(moves=moves.c.moves + 1)).rowcount:
        connection.execute(insert(moves).values(**key, moves=1))


def add_message(connection: Connection, enrollment_id: int, lead_id: int, step: str, **values: object) -> int:
    """A mail of the scaling series, sent two days ago."""
    at = NOW - 2 * DAY
    defaults = {
        "program": "scaling-series", "visit": 1, "track": "prospects", "content": "scaling-1", "priority": 0,
        "needs_consent": True, "status": "sent", "planned_at": at, "send_at": at, "attempt_at": at,
        "sent_at": at,
        "late": "skip", "attempt": 1,
    }  # fmt: skip
    row = {"enrollment_id": enrollment_id, "lead_id": lead_id, "step": step, **defaults, **values}
    return add(connection, "message", **row)


def count_statements(database: Database, work: Callable[[], object]) -> int:
    """How many statements a piece of work executes."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
        statements.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", note)
    work()
    event.remove(database.engine, "before_cursor_execute", note)
    return len([each for each in statements if not each.startswith(("BEGIN", "SET TRANSACTION"))])

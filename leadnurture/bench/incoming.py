"""How fast what comes in is kept and read, beside the raw bulk insertion of the same events.

The floor of events is what somebody would write who only wants them in a table: a statement and a commit a post,
no signature, no item twice, nothing that follows from them. The floor of recording is the bulk insertion of the
same reactions into the same table, with its indexes: nobody found by a mail, nothing that follows.
"""

import functools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, text

from leadnurture.bench.course import CLICKED_AFTER, STARTS
from leadnurture.bench.waiting import post_of, public_of
from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import NewReaction, record_reactions
from leadnurture.inbox import work_off
from leadnurture.mail import read_sendgrid_events, receive_sendgrid_events
from leadnurture.store import Database
from leadnurture.store.instants import to_micros

POST: Final = 1_000
LATER: Final = STARTS + CLICKED_AFTER
# What SendGrid tells of a mail that is read: proof of the sending and of the arrival, opens and a click.
KINDS: Final = ("processed", "delivered", "open", "open", "click")
AGENT: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
)


def keep_leg(database: Database, leads: int) -> float:
    """Seconds until every post is verified, in the database and answered."""
    posts = _prepared(database, leads)
    began = time.perf_counter()
    _keep(database, posts)
    seconds = time.perf_counter() - began
    _prove(database, "inbox", len(posts))
    return seconds


def read_leg(database: Database, leads: int) -> float:
    """Seconds until all of it is kept and read: items, reactions, clicks to be judged, statuses of the mails."""
    posts = _prepared(database, leads)
    began = time.perf_counter()
    _keep(database, posts)
    readers = {"sendgrid": read_sendgrid_events}
    while not work_off(database, readers, LATER, lambda: datetime.now(UTC)).is_done:
        pass
    seconds = time.perf_counter() - began
    _prove(database, "inbox_item WHERE outcome = 'recorded'", leads)
    _prove(database, "reaction", leads * 3 // 5)
    _prove(database, "click", leads // 5)
    return seconds


def floor_leg(database: Database, leads: int) -> float:
    """Seconds of the raw bulk insertion: one statement and one commit a post."""
    posts = _prepared(database, leads)
    bare = (
        "CREATE TABLE bare (key VARCHAR PRIMARY KEY, kind VARCHAR, message_id BIGINT, at BIGINT, body TEXT)"
    )
    database.run(lambda connection: connection.exec_driver_sql(bare))
    statement = text(_SQLITE if database.is_sqlite else _POSTGRESQL)
    began = time.perf_counter()
    for body, _ in posts:
        database.run(lambda connection, body=body: connection.execute(statement, {"body": body.decode()}))  # type: ignore[misc] # a default binds the loop's value
    seconds = time.perf_counter() - began
    _prove(database, "bare", leads)
    return seconds


def record_leg(database: Database, reactions: int) -> float:
    """Seconds until reactions are recorded, with everything that follows from them."""
    told = _reactions(database, reactions)
    began = time.perf_counter()
    for start in range(0, reactions, POST):
        record_reactions(database, told[start : start + POST], LATER)
    seconds = time.perf_counter() - began
    _prove(database, "reaction", reactions)
    return seconds


def record_floor_leg(database: Database, reactions: int) -> float:
    """Seconds of the bulk insertion of the same rows by the driver's `executemany`."""
    rows = [_row(one) for one in _reactions(database, reactions)]
    places = ", ".join(["?" if database.is_sqlite else "%s"] * len(rows[0]))
    began = time.perf_counter()
    for start in range(0, reactions, POST):
        part = rows[start : start + POST]
        database.run(functools.partial(_insert, statement=f"{_BARE_REACTION} ({places})", rows=part))
    seconds = time.perf_counter() - began
    _prove(database, "reaction", reactions)
    return seconds


def _insert(connection: Connection, statement: str, rows: list[tuple[object, ...]]) -> None:
    connection.exec_driver_sql(statement, rows)


def _row(told: NewReaction) -> tuple[object, ...]:
    """What recording writes of it; a lead has got one mail, whose number is his."""
    lead, now = told.message_id, to_micros(LATER)
    natural = f"{told.kind}|{lead}|{told.message_id}|guide||{told.argument or ''}|{now // 1_000_000}"
    return (
        lead,
        told.kind,
        "guide",
        told.message_id,
        told.argument,
        now,
        now,
        now,
        told.source,
        f"{told.source}:{told.key}",
        natural,
    )


def _reactions(database: Database, reactions: int) -> list[NewReaction]:
    """What readers of one mail each did: it arrived, they opened it, they came to the website."""
    database.run(_send)
    return [
        NewReaction(
            READERS[number % len(READERS)],
            str(number),
            "bench",
            LATER,
            message_id=number // len(READERS) + 1,
            argument="/pricing" if READERS[number % len(READERS)] == "visited" else None,
        )
        for number in range(reactions)
    ]


READERS: Final[tuple[ReactionKind, ...]] = ("delivered", "opened", "visited")
_BARE_REACTION: Final = "INSERT INTO reaction (lead_id, kind, content, message_id, argument, at, recorded_at, counts_at, source, key, natural_key) VALUES"
_SQLITE: Final = """
    INSERT INTO bare SELECT value ->> 'sg_event_id', value ->> 'event', value ->> 'leadnurture_message', value ->> 'timestamp', value
      FROM json_each(:body)"""
_POSTGRESQL: Final = """
    INSERT INTO bare SELECT value ->> 'sg_event_id', value ->> 'event', CAST(value ->> 'leadnurture_message' AS BIGINT),
                            CAST(value ->> 'timestamp' AS BIGINT), CAST(value AS TEXT)
      FROM jsonb_array_elements(CAST(:body AS jsonb)) AS events(value)"""

KEY: Final = ec.generate_private_key(ec.SECP256R1())


def _keep(database: Database, posts: list[tuple[bytes, dict[str, str]]]) -> None:
    public = public_of(KEY)
    for body, headers in posts:
        receive_sendgrid_events(database, body, headers, public, LATER, machine_now=datetime.now(UTC))


def _prepared(database: Database, events: int) -> list[tuple[bytes, dict[str, str]]]:
    """Signed posts about mails that are on their way; every lead of the database has got one."""
    database.run(_send)
    with database.read() as connection:
        ids = connection.exec_driver_sql("SELECT id FROM message ORDER BY id").scalars().all()
    told = list(_told(list(ids), events))
    return [post_of(KEY, told[start : start + POST]) for start in range(0, events, POST)]


def _told(ids: list[int], events: int) -> Iterator[dict[str, Any]]:
    at = int(STARTS.timestamp())
    for number in range(events):
        message, kind = ids[number // len(KINDS)], KINDS[number % len(KINDS)]
        yield {
            "email": f"lead{message}@example.com", "timestamp": at + number % len(KINDS), "event": kind,
            "sg_event_id": f"{number:022d}", "sg_message_id": f"{message}.recvd-5d4f.filter", "ip": "127.0.0.1",
            "leadnurture_message": str(message), "smtp-id": f"<{message}@example.com>",
        } | ({"url": "https://www.example.com/guide", "useragent": AGENT} if kind in {"open", "click"} else {})  # fmt: skip


def _send(connection: Connection) -> None:
    """One mail each, sent just now."""
    now, until = to_micros(STARTS), to_micros(STARTS + timedelta(days=3))
    for statement in (
        f"""INSERT INTO enrollment (lead_id, program, version_id, status, step, visit, arrived_at, seen_reaction_id, acted, deadline_at, due_at,
                                    wave, started_at)
            SELECT id, 'drip-3', (SELECT max(id) FROM program_version), 'active', 'first', 1, {now}, 0, TRUE, {until}, {until}, 0, {now} FROM lead""",
        f"""INSERT INTO message (enrollment_id, lead_id, program, step, visit, track, content, session_content, priority, needs_consent, status,
                                 planned_at, send_at, late, wait_until, attempt, attempt_at, sent_at)
            SELECT id, lead_id, program, step, visit, 'prospects', 'guide', 'guide', 0, FALSE, 'sent', {now}, {now}, 'next window', {until}, 1,
                   {now}, {now} FROM enrollment""",
        "UPDATE enrollment SET content = 'guide', message_id = (SELECT m.id FROM message m WHERE m.enrollment_id = enrollment.id)",
    ):
        connection.exec_driver_sql(statement)


def _prove(database: Database, rows: str, expected: int) -> None:
    with database.read() as connection:
        found = connection.exec_driver_sql(f"SELECT count(*) FROM {rows}").scalar_one()
    assert found == expected, f"{found} instead of {expected} in {rows}"  # noqa: S101 - a benchmark's own proof

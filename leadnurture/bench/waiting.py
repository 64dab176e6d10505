"""Two questions that are no program: what finding due work costs beside a million who wait, and whether hooks
wait for waves.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from leadnurture.bench.course import CLICKED_AFTER, STARTS
from leadnurture.engine import next_due, next_look
from leadnurture.inbox import work_off
from leadnurture.mail import read_sendgrid_events, receive_sendgrid_events
from leadnurture.store import Database
from leadnurture.store.instants import to_micros

PROBES: Final = 20
POSTS: Final = 50
EVENTS: Final = 1_000


def probe_leg(database: Database, leads: int) -> float:
    """The slowest look for due work beside so many waiting enrollments, in seconds; the clock does it every
    second.
    """
    _fill_waiting(database, leads)
    slowest = 0.0
    for _ in range(PROBES):
        with database.read() as connection:
            began = time.perf_counter()
            next_due(connection, "drip-3")
            next_look(connection, "prospects")
            begun = time.perf_counter() - began
        slowest = max(slowest, begun)
    return slowest


def _fill_waiting(database: Database, leads: int) -> None:
    """Copies one waiting lead, since importing a million would measure the import."""
    soon = to_micros(STARTS + timedelta(days=1))

    def fill(connection: Connection) -> None:
        numbers = (
            f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {leads}) SELECT i FROM n"
            if database.is_sqlite
            else f"SELECT i FROM generate_series(2, {leads}) AS n(i)"
        )
        for statement in (
            f"""INSERT INTO lead (id, email, email_key, first_name, last_name, track, stage, stage_since, country, language, role, source, zone,
                                  zone_given, luck, fit, engagement, score, created_at)
                SELECT i, 'w' || i || '@example.com', 'w' || i || '@example.com', '', '', 'prospects', 'new', {soon}, '', '', '', '',
                       'Europe/Berlin', '', 1, 0, 0, 0, {soon} FROM ({numbers}) AS numbers""",
            f"""INSERT INTO enrollment (lead_id, program, version_id, status, step, visit, arrived_at, seen_reaction_id, acted, deadline_at,
                                        due_at, wave, started_at)
                SELECT id, 'drip-3', (SELECT max(id) FROM program_version), 'active', CASE id % 3 WHEN 0 THEN 'first' WHEN 1 THEN 'liked'
                       ELSE 'silent' END, 1, {soon}, 0, TRUE, {soon} + id, {soon} + id, 0, {soon} FROM lead WHERE id > 1""",
            "UPDATE lead SET look_at = NULL",
        ):
            connection.exec_driver_sql(statement.replace("%", "%%") if not database.is_sqlite else statement)

    database.run(fill)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def hook_leg(database: Database, *, beside_wave: bool) -> float:
    """The slowest of fifty posts of a thousand events, verified, kept, committed; and read, as the web does it.

    Beside it another process takes everybody through the program, as the worker does beside the web server.
    """
    url = database.url.render_as_string(hide_password=False)
    worker = subprocess.Popen(
        [sys.executable, "-m", "leadnurture.bench.legs", "course", url, "0"], stdout=subprocess.DEVNULL
    )
    if not beside_wave:
        worker.wait()
    ids = _first_messages(database)
    key = ec.generate_private_key(ec.SECP256R1())
    slowest = 0.0
    for post in range(POSTS):
        body, headers = _signed(key, post, ids)
        began = time.perf_counter()
        receive_sendgrid_events(
            database, body, headers, public_of(key), STARTS + CLICKED_AFTER, machine_now=datetime.now(UTC)
        )
        work_off(
            database,
            {"sendgrid": read_sendgrid_events},
            STARTS + CLICKED_AFTER,
            lambda: datetime.now(UTC),
        )
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.02)
    if beside_wave:
        assert worker.poll() is None, "the wave was over before the posts"  # noqa: S101 - a benchmark's own proof
        worker.terminate()
        worker.wait()
    return slowest


def _first_messages(database: Database) -> list[int]:
    """The ids of the first thousand mails, as soon as the wave has planned them."""
    while True:
        with database.read() as connection:
            ids = (
                connection.exec_driver_sql(f"SELECT id FROM message ORDER BY id LIMIT {EVENTS}")
                .scalars()
                .all()
            )
        if len(ids) == EVENTS:
            return list(ids)
        time.sleep(0.05)


def _signed(key: ec.EllipticCurvePrivateKey, post: int, ids: Sequence[int]) -> tuple[bytes, dict[str, str]]:
    """A post as SendGrid sends it: opens, since they are the most frequent events that nobody waits for."""
    at = int(STARTS.timestamp()) + post
    events = [
        {
            "event": "open", "email": f"lead{one}@example.com", "timestamp": at, "sg_event_id": f"{post}-{one}", "sg_message_id": f"m{one}.filter",
            "useragent": "Mozilla/5.0 (X11; Linux x86_64)" * 3, "ip": "127.0.0.1", "leadnurture_message": str(one),
        }
        for one in ids
    ]  # fmt: skip
    return post_of(key, events)


def post_of(
    key: ec.EllipticCurvePrivateKey, events: Sequence[dict[str, Any]]
) -> tuple[bytes, dict[str, str]]:
    """A signed post: its body and its headers."""
    body = json.dumps(events).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = base64.b64encode(key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    return body, {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }


def public_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The key as SendGrid shows it."""
    form = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(form).decode()

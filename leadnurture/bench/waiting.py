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
POSTS: Final = 300
FIRST_POSTS: Final = 50
"""Of these the slowest is told: of three hundred it would be a single hiccup of the machine."""
MAILS: Final = 1_000
EVENTS: Final = 2_600
"""Of one post: so many make 768 kB."""
READ_AT: Final = STARTS + CLICKED_AFTER


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


def hook_leg(database: Database, *, beside_wave: bool) -> dict[str, float]:
    """The time within which 99 of 100 posts are verified, kept, committed and so answered, and the slowest of the first.

    Beside it one process reads them, as a worker does, and another takes everybody through the program.
    """
    url = database.url.render_as_string(hide_password=False)
    course, reader = (
        subprocess.Popen(
            [sys.executable, "-m", "leadnurture.bench.legs", leg, url, "0"], stdout=subprocess.DEVNULL
        )
        for leg in ("course", "reader")
    )
    if not beside_wave:
        course.wait()
    template = _template(_first_messages(database))
    key = ec.generate_private_key(ec.SECP256R1())
    public = public_of(key)
    taken = []
    for post in range(POSTS):
        body, headers = signed(key, template.replace(b"@@@@", b"%04d" % post))
        began = time.perf_counter()
        receive_sendgrid_events(database, body, headers, public, READ_AT, machine_now=datetime.now(UTC))
        taken.append(time.perf_counter() - began)
    assert reader.poll() is None, "the reader has died"  # noqa: S101 - a benchmark's own proof
    assert not beside_wave or course.poll() is None, "the wave was over before the posts"  # noqa: S101 - as above
    for process in (course, reader):
        process.terminate()
        process.wait()
    return {"seconds": sorted(taken)[POSTS * 99 // 100 - 1], "slowest": max(taken[:FIRST_POSTS])}


def read_for_ever(database: Database) -> None:
    """Reads what comes in, until it is stopped."""
    while True:
        work_off(database, {"sendgrid": read_sendgrid_events}, READ_AT, lambda: datetime.now(UTC))
        time.sleep(0.05)


def _first_messages(database: Database) -> list[int]:
    """The ids of the first thousand mails, as soon as the wave has planned them."""
    while True:
        with database.read() as connection:
            ids = (
                connection.exec_driver_sql(f"SELECT id FROM message ORDER BY id LIMIT {MAILS}")
                .scalars()
                .all()
            )
        if len(ids) == MAILS:
            return list(ids)
        time.sleep(0.05)


def _template(ids: Sequence[int]) -> bytes:
    """A post as SendGrid sends it when there is much to tell, 768 kB: opens, which nobody waits for.

    Written once, since writing it takes longer than what is measured; `@@@@` stands for the number of the post.
    """
    events = [
        {
            "event": "open", "email": f"lead{number % MAILS}@example.com", "timestamp": f"17@@@@{number:04d}", "sg_event_id": f"@@@@-{number:016d}",
            "sg_message_id": f"m{number}.filter", "useragent": "Mozilla/5.0 (X11; Linux x86_64)" * 3, "ip": "127.0.0.1",
            "leadnurture_message": str(ids[number % MAILS]),
        }
        for number in range(EVENTS)
    ]  # fmt: skip
    return json.dumps(events).encode()


def post_of(
    key: ec.EllipticCurvePrivateKey, events: Sequence[dict[str, Any]]
) -> tuple[bytes, dict[str, str]]:
    """A signed post: its body and its headers."""
    return signed(key, json.dumps(events).encode())


def signed(key: ec.EllipticCurvePrivateKey, body: bytes) -> tuple[bytes, dict[str, str]]:
    """A body with the headers that SendGrid would send."""
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

"""One measured leg in a process of its own: `python -m leadnurture.bench.legs LEG URL LEADS` prints its figures as JSON.

A process a leg, since peak memory belongs to a process and never goes down.
"""

import functools
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, event

from leadnurture.bench.course import CLICKED_AFTER, SETTLED_AFTER, SILENT_AFTER, STARTS, prepare
from leadnurture.bench.floor import run_floor
from leadnurture.bench.incoming import (
    KINDS,
    READERS,
    floor_leg,
    keep_leg,
    read_leg,
    record_floor_leg,
    record_leg,
)
from leadnurture.bench.waiting import hook_leg, probe_leg, read_for_ever
from leadnurture.engine import (
    NewReaction,
    Settled,
    begin_wave,
    finish_wave,
    judge,
    look,
    record_reactions,
    run_step,
    settle_messages,
)
from leadnurture.links import Links
from leadnurture.mail import Accepted, Answer, Mail, deliver
from leadnurture.store import Database, open_database

PROGRAM: Final = "drip-3"
BATCH: Final = 5_000
PARALLEL: Final = 256
"""Mails that the whole path claims at once: the most that the setting allows."""


class AcceptsAtOnce:
    """A provider that accepts everything at once: what remains is our own work."""

    threads: int | None = 1  # nothing is waited for

    def send(self, mail: Mail) -> Answer:
        """Accepts."""
        return Accepted(str(mail.message_id))


def engine_leg(database: Database) -> None:
    """The program through the engine; the provider's answers are told in groups, nothing is rendered."""
    _course(database, lambda now: _mark_sent(database, now))


def whole_leg(database: Database) -> None:
    """The same with every claim, HTML and text rendered for each mail, and a provider that accepts at once."""
    links, provider = Links("bench", "http://127.0.0.1:8080"), AcceptsAtOnce()

    def send(now: datetime) -> None:
        while deliver(database, provider, links, now, machine_now=datetime.now(UTC), parallel=PARALLEL).sent:
            pass

    _course(database, send)


def _course(database: Database, send: Callable[[datetime], None]) -> None:
    _look(database, STARTS)
    _wave(database, STARTS)
    send(STARTS)
    _click(database, STARTS + CLICKED_AFTER)
    for moment in (STARTS + SETTLED_AFTER, STARTS + SILENT_AFTER):
        judge(database, moment)
        _look(database, moment)
        _wave(database, moment)
        send(moment)
        _wave(database, moment)


def _look(database: Database, now: datetime) -> None:
    while look(database, "prospects", now).leads:
        pass


def _wave(database: Database, now: datetime) -> None:
    machine_now = datetime.now(UTC)
    while wave := begin_wave(database, PROGRAM, "bench", now, machine_now):
        done = [run_step(database, PROGRAM, step, wave.number, now) for step, _ in wave.steps]
        finish_wave(database, wave, done, "bench", 0.0)


def _mark_sent(database: Database, now: datetime) -> None:
    last = 0
    while True:
        with database.read() as connection:
            ids = (
                connection.exec_driver_sql(
                    f"SELECT id FROM message WHERE status = 'planned' AND id > {last} ORDER BY id LIMIT {BATCH}"
                )
                .scalars()
                .all()
            )
        if not ids:
            return
        last = ids[-1]
        outcomes = [Settled(message_id, "sent") for message_id in ids]
        database.run(functools.partial(settle_messages, outcomes=outcomes, now=now))


def _click(database: Database, now: datetime) -> None:
    """Three of ten click, told in batches as a provider's hook tells them."""
    last = 0
    while True:
        with database.read() as connection:
            ids = (
                connection.exec_driver_sql(
                    f"SELECT id FROM message WHERE step = 'first' AND lead_id % 10 < 3 AND id > {last} ORDER BY id LIMIT {BATCH}".replace(
                        "%", "%%" if connection.dialect.name == "postgresql" else "%"
                    )
                )
                .scalars()
                .all()
            )
        if not ids:
            return
        last = ids[-1]
        record_reactions(
            database, [NewReaction("clicked", str(one), "bench", message_id=one) for one in ids], now
        )


def measure(leg: Callable[[Database], None], database: Database) -> dict[str, Any]:
    """Seconds, statements and peak memory of a leg, and whether it left what it should."""
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(database.engine, "before_cursor_execute", count)
    began = time.perf_counter()
    leg(database)
    seconds = time.perf_counter() - began
    event.remove(database.engine, "before_cursor_execute", count)
    with database.read() as connection:
        _prove(connection)
    return {
        "seconds": seconds,
        "statements": statements,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _prove(connection: Connection) -> None:
    """Everybody is through, got two mails, and three of ten have points: a leg that did less is no
    measurement.
    """
    leads, mails, done, moves, points = (
        connection.exec_driver_sql(f"SELECT count(*) FROM {rows}").scalar_one()
        for rows in (
            "lead", "message WHERE status IN ('sent', 'delivered')", "enrollment WHERE status = 'completed'", "transition", "point WHERE points = 20",
        )
    )  # fmt: skip
    expected = {"mails": 2 * leads, "done": leads, "moves": 3 * leads}
    found = {"mails": mails, "done": done, "moves": moves}
    assert found == expected, f"{found} instead of {expected}"  # noqa: S101 - a benchmark's own proof
    assert abs(points - leads * 3 / 10) <= 2, f"{points} of {leads} leads have points"  # noqa: S101 - as above


LEGS: Final = {"engine": engine_leg, "floor": run_floor, "whole": whole_leg}
PER_LEAD: Final = dict.fromkeys(("inbox", "inbox-read", "inbox-floor"), len(KINDS)) | dict.fromkeys(
    ("record", "record-floor"), len(READERS)
)
"""Legs told by the number of events, and how many are about one lead."""
# What is no program: its seconds are not the leg's own time.
QUESTIONS: Final[dict[str, Callable[[Database, int], float]]] = {
    "probe": probe_leg,
    "inbox": keep_leg,
    "inbox-read": read_leg,
    "inbox-floor": floor_leg,
    "record": record_leg,
    "record-floor": record_floor_leg,
}
HOOKS: Final = {"hooks": True, "hooks-alone": False}
"""Whether a wave runs beside the posts."""


def main() -> None:
    """Runs the leg that the command line names on a database that it fills itself; `course` and `reader` find it filled."""
    leg, url, leads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if leg == "course":
        engine_leg(open_database(url))
        return
    if leg == "reader":
        read_for_ever(open_database(url))
    database = prepare(url, 1 if leg == "probe" else -(-leads // PER_LEAD.get(leg, 1)))
    gc.freeze()  # as the processes of the product do
    if leg in LEGS:
        found = measure(LEGS[leg], database)
    else:
        told = (
            hook_leg(database, beside_wave=HOOKS[leg])
            if leg in HOOKS
            else {"seconds": QUESTIONS[leg](database, leads)}
        )
        found = {**told, "statements": 0, "peak_mb": _peak_mb()}
    print(json.dumps(found))
    database.dispose()


if __name__ == "__main__":
    main()

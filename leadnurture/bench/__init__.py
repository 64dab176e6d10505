"""Measures the engine beside hand-written SQL over the same tables in the same run, and prints the table or JSON.

Every leg runs in a process and on a database of its own. Ratios of one run are the figures: seconds depend on the machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

from leadnurture.bench.waiting import FIRST_POSTS

SIZES: Final = (1_000, 10_000, 100_000)
REPEATED_UP_TO: Final = 10_000
REPEATS: Final = 5
EVENTS: Final = 100_000
INCOMING: Final = {
    "inbox-floor": {"inbox": "events kept", "inbox-read": "events kept and read"},
    "record-floor": {"record": "reactions recorded"},
}
"""What is measured of what comes in, by the floor it stands beside."""
POSTGRESQL: Final = "LEADNURTURE_BENCH_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `limit_seconds` is what it is compared with: the floor of the same run, or a
    fixed aim.
    """

    name: str
    database: str
    leads: int
    seconds: float
    limit_seconds: float
    ratio: float
    statements: int
    peak_mb: float


def run(form: str, sizes: Sequence[int] | None = None) -> int:
    """Prints the figures as they come (`text`) or as one JSON list (`json`); the exit code is 0 when all legs
    ran.
    """
    figures = []
    if form == "text":
        print(HEAD)
    for figure in measured(sizes or SIZES):
        figures.append(figure)
        if form == "text":
            print(_line(figure), flush=True)
    if form == "json":
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0


def measured(sizes: Sequence[int]) -> Iterator[Figure]:
    """Every figure, as soon as it is known."""
    for database in _databases():
        for leads in sizes:
            yield from _drip(database, leads)
        yield _due_probe(database)
        yield from _inbox(database)
        yield from _hooks(database)


def _databases() -> tuple[str, ...]:
    if os.environ.get(POSTGRESQL):
        return ("sqlite", "postgresql")
    print(f"PostgreSQL is skipped: {POSTGRESQL} names no server (make bench starts one).", file=sys.stderr)
    return ("sqlite",)


def _drip(database: str, leads: int) -> Iterator[Figure]:
    """Engine and floor in turn, so that both meet the same noise; the whole path once."""
    repeats = REPEATS if leads <= REPEATED_UP_TO else 1
    runs = [(_leg("floor", database, leads), _leg("engine", database, leads)) for _ in range(repeats)]
    floor = median(pair[0]["seconds"] for pair in runs)
    yield _figure("drip-3 engine", database, leads, _middle([pair[1] for pair in runs]), floor)
    yield _figure("drip-3 whole path", database, leads, _leg("whole", database, leads), floor)


def _due_probe(database: str) -> Figure:
    return _figure(
        "due work, 1,000,000 waiting", database, 1_000_000, _leg("probe", database, 1_000_000), 0.05
    )


def _inbox(database: str) -> Iterator[Figure]:
    """Events kept, and kept and read, beside the raw bulk insertion of the same; reactions recorded beside the bulk
    insertion of the same rows. Each in turn with its floor, and to cost 2.5 times of it at the most.
    """
    for floor, legs in INCOMING.items():
        runs = [{leg: _leg(leg, database, EVENTS) for leg in (floor, *legs)} for _ in range(3)]
        limit = median(run[floor]["seconds"] for run in runs)
        for leg, name in legs.items():
            yield _figure(name, database, EVENTS, _middle([run[leg] for run in runs]), limit)


def _hooks(database: str) -> Iterator[Figure]:
    """Posts of 768 kB while a wave of 100,000 leads runs, beside those without: what 99 of 100 of 300 take, and the
    slowest of the first 50.
    """
    alone = _leg("hooks-alone", database, 1_000)
    beside = _leg("hooks", database, 100_000)
    for key, which in (("seconds", "99 of 100"), ("slowest", f"slowest of {FIRST_POSTS}")):
        taken = {**beside, "seconds": beside[key]}
        yield _figure(f"post of 768 kB beside a wave, {which}", database, 100_000, taken, alone[key])


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def _figure(name: str, database: str, leads: int, found: dict[str, Any], limit: float) -> Figure:
    seconds = found["seconds"]
    return Figure(
        name,
        database,
        leads,
        round(seconds, 4),
        round(limit, 4),
        round(seconds / limit, 2),
        found["statements"],
        round(found["peak_mb"], 1),
    )


def _leg(leg: str, database: str, leads: int) -> dict[str, Any]:
    with _fresh(database) as url:
        command = [sys.executable, "-m", "leadnurture.bench.legs", leg, url, str(leads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _fresh(database: str) -> Iterator[str]:
    """The URL of an empty database that is gone afterwards."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="leadnurture-bench-") as folder:
            yield f"sqlite:///{Path(folder) / 'bench.db'}"
        return
    from sqlalchemy import create_engine, make_url  # noqa: PLC0415 - not needed for SQLite

    server = make_url(os.environ[POSTGRESQL]).set(drivername="postgresql+psycopg")
    name = f"leadnurture_bench_{uuid4().hex[:8]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()


HEAD: Final = f"{'':52s}{'leads':>10s} {'seconds':>9s} {'limit':>9s} {'ratio':>7s} {'leads/s':>9s} {'statements':>11s} {'peak MB':>8s}"


def _line(figure: Figure) -> str:
    rate = (
        f"{figure.leads / figure.seconds:,.0f}"
        if figure.name.startswith(("drip", "events", "reactions"))
        else ""
    )
    return (
        f"{figure.name + ', ' + figure.database:52s}{figure.leads:10,d} {figure.seconds:9.3f} {figure.limit_seconds:9.3f} "
        f"{figure.ratio:7.2f} {rate:>9s} {figure.statements:11,d} {figure.peak_mb:8.0f}"
    )

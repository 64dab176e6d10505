"""Transactions, retries, instants, staging, and what a person reads when the database cannot be used."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, insert, literal, select, text
from sqlalchemy.exc import DBAPIError

from leadnurture.errors import DatabaseUnavailableError, SettingError, StorageFullError
from leadnurture.store import Database, open_database, stage
from leadnurture.store.database import ATTEMPTS, MOST_VALUES
from leadnurture.store.instants import DAY, Instant, day_number, day_of, from_micros, to_micros
from leadnurture.store.tables import Account, Clock
from leadnurture.store.work import empty, work_lead, work_reaction, work_said, work_settle

clock: Final[Table] = Clock.__table__
accounts: Final[Table] = Account.__table__
NOW: Final = datetime(2026, 10, 25, 0, 30, 0, 1, tzinfo=UTC)


# Instants


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - Hypothesis wants naive bounds
def test_instants_are_microseconds_and_back(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_dates_are_day_numbers_and_back(day: date) -> None:
    assert day_of(day_number(day)) == day
    assert day_number(day) * DAY == to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))


def test_an_instant_is_the_same_whatever_zone_tells_it() -> None:
    assert to_micros(NOW.astimezone(ZoneInfo("Asia/Kathmandu"))) == to_micros(NOW)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(TypeError, match="naive"):
        to_micros(NOW.replace(tzinfo=None))


def test_an_instant_comes_back_from_the_database_to_the_microsecond(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(clock).values(id=1, now_at=NOW))
        assert connection.execute(text("SELECT now_at FROM clock")).scalar_one() == to_micros(NOW)
        assert connection.execute(select(clock.c.now_at)).scalar_one() == NOW
        later = select(clock.c.id).where(clock.c.now_at + DAY == literal(NOW + timedelta(1), Instant()))
        assert connection.execute(later).scalar_one() == 1


# Transactions


def add(connection: Connection, name: str) -> None:
    connection.execute(insert(accounts).values(name=name, name_key=name, created_at=NOW))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(accounts.c.name).order_by(accounts.c.id)).scalars())


def test_an_exception_rolls_back(database: Database) -> None:
    def fails(connection: Connection) -> None:
        add(connection, "Acme")
        raise KeyError

    with pytest.raises(KeyError):
        database.run(fails)
    with database.write() as connection:
        add(connection, "Beta")
    assert names(database) == ["Beta"]


def test_a_reader_writes_nothing_on_postgresql(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with pytest.raises(DBAPIError, match="read-only transaction"), database.read() as connection:
        add(connection, "Acme")
    database.dispose()


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as connection:
        add(connection, "Acme")
        assert names(database) == []
    assert names(database) == ["Acme"]


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_lost_a_race_is_run_again(postgres_url: str, state: str) -> None:
    database = open_database(postgres_url)
    attempts: list[int] = []

    def work(connection: Connection) -> str:
        attempts.append(1)
        add(connection, f"attempt {len(attempts)}")
        if len(attempts) < 3:
            connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))
        return "done"

    assert database.run(work) == "done"
    assert names(database) == ["attempt 3"]
    database.dispose()


def test_a_race_is_not_run_for_ever_and_other_mistakes_not_twice(postgres_url: str) -> None:
    database = open_database(postgres_url)
    attempts: list[str] = []

    def fails(connection: Connection, state: str) -> None:
        attempts.append(state)
        connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))

    for state in ("40001", "23505"):
        with pytest.raises(DBAPIError):
            database.run(partial(fails, state=state))
    assert (attempts.count("40001"), attempts.count("23505")) == (ATTEMPTS, 1)
    database.dispose()


def test_two_who_lock_crosswise_both_come_through(postgres_url: str) -> None:
    """A real deadlock: the server chooses a victim, which is run again."""
    database = open_database(postgres_url)
    with database.write() as connection:
        add(connection, "a")
        add(connection, "b")
    both = threading.Barrier(2)
    rounds: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            lock = text("UPDATE account SET owner = :me WHERE name = :name")
            connection.execute(lock, {"me": first, "name": first})
            rounds.append(first)
            if len(rounds) <= 2:
                both.wait(20)
            connection.execute(lock, {"me": first, "name": second})

        database.run(work)

    others = threading.Thread(target=cross, args=("b", "a"))
    others.start()
    cross("a", "b")
    others.join(20)
    assert len(rounds) == 3
    database.dispose()


# Staging


@pytest.mark.parametrize("more", [0, MOST_VALUES // 2])
def test_staged_rows_keep_their_types(database: Database, more: int) -> None:
    rows: list[dict[str, object]] = [
        {
            "message_id": 2**40,
            "status": "sent",
            "why": None,
            "trouble": 'quo"te, ümlaut \\ and\nline',
            "send_at": NOW,
        },
        {"message_id": 2, "status": "failed", "why": "late", "trouble": None, "send_at": None},
    ]
    rows += [
        {"message_id": -number, "status": "sent", "why": None, "trouble": None, "send_at": NOW}
        for number in range(more)
    ]
    with database.write() as connection:
        empty(connection, work_settle)
        stage(connection, work_settle, rows)
        found = connection.execute(
            select(*(work_settle.c[name] for name in rows[0])).order_by(work_settle.c.message_id.desc())
        )
        assert [dict(row) for row in found.mappings()] == rows


@pytest.mark.parametrize("more", [0, MOST_VALUES // 2])
def test_numbers_and_flags_are_staged_as_such(database: Database, more: int) -> None:
    numbers = [{"name": "a", "number": 1.5}, {"name": "b", "number": 20_000.0}]
    flags: list[dict[str, object]] = [{"lead_id": 1, "is_switched": True}]
    flags += [{"lead_id": 2 + number, "is_switched": False} for number in range(1 + more)]
    with database.write() as connection:
        empty(connection, work_said, work_lead)
        stage(connection, work_said, numbers)
        stage(connection, work_lead, flags)
        assert connection.execute(select(work_said.c.number).order_by(work_said.c.name)).scalars().all() == [
            1.5,
            20_000.0,
        ]
        assert connection.execute(
            select(work_lead.c.lead_id).where(work_lead.c.is_switched)
        ).scalars().all() == [1]


@pytest.mark.parametrize("rows", [1, 3])
def test_what_is_the_same_in_every_row_is_staged_in_every_row(database: Database, rows: int) -> None:
    row: dict[str, object] = {"position": None, "kind": "50 % ?", "at": NOW, "is_wish": True, "agent": None}
    with database.write() as connection:
        empty(connection, work_reaction)
        stage(connection, work_reaction, [row] * rows)
        found = connection.execute(select(*(work_reaction.c[name] for name in row)))
        assert [dict(one) for one in found.mappings()] == [row] * rows


def test_rows_are_staged_through_what_completes_them(database: Database) -> None:
    rows: list[dict[str, object]] = [{"position": place, "kind": "opened", "key": None} for place in range(3)]
    double = """
        INSERT INTO work_reaction (position, kind, key)
        SELECT position * 2, kind, coalesce(key, 'none') FROM told"""
    with database.write() as connection:
        empty(connection, work_reaction)
        stage(connection, work_reaction, rows, double)
        found = connection.execute(text("SELECT position, kind, key FROM work_reaction ORDER BY position"))
        assert [tuple(row) for row in found] == [(place, "opened", "none") for place in (0, 2, 4)]


def test_nothing_is_staged_from_nothing(database: Database) -> None:
    with database.write() as connection:
        stage(connection, work_lead, [])


def test_work_tables_are_of_one_connection(database: Database) -> None:
    with database.write() as mine:
        empty(mine, work_lead)
        stage(mine, work_lead, [{"lead_id": 1}])
        if not database.is_sqlite:
            with database.write() as others:
                assert others.execute(select(work_lead.c.lead_id)).scalars().all() == []


# What a person can mend


def test_a_work_table_does_not_grow_with_what_lay_in_it(postgres_url: str) -> None:
    rows = [{"lead_id": number, "zone": "Europe/Berlin"} for number in range(1_000)]
    pages = text("SELECT pg_relation_size('work_lead') / 8192")
    sizes = []
    database = open_database(postgres_url)
    for _ in range(3):
        with database.write() as connection:
            empty(connection, work_lead)
            stage(connection, work_lead, rows)
            sizes.append(connection.scalar(pages))
    database.dispose()
    assert sizes[0] == sizes[1] == sizes[2] > 1


def test_sqlite_begins_with_the_few_rows_of_a_work_table(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN UPDATE message SET status = w.status"
            " FROM work_settle w WHERE w.message_id = message.id"
        )
        steps = [row.detail for row in plan]
    database.dispose()
    assert steps == ["SCAN w", "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"]


def test_a_server_that_refuses_says_what_to_do() -> None:
    database = open_database("postgresql://postgres@127.0.0.1:9/nothing")
    with pytest.raises(DatabaseUnavailableError, match="correct LEADNURTURE_DATABASE_URL"), database.read():
        pass
    database.dispose()


def test_a_database_that_is_missing_says_what_to_do(postgres_url: str) -> None:
    database = open_database(postgres_url + "_that_is_missing")
    with pytest.raises(DatabaseUnavailableError, match="does not exist"), database.write():
        pass
    database.dispose()


def test_a_full_disk_is_told_as_such_and_nothing_is_lost(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        add(connection, "Acme")

    def fills(connection: Connection) -> None:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        add(connection, "x" * 1_000_000)

    with pytest.raises(StorageFullError, match="make room"):
        database.run(fills)
    database.dispose()
    database = open_database(sqlite_url)
    assert names(database) == ["Acme"]
    database.dispose()


def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DatabaseUnavailableError, match="LEADNURTURE_DATABASE_URL"):
        open_database(f"sqlite:///{tmp_path}/file/leadnurture.db")


def test_a_database_that_is_a_folder_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "leadnurture.db").mkdir()
    database = open_database(f"sqlite:///{tmp_path}/leadnurture.db")
    with pytest.raises(DatabaseUnavailableError, match="unable to open"), database.read() as connection:
        connection.execute(text("SELECT 1"))
    database.dispose()


def test_a_file_that_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "leadnurture.db").write_text(
        "a letter to my grandmother, long enough to be read as a header " * 20
    )
    database = open_database(f"sqlite:///{tmp_path}/leadnurture.db")
    with pytest.raises(DatabaseUnavailableError, match="not a database"), database.read() as connection:
        connection.execute(text("SELECT 1"))
    database.dispose()


def test_a_lock_folder_that_is_gone_for_good_is_told_as_such(sqlite_url: str, tmp_path: Path) -> None:
    database = open_database(sqlite_url)
    locks = tmp_path / "leadnurture.db.locks"
    locks.rmdir()
    locks.write_text("in the way")
    with pytest.raises(DatabaseUnavailableError, match="LEADNURTURE_DATABASE_URL"), database.write():
        pass
    database.dispose()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused_with_what_to_use(url: str) -> None:
    with pytest.raises(SettingError, match="use sqlite:///path"):
        open_database(url)


def test_a_url_is_shown_without_its_password() -> None:
    database = open_database("postgresql://ann:secret@127.0.0.1:9/nothing")
    assert "secret" not in str(database.url)
    database.dispose()


def test_words_of_people_do_not_stand_in_errors(database: Database) -> None:
    database.run(lambda connection: add(connection, "ann@secret.example"))
    with pytest.raises(DBAPIError) as raised:
        database.run(lambda connection: add(connection, "ann@secret.example"))
    assert "secret" not in str(raised.value).split("[SQL:")[1]


# The fair lock

HOLDS: Final = """
import sys
from leadnurture.store import open_database
database = open_database(sys.argv[1])
with database.write():
    print("holds", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(sqlite_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a write."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDS, sqlite_url], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def test_a_writer_waits_for_the_one_of_another_process(
    sqlite_url: str, holder: subprocess.Popen[str]
) -> None:
    database = open_database(sqlite_url)
    wrote = threading.Event()

    def write() -> None:
        with database.write() as connection:
            add(connection, "Acme")
        wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert names(database) == []
    assert not wrote.wait(0.2)
    assert holder.stdin is not None
    holder.stdin.write("go\n")
    holder.stdin.flush()
    assert wrote.wait(20)
    writer.join()
    assert names(database) == ["Acme"]
    database.dispose()


def test_a_writer_that_is_killed_holds_nothing(sqlite_url: str, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(20)
    database = open_database(sqlite_url)
    with database.write() as connection:
        add(connection, "Acme")
    assert names(database) == ["Acme"]
    database.dispose()

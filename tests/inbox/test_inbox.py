"""The inbox itself: what is kept is read once, later, again, by whoever comes next, and never dropped."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from leadnurture.errors import DatabaseUnavailableError, InvalidInputError
from leadnurture.inbox import (
    Item,
    Post,
    Read,
    WorkedOff,
    keep,
    keep_for_now,
    keep_items,
    next_reading,
    read_post,
    replay,
    unread,
    work_off,
)
from leadnurture.inbox.posts import LEASE, take
from leadnurture.store import Database

NOW = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
MACHINE = datetime(2031, 1, 1, tzinfo=UTC)


@dataclass
class Teller:
    """Reads posts of words, one item a word; may be told to fail."""

    said: list[bytes] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    waits: bool = False
    machine: datetime = MACHINE
    last: list[bool] = field(default_factory=list)

    def read(self, database: Database, post: Post, now: datetime, is_last: bool) -> Read:  # noqa: FBT001 - a Reader
        assert now == NOW
        self.said.append(post.body)
        self.last.append(is_last)
        if self.trouble:
            raise self.trouble.pop(0)
        outcome = "waiting" if self.waits and not is_last else "recorded"
        items = [
            Item(place, word, "word", None, outcome) for place, word in enumerate(post.body.decode().split())
        ]
        own = database.run(lambda connection: keep_items(connection, post, items))
        return Read(len(items), len(own), len(items) - len(own), waiting=len(items) * (outcome == "waiting"))

    def work_off(self, database: Database) -> WorkedOff:
        return work_off(database, {"words": self.read}, NOW, lambda: self.machine)


@pytest.fixture
def teller() -> Teller:
    return Teller()


def rows(database: Database, question: str) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(question))]


def test_posts_are_read_once_in_the_order_of_their_coming(database: Database, teller: Teller) -> None:
    for body in (b"one", b"two", b"three"):
        keep(database, "words", body, NOW)
    assert teller.work_off(database) == WorkedOff(3)
    assert teller.work_off(database) == WorkedOff()
    assert teller.said == [b"one", b"two", b"three"]
    assert rows(database, "SELECT status, attempts, retry_at FROM inbox") == [("done", 1, None)] * 3


def test_the_same_bytes_under_a_key_are_kept_once_and_without_one_each_time(database: Database) -> None:
    first = keep(database, "words", b"a", NOW, key="k")
    assert (first.is_new, keep(database, "words", b"a", NOW, key="k")) == (
        True,
        type(first)(first.id, is_new=False),
    )
    assert keep(database, "others", b"a", NOW, key="k").is_new
    assert keep(database, "words", b"a", NOW).is_new
    assert keep(database, "words", b"a", NOW).is_new
    assert unread_of(database) == 4


def unread_of(database: Database) -> int:
    with database.read() as connection:
        return unread(connection)


def test_what_an_earlier_post_said_is_not_said_again(database: Database, teller: Teller) -> None:
    keep(database, "words", b"a b", NOW)
    keep(database, "words", b"b c", NOW)
    teller.work_off(database)
    items = rows(database, "SELECT inbox_id, position, key FROM inbox_item ORDER BY key")
    assert items == [(1, 0, "a"), (1, 1, "b"), (2, 1, "c")]


def test_a_post_that_fails_comes_again_later_and_keeps_nobody_waiting(
    database: Database, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    keep(database, "words", b"a", NOW)
    keep(database, "words", b"b", NOW)
    teller.trouble = [RuntimeError("the reader is broken")]
    assert teller.work_off(database) == WorkedOff(2, failed=1)
    assert "the reader is broken" in caplog.text
    ((status, trouble),) = rows(database, "SELECT status, trouble FROM inbox WHERE id = 1")
    assert (status, trouble) == ("new", "the reader is broken")
    assert teller.work_off(database) == WorkedOff()  # it rests
    with database.read() as connection:
        again = next_reading(connection)
    assert again == MACHINE + timedelta(seconds=2)
    teller.machine = again
    assert teller.work_off(database) == WorkedOff(1)
    assert unread_of(database) == 0


def test_trouble_with_the_database_is_a_sentence_not_a_trace(
    database: Database, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    keep(database, "words", b"a", NOW)
    teller.trouble = [DatabaseUnavailableError()]
    teller.work_off(database)
    assert "Traceback" not in caplog.text


def test_what_nobody_can_read_stays_with_the_reason(database: Database, teller: Teller) -> None:
    keep(database, "words", b"?", NOW)
    teller.trouble = [InvalidInputError("These are no words.")]
    assert teller.work_off(database) == WorkedOff(1)
    assert rows(database, "SELECT status, trouble FROM inbox") == [("unusable", "These are no words.")]


def test_what_is_about_unknown_mails_waits_longer_and_longer_and_then_is_settled(
    database: Database, teller: Teller
) -> None:
    keep(database, "words", b"a", NOW)
    teller.waits = True
    waits = []
    while unread_of(database):
        teller.work_off(database)
        with database.read() as connection:
            again = next_reading(connection)
        if again is not None:
            waits.append((again - teller.machine) // timedelta(minutes=1))
            teller.machine = again
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128]
    assert teller.last == [False] * 8 + [True]
    assert rows(database, "SELECT outcome FROM inbox_item") == [("recorded",)]


def test_two_workers_never_read_the_same_post(database: Database) -> None:
    keep(database, "words", b"a", NOW)
    keep(database, "words", b"b", NOW)
    bodies = [post.body for _ in range(3) if (post := take(database, MACHINE))]
    assert bodies == [b"a", b"b"]


def test_whoever_dies_over_a_post_gives_it_back(database: Database, teller: Teller) -> None:
    keep_for_now(database, "words", b"a", NOW, MACHINE)
    assert teller.work_off(database) == WorkedOff()
    teller.machine = MACHINE + LEASE
    assert teller.work_off(database) == WorkedOff(1)


def test_a_post_is_read_at_once_only_with_nothing_ahead_of_it(database: Database, teller: Teller) -> None:
    first, second = (keep(database, "words", body, NOW).id for body in (b"a", b"b"))

    def at_once(post_id: int) -> bool:
        return read_post(database, {"words": teller.read}, post_id, NOW, lambda: MACHINE)

    assert [at_once(second), at_once(first), at_once(second)] == [False, True, True]


def test_a_replay_reads_again_and_records_nothing_twice(database: Database, teller: Teller) -> None:
    keep(database, "words", b"a b", NOW)
    keep(database, "words", b"c", NOW + timedelta(days=1))
    teller.work_off(database)
    before = rows(database, "SELECT * FROM inbox_item ORDER BY key")
    asked: list[tuple[dict[str, object], int]] = [
        ({"source": "others"}, 0),
        ({"source": "words", "since": NOW + timedelta(hours=1)}, 1),
        ({}, 2),
    ]
    for what, posts in asked:
        assert replay(database, **what) == posts  # type: ignore[arg-type] # as named
        assert teller.work_off(database).posts == posts
    assert rows(database, "SELECT * FROM inbox_item ORDER BY key") == before


def test_a_pass_ends_when_its_time_is_up(database: Database, teller: Teller) -> None:
    keep(database, "words", b"a", NOW)
    done = work_off(database, {"words": teller.read}, NOW, lambda: MACHINE, seconds=0)
    assert done == WorkedOff(is_done=False)

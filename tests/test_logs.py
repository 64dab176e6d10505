"""The listener that hears all logs of the suite."""

import logging

import pytest

from leadnurture.links import Links
from tests.logs import Listener


def heard(words: str, name: str = "leadnurture.mail") -> list[str]:
    listener = Listener()
    listener.handle(logging.LogRecord(name, logging.DEBUG, __file__, 1, words, None, None))
    return listener.told


@pytest.mark.parametrize(
    "secret",
    [
        "ann@fjellheim.example",
        "postgresql://lena@db.example.com/x",
        Links("a secret of ours", "http://127.0.0.1").unsubscribe(7, 8).rpartition("/")[2],
        "ln_" + "x" * 40,
        "$argon2id$v=19",
        "q" * 43,
    ],
)
def test_what_must_not_be_said_is_heard(secret: str) -> None:
    assert heard(f"there is {secret}") != []


@pytest.mark.parametrize(
    "words", ["message 12: 550 no such user", "sqlite:////tmp/leadnurture.db", "wave 0042"]
)
def test_ids_and_outcomes_may_be_said(words: str) -> None:
    assert heard(words) == []


def test_the_servers_of_the_tests_may_say_what_they_got() -> None:
    assert heard("ann@example.org", "mail.log") == []

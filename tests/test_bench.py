"""The benchmark runs, proves that every leg did its work, and prints what machines read."""

import json

import pytest

from leadnurture.bench import legs
from leadnurture.bench.course import prepare
from leadnurture.bench.floor import run_floor


@pytest.mark.parametrize("leg", ["engine", "floor", "whole"])
def test_every_leg_takes_everybody_through_the_program(leg: str, empty_database_url: str) -> None:
    database = prepare(empty_database_url, 50)
    found = legs.measure(legs.LEGS[leg], database)  # it asserts the mails, moves and points itself
    database.dispose()
    assert found["statements"] > 0


@pytest.mark.parametrize("leg", ["inbox-floor", "inbox", "inbox-read"])
def test_every_leg_of_the_inbox_leaves_every_event(leg: str, empty_database_url: str) -> None:
    database = prepare(empty_database_url, 10)
    assert legs.QUESTIONS[leg](database, 50) > 0  # it asserts the rows itself
    database.dispose()


def test_a_leg_that_did_less_is_no_measurement(empty_database_url: str) -> None:
    database = prepare(empty_database_url, 20)
    with pytest.raises(AssertionError, match="instead of"):
        legs.measure(lambda _: None, database)
    database.dispose()


def test_the_floor_leaves_what_the_engine_leaves(empty_database_url: str) -> None:
    database = prepare(empty_database_url, 20)
    run_floor(database)
    with database.read() as connection:
        steps = connection.exec_driver_sql("SELECT step, count(*) FROM message GROUP BY step ORDER BY step")
        assert json.dumps([list(row) for row in steps]) == '[["first", 20], ["liked", 6], ["silent", 14]]'
    database.dispose()

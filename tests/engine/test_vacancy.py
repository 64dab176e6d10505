"""Who may take a seat: as many as there are, whoever asks at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadnurture.domain.content import Session
from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import (
    NewReaction,
    Obstacle,
    Recorded,
    merge_leads,
    obstacle_of,
    record_reactions,
)
from leadnurture.store import Database, open_database
from tests.engine.driver import Company, define
from tests.engine.test_races import PATIENCE, stopped_before, until, waits_for_a_lock
from tests.mail.statements import counted

NOW = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
TALK = """
kind: webinar
title: The talk
link: https://www.example.com/talk
seats: 2
sessions:
  january: 2027-01-19 10:00
  february: 2027-02-16 10:00
"""


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, {"content/talk": TALK}), NOW)


def reaction(
    lead: int,
    kind: ReactionKind = "registered",
    key: str = "",
    session: str | None = "january",
    *,
    wish: bool = True,
) -> NewReaction:
    told = key or f"{lead}-{kind}-{session}"
    is_wish = wish and kind == "registered"
    return NewReaction(kind, told, "test", lead_id=lead, content="talk", session=session, is_wish=is_wish)


def tell(company: Company, *reactions: NewReaction) -> Recorded:
    return record_reactions(company.database, reactions, company.now)


def seated(company: Company, session: str = "january") -> set[int]:
    rows = company.rows("SELECT lead_id FROM standing WHERE kind = 'registered' AND session = :s", s=session)
    return {row["lead_id"] for row in rows}


def obstacle(company: Company, lead: int, session: str = "january") -> Obstacle | None:
    with company.database.read() as connection:
        return obstacle_of(connection, lead, "talk", session, company.now)


def leads(company: Company, number: int) -> list[int]:
    return [company.lead(f"lead{each}") for each in range(number)]


# As many as there are


def test_whoever_asks_for_a_seat_that_is_not_there_is_refused(company: Company) -> None:
    ann, ben, cem = leads(company, 3)
    assert [tell(company, reaction(lead)).recorded for lead in (ann, ben)] == [1, 1]
    refused = tell(company, reaction(cem))
    assert (refused.recorded, refused.duplicates, refused.refused) == (0, 0, {0: "full"})
    assert seated(company) == {ann, ben}
    assert company.rows("SELECT * FROM reaction WHERE lead_id = :l", l=cem) == []
    assert [obstacle(company, lead) for lead in (ann, ben, cem)] == [None, None, "full"]
    assert tell(company, reaction(cem, session="february")).recorded == 1


def test_of_a_batch_the_first_get_the_seats(company: Company) -> None:
    people = leads(company, 4)
    other = reaction(people[3], session="february")
    done = tell(company, *(reaction(lead) for lead in people), other)
    assert (done.recorded, done.refused) == (3, {2: "full", 3: "full"})
    assert seated(company) == set(people[:2])


def test_whoever_has_a_seat_asks_for_it_again_in_vain_or_not_at_all(company: Company) -> None:
    ann, ben, _ = leads(company, 3)
    tell(company, reaction(ann), reaction(ben))
    assert tell(company, reaction(ann)).duplicates == 1
    assert tell(company, reaction(ann, key="pressed again")).refused == {}
    assert seated(company) == {ann, ben}


def test_what_was_recorded_is_told_again_without_asking_again(company: Company) -> None:
    """He gave his seat back since, and others have them all."""
    ann, ben, cem = leads(company, 3)
    tell(company, reaction(ann))
    tell(company, reaction(ann, "declined"))
    tell(company, reaction(ben), reaction(cem))
    again = tell(company, reaction(ann))
    assert (again.duplicates, again.refused) == (1, {})
    assert seated(company) == {ben, cem}


def test_a_seat_that_is_given_back_is_free(company: Company) -> None:
    ann, ben, cem = leads(company, 3)
    tell(company, reaction(ann), reaction(ben))
    assert tell(company, reaction(cem)).refused
    tell(company, reaction(ann, "declined"))
    assert obstacle(company, cem) is None
    assert tell(company, reaction(cem, key="again")).recorded == 1
    assert tell(company, reaction(ann, key="back")).refused == {0: "full"}


def test_two_seats_of_leads_who_become_one_are_one(company: Company) -> None:
    ann, ben, cem = leads(company, 3)
    tell(company, reaction(ann), reaction(ben))
    merge_leads(company.database, ann, ben, "dana", company.now)
    assert tell(company, reaction(cem)).recorded == 1


def test_what_is_told_of_elsewhere_is_a_fact_and_over_books(company: Company) -> None:
    ann, ben, cem, dan = leads(company, 4)
    tell(company, reaction(ann), reaction(ben))
    told = tell(company, reaction(cem, wish=False), reaction(dan))
    assert (told.recorded, told.refused) == (1, {1: "full"})
    assert seated(company) == {ann, ben, cem}


def test_a_fact_takes_its_seat_from_whoever_asks_behind_it(company: Company) -> None:
    ann, ben, cem = leads(company, 3)
    done = tell(company, reaction(ann), reaction(ben, wish=False), reaction(cem))
    assert done.refused == {2: "full"}


def test_nobody_takes_a_seat_in_what_has_begun_or_is_cancelled(company: Company) -> None:
    (ann,) = leads(company, 1)
    assert tell(company, reaction(ann, session="none such")).refused == {0: "cancelled"}
    (talk,) = company.definitions.contents
    cancelled = replace(talk, sessions=(Session("january", None), talk.sessions[1]))
    company.apply(replace(company.definitions, contents=(cancelled,)))
    assert (obstacle(company, ann), tell(company, reaction(ann)).refused) == ("cancelled", {0: "cancelled"})
    company.now = datetime(2027, 2, 16, 9, 0, tzinfo=UTC)
    assert obstacle(company, ann, "february") == "over"
    assert tell(company, reaction(ann, session="february")).refused == {0: "over"}


@pytest.mark.parametrize("number", [3, 60])
def test_it_costs_the_same_for_a_few_as_for_many(company: Company, number: int) -> None:
    told = [reaction(lead) for lead in leads(company, number)]
    tell(company, reaction(company.lead("somebody"), session="february"))
    with counted(company.database) as statements:
        tell(company, *told)
    with counted(company.database) as facts:
        tell(company, reaction(company.lead("else"), session="february", wish=False))
    assert len(statements) - len(facts) <= 3


# Two at once


def test_of_two_who_ask_for_the_last_seat_at_once_one_gets_it(company: Company) -> None:
    """Each with a connection of his own, on both databases."""
    people = leads(company, 9)
    tell(company, reaction(people[0]))
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda lead: tell(company, reaction(lead)), people[1:]))
    assert sorted(each.recorded for each in done) == [0] * 7 + [1]
    assert [each.refused for each in done if not each.recorded] == [{0: "full"}] * 7
    assert len(seated(company)) == 2


@pytest.fixture
def other(postgres_url: str) -> Iterator[Database]:
    opened = open_database(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Company]:
    opened = open_database(postgres_url)
    yield Company(opened, define(tmp_path, {"content/talk": TALK}), NOW)
    opened.dispose()


@pytest.mark.parametrize(
    "words", ["UPDATE work_reaction SET refused", "INSERT INTO reaction", "INSERT INTO standing"]
)
def test_whoever_counts_second_counts_the_first(on_postgres: Company, other: Database, words: str) -> None:
    """The first stands still between his lock and his end; the second waits for him, however far he is."""
    ann, ben, cem = leads(on_postgres, 3)
    tell(on_postgres, reaction(ann))
    with ThreadPoolExecutor(2) as threads, stopped_before(on_postgres.database, words) as stop:
        first = threads.submit(tell, on_postgres, reaction(ben))
        assert stop.reached.wait(PATIENCE)
        second = threads.submit(record_reactions, other, [reaction(cem)], NOW)
        until(lambda: waits_for_a_lock(other) or second.done())
        stop.go.set()
        results = first.result(PATIENCE), second.result(PATIENCE)
    assert [each.refused for each in results] == [{}, {0: "full"}]
    assert seated(on_postgres) == {ann, ben}


def test_a_seat_that_a_platform_is_telling_of_is_counted(on_postgres: Company, other: Database) -> None:
    ann, ben, cem = leads(on_postgres, 3)
    tell(on_postgres, reaction(ann))
    with (
        ThreadPoolExecutor(2) as threads,
        stopped_before(on_postgres.database, "INSERT INTO work_seat") as stop,
    ):
        fact = threads.submit(tell, on_postgres, reaction(ben, wish=False))
        assert stop.reached.wait(PATIENCE)
        wish = threads.submit(record_reactions, other, [reaction(cem)], NOW)
        until(lambda: waits_for_a_lock(other) or wish.done())
        stop.go.set()
        assert fact.result(PATIENCE).recorded == 1
        assert wish.result(PATIENCE).refused == {0: "full"}
    assert seated(on_postgres) == {ann, ben}

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.domain.company import Company, Person
from leadnurture.sales import people
from tests.profile.rows import NOW, sample_company

COMPANY = sample_company().company
AGREEMENT = sample_company().agreement("prospects")
CHRISTMAS = datetime(2026, 12, 28, 9, 0, tzinfo=UTC)


def named(*ids: str) -> tuple[Person, ...]:
    return tuple(COMPANY.person(each) for each in ids)


def without(*ids: str) -> Company:
    return replace(COMPANY, people=tuple(person for person in COMPANY.people if person.id not in ids))


@pytest.mark.parametrize(
    ("name", "owner", "ids"),
    [
        ("lena", None, ("lena",)),
        ("account.owner", "nora", ("nora",)),
        ("account manager", "nora@example.com", ("nora",)),
        ("account.owner", None, ()),
        ("account.owner", "somebody who left", ()),
        ("sales", None, ("lena", "marc")),
        ("account manager's lead", None, ("viktor",)),
        ("nobody", None, ()),
    ],
)
def test_a_name_stands_for_people(name: str, owner: str | None, ids: tuple[str, ...]) -> None:
    assert people.meant_by(COMPANY, name, owner) == named(*ids)


def test_in_turn_a_name_comes_as_often_as_it_stands_there() -> None:
    newest_first: list[str] = []
    for _ in range(9):
        newest_first.insert(0, people.whose_turn(named("lena", "marc", "marc"), newest_first).id)
    assert newest_first[::-1] == ["lena", "marc", "marc"] * 3


@given(st.lists(st.sampled_from(["lena", "marc", "viktor", "nora"]), max_size=12))
def test_whatever_went_before_the_next_cycles_are_fair(past: list[str]) -> None:
    """Nobody makes up for what was before: from the second cycle on everybody gets the own share."""
    cycle = named("lena", "marc", "marc", "viktor")
    newest_first = list(past)
    for _ in range(12):
        newest_first.insert(0, people.whose_turn(cycle, newest_first).id)
    assert Counter(newest_first[:8]) == {"lena": 2, "marc": 4, "viktor": 2}


def test_whoever_comes_back_does_not_get_everything() -> None:
    assert people.whose_turn(named("lena", "marc"), ["lena"] * 20).id == "marc"
    assert people.whose_turn(named("lena", "marc"), ["marc"] + ["lena"] * 20).id == "lena"


def test_absence_is_a_matter_of_the_local_date() -> None:
    marc = replace(
        COMPANY.person("marc"), zone="Pacific/Auckland", away=((date(2026, 12, 7), date(2026, 12, 7)),)
    )
    assert people.is_away(marc, COMPANY, datetime(2026, 12, 6, 12, 0, tzinfo=UTC))
    assert not people.is_away(marc, COMPANY, datetime(2026, 12, 7, 12, 0, tzinfo=UTC))


def test_the_absent_are_passed_over_and_only_when_nobody_is_there_their_deputies_act() -> None:
    assert people.those_there(named("marc", "viktor"), COMPANY, CHRISTMAS) == named("viktor")
    assert people.those_there(named("marc", "marc"), COMPANY, CHRISTMAS) == named("lena", "lena")
    assert people.those_there(named("marc", "marc"), COMPANY, NOW) == named("marc", "marc")


def test_deputies_who_name_each_other_end() -> None:
    away = ((date(2026, 12, 1), date(2026, 12, 31)),)
    circle = tuple(
        replace(COMPANY.person(each), away=away, deputy=deputy)
        for each, deputy in (("lena", "marc"), ("marc", "lena"))
    )
    company = replace(COMPANY, people=circle)
    assert people.stand_in(circle[0], company, NOW) is None


def test_the_last_resort_is_the_sales_lead_then_anyone_in_sales_then_who_agreed() -> None:
    assert people.last_resort(COMPANY, AGREEMENT, NOW).id == "viktor"
    assert people.last_resort(without("viktor"), AGREEMENT, NOW).id == "lena"
    agreed_by_nora = replace(AGREEMENT, agreed=(("marketing", "dana"), ("sales", "nora")))
    assert people.last_resort(without("viktor", "lena", "marc"), agreed_by_nora, NOW).id == "nora"
    assert people.last_resort(without("viktor", "lena", "marc", "nora"), AGREEMENT, NOW).id == "dana"

from datetime import date, datetime, timedelta

import pytest

from leadnurture.profile import telling
from leadnurture.profile.countries import country_told
from tests.profile.rows import DAY, HOUR, NOW


@pytest.mark.parametrize(
    ("kind", "about", "argument", "words"),
    [
        ("attended", "Scaling", None, "Attended Scaling"),
        ("visited", None, "/pricing", "Visited /pricing"),
        ("visited", None, None, "Visited the website"),
        ("feedback", "A letter", "interested", "Answered “interested” to A letter"),
        ("submitted", None, "call", "Answered “call”"),
        ("clicked", None, None, "Clicked"),
        ("replied", None, None, "Replied"),
        ("registered", None, None, "Registered"),
        ("unsubscribed", "A letter", None, "Unsubscribed"),
    ],
)
def test_what_a_lead_did(kind: str, about: str | None, argument: str | None, words: str) -> None:
    assert telling.told(kind, about, argument) == words


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (NOW, "today, 09:00"),
        (NOW - DAY, "yesterday, 09:00"),
        (NOW + DAY, "tomorrow, 09:00"),
        (NOW + 15 * HOUR, "tomorrow, 00:00"),
        (NOW - 6 * DAY, "Tue 1 Dec, 09:00"),
        (NOW + 60 * DAY, "Fri 5 Feb 2027, 09:00"),
    ],
)
def test_a_moment_is_near_or_a_date(instant: datetime, words: str) -> None:
    assert telling.moment_told(instant, "Europe/Berlin", NOW) == words


def test_a_moment_within_a_sentence() -> None:
    assert telling.at_told(NOW + HOUR, "Europe/Berlin", NOW) == "at 10:00"
    assert telling.at_told(NOW + DAY, "Europe/Berlin", NOW) == "tomorrow at 09:00"
    assert telling.at_told(NOW + 2 * DAY, "Europe/Berlin", NOW) == "on Wed 9 Dec at 09:00"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(minutes=80), "1 h 20 min"),
        (timedelta(minutes=68), "1 h 08 min"),
        (timedelta(hours=4), "4 h"),
        (timedelta(hours=14, minutes=20), "14 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3, hours=5), "3 days"),
        (timedelta(minutes=-30), "30 min"),
    ],
)
def test_a_span(span: timedelta, words: str) -> None:
    assert telling.span_told(span) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("account.employees", 1400, "employees 1,400"),
        ("account.deal_won", True, "deal won"),
        ("account.churned", False, "not churned"),
        ("budget_on", date(2027, 3, 1), "budget on 1 Mar 2027"),
        ("role", "head", "role head"),
    ],
)
def test_a_fact(name: str, value: telling.Value, words: str) -> None:
    assert telling.fact_told(name, value) == words


def test_a_fact_is_read_from_the_column_in_which_it_lies() -> None:
    assert telling.fact_value("number", None, 1400.0) == 1400
    assert telling.fact_value("number", None, 0.5) == 0.5
    assert telling.fact_value("flag", None, 1.0) is True
    assert telling.fact_value("date", None, 20_000.0) == date(2024, 10, 4)
    assert telling.fact_value("text", "energy", None) == "energy"


def test_the_version_of_an_agreement_is_a_date_where_it_is_one() -> None:
    assert telling.agreement_told("2026-12-01") == "1 December 2026"
    assert telling.agreement_told("first draft") == "first draft"


@pytest.mark.parametrize(
    ("country", "name"),
    [("DE", "Germany"), ("GB", "United Kingdom"), ("Atlantis", "Atlantis"), ("", "")],
)
def test_a_country_is_told_by_its_name(country: str, name: str) -> None:
    assert country_told(country) == name

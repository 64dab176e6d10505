"""What a lead does not want is neither offered nor an interest; who wants nothing goes on without a mail."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadnurture.engine import (
    Choice,
    Preferences,
    choose_preferences,
    merge_leads,
    preferences_of,
    undo_merge,
)
from leadnurture.store import Database
from tests.engine.driver import Company, define

STARTS = datetime(2026, 12, 1, 8, tzinfo=UTC)
ALL = frozenset({"scaling", "security"})


def program(title: str, enter: str, send: str) -> str:
    return f"""
title: {title}
owner: dana
enter: {enter}
steps:
  read:
    send: {send}
    otherwise: nothing
    after: 90 days
  nothing:
    after: 90 days
"""


FILES = {
    "prospects/programs/shelf": program("Shelf", 'tag("shelf")', "{next: [article, report]}"),
    "prospects/programs/about": program("About", 'tag("about")', "{next: article, about: security}"),
    "prospects/programs/theirs": program("Theirs", 'tag("theirs")', "{next: article, about: interests}"),
    "prospects/programs/fixed": program("Fixed", 'tag("fixed")', "secrets"),
    "prospects/programs/seats": program("Seats", 'tag("seats")', "{next: webinar}"),
    "prospects/programs/seat": program("Seat", 'tag("seat")', "talk"),
    "prospects/programs/keen": program("Keen", 'interest("security")', "letter"),
    "content/secrets": "kind: article\ntitle: Secrets\ntopics: [security]\npublished: 2026-06-01\n",
    "content/both": "kind: article\ntitle: Both\ntopics: [scaling, security]\npublished: 2026-05-01\n",
    "content/growth": "kind: report\ntitle: Growth\ntopics: [scaling]\npublished: 2026-04-01\n",
    "content/letter": "kind: email\ntitle: Letter\n",
    "content/talk": "kind: webinar\ntitle: Talk\ntopics: [security]\nsessions: {january: 2027-01-19 10:00}\n",
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), STARTS)


def choose(company: Company, lead: int, *topics: str) -> None:
    choose_preferences(company.database, lead, Choice(frozenset(topics)), "the lead", company.now)


def got(company: Company, lead: int) -> list[str]:
    return [row["content"] for row in company.messages(lead)]


@pytest.mark.parametrize(
    ("tag", "wanted", "refused"),
    [
        ("shelf", "secrets", "both"),  # newest first; what is about one wanted topic is offered
        ("fixed", "secrets", None),
        ("seats", "talk", None),
        ("seat", "talk", None),
        ("about", "secrets", None),  # not even what is about another topic, too
    ],
)
def test_an_unwanted_topic_is_not_offered(
    company: Company, tag: str, wanted: str, refused: str | None
) -> None:
    ann, ben = (company.lead(name, tags=[tag]) for name in ("ann", "ben"))
    choose(company, ann, *ALL)
    choose(company, ben, "scaling")
    company.settle()
    assert got(company, ann) == [wanted]
    assert got(company, ben) == ([] if refused is None else [refused])
    assert company.enrollment(ben)["step"] == ("nothing" if refused is None else "read")


def test_nothing_wanted_leaves_nothing_on_the_shelf(company: Company) -> None:
    ann = company.lead("ann", tags=["shelf"])
    choose(company, ann)
    company.settle()
    assert got(company, ann) == []
    assert company.journey(ann)[-1] == "read → nothing: otherwise (empty)"


def test_a_fixed_mail_about_it_is_told_as_unwanted(company: Company) -> None:
    for name, tag in (("ann", "fixed"), ("ben", "seat")):
        lead = company.lead(name, tags=[tag])
        choose(company, lead, "scaling")
        company.settle()
        assert company.journey(lead)[-1] == "read → nothing: otherwise (unwanted)"


def test_an_interest_in_it_offers_nothing(company: Company) -> None:
    keen, both = (
        company.lead(name, tags=["theirs"], interests=told)
        for name, told in (("ann", ["security"]), ("ben", ["security", "scaling"]))
    )
    for lead in (keen, both):
        choose(company, lead, "scaling")
    company.settle()
    assert (got(company, keen), got(company, both)) == ([], ["both"])


def test_who_does_not_want_a_topic_is_not_enrolled_by_an_interest_in_it(company: Company) -> None:
    ann = company.lead("ann", interests=["security"])
    choose(company, ann, "scaling")
    company.settle()
    assert company.rows("SELECT * FROM enrollment") == []
    choose(company, ann, *ALL)
    company.settle()
    assert company.enrollment(ann)["program"] == "keen"


def test_of_two_who_become_one_the_stricter_wishes_hold_until_they_are_two_again(company: Company) -> None:
    ann, ben, eve, zoe = (company.lead(name) for name in ("ann", "ben", "eve", "zoe"))
    wishes = {
        ann: Choice(ALL, mails=4, pause=3),
        ben: Choice(frozenset({"scaling"}), mails=1, pause=6),
        zoe: Choice(ALL, mails=2),
    }
    for lead, choice in wishes.items():
        choose_preferences(company.database, lead, choice, "the lead", company.now)
    before = preferences(company, ann, ben, eve, zoe)
    first = merge_leads(company.database, ann, ben, "dana", company.now)
    second = merge_leads(company.database, eve, zoe, "dana", company.now)
    assert preferences(company, ann, eve) == [
        Preferences(frozenset({"security"}), 1, before[1].paused_until),
        Preferences(mails=2),
    ]
    for merged in (first, second):
        undo_merge(company.database, merged.id, "dana", company.now)
    assert preferences(company, ann, ben, eve, zoe) == before


def preferences(company: Company, *leads: int) -> list[Preferences]:
    with company.database.read() as connection:
        return [preferences_of(connection, lead, company.now) for lead in leads]

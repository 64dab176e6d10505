"""The buying group: conditions that count the engaged people of an account, and who is told of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadnurture.engine import NewReaction, look, record_reactions, revise_click
from leadnurture.store import Database, open_database
from tests.engine.driver import Company, define

STARTS = datetime(2026, 12, 1, 8, tzinfo=UTC)
AGREEMENT = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
engagement:
  points:
    submitted("yes"): 30
stages:
  engaged: {when: engagement > 0}
  qualified: {when: account.engaged >= 2 and engagement > 0}
routing: [{to: [lena]}]
"""
LETTERS = """
title: Letters
owner: dana
enter: tag("letters")
steps:
  write:
    send: letter
    after: 90 days
"""
FILES = {
    "prospects/track": AGREEMENT,
    "prospects/programs/letters": LETTERS,
    "content/letter": "kind: email\ntitle: {en: A letter}\n",
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), STARTS)


def stages(company: Company) -> dict[str, str]:
    rows = company.rows("SELECT email_key, stage FROM lead ORDER BY id")
    return {row["email_key"].partition("@")[0]: row["stage"] for row in rows}


def test_the_second_engaged_person_of_an_account_qualifies_both(company: Company) -> None:
    ann, ben = (company.lead(name, account="Acme") for name in ("ann", "ben"))
    other = company.lead("zoe", account="Zenith")
    company.react(ann, "submitted", argument="yes")
    company.react(other, "submitted", argument="yes")
    company.settle()
    assert stages(company) == {"ann": "engaged", "ben": "new", "zoe": "engaged"}
    company.react(ben, "submitted", argument="yes")
    company.settle()
    assert stages(company) == {"ann": "handed_off", "ben": "handed_off", "zoe": "engaged"}
    told = company.rows("SELECT reason FROM handoff ORDER BY lead_id")
    assert [row["reason"] for row in told] == [
        "crossed the threshold: account.engaged >= 2 and engagement > 0"
    ] * 2


def test_free_mail_makes_nobody_a_colleague(company: Company) -> None:
    for name in ("ann", "ben"):
        lead = company.lead(name, email=f"{name}@gmail.com")
        company.react(lead, "submitted", argument="yes")
    company.settle()
    assert set(stages(company).values()) == {"engaged"}


def test_who_comes_into_the_account_counts_there(company: Company) -> None:
    ann = company.lead("ann", account="Acme")
    eve = company.lead("eve", email="eve@gmail.com")
    for lead in (ann, eve):
        company.react(lead, "submitted", argument="yes")
    company.settle()
    assert set(stages(company).values()) == {"engaged"}
    company.lead("eve", email="eve@gmail.com", account="Acme")
    company.settle()
    assert set(stages(company).values()) == {"handed_off"}


def test_people_who_are_told_of_once_are_told_of_no_more(company: Company) -> None:
    ann = company.lead("ann", account="Acme")
    company.react(ann, "submitted", argument="yes")
    company.settle()
    before = company.dump()
    company.settle()
    assert company.dump() == before
    assert bool(company.rows("SELECT told_engaged FROM lead")[0]["told_engaged"])


def test_whom_a_machine_alone_made_engaged_counts_no_more(database: Database, tmp_path: Path) -> None:
    agreement = AGREEMENT.replace("  points:\n", "  points:\n    clicked: 5\n")
    company = Company(database, define(tmp_path, FILES | {"prospects/track": agreement}), STARTS)
    ann, ben = (company.lead(name, account="Acme") for name in ("ann", "ben"))
    company.react(ann, "clicked", content="letter")
    company.advance(minutes=5)
    assert stages(company) == {"ann": "engaged", "ben": "new"}
    (click,) = company.rows("SELECT id FROM click")
    revise_click(database, click["id"], "machine", "dana", company.now)
    company.settle()
    assert not any(row["told_engaged"] for row in company.rows("SELECT told_engaged FROM lead"))
    company.react(ben, "submitted", argument="yes")
    company.settle()
    assert stages(company) == {"ann": "new", "ben": "engaged"}
    revise_click(database, click["id"], "person", "dana", company.now)
    company.settle()
    assert stages(company) == {"ann": "handed_off", "ben": "handed_off"}
    revise_click(database, click["id"], "machine", "dana", company.now)
    company.settle()
    told = company.rows("SELECT lead_id, status FROM handoff ORDER BY id")
    assert [tuple(row.values()) for row in told] == [(ann, "withdrawn"), (ben, "open")]
    assert stages(company) == {"ann": "new", "ben": "handed_off"}


def test_colleagues_who_become_engaged_at_once_learn_of_each_other(
    company: Company, database_url: str
) -> None:
    """Neither look sees the other's stage; the account's own pass wakes both afterwards."""
    ann, ben = (company.lead(name, account="Acme") for name in ("ann", "ben"))
    company.settle()
    told = [NewReaction("submitted", f"r{lead}", "test", lead_id=lead, argument="yes") for lead in (ann, ben)]
    record_reactions(company.database, told, company.now)
    other = open_database(database_url)
    with ThreadPoolExecutor(2) as threads:
        looks = [
            threads.submit(look, database, "prospects", company.now, chunk=1)
            for database in (company.database, other)
        ]
        assert sum(done.result(30).leads for done in looks) >= 2
    other.dispose()
    company.settle()
    assert stages(company) == {"ann": "handed_off", "ben": "handed_off"}

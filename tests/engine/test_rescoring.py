"""Points are a function of reactions, returns and agreement; a plan only asks what would be."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from leadnurture.engine import compare_agreements, rescore
from leadnurture.store import Database
from tests.engine.driver import Company, define

STARTS = datetime(2026, 12, 1, 8, tzinfo=UTC)
AGREEMENT = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
fit:
  role == "head": 20
engagement:
  live: 90 days
  points:
    submitted("yes"): 30
    downloaded: 5
    visited("/pricing*"): 4
    unsubscribed: -50
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 20 and engagement >= 30}
routing: [{to: [lena]}]
returns:
  no budget: {program: letters}
  wrong time: {go: resume}
"""
CLIENTS = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
engagement:
  points:
    downloaded: 7
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
    "clients/track": CLIENTS,
    "prospects/programs/letters": LETTERS,
    "content/letter": "kind: email\ntitle: {en: A letter}\n",
    "content/report": "kind: report\ntitle: {en: A report}\nlink: https://example.com/report\n",
}
POINTS = "SELECT lead_id, rule, subject, points, begins_at, ends_at FROM point ORDER BY 1, 2, 3, 5"


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), STARTS)


def lived(company: Company) -> dict[str, int]:
    """A few months: visits on two days, the same report twice, a return, a client, an unsubscribe."""
    leads = {name: company.lead(name, role="head") for name in ("ann", "ben", "eve", "zoe")}
    ann, ben, eve, zoe = leads.values()
    company.react(ann, "downloaded", content="report")
    company.react(ann, "visited", argument="/pricing/all")
    company.react(eve, "downloaded", content="report")
    company.advance(days=1)
    company.react(ann, "visited", argument="/pricing")
    company.react(ann, "downloaded", content="report")
    company.react(ben, "submitted", argument="yes")
    company.settle()
    company.give_back(ben, "no budget")
    company.react(ben, "downloaded", content="report")
    company.react(zoe, "unsubscribed")
    company.settle()
    company.win(eve)
    company.settle()
    company.react(eve, "downloaded", content="report")
    company.advance(days=100)
    company.react(ben, "submitted", argument="yes")
    company.settle()
    return leads


def test_counting_anew_under_the_same_agreement_changes_nothing(company: Company) -> None:
    lived(company)
    before = company.dump()
    assert len(company.rows(POINTS)) >= 7
    done = rescore(company.database, company.now, chunk=2)
    assert (done.leads, done.added, done.removed) == (4, 0, 0)
    assert company.dump() == before


def test_lost_and_wrong_points_are_mended_and_looked_at(company: Company) -> None:
    leads = lived(company)
    right = company.rows(POINTS)
    with company.database.write() as connection:
        connection.execute(text("DELETE FROM point WHERE rule LIKE 'visited%'"))
        wrong = "UPDATE point SET points = 99 WHERE rule = 'downloaded' AND lead_id = :lead"
        connection.execute(text(wrong), {"lead": leads["ann"]})
    done = rescore(company.database, company.now)
    assert (done.added, done.removed) == (3, 1)
    mended = company.rows(POINTS)
    assert mended == right
    woken = company.rows("SELECT id FROM lead WHERE look_at <= :now")
    assert [row["id"] for row in woken] == [leads["ann"]]


def test_a_changed_agreement_counts_what_was_done_before(company: Company, tmp_path: Path) -> None:
    leads = lived(company)
    company.apply(
        define(tmp_path, FILES | {"prospects/track": AGREEMENT.replace("downloaded: 5", "downloaded: 8")})
    )
    rescore(company.database, company.now)
    points = company.rows(
        "SELECT points, subject, ends_at FROM point WHERE rule = 'downloaded' AND lead_id = :lead",
        lead=leads["ann"],
    )
    assert [(row["points"], row["subject"]) for row in points] == [(8, "report")]


def test_a_plan_names_who_would_cross_and_who_no_longer(company: Company, tmp_path: Path) -> None:
    ann, ben, eve = (
        company.lead(name, role=role) for name, role in (("ann", "head"), ("ben", "head"), ("eve", ""))
    )
    company.react(ann, "downloaded", content="report")
    company.react(ben, "submitted", argument="yes")
    company.react(eve, "submitted", argument="yes")
    company.settle()
    before = company.dump()
    planned = AGREEMENT.replace("downloaded: 5", "downloaded: 30").replace(
        'submitted("yes"): 30', 'submitted("yes"): 10'
    )
    with company.database.read() as connection:
        told = compare_agreements(
            connection, define(tmp_path, FILES | {"prospects/track": planned}), company.now
        )
        same = compare_agreements(connection, company.definitions, company.now)
    prospects = told[0]
    assert (prospects.track, prospects.leads, prospects.changed) == ("prospects", 3, 3)
    assert [(one.email, one.score, one.planned) for one in prospects.crossing] == [
        ("ann@ann.example", 25, 50)
    ]
    assert [(one.email, one.score, one.planned) for one in prospects.falling] == [("ben@ben.example", 50, 30)]
    assert [(one.changed, one.crossing, one.falling) for one in same] == [(0, (), ())] * 2
    assert company.dump() == before

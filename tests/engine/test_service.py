"""Service mail: an answer to what he asked for leaves at once, counts for nothing and is never offered."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from leadnurture.store import Database
from tests.engine.driver import AGREEMENT, Company, define

# A Saturday evening.
NIGHT: Final = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)
POINTS: Final = "\nengagement: {points: {clicked: 3, replied: 7, downloaded: 10}}\n"
EMAIL: Final = "kind: email\ntitle: {title}\nlink: https://www.example.com/{title}\n{more}"


def program(send: str, more: str = "") -> str:
    return f"""
title: A file
owner: dana
enter: tag("asked")
steps:
  answer:
    send: {send}
{more}
    after: 1 week
  rest:
    after: 1 week
"""


def company(
    root: Path, database: Database, *, send: str = "file", step: str = "", more: str = "service: true"
) -> Company:
    files = {
        "prospects/track": AGREEMENT + POINTS,
        "clients/track": AGREEMENT.replace(
            "consent", "from: account manager\npreview: 3 business days\nconsent"
        ),
        "prospects/programs/answer": program(send, step),
        "clients/programs/answer-to-clients": program(send, step),
        "content/file": EMAIL.format(title="file", more=more),
        "content/letter": EMAIL.format(title="letter", more=""),
    }
    return Company(database, define(root, files, warned=False), NIGHT)


def test_it_leaves_at_once_at_any_hour(tmp_path: Path, database: Database) -> None:
    world = company(tmp_path, database)
    lead = world.lead("ann", tags=["asked"])
    world.settle()
    (mail,) = world.messages(lead)
    assert (mail["status"], mail["is_service"], mail["needs_consent"]) == ("sent", True, False)
    assert mail["planned_at"] == mail["send_at"]
    assert mail["late_at"] is None


def test_any_other_mail_waits_for_the_office(tmp_path: Path, database: Database) -> None:
    world = company(tmp_path, database, more="")
    lead = world.lead("ann", tags=["asked"])
    world.settle()
    (mail,) = world.messages(lead)
    assert (mail["status"], mail["is_service"]) == ("planned", False)
    assert mail["send_at"] > mail["planned_at"] or mail["planned_at"] > int(NIGHT.timestamp() * 1_000_000)


def test_the_hour_that_its_step_names_holds_also_on_a_sunday(tmp_path: Path, database: Database) -> None:
    world = company(tmp_path, database, step="    at: sunday 7:00")
    lead = world.lead("ann", tags=["asked"])
    world.settle()
    (mail,) = world.messages(lead)
    assert mail["send_at"] == int(datetime(2026, 11, 29, 6, tzinfo=UTC).timestamp() * 1_000_000)


def test_no_account_manager_sees_it_before(tmp_path: Path, database: Database) -> None:
    world = company(tmp_path, database)
    lead = world.lead("ann", tags=["asked"], facts={"account.deal_won": True}, account="Acme")
    world.settle()
    assert [(mail["track"], mail["status"]) for mail in world.messages(lead)] == [("clients", "sent")]


def test_it_is_never_offered(tmp_path: Path, database: Database) -> None:
    world = company(tmp_path, database, send="{next: email}")
    lead = world.lead("ann", tags=["asked"])
    world.settle()
    assert [mail["content"] for mail in world.messages(lead)] == ["letter"]


@pytest.mark.parametrize(("more", "engagement"), [("service: true", 10), ("", 20)])
def test_what_is_done_with_the_mail_earns_nothing_and_what_it_leads_to_does(
    tmp_path: Path, database: Database, more: str, engagement: int
) -> None:
    world = company(tmp_path, database, more=more)
    lead = world.lead("ann", tags=["asked"])
    world.settle()
    world.advance(days=3)
    for kind in ("clicked", "replied", "downloaded"):
        world.react(lead, kind, mail="answer")
    world.advance(hours=1)  # the click is judged meanwhile
    assert world.rows("SELECT 1 AS one FROM reaction WHERE kind = 'clicked'")
    (row,) = world.rows("SELECT engagement FROM lead WHERE id = :lead", lead=lead)
    assert row["engagement"] == engagement

"""Who a lead is to others: found by every address and id of his, mailed at none once he wants no mail."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import insert

from leadnurture.engine import (
    CRM,
    EMAIL,
    Imported,
    LeadInput,
    NewReaction,
    close_session,
    import_leads,
    leads_by_key,
    record_reactions,
)
from leadnurture.mail import deliver
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.engine.driver import MACHINE, Company, define
from tests.engine.people import FILES
from tests.engine.test_races import LINKS
from tests.mail.providers import Kept
from tests.profile.rows import count_statements

NOW: Final = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), NOW)


def tell(company: Company, *leads: LeadInput) -> Imported:
    return import_leads(company.database, leads, company.now, "test")


ANN: Final = LeadInput(
    "ann@ann.example", first_name="Ann", account="Ann & Sons", crm_id="17", keys={"Zoom": "z1"},
    addresses=["Ann@Private.example"],
)  # fmt: skip


@pytest.mark.parametrize(
    "again",
    [
        LeadInput("ANN@ann.example"),
        LeadInput("ann@private.example"),
        LeadInput("a.lee@elsewhere.example", crm_id="17"),
        LeadInput("a.lee@elsewhere.example", keys={"zoom": "z1"}),
        LeadInput("a.lee@elsewhere.example", addresses=["ann@ann.example"]),
        LeadInput("a.lee@elsewhere.example", addresses=["ann@private.example"]),
    ],
)
def test_a_lead_is_found_by_every_address_and_id(company: Company, again: LeadInput) -> None:
    first = tell(company, ANN)
    assert tell(company, ANN) == Imported(0, 0, 1, first.lead_ids)
    assert tell(company, again).lead_ids == first.lead_ids
    assert tell(company, again) == Imported(0, 0, 1, first.lead_ids)
    told = company.rows(
        "SELECT l.email, l.first_name, a.name FROM lead l JOIN account a ON a.id = l.account_id"
    )
    assert told == [{"email": "ann@ann.example", "first_name": "Ann", "name": "Ann & Sons"}]
    keys = {(row["system"], row["key"]) for row in company.rows("SELECT * FROM lead_key")}
    own = (
        {("email", again.email)} if again.email.islower() and again.email != "ann@private.example" else set()
    )
    assert keys == {("zoom", "z1"), ("email", "ann@private.example"), *own}


def test_rows_of_one_file_about_one_person_are_one_lead(company: Company) -> None:
    rows = [
        LeadInput("a@x.example", crm_id="1", tags=["one"]),
        LeadInput("b@x.example", addresses=["c@x.example"], tags=["two"]),
        LeadInput("d@x.example", crm_id="1", last_name="Lee", tags=["three"]),
        LeadInput("c@x.example", first_name="Bo"),
    ]
    told = tell(company, *rows)
    assert told.created == 2
    assert told.lead_ids[0] == told.lead_ids[2]
    assert told.lead_ids[1] == told.lead_ids[3]
    names = company.rows("SELECT email, first_name, last_name FROM lead ORDER BY email")
    assert [tuple(row.values()) for row in names] == [("a@x.example", "", "Lee"), ("b@x.example", "Bo", "")]
    assert len(company.rows("SELECT tag FROM lead_tag WHERE lead_id = :lead", lead=told.lead_ids[0])) == 2


def test_two_rows_that_only_the_database_knows_to_be_one_are_put_together(company: Company) -> None:
    (ann,) = tell(company, ANN).lead_ids
    told = tell(
        company,
        LeadInput("ann@ann.example", last_name="Lee", facts={"plan": "big"}),
        LeadInput("new@x.example", last_name="Wu"),
        LeadInput("ann@private.example", role="head", facts={"plan": "bigger"}),
    )
    assert (told.created, told.updated, told.lead_ids[0], told.lead_ids[2]) == (1, 1, ann, ann)
    (row,) = company.rows("SELECT last_name, role FROM lead WHERE id = :lead", lead=ann)
    assert row == {"last_name": "Lee", "role": "head"}


def test_a_reaction_is_his_whichever_address_is_told(company: Company) -> None:
    (ann,) = tell(company, ANN).lead_ids
    told = NewReaction("visited", "1", "web", email="ANN@private.example", argument="/pricing")
    assert record_reactions(company.database, [told], company.now).recorded == 1
    assert company.rows("SELECT lead_id FROM reaction") == [{"lead_id": ann}]


def test_who_came_under_another_address_has_not_missed_it(company: Company) -> None:
    (ann,) = tell(company, ANN).lead_ids
    company.react(ann, "registered", content="talk", session="june")
    afterwards = company.now + timedelta(days=365)
    close_session(company.database, "talk", "june", ["ann@private.example"], afterwards, "test")
    assert company.rows("SELECT kind FROM standing") == [{"kind": "attended"}]
    assert company.rows("SELECT kind FROM reaction WHERE kind = 'missed'") == []


def test_many_are_found_by_the_keys_of_a_system(company: Company) -> None:
    (ann,) = tell(company, ANN).lead_ids
    with company.database.read() as connection:
        for system, key in (
            (EMAIL, "ann@ann.example"),
            (EMAIL, "ann@private.example"),
            (CRM, "17"),
            ("zoom", "z1"),
        ):
            assert leads_by_key(connection, system, [key, "nobody"]) == {key: ann}


# Mail that he wants no more


def planned(company: Company, **told: object) -> int:
    """A lead with two addresses, to whose main one a mail is due."""
    ann = company.lead("ann", tags=["series"], addresses=["ann@private.example"], **told)
    company.look()
    company.wave()
    assert [mail["status"] for mail in company.messages(ann)] == ["planned"]
    return ann


def sent(company: Company) -> list[str]:
    kept = Kept()
    deliver(company.database, kept, LINKS, company.now, machine_now=MACHINE, parallel=1)
    return [mail.to for mail in kept.mails]


def test_a_mail_leaves_where_nobody_unsubscribed(company: Company) -> None:
    planned(company)
    assert sent(company) == ["ann@ann.example"]


def by_reaction(company: Company) -> None:
    told = NewReaction("unsubscribed", "1", "web", email="ann@private.example")
    record_reactions(company.database, [told], company.now)


def by_row_alone(company: Company) -> None:
    """As if it had been told of an address that nobody knew to be his; only the claim is there to see it."""
    row = {"email_key": "ann@private.example", "reason": "unsubscribed", "at": company.now}
    with company.database.write() as connection:
        connection.execute(insert(metadata.tables["suppression"]).values(row))


@pytest.mark.parametrize("unsubscribe", [by_reaction, by_row_alone])
def test_an_unsubscribe_of_one_address_stops_the_mail_to_another(
    company: Company, unsubscribe: Callable[[Company], None]
) -> None:
    ann = planned(company)
    unsubscribe(company)
    assert sent(company) == []
    company.look()
    company.wave()
    assert sent(company) == []
    assert {mail["status"] for mail in company.messages(ann)} <= {"cancelled", "planned"}
    assert company.messages(ann)[0]["status"] == "cancelled"


def test_an_address_that_is_told_later_is_under_the_unsubscribe_too(company: Company) -> None:
    ann = company.lead("ann")
    company.react(ann, "unsubscribed")
    tell(company, LeadInput("ann@ann.example", addresses=["ann@private.example"]))
    assert {row["email_key"] for row in company.rows("SELECT email_key FROM suppression")} == {
        "ann@ann.example", "ann@private.example"
    }  # fmt: skip
    tell(company, LeadInput("gone@x.example"), LeadInput("ben@x.example"))
    by_key = NewReaction("complained", "2", "web", email="gone@x.example")
    record_reactions(company.database, [by_key], company.now)
    tell(company, LeadInput("ben@x.example", addresses=["other@x.example"]))
    assert len(company.rows("SELECT email_key FROM suppression")) == 3


def test_a_bounce_is_one_address_s(company: Company) -> None:
    ann = planned(company)
    told = NewReaction("bounced", "1", "web", email="ann@private.example")
    record_reactions(company.database, [told], company.now)
    assert [row["email_key"] for row in company.rows("SELECT email_key FROM suppression")] == [
        "ann@private.example"
    ]
    company.look()
    assert sent(company) == ["ann@ann.example"]
    company.react(ann, "bounced", message_id=company.mail(ann, "write"), lead_id=None)
    assert len(company.rows("SELECT email_key FROM suppression")) == 2


def test_an_import_by_ids_costs_the_same_for_ten_and_for_a_thousand(company: Company) -> None:
    def lead(mark: str) -> LeadInput:
        return LeadInput(
            f"{mark}@x.example", crm_id=mark, addresses=[f"{mark}@y.example"], keys={"zoom": mark}
        )

    def leads(count: int, mark: str) -> list[LeadInput]:
        return [lead(f"{mark}{number}") for number in range(count)]

    def cost(count: int, mark: str) -> int:
        return count_statements(
            company.database, lambda: import_leads(company.database, leads(count, mark), NOW, "t")
        )

    cost(1, "warm")
    assert cost(10, "a") == cost(1000, "b") == cost(1000, "b")

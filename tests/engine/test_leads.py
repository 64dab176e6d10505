"""Leads come in: matched without regard to case, accounts by domain and name, nothing erased by silence."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from leadnurture.bench.course import definitions
from leadnurture.engine import LeadInput, apply_definitions, import_leads
from leadnurture.store import Database

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture(name="applied")
def _applied(database: Database) -> Database:
    apply_definitions(database, definitions(), [], NOW)
    return database


def _rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_the_same_person_in_other_case_is_one_lead(applied: Database) -> None:
    imported = import_leads(
        applied, [LeadInput("Ann@acme.example"), LeadInput(" ann@ACME.example ")], NOW, "test"
    )
    assert imported.lead_ids[0] == imported.lead_ids[1]
    assert (imported.created, imported.updated) == (1, 0)


def test_the_same_leads_again_change_nothing(applied: Database) -> None:
    leads = [
        LeadInput("ann@acme.example", first_name="Ann", tags=["expo"], facts={"account.employees": 20}),
        LeadInput("bob@gmail.com", interests=["scaling"], consents=[("marketing", NOW, "form", "")]),
    ]
    import_leads(applied, leads, NOW, "test")
    again = import_leads(applied, leads, NOW, "test")
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


def test_an_empty_cell_erases_nothing(applied: Database) -> None:
    import_leads(applied, [LeadInput("ann@acme.example", first_name="Ann", zone="Asia/Tokyo")], NOW, "test")
    import_leads(applied, [LeadInput("ann@acme.example", last_name="Lee")], NOW, "test")
    assert _rows(applied, "SELECT first_name, last_name, zone FROM lead") == [("Ann", "Lee", "Asia/Tokyo")]


def test_an_invalid_zone_is_the_company_s_and_drops_nobody(applied: Database) -> None:
    import_leads(applied, [LeadInput("ann@acme.example", zone="Mars/Olympus")], NOW, "test")
    assert _rows(applied, "SELECT zone, zone_given FROM lead") == [("Europe/Berlin", "Mars/Olympus")]


def test_a_free_mail_domain_forms_no_account(applied: Database) -> None:
    import_leads(applied, [LeadInput("ann@gmail.com")], NOW, "test")
    assert _rows(applied, "SELECT count(*) FROM account") == [(0,)]


def test_an_account_bears_the_name_that_is_told_not_that_of_its_domain(applied: Database) -> None:
    leads = [LeadInput("a@fjell.example"), LeadInput("b@fjell.example", account="Fjellheim Kraft AS")]
    import_leads(applied, leads, NOW, "test")
    assert _rows(applied, "SELECT name, domain FROM account") == [("Fjellheim Kraft AS", "fjell.example")]


def test_a_name_that_is_told_later_replaces_that_of_the_domain(applied: Database) -> None:
    import_leads(applied, [LeadInput("a@acme.example")], NOW, "test")
    import_leads(applied, [LeadInput("b@acme.example", account="Acme Werke GmbH")], NOW, "test")
    assert _rows(applied, "SELECT name FROM account") == [("Acme Werke GmbH",)]
    assert _rows(applied, "SELECT count(DISTINCT account_id) FROM lead") == [(1,)]

"""What is done about one person, or for a file of them, goes through no table that grows with the others."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from leadnurture import reports
from leadnurture.engine import Feedback, LeadInput, add_note, merge_leads, record_feedback, undo_merge
from leadnurture.profile import export_person
from leadnurture.store import Database, open_database
from tests.engine.driver import Company, define
from tests.engine.people import FILES
from tests.plans import Plans

NOW: Final = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """SQLite tells its plans in words that say what is gone through."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


def test_nobody_pays_for_those_whom_it_is_not_about(database: Database, tmp_path: Path) -> None:
    company = Company(database, define(tmp_path, FILES), NOW)
    plans = Plans()
    with plans.watched(database.engine):
        consented = LeadInput("ann@x.example", crm_id="17", consents=[("marketing", None, "", "")])
        known_as = replace(consented, addresses=["ann@old.example"], keys={"zoom": "z1"})
        for one in (consented, known_as):
            other = LeadInput("anna@x.example", crm_id="18", tags=["series", "letters"])
            ann, twin = company.leads(one, other)
        company.react(ann, "unsubscribed")
        company.sleep(days=180)
        company.close("talk", "june", "anna@x.example")
        add_note(database, ann, "Met at the fair", "dana", NOW)
        record_feedback(database, twin, Feedback("later", "by mail", "form-00001"), "dana", NOW)
        number = merge_leads(database, ann, twin, "dana", NOW).id
        with database.read() as connection:
            reports.leads(connection, search="ann x", program="series", least=3)
            reports.journey(connection, twin, NOW)
        export_person(database, twin, "dana", NOW)
        undo_merge(database, number, "dana", NOW)
    assert len(plans.seen) > 100
    assert "\n".join(plans.told()) == ""

"""Two leads who are one person: nothing of either is lost, nothing counts twice, and it can be undone."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import event, insert

from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import (
    Feedback,
    LeadInput,
    add_note,
    decide_handoff,
    find_lead,
    import_leads,
    merge_leads,
    record_feedback,
    rescore,
    undo_merge,
)
from leadnurture.engine.changes import OF_LEADS
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.profile import export_person
from leadnurture.reports import journey
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.engine.driver import Company, define
from tests.engine.people import FILES, everything, ids

NOW: Final = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
ABOUT: Final[Mapping[ReactionKind, Mapping[str, str]]] = {
    "downloaded": {"content": "guide"},
    "registered": {"content": "talk", "session": "june"},
    "replied": {"content": "letter"},
}


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), NOW)


@pytest.fixture
def twins(company: Company) -> tuple[int, int]:
    """Ann and the same Ann under another address, both in the midst of things."""
    ann = company.lead("ann", first_name="Ann", tags=["series", "expo"], crm_id="17", facts={"plan": "big"})
    told = {"plan": "small", "account.employees": 20}
    consents = [("marketing", NOW, "fair", "Yes"), ("phone", NOW, "", "")]
    tags = ["series", "letters"]
    about = {"last_name": "Lee", "role": "chief", "crm_id": "18"}
    twin = company.lead("anna", tags=tags, facts=told, consents=consents, **about)
    company.advance(days=1)
    did: Mapping[int, Sequence[ReactionKind]] = {
        twin: ("downloaded", "registered", "replied"),
        ann: ("registered", "downloaded"),
    }
    for lead, kinds in did.items():
        company.advance(hours=1)
        for kind in kinds:
            company.react(lead, kind, **ABOUT[kind])
    company.react(twin, "attended", content="talk", session="june")
    add_note(company.database, twin, "Met at the fair", "dana", company.now)
    record_feedback(company.database, ann, Feedback("later", "by mail", "form-00001"), "dana", company.now)
    company.settle()
    return ann, twin


def merge(company: Company, kept: int, gone: int) -> int:
    return merge_leads(company.database, kept, gone, "dana", company.now).id


def test_everything_of_both_is_the_one_s_and_counts_once(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    both = ("reaction", "message", "transition", "lead_note", "stage_change", "enrollment")
    before = {table: ids(company, table, ann) | ids(company, table, twin) for table in both}
    assert min(map(len, before.values())) >= 2
    merge(company, ann, twin)
    assert company.rows("SELECT id FROM lead") == [{"id": ann}]
    for table, known in before.items():
        assert known <= ids(company, table, ann), table
        assert ids(company, table, twin) == set(), table
    counted = company.rows("SELECT rule, subject, points FROM point ORDER BY rule, subject")
    assert [(row["rule"], row["subject"], row["points"]) for row in counted] == [
        ("attended", "talk", 20), ("downloaded", "guide", 10), ("registered", "talk", 5)
    ]  # fmt: skip
    assert company.rows("SELECT content, session, kind FROM standing") == [
        {"content": "talk", "session": "june", "kind": "attended"}
    ]
    live = company.rows("SELECT program FROM enrollment WHERE status IN ('active', 'paused')")
    assert sorted(row["program"] for row in live) == ["letters", "series"]
    (lead,) = company.rows("SELECT first_name, last_name, role, crm_id, email_key, stage FROM lead")
    assert tuple(lead.values()) == ("Ann", "Lee", "chief", "17", "ann@ann.example", "engaged")
    assert company.rows("SELECT name, text FROM lead_fact") == [{"name": "plan", "text": "big"}]
    assert {row["tag"] for row in company.rows("SELECT tag FROM lead_tag")} == {"series", "expo", "letters"}
    assert {row["purpose"] for row in company.rows("SELECT purpose FROM consent")} == {"marketing", "phone"}
    assert [row["act"] for row in company.rows("SELECT act FROM audit WHERE act = 'merged leads'")]


def test_points_are_those_that_the_reactions_of_both_give(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    merge(company, ann, twin)
    before = company.rows("SELECT rule, subject, points, reaction_id, begins_at FROM point ORDER BY rule")
    done = rescore(company.database, company.now)
    assert (done.added, done.removed) == (0, 0)
    assert (
        company.rows("SELECT rule, subject, points, reaction_id, begins_at FROM point ORDER BY rule")
        == before
    )
    company.settle()
    assert company.rows("SELECT engagement, fit, stage FROM lead") == [
        {"engagement": 35, "fit": 0, "stage": "engaged"}
    ]


def test_the_enrollment_that_began_first_goes_on(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    first = company.enrollment(ann, "series")
    later = company.enrollment(twin, "series")
    assert first["id"] < later["id"]
    merge(company, twin, ann)
    rows = {row["id"]: row for row in company.rows("SELECT id, status, lead_id FROM enrollment")}
    assert rows[first["id"]]["status"] == "active"
    assert rows[later["id"]]["status"] == "exited"
    assert {row["lead_id"] for row in rows.values()} == {twin}
    (why,) = company.rows("SELECT rule FROM transition WHERE status = 'exited'")
    assert why["rule"] == f"merged with lead {ann}"
    company.advance(days=20)
    assert company.rows("SELECT step FROM enrollment WHERE id = :id", id=first["id"]) == [{"step": "again"}]


def test_undoing_restores_row_for_row(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    company.leads(LeadInput("ann@ann.example", addresses=["ann@old.example"], keys={"zoom": "z1"}))
    for kept, gone in ((ann, twin), (twin, ann)):
        company.settle()
        before = everything(company.database)
        number = merge(company, kept, gone)
        assert everything(company.database) != before
        undo_merge(company.database, number, "dana", company.now)
        after = everything(company.database)
        assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    assert len(company.rows("SELECT id FROM audit WHERE act = 'undid a merge'")) == 2


def test_undoing_restores_two_open_offers_and_the_pauses(company: Company) -> None:
    ann, twin = offered(company, "ann", "anna")
    before = everything(company.database)
    undo_merge(company.database, merge(company, ann, twin), "dana", company.now)
    after = everything(company.database)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}


def test_what_came_since_stays_where_it_belongs(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    his_mail = company.mail(twin, "invite")
    number = merge(company, ann, twin)
    company.react(ann, "downloaded", content="letter")
    company.react(ann, "submitted", message_id=his_mail, lead_id=None, argument="yes")
    company.advance(days=40)
    moved = company.enrollment(ann, "letters")
    assert moved["status"] != "active"
    undo_merge(company.database, number, "dana", company.now)
    company.settle()
    his = company.rows("SELECT content FROM reaction WHERE kind = 'submitted' AND lead_id = :lead", lead=twin)
    assert [row["content"] for row in his] == ["talk"]
    own = company.rows("SELECT kind FROM reaction WHERE content = 'letter' AND lead_id = :lead", lead=ann)
    assert "downloaded" in [row["kind"] for row in own]
    (again,) = company.rows("SELECT status, step FROM enrollment WHERE id = :id", id=moved["id"])
    assert again == {"status": moved["status"], "step": moved["step"]}
    assert company.rows("SELECT lead_id FROM enrollment WHERE id = :id", id=moved["id"]) == [
        {"lead_id": twin}
    ]
    orphans = company.rows("""
        SELECT t.id FROM transition t JOIN enrollment e ON e.id = t.enrollment_id AND e.lead_id <> t.lead_id
         UNION ALL
        SELECT m.id FROM message m JOIN enrollment e ON e.id = m.enrollment_id AND e.lead_id <> m.lead_id
         UNION ALL
        SELECT r.id FROM reaction r JOIN message m ON m.id = r.message_id AND r.lead_id <> m.lead_id""")
    assert orphans == []


def offered(company: Company, *names: str) -> list[int]:
    leads = [company.lead(name, role="head", tags=["series"]) for name in names]
    company.settle()
    for lead in leads:
        company.react(lead, "submitted", argument="yes")
    company.settle()
    assert [row["status"] for row in company.rows("SELECT status FROM handoff")] == ["open"] * len(leads)
    return leads


def test_of_two_open_offers_the_kept_one_s_stays(company: Company) -> None:
    ann, twin = offered(company, "ann", "anna")
    offers = {lead: company.handoff(lead) for lead in (ann, twin)}
    merge(company, ann, twin)
    rows = {row["id"]: row for row in company.rows("SELECT id, status, decided_by, lead_id FROM handoff")}
    assert (rows[offers[ann]]["status"], rows[offers[twin]]["status"]) == ("open", "withdrawn")
    assert {row["lead_id"] for row in rows.values()} == {ann}
    assert {row["status"] for row in company.rows("SELECT status FROM enrollment")} == {"paused", "exited"}
    accepted = decide_handoff(company.database, offers[ann], "accepted", "lena", company.now)
    assert accepted.was_open
    late = decide_handoff(company.database, offers[twin], "accepted", "lena", company.now)
    assert (late.status, late.was_open) == ("withdrawn", False)


def test_the_other_s_offer_goes_with_him_and_pauses_all(company: Company) -> None:
    (twin,) = offered(company, "anna")
    ann = company.lead("ann", tags=["letters"])
    company.settle()
    offer = company.handoff(twin)
    merge(company, ann, twin)
    assert company.handoff(ann) == offer
    live = company.rows("SELECT program, status, pause FROM enrollment WHERE status IN ('active', 'paused')")
    assert {(row["program"], row["status"], row["pause"]) for row in live} == {
        ("series", "paused", "handoff"), ("letters", "paused", "handoff")
    }  # fmt: skip
    decided = decide_handoff(company.database, offer, "returned", "lena", company.now, reason="no budget")
    assert decided.was_open
    assert company.rows("SELECT stage FROM lead") == [{"stage": "engaged"}]
    assert {row["status"] for row in company.rows("SELECT status FROM enrollment")} == {"active"}


def test_whoever_is_with_sales_already_is_offered_no_more_and_nurtured_no_more(company: Company) -> None:
    ann, twin = offered(company, "ann", "anna")
    company.accept(ann)
    merge(company, twin, ann)
    assert company.rows("SELECT stage FROM lead") == [{"stage": "accepted"}]
    assert {row["status"] for row in company.rows("SELECT status FROM handoff")} == {"accepted", "withdrawn"}
    assert company.rows("SELECT id FROM enrollment WHERE status IN ('active', 'paused')") == []


def test_the_number_of_the_other_still_finds_and_still_reacts(
    company: Company, twins: tuple[int, int]
) -> None:
    ann, twin = twins
    merge(company, ann, twin)
    with company.database.read() as connection:
        for ref in (twin, str(twin), "ANNA@anna.example", "ann@ann.example", ann):
            assert find_lead(connection, ref).id == ann
        told = journey(connection, twin, company.now)
    assert any("made one with lead" in entry.text for entry in told.story)
    assert any(entry.text == "Consented to marketing" and "fair" in entry.why for entry in told.story)
    assert company.react(twin, "visited", argument="/pricing").recorded == 1
    assert company.leads(
        LeadInput("anna@anna.example", tags=["again"]), LeadInput("new@x.example", crm_id="18")
    ) == (ann, ann)
    assert len(company.rows("SELECT id FROM lead")) == 1


def test_a_merge_of_a_merge_leads_on_and_is_undone_in_turn(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    third = company.lead("third")
    before = everything(company.database)
    first = merge(company, ann, twin)
    second = merge(company, third, ann)
    with company.database.read() as connection:
        assert find_lead(connection, twin).id == third
    with pytest.raises(InvalidInputError, match="undo that merge first"):
        undo_merge(company.database, first, "dana", company.now)
    undo_merge(company.database, second, "dana", company.now)
    undo_merge(company.database, first, "dana", company.now)
    assert everything(company.database) == before
    with pytest.raises(InvalidInputError, match="undone already"):
        undo_merge(company.database, first, "dana", company.now)


def test_the_copy_holds_what_was_noted_of_both_and_once_undone_of_one(
    company: Company,
) -> None:
    first, second, third = (company.lead(name) for name in ("anna", "bert", "carl"))
    add_note(company.database, first, "Met at the fair", "dana", company.now)
    merges = [merge(company, second, first), merge(company, third, second)]
    held = export_person(company.database, third, "dana", company.now)
    told = ["noted something", "merged leads", "merged leads", "exported all that is held"]
    assert [row["act"] for row in held["audit"]] == told
    assert [row["id"] for row in held["lead_merge"]] == merges
    for number in reversed(merges):
        undo_merge(company.database, number, "dana", company.now)
    held = export_person(company.database, second, "dana", company.now)
    assert held["lead_merge"] == []
    assert not {"anna", "carl"} & set(re.findall(r"\w+", str(held)))


def test_an_unsubscribe_of_the_one_holds_for_the_one_they_become(
    company: Company, twins: tuple[int, int]
) -> None:
    ann, twin = twins
    company.react(twin, "unsubscribed")
    merge(company, ann, twin)
    assert {(row["email_key"], row["reason"]) for row in company.rows("SELECT * FROM suppression")} == {
        ("ann@ann.example", "unsubscribed"), ("anna@anna.example", "unsubscribed")
    }  # fmt: skip
    company.settle()
    assert company.rows("SELECT id FROM enrollment WHERE status IN ('active', 'paused')") == []


def test_mail_goes_to_the_address_at_which_it_arrives(company: Company, twins: tuple[int, int]) -> None:
    ann, twin = twins
    company.react(ann, "bounced")
    before = everything(company.database)
    number = merge(company, ann, twin)
    assert company.rows("SELECT id, email FROM lead") == [{"id": ann, "email": "anna@anna.example"}]
    assert company.rows("SELECT email_key FROM suppression") == [{"email_key": "ann@ann.example"}]
    undo_merge(company.database, number, "dana", company.now)
    assert everything(company.database) == before


def test_the_last_word_about_a_consent_holds(company: Company) -> None:
    ann = company.lead("ann", consents=[("marketing", NOW - timedelta(days=30), "form", "Yes")])
    twin = company.lead("anna", consents=[("marketing", NOW - timedelta(days=90), "fair", "Yes")])
    company.leads(LeadInput("anna@anna.example", withdrawn=["marketing"]))
    merge(company, ann, twin)
    (row,) = company.rows("SELECT source, withdrawn_at FROM consent")
    assert (row["source"], row["withdrawn_at"] is not None) == ("fair", True)


@pytest.mark.parametrize("wrong", ["same", "address", "unknown", "merge"])
def test_what_cannot_be_merged_is_refused(company: Company, wrong: str) -> None:
    ann = company.lead("ann")
    before = everything(company.database, but=frozenset())
    calls: dict[str, Callable[[], object]] = {
        "same": lambda: merge_leads(company.database, ann, ann, "dana", company.now),
        "address": lambda: merge_leads(company.database, ann, " ANN@ann.example", "dana", company.now),
        "unknown": lambda: merge_leads(company.database, ann, "nobody@x.example", "dana", company.now),
        "merge": lambda: undo_merge(company.database, 7, "dana", company.now),
    }
    with pytest.raises((InvalidInputError, NotFoundError)):
        calls[wrong]()
    assert everything(company.database, but=frozenset()) == before


def test_a_merge_costs_the_same_whatever_they_did(company: Company) -> None:
    def merged(name: str, reactions: int) -> int:
        ann, twin = company.lead(name), company.lead(f"{name}-too")
        for lead in (ann, twin):
            for number in range(reactions):
                company.react(lead, "visited", argument=f"/{number}")
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        event.listen(company.database.engine, "before_cursor_execute", count)
        merge(company, ann, twin)
        event.remove(company.database.engine, "before_cursor_execute", count)
        return counted

    assert merged("few", 1) == merged("many", 40)


def test_of_two_tasks_for_what_is_missing_one_stays_and_undoing_gives_both_back(
    company: Company, twins: tuple[int, int]
) -> None:
    ann, twin = twins
    task, answers = metadata.tables["task"], metadata.tables["answer"]
    with company.database.write() as connection:
        for lead in twins:
            row = {"lead_id": lead, "text": "Find out what is missing: role", "opened_at": company.now}
            connection.execute(insert(task).values(status="open", **row))
        told = {"lead_id": twin, "task_id": 2, "name": "role", "answer": "Head", "told_by": "dana"}
        connection.execute(insert(answers).values(at=company.now, **told))
    number = merge(company, ann, twin)
    question = "SELECT id, lead_id, status FROM task ORDER BY id"
    assert [tuple(row.values()) for row in company.rows(question)] == [
        (1, ann, "open"),
        (2, ann, "withdrawn"),
    ]
    assert company.rows("SELECT lead_id FROM answer") == [{"lead_id": ann}]
    undo_merge(company.database, number, "dana", company.now)
    assert [tuple(row.values()) for row in company.rows(question)] == [(1, ann, "open"), (2, twin, "open")]
    assert company.rows("SELECT lead_id FROM answer") == [{"lead_id": twin}]


def test_no_table_about_leads_is_unique_in_a_way_that_merging_does_not_know() -> None:
    """Whoever adds a partial unique index about leads must say what becomes of two rows."""
    known = {"uq_enrollment_live", "uq_handoff_open", "uq_task_missing"}
    unique = {
        str(index.name)
        for table in OF_LEADS
        for index in table.indexes
        if index.unique and "lead_id" in index.columns
    }
    assert unique == known
    lead = metadata.tables["lead"]
    referring = {
        table.name
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is lead
    }
    assert referring <= {table.name for table in OF_LEADS}


def test_an_import_tells_of_two_who_seem_to_be_one(company: Company) -> None:
    ann, ben = company.leads(LeadInput("ann@ann.example", crm_id="17"), LeadInput("ben@ann.example"))
    told = import_leads(company.database, [LeadInput("ben@ann.example", crm_id="17")], company.now, "test")
    assert (told.lead_ids, told.doubles) == ((ben,), ((ben, ann),))
    assert company.rows("SELECT id, crm_id FROM lead ORDER BY id") == [
        {"id": ann, "crm_id": "17"}, {"id": ben, "crm_id": None}
    ]  # fmt: skip

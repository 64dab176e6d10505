import json
from dataclasses import replace

from leadnurture.reports import as_json, duplicates, render_status, status
from leadnurture.store import Database
from tests.profile.rows import (
    DAY,
    NOW,
    add,
    add_enrollment,
    add_handoff,
    add_ingrid,
    add_lead,
    add_message,
    add_reaction,
    apply,
    count_statements,
)  # fmt: skip


def some_of_all(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_ingrid(connection)
        enrollment_id = add_enrollment(connection, lead_id, "scaling-series", "invite", due_at=NOW)
        add_message(connection, enrollment_id, lead_id, "invite")
        handoff_id = add_handoff(connection, lead_id)
        add(
            connection,
            "notice",
            lead_id=lead_id,
            handoff_id=handoff_id,
            kind="handoff",
            person="lena",
            status="planned",
            planned_at=NOW,
            attempts=0,
        )
        add_lead(connection, "Ben Two", look_at=NOW)
        post = {"source": "sendgrid", "body": b"[]", "received_at": NOW, "attempts": 0}
        first, *_ = (
            add(connection, "inbox", status=status, **post) for status in ("done", "new", "unusable", "done")
        )
        for position, outcome in enumerate(("recorded", "unknown kind", "not ours", "unknown kind")):
            about = {"inbox_id": first, "position": position, "source": "sendgrid", "key": str(position)}
            add(connection, "inbox_item", kind="open", outcome=outcome, **about)


def test_the_numbers_of_everything(database: Database) -> None:
    some_of_all(database)
    with database.read() as connection:
        numbers = status(connection, NOW)
    assert (numbers.leads, numbers.enrollments, numbers.due, numbers.looks_due) == (4, 1, 1, 1)
    assert numbers.messages == {"sent": 1}
    assert numbers.reactions == {"clicked": 2, "attended": 1, "downloaded": 1, "feedback": 1, "visited": 1}
    assert numbers.handoffs == {"open": 1}
    assert numbers.notices == {"planned": 1}
    assert numbers.inbox == {"new": 1, "unusable": 1}
    assert numbers.inbox_items == {"unknown kind": 2, "not ours": 1}
    assert numbers.stages == {"new": 3, "handed_off": 1}


def test_whoever_reacts_often_is_one_lead(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        ann, ben = (add_lead(connection, name) for name in ("Ann One", "Ben Two"))
        for content in ("scaling-1", "downtime-costs", "two-clouds"):
            add_reaction(connection, ann, "declined", NOW, content=content)
        for lead_id in (ann, ben):
            add_reaction(connection, lead_id, "clicked", NOW)
    with database.read() as connection:
        numbers = status(connection, NOW)
    assert list(numbers.reactions.items()) == [("declined", 3), ("clicked", 2)]
    assert list(numbers.reacting.items()) == [("clicked", 2), ("declined", 1)]


def test_a_machine_reads_them_as_json(database: Database) -> None:
    some_of_all(database)
    with database.read() as connection:
        told = json.loads(json.dumps(as_json(status(connection, NOW))))
    assert told["leads"] == 4
    assert told["messages"] == {"sent": 1}
    assert told["now"] == "2026-12-07T08:00:00+00:00"
    assert {row["name"] for row in told["programs"]} >= {"scaling-series", "quiet-client"}


def test_a_person_reads_them_in_a_terminal(database: Database) -> None:
    some_of_all(database)
    with database.read() as connection:
        text = render_status(status(connection, NOW))
    assert text.startswith("4 leads, 1 enrollment, 1 due now\n")
    assert "stages            new 3, handed off 1\n" in text
    assert "handoffs          open 1\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_many_kinds_take_a_line_more_under_the_first(database: Database) -> None:
    kinds = {f"reaction{number}": number for number in range(8)}
    with database.read() as connection:
        numbers = replace(status(connection, NOW), reactions=kinds)
    lines = render_status(numbers).splitlines()
    (first,) = (index for index, line in enumerate(lines) if line.startswith("reactions"))
    assert lines[first + 1].startswith(" " * 18 + "reaction")
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "There is no program yet; `leadnurture apply` brings them in."


def test_an_empty_project_has_numbers_too(database: Database) -> None:
    apply(database)
    with database.read() as connection:
        assert status(connection, NOW).leads == 0
        assert duplicates(connection) == 0
        assert "none" in render_status(status(connection, NOW))


def test_a_content_that_came_twice_is_a_duplicate_whichever_step_sent_it(database: Database) -> None:
    some_of_all(database)
    with database.write() as connection:
        assert duplicates(connection) == 0
        add_message(connection, 1, 1, "invite", visit=2, session="january")
        add_message(connection, 1, 1, "letter", status="failed")
        add_message(connection, 1, 1, "again", status="planned")
        assert duplicates(connection) == 0
        add_message(connection, 1, 1, "recording", status="unknown")
        add_message(connection, 1, 1, "thanks", sent_at=NOW + DAY)
        assert duplicates(connection) == 2


def test_the_number_of_statements_is_fixed(database: Database) -> None:
    some_of_all(database)

    def ask() -> None:
        with database.read() as connection:
            status(connection, NOW)

    assert count_statements(database, ask) == 15

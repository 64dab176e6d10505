import json

import pytest
from sqlalchemy import update

from leadnurture.errors import NotFoundError
from leadnurture.reports import HandoffList, as_json, handoff, handoff_list
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import (
    DAY,
    HOUR,
    NOW,
    add,
    add_handoff,
    add_ingrid,
    add_lead,
    apply,
    count_statements,
)  # fmt: skip

HANDOFF = metadata.tables["handoff"]
POINT = metadata.tables["point"]


def desk(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        assigned = {"assigned_to": "lena", "remind_at": NOW + 2 * HOUR, "due_at": NOW + 4 * HOUR}
        ingrid = add_ingrid(connection)
        handoff_id = add_handoff(connection, ingrid, score=135, **assigned)
        add(
            connection, "notice", lead_id=ingrid, handoff_id=handoff_id, kind="handoff", person="lena",
            status="sent", planned_at=NOW, sent_at=NOW, attempts=1,
        )  # fmt: skip
        add_handoff(connection, add_lead(connection, "Ben Two"), score=200)
        returned = {
            "status": "returned",
            "decided_at": NOW - HOUR,
            "decided_by": "marc",
            "return_reason": "no budget",
        }
        add_handoff(connection, add_lead(connection, "Cyd Three"), **returned)
        add_handoff(connection, add_lead(connection, "Dan Four", track="clients"), track="clients")
        almost = add_lead(connection, "Eve Five", score=99)
        add(connection, "almost_qualified", lead_id=almost, missing="role,country", since_at=NOW - DAY)


def listed(database: Database, hours: int = 0) -> HandoffList:
    with database.read() as connection:
        return handoff_list(connection, "prospects", NOW + hours * HOUR)


def test_open_handoffs_come_by_score_with_their_evidence(database: Database) -> None:
    desk(database)
    ben, ingrid = listed(database).open
    assert (ben.evidence.name, ben.owner, ben.sla) == ("Ben Two", "", None)
    assert [reason.points for reason in ingrid.evidence.strongest] == [40, 20, 10]
    assert ingrid.evidence.who == "Head at Fjellheim Kraft, Norway, 1,400 people"
    assert (ingrid.owner, ingrid.told) == ("Lena Ott", (("handoff", "Lena Ott", NOW),))


@pytest.mark.parametrize(
    ("hours", "tone", "left", "until"),
    [
        (0, "", "4 h left", "until today, 13:00"),
        (3, "due", "1 h left", "until today, 13:00"),
        (5, "over", "1 h over", "since today, 13:00"),
    ],
)
def test_every_time_says_how_much_is_left(
    database: Database, hours: int, tone: str, left: str, until: str
) -> None:
    desk(database)
    sla = listed(database, hours).open[1].sla
    assert sla is not None
    assert (sla.tone, sla.left, sla.until) == (tone, left, until)


def test_what_was_decided_lately_and_who_misses_a_fact_stand_beside(database: Database) -> None:
    desk(database)
    desk_now = listed(database)
    (cyd,) = desk_now.decided
    assert (cyd.status, cyd.decided_by, cyd.return_reason) == ("returned", "Marc Roy", "no budget")
    (eve,) = desk_now.almost
    assert (eve.evidence.name, eve.missing) == ("Eve Five", ("role", "country"))
    assert listed(database, 24).decided == ()
    assert desk_now.promise.within == "4 business hours"
    assert desk_now.promise.returns == ("no budget", "wrong person", "not reached", "not a fit")


def test_a_decided_handoff_keeps_its_evidence(database: Database) -> None:
    desk(database)
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="returned", decided_at=NOW + HOUR))
        connection.execute(update(POINT).values(ends_at=NOW + HOUR))
    with database.read() as connection:
        row = handoff(connection, 1, NOW + DAY)
    assert [reason.points for reason in row.evidence.strongest] == [40, 20, 10]
    assert row.sla is None


def test_an_unknown_handoff_is_named(database: Database) -> None:
    desk(database)
    with database.read() as connection, pytest.raises(NotFoundError, match="no handoff 77"):
        handoff(connection, 77, NOW)


def test_the_list_can_be_told_to_a_machine_and_costs_the_same_statements(database: Database) -> None:
    desk(database)
    assert "Fjellheim Kraft" in json.dumps(as_json(listed(database)))
    few = count_statements(database, lambda: listed(database))
    with database.write() as connection:
        for number in range(40):
            add_handoff(connection, add_lead(connection, f"Lead Number{number}"))
    assert count_statements(database, lambda: listed(database)) == few

from sqlalchemy import update

from leadnurture.profile import Evidence, evidence
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import (
    DAY,
    NOW,
    add,
    add_account,
    add_ingrid,
    add_lead,
    add_point,
    add_reaction,
    apply,
    count_statements,
)  # fmt: skip

POINT = metadata.tables["point"]


def known(database: Database, lead_id: int = 1, *, days: int = 0) -> Evidence:
    with database.read() as connection:
        return evidence(connection, [lead_id], NOW + days * DAY)[lead_id]


def with_ingrid(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        add_ingrid(connection)


def test_the_strongest_reactions_come_first_with_what_they_were(database: Database) -> None:
    with_ingrid(database)
    assert [(reason.points, reason.text, reason.at) for reason in known(database).strongest] == [
        (40, "Answered “interested” to The migration checklist in 58 questions", NOW - DAY),
        (20, "Attended Scaling without downtime", NOW - DAY),
        (10, "Downloaded What an hour of downtime costs in 2026", NOW - 18 * DAY),
    ]


def test_points_count_while_they_live_and_only_in_the_track_of_now(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        add_point(connection, 1, 7, rule="attended", track="clients")
        add_point(connection, 1, 3, rule="imported by hand", begins_at=NOW + DAY)
    assert [reason.points for reason in known(database).reasons] == [40, 20, 10]
    assert [reason.points for reason in known(database, days=80).reasons] == [40, 20, 3]
    assert known(database, days=200).reasons == ()


def test_a_point_without_a_reaction_tells_its_rule(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        connection.execute(update(POINT).values(reaction_id=None))
    assert known(database).reasons[0].text == 'feedback("interested")'


def test_the_facts_that_fit_tell_what_was_seen(database: Database) -> None:
    with_ingrid(database)
    assert [(each.points, each.saw) for each in known(database).fit_reasons] == [
        (30, "employees 1,400"),
        (25, "role head"),
        (10, "industry energy"),
    ]


def test_a_tag_against_the_lead_is_told_too(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        add(connection, "lead_tag", lead_id=1, tag="student")
    assert known(database).fit_reasons[-1].points == -100
    assert known(database).fit_reasons[-1].saw == "tag student"


def test_colleagues_come_by_score_with_the_last_thing_that_they_did(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        add_reaction(connection, 2, "opened", NOW)
    chief, engineer = known(database).colleagues
    assert (chief.name, chief.role, chief.did) == ("Sverre Haugland", "chief", "Visited /pricing")
    assert (engineer.name, engineer.did) == ("Maja Brekke", "Clicked Scaling without downtime")
    assert [each.name for each in known(database, 2).colleagues] == ["Ingrid Solheim", "Maja Brekke"]


def test_what_was_read_comes_newest_first_and_once(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        add_reaction(connection, 1, "clicked", NOW, content="downtime-costs")
    assert [(each.title, each.did) for each in known(database).readings] == [
        ("What an hour of downtime costs in 2026", "clicked"),
        ("Slow comes before down", "clicked"),
        ("Scaling without downtime", "attended"),
    ]


def test_of_a_lead_without_anything_there_is_only_the_address(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_lead(
            connection, first_name="", last_name="", role="", country="", email="x@example.com"
        )
    bare = known(database, lead_id)
    assert (bare.name, bare.who, bare.reasons, bare.fit_reasons, bare.colleagues) == (
        "x@example.com",
        "",
        (),
        (),
        (),
    )


def test_the_number_of_statements_does_not_grow_with_the_leads(database: Database) -> None:
    with_ingrid(database)
    with database.write() as connection:
        ids = [
            add_lead(
                connection, f"Lead Number{number}", account_id=add_account(connection, f"Account {number}")
            )
            for number in range(60)
        ]

    def ask(lead_ids: list[int]) -> None:
        with database.read() as connection:
            evidence(connection, lead_ids, NOW)

    ask(ids)
    assert count_statements(database, lambda: ask(ids)) == count_statements(database, lambda: ask(ids[:2]))

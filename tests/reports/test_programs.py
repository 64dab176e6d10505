import pytest

from leadnurture.errors import NotFoundError
from leadnurture.reports import chart_of, program_page, programs
from leadnurture.reports.programs import ProgramPage, StepRow
from leadnurture.store import Database
from tests.profile.rows import DAY, NOW, add, add_enrollment, add_lead, add_move, apply, count_statements


def series(database: Database) -> None:
    """Three in the series, one of whom has left it; one way of each sort."""
    apply(database)
    with database.write() as connection:
        ann, ben, cyd = (add_lead(connection, name) for name in ("Ann One", "Ben Two", "Cyd Three"))
        first = add_enrollment(connection, ann, "scaling-series", "seat", due_at=NOW - DAY)
        add_move(connection, first, ann, " > invite", 'enter interest("scaling")', at=NOW - 40 * DAY)
        add_move(connection, first, ann, "invite > seat", "on registered")
        second = add_enrollment(
            connection, ben, "scaling-series", "letter", due_at=NOW + 2 * DAY, status="paused"
        )
        add_move(connection, second, ben, " > invite", 'enter interest("scaling")')
        add_move(connection, second, ben, "invite > letter", "otherwise (failed)")
        add_move(connection, second, ben, "letter > letter", "handed off to sales", status="paused")
        third = add_enrollment(
            connection,
            cyd,
            "scaling-series",
            "call",
            status="reached",
            goal_at=NOW,
            ended_at=NOW,
            due_at=None,
        )
        add_move(connection, third, cyd, " > invite", 'enter interest("scaling")')
        add_move(connection, third, cyd, "invite > last-call", "time is up", at=NOW - 31 * DAY)
        add_move(connection, third, cyd, "last-call > call", "on replied (program)")
        add_move(connection, third, cyd, "call > ", "accepted by lena", status="reached")
        add(
            connection,
            "wave",
            program="scaling-series",
            number=1,
            started_at=NOW - DAY,
            due=3,
            moved=2,
            planned=1,
        )


def page_of(database: Database) -> ProgramPage:
    with database.read() as connection:
        return program_page(connection, "scaling-series", NOW)


def step(page: ProgramPage, name: str) -> StepRow:
    return next(row for row in page.steps if row.name == name)


def test_the_figures_of_a_program(database: Database) -> None:
    series(database)
    page = page_of(database)
    assert (page.here, page.enrolled, page.reached, page.entered) == (2, 3, 1, 2)
    assert (page.moved, page.moved_by_reaction) == (3, 2)
    assert (page.next_due, page.due_then) == (NOW, 1)
    assert (page.owner, page.goal) == ("Dana Weber", 'stage >= "qualified"')
    assert [(wave.number, wave.due, wave.moved, wave.seconds) for wave in page.waves] == [(1, 3, 2, None)]


def test_the_steps_tell_who_is_there_who_came_and_how_they_left(database: Database) -> None:
    series(database)
    page = page_of(database)
    invite = step(page, "invite")
    assert (invite.here, invite.came, invite.reacted, invite.silent) == (0, 3, 1, 1)
    assert [(row.why, row.leads, row.is_alarming) for row in invite.troubles] == [("failed", 1, True)]
    assert invite.does == "sends the next webinar about scaling"
    assert (step(page, "seat").here, step(page, "seat").next_due) == (1, NOW)
    assert (step(page, "letter").here, step(page, "letter").came) == (1, 1)
    assert (step(page, "again").reacted, step(page, "call").silent) == (None, None)


def test_the_ways_count_what_moved_in_the_last_30_days(database: Database) -> None:
    series(database)
    moved = {(way.step, way.rule): way.moved for way in page_of(database).ways if way.moved}
    assert moved == {
        ("invite", "on registered"): 1,
        ("invite", "otherwise"): 1,
        ("", "on replied (program)"): 1,
    }


def test_the_chart_marks_the_step_that_failed(database: Database) -> None:
    series(database)
    page = page_of(database)
    assert "class s_invite trouble" in page.chart
    with database.read() as connection:
        drawn = chart_of(connection, "scaling-series", NOW)
    assert (drawn.title, drawn.chart, drawn.steps) == (page.title, page.chart, page.steps)


def test_clicks_of_machines_are_counted_by_step_and_drawn(database: Database) -> None:
    series(database)
    with database.write() as connection:
        told = {
            "lead_id": 1,
            "program": "scaling-series",
            "step": "invite",
            "at": NOW,
            "source": "web",
            "reason": "x",
        }
        for number, (judgement, at) in enumerate(
            [("machine", NOW), ("machine", NOW), ("person", NOW), ("machine", NOW - 40 * DAY)]
        ):
            add(connection, "click", key=str(number), judgement=judgement, recorded_at=at, **told)
    page = page_of(database)
    assert (step(page, "invite").machines, step(page, "letter").machines) == (2, 0)
    assert "2 clicks of machines" in page.chart


def test_the_list_has_every_program_with_its_numbers(database: Database) -> None:
    series(database)
    with database.read() as connection:
        rows = {row.name: row for row in programs(connection, NOW)}
    assert len(rows) == 9
    row = rows["scaling-series"]
    assert (row.active, row.paused, row.due, row.enrolled, row.reached, row.next_due) == (1, 1, 1, 3, 1, NOW)
    assert (rows["quiet-client"].enrolled, rows["quiet-client"].next_due) == (0, None)


def test_an_unknown_program_is_named(database: Database) -> None:
    apply(database)
    with database.read() as connection, pytest.raises(NotFoundError, match="no program 'scalling'"):
        program_page(connection, "scalling", NOW)


def test_a_page_costs_the_same_statements_whatever_the_leads(database: Database) -> None:
    series(database)
    page_of(database)
    few = count_statements(database, lambda: page_of(database))
    with database.write() as connection:
        for number in range(50):
            lead_id = add_lead(connection, f"Lead Number{number}")
            enrollment_id = add_enrollment(connection, lead_id, "scaling-series", "invite")
            add_move(connection, enrollment_id, lead_id, " > invite", "enter")
    assert count_statements(database, lambda: page_of(database)) == few

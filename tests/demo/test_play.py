"""The whole demo in product time, a year of it, played once for all tests of this file."""

from dataclasses import replace
from datetime import timedelta
from email.parser import BytesParser
from email.policy import default

import pytest
from sqlalchemy import func, select

from leadnurture.demo import gateways
from leadnurture.demo.branches import Branch
from leadnurture.demo.director import BEGINS
from leadnurture.demo.hours import ROUNDS
from leadnurture.demo.roles import UNDERSTUDIES
from leadnurture.demo.summary import Summary, summarize
from leadnurture.demo.telling import told
from leadnurture.demo.visits import BROWSER
from leadnurture.store.tables import metadata
from tests.demo.conftest import Play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WEEKS = timedelta(weeks=54, days=2)
MOST_WAVES = 200
"""Half a second each: so many fit into a demo of three minutes, with time left for the mails."""


@pytest.fixture(scope="module")
def summary(play: Play) -> Summary:
    """What the year came to."""
    play.until(BEGINS + WEEKS)
    return summarize(play.project, BEGINS, play.director.now, 0)


def test_nothing_happens_that_must_not(summary: Summary) -> None:
    assert summary.problems == ()


def test_rows_and_files_agree(summary: Summary) -> None:
    assert summary.mails == summary.files > 3_000
    assert summary.duplicates == 0


def test_nobody_is_written_to_after_leaving(summary: Summary) -> None:
    assert summary.left > 5
    assert summary.mails_after_leaving == 0


def test_sales_answer_in_every_way(summary: Summary) -> None:
    outcomes = {outcome for track, outcome in summary.handoffs if track == "prospects"}
    reasons = {"no budget", "wrong person", "not reached", "not a fit"}
    assert outcomes >= {"accepted", *(f"returned ({reason})" for reason in reasons)}
    assert summary.recycled > 5


def test_every_program_has_leads_on_every_branch(summary: Summary) -> None:
    assert summary.untaken == ()


def test_every_role_finds_somebody(summary: Summary, play: Play) -> None:
    assert summary.leads
    for program, roles in UNDERSTUDIES.items():
        unplayed = play.audience.unplayed[program]
        assert not [role for role in roles if unplayed.count(role) == 2 * roles.count(role)], program


def test_people_react_in_every_way(summary: Summary) -> None:
    kinds = {
        "clicked", "registered", "declined", "attended", "missed", "downloaded", "replied", "visited",
        "submitted", "feedback", "unsubscribed",
    }  # fmt: skip
    assert set(summary.reactions) >= kinds


def test_people_choose_what_they_get_and_get_nothing_else(summary: Summary) -> None:
    assert summary.chose > 5
    assert summary.mails_against_choice == 0


def test_whoever_left_an_address_is_asked_once_and_some_say_yes(summary: Summary, play: Play) -> None:
    assert summary.asked > 30 > summary.confirmed > 3
    message, consent = metadata.tables["message"], metadata.tables["consent"]
    sent = message.c.sent_at.is_not(None), message.c.is_service.is_(False)
    agreed = select(consent.c.lead_id).where(consent.c.purpose == "marketing")
    asked = select(message.c.lead_id).where(message.c.content == "please-confirm")
    with play.project.database.read() as connection:
        silent = select(func.count()).where(
            *sent, message.c.lead_id.in_(asked), message.c.lead_id.not_in(agreed)
        )
        assert connection.execute(silent).scalar_one() == 0
        once = select(func.count().label("mails")).where(message.c.content == "please-confirm")
        assert set(connection.scalars(once.group_by(message.c.lead_id))) == {1}


def test_many_are_written_to_in_german(summary: Summary) -> None:
    assert summary.locales["en"] > summary.locales["de"] > 100
    assert summary.locales.total() == summary.mails


def test_called_off_sessions_free_their_seats(summary: Summary) -> None:
    scaling = next(program for program in summary.programs if program.name == "scaling-series")
    seat = next(step for step in scaling.steps if step.name == "seat")
    assert any(branch.name == "otherwise → again" and branch.taken for branch in seat.branches)


def test_whoever_has_a_seat_is_written_to(summary: Summary, play: Play) -> None:
    reaction = metadata.tables["reaction"]
    seats = select(func.count()).where(reaction.c.kind == "registered")
    with play.project.database.read() as connection:
        registered = connection.execute(seats).scalar_one()
    # Who comes between two rounds of the demo may be told that he came before his seat is confirmed.
    assert summary.seats["confirmation"] > 0.8 * registered > 50
    assert summary.seats["reminder"] > registered
    assert summary.seats["cancelled"] > 5
    assert summary.seats["moved"] > 5


@pytest.mark.parametrize(("news", "method"), [("seat-moved", "REQUEST"), ("seat-cancelled", "CANCEL")])
def test_whoever_is_told_that_his_session_changed_gets_an_entry(
    summary: Summary, play: Play, news: str, method: str
) -> None:
    assert summary.seats
    message = metadata.tables["message"]
    told = select(message.c.id).where(message.c.content == news, message.c.sent_at.is_not(None))
    with play.project.database.read() as connection:
        numbers = connection.scalars(told).all()
    for number in numbers:
        mail = BytesParser(policy=default).parsebytes(
            (play.project.settings.outbox / f"{number}.eml").read_bytes()
        )
        (file,) = mail.iter_attachments()
        assert file.get_filename() == "invite.ics"
        assert f"METHOD:{method}" in file.get_content()
        assert "SEQUENCE:1" in file.get_content()


def test_the_summary_is_told_in_plain_words(summary: Summary) -> None:
    lines = told(summary, 80).splitlines()
    assert "Leads         1,000 in" in lines
    agreed = f"{summary.mails:,} mails by the rows and {summary.files:,} .eml files agree"
    assert f"Duplicates    0; {agreed}" in lines
    (clicks,) = [line for line in lines if line.startswith("Clicks")]
    assert clicks.endswith(f"{summary.clicks['machine']:,} of machines; {summary.taken_back:,} taken back")
    assert lines[-1] == "Branches      190 of 190 taken"


@pytest.mark.parametrize("width", [80, 100])
def test_the_summary_fits_its_terminal(summary: Summary, width: int) -> None:
    long = [line for line in told(summary, width).splitlines() if len(line) > width]
    assert [line for line in long if "; " in line.strip()] == []


def test_branches_that_nobody_took_are_named_at_the_end(summary: Summary) -> None:
    program = summary.programs[0]
    untaken = replace(program, ways=(Branch("enter", 0), *program.ways[1:]))
    lines = told(replace(summary, programs=(untaken, *summary.programs[1:]))).splitlines()
    assert lines[-2:] == ["Branches      189 of 190 taken", f"  not yet: {program.name}: enter"]


def test_machines_are_told_from_people(summary: Summary, play: Play) -> None:
    assert summary.clicks["machine"] > summary.clicks["person"] / 10 > 1
    assert summary.taken_back > 0
    assert summary.clicks["person"] == summary.reactions["clicked"]
    click, lead = metadata.tables["click"], metadata.tables["lead"]
    question = select(lead.c.email, click.c.agent).join(click, click.c.lead_id == lead.c.id)
    with play.project.database.read() as connection:
        machines = connection.execute(question.where(click.c.judgement == "machine")).all()
        people = connection.execute(question.where(click.c.judgement == "person")).all()
    assert {row.email.rpartition("@")[2] for row in machines} == gateways.AT_ONCE | gateways.IN_TURN
    assert {row.agent for row in machines} == {gateways.AGENT}
    assert all(row.agent == BROWSER for row in people if row.email.rpartition("@")[2] not in gateways.IN_TURN)


def test_waves_gather_in_rounds(summary: Summary, play: Play) -> None:
    assert summary.waves < MOST_WAVES
    with play.project.database.read() as connection:
        begun = set(connection.scalars(select(metadata.tables["wave"].c.started_at)))
    assert all(ROUNDS.first_from(at) == at for at in begun - {BEGINS})


def test_mails_leave_between_the_rounds(summary: Summary, play: Play) -> None:
    message = metadata.tables["message"]
    with play.project.database.read() as connection:
        left = set(connection.scalars(select(message.c.attempt_at).where(message.c.attempt_at.is_not(None))))
    assert summary.mails
    assert len([at for at in left if ROUNDS.first_from(at) != at]) > len(left) / 2


def test_mails_leave_in_every_zone(summary: Summary, play: Play) -> None:
    message, lead = metadata.tables["message"], metadata.tables["lead"]
    question = (
        select(lead.c.zone)
        .join(message, message.c.lead_id == lead.c.id)
        .where(message.c.sent_at.is_not(None))
        .distinct()
    )
    with play.project.database.read() as connection:
        zones = set(connection.scalars(question))
    assert summary.mails
    far = {"Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "Asia/Singapore"}
    assert zones >= far


def test_salespeople_are_reminded_before_they_are_told_on(summary: Summary, play: Play) -> None:
    assert summary.handoffs
    notice = metadata.tables["notice"]
    question = select(notice.c.kind, func.count().label("notices")).group_by(notice.c.kind)
    with play.project.database.read() as connection:
        counts = {row.kind: row.notices for row in connection.execute(question)}
    assert counts["handoff"] > counts["reminder"] >= counts["escalation"] > 0


def test_no_statement_goes_through_those_who_wait(summary: Summary, play: Play) -> None:
    assert summary.mails
    assert len(play.plans.seen) > 300
    told = play.plans.told()
    assert not told, "\n".join(told)

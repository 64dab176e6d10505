import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from leadnurture.errors import NotFoundError
from leadnurture.reports import Journey, as_json, journey, render_journey
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import (
    DAY,
    HOUR,
    NOW,
    add,
    add_enrollment,
    add_handoff,
    add_ingrid,
    add_lead,
    add_message,
    add_move,
    add_point,
    add_reaction,
    apply,
    count_statements,
)  # fmt: skip

LEAD = metadata.tables["lead"]
MINUTE = timedelta(minutes=1)


def told(database: Database, lead: int | str = 1) -> Journey:
    with database.read() as connection:
        return journey(connection, lead, NOW)


def next_of(database: Database, lead: int | str = 1) -> list[tuple[str, str]]:
    return [(each.text, each.why) for each in told(database, lead).coming]


def consenting(connection: Connection, name: str = "Ann One", **values: object) -> int:
    lead_id = add_lead(connection, name, **values)
    consent(connection, lead_id)
    return lead_id


def consent(connection: Connection, lead_id: int) -> None:
    add(
        connection,
        "consent",
        lead_id=lead_id,
        purpose="marketing",
        given_at=NOW - 30 * DAY,
        source="form",
        wording="",
    )


def ingrids_journey(database: Database) -> None:
    """From a report to sales, with a mail that failed and a program that paused."""
    apply(database)
    with database.write() as connection:
        lead_id = add_ingrid(connection)
        consent(connection, lead_id)
        add(connection, "lead_tag", lead_id=lead_id, tag="expo")
        add(
            connection, "interest", lead_id=lead_id, topic="scaling", subject="downtime-costs", reaction_id=3,
            begins_at=NOW - 18 * DAY, ends_at=NOW + 72 * DAY,
        )  # fmt: skip
        series = add_enrollment(
            connection, lead_id, "scaling-series", "thanks", status="paused", pause="handoff", paused_at=NOW
        )
        add_move(
            connection,
            series,
            lead_id,
            " > invite",
            'enter stage < "qualified" and interest("scaling")',
            saw="stage engaged",
            at=NOW - 18 * DAY,
        )
        mail = add_message(
            connection,
            series,
            lead_id,
            "invite",
            sent_at=NOW - 13 * DAY,
            status="delivered",
            variant="question",
        )
        add_reaction(connection, lead_id, "delivered", NOW - 13 * DAY, message_id=mail)
        add_reaction(connection, lead_id, "opened", NOW - 13 * DAY + HOUR, message_id=mail)
        clicked = add_reaction(
            connection,
            lead_id,
            "clicked",
            NOW - 13 * DAY + 2 * HOUR,
            message_id=mail,
            content="scaling-1",
            session="december",
        )
        add_point(connection, lead_id, 5, clicked, rule="clicked", begins_at=NOW - 13 * DAY + 2 * HOUR)
        add_move(connection, series, lead_id, "invite > seat", "on registered", at=NOW - 12 * DAY)
        add_message(
            connection, series, lead_id, "letter", content="downtime-costs", status="cancelled", sent_at=None,
            settled_at=NOW - 6 * DAY, trouble="moved on",
        )  # fmt: skip
        add_move(connection, series, lead_id, "seat > thanks", "on attended", at=NOW - DAY + MINUTE)
        change = {"lead_id": lead_id, "track": "prospects", "agreement": "2026-12-01"}
        rule = "qualified when fit >= 40 and engagement >= 30"
        add(
            connection,
            "stage_change",
            from_stage="engaged",
            to_stage="qualified",
            at=NOW,
            rule=rule,
            saw="fit 65, engagement 70",
            **change,
        )
        rule = "crossed the threshold: fit >= 40 and engagement >= 30"
        add(
            connection,
            "stage_change",
            from_stage="qualified",
            to_stage="handed_off",
            at=NOW,
            rule=rule,
            **change,
        )
        add_handoff(
            connection, lead_id, assigned_to="lena", due_at=NOW + 4 * HOUR, score=135, fit=65, engagement=70
        )
        add_move(
            connection, series, lead_id, "thanks > thanks", "handed off to sales", status="paused", at=NOW
        )


def test_the_whole_journey_reads_like_a_story(database: Database) -> None:
    ingrids_journey(database)
    text = render_journey(told(database))
    assert text == Path(__file__).with_name("journey.txt").read_text()
    assert max(map(len, text.splitlines())) <= 100


def test_a_lead_is_found_by_number_and_by_address_in_any_case(database: Database) -> None:
    ingrids_journey(database)
    assert told(database, "1").who == told(database, " Ingrid.SOLHEIM@example.com ").who == told(database).who
    with pytest.raises(NotFoundError, match="no lead 'nobody@example"):
        told(database, "nobody@example.com")


def test_the_points_add_up_to_the_engagement(database: Database) -> None:
    ingrids_journey(database)
    who = told(database).who
    assert sum(reason.points for reason in who.fit_reasons) == who.fit
    assert sum(reason.points for reason in who.reasons) == 75


def test_a_machine_reads_it_as_json(database: Database) -> None:
    ingrids_journey(database)
    document = json.loads(json.dumps(as_json(told(database))))
    assert document["who"]["name"] == "Ingrid Solheim"
    assert {entry["kind"] for entry in document["story"]} >= {
        "came",
        "reaction",
        "mail",
        "moved",
        "stage",
        "handoff",
    }


def test_a_wait_says_what_would_end_it_and_where_silence_leads(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        add_enrollment(connection, consenting(connection), "scaling-series", "last-call")
    ((text, why),) = next_of(database)
    assert text == "Silence is taken for an answer"
    place, waits = why.split(": ")
    assert place == "Scaling in practice, a webinar series, step last-call"
    assert waits == (
        'waits for registered → seat, declined → letter, replied → call, visited("/pricing*") → call; '
        "else clicked → recording, else again."
    )


def test_a_planned_mail_says_when_it_leaves_and_that_it_was_moved(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        enrollment_id = add_enrollment(
            connection, lead_id, "scaling-series", "invite", deadline_at=None, due_at=None
        )
        add_message(
            connection,
            enrollment_id,
            lead_id,
            "invite",
            status="planned",
            planned_at=NOW + DAY,
            send_at=NOW + 2 * DAY,
            attempt_at=None,
        )
    (coming,) = told(database).coming
    assert (coming.at, coming.text) == (NOW + 2 * DAY, "Scaling without downtime leaves")
    assert "Planned for tomorrow, 09:00, moved by working hours, pace or a hold" in coming.why


@pytest.mark.parametrize(
    ("values", "text", "why"),
    [
        ({"status": "sending"}, "The outcome of a sending", "Scaling without downtime is sending"),
        ({"status": "unknown"}, "The outcome of a sending", "Scaling without downtime is unknown"),
    ],
)
def test_an_unsettled_mail_is_waited_for(
    database: Database, values: dict[str, object], text: str, why: str
) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        enrollment_id = add_enrollment(
            connection, lead_id, "scaling-series", "invite", deadline_at=None, due_at=None
        )
        add_message(connection, enrollment_id, lead_id, "invite", **values)
    ((said, reason),) = next_of(database)
    assert said == text
    assert why in reason


def test_without_consent_or_with_a_suppression_nothing_comes_and_it_is_said(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_lead(connection, "Ann One")
        add(connection, "suppression", email_key="ann.one@example.com", reason="unsubscribed", at=NOW - DAY)
        consent = {
            "purpose": "marketing",
            "given_at": NOW - 9 * DAY,
            "withdrawn_at": NOW - DAY,
            "source": "",
            "wording": "",
        }
        add(connection, "consent", lead_id=lead_id, **consent)
    assert next_of(database) == [
        ("No mail, ever", "The address is suppressed since 6 Dec: unsubscribed."),
        ("No mail without consent", "The agreement asks for consent to marketing, and there is none."),
        (
            "In no program",
            "getting-acquainted would take the lead, but its address is suppressed (unsubscribed).",
        ),
    ]


def test_a_hold_and_the_pace_say_until_when(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection, hold_until=NOW + 3 * DAY)
        enrollment_id = add_enrollment(connection, lead_id, "scaling-series", "invite")
        add_message(connection, enrollment_id, lead_id, "invite", attempt_at=NOW - DAY)
        add_message(connection, enrollment_id, lead_id, "letter", attempt_at=NOW - 3 * DAY)
    coming = {each.text: each for each in told(database).coming}
    assert coming["The hold ends"].at == NOW + 3 * DAY
    assert coming["Room for the next mail"].at == NOW + 4 * DAY
    assert (
        coming["Room for the next mail"].why == "The pace is 2 in 7 days, and 2 left since Fri 4 Dec, 09:00."
    )


def test_what_the_lead_asked_for_says_until_when(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        asked = {"mails": 1, "paused_until": NOW + 60 * DAY, "chosen_at": NOW}
        add(connection, "preference", lead_id=lead_id, **asked)
        enrollment_id = add_enrollment(connection, lead_id, "scaling-series", "invite")
        add_message(connection, enrollment_id, lead_id, "letter", attempt_at=NOW - 3 * DAY)
    coming = {each.text: each for each in told(database).coming}
    assert coming["The pause ends"].at == NOW + 60 * DAY
    room = coming["Room for the next mail"]
    assert room.at == NOW + 27 * DAY
    assert room.why == "The lead asked for at most 1 in 30 days, and 1 left since Fri 4 Dec, 09:00."


def test_a_pause_says_whose_it_is(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        paused = {"status": "paused", "pause": "agreement", "paused_at": NOW}
        add_enrollment(connection, consenting(connection), "scaling-series", "invite", **paused)
    assert next_of(database)[0][1].endswith("paused, since the agreement says so: account.open_handoff.")


def test_a_lead_in_no_program_is_told_what_each_asks_for(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        consenting(connection, stage="qualified")
    ((text, why),) = next_of(database)
    assert text == "In no program"
    assert 'trade-show-follow-up asks for stage < "qualified" and attended("expo-2026")' in why


def test_who_waits_for_a_colleague_s_handoff_is_told_so(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        account = {"name": "Acme", "name_key": "acme", "domain": "acme.example", "created_at": NOW}
        account_id = add(connection, "account", **account)
        lead_id = consenting(connection, account_id=account_id)
    reason = "getting-acquainted would take the lead, but "
    assert next_of(database) == [("In no program", f"{reason}it was there before, or another comes first.")]
    with database.write() as connection:
        colleague = add_lead(connection, "Ben Two", account_id=account_id)
        add_handoff(connection, colleague)
    waits = f"{reason}the agreement lets it wait: account.open_handoff."
    assert next_of(database) == [("In no program", waits)]
    assert lead_id != colleague


def test_a_lead_with_sales_is_left_to_sales(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        consenting(connection, stage="opportunity")
    assert next_of(database) == [("No program", "The lead is opportunity: sales has the word.")]


def test_what_is_due_at_once_is_said_so(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        add_enrollment(connection, lead_id, "scaling-series", "again", deadline_at=None, due_at=0)
        connection.execute(update(LEAD).where(LEAD.c.id == lead_id).values(look_at=NOW - HOUR))
    assert [(each.at, each.text) for each in told(database).coming] == [
        (NOW, "The next wave decides"),
        (NOW, "A look at what has changed"),
    ]


def test_a_long_past_costs_the_same_statements(database: Database) -> None:
    ingrids_journey(database)
    told(database)
    few = count_statements(database, lambda: told(database))
    with database.write() as connection:
        for number in range(40):
            reaction_id = add_reaction(
                connection, 1, "visited", NOW - number * HOUR, argument=f"/docs/{number}"
            )
            add_point(connection, 1, 1, reaction_id)
    assert count_statements(database, lambda: told(database)) == few


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("otherwise (empty)", "otherwise: nothing left to send"),
        ("then (late)", "then: its time had passed"),
        ("on replied (program)", "on replied, from every step"),
        ("pause account.open_handoff", "while account.open_handoff"),
        ("accepted by lena", "accepted by Lena Ott"),
        ("returned by sales: no budget", "returned by sales: no budget"),
    ],
)
def test_the_reason_of_a_move_is_told_in_words(database: Database, rule: str, words: str) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_lead(connection)
        series = add_enrollment(connection, lead_id, "scaling-series", "seat")
        add_move(connection, series, lead_id, "invite > seat", rule, at=NOW)
    assert told(database).story[-1].why == words


def test_a_change_of_the_track_is_told_as_what_it_is(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        add(
            connection, "stage_change", lead_id=add_lead(connection, track="clients"), track="clients",
            from_stage="won", to_stage="new", rule="became a client", agreement="2026-12-01", at=NOW,
        )  # fmt: skip
    last = told(database).story[-1]
    assert (last.text, last.why) == ("Became a client", "won → new. Agreement of 1 December 2026.")


SEVERAL = "several links of the mail were followed within a second"


def add_click(connection: Connection, lead_id: int, number: int, judgement: str, **values: object) -> int:
    """A click on the webinar's mail, judged two minutes later."""
    at = NOW - 5 * DAY
    defaults = {
        "message_id": 1, "content": "scaling-1", "link": "link", "method": "GET", "source": "web", "at": at,
        "recorded_at": at, "judged_at": at + 2 * MINUTE, "key": f"web:{number}",
        "reason": SEVERAL,
    }  # fmt: skip
    return add(connection, "click", lead_id=lead_id, judgement=judgement, **{**defaults, **values})


def clicks_of(database: Database) -> list[tuple[str, str]]:
    return [(each.text, each.why) for each in told(database).story if each.kind in {"click", "reaction"}]


def test_clicks_of_machines_are_told_together_with_the_reason(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        first = add_click(connection, lead_id, 1, "machine")
        add_click(connection, lead_id, 2, "machine", link="hidden")
        rests = NOW + MINUTE
        resting = {
            "judged_at": None,
            "judge_at": rests,
            "recorded_at": NOW - MINUTE,
            "reason": "it is not judged yet",
        }
        add_click(connection, lead_id, 3, "undecided", **resting)
        early = add_click(
            connection,
            lead_id,
            4,
            "undecided",
            recorded_at=NOW - DAY,
            reason="it came within ten seconds of the sending",
        )
    (machine, undecided, settling) = clicks_of(database)
    assert machine == (
        "A machine followed 2 links of Scaling without downtime",
        f"counts for nothing; click {first} judged a machine’s: {SEVERAL}",
    )
    assert undecided == (
        "Clicked Scaling without downtime",
        f"counts for nothing; click {early} judged undecided: it came within ten seconds of the sending",
    )
    assert settling == (
        "Clicked Scaling without downtime",
        "rests until today, 09:01, in case a machine clicked",
    )


def test_what_was_taken_back_is_told_where_it_stood_and_when_it_was_found(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = consenting(connection)
        clicked = add_reaction(
            connection, lead_id, "clicked", NOW - 5 * DAY, content="scaling-1", counts_at=None, message_id=1
        )
        click = add_click(connection, lead_id, 1, "machine", reaction_id=clicked)
        add(
            connection, "click_revision", click_id=click, lead_id=lead_id, at=NOW - DAY, was="person",
            was_reason="nothing speaks for a machine", judgement="machine", by="dana", points=3,
            reason="the gateway of Acme",
        )  # fmt: skip
        series = add_enrollment(connection, lead_id, "scaling-series", "invite")
        add_move(
            connection,
            series,
            lead_id,
            "recording > invite",
            "taken back: a machine clicked",
            saw="the gateway of Acme",
        )
    (reaction, revision) = clicks_of(database)
    assert reaction[0] == "Clicked Scaling without downtime"
    assert f"click {click} judged a machine’s" in reaction[1]
    assert revision[0].startswith("Dana Weber judged a machine’s: the click of ")
    assert revision[1] == "the gateway of Acme; before: a person’s; 3 engagement taken back"
    moves = [each.text for each in told(database).story if each.kind == "moved"]
    assert moves == ["Went back from recording to invite of Scaling in practice, a webinar series"]
    assert "Clicked" not in {each.text for each in told(database).who.reasons}
    assert told(database).who.readings == ()


def test_one_instant_is_told_from_the_cause_to_the_effect(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_ingrid(connection)
        add(
            connection, "audit", at=NOW, actor="the lead", act="chose preferences", subject=f"lead {lead_id}",
            detail="nothing about security",
        )  # fmt: skip
        add(connection, "audit", at=NOW, actor="dana", act="answered", subject=f"lead {lead_id}")
        series = add_enrollment(connection, lead_id, "scaling-series", "call", status="paused")
        for way, rule in [
            (" > invite", "enter"),
            ("invite > call", "on replied"),
            ("call > call", "handed off to sales"),
        ]:
            add_move(connection, series, lead_id, way, rule, at=NOW)
        add_message(connection, series, lead_id, "invite", sent_at=NOW, status="sent")
        add(
            connection, "stage_change", lead_id=lead_id, track="prospects", from_stage="engaged",
            to_stage="handed_off", at=NOW, rule="Replied", agreement="2026-12-01",
        )  # fmt: skip
        add_handoff(connection, lead_id, opened_at=NOW)
    assert [entry.kind for entry in told(database, lead_id).story if entry.at == NOW] == [
        "preferences", "moved", "moved", "stage", "handoff", "moved", "mail",
    ]  # fmt: skip
    assert "Chose what to get: nothing about security" in [entry.text for entry in told(database).story]


def test_a_decision_is_told_before_what_it_changed(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_ingrid(connection)
        add_handoff(
            connection, lead_id, opened_at=NOW - DAY, decided_at=NOW, status="accepted", decided_by="lena"
        )
        add(
            connection, "stage_change", lead_id=lead_id, track="prospects", from_stage="handed_off",
            to_stage="accepted", at=NOW, rule="accepted by lena", agreement="2026-12-01",
        )  # fmt: skip
    assert [entry.kind for entry in told(database).story if entry.at == NOW] == ["handoff", "stage"]

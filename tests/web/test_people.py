"""The page of a lead: what people tell there, what it shows, and the copy of all that is held."""

import json
import re

import pytest

from tests.web.client import Client
from tests.web.conftest import HOSTILE, KEY, SECRET, SignIn, World


@pytest.fixture
def lena(signed_in: SignIn) -> Client:
    return signed_in("sales", "lena")


def page_of(world: World, client: Client, lead: str = "ingrid", show: str = "everything") -> str:
    return client.get(f"/leads/{world.leads[lead]}", params={"show": show}).text


def test_an_answer_is_recorded_once_and_told_with_who_heard_it(world: World, lena: Client) -> None:
    page = page_of(world, lena)
    (key,) = re.findall(r'name="key" value="(\w+)"', page)
    assert f'<option value="{world.message}">' in page
    told = {"answer": "interested", "channel": "on the phone", "key": key, "about": world.message}
    for _ in range(2):
        sent = {**told, "text": f"Call me\r\n{HOSTILE}"}
        answer = lena.post(f"/leads/{world.leads['ingrid']}/feedback", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/leads/{world.leads['ingrid']}#said",
        )
    (reaction,) = world.rows("reaction", kind="feedback")
    assert (reaction["argument"], reaction["message_id"], reaction["source"]) == (
        "interested", world.message, "person"
    )  # fmt: skip
    (note,) = world.rows("lead_note")
    assert (note["by"], note["channel"], note["reaction_id"]) == ("lena", "on the phone", reaction["id"])
    page = page_of(world, lena)
    assert "Answered “interested” to" in page
    assert "told to Lena Ott on the phone: “Call me" in page
    assert "<script>alert" not in page


def test_a_note_stands_in_the_journey(world: World, lena: Client) -> None:
    lead = world.leads["ingrid"]
    assert lena.post(f"/leads/{lead}/notes", data={"text": "Met at the fair"}).status_code == 303
    assert "Lena Ott noted" in page_of(world, lena, show="people")
    assert "Met at the fair" not in page_of(world, lena, show="mails")
    assert [row["subject"] for row in world.rows("audit", actor="lena")] == [f"lead {lead}"]


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("notes", {"text": "  "}, 422),
        ("notes", {"text": "x" * 2_001}, 404),
        ("feedback", {"answer": "", "channel": "by mail", "key": "0123456789"}, 422),
        ("feedback", {"answer": "no", "channel": "by pigeon", "key": "0123456789"}, 404),
        ("feedback", {"answer": "no", "channel": "by mail", "key": "short"}, 404),
        ("feedback", {"answer": "no", "channel": "by mail", "key": "0123456789", "about": "999999"}, 404),
    ],
)
def test_what_cannot_be_kept_is_a_page_that_says_so(
    world: World, lena: Client, path: str, data: dict[str, str], status: int
) -> None:
    lena.get("/leads")
    before = world.everything()
    assert lena.post(f"/leads/{world.leads['ingrid']}/{path}", data=data).status_code == status
    assert lena.post(f"/leads/999999/{path}", data=data).status_code in {404, 422}
    assert world.everything() == before


def test_each_view_of_the_journey_shows_its_own(world: World, lena: Client) -> None:
    wanted = {
        "everything": ("Attended", "Sent", "Moved from"),
        "reactions": ("Attended",),
        "mails": ("Sent",),
        "moves": ("Moved from",),
    }
    for show, words in wanted.items():
        story = page_of(world, lena, show=show).split('class="journey"')[1].split("</ol>")[0]
        there = {word for word in ("<strong>Attended", "<strong>Sent", "<p>Moved from") if word in story}
        assert {word.rpartition(">")[2] for word in there} == set(words), show
    assert lena.get(f"/leads/{world.leads['ingrid']}?show=nothing").status_code == 404


def test_a_viewer_reads_and_is_offered_no_form(world: World, signed_in: SignIn) -> None:
    page = page_of(world, signed_in("viewer"))
    assert "/notes" not in page
    assert "/export" not in page
    assert "Fjellheim Kraft" in page


def test_the_copy_holds_all_that_refers_to_the_lead_and_nothing_of_others(world: World, lena: Client) -> None:
    lead = world.leads["ingrid"]
    lena.post(f"/leads/{lead}/notes", data={"text": "Met at the fair"})
    answer = lena.post(f"/leads/{lead}/export")
    assert answer.headers["content-disposition"] == f'attachment; filename="lead-{lead}.json"'
    held = json.loads(answer.text)
    assert held["lead"]["email"] == "ingrid@example.com"
    for table in ("message", "reaction", "point", "transition", "handoff", "lead_note", "consent"):
        known = {tuple(row[key] for key in row if key in {"id", "purpose"}) for row in held[table]}
        own = world.rows(table, lead_id=lead)
        assert len(known) == len(own) > 0, table
    assert [row["act"] for row in held["audit"]] == ["noted something", "exported all that is held"]
    (noted,) = world.rows("audit", act="exported all that is held")
    assert (noted["subject"], noted["at"]) == (f"lead {lead}", world.desk.now)
    assert noted["actor"] == held["audit"][0]["actor"]
    assert {row["lead_id"] for name in ("reaction", "message", "consent") for row in held[name]} == {lead}
    assert held["account"][0]["name"] == "Fjellheim Kraft"
    assert held["message"][0]["facts"]["values"]
    assert "sverre" not in answer.text
    assert not {KEY, SECRET} & set(answer.text.split('"'))

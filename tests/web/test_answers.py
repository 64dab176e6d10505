"""The pages that ask: of a mail, of a task, the list of tasks, and the form with which a lead is returned."""

import re
from datetime import timedelta
from typing import Final

import pytest
from sqlalchemy import delete, update

from leadnurture.domain.asking import Ask, Question
from leadnurture.links import Links
from leadnurture.store.tables import metadata
from tests.web.client import Client
from tests.web.conftest import HOSTILE, NOW, SignIn, World
from tests.web.test_doors import broken

FORGED: Final = Links("another secret", "http://127.0.0.1")
FEEDBACK: Final = Ask((
    Question("feedback", "feedback", choices=("interested", "later", "no")),
    Question("budget_on", "fact", "date"),
))  # fmt: skip


def local(url: str) -> str:
    return url.removeprefix("http://127.0.0.1")


def task_link(world: World, task: int) -> str:
    return local(world.desk.links.task(task, world.desk.now))


def buttons(page: str) -> list[str]:
    return re.findall(r'name="answer" value="([^"]*)"', page)


# The page of a mail


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_no_row(world: World, client: Client, method: str) -> None:
    task = world.ask_one_of_us("carla", FEEDBACK)
    before = world.everything()
    for path in (world.tokens()["ask"], world.tokens()["ask"] + "?again=interest", task_link(world, task)):
        assert client.request(method, path).status_code == 200
    assert world.everything() == before


def test_a_question_is_answered_by_a_button(world: World, client: Client) -> None:
    path = world.tokens()["ask"]
    page = client.get(path).text
    assert "What should we write to you about?" in page
    assert buttons(page) == ["scaling", "migration", "security"]
    done = client.post(path, data={"name": "interest", "answer": "scaling"})
    assert "Thank you" in done.text
    assert [row["topic"] for row in world.rows("interest", lead_id=world.leads["ingrid"])] == ["scaling"]
    (said,) = world.rows("reaction", kind="submitted")
    assert (said["argument"], said["content"], said["message_id"]) == ("scaling", "expo-thanks", world.asking)
    assert "Everything is answered already" in client.get(path).text


def test_an_answer_may_be_changed(world: World, client: Client) -> None:
    path = world.tokens()["ask"]
    client.post(path, data={"name": "interest", "answer": "scaling"})
    assert buttons(client.get(f"{path}?again=interest").text) == ["scaling", "migration", "security"]
    client.post(path, data={"name": "interest", "answer": "security"})
    assert [row["answer"] for row in world.rows("answer")] == ["scaling", "security"]
    for odd in ("nothing", "%00", "x" * 99):
        assert "Thank you" in client.get(f"{path}?again={odd}").text


def test_a_consent_is_not_asked_for_again(world: World, client: Client) -> None:
    """Neither by a link of ours nor by one that somebody writes; it is withdrawn by unsubscribing."""
    message, consent = metadata.tables["message"], metadata.tables["consent"]
    with world.desk.database.write() as connection:
        connection.execute(delete(consent).where(consent.c.lead_id == world.leads["ingrid"]))
        confirms = update(message).where(message.c.id == world.asking)
        connection.execute(confirms.values(content="please-confirm"))
    path = world.tokens()["ask"]
    assert buttons(client.get(path).text) == ["yes"]
    client.post(path, data={"name": "consent", "answer": "yes"})
    page = client.get(f"{path}?again=consent").text
    assert "Everything is answered already" in page
    assert buttons(page) == []
    assert "again=" not in page


@pytest.mark.parametrize("form", [
    {"name": "interest", "answer": "gardening"}, {"name": "nothing", "answer": "x"}, {"answer": "done"},
])  # fmt: skip
def test_an_answer_that_is_none_is_a_sentence(world: World, client: Client, form: dict[str, str]) -> None:
    before = world.everything()
    assert client.post(world.tokens()["ask"], data=form).status_code == 422
    assert world.everything() == before


@pytest.mark.parametrize("form", [{}, {"name": "interest"}, {"name": "x" * 500, "answer": "scaling"}])
def test_a_form_that_is_none_is_a_page(world: World, client: Client, form: dict[str, str]) -> None:
    assert client.post(world.tokens()["ask"], data=form).status_code == 404
    assert world.rows("answer") == []


def test_a_link_that_cannot_be_read_is_a_page_that_says_so(world: World, client: Client) -> None:
    task = world.ask_one_of_us("carla", FEEDBACK)
    before = world.everything()
    for good in (world.tokens()["ask"], task_link(world, task)):
        for path in broken(good):
            for method in ("GET", "HEAD", "POST"):
                form = {"name": "interest", "answer": "scaling"} if method == "POST" else None
                assert client.request(method, path, data=form).status_code == 404, (method, path)
    assert world.everything() == before


def test_foreign_and_empty_links_are_refused(world: World, client: Client) -> None:
    links, now = world.desk.links, world.desk.now
    for url in (
        FORGED.ask(world.asking), FORGED.task(1, now), links.ask(999_999), links.task(999_999, now),
        links.ask(2**63 - 1), links.ask(world.message),
    ):  # fmt: skip
        assert client.get(local(url)).status_code == 404
    for path in world.tokens().values():
        if path[1] != "a":
            assert client.get(f"/a{path[2:]}").status_code == 404
    for door in "cuwh":
        assert client.get(f"/{door}{world.tokens()['ask'][2:]}").status_code == 404


def test_links_expire(world: World, client: Client) -> None:
    task = world.ask_one_of_us("carla", FEEDBACK)
    link = task_link(world, task)
    world.desk.now = NOW + timedelta(days=31)
    assert client.get(link).status_code == 404
    assert client.post(link, data={"name": "feedback", "answer": "no"}).status_code == 404
    assert client.get(world.tokens()["ask"]).status_code == 200
    world.desk.now = NOW + timedelta(days=166)
    page = client.post(world.tokens()["ask"], data={"name": "interest", "answer": "scaling"})
    assert (page.status_code, "This link is too old" in page.text) == (404, True)
    assert world.rows("answer") == []


# Tasks


def test_one_of_us_answers_by_the_link_in_the_notice(world: World, client: Client) -> None:
    task = world.ask_one_of_us("carla", FEEDBACK)
    path = task_link(world, task)
    page = client.get(path).text
    assert buttons(page) == ["interested", "later", "no", "refused"]
    assert f"Ask {HOSTILE}" not in page
    page = client.post(path, data={"name": "feedback", "answer": "later", "note": "In spring"}).text
    assert 'type="date"' in page
    page = client.post(path, data={"name": "budget_on", "answer": "2027-03-01", "note": "In May"}).text
    assert "Answered by Lena Ott" in page
    (row,) = world.rows("task")
    assert (row["status"], row["closed_by"], row["note"]) == ("done", "lena", "In May")
    (said,) = world.rows("reaction", kind="feedback")[:1]
    assert said["argument"] == "later"
    assert len(world.rows("audit", actor="lena, by the link in the notice")) == 2
    page = client.post(path, data={"name": "feedback", "answer": "no"}).text
    assert "your answer changed nothing" in page


def test_what_cannot_be_done_is_said_by_a_button(world: World, client: Client) -> None:
    path = task_link(world, world.ask_one_of_us("carla", FEEDBACK))
    assert "Cannot be done" in client.post(path, data={"answer": "refused"}).text
    assert world.rows("task")[0]["status"] == "refused"


def test_the_list_has_own_tasks_first_and_buttons(world: World, signed_in: SignIn) -> None:
    world.ask_one_of_us("ingrid", FEEDBACK, person="marc")
    mine = world.ask_one_of_us("sverre", FEEDBACK, person="lena")
    lena = signed_in("sales", "lena")
    page = lena.get("/tasks").text
    assert page.index("Sverre Haugland") < page.index("Ingrid Solheim")
    assert "2 tasks wait" in page
    answer = lena.post(f"/tasks/{mine}", data={"name": "feedback", "answer": "interested"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?track=prospects")
    (row,) = world.rows("answer")
    assert (row["task_id"], row["told_by"]) == (mine, "lena")
    (act,) = world.rows("audit", actor="lena")
    assert (act["act"], act["detail"]) == ("answered", "feedback: interested")


def test_a_viewer_sees_tasks_and_no_button(world: World, signed_in: SignIn) -> None:
    task = world.ask_one_of_us("ingrid", FEEDBACK)
    viewer = signed_in("viewer")
    page = viewer.get("/tasks").text
    assert "Ingrid Solheim" in page
    assert buttons(page) == []
    refused = viewer.post(f"/tasks/{task}", data={"name": "feedback", "answer": "no"})
    assert "This needs the role marketer or sales; yours is viewer" in refused.text
    assert world.rows("answer") == []


def test_an_answer_that_came_too_late_is_told_who_answered(world: World, signed_in: SignIn) -> None:
    task = world.ask_one_of_us("ingrid")
    signed_in("marketer", "dana").post(f"/tasks/{task}", data={"answer": "done"})
    page = signed_in("sales", "lena").post(f"/tasks/{task}", data={"answer": "done"})
    assert page.status_code == 200
    assert "Answered by Dana Weber" in page.text
    assert "your answer changed nothing" in page.text


@pytest.mark.parametrize("path", ["/tasks/99", "/tasks/0", "/tasks/x", "/tasks/%00"])
def test_a_task_that_there_is_not_is_no_page(world: World, signed_in: SignIn, path: str) -> None:
    world.ask_one_of_us("ingrid")
    assert signed_in("marketer").post(path, data={"answer": "done"}).status_code == 404
    assert world.rows("task")[0]["status"] == "open"


# What sales is asked for with a return


def budget(world: World) -> list[object]:
    return [row["number"] for row in world.rows("lead_fact", name="budget_on")]


def test_the_link_of_a_handoff_asks_for_what_the_reason_needs(world: World, client: Client) -> None:
    path = world.tokens()["handoff"]
    assert 'name="told.budget_on"' in client.get(path).text
    form = {"decision": "returned", "reason": "no budget", "told.budget_on": "2027-03-01"}
    assert client.post(path, data=form).status_code == 200
    assert budget(world) == [20_878]
    assert world.rows("handoff", id=world.handoff)[0]["return_reason"] == "no budget"


def test_the_desk_asks_for_it_as_well(world: World, signed_in: SignIn) -> None:
    lena = signed_in("sales", "lena")
    assert 'name="told.budget_on"' in lena.get("/handoffs").text
    form = {"decision": "returned", "reason": "no budget", "told.budget_on": "2027-03-01"}
    assert lena.post(f"/handoffs/{world.handoff}", data=form).status_code == 303
    assert budget(world) == [20_878]


def test_a_date_that_is_none_decides_nothing(world: World, client: Client) -> None:
    form = {"decision": "returned", "reason": "no budget", "told.budget_on": "next year"}
    assert client.post(world.tokens()["handoff"], data=form).status_code == 422
    assert world.rows("handoff", id=world.handoff)[0]["status"] == "open"
    assert budget(world) == []


def test_a_fact_that_the_reason_does_not_ask_for_is_left_alone(world: World, client: Client) -> None:
    form = {"decision": "returned", "reason": "not reached", "told.budget_on": "2027-03-01", "told.role": "x"}
    assert client.post(world.tokens()["handoff"], data=form).status_code == 200
    assert budget(world) == []

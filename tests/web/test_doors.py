import re
from datetime import timedelta
from typing import Any

import pytest

from leadnurture.engine import judge
from leadnurture.links import Links
from tests.web.client import Client
from tests.web.conftest import NOW, World

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
FORGED = Links("another secret", "http://127.0.0.1")


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    return {table for table in before if before[table] != after[table]}


# Nothing changes by looking


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("door", ["unsubscribe", "preferences", "register", "decline", "download", "handoff"])
def test_looking_at_a_link_changes_no_row(world: World, client: Client, door: str, method: str) -> None:
    before = world.everything()
    answer = client.request(method, world.tokens()[door])
    assert answer.status_code == 200
    assert world.everything() == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_click_appends_one_raw_row_and_nothing_else(world: World, client: Client, method: str) -> None:
    before = world.everything()
    agent = {"User-Agent": "Firefox\x07" + "x" * 400}
    answer = client.request(method, world.tokens()["click"], headers=agent)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://webinar.example.com/scaling-1")
    assert changed(before, world.everything()) == {"click"}
    (click,) = world.rows("click")
    assert (click["lead_id"], click["message_id"]) == (world.leads["ingrid"], world.message)
    assert (click["content"], click["session"], click["link"]) == ("scaling-1", "january", "link")
    assert (click["method"], click["agent"]) == (method, "Firefox" + "x" * 293)
    assert (click["judgement"], click["judge_at"]) == ("undecided", NOW + timedelta(seconds=120))
    assert click["network"] is None, "of this machine"


def test_a_click_of_a_person_counts_once_it_is_judged(world: World, client: Client) -> None:
    before = world.standing_of("ingrid")
    client.get(world.tokens()["click"], headers={"User-Agent": "Firefox"})
    assert judge(world.desk.database, NOW + timedelta(seconds=119)).clicks == 0
    assert world.standing_of("ingrid") == before
    assert judge(world.desk.database, NOW + timedelta(seconds=120)).persons == 1
    (reaction,) = world.rows("reaction", kind="clicked")
    assert (reaction["recorded_at"], reaction["counts_at"]) == (NOW, NOW + timedelta(seconds=120))


def test_a_machine_that_follows_every_link_brings_about_nothing(world: World, client: Client) -> None:
    """As gateways do: GET and HEAD of every link, those of unsubscribing and of sales, too."""
    hidden = world.desk.links.click(world.message, "hidden").removeprefix("http://127.0.0.1")
    before = world.everything()
    for method in ("HEAD", "GET"):
        for path in (*world.tokens().values(), hidden):
            assert client.request(method, path, headers={"User-Agent": "Firefox"}).status_code in {200, 302}
    judged = judge(world.desk.database, NOW + timedelta(hours=1))
    assert (judged.clicks, judged.persons) == (4, 0)
    assert changed(before, world.everything()) == {"click"}


def test_the_hidden_link_leads_where_the_mail_does(world: World, client: Client) -> None:
    for message, target in (
        (world.message, "https://webinar.example.com/scaling-1"),
        (world.last_call, None),
    ):
        hidden = world.desk.links.click(message, "hidden").removeprefix("http://127.0.0.1")
        location = client.get(hidden).headers["location"]
        assert location == (target or location)
        assert location.startswith("https://")


# Links that do not work


def broken(path: str) -> list[str]:
    door, token = path[:3], path[3:]
    return [
        f"{door}x",
        f"{door}{token[:-1]}",
        f"{door}{token}x",
        f"{door}{token.replace('.', '%00')}",
        f"{door}%ff%fe",
        f"{door}{'a' * 5000}",
        f"{door}..%2f..%2fetc%2fpasswd",
        f"{door}1~0.aaaa",
        f"{door}%F0%9F%A6%86",
    ]


@pytest.mark.parametrize("door", ["click", "unsubscribe", "preferences", "register", "download", "handoff"])
def test_a_link_that_cannot_be_read_is_a_page_that_says_so(world: World, client: Client, door: str) -> None:
    before = world.everything()
    for path in broken(world.tokens()[door]):
        for method in ("GET", "HEAD") if door == "click" else ("GET", "HEAD", "POST"):
            form = (
                {"answer": "registered", "decision": "accepted", "mails": "0"} if method == "POST" else None
            )
            answer = client.request(method, path, data=form)
            assert answer.status_code == 404, (method, path)
            assert answer.headers["content-type"].startswith("text/html")
    assert world.everything() == before


def test_a_link_signed_with_another_secret_is_refused(world: World, client: Client) -> None:
    for url in (
        FORGED.click(world.message, "link"),
        FORGED.unsubscribe(world.leads["ingrid"]),
        FORGED.preferences(world.leads["ingrid"]),
        FORGED.register(world.message, "january"),
        FORGED.download(world.message),
        FORGED.handoff(world.handoff, NOW),
    ):
        assert client.get(url.removeprefix("http://127.0.0.1")).status_code == 404


def test_a_token_of_one_door_opens_no_other(world: World, client: Client) -> None:
    tokens = world.tokens()
    for door in "cdupwh":
        for path in tokens.values():
            if path[1] != door:
                assert client.get(f"/{door}{path[2:]}").status_code == 404


def test_a_link_to_what_is_gone_is_refused(world: World, client: Client) -> None:
    links = world.desk.links
    for url in (
        links.click(999_999, "link"),
        links.unsubscribe(999_999),
        links.preferences(999_999),
        links.register(world.message, "no such session"),
        links.register(999_999, "january"),
        links.download(999_999),
        links.download(world.last_call),  # a mail whose content lies nowhere
        links.handoff(999_999, NOW),
        links.click(2**63 - 1, "link"),
    ):
        assert client.get(url.removeprefix("http://127.0.0.1")).status_code == 404


def test_a_handoff_link_expires_after_two_weeks(world: World, client: Client) -> None:
    path = world.tokens()["handoff"]
    world.desk.now = NOW + timedelta(days=15)
    assert client.get(path).status_code == 404
    assert client.post(path, data={"decision": "accepted"}).status_code == 404
    assert world.rows("handoff", id=world.handoff)[0]["status"] == "open"


def test_the_target_of_a_click_is_never_taken_from_the_address(world: World, client: Client) -> None:
    path = world.tokens()["click"]
    answer = client.get(path, params={"url": "https://evil.example", "next": "//evil.example"})
    assert answer.headers["location"] == "https://webinar.example.com/scaling-1"


# Download


def test_the_button_of_a_file_notes_it_and_leads_on(world: World, client: Client) -> None:
    path = world.tokens()["download"]
    page = client.get(path)
    assert "Scaling without downtime" in page.text
    assert "form-action 'self' https://webinar.example.com;" in page.headers["content-security-policy"]
    answer = client.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://webinar.example.com/scaling-1")
    (row,) = world.rows("reaction", kind="downloaded", lead_id=world.leads["ingrid"], source="web")
    assert (row["content"], row["message_id"]) == ("scaling-1", world.message)


# Unsubscribe


def test_one_click_unsubscribes_at_once(world: World, client: Client) -> None:
    answer = client.post(world.tokens()["unsubscribe"], data=ONE_CLICK)
    assert answer.status_code == 200
    assert [row["email_key"] for row in world.rows("suppression")] == ["ingrid@example.com"]
    assert world.rows("lead", id=world.leads["ingrid"])[0]["look_at"] <= NOW


def test_one_click_may_come_as_multipart_or_empty_and_twice(world: World, client: Client) -> None:
    path = world.tokens()["unsubscribe"]
    assert client.post(path, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert client.post(path).status_code == 200
    assert len(world.rows("reaction", kind="unsubscribed")) == 1


def test_an_unsubscribe_link_never_expires(world: World, client: Client) -> None:
    path = world.tokens()["unsubscribe"]
    world.desk.now = NOW + timedelta(days=4000)
    assert client.post(path).status_code == 200
    assert len(world.rows("suppression")) == 1


# Register


@pytest.mark.parametrize("link", ["register", "decline"])
@pytest.mark.parametrize("answer", ["registered", "declined"])
def test_a_button_records_the_answer(world: World, client: Client, link: str, answer: str) -> None:
    page = client.post(world.tokens()[link], data={"answer": answer})
    assert page.status_code == 200
    (standing,) = world.rows("standing")
    assert (standing["kind"], standing["content"], standing["session"]) == (answer, "scaling-1", "january")


def buttons(page: str) -> list[tuple[str, bool]]:
    """The answers that a page offers, and whether each is the solid one."""
    found = re.findall(r'<button( class="primary")? name="answer" value="(\w+)">', page)
    return [(answer, bool(solid)) for solid, answer in found]


def test_what_the_link_said_stands_first(world: World, client: Client) -> None:
    tokens = world.tokens()
    assert buttons(client.get(tokens["register"]).text) == [("registered", True), ("declined", False)]
    assert buttons(client.get(tokens["decline"]).text) == [("declined", True), ("registered", False)]


def test_content_without_a_session_is_declined_and_has_no_seats(world: World, client: Client) -> None:
    path = world.desk.links.decline(world.message, "").removeprefix("http://127.0.0.1")
    assert buttons(client.get(path).text) == [("declined", True)]
    client.post(path, data={"answer": "registered"})
    assert world.rows("standing") == []
    page = client.post(path, data={"answer": "declined"}).text
    assert "We will not send it again" in page
    assert buttons(page) == []
    assert world.rows("standing")[0]["kind"] == "declined"


def test_a_link_that_is_cut_off_says_what_to_do(world: World, client: Client) -> None:
    page = client.get(world.tokens()["register"][:-3])
    assert page.status_code == 404
    assert "This link does not work" in page.text
    assert "Open it again from the mail" in page.text


def test_the_last_word_holds(world: World, client: Client) -> None:
    path = world.tokens()["register"]
    for seconds, answer in enumerate(["registered", "declined", "registered"]):
        world.desk.now = NOW + timedelta(seconds=seconds)
        client.post(path, data={"answer": answer})
    assert [row["kind"] for row in world.rows("standing")] == ["registered"]
    assert "You have a seat" in client.get(path).text


def test_a_mail_about_a_webinar_registers_for_that_webinar(world: World, client: Client) -> None:
    url = world.desk.links.register(world.last_call, "january")
    client.post(url.removeprefix("http://127.0.0.1"), data={"answer": "registered"})
    assert world.rows("standing")[0]["content"] == "scaling-1"


def test_a_session_that_is_over_takes_nobody_any_more(world: World, client: Client) -> None:
    path = world.tokens()["register"]
    world.desk.now = NOW + timedelta(days=60)
    assert "Already over" in client.post(path, data={"answer": "registered"}).text
    assert world.rows("standing") == []


def test_the_last_seat_is_taken_once(world: World, client: Client) -> None:
    """Both opened the page while there was one."""
    world.take_seats("january", "mallory")
    world.only(2)
    path = world.tokens()["register"]
    assert buttons(client.get(path).text) == [("registered", True), ("declined", False)]
    world.take_seats("january", "sverre")
    page = client.post(path, data={"answer": "registered"}).text
    assert "No seat is left" in page
    assert "Sorry, somebody else took the last seat before you." in page
    assert "You have a seat" not in page
    assert buttons(page) == []
    assert world.rows("standing", lead_id=world.leads["ingrid"]) == []
    assert "Sorry" not in client.get(path).text


def test_whoever_has_one_of_the_seats_keeps_it_and_may_give_it_back(world: World, client: Client) -> None:
    world.take_seats("january", "ingrid")
    world.only(1)
    path = world.tokens()["register"]
    assert "You have a seat" in client.post(path, data={"answer": "registered"}).text
    page = client.post(path, data={"answer": "declined"}).text
    assert buttons(page) == [("registered", False)]
    assert "You have a seat" in client.post(path, data={"answer": "registered"}).text


def test_an_answer_that_is_none_is_refused(world: World, client: Client) -> None:
    assert client.post(world.tokens()["register"], data={"answer": "attended"}).status_code == 404
    assert client.post(world.tokens()["register"]).status_code == 404
    assert world.rows("standing") == []


# Handoffs


def test_a_handoff_shows_who_and_why(world: World, client: Client) -> None:
    page = client.get(world.tokens()["handoff"]).text
    for words in (
        "Ingrid Solheim",
        "Fjellheim Kraft",
        "Attended Scaling without downtime",
        "1 h 20 min left",
        "Lena Ott",
    ):
        assert words in page
    for reason in ("No budget", "Wrong person", "Not reached", "Not a fit"):
        assert reason in page


def test_accepting_ends_the_nurture(world: World, client: Client) -> None:
    page = client.post(world.tokens()["handoff"], data={"decision": "accepted"})
    assert "Lena Ott accepted this lead" in page.text
    assert world.rows("handoff", id=world.handoff)[0]["status"] == "accepted"
    assert world.rows("enrollment")[0]["status"] == "exited"


def test_a_return_needs_a_reason_of_the_agreement(world: World, client: Client) -> None:
    path = world.tokens()["handoff"]
    for data in ({"decision": "returned"}, {"decision": "returned", "reason": "bad mood"}):
        assert client.post(path, data=data).status_code == 422
    assert world.rows("handoff", id=world.handoff)[0]["status"] == "open"


def test_a_return_keeps_its_reason_and_note(world: World, client: Client) -> None:
    data = {"decision": "returned", "reason": "not reached", "note": "Three calls.\r\nNobody <there>\x00"}
    page = client.post(world.tokens()["handoff"], data=data)
    assert "Nobody &lt;there&gt;" in page.text
    row = world.rows("handoff", id=world.handoff)[0]
    assert (row["status"], row["return_reason"]) == ("returned", "not reached")
    assert row["note"] == "Three calls.\nNobody <there>"


def test_the_first_decision_wins_and_a_later_one_is_told_who_decided(world: World, client: Client) -> None:
    path = world.tokens()["handoff"]
    client.post(path, data={"decision": "accepted"})
    page = client.post(path, data={"decision": "returned", "reason": "no budget"})
    assert page.status_code == 200
    assert "Lena Ott accepted this lead" in page.text
    assert "your answer changed nothing" in page.text
    assert world.rows("handoff", id=world.handoff)[0]["status"] == "accepted"


def test_names_that_are_markup_are_shown_as_text(world: World, client: Client) -> None:
    url = world.desk.links.handoff(world.overdue, NOW)
    page = client.get(url.removeprefix("http://127.0.0.1")).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in page

"""Answers to mails: posted by the provider, shown on a page, sorted by its buttons."""

import re

import pytest
from pydantic import SecretStr

from leadnurture.links import Links
from tests.mail.letters import KEY, credentials, letter, raw
from tests.web.client import Client
from tests.web.conftest import HOSTILE, SignIn, World

HOOK = "/hooks/sendgrid/inbound"


@pytest.fixture
def inbound(world: World, signed_in: SignIn) -> Client:
    """The app with answers coming in, and Dana, a marketer, before it."""
    desk = world.desk
    update = {"inbound_address": "reply@in.example.com", "inbound_key": SecretStr(KEY)}
    desk.settings = desk.settings.model_copy(update=update)
    desk.links = Links("a secret of the tests", "http://127.0.0.1", "reply@in.example.com")
    return signed_in("marketer", "dana")


def answer(world: World, client: Client, text: str = "Call me") -> None:
    to = world.desk.links.answer_address(world.message)
    assert to
    post = raw(letter(text, subject=f"Re: {HOSTILE}"), to=to)
    told = client.post(HOOK, content=post, headers=credentials())
    assert (told.status_code, told.json()["is_new"]) == (200, True)


def actions(client: Client) -> list[str]:
    return re.findall(r'action="(/replies/[^"]+)"', client.get("/replies").text)


def test_an_answer_is_shown_until_it_is_sorted(world: World, inbound: Client) -> None:
    assert actions(inbound) == []
    answer(world, inbound, text=f"{HOSTILE}\r\nCall me")
    page = inbound.get("/replies")
    assert page.status_code == 200
    assert "Call me" in page.text
    assert HOSTILE not in page.text
    (action,) = actions(inbound)
    done = inbound.post(action, data={"decision": "resume", "track": "prospects"})
    assert (done.status_code, done.headers["location"]) == (303, "/replies?track=prospects")
    assert actions(inbound) == []
    (reply,) = world.rows("reply")
    assert (reply["decision"], reply["sorted_by"]) == ("resume", "dana")
    (act,) = world.rows("audit", actor="dana")
    assert (act["act"], act["detail"]) == ("sorted a reply", "resume")


def test_a_decision_may_be_that_he_wants_no_more_mail(world: World, inbound: Client) -> None:
    answer(world, inbound)
    (action,) = actions(inbound)
    inbound.post(action, data={"decision": "unsubscribe", "track": "prospects"})
    assert [row["email_key"] for row in world.rows("suppression")] == ["ingrid@example.com"]


def test_looking_changes_nothing(world: World, inbound: Client) -> None:
    answer(world, inbound)
    before = world.everything()
    (action,) = actions(inbound)
    for method in ("GET", "HEAD"):
        assert inbound.request(method, "/replies").status_code == 200
        assert inbound.request(method, action).status_code == 405
    assert world.everything() == before


@pytest.mark.parametrize("path", ["/replies/99", "/replies/0", "/replies/x", "/replies/%00"])
def test_a_reply_that_there_is_not_is_no_page(world: World, inbound: Client, path: str) -> None:
    answer(world, inbound)
    assert inbound.post(path, data={"decision": "end", "track": "prospects"}).status_code == 404
    assert world.rows("reply")[0]["sorted_at"] is None


def test_a_decision_that_there_is_not_is_no_page(world: World, inbound: Client) -> None:
    answer(world, inbound)
    (action,) = actions(inbound)
    assert inbound.post(action, data={"decision": "burn", "track": "prospects"}).status_code == 404
    assert world.rows("reply")[0]["sorted_at"] is None


def test_whoever_may_only_look_sorts_nothing(world: World, inbound: Client, signed_in: SignIn) -> None:
    answer(world, inbound)
    viewer = signed_in("viewer")
    (action,) = actions(viewer)
    assert viewer.post(action, data={"decision": "end", "track": "prospects"}).status_code == 403
    assert world.rows("reply")[0]["sorted_at"] is None


@pytest.mark.parametrize("password", ["", "wrong", KEY.upper()])
def test_a_mail_without_the_password_changes_nothing(world: World, inbound: Client, password: str) -> None:
    before = world.everything()
    told = inbound.post(HOOK, content=raw(letter()), headers=credentials(password))
    assert told.status_code == 401
    assert "LEADNURTURE_INBOUND_KEY" in told.json()["error"]
    assert world.everything() == before


def test_a_form_with_a_field_over_a_megabyte_is_taken(world: World, inbound: Client) -> None:
    to = world.desk.links.answer_address(world.message)
    assert to
    post = raw(letter("x" * 3_000_000), to=to)
    assert inbound.post(HOOK, content=post, headers=credentials()).status_code == 200
    assert len(world.rows("reply")) == 1

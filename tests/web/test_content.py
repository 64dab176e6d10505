"""What there is to send, who has a seat, and the button by which a marketer says who came."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from leadnurture import engine
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store.tables import metadata
from tests.web.client import Client
from tests.web.conftest import HOSTILE, SignIn, World

PAGE = "/content/scaling-1"
CLOSE = f"{PAGE}/attendance"


@pytest.fixture
def marketer(world: World, signed_in: SignIn) -> Client:
    """Dana, before a webinar that took place yesterday, and one in January."""
    world.take_seats("december", "ingrid", "mallory")
    world.take_seats("january", "sverre")
    return signed_in("marketer", "dana")


def standing(world: World) -> dict[str, str]:
    names = {number: name for name, number in world.leads.items()}
    return {names[row["lead_id"]]: row["kind"] for row in world.rows("standing", content="scaling-1")}


def test_the_list_says_where_somebody_must_say_who_came(marketer: Client) -> None:
    page = marketer.get("/content")
    assert page.text.count("who came?") >= 1
    assert "Scaling without downtime" in page.text
    assert "What an hour of downtime costs" in page.text
    assert "Seat moved" not in page.text


def test_the_page_asks_about_those_who_have_a_seat_in_what_took_place(marketer: Client) -> None:
    page = marketer.get(PAGE)
    assert re.findall(r'name="attended" value="([^"]+)"', page.text) == [
        "mallory@example.com",
        "ingrid@example.com",
    ]
    assert page.text.count("Close the list</button>") == 1
    assert "Sverre Haugland" in page.text
    assert HOSTILE not in page.text


def test_nothing_waits_for_an_answer_where_a_session_was_cancelled(world: World, marketer: Client) -> None:
    session = metadata.tables["content_session"]
    with world.desk.database.write() as connection:
        connection.execute(update(session).where(session.c.name == "january").values(starts_at=None))
    page = marketer.get(PAGE).text
    cancelled = page[page.index('id="january"') :]
    assert "Sverre Haugland" in cancelled
    assert '<span class="status held">registered</span>' in cancelled
    assert "status due" not in page


def test_whoever_is_ticked_came_and_whoever_is_not_missed_it(world: World, marketer: Client) -> None:
    done = marketer.post(CLOSE, data={"session": "december", "attended": ["ingrid@example.com"]})
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}#december")
    assert standing(world) == {"ingrid": "attended", "mallory": "missed", "sverre": "registered"}
    (act,) = world.rows("audit", actor="dana")
    assert (act["act"], act["subject"], act["detail"]) == (
        "closed a list",
        "session scaling-1/december",
        "1 attended",
    )
    page = marketer.get(PAGE).text
    assert "Close the list</button>" not in page
    assert "1 person came" in marketer.get("/content").text


def test_more_seats_than_there_are_is_over_booked(world: World, marketer: Client) -> None:
    world.only(1)
    assert "over-booked" not in marketer.get("/content").text
    world.take_seats("january", "ingrid", "mallory")
    for page in ("/content", PAGE):
        assert marketer.get(page).text.count("over-booked by 2") == 1


def test_nobody_need_have_come(world: World, marketer: Client) -> None:
    assert marketer.post(CLOSE, data={"session": "december"}).status_code == 303
    assert standing(world)["ingrid"] == standing(world)["mallory"] == "missed"


def test_the_button_may_be_pressed_twice(world: World, marketer: Client) -> None:
    for _ in range(2):
        marketer.post(CLOSE, data={"session": "december", "attended": ["ingrid@example.com"]})
    assert len(world.rows("reaction", kind="attended", content="scaling-1", source="person")) == 1


@pytest.mark.parametrize(("session", "status"), [("january", 422), ("none", 404), ("../x", 404)])
def test_nobody_can_have_come_to_what_is_ahead_or_not_there(
    world: World, marketer: Client, session: str, status: int
) -> None:
    before = world.everything()
    assert marketer.post(CLOSE, data={"session": session}).status_code == status
    assert world.everything() == before


@pytest.mark.usefixtures("marketer")
@pytest.mark.parametrize(
    ("session", "error"), [("january", InvalidInputError), ("none", NotFoundError), (None, NotFoundError)]
)
def test_no_door_closes_the_list_of_what_has_not_begun(
    world: World, session: str | None, error: type[Exception]
) -> None:
    """Nor does a file or another system: whoever has a seat would have missed it."""
    database, now = world.desk.database, world.desk.now
    with pytest.raises(error):
        engine.close_session(database, "scaling-1", session, (), now, "command")
    assert standing(world)["sverre"] == "registered"
    if session == "january":
        engine.close_session(database, "scaling-1", session, (), now + timedelta(days=60), "command")
        assert standing(world)["sverre"] == "missed"


def test_more_people_than_a_page_names_are_not_told_to_have_missed_it(
    world: World, marketer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("leadnurture.reports.content", "leadnurture.engine.outcomes"):
        monkeypatch.setattr(f"{place}.MOST_ASKED", 1)
    assert "leadnurture close scaling-1 december" in marketer.get(PAGE).text
    before = world.everything()
    assert marketer.post(CLOSE, data={"session": "december"}).status_code == 422
    assert world.everything() == before


def test_a_mail_about_a_seat_is_shown_with_its_session(world: World, marketer: Client) -> None:
    (row,) = world.rows("message", occasion="confirmation", lead_id=world.leads["sverre"])
    page = marketer.get(f"/outbox/{row['id']}").text
    assert f'href="{PAGE}#january"' in page
    assert f'href="{PAGE}#january"' in marketer.get("/outbox?status=planned").text
    assert (
        "For the seat in Scaling without downtime, session january."
        in marketer.get(f"/leads/{world.leads['sverre']}").text
    )

"""Who may see what: every route of the app with every kind of visitor. No route can be forgotten.

The routes are those of the app itself; one without a sample of what is sent to it fails here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from leadnurture import access
from leadnurture.domain.roles import ROLES, SCOPES, Needed, may
from leadnurture.store import Database, open_database
from leadnurture.web import create_app, rights
from tests.web.client import Client
from tests.web.conftest import COOKIE, KEY, NOW, PASSWORD, SignIn, World, add, add_user

VISITORS: Final = ("nobody", "a system", *ROLES)
FORMS: Final[Mapping[str, Mapping[str, object]]] = {
    "POST /clicks/{click_id}": {"judgement": "machine"},
    "POST /handoffs/{handoff_id}": {"decision": "accepted"},
    "POST /tasks/{task_id}": {"answer": "done"},
    "POST /content/{content}/attendance": {"session": "december", "attended": "ingrid@example.com"},
    "POST /replies/{reply_id}": {"decision": "resume", "track": "prospects"},
    "POST /leads/{lead_id}/export": {},
    "POST /leads/{lead_id}/merge": {"other": "sverre@example.com"},
    "POST /leads/{lead_id}/merges/{merge_id}/undo": {},
    "POST /leads/{lead_id}/notes": {"text": "Call again in May"},
    "POST /leads/{lead_id}/feedback": {"answer": "later", "channel": "by mail", "key": "0123456789abcdef"},
    "POST /account/password": {
        "present": PASSWORD,
        "new": "another sentence of mine",
        "again": "another sentence of mine",
    },
    "POST /account/sign-out-everywhere": {},
    "POST /sign-out": {},
    "POST /users": {"name": "somebody.new", "role": "viewer"},
    "POST /users/{user_id}/role": {"role": "sales"},
    "POST /users/{user_id}/password": {},
    "POST /users/{user_id}/remove": {},
    "POST /keys": {"name": "a new system", "scope": ["leads"]},
    "POST /keys/{key_id}/revoke": {},
}
TELLING: Final[Mapping[str, object]] = {
    "POST /api/leads": {"email": "new@example.com"},
    "POST /api/reactions": {"id": "1", "kind": "visited", "email": "new@example.com", "argument": "/"},
    "GET /metrics": None,
}
LAST: Final = ("POST /account/password", "POST /account/sign-out-everywhere", "POST /sign-out")
"""They end the sign-in."""


@dataclass
class House:
    """A world with somebody whom the admins' routes are about."""

    world: World
    hashed: str
    fresh: list[int] = field(default_factory=list)

    def path(self, route: str) -> str:
        """The address of a route; every parameter must have a sample here."""
        world = self.world
        samples = {
            "name": "scaling-series",
            "content": "scaling-1",
            "lead_id": world.leads["ingrid"],
            "message_id": world.message,
            "handoff_id": world.handoff,
            "click_id": self.click,
            "user_id": self.user,
            "key_id": self.key,
            "reply_id": self.reply,
            "task_id": self.task,
            "merge_id": self.merge,
        }
        return re.sub(r"{(\w+)}", lambda found: str(samples[found[1]]), route.partition(" ")[2])

    @property
    def click(self) -> int:
        known = self.world.rows("click", judged_at=None)
        if known:
            return int(known[0]["id"])
        key = f"click-{len(self.world.rows('click'))}"
        told = {"at": NOW, "recorded_at": NOW, "judge_at": NOW, "source": "web", "judgement": "undecided"}
        with self.world.desk.database.write() as connection:
            return add(connection, "click", lead_id=self.world.leads["ingrid"], key=key, reason="x", **told)

    @property
    def merge(self) -> int:
        known = self.world.rows("lead_merge", undone_at=None)
        if known:
            return int(known[-1]["id"])
        nothing = json.dumps({"changes": [], "after": "", "addresses": []})
        row = {"kept_id": self.world.leads["ingrid"], "gone_id": 99, "at": NOW, "by": "dana", "body": nothing}
        with self.world.desk.database.write() as connection:
            return add(connection, "lead_merge", **row)

    @property
    def user(self) -> int:
        return add_user(self.world.desk, f"target-{len(self.world.rows('audit'))}", "viewer", self.hashed)

    @property
    def key(self) -> int:
        number = len(self.world.rows("audit"))
        row = {
            "name": f"key-{number}",
            "hash": f"h{number}",
            "start": "",
            "scopes": "read",
            "created_at": NOW,
        }
        with self.world.desk.database.write() as connection:
            known = [each["id"] for each in self.world.rows("api_key", hash=f"h{number}")]
            return known[0] if known else add(connection, "api_key", **row)

    @property
    def reply(self) -> int:
        known = self.world.rows("reply", sorted_at=None)
        if known:
            return int(known[0]["id"])
        with self.world.desk.database.write() as connection:
            told = {"source": "inbound", "body": b"", "about": "", "status": "done", "attempts": 1}
            inbox = add(connection, "inbox", received_at=NOW, **told)
            reply = {"lead_id": self.world.leads["carla"], "matched_by": "address", "at": NOW}
            return add(connection, "reply", inbox_id=inbox, sender="c", subject="Re", text="Yes", **reply)

    @property
    def task(self) -> int:
        known = self.world.rows("task", status="open")
        return int(known[0]["id"]) if known else self.world.ask_one_of_us("carla")

    def send(self, client: Client, route: str) -> httpx.Response:
        method = route.partition(" ")[0]
        return client.request(
            method, self.path(route), **({"data": FORMS[route]} if method == "POST" else {})
        )


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Who may see what does not hang on the database: here it is SQLite; tests/access has both."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def house(world: World, hashed: str) -> House:
    return House(world, hashed)


def in_order() -> list[str]:
    """Routes of people: reading first, what ends the sign-in last."""
    routes = sorted(rights.PEOPLE, key=lambda route: (route in LAST, route.startswith("POST"), route))
    assert set(LAST) <= set(routes)
    return routes


# The tables and the app


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # GET and HEAD of one door
def test_every_route_of_the_app_stands_in_exactly_one_table(world: World) -> None:
    paths: dict[str, Any] = create_app(world.desk).openapi()["paths"]
    there = {rights.route(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert len(there) > 30
    assert there | {"GET /static"} == {*rights.PUBLIC, *rights.SYSTEMS, *rights.PEOPLE}
    assert len(rights.PUBLIC) + len(rights.SYSTEMS) + len(rights.PEOPLE) == len(there) + 1


def test_every_post_of_people_has_a_sample() -> None:
    assert {route for route in rights.PEOPLE if route.startswith("POST")} == set(FORMS)
    assert set(rights.SYSTEMS) == set(TELLING)


def test_the_list_of_public_routes_is_short_and_closed() -> None:
    assert sorted(rights.PUBLIC) == [
        "GET /a/{token}",
        "GET /c/{token}",
        "GET /d/{token}",
        "GET /h/{token}",
        "GET /healthz",
        "GET /p/{token}",
        "GET /readyz",
        "GET /sign-in",
        "GET /static",
        "GET /u/{token}",
        "GET /w/{token}",
        "POST /a/{token}",
        "POST /d/{token}",
        "POST /h/{token}",
        "POST /hooks/sendgrid/events",
        "POST /hooks/sendgrid/inbound",
        "POST /hooks/webinar/{provider}",
        "POST /p/{token}",
        "POST /sign-in",
        "POST /u/{token}",
        "POST /w/{token}",
    ]


def test_an_app_with_a_route_about_which_nothing_is_said_does_not_start(world: World) -> None:
    app = create_app(world.desk)
    app.add_api_route("/forgotten", lambda: "a secret")
    with pytest.raises(RuntimeError, match="nothing is said about who may come in: GET /forgotten"):
        rights.check_rights(app)


def test_a_route_about_which_nothing_is_said_is_shut_to_everybody(world: World, signed_in: SignIn) -> None:
    client = signed_in("admin")
    client.app.add_api_route("/forgotten", lambda: "a secret")
    answer = client.get("/forgotten", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 403
    assert "a secret" not in answer.text
    assert world.rows("lead")


@pytest.mark.parametrize(("line", "sentence"), [
    ("GET /gone", "what is not there: GET /gone"),
    ("GET /healthz", "said twice who may come in: GET /healthz"),
])  # fmt: skip
def test_a_table_that_is_wrong_does_not_let_the_app_start(
    world: World, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
) -> None:
    monkeypatch.setattr(rights, "PEOPLE", {**rights.PEOPLE, line: "viewer"})
    with pytest.raises(RuntimeError, match=sentence):
        create_app(world.desk)


# People


def visitor_of(name: str, house: House, signed_in: SignIn) -> Client:
    if name in ROLES:
        return signed_in(name)
    client = Client(create_app(house.world.desk))
    client.headers["Sec-Fetch-Site"] = "same-origin"
    if name == "a system":
        client.headers["Authorization"] = f"Bearer {KEY}"
    return client


def expected(visitor: str, needed: Needed, method: str) -> str:
    if visitor in ROLES:
        role: Any = visitor
        return "in" if may(role, needed) else "out"
    return "to the entrance" if method == "GET" else "signed out"


def met(answer: httpx.Response) -> str:
    location = answer.headers.get("location", "")
    if answer.status_code == 303 and location.startswith("/sign-in?next="):
        return "to the entrance"
    if (
        answer.status_code == 303
        and location == "/sign-in"
        and COOKIE not in answer.headers.get("set-cookie", "")
    ):
        return "to the entrance"
    return {401: "signed out", 403: "out"}.get(
        answer.status_code, "in" if answer.status_code < 400 else answer.text
    )


@pytest.mark.parametrize("visitor", VISITORS)
def test_every_route_of_people_is_open_to_its_role_alone(
    house: House, signed_in: SignIn, visitor: str
) -> None:
    client = visitor_of(visitor, house, signed_in)
    found, wanted, untold = {}, {}, []
    for route in in_order():
        if route in LAST and visitor in ROLES:
            client = signed_in(visitor)
        before = len(house.world.rows("audit"))
        found[route] = met(house.send(client, route))
        wanted[route] = expected(visitor, rights.PEOPLE[route], route.partition(" ")[0])
        told = len(house.world.rows("audit")) - before
        if told != (route.startswith("POST") and found[route] == "in"):
            untold.append((route, told))
    assert found == wanted
    assert untold == [], "every act of a person is one row of the audit, and reading is none"


@pytest.mark.parametrize("visitor", ["nobody", "a system", "viewer", "marketer"])
def test_who_is_refused_changes_nothing(house: House, signed_in: SignIn, visitor: str) -> None:
    client = visitor_of(visitor, house, signed_in)
    samples = house.user, house.key, house.reply, house.click, house.merge, house.task
    before = house.world.everything()
    for route in in_order():
        needed = rights.PEOPLE[route]
        if route.startswith("POST") and expected(visitor, needed, "POST") != "in":
            assert house.send(client, route).status_code in {401, 403}, route
    assert house.world.everything() == before
    assert samples == (house.user, house.key, house.reply, house.click, house.merge, house.task)


def test_a_role_that_is_too_small_is_told_which_one_it_takes(world: World, signed_in: SignIn) -> None:
    page = signed_in("viewer").post(f"/handoffs/{world.handoff}", data={"decision": "accepted"})
    assert "This needs the role sales; yours is viewer" in page.text


def test_a_page_shows_no_button_that_the_role_may_not_press(house: House, signed_in: SignIn) -> None:
    world = house.world
    assert house.click
    for role in ROLES:
        client = signed_in(role)
        pages = client.get("/handoffs").text + client.get(f"/leads/{world.leads['ingrid']}").text
        assert ('name="judgement"' in pages) is (role in {"marketer", "admin"}), role
        assert ('name="decision"' in pages) is (role in {"sales", "admin"}), role
        assert ('href="/users' in client.get("/account").text) is (role == "admin"), role


# Systems


@pytest.mark.parametrize("route", TELLING)
def test_every_route_of_systems_needs_a_key_for_it(world: World, signed_in: SignIn, route: str) -> None:
    desk, needed = world.desk, rights.SYSTEMS[route]
    right = access.add_key(desk.database, "right", [needed], "the tests", NOW)
    other = access.add_key(desk.database, "other", [s for s in SCOPES if s != needed], "the tests", NOW)

    def answer(client: Client, key: str | None) -> int:
        method, _, path = route.partition(" ")
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return client.request(method, path, json=TELLING[route], headers=headers).status_code

    stranger, admin = Client(create_app(desk), "10.0.0.7"), signed_in("admin", address="10.0.0.7")
    assert [answer(stranger, None), answer(admin, None), answer(stranger, right[:-1])] == [401, 401, 401]
    assert answer(stranger, other) == 403
    assert answer(stranger, right) in {200, 422}
    access.revoke_key(desk.database, "right", "the tests", NOW)
    assert answer(stranger, right) == 401


def test_the_machine_itself_reads_its_numbers_without_a_key(world: World) -> None:
    app = create_app(world.desk)
    assert Client(app).get("/metrics").status_code == 200
    assert Client(app, host="evil.example").get("/metrics").status_code == 401
    assert Client(app).post("/api/leads", json={"email": "new@example.com"}).status_code == 401


# Everybody


def test_links_need_no_sign_in_and_nothing_else_does_their_work(world: World, client: Client) -> None:
    for name, path in world.tokens().items():
        assert client.get(path).status_code in {200, 302}, name
        forged = path[:-2] + ("xx" if not path.endswith("xx") else "yy")
        assert client.get(forged).status_code == 404, name


def test_a_decision_by_the_link_is_kept_as_such(world: World, client: Client) -> None:
    client.post(world.tokens()["handoff"], data={"decision": "returned", "reason": "not reached"})
    (row,) = world.rows("audit", act="handoff returned")
    assert (row["actor"], row["subject"], row["detail"]) == (
        "lena, by the link in the notice",
        f"lead {world.leads['ingrid']}",
        f"handoff {world.handoff}, not reached",
    )


def test_a_decision_on_the_desk_is_made_by_whoever_is_signed_in(world: World, signed_in: SignIn) -> None:
    for name, handoff, by in (("marc@example.com", world.handoff, "marc"), ("sue", world.overdue, "sue")):
        client = signed_in("sales", name)
        assert client.post(f"/handoffs/{handoff}", data={"decision": "accepted"}).status_code == 303
        assert world.rows("handoff", id=handoff)[0]["decided_by"] == by
        assert [row["actor"] for row in world.rows("audit", detail=f"handoff {handoff}")] == [name]
    again = client.post(f"/handoffs/{world.handoff}", data={"decision": "returned", "reason": "not reached"})
    assert "It had been decided before you answered" in again.text

"""Signing in and out: what a browser is given, when it ends, who is slowed down, what is forged."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi import Request

from leadnurture.app import machine_now
from leadnurture.domain.roles import Role
from leadnurture.store import Database, open_database
from leadnurture.web import create_app, rights
from leadnurture.web.identity import Identity, page_of_ours
from tests.web.client import Client
from tests.web.conftest import COOKIE, PASSWORD, Desk, SignIn, World, add_user
from tests.web.test_rights import FORMS, House

HOUR = timedelta(hours=1)


@dataclass
class Watch:
    """The machine's clock, as a test sets it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Who may see what does not hang on the database: here it is SQLite; tests/access has both."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def watch() -> Watch:
    return Watch(machine_now())


@pytest.fixture
def lena(desk: Desk, hashed: str) -> int:
    return add_user(desk, "lena", "sales", hashed)


@pytest.fixture
def house(world: World, hashed: str) -> House:
    return House(world, hashed)


Comes = Callable[..., Client]


@pytest.fixture
def comes(desk: Desk, watch: Watch) -> Comes:
    """`comes("10.0.0.7")` is somebody before the form, at an address of the public site."""
    desk.settings = desk.settings.model_copy(update={"url": "https://news.example.com"})
    app = create_app(desk, clock=watch)

    def come(address: str = "10.0.0.7") -> Client:
        client = Client(app, address, "news.example.com")
        client.headers["Sec-Fetch-Site"] = "same-origin"
        return client

    return come


def sign_in(client: Client, password: str = PASSWORD, name: str = "lena", back: str = "/") -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password, "next": back})


def is_in(client: Client) -> bool:
    answer = client.get("/account")
    assert answer.status_code in {200, 303}
    return answer.status_code == 200


# What a browser is given


@pytest.mark.usefixtures("lena")
def test_a_sign_in_leads_on_to_the_page_that_was_asked_for(world: World, comes: Comes) -> None:
    client = comes()
    asked = client.get("/leads?q=ingrid&track=prospects").headers["location"]
    assert asked == "/sign-in?next=/leads%3Fq%3Dingrid%26track%3Dprospects"
    assert 'value="/leads?q=ingrid&amp;track=prospects"' in client.get(asked).text
    answer = sign_in(client, back="/leads?q=ingrid&track=prospects")
    assert (answer.status_code, answer.headers["location"]) == (303, "/leads?q=ingrid&track=prospects")
    assert "Ingrid Solheim" in client.get(answer.headers["location"]).text
    assert [row["act"] for row in world.rows("audit", actor="lena")] == ["signed in"]


@pytest.mark.parametrize("address", [
    "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
    "", "evil", "/\nSet-Cookie: a=b", "http:evil", "/\t/evil.example",
])  # fmt: skip
def test_nobody_is_led_away_after_a_sign_in(address: str) -> None:
    assert page_of_ours(address) == "/"


@pytest.mark.usefixtures("lena")
def test_the_cookie_is_for_this_site_and_for_no_script(desk: Desk, comes: Comes) -> None:
    kept = [line.split("; ") for line in sign_in(comes()).headers.get_list("set-cookie")]
    assert [line[0].partition("=")[0] for line in kept] == [
        "__Host-leadnurture-sign-in",
        "__Host-leadnurture-browser",
    ]
    for _, *flags in kept:
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(flags)
        assert not [flag for flag in flags if flag.startswith("Domain")]
    here = Client(create_app(desk))
    here.headers["Sec-Fetch-Site"] = "same-origin"
    (line, _) = sign_in(here).headers.get_list("set-cookie")
    assert line.startswith(f"{COOKIE}=")
    assert line.endswith("; HttpOnly; Path=/; SameSite=lax"), "on the machine itself there is no https"


@pytest.mark.usefixtures("lena")
def test_the_database_has_nothing_that_would_let_anybody_in(world: World, comes: Comes) -> None:
    client = comes()
    sign_in(client)
    token = client.cookies["__Host-leadnurture-sign-in"].partition("~")[0]
    assert len(token) >= 43
    everything = repr(world.everything())
    assert token not in everything
    assert PASSWORD not in everything
    assert world.rows("tool_user")[0]["password"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.usefixtures("lena")
def test_a_cookie_that_we_did_not_make_is_nobodys(comes: Comes) -> None:
    client = comes()
    sign_in(client)
    good = client.cookies["__Host-leadnurture-sign-in"]
    token, _, rest = good.partition("~")
    seen, _, signature = rest.partition(".")
    later = f"{token}~{int(seen) + 3600}.{signature}"
    for bad in (
        "",
        "x",
        "~",
        token,
        f"{token}~{seen}",
        later,
        good[:-1],
        good.upper(),
        "ÿ~1.x",
        "~~~...",
        "a" * 4000,
    ):
        answer = client.get(
            "/account", headers={"cookie": f"__Host-leadnurture-sign-in={bad}".encode("latin-1")}
        )
        assert answer.status_code == 303, bad
    assert is_in(client)


@pytest.mark.usefixtures("lena")
def test_a_sign_in_gives_a_new_token_whatever_the_browser_had(
    desk: Desk, hashed: str, world: World, comes: Comes
) -> None:
    add_user(desk, "mallory", "viewer", hashed)
    attacker = comes()
    sign_in(attacker, name="mallory")
    victim = comes("10.0.0.8")
    victim.cookies.update(attacker.cookies)
    sign_in(victim)
    name = "__Host-leadnurture-sign-in"
    assert victim.cookies[name].partition("~")[0] != attacker.cookies[name].partition("~")[0]
    assert not is_in(attacker), "what the attacker put there is of no use any more"
    assert "lena" in victim.get("/account").text
    assert len(world.rows("sign_in")) == 1


# When it ends


@pytest.mark.usefixtures("lena")
def test_a_sign_in_ends_after_two_hours_without_a_page(comes: Comes, watch: Watch) -> None:
    client = comes()
    sign_in(client)
    for _ in range(3):
        watch.now += 2 * HOUR - timedelta(seconds=1)
        assert is_in(client), "the last page has renewed it"
    watch.now += 2 * HOUR + timedelta(seconds=1)
    assert not is_in(client)


@pytest.mark.usefixtures("lena")
def test_a_sign_in_ends_after_twelve_hours_however_busy(comes: Comes, watch: Watch) -> None:
    client = comes()
    sign_in(client)
    for _ in range(11):
        watch.now += HOUR
        assert is_in(client)
    watch.now += HOUR
    assert not is_in(client)


@pytest.mark.usefixtures("lena")
def test_being_seen_is_no_row(world: World, comes: Comes, watch: Watch) -> None:
    client = comes()
    sign_in(client)
    before, shown = world.everything(), client.cookies["__Host-leadnurture-sign-in"]
    watch.now += HOUR
    assert is_in(client)
    assert client.cookies["__Host-leadnurture-sign-in"] != shown
    assert world.everything() == before


@pytest.mark.usefixtures("lena")
def test_a_clock_that_jumps_ends_no_sign_in(desk: Desk, comes: Comes) -> None:
    client = comes()
    sign_in(client)
    desk.now += timedelta(weeks=20)
    assert is_in(client)


@pytest.mark.usefixtures("lena")
def test_who_signs_out_is_out_also_with_a_copy_of_the_cookie(comes: Comes) -> None:
    client, thief, elsewhere = comes(), comes("10.0.0.9"), comes("10.0.0.8")
    sign_in(client)
    sign_in(elsewhere)
    thief.cookies.update(client.cookies)
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    assert "__Host-leadnurture-sign-in" not in client.cookies
    assert not is_in(thief)
    assert is_in(elsewhere)


@pytest.mark.usefixtures("lena")
def test_signing_out_everywhere_is_everywhere(comes: Comes) -> None:
    clients = [comes(f"10.0.0.{number}") for number in range(3)]
    for client in clients:
        sign_in(client)
    clients[0].post("/account/sign-out-everywhere")
    assert [is_in(client) for client in clients] == [False] * 3


@pytest.mark.usefixtures("lena")
def test_a_new_password_ends_all_sign_ins_but_this_one(comes: Comes) -> None:
    client, elsewhere = comes(), comes("10.0.0.8")
    sign_in(client)
    sign_in(elsewhere)
    new = "Sätze, die nur ich sage"
    answer = client.post("/account/password", data={"present": PASSWORD, "new": new, "again": new})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=password")
    assert is_in(client)
    assert not is_in(elsewhere)
    assert sign_in(elsewhere).status_code == 401
    assert sign_in(elsewhere, "Sa\u0308tze, die nur ich sage").status_code == 303, "typed on another keyboard"


@pytest.mark.parametrize(("present", "new", "again", "sentence"), [
    ("wrong", "a sentence of mine", "a sentence of mine", "The present password is another one"),
    (PASSWORD, "a sentence of mine", "a sentence of yours", "not typed the same way twice"),
    (PASSWORD, "short", "short", "12 to 200 characters"),
    (PASSWORD, "x" * 201, "x" * 201, "12 to 200 characters"),
    (PASSWORD, "aaaaaaaaaaaaa", "aaaaaaaaaaaaa", "repeats a few characters"),
    (PASSWORD, "lena-lena-2026", "lena-lena-2026", "hardly more than the name"),
])  # fmt: skip
@pytest.mark.usefixtures("lena")
def test_a_password_that_is_not_good_enough_changes_nothing(
    comes: Comes, world: World, present: str, new: str, again: str, sentence: str
) -> None:
    client = comes()
    sign_in(client)
    before = world.rows("tool_user")
    answer = client.post("/account/password", data={"present": present, "new": new, "again": again})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert world.rows("tool_user") == before
    assert is_in(client)


def test_the_present_password_cannot_be_guessed_either(lena: int, comes: Comes) -> None:
    client = comes()
    sign_in(client)
    new = "a sentence of mine"
    said = [
        client.post("/account/password", data={"present": word, "new": new, "again": new}).text
        for word in ("a", "b", "c", "d", "e", PASSWORD)
    ]
    assert ["Too many attempts; wait" in page for page in said] == [False] * 5 + [True]
    assert lena


def test_another_role_holds_from_the_next_click_on(lena: int, comes: Comes, signed_in: SignIn) -> None:
    client, admin = comes(), signed_in("admin")
    sign_in(client)
    assert client.get("/users").status_code == 403
    admin.post(f"/users/{lena}/role", data={"role": "admin"})
    assert client.get("/users").status_code == 200
    admin.post(f"/users/{lena}/remove")
    assert not is_in(client)
    assert sign_in(client).status_code == 401


# Attempts


@pytest.mark.usefixtures("lena")
def test_a_name_that_is_nobodys_is_answered_like_any_other(comes: Comes) -> None:
    answers = {
        name: sign_in(comes(), "wrong", name=name)
        for name in ("lena", "nobody", "LENA", "", "a\x00b", "ключ")
    }
    assert {answer.status_code for answer in answers.values()} == {401}
    pages = {
        answer.text.replace(f'value="{name}"', "")
        for name, answer in answers.items()
        if name.isascii() and name
    }
    assert len({page.replace("a\x00b", "") for page in pages}) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("lena")
def test_a_name_that_is_nobodys_takes_as_long(comes: Comes, watch: Watch) -> None:
    def seconds(name: str) -> float:
        watch.now += HOUR  # so that nobody waits
        client = comes()
        begun = time.perf_counter()
        sign_in(client, "wrong", name=name)
        return time.perf_counter() - begun

    pairs = [(seconds("lena"), seconds("nobody")) for _ in range(9)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2


@pytest.mark.usefixtures("lena")
def test_after_five_failures_one_waits_longer_and_longer(comes: Comes, watch: Watch) -> None:
    client = comes()
    assert [sign_in(client, "wrong").status_code for _ in range(5)] == [401] * 5
    waits = []
    for _ in range(12):
        answer = sign_in(client, PASSWORD)
        assert answer.status_code == 429, "also with the right password"
        waits.append(int(answer.headers["retry-after"]))
        watch.now += timedelta(seconds=waits[-1])
        assert sign_in(client, "wrong").status_code == 401
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    watch.now += timedelta(seconds=300)
    assert sign_in(client).status_code == 303
    client.post("/sign-out")
    assert sign_in(client, "wrong").status_code == 401, "and then it begins anew"


@pytest.mark.usefixtures("lena")
def test_a_stranger_shuts_nobody_out(comes: Comes) -> None:
    at_home = comes("10.0.0.8")
    sign_in(at_home)
    at_home.post("/sign-out")
    stranger = comes("10.0.0.8")
    while sign_in(stranger, "wrong").status_code == 401:
        pass
    assert sign_in(comes("10.0.0.8")).status_code == 429, "in a browser that is not known"
    assert sign_in(at_home).status_code == 303, "behind the same address, in a browser that is known"
    assert sign_in(comes("192.0.2.1")).status_code == 303, "elsewhere"
    assert sign_in(comes("2001:db8::1"), "wrong").status_code == 401


@pytest.mark.usefixtures("lena")
def test_a_known_browser_is_known_to_its_own_name_alone(comes: Comes, desk: Desk, hashed: str) -> None:
    add_user(desk, "mallory", "viewer", hashed)
    mallory = comes()
    sign_in(mallory, name="mallory")
    assert [sign_in(mallory, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    mallory.cookies["__Host-leadnurture-browser"] = "forged"
    assert sign_in(mallory, "wrong").status_code == 429


def test_a_network_that_tries_many_names_is_slowed_down(comes: Comes) -> None:
    codes = [
        sign_in(comes(f"2001:db8::{number:x}"), "wrong", name=f"n{number}").status_code
        for number in range(40)
    ]
    assert codes == [401] * 30 + [429] * 10
    assert sign_in(comes("2001:db8:0:1::1"), "wrong", name="n1").status_code == 401


@pytest.mark.usefixtures("lena")
def test_many_attempts_at_once_are_no_more_than_after_each_other(comes: Comes) -> None:
    clients = [comes() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda client: sign_in(client, "wrong").status_code, clients))
    assert sorted(codes) == [401] * 5 + [429] * 7


@pytest.mark.usefixtures("lena")
def test_what_was_typed_as_a_name_is_kept_nowhere(world: World, comes: Comes) -> None:
    sign_in(comes(), "wrong", name="my-password-by-mistake")
    assert "my-password-by-mistake" not in repr(world.everything())
    assert len(world.rows("sign_in_attempt")) == 2


@pytest.mark.usefixtures("lena")
def test_old_attempts_are_forgotten(world: World, comes: Comes, watch: Watch) -> None:
    for _ in range(5):
        sign_in(comes(), "wrong")
    watch.now += HOUR + timedelta(seconds=1)
    assert sign_in(comes("192.0.2.1"), "wrong").status_code == 401
    assert {row["failures"] for row in world.rows("sign_in_attempt")} == {1}


# Forged posts


FORGED = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port or sub-domain": {"Sec-Fetch-Site": "same-site"},
    "typed or by a bookmark": {"Sec-Fetch-Site": "none"},
    "an old browser, another origin": {"Origin": "https://evil.example"},
    "an old browser, http": {"Origin": "http://news.example.com"},
    "an old browser, hidden origin": {"Origin": "null"},
    "no browser": {},
    "both, and they differ": {"Sec-Fetch-Site": "cross-site", "Origin": "https://news.example.com"},
}
POSTS = [*sorted(FORMS), "POST /sign-in"]


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_a_post_from_elsewhere_changes_nothing(
    house: House, comes: Comes, hashed: str, headers: dict[str, str]
) -> None:
    add_user(house.world.desk, "lena", "admin", hashed)
    client = comes()
    sign_in(client)
    client.headers.clear()
    paths = {route: house.path(route) for route in FORMS} | {"POST /sign-in": "/sign-in"}
    before = house.world.everything()
    for route in POSTS:
        form = FORMS.get(route, {"name": "lena", "password": PASSWORD})
        answer = client.post(paths[route], data=form, headers=headers)
        assert answer.status_code == 403, route
        assert "was not sent by a page of the tool" in answer.text
    assert house.world.everything() == before
    assert {row["name"] for row in house.world.rows("tool_user") if row["role"] == "admin"} == {"lena"}
    assert set(POSTS) - {"POST /sign-in"} == {route for route in rights.PEOPLE if route.startswith("POST")}


@pytest.mark.usefixtures("lena")
def test_an_old_browser_may_show_our_own_origin(comes: Comes) -> None:
    client = comes()
    client.headers = {"Origin": "https://news.example.com"}
    assert sign_in(client).status_code == 303
    assert client.post("/sign-out").status_code == 303


# Addresses


@pytest.mark.parametrize(("address", "host"), [
    ("10.0.0.7", "127.0.0.1"), ("127.0.0.1", "evil.example"), ("10.0.0.7", "news.example.com:8080"),
    ("10.0.0.7", "other.example.com"),
])  # fmt: skip
@pytest.mark.usefixtures("lena", "comes")
def test_the_pages_open_at_their_own_addresses_alone(desk: Desk, address: str, host: str) -> None:
    client = Client(create_app(desk), address, host)
    client.headers["Sec-Fetch-Site"] = "same-origin"
    assert sign_in(client).status_code == 403
    answer = client.get("/leads")
    assert answer.status_code == 403
    assert "https://news.example.com" in answer.text


# Another source of identities


@dataclass
class Foreign:
    """A proxy has signed people in, and says who they are."""

    role: Role

    def identify(self, request: Request) -> Identity | None:
        name = request.headers.get("x-name")
        return Identity(name, self.role) if name else None

    def entrance(self, back: str) -> str:
        return f"https://sso.example.com/?to={back}"


def test_people_may_be_known_from_elsewhere_and_no_page_is_another(world: World, hashed: str) -> None:
    client = Client(create_app(world.desk, Foreign("admin")))
    house = House(world, hashed)
    assert client.get("/leads").headers["location"] == "https://sso.example.com/?to=/leads"
    client.headers |= {"X-Name": "mia@example.org", "Sec-Fetch-Site": "same-origin"}
    for route in rights.PEOPLE:
        if route.startswith("GET"):
            answer = client.get(house.path(route))
            assert answer.status_code == 200, route
            assert "mia@example.org" in answer.text or route.endswith("/html"), route
    client.post(f"/handoffs/{world.handoff}", data={"decision": "accepted"})
    assert world.rows("handoff", id=world.handoff)[0]["decided_by"] == "mia@example.org"
    assert "Another password" not in client.get("/account").text
    assert (
        "You sign in elsewhere" in client.post("/account/password", data=FORMS["POST /account/password"]).text
    )

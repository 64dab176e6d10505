from datetime import timedelta

import pytest

from leadnurture.engine import judge
from leadnurture.web import create_app
from tests.plans import Plans
from tests.web.client import Client
from tests.web.conftest import NOW, Desk, SignIn, World, add

PAGES = [
    "/",
    "/?track=clients",
    "/programs",
    "/programs?track=clients",
    "/programs/scaling-series",
    "/programs/quiet-client",
    "/content",
    "/content?track=clients",
    "/content/scaling-1",
    "/content/downtime-costs",
    "/handoffs",
    "/handoffs?track=clients",
    "/replies",
    "/replies?track=clients",
    "/leads",
    "/leads?track=clients",
    "/leads?q=solheim",
    "/leads?q=nobody+at+all",
    "/leads?stage=handed_off",
    "/leads/{ingrid}",
    "/leads/{mallory}",
    "/leads/{carla}",
    "/outbox",
    "/outbox?status=delivered",
    "/outbox/{message}",
    "/account",
    "/account?done=password",
    "/users",
    "/keys",
    "/audit",
    "/audit?before=3",
    "/sign-in",
    "/sign-in?next=/leads",
]
MISSING = [
    "/nothing",
    "/programs/none",
    "/programs/..%2f..%2fetc",
    "/programs/a%00b",
    "/content/none",
    "/content/seat-moved",
    "/content/..%2f..%2fetc",
    "/leads/0",
    "/leads/x",
    "/leads/999999",
    "/leads/99999999999999999999999",
    "/leads?track=customers",
    "/leads?stage=%27",
    "/leads?before=-1",
    "/outbox/999999",
    "/outbox/1.5",
    "/outbox/9223372036854775806",
    "/outbox/9223372036854775807",
    "/leads/9223372036854775807",
    "/outbox/999999/html",
    "/static/../app.py",
    "/static/%2e%2e/app.py",
]
TRICKS = ["'", "%", "_", "%00", "\\", '"><script>alert(1)</script>', "{{7*7}}", "x" * 200, "ß İ 🦆"]


@pytest.fixture
def client(world: World, signed_in: SignIn) -> Client:
    """Lena, who may do all here; somebody has been decided about, so that there is something to read."""
    assert world.handoff
    return signed_in("admin", "lena")


def at(world: World, path: str) -> str:
    return path.format(message=world.message, **world.leads)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_page_changes_a_row(world: World, client: Client, method: str) -> None:
    before = world.everything()
    for path in PAGES:
        answer = client.request(method, at(world, path))
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/html")
    assert world.everything() == before


def test_what_is_not_there_is_a_page_that_says_so(world: World, client: Client) -> None:
    for path in MISSING:
        answer = client.get(path)
        assert answer.status_code == 404, path
    assert "Look at the address again" in client.get("/nothing").text
    assert client.post("/leads").status_code == 405
    assert world.rows("lead")


def test_a_search_takes_any_text(world: World, client: Client) -> None:
    for trick in TRICKS:
        answer = client.get("/leads", params={"q": trick})
        assert answer.status_code == 200, trick
        assert "<script>alert" not in answer.text
    assert "Ingrid Solheim" in client.get("/leads", params={"q": "FJELLHEIM ingrid"}).text
    assert "among the clients" in client.get("/leads", params={"q": "carla"}).text
    assert world.rows("lead")


def test_markup_in_a_row_is_text_on_every_page(world: World, client: Client) -> None:
    for path in PAGES:
        page = client.get(at(world, path)).text
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in client.get("/handoffs").text


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.0.0.7", "127.0.0.1"), ("127.0.0.1", "evil.example"), ("::ffff:10.0.0.7", "localhost")],
)
def test_the_pages_answer_to_this_machine_alone(world: World, address: str, host: str) -> None:
    stranger = Client(create_app(world.desk), address, host)
    for path in PAGES:
        answer = stranger.get(at(world, path))
        assert answer.status_code == 403, path
        assert "Ingrid" not in answer.text
    assert stranger.get(world.tokens()["unsubscribe"]).status_code == 200


def test_only_the_page_with_a_chart_may_style_itself(world: World, client: Client) -> None:
    for path in PAGES:
        answer = client.get(at(world, path))
        is_chart = "/programs/" in path
        assert ("unsafe-inline" in answer.headers["Content-Security-Policy"]) is is_chart, path
        assert ('class="mermaid"' in answer.text) is is_chart, path
        assert " style=" not in answer.text
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_decision_on_the_desk_leads_back_to_it(world: World, client: Client) -> None:
    page = client.get("/handoffs").text
    action = page.split(f'id="handoff-{world.handoff}"')[1].split('action="')[1].split('"')[0]
    answer = client.post(action, data={"decision": "accepted", "list": "prospects"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/handoffs?track=prospects")
    assert client.post(action, data={"decision": "accepted", "list": "//evil.example"}).status_code == 404
    assert "Lena Ott" in client.get("/handoffs").text


def test_a_lead_shows_its_journey_its_score_and_what_comes_next(world: World, client: Client) -> None:
    page = client.get(f"/leads/{world.leads['ingrid']}").text
    for words in (
        "Attended Scaling without downtime",
        "a handoff is open",
        "First contact falls due",
        "Sverre Haugland",
    ):
        assert words in page, words


def test_a_company_that_applied_nothing_is_told_so(desk: Desk, signed_in: SignIn) -> None:
    client = signed_in("viewer")
    answer = client.get("/handoffs")
    assert answer.status_code == 404
    assert "leadnurture apply" in answer.text
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    assert desk.clock() == NOW


# Who clicked


def clicked(world: World, client: Client) -> int:
    client.get(world.tokens()["click"], headers={"User-Agent": "Firefox"})
    judge(world.desk.database, NOW + timedelta(hours=1))
    return int(world.rows("click")[0]["id"])


def test_somebody_says_on_the_leads_page_who_clicked(world: World, client: Client) -> None:
    click, page = clicked(world, client), f"/leads/{world.leads['ingrid']}"
    for judgement, other in (("machine", "person"), ("person", "machine")):
        assert f'name="judgement" value="{judgement}"' in client.get(page).text
        answer = client.post(f"/clicks/{click}", data={"judgement": judgement})
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        assert world.rows("click")[0]["judgement"] == judgement
        assert f'value="{other}"' in client.get(page).text
        assert (world.rows("reaction", kind="clicked")[0]["counts_at"] is None) == (judgement == "machine")
    assert len(world.rows("audit", act="judged a click")) == 2


@pytest.mark.parametrize(
    ("path", "said"), [("1", "undecided"), ("1", None), ("999999", "person"), ("x", "person")]
)
def test_what_cannot_be_judged_is_a_page_that_says_so(
    world: World, client: Client, path: str, said: str | None
) -> None:
    clicked(world, client)
    before = world.everything()
    data = {} if said is None else {"judgement": said}
    assert client.post(f"/clicks/{path}", data=data).status_code == 404
    assert world.everything() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["/handoffs", "/tasks", "/replies", "/leads/{ingrid}"])
def test_what_waits_for_people_is_found_without_going_through_all(
    world: World, client: Client, path: str
) -> None:
    world.write_back("ingrid", "Call me")
    world.ask_one_of_us("sverre")
    with world.desk.database.write() as connection:
        almost = {"lead_id": world.leads["mallory"], "missing": "role", "since_at": NOW, "is_told": True}
        add(connection, "almost_qualified", **almost)
    plans = Plans()
    with plans.watched(world.desk.database.engine):
        for track in ("", "?track=prospects", "?track=clients"):
            assert client.get(at(world, path) + track).status_code == 200
    assert len(plans.seen) > 3
    assert plans.told() == []

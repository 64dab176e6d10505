"""The pages as people meet them: in a browser, wide and narrow, light and dark, with and without script."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page, expect

from leadnurture.domain.asking import Ask, Question
from leadnurture.engine import RawClick, judge, keep_click, revise_click
from leadnurture.store import Database, open_database
from leadnurture.web import create_app
from tests.web.conftest import COOKIE, NOW, PASSWORD, World, add_user, cookie

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
# Layout and looks differ, the rules do not: one narrow and dark, one wide and light.
VIEWS = [
    pytest.param({"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}, id="1440-light"),
    pytest.param({"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}, id="390-dark"),
]
PAGES = {
    "start": "/",
    "programs": "/programs",
    "program": "/programs/scaling-series",
    "contents": "/content",
    "content": "/content/scaling-1",
    "handoffs": "/handoffs",
    "tasks": "/tasks",
    "replies": "/replies",
    "leads": "/leads",
    "leads found": "/leads?q=ex&score=10&program=scaling-series&stage=handed_off",
    "no leads": "/leads?q=nobody",
    "lead": "/leads/{ingrid}",
    "mails of a lead": "/leads/{ingrid}?show=mails",
    "hostile lead": "/leads/{mallory}",
    "outbox": "/outbox",
    "mail": "/outbox/{message}",
    "no such page": "/nothing",
    "sign in": "/sign-in",
    "account": "/account",
    "users": "/users",
    "keys": "/keys",
    "audit": "/audit",
}
DOORS = ["unsubscribe", "preferences", "register", "download", "handoff", "ask"]
NewContext = Callable[..., BrowserContext]


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What a page looks like does not hang on the database: here it is SQLite."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def new_context(new_context: NewContext, world: World, hashed: str) -> NewContext:
    """Makes browser contexts in which Lena is signed in, who may do all here."""
    lena = add_user(world.desk, "lena", "admin", hashed)

    def signed_in(*, is_signed_in: bool = True, **options: Any) -> BrowserContext:  # noqa: ANN401 - Playwright's
        context = new_context(**options)
        if is_signed_in:
            value = cookie(world.desk, lena)
            context.add_cookies([{"name": COOKIE, "value": value, "url": "http://127.0.0.1"}])
        return context

    return signed_in


def follow_links(world: World) -> None:
    """A gateway, its reader, one without a name and one a minute ago have followed links of a mail."""
    database, hour = world.desk.database, timedelta(hours=1)
    asked = [
        ("link", "Firefox", 3 * hour), ("hidden", "Firefox", 3 * hour), ("link", "Firefox", 1.5 * hour),
        ("link", "", hour), ("link", "Firefox", hour / 60),
    ]  # fmt: skip
    for number, (link, agent, ago) in enumerate(asked):
        raw = RawClick(world.message, link, "GET", agent, None, str(number))
        keep_click(database, raw, NOW - ago)
    judge(database, NOW)
    found_out = world.rows("click", judgement="person")[0]["id"]
    revise_click(database, found_out, "machine", "dana", NOW, reason="the gateway of Fjellheim")


@pytest.fixture
def site(world: World) -> Iterator[str]:
    """The address of a running server."""
    world.write_back("sverre", "Could you call me on Thursday at ten?")
    feedback = Question("feedback", "feedback", choices=("interested", "later", "no"))
    world.ask_one_of_us("ingrid", Ask((feedback,)))
    world.ask_one_of_us("mallory", Ask((Question("budget_on", "fact", "date"),)))
    world.ask_one_of_us("sverre")
    follow_links(world)
    world.take_seats("december", "ingrid", "mallory")
    world.take_seats("january", "sverre")
    with socket.create_server(("127.0.0.1", 0)) as listening, running(create_app(world.desk), listening):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def running(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """A server of the app on a socket."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def addresses(world: World) -> dict[str, str]:
    ids = {"message": world.message, **world.leads}
    tokens = world.tokens()
    for number in (1, 2, 3):
        link = world.desk.links.task(number, world.desk.now)
        tokens[f"task {number}"] = link.removeprefix("http://127.0.0.1")
    doors = [*DOORS, "task 1", "task 2", "task 3"]
    return {name: path.format(**ids) for name, path in PAGES.items()} | {door: tokens[door] for door in doors}


def violations(page: Page) -> list[Any]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {iframes: false}).then(result => result.violations)")
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_is_sound(site: str, world: World, new_context: NewContext, view: dict[str, Any]) -> None:
    page = new_context(**view).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    for name, path in addresses(world).items():
        page.goto(site + path)
        if name == "program":
            expect(page.locator(".chart svg")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        assert [fault for fault in faults if "404" not in fault] == [], name
        assert violations(page) == [], name
        faults.clear()  # axe tries to style the page, and is kept from it


def test_the_chart_shows_every_step(site: str, world: World, new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto(f"{site}/programs/scaling-series")
    chart = page.locator(".chart svg")
    for step in ("invite", "last-call", "seat", "thanks", "recording", "letter", "call"):
        expect(chart.locator(".nodeLabel", has_text=step).first).to_be_visible()
    assert world.rows("lead")


def test_without_script_the_pages_say_and_do_the_same(
    site: str, world: World, new_context: NewContext
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/programs/scaling-series")
    expect(page.get_by_role("region", name="Steps as a table")).to_contain_text("last-call")
    expect(page.locator(".chart pre")).to_be_hidden()
    page.goto(f"{site}/handoffs")
    page.get_by_role("button", name="Return Ingrid Solheim, with a reason").click()
    sheet = page.locator(f"#return-{world.handoff}")
    sheet.get_by_label("Not reached").check()
    sheet.get_by_label("Note for marketing").fill("No answer, three times")
    sheet.get_by_role("button", name="Return the lead").click()
    expect(page).to_have_url(f"{site}/handoffs?track=prospects")
    assert world.rows("handoff", id=world.handoff)[0]["return_reason"] == "not reached"


@pytest.mark.parametrize("width", [320, 390])
def test_the_whole_menu_is_in_sight_on_a_phone(site: str, new_context: NewContext, width: int) -> None:
    view = {"width": width, "height": 800}
    page = new_context(java_script_enabled=False, viewport=view).new_page()
    page.goto(site)
    links = page.get_by_role("navigation", name="Main").get_by_role("link").all()
    boxes = [box for link in links if (box := link.bounding_box())]
    assert len(boxes) == 8
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 30 for box in boxes)
    assert all(link.evaluate("each => each.scrollWidth <= each.clientWidth") for link in links)


def test_what_moves_sideways_shows_a_shade_where_there_is_more(site: str, new_context: NewContext) -> None:
    page = new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{site}/programs/scaling-series")
    chart = page.get_by_role("region", name="Chart of the steps")
    expect(chart.locator("svg")).to_be_visible()
    assert chart.evaluate("each => each.scrollWidth > each.clientWidth")
    layers = chart.evaluate("each => getComputedStyle(each).backgroundAttachment")
    assert layers == "local, local, scroll, scroll"
    expect(page.get_by_text("wider than the screen")).to_be_visible()


def test_the_list_of_handoffs_is_worked_by_keys(site: str, world: World, new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto(f"{site}/handoffs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") != first
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.textContent") == first
    page.keyboard.press("r")
    expect(page.locator("[popover]:popover-open")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert {row["status"] for row in world.rows("handoff")} == {"open"}


def test_a_mail_is_shown_as_it_was_sent_and_can_do_nothing(
    site: str, world: World, new_context: NewContext
) -> None:
    page = new_context().new_page()
    before = world.everything()
    page.goto(f"{site}/outbox/{world.message}")
    mail = page.frame_locator("iframe")
    expect(mail.get_by_text("<script>alert(1)</script>{{ 7*7 }} lead").first).to_be_visible()
    mail.get_by_role("link").first.click(modifiers=[])
    page.wait_for_timeout(200)
    assert [frame.url for frame in page.frames][1:] == [f"{site}/outbox/{world.message}/html"]
    assert len(page.context.pages) == 1
    assert world.everything() == before


def test_a_marketer_finds_a_lead_reads_why_and_tells_what_he_said(
    site: str, world: World, new_context: NewContext
) -> None:
    """By keys alone, without script."""
    page = new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{site}/leads")
    page.get_by_label("Name, address or account").fill("fjellheim ingr")
    page.get_by_label("Name, address or account").press("Enter")
    page.get_by_role("link", name="Ingrid Solheim").press("Enter")
    expect(page.locator(".journey")).to_contain_text("Attended Scaling without downtime")
    page.get_by_label("Interested", exact=True).press("Space")
    page.get_by_label("About").select_option(str(world.message))
    page.get_by_label("In the lead’s words").fill("Call me")
    page.get_by_role("button", name="Record the answer").press("Enter")
    expect(page.locator(".journey")).to_contain_text("told to Lena Ott on the phone: “Call me”")
    page.get_by_label("For whoever reads this page").fill("Met at the fair")
    page.get_by_role("button", name="Keep the note").press("Enter")
    expect(page.locator(".journey")).to_contain_text("Met at the fair")


def test_two_leads_become_one_by_keys_and_two_again(site: str, world: World, new_context: NewContext) -> None:
    page = new_context().new_page()
    ingrid, sverre = (f"{site}/leads/{world.leads[name]}" for name in ("ingrid", "sverre"))
    page.goto(ingrid)
    page.get_by_label("Address or number of another lead").fill("sverre@example.com")
    page.get_by_role("button", name="Make them one").press("Enter")
    expect(page.locator(".journey")).to_contain_text(f"made one with lead {world.leads['sverre']}")
    assert violations(page) == []
    page.goto(sverre)
    assert page.url == ingrid
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.locator(".journey")).to_contain_text("undid merge 1")
    page.goto(sverre)
    expect(page.locator("h1")).to_have_text("Sverre Haugland")


def test_a_lead_unsubscribes_by_a_button(site: str, world: World, new_context: NewContext) -> None:
    page = new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(site + world.tokens()["unsubscribe"])
    page.get_by_role("button", name="Unsubscribe from everything").click()
    expect(page.get_by_role("heading")).to_have_text("You will get no more mail from us")
    assert [row["email_key"] for row in world.rows("suppression")] == ["ingrid@example.com"]


def test_a_lead_chooses_what_he_gets_and_reads_it_in_his_language(
    site: str, world: World, new_context: NewContext
) -> None:
    page = new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False).new_page()
    page.goto(site + world.tokens()["preferences"])
    page.get_by_label("Security").uncheck()
    page.get_by_label("At most one mail a month").check()
    page.get_by_label("No mail for 3 months").check()
    page.get_by_label("Deutsch").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Gespeichert")
    expect(page.get_by_label("Security")).not_to_be_checked()
    expect(page.get_by_label("Bis 9. März 2027, wie bisher")).to_be_checked()
    assert [row["topic"] for row in world.rows("unwanted_topic")] == ["security"]
    assert [row["mails"] for row in world.rows("preference")] == [1]
    page.get_by_role("button", name="Alles abbestellen").click()
    expect(page.get_by_role("heading")).to_have_text("Sie bekommen keine Mails mehr von uns")


def test_somebody_signs_in_by_keys_alone_and_out_again(
    site: str, world: World, new_context: NewContext
) -> None:
    page = new_context(is_signed_in=False, viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{site}/leads?q=ingrid")
    expect(page).to_have_title("Sign in · Querfeld")
    for word in ("lena", PASSWORD):
        page.keyboard.type(word)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}/leads?q=ingrid")
    page.get_by_role("link", name="lena").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.go_back()
    page.reload()
    expect(page).to_have_title("Sign in · Querfeld")
    assert [row["act"] for row in world.rows("audit", actor="lena")] == ["signed in", "signed out"]


def test_an_admin_adds_a_user_and_removes_one(site: str, world: World, new_context: NewContext) -> None:
    page = new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{site}/users")
    page.get_by_label("Name to sign in with").fill("marc@example.com")
    page.locator("form[action='/users'] select").select_option("sales")
    page.get_by_role("button", name="Add, and show the password").click()
    expect(page.get_by_role("status")).to_contain_text("The password of marc@example.com")
    assert violations(page) == []
    page.get_by_role("button", name="Change… marc@example.com").click()
    sheet = page.get_by_role("dialog", name="marc@example.com")
    expect(sheet.get_by_role("combobox")).to_be_focused()
    assert violations(page) == []
    sheet.get_by_role("button", name="Remove").click()
    expect(page).to_have_url(f"{site}/users")
    assert [row["name"] for row in world.rows("tool_user")] == ["lena"]


def test_a_page_of_another_site_posts_in_vain(site: str, world: World, new_context: NewContext) -> None:
    """Another port is another origin, and the same site: the browser sends the cookie, and says who asks."""
    page = new_context().new_page()
    html = (
        f'<form method=post action="{site}/users">'
        "<input name=name value=mallory><input name=role value=admin></form>"
    )
    with served(html) as elsewhere:
        page.goto(elsewhere)
        with page.expect_navigation():
            page.evaluate("document.forms[0].submit()")
    expect(page.get_by_role("heading")).to_have_text("This is not open to you")
    assert [row["name"] for row in world.rows("tool_user")] == ["lena"]


@contextmanager
def served(html: str) -> Iterator[str]:
    """The address of a foreign page."""

    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_axe_is_awake(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.set_content("<html><body><img src='data:,'><button></button></body></html>")
    assert "button-name" in json.dumps(violations(page))

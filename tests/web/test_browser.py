"""The pages as people meet them: in a browser, wide and narrow, light and dark, with and without script."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Page, expect

from leadnurture.store import Database, open_database
from leadnurture.web import create_app
from tests.web.conftest import World

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
    "handoffs": "/handoffs",
    "replies": "/replies",
    "leads": "/leads",
    "lead": "/leads/{ingrid}",
    "hostile lead": "/leads/{mallory}",
    "outbox": "/outbox",
    "mail": "/outbox/{message}",
    "no such page": "/nothing",
}
DOORS = ["unsubscribe", "register", "handoff"]
NewContext = Callable[..., BrowserContext]


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What a page looks like does not hang on the database: here it is SQLite."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def site(world: World) -> Iterator[str]:
    """The address of a running server."""
    world.write_back("sverre", "Could you call me on Thursday at ten?")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(create_app(world.desk), log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def addresses(world: World) -> dict[str, str]:
    ids = {"message": world.message, **world.leads}
    tokens = world.tokens()
    return {name: path.format(**ids) for name, path in PAGES.items()} | {door: tokens[door] for door in DOORS}


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


def test_a_lead_unsubscribes_by_a_button(site: str, world: World, new_context: NewContext) -> None:
    page = new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(site + world.tokens()["unsubscribe"])
    page.get_by_role("button", name="Unsubscribe from everything").click()
    expect(page.get_by_role("heading")).to_have_text("You will get no more mail from us")
    assert [row["email_key"] for row in world.rows("suppression")] == ["ingrid@example.com"]


def test_axe_is_awake(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.set_content("<html><body><img src='data:,'><button></button></body></html>")
    assert "button-name" in json.dumps(violations(page))

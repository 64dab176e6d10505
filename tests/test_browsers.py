from playwright.sync_api import Browser, Page

from tests import browsers


def test_a_request_beyond_this_machine_is_refused_and_told(browser: Browser) -> None:
    context = browser.new_context()
    refused = browsers.refuse_outside(context)
    context.new_page().set_content('<img src="http://tracker.example/pixel.gif">')
    context.close()
    assert refused == ["http://tracker.example/pixel.gif"]


def test_a_page_without_outside_parts_is_shown(page: Page) -> None:
    page.set_content("<h1>Programs</h1>")
    assert page.inner_text("h1") == "Programs"

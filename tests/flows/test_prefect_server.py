"""Prefect's pages in a browser: they ask the server that they come from, and nobody else."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from leadnurture.settings import Settings

pytestmark = pytest.mark.browser


def test_its_pages_ask_no_other_host(
    prefect_settings: Settings, new_context: Callable[..., BrowserContext]
) -> None:
    home = prefect_settings.prefect_api.removesuffix("/api")
    page, asked, refused = new_context().new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None
    )
    for path in ("/v2/dashboard", "/v2/runs"):
        page.goto(f"{home}{path}")
        expect(page.get_by_role("link", name="Runs").first).to_be_visible()
        page.wait_for_timeout(1000)
    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []
    assert all(home not in each.partition("violates")[0] for each in refused)

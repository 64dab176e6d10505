"""Debian's Chromium, kept on this machine."""

import shutil
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Request

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium() -> str | None:
    """The path of the installed browser. Playwright's own would have to be downloaded."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def refuse_outside(context: BrowserContext) -> list[str]:
    """A list that grows with every URL beyond 127.0.0.1 that the context asks for; none is answered."""
    refused: list[str] = []

    def note(request: Request) -> None:
        if _is_outside(request.url):
            refused.append(request.url)

    context.on("request", note)
    context.route(_is_outside, lambda route: route.abort())
    return refused


def _is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1"

"""Hides what every answer has in common: headers that keep a page to itself, and a limit on what may be sent.

The body is read whole before anything else happens, so that a door gets all of it or nothing.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
POLICY_WITH_CHART: Final = POLICY + "; style-src 'self' 'unsafe-inline'"
"""Mermaid writes style elements into its drawing."""
POLICY_OF_MAIL: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
"""A mail brings its own styles, and may bring anything: it runs nothing and asks nobody."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
MEGABYTE: Final = 1024 * 1024
# SendGrid hands over mails of up to 30 MB, and never again what was refused.
LIMITS: Final = (("/hooks/sendgrid/inbound", 32 * MEGABYTE), ("/hooks/", 5 * MEGABYTE), ("/", MEGABYTE))


class Guard:
    """Middleware around the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 where too much is sent, else lets the app answer and adds the headers it left out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next(limit for path, limit in LIMITS if scope["path"].startswith(path))
        try:
            body = await _body_within(limit, receive)
        except _HungUpError:
            return
        app = self.app if body is not None else _refusal(limit)
        await app(scope, _replayed(body or b"", receive), _with_headers(send))


class _HungUpError(Exception):
    """The caller went away before the body was complete."""


async def _body_within(limit: int, receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _HungUpError
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return first.pop() if first else await receive()

    return receive_again


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _refusal(limit: int) -> ASGIApp:
    sentence = f"These are more than the {limit // MEGABYTE} MB taken at once; send it in smaller parts."
    return PlainTextResponse(sentence + "\n", status_code=413, headers={"Connection": "close"})

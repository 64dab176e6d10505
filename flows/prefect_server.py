"""Prefect's own server, with pages that ask nobody but it: `python -m flows.prefect_server HOST PORT`.

They load a library of analytics that asks its maker's host on every page, also where the setting
PREFECT_SERVER_ANALYTICS_ENABLED is off. So the server forbids the browser to ask others, which that library
takes for a host that is down.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import uvicorn
from prefect.server.api.server import create_app as create_prefect

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Server = Callable[[Message, Receive, Send], Awaitable[None]]

# Of the page's own only the style and script in its HTML, and what it draws and computes itself.
POLICY: Final = (
    b"default-src 'self' data: blob:; connect-src 'self'; "
    b"script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'"
)


def create_app() -> Server:
    """The server as `prefect server start` makes it, kept at home."""
    return KeptAtHome(create_prefect(final=True))


class KeptAtHome:
    """Sends the policy with every answer."""

    def __init__(self, app: Server) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"content-security-policy", POLICY)]
            await send(message)

        await self._app(scope, receive, send_with_policy)


def main() -> None:
    """Serves until a signal ends it."""
    host, port = sys.argv[1:]
    uvicorn.run(create_app(), host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()

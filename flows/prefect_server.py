"""Prefect's own server, with pages that ask nobody but it: `python -m flows.prefect_server HOST PORT`.

They load a library of analytics that asks its maker's host on every page, also where the setting
PREFECT_SERVER_ANALYTICS_ENABLED is off. So the server forbids the browser to ask others, which that library
takes for a host that is down.
"""

import sys
from typing import Final

import uvicorn
from prefect.server.api.server import create_app as create_prefect
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of the page's own only the style and script in its HTML, and what it draws and computes itself.
POLICY: Final = (
    "default-src 'self' data: blob:; connect-src 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'"
)


def create_app() -> ASGIApp:
    """The server as `prefect server start` makes it, kept at home."""
    return KeptAtHome(create_prefect(final=True))


class KeptAtHome:
    """Sends the policy with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


def main() -> None:
    """Serves until a signal ends it."""
    host, port = sys.argv[1:]
    uvicorn.run(create_app(), host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()

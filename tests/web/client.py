"""An HTTP client that speaks with an app directly, without a port."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Asks as a program on the same machine would; follows no redirect, lets a bug of the app through."""

    def __init__(
        self, app: FastAPI, address: str = "127.0.0.1", host: str = "127.0.0.1", *, shows_bugs: bool = False
    ) -> None:
        self._transport = httpx.ASGITransport(
            app, raise_app_exceptions=not shows_bugs, client=(address, 50_000)
        )
        self._url = f"http://{host}"

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """The answer of the app."""
        return asyncio.run(self._request(method, path, what))

    def get(self, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """The answer to a GET."""
        return self.request("GET", path, **what)

    def head(self, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """The answer to a HEAD."""
        return self.request("HEAD", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """The answer to a POST."""
        return self.request("POST", path, **what)

    async def _request(self, method: str, path: str, what: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url=self._url) as client:
            return await client.request(method, path, **what)

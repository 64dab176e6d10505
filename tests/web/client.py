"""An HTTP client that speaks with an app directly, without a port."""

import asyncio
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Asks as a program on the same machine would; follows no redirect, lets a bug of the app through."""

    def __init__(
        self, app: FastAPI, address: str = "127.0.0.1", host: str = "127.0.0.1", *, shows_bugs: bool = False
    ) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        """Sent with every request; those of the answers are added, as a browser does."""
        self.headers: dict[str, str] = {}
        """Sent with every request that does not say otherwise."""
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
        headers = {**self.headers, **(what.pop("headers", None) or {})}
        if self.cookies and "cookie" not in headers:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with httpx.AsyncClient(transport=self._transport, base_url=self._url) as client:
            answer = await client.request(method, path, headers=headers, **what)
        for morsel in _kept(answer):
            self.cookies[morsel.key] = morsel.value
            if not morsel.value:
                del self.cookies[morsel.key]
        return answer


def _kept(answer: httpx.Response) -> list[Morsel[str]]:
    """The cookies that an answer sets."""
    return [
        morsel for line in answer.headers.get_list("set-cookie") for morsel in SimpleCookie(line).values()
    ]

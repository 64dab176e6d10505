from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request, Response

from leadnurture.web.guard import HEADERS, MEGABYTE, Guard
from tests.web.client import Client

seen: list[int] = []


@pytest.fixture
def client() -> Client:
    app = FastAPI()
    app.add_middleware(Guard)
    seen.clear()

    @app.post("/{path:path}")
    async def take(path: str, request: Request) -> Response:
        assert path
        seen.append(len(await request.body()))
        return Response(headers={"Cache-Control": "max-age=60"})

    return Client(app)


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b"x" * 1024


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/api/leads", 1), ("/u/token", 1), ("/hooks/sendgrid/events", 5), ("/hooks/sendgrid/inbound", 32)],
)
def test_a_body_over_the_limit_never_reaches_the_door(client: Client, path: str, limit: int) -> None:
    fits, too_much = b"x" * (limit * MEGABYTE), b"x" * (limit * MEGABYTE + 1)
    assert client.post(path, content=fits).status_code == 200
    assert client.post(path, content=too_much).status_code == 413
    assert seen == [limit * MEGABYTE]


def test_a_body_that_does_not_say_how_long_it_is_is_measured_too(client: Client) -> None:
    answer = client.post("/api/leads", content=chunks(2 * MEGABYTE))
    assert answer.status_code == 413
    assert "1 MB" in answer.text
    assert seen == []


def test_every_answer_keeps_itself_to_itself(client: Client) -> None:
    answer = client.get("/nothing")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_door_may_say_otherwise(client: Client) -> None:
    assert client.post("/x").headers["Cache-Control"] == "max-age=60"

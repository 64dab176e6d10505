"""Whatever anybody sends to any route, the app answers and does not break: Schemathesis over the OpenAPI."""

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from sqlalchemy import delete

from leadnurture.imports.told import LEAD, REACTION
from leadnurture.store import Database, open_database
from leadnurture.store.tables import metadata
from leadnurture.web import create_app
from tests.web.client import Client
from tests.web.conftest import COOKIE, KEY, World, add_user, cookie

DEFINITIONS = "#/components/schemas/{model}"
EXAMPLES = {"nobody": 2, "an admin": 12}


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What breaks a door does not hang on the database: here it is SQLite."""
    opened = open_database(sqlite_url)
    yield opened
    opened.dispose()


def openapi(app: FastAPI, world: World) -> dict[str, Any]:
    """The app's own, with the bodies of the API, and with names and ids of which some are those of rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate Operation ID")  # GET and HEAD of one door
        schema = app.openapi()
    shared = schema.setdefault("components", {}).setdefault("schemas", {})
    for path, model in (("/api/leads", LEAD), ("/api/reactions", REACTION)):
        item = model.json_schema(ref_template=DEFINITIONS)
        shared |= item.pop("$defs", {})
        body = {"anyOf": [item, {"type": "array", "items": item}, {}]}
        schema["paths"][path]["post"]["requestBody"] = {"content": {"application/json": {"schema": body}}}
    names = ["scaling-series", *(path.rpartition("/")[2] for path in world.tokens().values())]
    for methods in schema["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    known = range(1, 6) if parameter["schema"]["type"] == "integer" else names
                    parameter["schema"] = {"anyOf": [{"enum": list(known)}, parameter["schema"]]}
    return schema


class BrokenError(Exception):
    """The app broke; the message says by what."""


@pytest.mark.slow
@pytest.mark.parametrize("visitor", EXAMPLES)
def test_no_request_breaks_a_route(world: World, hashed: str, visitor: str) -> None:
    app = create_app(world.desk)
    client = Client(app, shows_bugs=True)
    broken, met = [], set()
    for found in schemathesis.openapi.from_dict(openapi(app, world)).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @settings(max_examples=EXAMPLES[visitor], derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: "Case[Any]") -> None:
            if visitor == "an admin":
                come_back(client, world, hashed)
            answer = send(client, case)
            met.add(answer.status_code)
            if answer.status_code >= 500:
                raise BrokenError(case.as_curl_command())

        try:
            ask()
        except BrokenError as error:
            broken.append(str(error))
    assert broken == []
    assert met >= ({303, 401, 404, 200} if visitor == "nobody" else {200, 303, 404, 422})


def come_back(client: Client, world: World, hashed: str) -> None:
    """Signs in anew: some of what is asked ends the sign-in, the role or the user."""
    users = metadata.tables["tool_user"]
    with world.desk.database.write() as connection:
        connection.execute(delete(metadata.tables["sign_in_attempt"]))
        connection.execute(users.update().where(users.c.name_key == "lena").values(role="admin"))
    client.cookies = {COOKIE: cookie(world.desk, add_user(world.desk, "lena", "admin", hashed))}
    client.headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}


def send(client: Client, case: "Case[Any]") -> httpx.Response:
    """Sends what Schemathesis has thought of, as the visitor."""
    told = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
    assert told.url is not None
    ours = ("authorization", "cookie", "content-length")
    headers = {name: value for name, value in told.headers.items() if name.lower() not in ours}
    body = told.body.encode() if isinstance(told.body, str) else told.body
    return client.request(case.method, told.url, headers=headers, content=body)

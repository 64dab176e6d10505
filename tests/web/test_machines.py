"""What machines ask and tell: health, readiness, metrics, the hooks of providers."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leadnurture.app import machine_now, readers
from leadnurture.inbox import keep, work_off
from leadnurture.store import open_database
from leadnurture.web import create_app
from tests.web.client import Client
from tests.web.conftest import NOW, Desk, World

HOOK = "/hooks/sendgrid/events"
SAMPLE = re.compile(r'^leadnurture_[a-z_]+(\{[a-z_]+="[^"]*"\})? \d+$')


def test_an_applied_project_is_ready(world: World, client: Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/healthz").json() == {"status": "ok", "server": "leadnurture"}
    assert world.rows("lead")


def test_what_is_not_ready_says_what_is_missing(desk: Desk) -> None:
    answer = Client(create_app(desk)).get("/readyz")
    assert answer.status_code == 503
    assert "leadnurture apply" in answer.json()["error"]


def test_an_old_schema_is_not_ready(desk: Desk, empty_database_url: str) -> None:
    desk.database = open_database(empty_database_url)
    answer = Client(create_app(desk)).get("/readyz")
    desk.database.dispose()
    assert answer.status_code == 503
    assert "leadnurture migrate" in answer.json()["error"]


def test_metrics_count_and_name_nobody(world: World, client: Client) -> None:
    answer = client.get("/metrics")
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all(SAMPLE.match(line) for line in samples), samples
    delivered = len(world.rows("message", status="delivered"))
    assert delivered > 0
    assert f'leadnurture_messages{{status="delivered"}} {delivered}' in samples
    assert 'leadnurture_handoffs{status="open"} 2' in samples
    assert 'leadnurture_enrollments_due{program="scaling-series"} 0' in samples
    assert "example.com" not in answer.text


# SendGrid


class SendGrid:
    """Signs a post as SendGrid does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public_key = base64.b64encode(der).decode()

    def headers(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(datetime.now(UTC).timestamp()))  # noqa: TID251 - the sender has a clock of its own
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


@pytest.fixture
def sendgrid(world: World) -> SendGrid:
    provider = SendGrid()
    world.desk.settings = world.desk.settings.model_copy(update={"sendgrid_webhook_key": provider.public_key})
    return provider


def event(world: World, **told: object) -> bytes:
    told = {"event": "bounce", "type": "bounce", "sg_event_id": "1", "timestamp": 1796812800} | told
    return json.dumps([told | {"leadnurture_message": str(world.message)}]).encode()


def test_a_signed_event_is_kept_before_it_is_answered_and_read_at_once(
    world: World, sendgrid: SendGrid
) -> None:
    client = Client(create_app(world.desk))
    body = event(world)
    for is_new in (True, False):
        answer = client.post(HOOK, content=body, headers=sendgrid.headers(body))
        assert (answer.status_code, answer.json()["is_new"]) == (200, is_new)
    assert [row["body"] for row in world.rows("inbox")] == [body]
    assert [row["kind"] for row in world.rows("reaction", kind="bounced")] == ["bounced"]


def test_a_post_with_another_ahead_of_it_is_left_to_the_worker(world: World, sendgrid: SendGrid) -> None:
    keep(world.desk.database, "sendgrid", b"[]", NOW)
    client = Client(create_app(world.desk))
    body = event(world)
    assert client.post(HOOK, content=body, headers=sendgrid.headers(body)).status_code == 200
    assert [row["status"] for row in world.rows("inbox")] == ["new", "new"]
    work_off(world.desk.database, readers(world.desk.links), NOW, machine_now)
    assert [row["status"] for row in world.rows("inbox")] == ["done", "done"]
    assert len(world.rows("reaction", kind="bounced")) == 1


@pytest.mark.parametrize("spoil", ["body", "signature", "timestamp", "nothing", "garbage"])
def test_an_event_that_nobody_signed_changes_nothing(world: World, sendgrid: SendGrid, spoil: str) -> None:
    client = Client(create_app(world.desk))
    body = event(world)
    headers = sendgrid.headers(body)
    if spoil == "nothing":
        headers = {}
    elif spoil == "garbage":
        headers = dict.fromkeys(headers, "\xff\x80")
    elif spoil == "body":
        body += b" "
    else:
        name = next(name for name in headers if name.lower().endswith(spoil))
        headers[name] = SendGrid().headers(body)[name] if spoil == "signature" else "1"
    before = world.everything()
    answer = client.post(HOOK, content=body, headers={n: v.encode("latin-1") for n, v in headers.items()})
    assert answer.status_code == 401
    assert "LEADNURTURE_SENDGRID_WEBHOOK_KEY" in answer.json()["error"] or "25 hours" in answer.text
    assert world.everything() == before


def test_without_a_key_no_event_is_believed(world: World, client: Client) -> None:
    assert client.post(HOOK, content=event(world)).status_code == 401


def test_machines_are_answered_as_machines(world: World, client: Client) -> None:
    for path in ("/api/nothing", "/hooks/nothing", "/hooks/sendgrid/nothing"):
        answer = client.post(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"
    assert world.rows("lead")


def test_a_bug_is_a_page_without_a_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> datetime:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(world.desk, "clock", broken)
    client = Client(create_app(world.desk), shows_bugs=True)
    answer = client.get(world.tokens()["unsubscribe"])
    assert answer.status_code == 500
    assert "secret of the house" not in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"

"""What webinar platforms post: signed as Standard Webhooks say, kept once; all else is refused."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from leadnurture.app import machine_now
from leadnurture.imports.platforms import signature
from leadnurture.inbox import replay, work_off
from leadnurture.web import create_app
from tests.web.client import Client
from tests.web.conftest import World, add
from tests.web.test_api import OF_PLATFORMS, tell

HOOK = "/hooks/webinar/zoom"
SECRET = b"a secret of twenty-four b"
VECTOR = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = b"another of twenty-four by"


def told(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


@pytest.fixture
def platform(world: World) -> Client:
    """The app with two secrets of one platform, the old and the new."""
    secrets = SecretStr(f"zoom={told(OTHER)} zoom={told(SECRET)}, else={told(b'x' * 24)}")
    world.desk.settings = world.desk.settings.model_copy(update={"webinar_secrets": secrets})
    return Client(create_app(world.desk))


def body(kind: str = "registered", **data: Any) -> bytes:  # noqa: ANN401 - fields of a post
    known = {"content": "scaling-1", "session": "january", "email": "Sverre@example.com"}
    return json.dumps({"type": kind, "timestamp": "2026-12-09T10:00:00+01:00", "data": known | data}).encode()


def headers(
    content: bytes, post_id: str = "msg_1", at: datetime | None = None, secret: bytes = SECRET
) -> dict[str, str]:
    second = str(int((at or machine_now()).timestamp()))
    signed = base64.b64encode(signature(secret, post_id, second, content)).decode()
    return {
        "webhook-id": post_id,
        "webhook-timestamp": second,
        "webhook-signature": f"v2,abc v1,{base64.b64encode(b'old').decode()} v1,{signed}",
    }


def test_the_example_of_the_documentation_works(world: World, platform: Client) -> None:
    (example,) = OF_PLATFORMS
    tell(platform, "leads", {"email": "ann@example.com"})
    content = example.encode()
    answer = platform.post(HOOK, content=content, headers=headers(content))
    assert answer.status_code == 200
    assert [row["session"] for row in world.rows("reaction", kind="registered")] == ["january"]


def test_a_seat_that_is_taken_on_the_platform_is_a_seat(world: World, platform: Client) -> None:
    content = body()
    answer = platform.post(HOOK, content=content, headers=headers(content))
    assert (answer.status_code, answer.json()["is_new"]) == (200, True)
    (row,) = world.rows("reaction", kind="registered")
    assert (row["lead_id"], row["content"], row["session"]) == (world.leads["sverre"], "scaling-1", "january")
    assert row["source"] == "webinar zoom"
    assert [row["occasion"] for row in world.rows("message") if row["occasion"]] == [
        "confirmation",
        "reminder/1 day/0",
        "reminder/1 hour/0",
    ]
    (item,) = world.rows("inbox_item")
    assert (item["key"], item["kind"], item["outcome"]) == ("zoom:msg_1", "registered", "recorded")


def test_without_a_session_the_one_that_can_be_meant_is_meant(world: World, platform: Client) -> None:
    """Three are ahead, so which is not clear; one has begun."""
    for number, kind in enumerate(("registered", "attended", "attendance")):
        content = body(kind, session=None)
        answer = platform.post(HOOK, content=content, headers=headers(content, f"msg_{number}"))
        assert answer.status_code == 200
    assert [(row["kind"], row["session"]) for row in world.rows("standing")] == [("attended", "december")]
    troubles = [row["trouble"] for row in world.rows("inbox")]
    assert troubles[0] == 'data.session: "scaling-1" has several sessions: say which: january, march, may'
    assert (troubles[1], "`data.session` is missing" in troubles[2]) == (None, True)


def test_a_seat_that_is_given_away_there_is_recorded_though_none_is_left(
    world: World, platform: Client
) -> None:
    world.take_seats("january", "ingrid")
    world.only(1)
    content = body()
    platform.post(HOOK, content=content, headers=headers(content))
    assert len(world.rows("standing", kind="registered", session="january")) == 2


def test_a_repetition_under_the_same_id_is_kept_once(world: World, platform: Client) -> None:
    content = body()
    for _ in range(3):
        answer = platform.post(HOOK, content=content, headers=headers(content))
        assert answer.status_code == 200
    assert answer.json()["is_new"] is False
    assert len(world.rows("inbox")) == len(world.rows("reaction", kind="registered")) == 1


def test_either_secret_fits_while_one_follows_the_other(world: World, platform: Client) -> None:
    for number, secret in enumerate((SECRET, OTHER)):
        content = body("declined" if number else "registered")
        post = headers(content, f"msg_{number}", secret=secret)
        assert platform.post(HOOK, content=content, headers=post).status_code == 200
    assert [row["kind"] for row in world.rows("standing")] == ["declined"]


def test_the_signature_is_the_one_that_others_make() -> None:
    """Of `printf %s "$id.$second.$body" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary`."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert base64.b64encode(made).decode() == VECTOR


NOW_SIGNED = headers(body())
SPOILT: dict[str, tuple[bytes, dict[str, str]]] = {
    "altered": (body() + b" ", {}),
    "another id": (body(), {"webhook-id": "msg_2"}),
    "another second": (body(), {"webhook-timestamp": str(int(NOW_SIGNED["webhook-timestamp"]) + 1)}),
    "a senseless second": (body(), {"webhook-timestamp": "9" * 400}),
    "old": (body(), headers(body(), at=machine_now() - timedelta(minutes=6))),
    "ahead": (body(), headers(body(), at=machine_now() + timedelta(hours=1))),
    "wrong key": (body(), headers(body(), secret=b"z" * 24)),
    "without its version": (
        body(),
        {"webhook-signature": NOW_SIGNED["webhook-signature"].rpartition(",")[2]},
    ),
    "garbage": (body(), dict.fromkeys(NOW_SIGNED, "\xff\x80")),
    "missing": (body(), dict.fromkeys(NOW_SIGNED, "")),
    "too long an id": (body(), headers(body(), "m" * 300)),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_altered_missing_old_or_wrongly_signed_changes_nothing(
    world: World, platform: Client, spoilt: str
) -> None:
    content, changed = SPOILT[spoilt]
    before = world.everything()
    sent = {name: value.encode("latin-1") for name, value in (headers(body()) | changed).items()}
    assert platform.post(HOOK, content=content, headers=sent).status_code == 401
    assert world.everything() == before


def test_what_one_platform_signed_is_not_another_s(world: World, platform: Client) -> None:
    content = body()
    answer = platform.post("/hooks/webinar/else", content=content, headers=headers(content))
    assert answer.status_code == 401
    assert world.rows("inbox") == []


def test_a_platform_of_which_no_secret_is_known_is_not_believed(world: World, platform: Client) -> None:
    content = body()
    answer = platform.post("/hooks/webinar/unknown", content=content, headers=headers(content))
    assert (answer.status_code, "LEADNURTURE_WEBINAR_SECRETS" in answer.text) == (401, True)
    assert world.rows("inbox") == []


def test_a_person_is_known_by_the_id_that_the_platform_has_of_him(world: World, platform: Client) -> None:
    with world.desk.database.write() as connection:
        add(connection, "lead_key", lead_id=world.leads["ingrid"], system="zoom", key="Z-1")
    content = body(email=None, person="Z-1")
    assert platform.post(HOOK, content=content, headers=headers(content)).status_code == 200
    content = body(email=None, person="Z-2")
    assert platform.post(HOOK, content=content, headers=headers(content, "msg_2")).status_code == 200
    assert [row["lead_id"] for row in world.rows("standing")] == [world.leads["ingrid"]]
    assert [row["outcome"] for row in world.rows("inbox_item")] == ["recorded", "not ours"]


def test_where_no_platform_is_named_none_is_believed(world: World, client: Client) -> None:
    content = body()
    assert client.post(HOOK, content=content, headers=headers(content)).status_code == 401
    assert world.rows("inbox") == []


def test_a_closed_list_says_who_came_and_who_missed_it(world: World, platform: Client) -> None:
    world.take_seats("december", "ingrid", "sverre")
    with world.desk.database.write() as connection:
        add(connection, "lead_key", lead_id=world.leads["ingrid"], system="zoom", key="Z-1")
    content = body("attendance", session="december", email=None, attended=["Z-1", "nobody@example.com"])
    assert platform.post(HOOK, content=content, headers=headers(content)).status_code == 200
    assert sorted(row["kind"] for row in world.rows("standing")) == ["attended", "missed"]
    assert [row["status"] for row in world.rows("inbox")] == ["done"]


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (body("recording.ready"), "unknown kind"),
        (body(email="nobody@example.com"), "not ours"),
    ],
)
def test_what_we_do_not_know_is_kept_and_counted(
    world: World, platform: Client, content: bytes, outcome: str
) -> None:
    assert platform.post(HOOK, content=content, headers=headers(content)).status_code == 200
    assert [row["outcome"] for row in world.rows("inbox_item")] == [outcome]
    assert [bytes(row["body"]) for row in world.rows("inbox")] == [content]


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (b"[]", "type"),
        (b"{", "JSON"),
        (body(email=None), "email"),
        (body(session="never"), "never"),
        (body(content="nothing"), "nothing"),
        (b'{"type": "registered"}', "data"),
    ],
)
def test_what_nobody_can_read_is_kept_with_the_reason(
    world: World, platform: Client, content: bytes, trouble: str
) -> None:
    assert platform.post(HOOK, content=content, headers=headers(content)).status_code == 200
    (row,) = world.rows("inbox")
    assert row["status"] == "unusable"
    assert trouble in row["trouble"]


def test_a_replay_records_nothing_twice(world: World, platform: Client) -> None:
    from leadnurture.app import readers

    content = body()
    platform.post(HOOK, content=content, headers=headers(content))
    reactions, mails = world.rows("reaction"), world.rows("message")
    assert replay(world.desk.database, source="webinar") == 1
    work_off(world.desk.database, readers(world.desk.links), world.desk.now, machine_now)
    assert (world.rows("reaction"), world.rows("message")) == (reactions, mails)
    assert [row["outcome"] for row in world.rows("inbox_item")] == ["recorded"]

"""SendGrid's event webhook: signed, kept, recorded once, whatever comes twice, late or broken."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.engine import judge
from leadnurture.errors import InvalidInputError, NotSignedError
from leadnurture.mail import Received, receive_sendgrid_events
from leadnurture.mail.sendgrid_events import SIGNATURE, TIMESTAMP, verify
from tests.mail.scene import NOW, Scene
from tests.mail.statements import counted

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
SECONDS = int(NOW.timestamp())


def signed(body: bytes, at: datetime = NOW) -> dict[str, str]:
    """The headers that SendGrid would send."""
    timestamp = str(int(at.timestamp()))
    signature = PRIVATE.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


def event(kind: str, message_id: object, number: int = 1, **more: Any) -> dict[str, object]:  # noqa: ANN401 - columns of any table
    """An item as the webhook sends it: our custom argument merged flat."""
    return {
        "email": "ann@example.org",
        "timestamp": SECONDS + number,
        "event": kind,
        "sg_event_id": f"e{number}-{kind}-{message_id}",
        "sg_message_id": "abc.filter",
        "leadnurture_message": str(message_id),
        "category": "news",
    } | more


@pytest.fixture
def receive(scene: Scene) -> Callable[..., Received]:
    """Posts items, signed."""

    def post(*items: object) -> Received:
        body = json.dumps(items).encode()
        return receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW)

    return post


Receive = Callable[..., Received]


def a_message(scene: Scene, status: str, number: int = 1) -> int:
    """A message in a status, attempted an hour ago."""
    message_id = scene.message(scene.lead(number))
    scene.change("message", message_id, status=status, attempt=1, attempt_at=NOW - timedelta(hours=1))
    return message_id


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("processed", {}, "sent"),
        ("deferred", {"response": "450 later", "attempt": "2"}, "deferred"),
        ("delivered", {}, "delivered"),
        ("open", {}, "delivered"),
        ("open", {"sg_machine_open": True}, "delivered"),
        ("click", {"url": "https://www.example.com/"}, "delivered"),
        ("bounce", {"type": "bounce", "reason": "550 no such user"}, "bounced"),
        ("bounce", {"type": "blocked", "reason": "550 not today"}, "deferred"),
        ("bounce", {"status": "5.1.1"}, "bounced"),
        ("dropped", {"reason": "Bounced Address"}, "bounced"),
        ("dropped", {"reason": "Spam Content"}, "failed"),
        ("spamreport", {}, "complained"),
    ],
)
def test_an_event_settles_what_was_unknown(
    scene: Scene, receive: Receive, kind: str, more: dict[str, Any], status: str
) -> None:
    message_id = a_message(scene, "unknown")
    receive(event(kind, message_id, **more))
    assert scene.row("message", message_id).status == status


def test_an_event_that_is_faster_than_our_mark_counts(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sending")
    receive(event("delivered", message_id))
    message = scene.row("message", message_id)
    assert (message.status, message.sent_at) == ("delivered", NOW - timedelta(hours=1))
    assert scene.enrollment_of(message_id).deadline_at == message.wait_until


@pytest.mark.parametrize("kind", ["bounce", "spamreport", "unsubscribe", "group_unsubscribe"])
def test_what_ends_it_suppresses_the_address_at_once(scene: Scene, receive: Receive, kind: str) -> None:
    message_id = a_message(scene, "sent")
    receive(event(kind, message_id, type="bounce"))
    assert [row.email_key for row in scene.rows("suppression")] == ["lead1@example.org"]


def test_a_soft_bounce_suppresses_nobody(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    receive(event("bounce", message_id, type="blocked"))
    assert scene.rows("suppression") == []


def test_the_same_post_twice_changes_nothing(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    items = [event("delivered", message_id, 1), event("click", message_id, 2, url="https://www.example.com/")]
    assert receive(*items) == Received(items=2, recorded=2)
    assert receive(*items) == Received(items=2, repeated=2)
    kept = [len(scene.rows(table)) for table in ("reaction", "click", "provider_event")]
    assert kept == [1, 1, 2]


def test_a_click_keeps_who_followed_the_link_and_is_judged_like_ours(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    agents = {
        "https://www.example.com/": "Mozilla/5.0 Firefox",
        "https://www.example.com/2": "Mozilla/5.0 Firefox",
    }
    receive(
        *(
            event("click", message_id, place, url=url, useragent=agent)
            for place, (url, agent) in enumerate(agents.items())
        )
    )
    assert [(row.link, row.agent, row.method) for row in scene.rows("click")] == [
        (url, agent, None) for url, agent in agents.items()
    ]
    judge(scene.database, NOW + timedelta(hours=1))
    assert {row.reason for row in scene.rows("click")} == {
        "several links of the mail were followed within a second"
    }
    assert scene.rows("reaction") == []


def test_the_same_event_under_a_new_id_is_kept_and_recorded_once(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    first = event("click", message_id, url="https://www.example.com/")
    assert receive(first).recorded == 1
    assert receive(first | {"sg_event_id": "another"}) == Received(items=1, repeated=1)
    assert receive(first | {"sg_event_id": "a"}, first | {"sg_event_id": "b"}) == Received(
        items=2, repeated=2
    )
    assert len(scene.rows("click")) == 1
    assert sorted(row.outcome for row in scene.rows("provider_event")) == [
        "duplicate",
        "duplicate",
        "duplicate",
        "recorded",
    ]


def test_a_late_delivery_does_not_undo_a_complaint(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    receive(event("spamreport", message_id, 2))
    receive(event("delivered", message_id, 1))
    assert scene.row("message", message_id).status == "complained"


def test_what_we_do_not_understand_is_kept_and_counted(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    odd = [
        event("teleported", message_id),
        event("group_resubscribe", message_id),
        {"event": 7},
        "text",
        None,
        [1],
        3.5,
    ]
    received = receive(
        *odd, event("click", 999_999), event("click", "12; DROP TABLE message"), event("click", 10**30)
    )
    assert received == Received(items=10, not_ours=8, not_understood=2)
    assert len(scene.rows("provider_event")) == 10
    assert scene.rows("reaction") == []


def test_an_empty_post_is_fine(receive: Receive) -> None:
    assert receive() == Received()


def test_a_nul_in_an_event_breaks_nothing(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "unknown")
    assert (
        receive(event("bounce", message_id, type="bounce", reason="550 \x00 broken", url="\x00")).recorded
        == 1
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"no", b"\xff\xfe", b"3", b"[" * 100_000])
def test_a_signed_post_that_is_no_list_is_invalid(scene: Scene, body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW)


def test_statements_do_not_depend_on_the_number_of_events(scene: Scene, receive: Receive) -> None:
    def post(count: int, offset: int) -> int:
        message_id = a_message(scene, "unknown", offset)
        kinds = ("processed", "delivered", "click", "bounce", "dropped")
        items = [
            event(kinds[number % 5], message_id, number, url=f"https://x/{number}", type="bounce")
            for number in range(count)
        ]
        with counted(scene.database) as statements:
            receive(*items)
        return len(statements)

    post(10, 1)  # fills the caches
    assert post(10, 2) == post(1000, 3)


# The signature


def test_a_body_that_was_changed_is_not_signed() -> None:
    headers = signed(b"[]")
    verify(b"[]", headers, PUBLIC, NOW)
    with pytest.raises(NotSignedError, match="does not fit"):
        verify(b"[ ]", headers, PUBLIC, NOW)


def test_a_retry_may_be_a_day_old_and_no_older() -> None:
    headers = signed(b"[]", NOW - timedelta(hours=25))
    verify(b"[]", headers, PUBLIC, NOW)
    with pytest.raises(NotSignedError, match="25 hours"):
        verify(b"[]", headers, PUBLIC, NOW + timedelta(seconds=1))


def test_without_a_key_the_error_names_the_setting() -> None:
    with pytest.raises(NotSignedError, match="LEADNURTURE_SENDGRID_WEBHOOK_KEY is not set"):
        verify(b"[]", signed(b"[]"), None, NOW)


@given(
    body=st.binary(max_size=50),
    headers=st.dictionaries(
        st.sampled_from([SIGNATURE, TIMESTAMP, SIGNATURE.lower(), "X"]), st.text() | st.just(str(SECONDS))
    ),
    key=st.text() | st.just(PUBLIC) | st.none(),
)
def test_whatever_is_malformed_is_simply_not_signed(
    body: bytes, headers: dict[str, str], key: str | None
) -> None:
    with pytest.raises(NotSignedError):
        verify(body, headers, key, NOW)


def test_a_key_of_another_kind_is_not_accepted() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    private: Any = rsa.generate_private_key(65537, 2048)
    public = base64.b64encode(
        private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    with pytest.raises(NotSignedError, match="ECDSA"):
        verify(b"[]", signed(b"[]"), public, NOW)

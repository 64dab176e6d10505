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
from leadnurture.errors import NotSignedError
from leadnurture.inbox import Post, Read, replay, work_off
from leadnurture.inbox.reading import FIRST_WAIT
from leadnurture.mail import read_sendgrid_events, receive_sendgrid_events
from leadnurture.mail.sendgrid_events import SIGNATURE, TIMESTAMP, verify
from leadnurture.store import Database
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


def read_all(scene: Scene, at: datetime = NOW) -> Read:
    """Reads what lies in the inbox; what the last post said."""
    said = Read()

    def reader(database: Database, post: Post, now: datetime, is_last: bool) -> Read:  # noqa: FBT001 - a Reader
        nonlocal said
        said = read_sendgrid_events(database, post, now, is_last)
        return said

    work_off(scene.database, {"sendgrid": reader}, NOW, lambda: at)
    return said


@pytest.fixture
def receive(scene: Scene) -> Callable[..., Read]:
    """Posts items, signed, and reads them."""

    def post(*items: object) -> Read:
        body = json.dumps(items).encode()
        assert receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW).id
        return read_all(scene)

    return post


Receive = Callable[..., Read]


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


def test_what_the_provider_said_of_a_bounce_is_kept(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "sent")
    receive(event("bounce", message_id, type="bounce", reason="550 no such user"))
    assert scene.row("message", message_id).trouble == "550 no such user"


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
    assert receive(*items) == Read(items=2, recorded=2)
    assert receive(*items) == Read()  # nothing new lies in the inbox
    assert receive(*items, *items) == Read(items=2, repeated=2)
    assert [len(scene.rows(table)) for table in ("inbox", "inbox_item", "reaction", "click")] == [2, 2, 1, 1]


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
    assert receive(first | {"sg_event_id": "another"}) == Read(items=1, repeated=1)
    assert receive(first | {"sg_event_id": "a"}, first | {"sg_event_id": "b"}) == Read(items=2, repeated=2)
    assert len(scene.rows("click")) == 1
    assert sorted(row.outcome for row in scene.rows("inbox_item")) == [
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
    assert received == Read(items=10, not_ours=7, not_understood=2, waiting=1)
    assert len(scene.rows("inbox_item")) == 10
    assert scene.rows("reaction") == []


def test_an_event_that_comes_before_its_mail_is_known_waits_for_it(scene: Scene, receive: Receive) -> None:
    lead = scene.lead(1)
    message_id = scene.message(lead) + 1
    told = receive(event("delivered", message_id), event("click", message_id, 2, url="https://x/1"))
    assert told == Read(items=2, waiting=2)
    assert [row.outcome for row in scene.rows("inbox_item")] == ["waiting", "waiting"]
    assert scene.rows("reaction") == []
    assert scene.message(lead, step="letter", status="sending", attempt=1, program="care") == message_id
    assert read_all(scene) == Read()  # it rests
    assert read_all(scene, NOW + FIRST_WAIT) == Read(items=2, recorded=2)
    assert scene.row("message", message_id).status == "delivered"
    assert [row.outcome for row in scene.rows("inbox_item")] == ["recorded", "recorded"]
    assert [row.status for row in scene.rows("inbox")] == ["done"]


def test_an_event_about_a_mail_that_never_comes_is_nobodys_in_the_end(scene: Scene, receive: Receive) -> None:
    receive(event("delivered", 999_999))
    for days in range(1, 20):
        read_all(scene, NOW + timedelta(days=days))
    assert [(row.outcome, row.message_id) for row in scene.rows("inbox_item")] == [("not ours", 999_999)]
    assert [row.status for row in scene.rows("inbox")] == ["done"]


def test_a_replay_leaves_everything_as_it_is_and_finds_what_is_known_since(
    scene: Scene, receive: Receive
) -> None:
    message_id = a_message(scene, "sent")
    receive(event("delivered", message_id), event("click", message_id, 2), event("teleported", message_id, 3))
    before = [scene.rows(table) for table in ("reaction", "inbox_item", "message", "point", "lead")]
    replay(scene.database)
    assert read_all(scene) == Read(items=3, not_understood=1)
    assert [scene.rows(table) for table in ("reaction", "inbox_item", "message", "point", "lead")] == before


def test_a_drop_that_is_told_late_and_its_order_make_no_difference(scene: Scene, receive: Receive) -> None:
    one, other = a_message(scene, "unknown", 1), a_message(scene, "unknown", 2)
    receive(event("processed", one))
    receive(event("dropped", one, 2, reason="Spam Content"))
    receive(event("dropped", other, 2, reason="Spam Content"))
    receive(event("processed", other))
    assert [scene.row("message", each).status for each in (one, other)] == ["failed", "failed"]


def test_the_weightiest_reason_for_a_suppression_stands_whatever_came_first(
    scene: Scene, receive: Receive
) -> None:
    one, other = a_message(scene, "sent", 1), a_message(scene, "sent", 2)
    receive(event("bounce", one, type="bounce"))
    receive(event("unsubscribe", one, 2))
    receive(event("unsubscribe", other, 2))
    receive(event("bounce", other, type="bounce"))
    assert {row.reason for row in scene.rows("suppression")} == {"unsubscribed"}


def test_an_empty_post_is_fine(receive: Receive) -> None:
    assert receive() == Read()


def test_a_nul_in_an_event_breaks_nothing(scene: Scene, receive: Receive) -> None:
    message_id = a_message(scene, "unknown")
    assert (
        receive(event("bounce", message_id, type="bounce", reason="550 \x00 broken", url="\x00")).recorded
        == 1
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"no", b"\xff\xfe", b"3", b"[" * 100_000])
def test_a_signed_post_that_is_no_list_is_kept_with_the_reason(scene: Scene, body: bytes) -> None:
    receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW)
    assert read_all(scene) == Read()
    (post,) = scene.rows("inbox")
    assert (post.body, post.status) == (body, "unusable")
    assert "The post is no" in post.trouble


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

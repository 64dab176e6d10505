"""Sending: what leaves, what is written about it, and what is never sent twice (I1)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from leadnurture.errors import NotFoundError
from leadnurture.mail import (
    Accepted,
    Answer,
    Delivered,
    Later,
    Mail,
    NotSent,
    Refused,
    Unknown,
    deliver,
    next_sending,
    recover,
    show,
)
from leadnurture.mail.local import LocalOutbox
from leadnurture.store import Database, open_database
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, Scene

SECOND = timedelta(seconds=1)


def test_a_due_mail_lands_in_the_outbox_and_starts_the_wait(scene: Scene, tmp_path: Path) -> None:
    message_id = scene.message(scene.lead(1))
    done = deliver(scene.database, LocalOutbox(tmp_path / "outbox"), LINKS, NOW, machine_now=MACHINE)
    message = scene.row("message", message_id)
    assert (done.sent, message.status, message.attempt) == (1, "sent", 1)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == [f"{message_id}.eml"]
    enrollment = scene.enrollment_of(message_id)
    assert (enrollment.deadline_at, enrollment.due_at) == (message.wait_until, message.wait_until)


def test_what_is_not_due_stays(scene: Scene) -> None:
    scene.message(scene.lead(1), send_at=NOW + SECOND)
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE) == Delivered()
    with scene.database.read() as connection:
        assert next_sending(connection, NOW) == NOW + SECOND


def test_every_mail_carries_the_ways_out(scene: Scene) -> None:
    provider = Kept()
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    (mail,) = provider.mails
    link = LINKS.unsubscribe(lead_id, message_id)
    token = link.rpartition("/")[2]
    assert dict(mail.headers) == {
        "List-Unsubscribe": f"<{link}>, <mailto:news@example.com?subject=unsubscribe%20{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    for body in (mail.html, mail.text):
        assert link in body
        assert "Musterstr. 1" in body
    assert (mail.to, mail.reply_to, mail.header_id) == (
        "Lead1@example.org",
        ("news@example.com",),
        f"<{message_id}@example.com>",
    )


def test_what_was_sent_is_shown_again_exactly(scene: Scene) -> None:
    provider = Kept()
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    scene.change("lead", lead_id, first_name="Bea")
    with scene.database.read() as connection:
        shown = show(connection, message_id)
    (mail,) = provider.mails
    assert (shown.subject, shown.html, shown.text) == (mail.subject, mail.html, mail.text)
    assert "Hello Ann1" in shown.text


def test_what_is_not_claimed_cannot_be_shown(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    with scene.database.read() as connection, pytest.raises(NotFoundError):
        show(connection, message_id)


def test_a_name_from_outside_can_neither_break_a_header_nor_the_page(scene: Scene) -> None:
    provider = Kept()
    scene.message(
        scene.lead(1, first_name="Ann\r\nBcc: x@y.z", last_name="<script>alert(1)</script>{{ 7 * 7 }}")
    )
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    (mail,) = provider.mails
    assert mail.subject == "A guide for Ann Bcc: x@y.z"
    assert mail.to_name == "Ann Bcc: x@y.z <script>alert(1)</script>{{ 7 * 7 }}"
    assert "<script>" not in mail.html


@pytest.mark.parametrize(
    ("answer", "status", "trouble", "waits"),
    [
        (Refused("550 no"), "failed", "failed", False),
        (Unknown("timed out"), "unknown", None, True),
        (Later(MACHINE + timedelta(minutes=5)), "planned", None, False),
        (NotSent("refused"), "planned", None, False),
    ],
)
def test_an_answer_settles_the_message_and_its_enrollment(
    scene: Scene,
    answer: Answer,
    status: str,
    trouble: str | None,
    waits: bool,  # noqa: FBT001 - a case
) -> None:
    message_id = scene.message(scene.lead(1))
    done = deliver(scene.database, Kept(lambda _: answer), LINKS, NOW, machine_now=MACHINE)
    message, enrollment = scene.row("message", message_id), scene.enrollment_of(message_id)
    assert (message.status, enrollment.trouble) == (status, trouble)
    assert (enrollment.deadline_at == message.wait_until) is waits
    assert [one for one, _ in done.failures] == [message_id]


def test_an_unknown_mail_is_never_sent_again(scene: Scene) -> None:
    scene.message(scene.lead(1))
    provider = Kept(lambda _: Unknown("timed out"))
    for _ in range(3):
        deliver(
            scene.database,
            provider,
            LINKS,
            NOW + timedelta(minutes=1),
            machine_now=MACHINE + timedelta(days=1),
        )
    assert len(provider.mails) == 1


def test_after_429_nobody_asks_before_the_reset_and_then_each_mail_leaves_once(scene: Scene) -> None:
    ids = [scene.message(scene.lead(number)) for number in range(20)]
    reset = MACHINE + timedelta(minutes=5)
    busy = Kept(lambda _: Later(reset))
    done = deliver(scene.database, busy, LINKS, NOW, machine_now=MACHINE, parallel=4)
    assert done.ready_at == reset
    # Those that were claimed already are not handed over any more.
    assert len(busy.mails) <= 4
    with scene.database.read() as connection:
        assert next_sending(connection, NOW, MACHINE + SECOND) is not None  # the rest is due
    again = Kept()
    assert deliver(scene.database, again, LINKS, NOW, machine_now=reset, parallel=4).sent == 20
    assert again.ids == ids


def test_mails_that_rest_are_not_due_until_the_reset(scene: Scene) -> None:
    scene.message(scene.lead(1))
    reset = MACHINE + timedelta(minutes=5)
    deliver(scene.database, Kept(lambda _: Later(reset)), LINKS, NOW, machine_now=MACHINE)
    with scene.database.read() as connection:
        assert next_sending(connection, NOW, MACHINE + SECOND) is None
        assert next_sending(connection, NOW, reset) == NOW
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE + SECOND) == Delivered()


def test_a_provider_that_cannot_be_reached_is_left_alone_longer_and_longer(scene: Scene) -> None:
    for number in range(3):
        scene.message(scene.lead(number))
    down = Kept(lambda _: NotSent("refused"))
    done = deliver(scene.database, down, LINKS, NOW, machine_now=MACHINE, parallel=1)
    assert (done.again, len(down.mails)) == (1, 1)
    assert done.ready_at is not None
    assert timedelta(seconds=4) < done.ready_at - MACHINE < timedelta(seconds=10)


def test_a_key_that_is_refused_fails_only_what_was_under_way(scene: Scene) -> None:
    for number in range(30):
        scene.message(scene.lead(number))
    done = deliver(
        scene.database,
        Kept(lambda _: Refused("401", stops=True)),
        LINKS,
        NOW,
        machine_now=MACHINE,
        parallel=4,
    )
    assert 1 <= done.failed <= 4
    assert done.ready_at is not None


def test_never_more_are_sending_than_there_are_threads(scene: Scene) -> None:
    for number in range(40):
        scene.message(scene.lead(number))
    most: list[int] = []

    def look(_: Mail) -> Answer:
        most.append(sum(row.status == "sending" for row in scene.rows("message")))
        return Accepted()

    assert deliver(scene.database, Kept(look), LINKS, NOW, machine_now=MACHINE, parallel=8).sent == 40
    assert max(most) <= 8


def test_a_bug_of_a_provider_is_raised_and_its_mail_is_unknown(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))

    def break_down(_: Mail) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deliver(scene.database, Kept(break_down), LINKS, NOW, machine_now=MACHINE)
    assert scene.row("message", message_id).status == "unknown"


def test_the_limit_holds_and_the_rest_is_given_back(scene: Scene) -> None:
    for number in range(10):
        scene.message(scene.lead(number))
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE, limit=3).sent == 3
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE, limit=300).sent == 7


def test_two_workers_share_the_mails_and_send_each_once(scene: Scene, database_url: str) -> None:
    ids = [scene.message(scene.lead(number)) for number in range(60)]
    provider = Kept()
    other = open_database(database_url)

    def work(database: Database) -> Callable[[], None]:
        return lambda: void(
            deliver(database, provider, LINKS, NOW, machine_now=MACHINE, parallel=4, limit=20)
        )

    threads = [
        threading.Thread(target=work(database)) for database in (scene.database, other, scene.database)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    other.dispose()
    assert provider.ids == ids


def void(_: object) -> None:
    """Drops a result."""


def test_a_lease_that_ended_makes_sending_unknown_and_its_wait_begins_at_the_attempt(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    scene.change(
        "message",
        message_id,
        status="sending",
        attempt=1,
        attempt_at=NOW,
        lease_owner="dead",
        lease_until=MACHINE,
    )
    assert recover(scene.database, NOW + timedelta(hours=1), MACHINE - SECOND) == 0
    assert recover(scene.database, NOW + timedelta(hours=1), MACHINE) == 1
    message, enrollment = scene.row("message", message_id), scene.enrollment_of(message_id)
    assert (message.status, message.sent_at, enrollment.deadline_at) == ("unknown", NOW, message.wait_until)


def test_a_reservation_that_ended_is_anybodys(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    scene.change("message", message_id, lease_owner="dead", lease_until=MACHINE)
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE - SECOND) == Delivered()
    assert deliver(scene.database, Kept(), LINKS, NOW, machine_now=MACHINE).sent == 1


def test_an_outbox_that_cannot_be_written_sends_later(scene: Scene, tmp_path: Path) -> None:
    scene.message(scene.lead(1))
    (tmp_path / "outbox").write_text("a file where the folder should be")
    done = deliver(scene.database, LocalOutbox(tmp_path / "outbox"), LINKS, NOW, machine_now=MACHINE)
    assert done.again == 1
    assert "make room or mend its rights" in done.failures[0][1]
    (tmp_path / "outbox").unlink()
    later = MACHINE + timedelta(minutes=1)
    assert deliver(scene.database, LocalOutbox(tmp_path / "outbox"), LINKS, NOW, machine_now=later).sent == 1

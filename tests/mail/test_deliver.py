"""Sending: what leaves, what is written about it, and what is refused to be sent twice."""

from pathlib import Path

from leadnurture.mail import deliver, show
from leadnurture.mail.local import LocalOutbox
from tests.mail.scene import LINKS, MACHINE, NOW, Scene


def test_a_due_mail_lands_in_the_outbox_and_starts_the_wait(scene: Scene, tmp_path: Path) -> None:
    message_id = scene.message(scene.lead(1))
    done = deliver(scene.database, LocalOutbox(tmp_path / "outbox"), LINKS, NOW, machine_now=MACHINE)
    message = scene.row("message", message_id)
    assert (done.sent, message.status, message.attempt) == (1, "sent", 1)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == [f"{message_id}.eml"]
    enrollment = scene.enrollment_of(message_id)
    assert (enrollment.deadline_at, enrollment.due_at) == (message.wait_until, message.wait_until)


def test_what_was_sent_is_shown_again_after_the_lead_has_changed(scene: Scene, tmp_path: Path) -> None:
    lead_id = scene.lead(1)
    message_id = scene.message(lead_id)
    deliver(scene.database, LocalOutbox(tmp_path / "outbox"), LINKS, NOW, machine_now=MACHINE)
    scene.change("lead", lead_id, first_name="Bea")
    with scene.database.read() as connection:
        shown = show(connection, message_id)
    assert shown.subject == "A guide for Ann1"
    assert "Hello Ann1, read <https://news.example.com/c/" in shown.text

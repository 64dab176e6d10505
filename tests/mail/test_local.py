"""The local outbox: whole files, readable by every mail program, the same for the same mail."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from leadnurture.mail import Accepted, Mail
from leadnurture.mail.local import LocalOutbox, as_eml
from leadnurture.mail.provider import Attachment

LONG = "https://news.example.com/u/" + "x" * 150
MAIL = Mail(
    key="12",
    to="ann@example.org",
    to_name='Ann "Ö" Ott',
    sender_name="Dana, from Querfeld",
    sender="news@example.com",
    reply_to=("dana@example.com",),
    subject="Größe, die zählt: " + "lang" * 20,
    html="<p>" + "Grüße " * 500 + "</p>\n.\n=3D",
    text="Hello\n.\nFrom here =\n" + "ü" * 200 + "\n",
    at=datetime(2026, 12, 8, 9, 0, tzinfo=UTC),
    headers=(("List-Unsubscribe", f"<{LONG}>, <mailto:news@example.com?subject=unsubscribe%20x>"),),
    message_id=12,
)


def test_a_mail_program_reads_what_was_written() -> None:
    read = email.message_from_bytes(as_eml(MAIL), policy=email.policy.default)
    assert read.defects == []
    assert read["Subject"] == MAIL.subject
    assert read["List-Unsubscribe"] == MAIL.headers[0][1]
    assert read["Message-ID"] == "<12@example.com>"
    assert read["Date"].datetime == MAIL.at
    assert (read["From"].addresses[0].display_name, read["From"].addresses[0].addr_spec) == (
        "Dana, from Querfeld",
        "news@example.com",
    )
    assert (read["To"].addresses[0].display_name, read["Reply-To"].addresses[0].addr_spec) == (
        'Ann "Ö" Ott',
        "dana@example.com",
    )
    for kind, body in (("plain", MAIL.text), ("html", MAIL.html)):
        part = read.get_body((kind,))
        assert part is not None
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


def test_no_line_is_longer_than_smtp_allows() -> None:
    assert max(len(line) for line in as_eml(MAIL).split(b"\r\n")) <= 998


def test_the_same_mail_is_the_same_file(tmp_path: Path) -> None:
    outbox = LocalOutbox(tmp_path / "outbox")
    assert outbox.send(MAIL) == outbox.send(MAIL) == Accepted("<12@example.com>")
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["12.eml"]
    assert as_eml(MAIL) == as_eml(MAIL)


INVITE = Attachment("invite.ics", "text/calendar", b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")


def test_a_file_travels_beside_both_texts() -> None:
    mail = replace(MAIL, attachments=(INVITE,))
    read = email.message_from_bytes(as_eml(mail), policy=email.policy.default)
    assert read.defects == []
    assert read.get_content_type() == "multipart/mixed"
    (file,) = read.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("invite.ics", "text/calendar")
    assert (file.get_param("method"), file.get_content_disposition()) == ("REQUEST", "attachment")
    assert file.get_payload(decode=True) == INVITE.content
    for kind, body in (("plain", mail.text), ("html", mail.html)):
        part = read.get_body((kind,))
        assert part is not None
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


def test_a_mail_without_a_file_is_written_as_ever() -> None:
    read = email.message_from_bytes(as_eml(MAIL), policy=email.policy.default)
    assert read.get_content_type() == "multipart/alternative"

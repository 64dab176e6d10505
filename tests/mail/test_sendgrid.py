"""SendGrid's answers, each classified: proof that a mail left, proof that it did not, or neither."""

import base64
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadnurture.mail import Accepted, Later, Mail, NotSent, Refused, Unknown
from leadnurture.mail.provider import Attachment
from leadnurture.mail.sendgrid import SendGrid
from tests.fakes.sendgrid import KEY, TIMEOUT, FakeSendGrid

MAIL = Mail(
    key="12",
    to="ann@example.org",
    to_name="Ann Ott",
    sender_name="Dana",
    sender="news@example.com",
    reply_to=("news@example.com",),
    subject="Größe",
    html="<p>Hello</p>",
    text="Hello",
    headers=(
        (
            "List-Unsubscribe",
            "<https://news.example.com/u/x>, <mailto:news@example.com?subject=unsubscribe%20x>",
        ),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ),
    message_id=12,
)


@pytest.fixture
def sendgrid(tmp_path: Path) -> Iterator[FakeSendGrid]:
    """The fake; every request that it got was valid."""
    with FakeSendGrid(tmp_path / "ledger").running() as fake:
        yield fake
    assert fake.problems == []


def provider(fake: FakeSendGrid) -> SendGrid:
    """Ours, pointed at the fake."""
    return SendGrid(KEY, fake.url, TIMEOUT)


def test_202_is_accepted_with_the_providers_id(sendgrid: FakeSendGrid) -> None:
    answer = provider(sendgrid).send(MAIL)
    assert isinstance(answer, Accepted)
    assert str(answer.provider_id).startswith("sg-")
    assert sendgrid.sent == {"12": 1}


@pytest.mark.parametrize(("status", "stops"), [("400", False), ("401", True), ("403", True), ("413", False)])
def test_what_sendgrid_will_never_take_is_refused(sendgrid: FakeSendGrid, status: str, stops: bool) -> None:  # noqa: FBT001 - a case
    sendgrid.script = [status]
    answer = provider(sendgrid).send(MAIL)
    assert isinstance(answer, Refused)
    assert answer.stops is stops
    assert f"said {status}" in answer.text


def test_429_is_later_at_the_reset(sendgrid: FakeSendGrid) -> None:
    sendgrid.script = ["429"]
    assert provider(sendgrid).send(MAIL) == Later(datetime(2031, 1, 1, 2, 13, 20, tzinfo=UTC))


def test_429_with_a_senseless_reset_is_later_some_time(sendgrid: FakeSendGrid) -> None:
    sendgrid.script, sendgrid.reset = ["429"], "soon"
    assert provider(sendgrid).send(MAIL) == Later(None)


@pytest.mark.parametrize(
    "answer", ["500", "503", "404", "418", "hangs", "reset", "reset after", "cut", "500 after"]
)
def test_everything_else_is_unknown(sendgrid: FakeSendGrid, answer: str) -> None:
    sendgrid.script = [answer]
    assert isinstance(provider(sendgrid).send(MAIL), Unknown)


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
def test_a_redirect_is_unknown_and_not_followed(sendgrid: FakeSendGrid, status: str) -> None:
    sendgrid.script = [status]
    assert isinstance(provider(sendgrid).send(MAIL), Unknown)
    assert (sendgrid.elsewhere, len(sendgrid.mails)) == (0, 0)


def test_a_refused_connection_is_proof_that_nothing_left() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert isinstance(SendGrid(KEY, f"http://127.0.0.1:{port}", TIMEOUT).send(MAIL), NotSent)


def test_a_failed_handshake_is_proof_that_nothing_left(sendgrid: FakeSendGrid) -> None:
    assert isinstance(SendGrid(KEY, sendgrid.url.replace("http:", "https:"), TIMEOUT).send(MAIL), NotSent)


def test_proxies_of_the_environment_are_ignored(
    sendgrid: FakeSendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert isinstance(provider(sendgrid).send(MAIL), Accepted)


def test_nothing_is_logged_about_a_mail(sendgrid: FakeSendGrid, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        provider(sendgrid).send(MAIL)
    assert KEY not in caplog.text
    assert "ann@example.org" not in caplog.text


def test_both_forms_of_the_way_out_and_our_id_travel_with_the_mail(sendgrid: FakeSendGrid) -> None:
    provider(sendgrid).send(MAIL)
    (mail,) = sendgrid.mails
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["headers"]["Message-ID"] == "<12@example.com>"
    assert mail["personalizations"] == [
        {
            "to": [{"email": "ann@example.org", "name": "Ann Ott"}],
            "custom_args": {"leadnurture_message": "12"},
        }
    ]
    assert [part["type"] for part in mail["content"]] == ["text/plain", "text/html"]
    assert mail["tracking_settings"]["click_tracking"]["enable"] is False


def test_answers_may_go_to_two_addresses(sendgrid: FakeSendGrid) -> None:
    provider(sendgrid).send(MAIL)
    provider(sendgrid).send(replace(MAIL, reply_to=("nora@example.com", "reply+12-abc@in.example.com")))
    one, both = sendgrid.mails
    assert one["reply_to"] == {"email": "news@example.com"}
    assert both["reply_to_list"] == [{"email": "nora@example.com"}, {"email": "reply+12-abc@in.example.com"}]


@pytest.mark.parametrize("part", ["subject", "to", "to_name", "sender", "sender_name", "reply_to", "key"])
def test_a_line_break_never_gets_into_a_header(part: str) -> None:
    values = {name: getattr(MAIL, name) for name in MAIL.__slots__}
    broken = "a\r\nBcc: everybody@example.org"
    with pytest.raises(ValueError, match="line break"):
        Mail(**{**values, part: (broken,) if part == "reply_to" else broken})


def test_a_file_travels_as_sendgrid_takes_files(sendgrid: FakeSendGrid) -> None:
    """The fake asks the official schema of every request."""
    written = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    provider(sendgrid).send(replace(MAIL, attachments=(Attachment("invite.ics", "text/calendar", written),)))
    (file,) = sendgrid.mails[0]["attachments"]
    assert base64.b64decode(file.pop("content")) == written
    assert file == {"type": "text/calendar", "filename": "invite.ics", "disposition": "attachment"}


def test_a_mail_without_a_file_says_nothing_of_files(sendgrid: FakeSendGrid) -> None:
    provider(sendgrid).send(MAIL)
    assert "attachments" not in sendgrid.mails[0]

"""A mail server's answers, each classified: proof that it has a mail, proof that it has not, or neither."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from leadnurture.engine import settle_by_hand
from leadnurture.errors import InvalidInputError
from leadnurture.inbox import work_off
from leadnurture.links import Links
from leadnurture.mail import (
    Accepted,
    Later,
    Mail,
    NotSent,
    Refused,
    Unknown,
    deliver,
    inbound_reader,
    make_provider,
    receive_inbound,
)
from leadnurture.mail.provider import Attachment
from leadnurture.mail.smtp import Encryption, Server, Smtp
from leadnurture.settings import load_settings
from tests.fakes.smtp import PASSWORD, TIMEOUT, USER, FakeServer, authenticator, certificates
from tests.mail.letters import KEY, credentials, raw, report
from tests.mail.scene import MACHINE, NOW, Scene

MAIL = Mail(
    key="12",
    to="ann@example.org",
    to_name="Änn Ott",
    sender_name="Dana",
    sender="news@example.com",
    reply_to=("reply+12-abc@in.example.com",),
    bounces_to="reply+12-abc@in.example.com",
    subject="Größe",
    html="<p>Hello</p>",
    text="Hello\n.\n.hidden\n..two\nthe end",
    headers=(("List-Unsubscribe", "<https://news.example.com/u/x>"),),
    message_id=12,
)
LINKS = Links("a secret of the tests", "https://news.example.com", "reply@in.example.com")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().running() as fake:
        yield fake


def provider(fake: FakeServer, encryption: Encryption = "none") -> Smtp:
    return kept(Smtp(Server("127.0.0.1", fake.port, encryption), TIMEOUT, TIMEOUT))


opened: list[Smtp] = []


def kept(provider: Smtp) -> Smtp:
    """Its connections end with the test."""
    opened.append(provider)
    return provider


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def test_250_is_accepted_with_the_servers_own_words(server: FakeServer) -> None:
    assert provider(server).send(MAIL) == Accepted("OK: queued as Q1")
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("reply+12-abc@in.example.com", ["ann@example.org"])
    (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == ("Größe", "Änn Ott <ann@example.org>")
    assert mail["Message-ID"] == "<12@example.com>"
    text = mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == MAIL.text.splitlines()  # no dot is lost, none ends the mail


def test_a_file_arrives_as_it_was_attached(server: FakeServer) -> None:
    written = b"BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nEND:VCALENDAR\r\n"
    provider(server).send(replace(MAIL, attachments=(Attachment("invite.ics", "text/calendar", written),)))
    (file,) = server.mails[0].iter_attachments()
    assert (file.get_filename(), file.get_param("method")) == ("invite.ics", "CANCEL")
    assert file.get_payload(decode=True) == written


def test_the_sender_gets_the_reports_where_nothing_else_is_said(server: FakeServer) -> None:
    provider(server).send(replace(MAIL, bounces_to=""))
    assert server.envelopes[0].mail_from == "news@example.com"


def test_a_connection_is_kept_for_the_next_mail(server: FakeServer) -> None:
    ours = provider(server)
    server.script = ["", "550 rcpt", "451 data", ""]
    kinds = [type(ours.send(MAIL)) for _ in range(4)]
    assert kinds == [Accepted, Refused, Later, Accepted]
    assert len(server.sessions) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("450 rcpt", Later(text="the server answered 450 5.1.1 said 450 of <…>", is_alone=True)),
        ("550 rcpt", Refused("the server answered 550 5.1.1 said 550 of <…>", is_gone=True)),
        ("451 data", Later(text="the server answered 451 5.1.1 said 451 of <…>", is_alone=True)),
        ("554 data", Refused("the server answered 554 5.1.1 said 554 of <…>", is_gone=True)),
        ("421 rcpt", NotSent("the server answered 421 5.1.1 said 421 of <…>")),
        ("530 mail", NotSent("the server refuses our sender: 530 5.1.1 said 530 of <…>")),
        ("451 mail", NotSent("the server refuses our sender: 451 5.1.1 said 451 of <…>")),
        ("552 mail", Refused("the server answered 552 5.1.1 said 552 of <…>", is_gone=True)),
    ],
)
def test_an_answer_is_proof(server: FakeServer, said: str, answer: object) -> None:
    server.script = [said]
    ours = provider(server)
    assert ours.send(MAIL) == answer
    assert server.envelopes == []
    assert isinstance(ours.send(MAIL), Accepted)


@pytest.mark.parametrize("fault", ["hangs", "reset after"])
def test_silence_after_the_content_is_unknown(server: FakeServer, fault: str) -> None:
    server.script = [fault]
    ours = provider(server)
    assert isinstance(ours.send(MAIL), Unknown)
    assert len(server.envelopes) == 1
    assert isinstance(ours.send(replace(MAIL, key="13")), Accepted)


def test_a_reset_before_the_content_is_proof_that_nothing_left(server: FakeServer) -> None:
    server.script = ["reset before"]
    assert isinstance(provider(server).send(MAIL), NotSent)
    assert server.envelopes == []


def test_a_refused_connection_is_proof_that_nothing_left() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert isinstance(kept(Smtp(Server("127.0.0.1", port, "none"), TIMEOUT)).send(MAIL), NotSent)


def test_a_server_that_hung_up_meanwhile_is_called_again() -> None:
    fake = FakeServer()
    with fake.running():
        ours = provider(fake)
        assert isinstance(ours.send(MAIL), Accepted)
        port = fake.port
    assert isinstance(ours.send(MAIL), NotSent)
    with FakeServer().running() as other:
        moved = kept(Smtp(Server("127.0.0.1", other.port, "none"), TIMEOUT))
        assert isinstance(moved.send(MAIL), Accepted)
    assert port


def test_an_address_with_letters_that_smtp_does_not_know_is_refused(server: FakeServer) -> None:
    assert isinstance(provider(server).send(replace(MAIL, to="änn@example.org", to_name="")), Refused)
    assert isinstance(provider(server).send(MAIL), Accepted)


# Encryption and signing in


def test_starttls_and_a_password(tmp_path: Path) -> None:
    theirs, ours = certificates(tmp_path)
    with FakeServer().running(tls_context=theirs, authenticator=authenticator, auth_required=True) as fake:
        for password, kind in ((PASSWORD, Accepted), ("wrong", NotSent)):
            server = Server("localhost", fake.port, "starttls", USER, password)
            answer = kept(Smtp(server, TIMEOUT, TIMEOUT, ours)).send(MAIL)
            assert isinstance(answer, kind)
        assert isinstance(answer, NotSent)
        assert "LEADNURTURE_SMTP_PASSWORD" in answer.text


def test_a_certificate_that_nobody_signed_gets_no_mail(tmp_path: Path) -> None:
    theirs, _ = certificates(tmp_path)
    with FakeServer().running(tls_context=theirs) as fake:
        answer = kept(Smtp(Server("localhost", fake.port, "starttls"), TIMEOUT, TIMEOUT)).send(MAIL)
        assert isinstance(answer, NotSent)
        assert fake.envelopes == []


def test_without_starttls_no_mail_leaves_in_the_clear(server: FakeServer) -> None:
    answer = provider(server, "starttls").send(MAIL)
    assert isinstance(answer, NotSent)
    assert "LEADNURTURE_SMTP_TLS" in answer.text
    assert server.envelopes == []


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    theirs, ours = certificates(tmp_path)
    with FakeServer().running(ssl_context=theirs) as fake:
        server = Server("localhost", fake.port, "tls")
        assert isinstance(kept(Smtp(server, TIMEOUT, TIMEOUT, ours)).send(MAIL), Accepted)


def test_nothing_is_logged_about_a_mail(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    server.script = ["550 rcpt"]
    with caplog.at_level(logging.DEBUG, "leadnurture"):
        provider(server).send(MAIL)
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the fake's own
    assert "ann@example.org" not in "\n".join(ours)


def test_the_settings_name_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FakeServer
) -> None:
    values = {"PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_TLS": "none"}
    for name, value in values.items():
        monkeypatch.setenv(f"LEADNURTURE_{name}", value)
    ours = make_provider(load_settings(tmp_path))
    assert isinstance(ours, Smtp)
    assert isinstance(kept(ours).send(MAIL), Accepted)


# Sent by a program


def test_what_a_server_does_not_want_now_rests_alone(scene: Scene, server: FakeServer) -> None:
    ids = [scene.message(scene.lead(number)) for number in range(3)]
    server.script = ["", "450 rcpt", ""]
    done = deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE, parallel=1)
    assert (done.sent, done.again, done.ready_at) == (2, 1, None)
    deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE + timedelta(minutes=1))
    assert [scene.row("message", one).status for one in ids] == ["sent", "planned", "sent"]
    deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE + timedelta(minutes=10))
    assert [scene.row("message", one).status for one in ids] == ["sent", "sent", "sent"]


def test_an_address_that_is_gone_is_suppressed_at_once(scene: Scene, server: FakeServer) -> None:
    gone = scene.message(scene.lead(1))
    server.script = ["550 rcpt"]
    done = deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE)
    assert (done.sent, done.failed) == (0, 1)
    assert scene.row("message", gone).status == "bounced"
    assert [(row.email_key, row.reason) for row in scene.rows("suppression")] == [
        ("lead1@example.org", "bounced")
    ]


def test_an_unknown_one_is_settled_by_a_person_who_knows(scene: Scene) -> None:
    ids = [scene.message(scene.lead(number), status="unknown", attempt=1) for number in range(2)]
    for message_id, outcome in zip(ids, ("sent", "failed"), strict=True):
        settle_by_hand(scene.database, message_id, outcome, "dana", NOW)  # type: ignore[arg-type] # one of both
    assert [scene.row("message", one).status for one in ids] == ["sent", "failed"]
    assert [(row.actor, row.subject, row.detail) for row in scene.rows("audit")] == [
        ("dana", f"message {ids[0]}", "sent"),
        ("dana", f"message {ids[1]}", "failed"),
    ]
    with pytest.raises(InvalidInputError, match="only an unknown one"):
        settle_by_hand(scene.database, ids[0], "failed", "dana", NOW)


def test_an_unknown_one_is_never_sent_again_and_settled_by_a_report(scene: Scene, server: FakeServer) -> None:
    lost = scene.message(scene.lead(1))
    server.script = ["hangs"]
    deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE)
    assert scene.row("message", lost).status == "unknown"
    deliver(scene.database, provider(server), LINKS, NOW, machine_now=MACHINE + timedelta(days=1))
    assert len(server.envelopes) == 1

    # Servers report to where the mail said that it came from.
    to = str(server.envelopes[0].mail_from)
    told = raw(report(action="delivered", status="2.0.0", original="<lost@mx>"), envelope_from="", to=to)
    receive_inbound(scene.database, told, credentials(), KEY, NOW)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, NOW, lambda: MACHINE)
    assert scene.row("message", lost).status == "delivered"

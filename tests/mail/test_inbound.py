"""Mails that come in: whose they are, whether a person wrote them, and what they settle."""

import codecs
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadnurture.errors import NotSignedError
from leadnurture.inbox import work_off
from leadnurture.links import Links
from leadnurture.mail import deliver, inbound_reader, receive_inbound
from leadnurture.mail.automatic import why_automatic
from leadnurture.mail.incoming import incoming_of
from tests.mail.letters import (
    AUTOMATIC,
    CONTENT_TYPE,
    KEY,
    PERSONAL,
    credentials,
    form,
    letter,
    raw,
    report,
    taken_apart,
)
from tests.mail.providers import Kept
from tests.mail.scene import MACHINE, NOW, Scene

LINKS = Links("a secret of the tests", "https://news.example.com", "reply@in.example.com")
MEGABYTE = 1024 * 1024


def receive(scene: Scene, post: bytes, at: datetime = MACHINE) -> str:
    """Takes a post, reads it, and says what became of its mail."""
    receive_inbound(scene.database, post, credentials(), KEY, NOW)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, NOW, lambda: at)
    items = scene.rows("inbox_item")
    return str(items[-1].outcome) if items else ""


def sent(scene: Scene, number: int = 1, status: str = "sent", **values: Any) -> int:  # noqa: ANN401 - columns
    """A message that left an hour ago."""
    left = NOW - timedelta(hours=1)
    return scene.message(scene.lead(number), status=status, attempt=1, attempt_at=left, **values)


def address_of(message_id: int) -> str:
    address = LINKS.answer_address(message_id)
    assert address is not None
    return address


# Whose it is


def test_an_answer_is_known_by_its_signed_address(scene: Scene) -> None:
    mine = sent(scene, status="unknown")
    sent(scene, 2)
    address = address_of(mine)
    # On its way it got capitals, and somebody else answers.
    post = raw(
        letter(to=f"Dana <{address.upper()}>", **{"from": "assistant@example.org"}), to="x@example.net"
    )
    assert receive(scene, post) == "recorded"
    (reaction,) = scene.rows("reaction")
    assert (reaction.kind, reaction.message_id, reaction.source) == ("replied", mine, "inbound")
    assert reaction.at == datetime(2026, 12, 8, 8, 30, tzinfo=UTC)
    (reply,) = scene.rows("reply")
    assert (reply.matched_by, reply.message_id, reply.sender) == ("token", mine, "assistant@example.org")
    assert scene.row("message", mine).status == "delivered"  # who answers has got it


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Fri, 08 Dec 2028 09:30:00 +0100", NOW),
        ("Tue, 08 Dec 2026 09:30:00 -1200", NOW),
        ("Mon, 01 Jan 2001 00:00:00 +0000", datetime(2001, 1, 1, tzinfo=UTC)),
        (None, NOW),
        ("soon", NOW),
    ],
)
def test_nobody_writes_after_his_mail_came_in(scene: Scene, date: str | None, at: datetime) -> None:
    sent(scene)
    receive_inbound(scene.database, raw(letter(date=date)), credentials(), KEY, NOW)
    later = NOW + timedelta(hours=3)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, later, lambda: MACHINE)
    (reaction,) = scene.rows("reaction")
    assert (reaction.at, reaction.recorded_at) == (at, later)
    assert scene.rows("reply")[0].at == NOW


def test_else_by_the_mail_that_it_answers(scene: Scene) -> None:
    first, second = sent(scene, 1), sent(scene, 2)
    mail = letter(
        in_reply_to="<unknown@example.net>",
        references=f"<{second}@example.com> <{first}@example.com>",
        **{"from": "assistant@example.org"},
    )
    assert receive(scene, raw(mail)) == "recorded"
    (reply,) = scene.rows("reply")
    assert (reply.matched_by, reply.message_id) == ("reference", first)


def test_else_by_who_wrote_it(scene: Scene) -> None:
    sent(scene)
    assert receive(scene, raw(letter(**{"from": '"Ott, Ann" <LEAD1@example.org>'}))) == "recorded"
    (reply,) = scene.rows("reply")
    assert (reply.matched_by, reply.message_id, reply.text) == ("address", None, "Yes, please call me.")


@pytest.mark.parametrize(
    "post",
    [
        raw(letter(**{"from": "nobody@example.net"})),
        raw(letter(in_reply_to="<1@example.net>", **{"from": "nobody@example.net"})),  # not our domain
        raw(letter(to="reply+1-aaaaaaaaaaaaaaaa@in.example.com", **{"from": "x@example.net"})),  # forged
    ],
)
def test_what_is_nobodys_is_kept_and_counted(scene: Scene, post: bytes) -> None:
    sent(scene)
    assert receive(scene, post) == "not ours"
    assert (scene.rows("reaction"), scene.rows("reply")) == ([], [])
    assert [row.body for row in scene.rows("inbox")] == [post]


def test_a_mail_that_was_never_sent_cannot_be_answered(scene: Scene) -> None:
    planned = scene.message(scene.lead(1))
    receive(scene, raw(letter(in_reply_to=f"<{planned}@example.com>", **{"from": "x@example.net"})))
    assert scene.row("message", planned).status == "planned"


def test_an_answer_to_a_mail_that_is_not_known_yet_waits_for_it(scene: Scene) -> None:
    lead = scene.lead(1)
    coming = scene.message(lead) + 1
    assert receive(scene, raw(letter(), to=address_of(coming))) == "waiting"
    assert scene.message(lead, program="care", step="note", status="sent", attempt=1) == coming
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, NOW, lambda: MACHINE + timedelta(hours=1))
    assert [row.outcome for row in scene.rows("inbox_item")] == ["recorded"]
    assert [row.message_id for row in scene.rows("reply")] == [coming]


def test_the_same_mail_counts_once_however_often_it_is_handed_over(scene: Scene) -> None:
    mine = sent(scene)
    one, again = raw(letter(), to=address_of(mine)), raw(letter(), to=address_of(mine), envelope_from="a@b.c")
    assert [receive(scene, post) for post in (one, one, again)] == ["recorded"] * 3
    assert [len(scene.rows(table)) for table in ("inbox", "inbox_item", "reaction", "reply")] == [2, 1, 1, 1]


def test_a_mail_server_of_our_own_posts_the_mail_alone(scene: Scene) -> None:
    mine = sent(scene)
    headers = credentials() | {"content-type": "message/rfc822"}
    receive_inbound(scene.database, letter(to=address_of(mine)), headers, KEY, NOW)
    receive_inbound(scene.database, report(original=f"<{mine}@example.com>"), headers, KEY, NOW)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, NOW, lambda: MACHINE)
    assert [row.outcome for row in scene.rows("inbox_item")] == ["recorded", "report"]
    assert scene.row("message", mine).status == "bounced"


# People and machines


@pytest.mark.parametrize("name", AUTOMATIC)
def test_what_a_machine_wrote_is_no_reaction(scene: Scene, name: str) -> None:
    mine = sent(scene)
    post = raw(AUTOMATIC[name], to=address_of(mine))
    assert receive(scene, post) == "automatic"
    assert (scene.rows("reaction"), scene.rows("reply")) == ([], [])
    assert scene.rows("inbox_item")[0].kind


def test_the_corpus_of_machines_is_large_enough() -> None:
    reasons = {why_automatic(incoming_of(raw(mail), CONTENT_TYPE)) for mail in AUTOMATIC.values()}
    assert len(AUTOMATIC) >= 15
    assert len(reasons) >= 12


def test_an_empty_envelope_sender_is_a_machine(scene: Scene) -> None:
    mine = sent(scene)
    assert receive(scene, raw(letter(), envelope_from="", to=address_of(mine))) == "automatic"


@pytest.mark.parametrize("name", PERSONAL)
def test_what_a_person_wrote_is_one(scene: Scene, name: str) -> None:
    mine = sent(scene)
    assert receive(scene, raw(PERSONAL[name], to=address_of(mine))) == "recorded"
    assert [row.kind for row in scene.rows("reaction")] == ["replied"]


# Delivery reports


@pytest.mark.parametrize(
    ("action", "status", "fate", "kinds"),
    [
        ("failed", "5.1.1", "bounced", ["bounced"]),
        ("failed", "5.2.2", "deferred", []),
        ("failed", "5.7.1", "deferred", []),
        ("delayed", "4.4.7", "deferred", []),
        ("delivered", "2.0.0", "delivered", ["delivered"]),
        ("relayed", "2.0.0", "sent", []),
    ],
)
@pytest.mark.parametrize("by", ["address", "header id", "whole mail", "taken apart"])
def test_a_report_settles_the_mail_that_it_names(
    scene: Scene, action: str, status: str, fate: str, kinds: list[str], by: str
) -> None:
    mine = sent(scene, status="unknown")
    original = "<lost@mx>" if by == "address" else f"<{mine}@example.com>"
    told = report(action=action, status=status, original=original, whole=by == "whole mail")
    if by == "taken apart":
        status_part = told.split(b"delivery-status\r\n\r\n")[1].split(b"\r\n--R")[0]
        inner = told.split(b"rfc822-headers\r\n\r\n")[1].split(b"\r\n--R")[0]
        parts: Any = {
            "attachment1": ("message/delivery-status", status_part),
            "attachment2": ("text/rfc822-headers", inner),
        }
        post = taken_apart(told, b"I'm sorry", **parts)
    else:
        post = raw(told, envelope_from="", to=address_of(mine) if by == "address" else "news@example.com")
    assert receive(scene, post) == "report"
    message = scene.row("message", mine)
    assert message.status == fate
    assert status in message.trouble
    assert [row.kind for row in scene.rows("reaction")] == kinds
    assert len(scene.rows("suppression")) == (fate == "bounced")
    assert scene.rows("reply") == []


def test_a_report_about_somebody_elses_mail_settles_nothing(scene: Scene) -> None:
    mine = sent(scene)
    told = report(original=f"<{mine}@example.com>", address="another@example.org")
    assert receive(scene, raw(told)) == "not ours"
    assert scene.row("message", mine).status == "sent"
    assert scene.rows("suppression") == []


# What a mail program offers


def test_the_mail_of_the_list_unsubscribe_header_is_honoured(scene: Scene) -> None:
    message_id = scene.message(scene.lead(1))
    provider = Kept()
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    (mail,) = provider.mails
    found = re.search(r"mailto:([^?]+)\?subject=([^>]+)>", dict(mail.headers)["List-Unsubscribe"])
    assert found
    assert (found[1], mail.reply_to) == (address_of(message_id), (address_of(message_id),))
    wish = letter("", subject=found[2].replace("%20", " "), auto_submitted="auto-generated")
    assert receive(scene, raw(wish, to=found[1])) == "recorded"
    assert [row.kind for row in scene.rows("reaction")] == ["unsubscribed"]
    assert [row.reason for row in scene.rows("suppression")] == ["unsubscribed"]


def test_an_account_manager_gets_the_answers_to_his_mails_too(scene: Scene) -> None:
    account = scene.insert("account", name="Alpha", name_key="alpha", owner="nora", created_at=NOW)
    mine = scene.message(scene.lead(1, track="clients", account_id=account), program="care", step="note")
    provider = Kept()
    deliver(scene.database, provider, LINKS, NOW, machine_now=MACHINE)
    assert provider.mails[0].reply_to == ("nora@example.com", address_of(mine))


# Odd and large


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-16", "x-unknown", "UTF-8"])
def test_odd_charsets_are_read(scene: Scene, charset: str) -> None:
    mine = sent(scene)
    known = "koi8-r" if charset == "x-unknown" else charset
    text = "Позвоните мне, пожалуйста".encode(codecs.lookup(known).name)
    post = taken_apart(letter(), text, charset, to=address_of(mine))
    assert receive(scene, post) == "recorded"
    (reply,) = scene.rows("reply")
    assert ("Позвоните" in reply.text) is (charset != "x-unknown")
    assert reply.text
    assert scene.rows("inbox")[0].body == post


def test_koi8_in_a_whole_mail_is_read(scene: Scene) -> None:
    mine = sent(scene)
    head = letter("", content_type="text/plain; charset=koi8-r", subject="=?koi8-r?B?8NLJ18XU?=")
    assert receive(scene, raw(head + "Позвоните".encode("koi8-r"), to=address_of(mine))) == "recorded"
    (reply,) = scene.rows("reply")
    assert (reply.subject, reply.text) == ("Привет", "Позвоните")


@pytest.mark.slow
@pytest.mark.parametrize("is_raw", [True, False])
def test_a_mail_of_25_megabytes_with_an_html_part_of_5_is_stored_and_read(
    scene: Scene,
    is_raw: bool,  # noqa: FBT001 - a case
) -> None:
    mine = sent(scene)
    html = b"<p>Call me, please.</p>" + b"<p>" + b"x" * 70 + b"</p>\r\n" * 1 + b"<div>y</div>\r\n" * 400_000
    file = b"A" * 76 + b"\r\n"
    attached = file * (19 * MEGABYTE // len(file))
    if is_raw:
        head = letter("", content_type="multipart/mixed; boundary=B")
        mail = (
            head
            + b"--B\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
            + html
            + b"\r\n--B\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
            + b"Content-Disposition: attachment; filename=a.pdf\r\n\r\n"
            + attached
            + b"\r\n--B--\r\n"
        )
        post = raw(mail, to=address_of(mine))
    else:
        more: Any = {"html": html, "attachment1": ("application/pdf", attached)}
        post = taken_apart(letter(), b"", to=address_of(mine), **more)
    assert len(html) > 5 * MEGABYTE
    assert len(post) > 24 * MEGABYTE
    assert receive(scene, post) == "recorded"
    assert scene.rows("inbox")[0].body == post
    assert scene.rows("reply")[0].text.startswith("Call me, please.")


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\x00\xff\xfe",
        b"no header at all",
        letter(subject="=?koi8-r?B?broken", date="yesterday", message_id="no brackets"),
        letter(subject="=?x-nothing?Q?a?=", date="Tue, 99 Dec 2026 99:99:99 +9999"),
        letter(content_type="multipart/mixed; boundary=", **{"from": '"unclosed <lead1@example.org'}),
        letter("a\x00b", content_type="text/plain; charset=utf-7"),
        letter(content_type="multipart/report; boundary=R"),
        letter(
            "--R\r\nContent-Type: message/delivery-status\r\n\r\n\r\n",
            content_type="multipart/report; boundary=R",
        ),
        b"From: \xff@\xff\r\nSubject: \xd0\xcf\r\nIn-Reply-To: <<>>\r\n\r\n" + b"\x80" * 100,
        letter("<html" * 2000, content_type="text/html"),
    ],
)
def test_whatever_is_odd_in_a_mail_it_is_kept_and_stops_nothing(scene: Scene, mail: bytes) -> None:
    mine = sent(scene)
    receive(scene, raw(mail, to=address_of(mine)))
    assert [row.status for row in scene.rows("inbox")] == ["done"]
    assert len(scene.rows("inbox_item")) == 1
    assert receive(scene, raw(letter(message_id="<2@x>"), to=address_of(mine)))
    assert [row.status for row in scene.rows("inbox")] == ["done", "done"]


@pytest.mark.parametrize(
    ("post", "content_type"),
    [
        (b"{}", "application/json"),
        (b"no form", CONTENT_TYPE),
        (form({"subject": "alone"}), CONTENT_TYPE),
        (raw(letter())[:50], CONTENT_TYPE),
        (raw(letter()), "multipart/form-data"),
    ],
)
def test_what_is_no_form_is_kept_with_the_reason(scene: Scene, post: bytes, content_type: str) -> None:
    receive_inbound(scene.database, post, credentials() | {"content-type": content_type}, KEY, NOW)
    work_off(scene.database, {"inbound": inbound_reader(LINKS)}, NOW, lambda: MACHINE)
    (row,) = scene.rows("inbox")
    assert (row.status, row.body) == ("unusable", post)
    assert "form" in row.trouble.lower()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        credentials("wrong"),
        {"authorization": "Basic"},
        {"authorization": "Basic ☃"},
        {"authorization": f"Bearer {KEY}"},
    ],
)
def test_without_the_password_nothing_is_kept(scene: Scene, headers: dict[str, str]) -> None:
    with pytest.raises(NotSignedError, match="LEADNURTURE_INBOUND_KEY"):
        receive_inbound(scene.database, raw(letter()), headers, KEY, NOW)
    with pytest.raises(NotSignedError, match="is not set"):
        receive_inbound(scene.database, raw(letter()), credentials(), None, NOW)
    assert scene.rows("inbox") == []


def test_statements_tell_no_secret(scene: Scene) -> None:
    """The post is kept with its content type alone: the password is none of the inbox's business."""
    receive(scene, raw(letter()))
    (row,) = scene.rows("inbox")
    assert json.loads(row.about) == {"content_type": CONTENT_TYPE}

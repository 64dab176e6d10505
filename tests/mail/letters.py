"""Mails as people and machines write them, and the posts in which SendGrid hands them over."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

BOUNDARY = "xYzZY"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
KEY = "the-password-of-the-webhook"


def credentials(password: str = KEY) -> dict[str, str]:
    """The headers of a post of the provider."""
    shown = b64encode(b"inbound:" + password.encode()).decode()
    return {"authorization": f"Basic {shown}", "content-type": CONTENT_TYPE}


def form(fields: Mapping[str, bytes | str | tuple[str, bytes]]) -> bytes:
    """A form; a field may be (content type, content) for a file."""
    parts = []
    for name, value in fields.items():
        kind, content = value if isinstance(value, tuple) else ("", value)
        head = f'Content-Disposition: form-data; name="{name}"'
        if kind:
            head += f'; filename="{name}"\r\nContent-Type: {kind}'
        body = content.encode() if isinstance(content, str) else content
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def letter(text: str = "Yes, please call me.", **headers: Any) -> bytes:  # noqa: ANN401 - names and values
    """A mail of Ann; `in_reply_to="<1@x>"` and the like are headers, None leaves one out."""
    known: dict[str, Any] = {
        "from": "Ann Ott <lead1@example.org>",
        "to": "news@example.com",
        "subject": "Re: A guide for Ann",
        "date": "Tue, 08 Dec 2026 09:30:00 +0100",
        "message_id": "<reply-1@example.org>",
        "content_type": "text/plain; charset=utf-8",
    }
    lines = [
        f"{name.replace('_', '-').title()}: {value}"
        for name, value in {**known, **headers}.items()
        if value is not None
    ]
    return "\r\n".join([*lines, "", text]).encode()


def raw(mail: bytes, *, envelope_from: str = "lead1@example.org", to: str = "news@example.com") -> bytes:
    """The post of a mail as it is, for whoever ticks *raw*."""
    envelope = json.dumps({"to": [to], "from": envelope_from})
    return form({"email": mail, "envelope": envelope, "to": to, "SPF": "pass"})


def taken_apart(
    mail: bytes, text: bytes, charset: str = "UTF-8", to: str = "news@example.com", **more: bytes
) -> bytes:
    """The post of a mail that SendGrid has taken apart."""
    head = mail.partition(b"\r\n\r\n")[0]
    envelope = json.dumps({"to": [to], "from": "lead1@example.org"})
    charsets = json.dumps({"to": "UTF-8", "text": charset, "html": charset, "subject": "UTF-8"})
    return form({"headers": head, "text": text, "envelope": envelope, "charsets": charsets, **more})


def report(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    address: str = "lead1@example.org",
    original: str = "<1@example.com>",
    to: str = "news@example.com",
    whole: bool = False,
) -> bytes:
    """A delivery report as Postfix writes it."""
    inner = "message/rfc822" if whole else "text/rfc822-headers"
    return (
        "From: MAILER-DAEMON@mx.example.org\r\n"
        f"To: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        f"Message-ID: <dsn-{action}-{status}@mx>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=R\r\n\r\n"
        "--R\r\nContent-Type: text/plain\r\n\r\nI'm sorry to have to inform you …\r\n"
        "--R\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.org\r\nArrival-Date: Tue, 8 Dec 2026 09:00:00 +0100\r\n\r\n"
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n"
        f"--R\r\nContent-Type: {inner}\r\n\r\n"
        f"From: news@example.com\r\nTo: {address}\r\nMessage-ID: {original}\r\nSubject: A guide\r\n\r\n"
        "--R--\r\n"
    ).encode()


AUTOMATIC: dict[str, bytes] = {
    "rfc 3834": letter(auto_submitted="auto-replied"),
    "generated": letter(auto_submitted="auto-generated; type=ticket"),
    "exchange": letter(subject="Automatic reply: A guide for Ann", x_auto_response_suppress="All"),
    "exchange, german": letter(subject="Automatische Antwort: Ein Leitfaden"),
    "outlook, french": letter(subject="Réponse automatique : Un guide".encode().decode()),
    "spanish": letter(subject="=?utf-8?q?Respuesta_autom=C3=A1tica=3A_Una_gu=C3=ADa?="),
    "italian": letter(subject="Risposta automatica: Una guida"),
    "dutch": letter(subject="Automatisch antwoord: Een gids"),
    "swedish": letter(subject="=?utf-8?q?Fr=C3=A5nvaro=3A_En_guide?="),
    "polish": letter(subject="=?utf-8?q?Odpowied=C5=BA_automatyczna=3A_Przewodnik?="),
    "russian": letter(subject="=?koi8-r?B?4dfUz8/U18XU?="),
    "japanese": letter(subject="=?utf-8?b?6Ieq5YuV6L+U5L+hOiBB?="),
    "out of office": letter(subject="Out of the office until Monday"),
    "german absence": letter(subject="Abwesenheitsnotiz"),
    "vacation(1)": letter(subject="away from my mail", precedence="bulk"),
    "list": letter(precedence="list", list_id="<staff.example.org>"),
    "autoreply header": letter(x_autoreply="yes"),
    "autorespond header": letter(x_autorespond="A guide for Ann"),
    "precedence auto_reply": letter(x_precedence="auto_reply"),
    "empty return path": letter(return_path="<>"),
    "mailer daemon": letter(**{"from": "MAILER-DAEMON@mx.example.org"}),
    "no reply": letter(**{"from": "no-reply@tickets.example.org"}, subject="[Ticket#2026120810] received"),
    "unmarked absence": letter(
        "Hello,\r\n\r\nI am out of the office until 4 January, with no access to mail.\r\n\r\nAnn",
        subject="Re: A guide for Ann",
    ),
    "unmarked absence, german": letter(
        "Guten Tag,\r\n\r\nich bin bis zum 4. Januar nicht im Büro. In dringenden Fällen …",
        subject="AW: Ein Leitfaden",
    ),
    "no longer there": letter(
        "Ann Ott is no longer with the company. Please write to info@example.org.", subject="Re: A guide"
    ),
    "read receipt": letter(
        "--R\r\nContent-Type: text/plain\r\n\r\nYour message was read.\r\n--R--\r\n",
        subject="Read: A guide for Ann",
        content_type="multipart/report; report-type=disposition-notification; boundary=R",
    ),
}
PERSONAL: dict[str, bytes] = {
    "plain": letter(),
    "no, says the header": letter(auto_submitted="no"),
    "german": letter("Rufen Sie mich bitte an.", subject="AW: Ein Leitfaden"),
    "about an absence": letter(
        "Sounds good. Next week I am away, call me the week after.", subject="Re: A guide"
    ),
    "an absence far below": letter(
        "Thank you, that is what we looked for. Could you call me on Thursday at ten? My colleague Ben "
        "should join us, and he has many questions about the price.\r\n\r\nI am out of the office on Friday.",
    ),
    "asks about automation": letter("How automatic is it?", subject="Re: Automatic failover, a guide"),
    "ordered": letter(precedence="normal", x_loop="no"),
    "urgent": letter(importance="high", x_priority="1"),
    "phone": letter("Call me\r\n\r\nSent from my phone", subject="Re: A guide"),
    "quoting": letter("Yes\r\n\r\nOn Tue, Dana wrote:\r\n> I am out of the office", subject="Re: A guide"),
}

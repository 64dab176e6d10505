"""Mails that come in by SendGrid's Inbound Parse: replies, absences, delivery reports, farewells.

One idea to hold: who wrote is believed only so far as a signed address goes. Anybody can write in anybody's
name, so a reply may stop mails and call a person, and a report may settle the mail that it names; no more.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

from sqlalchemy import Connection, text

from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import (
    EMAIL,
    NewReaction,
    NewReply,
    Settled,
    current_definitions,
    keep_reply,
    leads_by_key,
    lock_lead,
    lock_leads,
    record_in,
    settle_messages,
)
from leadnurture.errors import NotSignedError
from leadnurture.inbox import Item, Kept, Post, Read, Reader, keep, keep_items
from leadnurture.links import Links
from leadnurture.mail.automatic import why_automatic
from leadnurture.mail.delivery_reports import Report, reports_in
from leadnurture.mail.incoming import Incoming, incoming_of
from leadnurture.store import Database, LostRaceError

SOURCE: Final = "inbound"
OUR_ID: Final = re.compile(r"([0-9]{1,18})@(.+)")
UNSUBSCRIBE: Final = re.compile(r"\s*unsubscribe\s+(\S+)", re.IGNORECASE)


def receive_inbound(
    database: Database, body: bytes, headers: Mapping[str, str], key: str | None, now: datetime
) -> Kept:
    """Keeps a post; what is answered is committed, and read afterwards.

    NotSignedError without the password.
    """
    if not key:
        raise NotSignedError(
            "LEADNURTURE_INBOUND_KEY is not set; set it, and write it into the webhook's address."
        )
    if not hmac.compare_digest(_password(headers.get("authorization", "")), key.encode()):
        raise NotSignedError(
            "The password does not fit; let the webhook's address be https://inbound:PASSWORD@… with the one "
            "that LEADNURTURE_INBOUND_KEY holds."
        )
    about = {"content_type": headers.get("content-type", "")}
    return keep(database, SOURCE, body, now, about=about, key=hashlib.sha256(body).hexdigest())


def _password(authorization: str) -> bytes:
    scheme, _, shown = authorization.partition(" ")
    try:
        decoded = base64.b64decode(shown, validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""
    return decoded.partition(b":")[2]


def inbound_reader(links: Links) -> Reader:
    """Reads mails that came in; `links` knows the addresses at which answers to our mails arrive."""

    def read(database: Database, post: Post, now: datetime, is_last: bool) -> Read:  # noqa: FBT001 - a Reader
        mail = incoming_of(post.body, post.about.get("content_type", ""))
        return database.run(
            functools.partial(_record, post=post, mail=mail, links=links, now=now, is_last=is_last)
        )

    return read


class _Message(NamedTuple):
    """The message that a mail is about, and its lead."""

    id: int | None
    lead_id: int
    matched_by: Literal["token", "reference", "address"]


def _record(
    connection: Connection, *, post: Post, mail: Incoming, links: Links, now: datetime, is_last: bool
) -> Read:
    """Keeps a mail as an item and writes what it means."""
    key = mail.header_id or hashlib.sha256(post.body).hexdigest()
    reports = reports_in(mail)
    leaving = UNSUBSCRIBE.match(mail.subject)
    gone = links.read_unsubscribe(unquote(leaving[1])) if leaving else None
    if gone is not None:
        return _react(connection, post, Item(0, key, "unsubscribe", gone.message_id), gone.lead_id, now)
    answered = _answered(links, mail)
    if reports:
        return _report(connection, post, mail, key, answered, reports, now)
    if why := why_automatic(mail):
        keep_items(connection, post, [Item(0, key, why[:200], answered, "automatic")])
        return Read(items=1, not_understood=1)
    if answered is not None and _lead_of(connection, answered) is None:
        keep_items(connection, post, [Item(0, key, "reply", answered, "not ours" if is_last else "waiting")])
        return Read(items=1, not_ours=is_last, waiting=not is_last)
    message = _matched(connection, mail, answered)
    if message is None:
        keep_items(connection, post, [Item(0, key, "reply", None, "not ours")])
        return Read(items=1, not_ours=1)
    return _reply(connection, post, mail, key, answered, message, now)


# --- what it is about ----------------------------------------------------------------------------------


def _answered(links: Links, mail: Incoming) -> int | None:
    """The message whose signed address this was sent to."""
    found = (links.read_answer_address(address) for address in mail.recipients)
    return next((one for one in found if one is not None), None)


def _lead_of(connection: Connection, message_id: int) -> int | None:
    row = connection.execute(_LEAD_OF, {"id": message_id}).first()
    return None if row is None else int(row.lead_id)


_LEAD_OF: Final = text("SELECT lead_id FROM message WHERE id = :id AND attempt > 0")


def _matched(connection: Connection, mail: Incoming, answered: int | None) -> _Message | None:
    """By the signed address, else by what it answers, else by who wrote it."""
    if answered is not None and (lead_id := _lead_of(connection, answered)) is not None:
        return _Message(answered, lead_id, "token")
    for message_id in _referred(connection, mail.references):
        if (lead_id := _lead_of(connection, message_id)) is not None:
            return _Message(message_id, lead_id, "reference")
    sender = mail.sender.casefold()
    lead_id = leads_by_key(connection, EMAIL, [sender]).get(sender)
    return None if lead_id is None else _Message(None, lead_id, "address")


def _referred(connection: Connection, header_ids: Sequence[str]) -> list[int]:
    """The messages of these Message-IDs, as far as they are of our making."""
    company = current_definitions(connection).company
    addresses = (company.sender_address, *(person.email for person in company.people))
    domains = {address.rpartition("@")[2].lower() for address in addresses}
    found = (OUR_ID.fullmatch(one) for one in header_ids)
    return [int(one[1]) for one in found if one and one[2].lower() in domains]


# --- what follows from it ------------------------------------------------------------------------------


def _reply(
    connection: Connection,
    post: Post,
    mail: Incoming,
    key: str,
    answered: int | None,
    message: _Message,
    now: datetime,
) -> Read:
    """A person wrote: it counts, it proves that the mail arrived, and nothing leaves until it is sorted."""
    lock_leads(connection, [message.lead_id])
    if _matched(connection, mail, answered) != message:  # one lead became two again while we waited
        raise LostRaceError
    if not keep_items(connection, post, [Item(0, key, "reply", message.id)]):
        return Read(items=1, repeated=1)
    lead_id = message.lead_id if message.id is None else None
    reaction = NewReaction(
        "replied", key, SOURCE, _written_at(post, mail), lead_id=lead_id, message_id=message.id
    )
    recorded = record_in(connection, [reaction], now)
    if message.id is not None:
        settle_messages(connection, [Settled(message.id, "delivered")], now)
    reply = NewReply(
        post.id,
        message.lead_id,
        message.id,
        message.matched_by,
        post.received_at,
        mail.sender,
        mail.subject,
        mail.text,
    )
    keep_reply(connection, reply, now)
    return Read(items=1, recorded=recorded.recorded)


def _written_at(post: Post, mail: Incoming) -> datetime:
    """As the mail says, but not after it came in."""
    return min(mail.at or post.received_at, post.received_at)


def _react(connection: Connection, post: Post, item: Item, lead_id: int, now: datetime) -> Read:
    """He wants no more mail, and said so as his mail program offers it."""
    lock_lead(connection, lead_id)
    if not keep_items(connection, post, [item]):
        return Read(items=1, repeated=1)
    reaction = NewReaction("unsubscribed", item.key, SOURCE, lead_id=lead_id, message_id=item.message_id)
    return Read(items=1, recorded=record_in(connection, [reaction], now).recorded)


def _report(
    connection: Connection,
    post: Post,
    mail: Incoming,
    key: str,
    answered: int | None,
    reports: Sequence[Report],
    now: datetime,
) -> Read:
    """A server says what became of a mail: of the one whose signed address it wrote to, or that it names
    together with its addressee.
    """
    found = _reported(connection, mail, answered, reports)
    message_id, report = found or (None, reports[0])
    item = Item(0, key, f"report: {report.fate}", message_id, "not ours" if message_id is None else "report")
    own = keep_items(connection, post, [item])
    if message_id is None or not own:
        return Read(items=1, not_ours=message_id is None, repeated=not own)
    kinds: dict[str, ReactionKind] = {"bounced": "bounced", "delivered": "delivered"}
    reactions = [
        NewReaction(kind, key, SOURCE, _written_at(post, mail), message_id=message_id)
        for fate, kind in kinds.items()
        if fate == report.fate
    ]
    # First with what the server said; what the reaction proves of the mail adds nothing to it.
    settle_messages(connection, [Settled(message_id, report.fate, trouble=report.said)], now)
    return Read(items=1, recorded=record_in(connection, reactions, now).recorded)


def _reported(
    connection: Connection, mail: Incoming, answered: int | None, reports: Sequence[Report]
) -> tuple[int, Report] | None:
    if answered is not None and _lead_of(connection, answered) is not None:
        return answered, reports[0]
    for message_id in _referred(connection, (*mail.reported, *mail.references)):
        row = connection.execute(_ADDRESSEE, {"id": message_id}).first()
        for report in reports:
            if row is not None and row.email_key == report.address.casefold():
                return message_id, report
    return None


_ADDRESSEE: Final = text("""
    SELECT l.email_key FROM message m JOIN lead l ON l.id = m.lead_id WHERE m.id = :id AND m.attempt > 0""")

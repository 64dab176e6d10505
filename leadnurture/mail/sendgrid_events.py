"""SendGrid's event webhook: verified and kept at once, read and recorded as reactions afterwards.

One idea to hold: SendGrid repeats itself, in any order, sometimes under new ids, for 24 hours until it hears
2xx. So the same item twice changes nothing, an item that we do not understand is kept and answered with 2xx,
and an event about a mail of ours is proof of what became of it, whatever we believed so far.
"""

import base64
import binascii
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import Connection, text

from leadnurture.domain.vocabulary import MessageStatus, ReactionKind
from leadnurture.engine import NewReaction, Settled, lock_leads, record_in, settle_messages
from leadnurture.engine.clicks import LONGEST_AGENT
from leadnurture.errors import InvalidInputError, NotSignedError
from leadnurture.inbox import Item, Kept, Post, Read, keep, keep_items, stage_items
from leadnurture.store import Database

PROVIDER: Final = "sendgrid"
SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"
# A retry may keep its first timestamp, and SendGrid retries for a day.
OLDEST: Final = timedelta(hours=25)
CHUNK: Final = 1_000
"""Events of one transaction."""
_BOUNCED: Final[dict[str, Any]] = {"reaction": "bounced", "status": "bounced"}
_NOT_YET: Final[dict[str, Any]] = {"status": "deferred"}
MEANINGS: Final[Mapping[str, dict[str, Any]]] = {
    "processed": {"status": "sent"},
    "deferred": _NOT_YET,
    "blocked": _NOT_YET,
    "delivered": {"reaction": "delivered", "status": "delivered"},
    "open": {"reaction": "opened", "status": "delivered"},
    "click": {"reaction": "clicked", "status": "delivered"},
    "spamreport": {"reaction": "complained", "status": "complained"},
    "unsubscribe": {"reaction": "unsubscribed", "status": "delivered"},
    "group_unsubscribe": {"reaction": "unsubscribed", "status": "delivered"},
    "group_resubscribe": {},
}
"""What each kind says, of nothing if of nobody's concern; `bounce` and `dropped` depend on their reasons."""
DROPPED_FOR: Final[tuple[tuple[str, ReactionKind, MessageStatus], ...]] = (
    ("bounced", "bounced", "bounced"),
    ("invalid", "bounced", "bounced"),
    ("spam reporting", "complained", "complained"),
    ("unsubscribed", "unsubscribed", "failed"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as it came and as we understand it."""

    item: Item
    at: datetime | None = None
    reaction: ReactionKind | None = None
    argument: str | None = None
    agent: str | None = None
    status: MessageStatus | None = None
    trouble: str | None = None


def receive_sendgrid_events(
    database: Database,
    body: bytes,
    headers: Mapping[str, str],
    public_key: str | None,
    now: datetime,
    *,
    machine_now: datetime | None = None,
) -> Kept:
    """Verifies and keeps a post; what is answered is committed, and read afterwards. Safe to repeat.

    NotSignedError unless it is signed and not older than 25 hours of `machine_now` (by default `now`).
    """
    verify(body, headers, public_key, machine_now or now)
    return keep(database, PROVIDER, body, now, key=hashlib.sha256(body).hexdigest())


def read_sendgrid_events(database: Database, post: Post, now: datetime, is_last: bool) -> Read:  # noqa: FBT001 - a Reader
    """Records what a post says, a thousand events a transaction. Safe to repeat.

    InvalidInputError when it is no list. An event about a mail that we do not know waits, unless `is_last`.
    """
    events = list(_understood(_items(post.body)))
    read = Read()
    for start in range(0, len(events), CHUNK):
        chunk = events[start : start + CHUNK]
        done = database.run(functools.partial(_record, post=post, events=chunk, now=now, is_last=is_last))
        read = Read(*(one + other for one, other in zip(astuple(read), astuple(done), strict=True)))
    return read


# --- the signature -------------------------------------------------------------------------------------


def verify(body: bytes, headers: Mapping[str, str], public_key: str | None, machine_now: datetime) -> None:
    """NotSignedError unless SendGrid signed exactly this body lately."""
    known = {name.lower(): value for name, value in headers.items()}
    timestamp = known.get(TIMESTAMP.lower(), "")
    try:
        key = load_der_public_key(base64.b64decode(public_key or "", validate=True))
        signature = base64.b64decode(known.get(SIGNATURE.lower(), ""), validate=True)
        signed_at = datetime.fromtimestamp(int(timestamp), UTC)
        if not isinstance(key, EllipticCurvePublicKey):
            raise NotSignedError(
                "LEADNURTURE_SENDGRID_WEBHOOK_KEY is no key for ECDSA; copy the one that SendGrid shows."
            )
        key.verify(signature, timestamp.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError, OverflowError, OSError, TypeError) as error:
        raise NotSignedError(_remedy(public_key)) from error
    if machine_now - signed_at > OLDEST:
        raise NotSignedError(
            "The events were signed more than 25 hours ago; SendGrid does not retry that long."
        )


def _remedy(public_key: str | None) -> str:
    if not public_key:
        return (
            "LEADNURTURE_SENDGRID_WEBHOOK_KEY is not set; "
            "copy the verification key from SendGrid's event webhook settings."
        )
    return (
        "The signature does not fit; compare LEADNURTURE_SENDGRID_WEBHOOK_KEY with the key in SendGrid's "
        "event webhook settings, and turn its signature verification on."
    )


# --- understanding an item -----------------------------------------------------------------------------


def _items(body: bytes) -> Sequence[Any]:
    try:
        items = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("The post is no JSON.") from error
    if not isinstance(items, list):
        raise InvalidInputError("The post is no list of events.")
    return items


def _understood(items: Sequence[Any]) -> Iterator[Event]:
    """Each item once, as far as it is understood; one event under two ids counts once."""
    keys: set[str] = set()
    natural_keys: set[str] = set()
    for position, raw in enumerate(items):
        event = _event(position, raw)
        item = event.item
        if item.key in keys:
            continue
        is_told = item.outcome == "recorded" and item.natural_key in natural_keys
        yield replace(event, item=replace(item, outcome="duplicate")) if is_told else event
        keys.add(item.key)
        natural_keys.add(item.natural_key)


def _event(position: int, raw: Any) -> Event:  # noqa: ANN401 - whatever SendGrid sends
    told = raw if isinstance(raw, dict) else {}
    kind = _word(told.get("event")) or "?"
    message_id = _message_id(told.get("leadnurture_message"))
    key = _word(told.get("sg_event_id"))
    if message_id is None:
        natural = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
        return Event(Item(position, key or natural, kind, None, "not ours", natural))
    at, url = _word(told.get("timestamp")), _word(told.get("url"))
    natural = f"{message_id}|{kind}|{at}|{url}"
    outcome, meaning = _meaning(kind, told)
    if meaning.get("reaction") == "clicked":
        meaning = meaning | {
            "argument": url or None,
            "agent": _word(told.get("useragent"))[:LONGEST_AGENT] or None,
        }
    return Event(Item(position, key or natural, kind, message_id, outcome, natural), _instant(at), **meaning)


def _meaning(kind: str, told: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What becomes of an event, and what it says about the lead and the mail (SendGrid's event reference)."""
    if kind == "open" and told.get("sg_machine_open") is True:
        # A machine that loads the pictures proves the delivery, not a reader.
        return "recorded", {"status": "delivered"}
    said = _word(told.get("reason")) or _word(told.get("response"))
    if kind == "dropped":
        return "recorded", _dropped(said)
    meaning = (_BOUNCED if _is_hard(told) else _NOT_YET) if kind == "bounce" else MEANINGS.get(kind)
    if not meaning:
        return "unknown kind" if meaning is None else "kept", {}
    return "recorded", meaning | {"trouble": said} if said else meaning


def _is_hard(told: Mapping[str, Any]) -> bool:
    """`type` says it; without one the enhanced status code does (RFC 3463: 5 is permanent)."""
    kind = _word(told.get("type"))
    return kind == "bounce" or (not kind and _word(told.get("status")).startswith("5"))


def _dropped(said: str) -> dict[str, Any]:
    """SendGrid did not try: the address is on one of its own lists, or the mail was not to its taste."""
    for word, reaction, status in DROPPED_FOR:
        if word in said.lower():
            return {"reaction": reaction, "status": status, "trouble": said}
    return {"status": "failed", "trouble": said or "dropped by SendGrid"}


def _word(value: Any) -> str:  # noqa: ANN401 - whatever SendGrid sends
    if type(value) is str and value.isascii() and "\0" not in value:
        return value[:2000]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # PostgreSQL keeps no NUL in a text, and nobody keeps half a character.
    return str(value).replace("\0", "")[:2000].encode(errors="replace").decode()


def _message_id(value: Any) -> int | None:  # noqa: ANN401 - whatever SendGrid sends
    digits = _word(value)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None  # noqa: PLR2004 - a BIGINT


def _instant(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


# --- recording -----------------------------------------------------------------------------------------


def _record(
    connection: Connection, *, post: Post, events: Sequence[Event], now: datetime, is_last: bool
) -> Read:
    """Keeps the items and writes what they mean. A constant number of statements."""
    stage_items(connection, [event.item for event in events])
    leads = connection.execute(
        text("SELECT DISTINCT m.lead_id FROM message m JOIN work_item w ON w.message_id = m.id ORDER BY 1")
    )
    lock_leads(connection, list(leads.scalars()))
    connection.execute(_NOBODYS, {"outcome": "not ours" if is_last else "waiting"})
    connection.execute(_TOLD_BEFORE)
    own = keep_items(connection, post)
    chosen = [event for event in events if own.get(event.item.position) == "recorded"]
    reactions = [
        NewReaction(
            kind,
            event.item.natural_key,
            PROVIDER,
            event.at,
            message_id=event.item.message_id,
            argument=event.argument,
            agent=event.agent,
        )
        for event in chosen
        if (kind := event.reaction)
    ]
    # First with what SendGrid said; what the reactions prove of the mails adds nothing to it.
    settle_messages(connection, _outcomes(chosen), now)
    recorded = record_in(connection, reactions, now)
    outcomes = Counter(own.values())
    return Read(
        items=len(events),
        recorded=recorded.recorded,
        repeated=len(events) - len(own) + outcomes["duplicate"],
        not_ours=outcomes["not ours"],
        not_understood=outcomes["unknown kind"] + outcomes["kept"],
        waiting=outcomes["waiting"],
    )


_NOBODYS: Final = text("""
    UPDATE work_item SET outcome = :outcome
     WHERE message_id IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = work_item.message_id)""")
_TOLD_BEFORE: Final = text("""
    UPDATE work_item SET outcome = 'duplicate'
     WHERE outcome = 'recorded'
       AND (EXISTS (SELECT 1 FROM reaction r WHERE r.key = 'sendgrid:' || work_item.natural_key)
            OR EXISTS (SELECT 1 FROM click c WHERE c.key = 'sendgrid:' || work_item.natural_key))""")


def _outcomes(events: Sequence[Event]) -> list[Settled]:
    return [
        Settled(message_id, event.status, "failed" if event.status == "failed" else None, event.trouble)
        for event in events
        if event.status and (message_id := event.item.message_id) is not None
    ]

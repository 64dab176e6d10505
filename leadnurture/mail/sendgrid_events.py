"""SendGrid's event webhook: verified, kept item by item, and recorded as reactions in one transaction.

One idea to hold: SendGrid repeats itself, in any order, sometimes under new ids, for 24 hours until it hears
2xx. So the same item twice changes nothing, an item that we do not understand is kept and answered with 2xx,
and an event about a mail of ours is proof of what became of it, whatever we believed so far.
"""

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import Connection, delete, text

from leadnurture.domain.vocabulary import MessageStatus, ReactionKind
from leadnurture.engine import NewReaction, Settled, lock_leads, record_in, settle_messages
from leadnurture.errors import InvalidInputError, NotSignedError
from leadnurture.store import Database, stage
from leadnurture.store.instants import to_micros
from leadnurture.store.work import work_event

PROVIDER: Final = "sendgrid"
SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"
# A retry may keep its first timestamp, and SendGrid retries for a day.
OLDEST: Final = timedelta(hours=25)
LONGEST_WORD: Final = 200
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
    "group_resubscribe": {"outcome": "kept"},
}
"""What each kind says; `bounce` and `dropped` depend on their reasons."""
DROPPED_FOR: Final[tuple[tuple[str, ReactionKind, MessageStatus], ...]] = (
    ("bounced", "bounced", "bounced"),
    ("invalid", "bounced", "bounced"),
    ("spam reporting", "complained", "complained"),
    ("unsubscribed", "unsubscribed", "failed"),
)


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a post. All of its items are kept, except those that had come before."""

    items: int = 0
    recorded: int = 0
    """Reactions that are new."""
    repeated: int = 0
    """Items that had come before, under the same id or as the same event."""
    not_ours: int = 0
    """Items about no message of ours."""
    not_understood: int = 0
    """Items of a kind that we do not know, or that says nothing about a lead."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event, as it came and as we understand it."""

    key: str
    natural_key: str
    kind: str
    body: str
    at: datetime | None = None
    message_id: int | None = None
    reaction: ReactionKind | None = None
    argument: str | None = None
    agent: str | None = None
    status: MessageStatus | None = None
    trouble: str | None = None
    outcome: str = "recorded"


def receive_sendgrid_events(
    database: Database,
    body: bytes,
    headers: Mapping[str, str],
    public_key: str | None,
    now: datetime,
    *,
    machine_now: datetime | None = None,
) -> Received:
    """Verifies and records a post; what is answered is committed. Safe to repeat.

    NotSignedError unless it is signed and not older than 25 hours of `machine_now` (by default `now`);
    InvalidInputError when it is signed but no list.
    """
    verify(body, headers, public_key, machine_now or now)
    items = list(_understood(_items(body)))
    if not items:
        return Received()
    return database.run(lambda connection: _record(connection, items, now))


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


def _understood(items: Sequence[Any]) -> Iterator[Item]:
    """Each item once, as far as it is understood; one event under two ids counts once."""
    keys: set[str] = set()
    events: set[str] = set()
    for raw in items:
        item = _item(raw)
        if item.key in keys:
            continue
        is_told = item.outcome == "recorded" and item.natural_key in events
        yield replace(item, outcome="duplicate") if is_told else item
        keys.add(item.key)
        events.add(item.natural_key)


def _item(raw: Any) -> Item:  # noqa: ANN401 - whatever SendGrid sends
    # PostgreSQL keeps no NUL in a text.
    body = json.dumps(raw, ensure_ascii=True, sort_keys=True).replace("\\u0000", "")
    told = raw if isinstance(raw, dict) else {}
    kind = _word(told.get("event")) or "?"
    message_id = _message_id(told.get("leadnurture_message"))
    natural = f"{message_id}|{kind}|{_word(told.get('timestamp'))}|{_word(told.get('url'))}"
    if message_id is None:
        natural = hashlib.sha256(body.encode()).hexdigest()
    item = Item(
        key=_word(told.get("sg_event_id")) or natural,
        natural_key=natural,
        kind=kind,
        body=body,
        at=_instant(told.get("timestamp")),
        message_id=message_id,
    )
    return replace(item, outcome="not ours") if message_id is None else _meaning(item, told)


def _meaning(item: Item, told: Mapping[str, Any]) -> Item:
    """What an event says about the lead and about the mail (SendGrid's event reference)."""
    said = _word(told.get("reason")) or _word(told.get("response"))
    if item.kind == "bounce":
        return replace(item, trouble=said, **_BOUNCED if _is_hard(told) else _NOT_YET)
    if item.kind == "dropped":
        return _dropped(item, said)
    if item.kind == "open" and told.get("sg_machine_open") is True:
        # A machine that loads the pictures proves the delivery, not a reader.
        return replace(item, status="delivered")
    if item.kind not in MEANINGS:
        return replace(item, outcome="unknown kind")
    url = _word(told.get("url")) if item.kind == "click" else ""
    agent = _word(told.get("useragent"))[:LONGEST_WORD] if item.kind == "click" else ""
    meaning = MEANINGS[item.kind]
    return replace(item, trouble=said or None, argument=url or None, agent=agent or None, **meaning)


def _is_hard(told: Mapping[str, Any]) -> bool:
    """`type` says it; without one the enhanced status code does (RFC 3463: 5 is permanent)."""
    kind = _word(told.get("type"))
    return kind == "bounce" or (not kind and _word(told.get("status")).startswith("5"))


def _dropped(item: Item, said: str) -> Item:
    """SendGrid did not try: the address is on one of its own lists, or the mail was not to its taste."""
    for word, reaction, status in DROPPED_FOR:
        if word in said.lower():
            return replace(item, reaction=reaction, status=status, trouble=said)
    return replace(item, status="failed", trouble=said or "dropped by SendGrid")


def _word(value: Any) -> str:  # noqa: ANN401 - whatever SendGrid sends
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\0", "")[:2000]


def _message_id(value: Any) -> int | None:  # noqa: ANN401 - whatever SendGrid sends
    digits = _word(value)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None  # noqa: PLR2004 - a BIGINT


def _instant(value: Any) -> datetime | None:  # noqa: ANN401 - whatever SendGrid sends
    try:
        return datetime.fromtimestamp(float(_word(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


# --- recording -----------------------------------------------------------------------------------------


def _record(connection: Connection, items: Sequence[Item], now: datetime) -> Received:
    """Keeps the items and writes what they mean. A constant number of statements."""
    connection.execute(delete(work_event))
    stage(connection, work_event, [_staged(position, item) for position, item in enumerate(items)])
    leads = connection.execute(
        text("SELECT DISTINCT m.lead_id FROM message m JOIN work_event w ON w.message_id = m.id ORDER BY 1")
    )
    lock_leads(connection, list(leads.scalars()))
    _judge(connection)
    fresh = _keep(connection, now)
    chosen = [item for position, item in enumerate(items) if fresh.get(position) == "recorded"]
    reactions = [
        NewReaction(
            kind,
            item.natural_key,
            PROVIDER,
            item.at,
            message_id=item.message_id,
            argument=item.argument,
            agent=item.agent,
        )
        for item in chosen
        if (kind := item.reaction)
    ]
    recorded = record_in(connection, reactions, now)
    settle_messages(connection, _outcomes(chosen), now)
    outcomes = Counter(fresh.values())
    return Received(
        items=len(items),
        recorded=recorded.recorded,
        repeated=len(items) - len(fresh) + outcomes["duplicate"],
        not_ours=outcomes["not ours"],
        not_understood=outcomes["unknown kind"] + outcomes["kept"],
    )


def _staged(position: int, item: Item) -> dict[str, object]:
    return {
        "position": position,
        "key": item.key,
        "natural_key": item.natural_key,
        "kind": item.kind[:LONGEST_WORD],
        "message_id": item.message_id,
        "body": item.body,
        "outcome": item.outcome,
    }


def _judge(connection: Connection) -> None:
    """An id that is no message of ours is somebody else's; an event under a new id is one that we have."""
    connection.execute(
        text("""
            UPDATE work_event SET outcome = 'not ours', message_id = NULL
             WHERE message_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = work_event.message_id)""")
    )
    connection.execute(
        text(f"""
            UPDATE work_event SET outcome = 'duplicate'
             WHERE outcome = 'recorded'
               AND (EXISTS (SELECT 1 FROM reaction r WHERE r.key = '{PROVIDER}:' || work_event.natural_key)
                 OR EXISTS (SELECT 1 FROM click c WHERE c.key = '{PROVIDER}:' || work_event.natural_key))""")  # noqa: S608 - our own words
    )


def _keep(connection: Connection, now: datetime) -> Mapping[int, str]:
    """Stores the items that are new; the result is their outcome by position."""
    kept = connection.execute(
        text(f"""
            INSERT INTO provider_event (provider, key, kind, message_id, body, received_at, outcome)
            SELECT '{PROVIDER}', key, kind, message_id, body, :now, outcome
              FROM work_event WHERE TRUE ORDER BY key
                ON CONFLICT DO NOTHING RETURNING key"""),  # noqa: S608 - our own words
        {"now": to_micros(now)},
    )
    new = set(kept.scalars())
    judged = connection.execute(text("SELECT position, key, outcome FROM work_event"))
    return {row.position: row.outcome for row in judged if row.key in new}


def _outcomes(items: Sequence[Item]) -> list[Settled]:
    return [
        Settled(item.message_id, item.status, "failed" if item.status == "failed" else None, item.trouble)
        for item in items
        if item.status and item.message_id is not None
    ]

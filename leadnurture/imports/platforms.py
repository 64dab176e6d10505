"""What webinar platforms tell of their sessions: signed by Standard Webhooks, kept at once, read afterwards.

One idea to hold: the signature is over the raw bytes, the id and the second of the post, so nothing of it can
be altered, and an old post cannot be played again. A repetition bears the same id and is kept once.
See https://www.standardwebhooks.com.
"""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json
from sqlalchemy import Connection, select

from leadnurture import engine
from leadnurture.domain.vocabulary import STANDING_KINDS
from leadnurture.errors import InvalidInputError, NotSignedError
from leadnurture.imports.told import MOST_ATTENDED, Name, unclear_session, unknown_names
from leadnurture.inbox import Item, Kept, Post, Read, keep, keep_items
from leadnurture.store import Database
from leadnurture.store.tables import metadata

SOURCE: Final = "webinar"
ATTENDANCE: Final = "attendance"
FRESH: Final = timedelta(minutes=5)
"""A post older than that, or so far in the future, is no post of now; a repetition bears a new second."""
LONGEST_ID: Final = 200
VERSION: Final = "v1,"
_LEAD: Final = metadata.tables["lead"]


@dataclass(frozen=True, slots=True)
class Platform:
    """Who posts, and the secrets with which he may sign: several while one follows another."""

    name: str
    secrets: tuple[bytes, ...]


def receive_platform_event(
    database: Database,
    platform: Platform,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    *,
    machine_now: datetime,
) -> Kept:
    """Keeps a post whose signature fits; NotSignedError for any other. The same id is kept once."""
    post_id = headers.get("webhook-id", "")
    _refuse_unsigned(platform, post_id, body, headers, machine_now)
    about = {"platform": platform.name, "id": post_id}
    return keep(database, SOURCE, body, now, about=about, key=f"{platform.name}:{post_id}")


def signature(secret: bytes, post_id: str, timestamp: str, body: bytes) -> bytes:
    """The HMAC-SHA256 of a post, as Standard Webhooks 1 have it."""
    return hmac.digest(secret, f"{post_id}.{timestamp}.".encode() + body, "sha256")


def _refuse_unsigned(
    platform: Platform, post_id: str, body: bytes, headers: Mapping[str, str], machine_now: datetime
) -> None:
    timestamp = headers.get("webhook-timestamp", "")
    if not platform.secrets:
        raise NotSignedError("No secret is known for this platform; add it to LEADNURTURE_WEBINAR_SECRETS.")
    if not post_id or len(post_id) > LONGEST_ID or not timestamp.isascii() or not timestamp.isdecimal():
        raise NotSignedError(
            "The post is not signed; it needs webhook-id, webhook-timestamp, webhook-signature."
        )
    shown = list(_shown(headers.get("webhook-signature", "")))
    expected = [signature(secret, post_id, timestamp, body) for secret in platform.secrets]
    if not any(hmac.compare_digest(one, other) for one in shown for other in expected):
        raise NotSignedError("The signature does not fit; compare the secret in LEADNURTURE_WEBINAR_SECRETS.")
    if (
        len(timestamp) > len(str(int(machine_now.timestamp())))
        or abs(datetime.fromtimestamp(int(timestamp), UTC) - machine_now) > FRESH
    ):
        raise NotSignedError("The post is older than five minutes, or one of the clocks is wrong.")


def _shown(header: str) -> Sequence[bytes]:
    """The signatures of a header, `v1,… v1,…`; those of other versions, and what is none, left out."""
    found = []
    for part in header.split():
        if part.startswith(VERSION):
            try:
                found.append(b64decode(part.removeprefix(VERSION), validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


# --- reading -------------------------------------------------------------------------------------------


class _Data(BaseModel):
    """What a post is about; whatever else a platform adds is left to it."""

    model_config = ConfigDict(extra="ignore")

    content: Name
    session: Name | None = None
    """Where only one can be meant, it need not be named."""
    email: Name | None = None
    person: Name | None = None
    """The platform's own id of whoever it is about, where a lead is known by it."""
    attended: tuple[Name, ...] = Field(default=(), max_length=MOST_ATTENDED)


class _Told(BaseModel):
    """A post: its type is one of our words, its time that of the deed."""

    model_config = ConfigDict(extra="ignore")

    type: str
    timestamp: AwareDatetime | None = None
    data: _Data

    @model_validator(mode="after")
    def _says_who(self) -> "_Told":
        if self.type in STANDING_KINDS and not (self.data.email or self.data.person):
            raise ValueError("`data.email` is missing: the address of whoever it is about")
        if self.type == ATTENDANCE and self.data.session is None:
            raise ValueError("`data.session` is missing: the one whose list it is")
        return self


def read_platform_events(database: Database, post: Post, now: datetime, _: bool) -> Read:  # noqa: FBT001 - as the inbox calls
    """Records what a post says, keeps an unknown type; InvalidInputError for what nobody can read."""
    kind = _type_of(post.body)
    if kind not in {*STANDING_KINDS, ATTENDANCE}:
        return database.run(lambda connection: _keep(connection, post, kind, "unknown kind"))
    told = _checked(database, post.body, now)
    source = f"{SOURCE} {post.about['platform']}"
    if kind == ATTENDANCE:
        data = told.data
        came = _addresses(database, post.about["platform"], data.attended)
        engine.close_session(database, data.content, data.session, came, now, source)
        return database.run(lambda connection: _keep(connection, post, kind, "recorded"))
    return database.run(lambda connection: _record(connection, post, told, source, now))


def _type_of(body: bytes) -> str:
    try:
        told = from_json(body)
    except ValueError as error:
        raise InvalidInputError(f"The post is not JSON ({error}).") from error
    kind = told.get("type") if isinstance(told, dict) else None
    if not isinstance(kind, str):
        raise InvalidInputError("The post has no `type`; it should be an object with type, timestamp, data.")
    return kind


def _checked(database: Database, body: bytes, now: datetime) -> _Told:
    """The post, of a content and session that there are."""
    try:
        told = _Told.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
    with database.read() as connection:
        definitions = engine.current_definitions(connection)
    fault = unknown_names(told.data.content, told.data.session, definitions)
    if fault is None and told.data.session is None:
        kind = next(kind for kind in STANDING_KINDS if kind == told.type)
        fault = unclear_session(kind, told.data.content, told.timestamp, definitions, now)
    if fault:
        raise InvalidInputError("data." + ": ".join(fault))
    return told


def _addresses(database: Database, platform: str, people: Sequence[str]) -> list[str]:
    """The addresses of people who are named by one, or by their id on the platform."""
    with database.read() as connection:
        known = engine.leads_by_key(connection, platform, people)
        rows = connection.execute(select(_LEAD.c.id, _LEAD.c.email).where(_LEAD.c.id.in_(known.values())))
        emails = {row.id: row.email for row in rows}
    return [emails[known[one]] if one in known else one for one in people]


def _record(connection: Connection, post: Post, told: _Told, source: str, now: datetime) -> Read:
    """The reaction with its item, in one transaction."""
    known = engine.leads_by_key(connection, post.about["platform"], [told.data.person or ""])
    lead_id = next(iter(known.values()), None)
    reaction = engine.NewReaction(
        kind=next(kind for kind in STANDING_KINDS if kind == told.type),
        key=post.about["id"],
        source=source,
        at=told.timestamp,
        lead_id=lead_id,
        email=None if lead_id else told.data.email,
        content=told.data.content,
        session=told.data.session,
    )
    recorded = engine.record_in(connection, [reaction], now)
    outcome = "not ours" if recorded.unknown else "recorded" if recorded.recorded else "duplicate"
    return _keep(connection, post, told.type, outcome)


def _keep(connection: Connection, post: Post, kind: str, outcome: str) -> Read:
    keep_items(
        connection, post, [Item(0, f"{post.about['platform']}:{post.about['id']}", kind, outcome=outcome)]
    )
    return Read(
        items=1,
        recorded=outcome == "recorded",
        repeated=outcome == "duplicate",
        not_ours=outcome == "not ours",
        not_understood=outcome == "unknown kind",
    )

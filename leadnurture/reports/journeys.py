"""One lead's whole journey: who it is, why it stands where it stands, what happened, and what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, select

from leadnurture import engine
from leadnurture.domain.definitions import Definitions
from leadnurture.profile import Evidence, evidence
from leadnurture.reports.coming import Coming, Standing, coming
from leadnurture.reports.story import Entry, Setting, story
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
MERGE: Final = metadata.tables["lead_merge"]
KEY: Final = metadata.tables["lead_key"]
CONSENT: Final = metadata.tables["consent"]
INTEREST: Final = metadata.tables["interest"]
SUPPRESSION: Final = metadata.tables["suppression"]
ALMOST: Final = metadata.tables["almost_qualified"]
TAG: Final = metadata.tables["lead_tag"]
PRODUCT: Final = metadata.tables["product"]
CONTENT: Final = metadata.tables["content"]
PROGRAM: Final = metadata.tables["program"]
ENROLLMENT: Final = metadata.tables["enrollment"]


@dataclass(frozen=True, slots=True)
class InterestRow:
    """A topic that matters to the lead."""

    topic: str
    reactions: int
    """How many things showed it."""
    last_at: datetime
    is_living: bool


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """What the lead has agreed to."""

    purpose: str
    given_at: datetime
    withdrawn_at: datetime | None
    source: str
    wording: str


@dataclass(frozen=True, slots=True)
class EnrollmentRow:
    """One program that the lead is or was in."""

    program: str
    title: str
    status: str
    step: str
    visit: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class MergeRow:
    """That the lead was made one with another."""

    id: int
    gone_id: int
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything about one lead."""

    now: datetime
    who: Evidence
    owner: str
    """The name of the account's owner; empty where there is none."""
    crm: tuple[str, str] | None
    """(id in the CRM, address at which it shows the lead; empty where the company names none)."""
    keys: tuple[tuple[str, str], ...]
    """(system, key) by which the lead is known, too: further addresses, ids on platforms, former numbers."""
    merges: tuple[MergeRow, ...]
    """Those that may be undone, newest first."""
    zone: str
    stage_since: datetime
    created_at: datetime
    threshold: str
    """The condition under which the lead is qualified."""
    agreement: str
    """The version of the agreement."""
    score_formula: str
    missing: tuple[str, ...]
    """Facts that keep a lead over the threshold from sales."""
    tags: tuple[str, ...]
    products: tuple[str, ...]
    interests: tuple[InterestRow, ...]
    consents: tuple[ConsentRow, ...]
    suppression: tuple[str, datetime] | None
    """(reason, since)."""
    hold_until: datetime | None
    enrollments: tuple[EnrollmentRow, ...]
    coming: tuple[Coming, ...]
    story: tuple[Entry, ...]
    """Oldest first."""


def journey(connection: Connection, lead_ref: int | str, now: datetime) -> Journey:
    """The journey of a lead, by id or address. Raises NotFoundError.

    Some thirty statements, whatever happened; one more for each program of a lead that is in none.
    """
    lead = engine.find_lead(connection, lead_ref)
    definitions = engine.current_definitions(connection)
    setting = Setting(definitions.company, _titles(connection), lead.zone, now)
    consents = _consents(connection, lead.id)
    suppression = _suppression(connection, lead.email_key)
    standing = Standing(lead, suppression, {row.purpose: row.withdrawn_at is None for row in consents})
    agreement = definitions.agreement(lead.track)
    threshold = agreement.stage("qualified").when
    who = evidence(connection, [lead.id], now)[lead.id]
    return Journey(
        now=now,
        who=who,
        owner=setting.person(who.owner) if who.owner else "",
        crm=_crm(lead.crm_id, definitions),
        keys=_keys(connection, lead.id),
        merges=_merges(connection, lead.id, setting),
        zone=lead.zone,
        stage_since=lead.stage_since,
        created_at=lead.created_at,
        threshold=threshold.text if threshold else "",
        agreement=agreement.version.isoformat(),
        score_formula=_formula(definitions, lead.track),
        missing=_missing(connection, lead.id),
        tags=tuple(connection.scalars(select(TAG.c.tag).where(TAG.c.lead_id == lead.id).order_by(TAG.c.tag))),
        products=_products(connection, lead.account_id),
        interests=_interests(connection, lead.id, now),
        consents=consents,
        suppression=suppression,
        hold_until=lead.hold_until,
        enrollments=_enrollments(connection, lead.id, setting),
        coming=coming(connection, standing, definitions, setting),
        story=story(connection, lead, setting),
    )


def _keys(connection: Connection, lead_id: int) -> tuple[tuple[str, str], ...]:
    question = select(KEY.c.system, KEY.c.key).where(KEY.c.lead_id == lead_id)
    return tuple((row.system, row.key) for row in connection.execute(question.order_by(*KEY.primary_key)))


def _merges(connection: Connection, lead_id: int, setting: Setting) -> tuple[MergeRow, ...]:
    columns = MERGE.c.id, MERGE.c.gone_id, MERGE.c.at, MERGE.c.by
    question = select(*columns).where(MERGE.c.kept_id == lead_id, MERGE.c.undone_at.is_(None))
    rows = connection.execute(question.order_by(MERGE.c.id.desc()))
    return tuple(MergeRow(row.id, row.gone_id, row.at, setting.person(row.by)) for row in rows)


def _crm(crm_id: str | None, definitions: Definitions) -> tuple[str, str] | None:
    if not crm_id:
        return None
    return crm_id, definitions.company.crm_link.replace("{id}", quote(crm_id, safe=""))


def _titles(connection: Connection) -> dict[str, str]:
    names = select(CONTENT.c.name, CONTENT.c.title).union_all(select(PROGRAM.c.name, PROGRAM.c.title))
    return {row.name: row.title or row.name for row in connection.execute(names)}


def _consents(connection: Connection, lead_id: int) -> tuple[ConsentRow, ...]:
    question = select(CONSENT).where(CONSENT.c.lead_id == lead_id).order_by(CONSENT.c.purpose)
    return tuple(
        ConsentRow(row.purpose, row.given_at, row.withdrawn_at, row.source, row.wording)
        for row in connection.execute(question)
    )


def _suppression(connection: Connection, email_key: str) -> tuple[str, datetime] | None:
    row = connection.execute(select(SUPPRESSION).where(SUPPRESSION.c.email_key == email_key)).first()
    return None if row is None else (row.reason, row.at)


def _missing(connection: Connection, lead_id: int) -> tuple[str, ...]:
    missing = connection.scalar(select(ALMOST.c.missing).where(ALMOST.c.lead_id == lead_id))
    return tuple(missing.split(",")) if missing else ()


def _products(connection: Connection, account_id: int | None) -> tuple[str, ...]:
    question = select(PRODUCT.c.name).where(PRODUCT.c.account_id == account_id).order_by(PRODUCT.c.name)
    return tuple(connection.scalars(question))


def _interests(connection: Connection, lead_id: int, now: datetime) -> tuple[InterestRow, ...]:
    question = select(INTEREST).where(INTEREST.c.lead_id == lead_id).order_by(INTEREST.c.begins_at.desc())
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(question):
        found.setdefault(row.topic, []).append(row)
    rows = [
        InterestRow(
            topic,
            len(shown),
            shown[0].begins_at,
            any(each.ends_at is None or each.ends_at > now for each in shown),
        )
        for topic, shown in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.reactions, row.topic)))


def _enrollments(connection: Connection, lead_id: int, setting: Setting) -> tuple[EnrollmentRow, ...]:
    question = select(ENROLLMENT).where(ENROLLMENT.c.lead_id == lead_id).order_by(ENROLLMENT.c.id.desc())
    rows: Sequence[Row[Any]] = connection.execute(question).all()
    return tuple(
        EnrollmentRow(
            row.program,
            setting.title(row.program),
            row.status,
            row.step,
            row.visit,
            row.started_at,
            row.ended_at,
        )
        for row in rows
    )


def _formula(definitions: Definitions, track: Any) -> str:  # noqa: ANN401 - a track as the row has it
    formula = definitions.agreement(track).score
    parts = [(formula.fit, "fit"), (formula.engagement, "engagement")]
    words = [name if weight == 1 else f"{weight} * {name}" for weight, name in parts if weight]
    return " + ".join([*words, *([str(formula.constant)] if formula.constant else [])])

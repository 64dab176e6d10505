"""Why a lead is worth a call: who it is, reactions that count with their points, facts that fit, colleagues.

One idea to hold: everything is asked as of an instant `at`, so that the evidence of a decided handoff can
still be shown as it was: its points have ended since, but were alive when it was opened.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from leadnurture import engine
from leadnurture.domain.condition import Compare, Condition, DaysUntil, Fact, Has, Known, OneOf, Term, leaves
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import SILENT_KINDS, TRACKS, Track
from leadnurture.profile.countries import country_told
from leadnurture.profile.telling import Value, fact_told, fact_value, number_told, told
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
ACCOUNT: Final = metadata.tables["account"]
LEAD_FACT: Final = metadata.tables["lead_fact"]
ACCOUNT_FACT: Final = metadata.tables["account_fact"]
POINT: Final = metadata.tables["point"]
REACTION: Final = metadata.tables["reaction"]
CONTENT: Final = metadata.tables["content"]

READ_KINDS: Final = ("clicked", "downloaded", "attended")
NEWEST_READ: Final = 8
COLLEAGUES: Final = 3
STRONGEST: Final = 3

Facts = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Reason:
    """Engagement points with what earned them."""

    points: int
    text: str
    """`Attended Scaling without downtime`."""
    at: datetime
    ends_at: datetime | None
    rule: str
    content: str | None = None
    reaction_id: int | None = None


@dataclass(frozen=True, slots=True)
class FitReason:
    """Points of a fact that fits, or does not."""

    points: int
    condition: str
    """As the agreement writes it."""
    saw: str
    """`employees 1,400`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A content that the lead took in."""

    content: str
    title: str
    kind: str
    """Of the content: article, report …"""
    did: str
    """`clicked`, `downloaded` or `attended`."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Colleague:
    """Another person of the account, with the newest thing that he did."""

    lead_id: int
    name: str
    role: str
    score: int
    did: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What helps a salesperson to decide what to say first."""

    lead_id: int
    name: str
    email: str
    track: Track
    stage: str
    role: str
    country: str
    language: str
    zone: str
    source: str
    account_id: int | None
    account: str
    owner: str | None
    """The account's owner, a person's id."""
    fit: int
    engagement: int
    score: int
    facts: tuple[tuple[str, Value], ...]
    """(full name, value) of every known fact that the company declares."""
    reasons: tuple[Reason, ...]
    """Every living point, strongest first."""
    fit_reasons: tuple[FitReason, ...]
    readings: tuple[Reading, ...]
    """Newest first, each content once."""
    colleagues: tuple[Colleague, ...]

    @property
    def strongest(self) -> tuple[Reason, ...]:
        """The reasons to show where there is room for few."""
        return tuple(reason for reason in self.reasons if reason.points > 0)[:STRONGEST]

    @property
    def who(self) -> str:
        """`Head at Fjellheim Kraft, NO, 1,400 people`; what is unknown is left out."""
        employees = dict(self.facts).get("account.employees")
        people = f"{number_told(employees)} people" if isinstance(employees, int | float) else ""
        role_at = " at ".join(filter(None, (self.role, self.account)))
        who = ", ".join(filter(None, (role_at, country_told(self.country), people)))
        return who[:1].upper() + who[1:]


def name_of(row: Row[Any]) -> str:
    """The name of a lead's row, else its address."""
    return f"{row.first_name} {row.last_name}".strip() or str(row.email)


def evidence(connection: Connection, lead_ids: Collection[int], at: datetime) -> dict[int, Evidence]:
    """The evidence by lead, as of an instant. Six statements and one a fit rule, whatever the leads."""
    definitions = engine.current_definitions(connection)
    leads = _leads(connection, lead_ids)
    ids = [row.id for row in leads]
    facts = _facts(connection, leads, definitions)
    reasons = _reasons(connection, ids, at)
    readings = _readings(connection, ids)
    fit = _fit_reasons(connection, leads, facts, definitions, at)
    colleagues = _colleagues(connection, leads)
    return {
        row.id: Evidence(
            lead_id=row.id,
            name=name_of(row),
            email=row.email,
            track=row.track,
            stage=row.stage,
            role=row.role,
            country=row.country,
            language=row.language,
            zone=row.zone,
            source=row.source,
            account_id=row.account_id,
            account=row.account or "",
            owner=row.owner,
            fit=row.fit,
            engagement=row.engagement,
            score=row.score,
            facts=tuple(
                (name, facts[row.id][name]) for name, _ in definitions.company.facts if name in facts[row.id]
            ),
            reasons=tuple(reasons[row.id]),
            fit_reasons=tuple(fit[row.id]),
            readings=tuple(readings[row.id]),
            colleagues=tuple(colleagues[row.id]),
        )
        for row in leads
    }


def _leads(connection: Connection, lead_ids: Collection[int]) -> Sequence[Row[Any]]:
    question = (
        select(LEAD, ACCOUNT.c.name.label("account"), ACCOUNT.c.domain, ACCOUNT.c.owner)
        .outerjoin(ACCOUNT, ACCOUNT.c.id == LEAD.c.account_id)
        .where(LEAD.c.id.in_(lead_ids))
    )
    return connection.execute(question).all()


def _facts(
    connection: Connection, leads: Sequence[Row[Any]], definitions: Definitions
) -> Mapping[int, dict[str, Value]]:
    """Every known fact by its full name: the columns that all leads have, and what the company declares."""
    kinds = dict(definitions.company.facts)
    of_lead: dict[int, dict[str, Value]] = defaultdict(dict)
    of_account: dict[int, dict[str, Value]] = defaultdict(dict)
    own = select(LEAD_FACT).where(LEAD_FACT.c.lead_id.in_([row.id for row in leads]))
    for row in connection.execute(own):
        _keep(of_lead[row.lead_id], row.name, fact_value(kinds.get(row.name, "text"), row.text, row.number))
    shared = select(ACCOUNT_FACT).where(ACCOUNT_FACT.c.account_id.in_({row.account_id for row in leads}))
    for row in connection.execute(shared):
        name = f"account.{row.name.removeprefix('account.')}"
        _keep(of_account[row.account_id], name, fact_value(kinds.get(name, "text"), row.text, row.number))
    return {
        row.id: {**_built_in(row), **of_account.get(row.account_id, {}), **of_lead.get(row.id, {})}
        for row in leads
    }


def _built_in(row: Row[Any]) -> dict[str, Value]:
    columns = {
        "first_name": row.first_name, "last_name": row.last_name, "email": row.email, "country": row.country,
        "language": row.language, "role": row.role, "zone": row.zone, "source": row.source,
        "account.name": row.account, "account.domain": row.domain, "account.owner": row.owner,
    }  # fmt: skip
    return {name: value for name, value in columns.items() if value}


def _keep(facts: dict[str, Value], name: str, value: Value | None) -> None:
    if value is not None:
        facts[name] = value


def _reasons(connection: Connection, ids: Sequence[int], at: datetime) -> Mapping[int, list[Reason]]:
    question = (
        select(
            POINT,
            REACTION.c.kind,
            REACTION.c.content,
            REACTION.c.argument,
            REACTION.c.recorded_at,
            CONTENT.c.title,
        )
        .select_from(POINT)
        .outerjoin(REACTION, REACTION.c.id == POINT.c.reaction_id)
        .outerjoin(CONTENT, CONTENT.c.name == REACTION.c.content)
        .join(LEAD, and_(LEAD.c.id == POINT.c.lead_id, LEAD.c.track == POINT.c.track))
        .where(
            POINT.c.lead_id.in_(ids),
            POINT.c.begins_at <= at,
            or_(POINT.c.ends_at.is_(None), POINT.c.ends_at > at),
        )
        .order_by(POINT.c.points.desc(), POINT.c.begins_at.desc(), POINT.c.id.desc())
    )
    found: dict[int, list[Reason]] = defaultdict(list)
    for row in connection.execute(question):
        text = told(row.kind, row.title or row.content, row.argument) if row.kind else row.rule
        when = row.recorded_at or row.begins_at
        found[row.lead_id].append(
            Reason(row.points, text, when, row.ends_at, row.rule, row.content, row.reaction_id)
        )
    return found


def _readings(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[Reading]]:
    place = func.row_number().over(partition_by=REACTION.c.lead_id, order_by=REACTION.c.id.desc())
    newest = (
        select(
            REACTION.c.lead_id, REACTION.c.content, REACTION.c.kind, REACTION.c.recorded_at,
            place.label("rank"),
        )
        .where(
            REACTION.c.lead_id.in_(ids), REACTION.c.kind.in_(READ_KINDS), REACTION.c.content.is_not(None),
            REACTION.c.counts_at.is_not(None),
        )
        .subquery()
    )  # fmt: skip
    question = (
        select(newest, CONTENT.c.title, CONTENT.c.kind.label("content_kind"))
        .join(CONTENT, CONTENT.c.name == newest.c.content)
        .where(newest.c.rank <= NEWEST_READ)
        .order_by(newest.c.lead_id, newest.c.rank)
    )
    found: dict[int, dict[str, Reading]] = defaultdict(dict)
    for row in connection.execute(question):
        reading = Reading(row.content, row.title, row.content_kind, row.kind, row.recorded_at)
        found[row.lead_id].setdefault(row.content, reading)
    return defaultdict(list, {lead_id: list(readings.values()) for lead_id, readings in found.items()})


def _fit_reasons(
    connection: Connection,
    leads: Sequence[Row[Any]],
    facts: Mapping[int, Facts],
    definitions: Definitions,
    at: datetime,
) -> Mapping[int, list[FitReason]]:
    """Which rules hold is judged by the engine, like the score itself; here they only get their words."""
    found: dict[int, list[FitReason]] = defaultdict(list)
    for track in TRACKS:
        ids = [row.id for row in leads if row.track == track]
        if not ids:
            continue
        for rule in definitions.agreement(track).fit:
            for lead_id in engine.leads_matching(connection, rule.condition, ids, at):
                found[lead_id].append(
                    FitReason(rule.points, rule.condition.text, saw(rule.condition, facts[lead_id]))
                )
    for reasons in found.values():
        reasons.sort(key=lambda reason: -reason.points)
    return found


def saw(condition: Condition, facts: Facts) -> str:
    """The values behind a condition: `employees 1,400, role head`; its text where it names none."""
    words = [_leaf_told(leaf, facts) for leaf in leaves(condition.node)]
    return ", ".join(dict.fromkeys(filter(None, words))) or condition.text


def _leaf_told(leaf: object, facts: Facts) -> str | None:
    match leaf:
        case Compare(term=term) | OneOf(term=term) | Known(fact=term):
            return _term_told(term, facts)
        case Has(what=what, name=name):
            return f"{what} {name}"
        case _:
            return None


def _term_told(term: Term, facts: Facts) -> str | None:
    match term:
        case Fact(name=name) | DaysUntil(fact=name):
            value = facts.get(name)
        case _:
            return None
    return None if value is None else fact_told(name, value)


def _colleagues(connection: Connection, leads: Sequence[Row[Any]]) -> Mapping[int, list[Colleague]]:
    by_account: dict[int, list[Colleague]] = defaultdict(list)
    for row in connection.execute(_colleagues_question({row.account_id for row in leads if row.account_id})):
        did = told(row.kind, row.title or row.content, row.argument) if row.kind else None
        by_account[row.account_id].append(
            Colleague(row.id, name_of(row), row.role, row.score, did, row.recorded_at)
        )
    found: dict[int, list[Colleague]] = defaultdict(list)
    for row in leads:
        others = [one for one in by_account.get(row.account_id, ()) if one.lead_id != row.id]
        found[row.id] = others[:COLLEAGUES]
    return found


def _colleagues_question(accounts: Collection[int]) -> Select[Any]:
    """The highest scores of each account, one more than shown, since the lead himself is among them."""
    place = func.row_number().over(partition_by=LEAD.c.account_id, order_by=(LEAD.c.score.desc(), LEAD.c.id))
    ranked = (
        select(
            LEAD.c.id, LEAD.c.account_id, LEAD.c.first_name, LEAD.c.last_name, LEAD.c.email,
            LEAD.c.role, LEAD.c.score, place.label("rank"),
        )
        .where(LEAD.c.account_id.in_(accounts))
        .subquery()
    )  # fmt: skip
    any_of_his = REACTION.alias()
    newest = (
        select(func.max(any_of_his.c.id))
        .where(
            any_of_his.c.lead_id == ranked.c.id,
            any_of_his.c.kind.not_in(SILENT_KINDS),
            any_of_his.c.counts_at.is_not(None),
        )
        .scalar_subquery()
    )
    return (
        select(
            ranked,
            REACTION.c.kind,
            REACTION.c.content,
            REACTION.c.argument,
            REACTION.c.recorded_at,
            CONTENT.c.title,
        )
        .select_from(ranked)
        .outerjoin(REACTION, REACTION.c.id == newest)
        .outerjoin(CONTENT, CONTENT.c.name == REACTION.c.content)
        .where(ranked.c.rank <= COLLEAGUES + 1)
        .order_by(ranked.c.account_id, ranked.c.rank)
    )

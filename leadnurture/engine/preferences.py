"""What a lead wants from us, as he says on the page of his preferences: topics, pace, a pause, his language.

Said once, it holds everywhere: the shelf offers nothing about unwanted topics, conditions see no interest in
them, and the claim of every mail asks for topics, pace and pause again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, literal_column, not_, select, update

from leadnurture.domain.timing import Duration
from leadnurture.engine.current import current_definitions
from leadnurture.engine.facts import later
from leadnurture.engine.identity import lock_lead
from leadnurture.engine.sql import run, some, wake_leads
from leadnurture.errors import InvalidInputError
from leadnurture.store import Database, note
from leadnurture.store.instants import to_micros
from leadnurture.store.tables import ContentTopic, Lead, Preference, UnwantedTopic

Expression = ColumnElement[Any]
leads: Final = Lead.__table__
preferences: Final = Preference.__table__
unwanted: Final = UnwantedTopic.__table__

PACES: Final = (4, 2, 1)
"""How many mails in thirty days a lead may choose as the most."""
PAUSES: Final = (1, 3, 6)
"""For how many months he may pause."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What holds now."""

    unwanted: frozenset[str] = frozenset()
    mails: int | None = None
    """The most in thirty days; None: as the agreement has it."""
    paused_until: datetime | None = None
    """None where he is not paused, or not any more."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a lead chose, all of it: what he leaves out he does not want."""

    topics: frozenset[str]
    mails: int | None = None
    pause: int | None = None
    """Months from now on; 0 ends a pause, None leaves it as it is."""
    language: str | None = None
    """A locale of the company; None leaves it as it is."""


def preferences_of(connection: Connection, lead_id: int, now: datetime) -> Preferences:
    """What a lead wants. Two statements."""
    topics = connection.scalars(select(unwanted.c.topic).where(unwanted.c.lead_id == lead_id))
    row = connection.execute(select(preferences).where(preferences.c.lead_id == lead_id)).first()
    if row is None:
        return Preferences(frozenset(topics))
    is_paused = row.paused_until is not None and row.paused_until > now
    return Preferences(frozenset(topics), row.mails, row.paused_until if is_paused else None)


def choose_preferences(database: Database, ref: int, choice: Choice, by: str, now: datetime) -> None:
    """Writes what a lead chose; it holds for every mail that is not being sent already. Safe to repeat.

    `ref` may be a number of before a merge. NotFoundError for an unknown lead, InvalidInputError for what cannot
    be chosen. A constant number of statements.
    """

    def choose(connection: Connection) -> None:
        lead_id = lock_lead(connection, ref)
        zone = connection.execute(select(leads.c.zone).where(leads.c.id == lead_id)).scalar_one()
        company = current_definitions(connection).company
        _refuse_unknown(choice, company.topics, company.locales)
        before = preferences_of(connection, lead_id, now)
        paused_until = before.paused_until
        if choice.pause is not None:
            paused_until = _months_later(now, choice.pause, zone) if choice.pause else None
        _write_topics(connection, lead_id, company.topics, choice.topics)
        _write_preference(connection, lead_id, choice.mails, paused_until, now)
        if before.paused_until is not None and (paused_until or now) < before.paused_until:
            _free(connection, lead_id, before.paused_until, paused_until or now)
        if choice.language is not None:
            spoken = update(leads).where(leads.c.id == lead_id, leads.c.language != choice.language)
            connection.execute(spoken.values(language=choice.language))
        wake_leads(connection, [lead_id], now)
        told = _told(choice, company.topics, paused_until)
        note(connection, by, "chose preferences", f"lead {lead_id}", now, detail=told)

    database.run(choose)


def want_topic(connection: Connection, lead_id: int, topic: str) -> None:
    """Whoever asks for a topic wants mail about it again. The caller holds his lock."""
    connection.execute(delete(unwanted).where(unwanted.c.lead_id == lead_id, unwanted.c.topic == topic))


def _refuse_unknown(choice: Choice, topics: Iterable[str], locales: Iterable[str]) -> None:
    known = (
        not choice.topics - set(topics)
        and choice.mails in {None, *PACES}
        and choice.pause in {None, 0, *PAUSES}
        and choice.language in {None, *locales}
    )
    if not known:
        raise InvalidInputError("This cannot be chosen any more; open the page again from the mail.")


def _write_topics(
    connection: Connection, lead_id: int, topics: Iterable[str], wanted: frozenset[str]
) -> None:
    """Of the topics that there are; what he said of others holds until they come back."""
    connection.execute(
        delete(unwanted).where(unwanted.c.lead_id == lead_id, unwanted.c.topic.in_(list(topics)))
    )
    rows = [{"lead_id": lead_id, "topic": topic} for topic in topics if topic not in wanted]
    if rows:
        connection.execute(insert(unwanted).values(rows))


def _write_preference(
    connection: Connection, lead_id: int, mails: int | None, paused_until: datetime | None, now: datetime
) -> None:
    connection.execute(delete(preferences).where(preferences.c.lead_id == lead_id))
    row = {"lead_id": lead_id, "mails": mails, "paused_until": paused_until, "chosen_at": now}
    connection.execute(insert(preferences).values(**row))


def _free(connection: Connection, lead_id: int, former: datetime, now: datetime) -> None:
    """Mails that waited for the end of a pause need not wait any longer; the claim finds their windows."""
    run(
        connection,
        "UPDATE message SET send_at = :now WHERE lead_id = :lead AND status = 'planned' AND send_at = :former",
        now=now,
        lead=lead_id,
        former=to_micros(former),
    )


def _months_later(now: datetime, months: int, zone: str) -> datetime:
    """The local midnight so many months on; of a shorter month the last day."""
    day = later(now.astimezone(ZoneInfo(zone)).date(), Duration(months, "months"))
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _told(choice: Choice, topics: Iterable[str], paused_until: datetime | None) -> str:
    without = ", ".join(topic for topic in topics if topic not in choice.topics)
    parts = [f"nothing about {without}" if without else "all topics"]
    parts += [] if choice.mails is None else [f"at most {choice.mails} a month"]
    parts += [] if paused_until is None else [f"paused until {paused_until:%Y-%m-%d}"]
    parts += [] if choice.language is None else [f"in {choice.language}"]
    return ", ".join(parts)


# --- what the shelf and the conditions ask -----------------------------------------------------------------


def is_unwanted(lead_id: Expression, topic: Expression) -> Expression:
    """Whether a lead wants no mail about a topic."""
    said = unwanted.alias()
    return some(said.c.lead_id == lead_id, said.c.topic == topic, of=[said])


def is_about_unwanted(lead_id: Expression, *contents: Expression) -> Expression:
    """Whether a lead wants none of the topics that these contents are about together.

    What is about no topic is never unwanted. The claim asks it as text (`about_unwanted`).
    """
    said, about, other = unwanted.alias(), ContentTopic.__table__.alias(), ContentTopic.__table__.alias()
    is_wanted = not_(is_unwanted(lead_id, other.c.topic))
    return and_(
        some(said.c.lead_id == lead_id, of=[said]),
        some(about.c.content.in_(contents), of=[about]),
        not_(some(other.c.content.in_(contents), is_wanted, of=[other])),
    )


def about_unwanted(lead_id: str, *contents: str) -> str:
    """The same as text, of columns by their names: `l.id`, `m.content`."""
    asked = is_about_unwanted(literal_column(lead_id), *map(literal_column, contents))
    return str(asked.compile())

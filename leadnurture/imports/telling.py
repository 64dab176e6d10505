"""Reads what other systems told by the API, post by post. Every post may be read again.

One idea to hold: an item counts once by its teller's id. One that cannot be used becomes a `Fault` with place
and remedy; the others are recorded.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal

from sqlalchemy import Connection, select

from leadnurture import engine
from leadnurture.domain.company import Company
from leadnurture.domain.condition import Value
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import BUILT_IN_FACTS
from leadnurture.engine import Obstacle
from leadnurture.errors import InvalidInputError
from leadnurture.imports.told import (
    LEAD,
    NO_SEAT,
    REACTION,
    Fault,
    ToldAttendance,
    ToldDeal,
    ToldLead,
    ToldReaction,
    checked,
    items_of,
    nearest,
    no_seat,
    typed_facts,
    unclear_session,
    unknown_names,
)
from leadnurture.inbox import Item, Post, Read, keep_items
from leadnurture.store import Database
from leadnurture.store.tables import metadata

SOURCE: Final = "api"
OUTCOMES: Final[Mapping[str, Literal["won", "lost"]]] = {"deal_won": "won", "deal_lost": "lost"}
DEAL_WON: Final = "account.deal_won"
NO_LEAD: Final = ("email", "no lead has this address or id", "tell of the lead by POST /api/leads first")
ITEM: Final = metadata.tables["inbox_item"]
_DEAL: Final = metadata.tables["deal"]


@dataclass
class Outcome:
    """What became of a post's items."""

    told: int
    recorded: int = 0
    duplicates: int = 0
    faults: list[Fault] = field(default_factory=list)
    refused: list[Fault] = field(default_factory=list)
    """Seats that were asked for and are not to be had: understood, and answered with no."""

    @property
    def faulty(self) -> int:
        """How many items cannot be used."""
        return len({fault.item for fault in self.faults})

    @property
    def problems(self) -> list[Fault]:
        """What was not done, in the order of the call."""
        return sorted([*self.faults, *self.refused], key=attrgetter("item"))

    def read(self) -> Read:
        """As the inbox counts. InvalidInputError where nothing of it can be used."""
        if self.told and self.faulty == self.told:
            first = self.faults[0]
            raise InvalidInputError(f"No item can be used; the first: {first.at} {first.problem}".strip())
        return Read(self.told, self.recorded, self.duplicates, not_understood=self.faulty)


# --- reactions -----------------------------------------------------------------------------------------


def read_reactions(database: Database, post: Post, now: datetime) -> Outcome:
    """Records reactions, deals and closed attendance lists. InvalidInputError for what is no JSON."""
    items = items_of(post.body)
    good, faults = checked(items, REACTION, tagged=True)
    outcome = Outcome(len(items), faults=faults)
    definitions = _definitions(database)
    for index, told in list(good.items()):
        if fault := _fault_of(told, definitions, now):
            outcome.faults.append(Fault(index, *fault, id=told.id))
            del good[index]
    reactions = {i: told for i, told in good.items() if isinstance(told, ToldReaction)}
    refused = _refused_before(database, post, reactions)
    fresh = {i: told for i, told in reactions.items() if i not in refused}
    refused |= _record(database, fresh, outcome, now)
    for i, obstacle in refused.items():
        fault = no_seat(reactions[i], obstacle, definitions, now)
        outcome.refused.append(Fault(i, *fault, id=reactions[i].id))
    _set_deals(database, {i: told for i, told in good.items() if isinstance(told, ToldDeal)}, outcome, now)
    for index, attendance in good.items():
        if isinstance(attendance, ToldAttendance):
            _close(database, index, attendance, outcome, now)
    faulty = {fault.item for fault in outcome.faults}
    told_of = {i: (told.id, told.kind) for i, told in good.items() if i not in faulty}
    _remember(database, post, told_of, outcomes=refused)
    return outcome


def _close(database: Database, index: int, told: ToldAttendance, outcome: Outcome, now: datetime) -> None:
    try:
        engine.close_session(database, told.content, told.session, told.attended, now, SOURCE)
    except InvalidInputError as error:
        outcome.faults.append(Fault(index, "session", str(error), "tell it when it is over", id=told.id))
    else:
        outcome.recorded += 1


def _fault_of(
    told: ToldReaction | ToldDeal | ToldAttendance, definitions: Definitions, now: datetime
) -> tuple[str, str, str] | None:
    if isinstance(told, ToldDeal):
        return None
    if fault := unknown_names(told.content, told.session, definitions):
        return fault
    if isinstance(told, ToldReaction) and told.content is not None and told.session is None:
        return unclear_session(told.kind, told.content, told.at, definitions, now)
    return None


def _definitions(database: Database) -> Definitions:
    with database.read() as connection:
        return engine.current_definitions(connection)


def _record(
    database: Database,
    told: Mapping[int, ToldReaction],
    outcome: Outcome,
    now: datetime,
) -> dict[int, Obstacle]:
    """The result is what hinders the seats that were asked for in vain, by index."""
    if not told:
        return {}
    with database.read() as connection:
        leads = _leads_of(connection, told)
    reactions = [
        engine.NewReaction(
            kind=item.kind,
            key=item.id,
            source=SOURCE,
            at=item.at,
            lead_id=leads.get(index),
            content=item.content,
            session=item.session,
            argument=item.argument,
            is_wish=item.if_free,
        )
        for index, item in told.items()
    ]
    recorded = engine.record_reactions(database, reactions, now)
    indexes = list(told)
    outcome.recorded += recorded.recorded
    outcome.duplicates += recorded.duplicates
    outcome.faults += [Fault(indexes[i], *NO_LEAD, id=told[indexes[i]].id) for i in recorded.unknown]
    return {indexes[i]: obstacle for i, obstacle in recorded.refused.items()}


def _refused_before(database: Database, post: Post, told: Mapping[int, ToldReaction]) -> dict[int, Obstacle]:
    """Wishes that were answered with no: the same id gets the same answer, also when a post is read again."""
    wishes = {item.id: index for index, item in told.items() if item.if_free}
    if not wishes:
        return {}
    asked = ITEM.c.source == post.source, ITEM.c.key.in_(wishes), ITEM.c.outcome.in_(NO_SEAT)
    with database.read() as connection:
        rows = connection.execute(select(ITEM.c.key, ITEM.c.outcome).where(*asked)).all()
    return {wishes[row.key]: row.outcome for row in rows}


def _set_deals(database: Database, told: Mapping[int, ToldDeal], outcome: Outcome, now: datetime) -> None:
    if not told:
        return
    with database.read() as connection:
        leads = _leads_of(connection, told)
        known = _known(connection, _DEAL.c.key, [f"{SOURCE}:{item.id}" for item in told.values()])
    for index, item in told.items():
        lead_id = leads.get(index)
        key = f"{SOURCE}:{item.id}"
        if lead_id is None:
            outcome.faults.append(Fault(index, *NO_LEAD, id=item.id))
        elif key in known:
            outcome.duplicates += 1
        else:
            engine.set_deal(database, lead_id, OUTCOMES[item.kind], item.value, key, now)
            outcome.recorded += 1


def _leads_of(connection: Connection, told: Mapping[int, ToldReaction | ToldDeal]) -> dict[int, int]:
    """The leads of the items, by index; two statements a system."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for item in told.values():
        for system, key in item.known_as:
            wanted[system].add(key)
    known = {system: engine.leads_by_key(connection, system, keys) for system, keys in wanted.items()}
    found = {
        index: next((known[system][key] for system, key in item.known_as if key in known[system]), None)
        for index, item in told.items()
    }
    return {index: lead_id for index, lead_id in found.items() if lead_id is not None}


def _known(connection: Connection, column: Any, keys: Sequence[str], *where: Any) -> set[str]:  # noqa: ANN401 - columns
    return set(connection.scalars(select(column).where(column.in_(keys), *where)))


# --- leads ---------------------------------------------------------------------------------------------


def read_leads(database: Database, post: Post, now: datetime) -> Outcome:
    """Creates leads, or changes what is said of them; who has an address already is that lead."""
    items = items_of(post.body)
    good, faults = checked(items, LEAD)
    outcome = Outcome(len(items), faults=faults)
    fresh = _not_told_before(database, post, good, outcome)
    inputs = _inputs(fresh, _definitions(database).company, outcome)
    if inputs:
        engine.import_leads(database, list(inputs.values()), now, SOURCE)
        # After the import: who dies in between imports the same again, which is harmless.
        _remember(database, post, {index: (fresh[index].id, "lead") for index in inputs})
    outcome.recorded = len(inputs)
    return outcome


def _not_told_before(
    database: Database, post: Post, told: Mapping[int, ToldLead], outcome: Outcome
) -> dict[int, ToldLead]:
    """Those whose id is new: a late repetition must not undo what was told after it."""
    keys = {index: _key(post, index, item.id) for index, item in told.items()}
    with database.read() as connection:
        seen = _known(connection, ITEM.c.key, list(keys.values()), ITEM.c.source == post.source)
    fresh: dict[int, ToldLead] = {}
    for index, item in told.items():
        if keys[index] in seen:
            outcome.duplicates += 1
        else:
            fresh[index] = item
            seen.add(keys[index])
    return fresh


def _key(post: Post, index: int, told: str | None) -> str:
    """The teller's id; without one, the place where it was told."""
    return told or f"post {post.id} item {index}"


def _remember(
    database: Database,
    post: Post,
    told: Mapping[int, tuple[str | None, str]],
    outcomes: Mapping[int, str] = MappingProxyType({}),
) -> None:
    """`outcomes` is what became of those that were not recorded."""
    items = [
        Item(index, _key(post, index, key), kind, outcome=outcomes.get(index, "recorded"))
        for index, (key, kind) in told.items()
    ]
    if items:
        database.run(lambda connection: keep_items(connection, post, items))


def _inputs(told: Mapping[int, ToldLead], company: Company, outcome: Outcome) -> dict[int, engine.LeadInput]:
    kinds = {DEAL_WON: BUILT_IN_FACTS[DEAL_WON]} | dict(company.facts)
    owners = [name for person in company.people for name in (person.id, person.email)]
    inputs: dict[int, engine.LeadInput] = {}
    for index, item in told.items():
        facts, fault = typed_facts(item.facts, kinds)
        if item.owner and item.owner not in owners:
            remedy = nearest(item.owner, [person.id for person in company.people])
            fault = ("owner", f'unknown person "{item.owner}"', remedy)
        if fault:
            outcome.faults.append(Fault(index, *fault, id=item.id))
        else:
            inputs[index] = _input(item, facts)
    return inputs


def _input(told: ToldLead, facts: Mapping[str, Value]) -> engine.LeadInput:
    plain = told.model_dump(exclude={"id", "facts", "consents"})
    consents = tuple((item.purpose, item.given_at, item.source, item.wording) for item in told.consents)
    return engine.LeadInput(**plain, facts=facts, consents=consents)

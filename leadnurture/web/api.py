"""`POST /api/leads` and `/api/reactions`: other systems tell what they know. Every call may be repeated.

An answer of 200 means that all of it is in the database, 207 that some of it is (the body says which is not,
and why), 422 that nothing of it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from leadnurture import engine
from leadnurture.domain.company import Company
from leadnurture.domain.condition import Value
from leadnurture.domain.vocabulary import BUILT_IN_FACTS
from leadnurture.web import lookup
from leadnurture.web.site import Here, Site
from leadnurture.web.told import (
    LEAD,
    REACTION,
    Fault,
    ToldAttendance,
    ToldDeal,
    ToldLead,
    ToldReaction,
    checked,
    items_of,
    nearest,
    typed_facts,
    unknown_names,
)

SOURCE: Final = "api"
OUTCOMES: Final[Mapping[str, Literal["won", "lost"]]] = {"deal_won": "won", "deal_lost": "lost"}
DEAL_WON: Final = "account.deal_won"
NO_LEAD: Final = ("email", "no lead has this address", "tell of the lead by POST /api/leads first")


async def body_of(request: Request) -> bytes:
    """The body as it came; the guard has measured it."""
    return await request.body()


Body = Annotated[bytes, Depends(body_of)]
router = APIRouter(prefix="/api")


@dataclass
class _Outcome:
    """What became of a call's items."""

    told: int
    recorded: int = 0
    duplicates: int = 0
    faults: list[Fault] = field(default_factory=list)

    def answer(self) -> JSONResponse:
        """200 for all, 207 for some, 422 for none."""
        faulty = len({fault.item for fault in self.faults})
        status = 200 if not faulty else 422 if faulty == self.told else 207
        said = {"recorded": self.recorded, "duplicates": self.duplicates}
        return JSONResponse(
            said | {"problems": [asdict(fault) for fault in sorted(self.faults, key=attrgetter("item"))]},
            status,
        )


@router.post("/reactions")
def record_reactions(body: Body, site: Here) -> JSONResponse:
    """Records reactions, deals and closed attendance lists."""
    items = items_of(body)
    good, faults = checked(items, REACTION, tagged=True)
    outcome = _Outcome(len(items), faults=faults)
    definitions = site.definitions()
    for index, told in list(good.items()):
        if not isinstance(told, ToldDeal) and (unknown := unknown_names(told, definitions)):
            outcome.faults.append(Fault(index, *unknown, id=told.id))
            del good[index]
    _record(site, {i: told for i, told in good.items() if isinstance(told, ToldReaction)}, outcome)
    _set_deals(site, {i: told for i, told in good.items() if isinstance(told, ToldDeal)}, outcome)
    for attendance in good.values():
        if isinstance(attendance, ToldAttendance):
            _close(site, attendance, outcome)
    return outcome.answer()


def _record(site: Site, told: Mapping[int, ToldReaction], outcome: _Outcome) -> None:
    if not told:
        return
    reactions = [
        engine.NewReaction(
            kind=item.kind,
            key=item.id,
            source=SOURCE,
            at=item.at,
            email=item.email,
            content=item.content,
            session=item.session,
            argument=item.argument,
        )
        for item in told.values()
    ]
    recorded = engine.record_reactions(site.project.database, reactions, site.project.clock())
    indexes = list(told)
    outcome.recorded += recorded.recorded
    outcome.duplicates += recorded.duplicates
    outcome.faults += [Fault(indexes[i], *NO_LEAD, id=told[indexes[i]].id) for i in recorded.unknown]


def _set_deals(site: Site, told: Mapping[int, ToldDeal], outcome: _Outcome) -> None:
    if not told:
        return
    database = site.project.database
    with database.read() as connection:
        leads = lookup.leads_by_email(connection, [item.email for item in told.values()])

        known = lookup.known_deals(connection, [f"{SOURCE}:{item.id}" for item in told.values()])
    for index, item in told.items():
        lead_id = leads.get(item.email.casefold())
        key = f"{SOURCE}:{item.id}"
        if lead_id is None:
            outcome.faults.append(Fault(index, *NO_LEAD, id=item.id))
        elif key in known:
            outcome.duplicates += 1
        else:
            engine.set_deal(database, lead_id, OUTCOMES[item.kind], item.value, key, site.project.clock())
            outcome.recorded += 1


def _close(site: Site, told: ToldAttendance, outcome: _Outcome) -> None:
    engine.close_session(
        site.project.database, told.content, told.session, told.attended, site.project.clock(), SOURCE
    )
    outcome.recorded += 1


@router.post("/leads")
def import_leads(body: Body, site: Here) -> JSONResponse:
    """Creates leads, or changes what is said of them; who has an address already is that lead."""
    items = items_of(body)
    good, faults = checked(items, LEAD)
    outcome = _Outcome(len(items), faults=faults)
    fresh = _not_told_before(site, good, outcome)
    inputs = _inputs(fresh, site.definitions().company, outcome)
    if inputs:
        engine.import_leads(site.project.database, list(inputs.values()), site.project.clock(), SOURCE)
        _remember(site, [fresh[index] for index in inputs])
    outcome.recorded = len(inputs)
    return outcome.answer()


def _not_told_before(site: Site, told: Mapping[int, ToldLead], outcome: _Outcome) -> dict[int, ToldLead]:
    """Those whose id is new: a late repetition must not undo what was told after it."""
    with site.project.database.read() as connection:
        seen = lookup.known_tellings(connection, SOURCE, [item.id for item in told.values() if item.id])
    fresh: dict[int, ToldLead] = {}
    for index, item in told.items():
        if item.id in seen:
            outcome.duplicates += 1
        else:
            fresh[index] = item
            seen |= {item.id} if item.id else set()
    return fresh


def _remember(site: Site, told: Sequence[ToldLead]) -> None:
    """After the import: who dies in between imports the same again, which is harmless."""
    now = site.project.clock()
    rows = [(item.id, item.model_dump_json(exclude_unset=True)) for item in told if item.id]
    if rows:
        site.project.database.run(lambda connection: lookup.remember_tellings(connection, SOURCE, rows, now))


def _inputs(told: Mapping[int, ToldLead], company: Company, outcome: _Outcome) -> dict[int, engine.LeadInput]:
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

"""Whom a name stands for, who is there to act, and whose turn it is. Pure.

One idea to hold: people take turns by a window of what they got last, not by totals. Whoever was away or is
new gets what is due from now on, instead of everything until the totals are even.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company, Person

SALES: Final = "sales"
SALES_LEAD: Final = "sales lead"
# The names that stand for whoever owns the lead's account.
ACCOUNT_OWNER: Final = frozenset({"account.owner", "account manager", "owner"})
ACCOUNT_MANAGERS_LEAD: Final = "account manager's lead"


def meant_by(company: Company, name: str, owner: str | None) -> tuple[Person, ...]:
    """The people for whom a name stands: a person's id, the account's owner, or everybody of a role."""
    if name in ACCOUNT_OWNER:
        return tuple(person for person in company.people if owner in {person.id, person.email})
    named = tuple(person for person in company.people if person.id == name)
    return (
        named
        or _of_role(company, name)
        or (_of_role(company, SALES_LEAD) if name == ACCOUNT_MANAGERS_LEAD else ())
    )


def is_away(person: Person, company: Company, now: datetime) -> bool:
    """Whether it is a day of absence where the person lives."""
    today = now.astimezone(ZoneInfo(person.zone or company.zone)).date()
    return any(begins <= today <= ends for begins, ends in person.away)


def stand_in(person: Person, company: Company, now: datetime) -> Person | None:
    """The person, else the first of the deputies who is there."""
    asked: set[str] = set()
    candidate: Person | None = person
    while candidate is not None and candidate.id not in asked:
        if not is_away(candidate, company, now):
            return candidate
        asked.add(candidate.id)
        candidate = by_id(company, candidate.deputy)
    return None


def those_there(people: Sequence[Person], company: Company, now: datetime) -> tuple[Person, ...]:
    """Who of them is there, as often as they stand in the list; only when nobody is, their deputies."""
    there = tuple(person for person in people if not is_away(person, company, now))
    if there:
        return there
    deputies = (stand_in(person, company, now) for person in people)
    return tuple(deputy for deputy in deputies if deputy is not None)


def last_resort(company: Company, agreement: Agreement, now: datetime) -> Person:
    """Who gets what nobody else can take: the sales lead, anyone in sales, whoever agreed for sales."""
    for people in (_of_role(company, SALES_LEAD), _of_role(company, SALES)):
        there = those_there(people, company, now)
        if there:
            return there[0]
    agreed = by_id(company, dict(agreement.agreed).get(SALES))
    return agreed or (*_of_role(company, SALES_LEAD), *_of_role(company, SALES), *company.people)[0]


def whose_turn(cycle: Sequence[Person], newest_first: Iterable[str]) -> Person:
    """Who is next: in any stretch as long as the cycle everybody comes as often as he stands in it."""
    open_turns = list(cycle)
    names = {person.id for person in cycle}
    taken = [name for name in newest_first if name in names][: len(cycle) - 1]
    for name in taken:
        turn = next((person for person in open_turns if person.id == name), None)
        if turn is not None:
            open_turns.remove(turn)
    return open_turns[0]


def by_id(company: Company, person_id: str | None) -> Person | None:
    """The person of that id; None when it is nobody's."""
    return next((person for person in company.people if person.id == person_id), None)


def _of_role(company: Company, role: str) -> tuple[Person, ...]:
    return tuple(person for person in company.people if person.role == role)

"""What is told of leads as the rows of one batch: who is the same person, which columns, which words. Pure.

One idea to hold: a row is known by the address under which its person is told; whoever shares an address or an id
with an earlier row of the batch goes under that one's.
"""

import functools
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Final
from zoneinfo import available_timezones

from leadnurture.domain.company import Company
from leadnurture.domain.condition import Value
from leadnurture.domain.words import words_of, words_of_address
from leadnurture.engine.facts import stored_value
from leadnurture.engine.freemail import FREE_MAIL
from leadnurture.engine.identity import CRM, EMAIL, OURS, email_key

LEGAL_FORMS: Final = frozenset(
    {
        "gmbh", "ag", "kg", "se", "ltd", "inc", "llc", "sa", "bv", "ab", "as", "oy", "plc", "co", "limited",
        "srl", "spa",
    }
)  # fmt: skip
_WORD: Final = re.compile(r"[^\W_]+")
FIRST: Final = frozenset({"email", "email_key", "domain"})
"""Of the same person twice in a batch, these stay those of the first row."""
ORIGIN: Final = frozenset({"source"})
"""Where somebody came from stays what was told of it first."""


@dataclass(frozen=True, slots=True)
class LeadInput:
    """What somebody tells of a lead. Empty means not told."""

    email: str
    first_name: str = ""
    last_name: str = ""
    account: str = ""
    """Name of the account; without one, the domain of a company's address names it."""
    country: str = ""
    language: str = ""
    role: str = ""
    zone: str = ""
    source: str = ""
    owner: str = ""
    """Id or address of the person who owns the account."""
    crm_id: str = ""
    addresses: Sequence[str] = ()
    """Further ones of the same person."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """His ids on platforms, by the platform's name."""
    facts: Mapping[str, Value] = field(default_factory=dict)
    """By full name, `account.` before those of the account."""
    tags: Sequence[str] = ()
    interests: Sequence[str] = ()
    products: Sequence[str] = ()
    consents: Sequence[tuple[str, datetime | None, str, str]] = ()
    """(purpose, given at, source, wording)."""
    withdrawn: Sequence[str] = ()


def one_person(leads: Sequence[LeadInput]) -> dict[str, str]:
    """The address under which each lead of a batch is told: of whoever shares an address or an id, the first."""
    first: dict[tuple[str, str], str] = {}
    same: dict[str, str] = {}
    for lead in leads:
        own = email_key(lead.email)
        told = [(EMAIL, own), *_keys(lead)]
        person = next((first[key] for key in told if key in first), own)
        person = same.setdefault(own, person)
        for key in told:
            first.setdefault(key, person)
    return same


def _keys(lead: LeadInput) -> list[tuple[str, str]]:
    """By what else somebody says that he is known."""
    if not (lead.crm_id or lead.addresses or lead.keys):  # as most are
        return []
    addresses = [(EMAIL, email_key(address)) for address in lead.addresses if "@" in address]
    platforms = [(system.casefold(), key) for system, key in lead.keys.items() if key]
    return [
        *addresses,
        *([(CRM, lead.crm_id)] if lead.crm_id else []),
        *((system, key) for system, key in platforms if system not in OURS),
    ]


def rows_of(leads: Sequence[LeadInput], same: Mapping[str, str], company: Company) -> list[dict[str, Any]]:
    """A row of `work_import` for each person of a batch."""
    merged, words = _merged(leads, same, company), _words(leads, same)
    of_accounts = _account_words(merged)
    return [
        {
            "position": place,
            "words": _texts(words[key]),
            "account_words": of_accounts.get(key),
            **row,
        }
        for place, (key, row) in enumerate(merged.items())
    ]


def _merged(
    leads: Sequence[LeadInput], same: Mapping[str, str], company: Company
) -> dict[str, dict[str, Any]]:
    """The rows by address: of the same person twice in a batch the later adds to the earlier.

    An account without a name bears the one that a colleague's row gives, else that of its domain.
    """
    merged: dict[str, dict[str, Any]] = {}
    owners = {person.email.casefold(): person.id for person in company.people}
    for lead in leads:
        row = merged.setdefault(same[email_key(lead.email)], {})
        for name, value in _columns(lead, owners).items():
            is_kept = name in FIRST or (name in ORIGIN and row.get(name))
            if name not in row or (value and not is_kept):
                row[name] = value
    named = {
        row["domain"]: row["account"] for row in reversed(merged.values()) if row["domain"] and row["account"]
    }
    for row in merged.values():
        derived = row["domain"].split(".")[0].title() if row["domain"] else ""
        name = row["account"] or named.get(row["domain"], derived)
        row["zone"] = row["zone"] or company.zone
        row["account"] = name
        row["account_key"] = account_key(name) if name else None
        row["derived_key"] = account_key(derived) if derived else None
    return merged


@functools.cache
def _zones() -> frozenset[str]:
    """The names of all zones; asking for them reads a folder."""
    return frozenset(available_timezones())


def account_key(name: str) -> str:
    """A company's name for matching: case and legal form do not count."""
    words = _WORD.findall(name.casefold())
    core = [word for word in words if word not in LEGAL_FORMS]
    return " ".join(core or words)


def _columns(lead: LeadInput, owners: Mapping[str, str]) -> dict[str, Any]:
    email = lead.email.strip()
    domain = email.rpartition("@")[2].casefold()
    owns_domain = "." in domain and domain not in FREE_MAIL
    valid = lead.zone in _zones()
    return {
        "email": email,
        "email_key": email_key(email),
        "first_name": lead.first_name.strip(),
        "last_name": lead.last_name.strip(),
        "account": lead.account.strip(),
        "domain": domain if owns_domain else None,
        "country": lead.country.strip(),
        "language": lead.language.strip(),
        "role": lead.role.strip().casefold(),
        "source": lead.source.strip(),
        "zone": lead.zone if valid else "",
        "zone_given": lead.zone,
        "owner": owners.get(lead.owner.casefold(), lead.owner) or None,
        "luck": random.getrandbits(31),
        "crm_id": lead.crm_id or None,
    }


def said_of(leads: Sequence[LeadInput], same: Mapping[str, str], now: datetime) -> Iterator[dict[str, Any]]:
    """The rows of `work_said`: keys, facts, tags, interests, products, consents, a line each."""
    for lead in leads:
        own = email_key(lead.email)
        key = same[own]
        for system, known_as in (*_keys(lead), *([(EMAIL, own)] if own != key else [])):
            if system != CRM and (system, known_as) != (EMAIL, key):
                yield _line(key, "key", system, text=known_as)
        for name, value in lead.facts.items():
            text, number = stored_value(value, now.date())
            yield _line(
                key,
                "account_fact" if name.startswith("account.") else "lead_fact",
                name.removeprefix("account."),
                text=text,
                number=number,
            )
        for kind, names in (
            ("tag", lead.tags),
            ("product", lead.products),
            ("interest", lead.interests),
            ("withdrawn", lead.withdrawn),
        ):
            for name in names:
                yield _line(key, kind, name)
        for purpose, at, source, wording in lead.consents:
            given_at = min(at or now, now)  # one of tomorrow would outlive a withdrawal of today
            yield _line(key, "consent", purpose, text=source, at=given_at, wording=wording)


def _line(
    key: str,
    kind: str,
    name: str,
    *,
    text: str | None = None,
    number: float | None = None,
    at: datetime | None = None,
    wording: str = "",
) -> dict[str, Any]:
    return {
        "email_key": key,
        "kind": kind,
        "name": name,
        "text": text,
        "number": number,
        "at": at,
        "wording": wording,
    }


def _words(leads: Iterable[LeadInput], same: Mapping[str, str]) -> dict[str, set[str]]:
    """By which words each of them is found, by the address under which he is told."""
    found: dict[str, set[str]] = defaultdict(set)
    for lead in leads:
        words = found[same[email_key(lead.email)]]
        words |= words_of(lead.first_name, lead.last_name) | words_of_address(lead.email)
        for system, known_as in _keys(lead):
            words |= words_of_address(known_as) if system == EMAIL else words_of(known_as)
    return found


def _account_words(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Those of each account as JSON, at the first of its people."""
    first = {row["account"]: key for key, row in reversed(list(rows.items())) if row["account"]}
    return {key: _texts(words_of(account)) for account, key in first.items()}


def _texts(words: Iterable[str]) -> str:
    """As JSON. `json.dumps` makes an encoder each time, which takes longer than the words of one lead."""
    return f"[{','.join(map(encode_basestring_ascii, words))}]"

"""`config/leadnurture.yaml` → `domain.company`: sender, calendar, people, and the facts that it declares.

The names that it declares are read first, by `declared`: its own condition and all other files use them.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from runpy import run_path
from typing import Final

from leadnurture.definitions import conditions, files, times
from leadnurture.definitions.names import DECLARE_LOCALE, NAME, NAME_RULE, ROLES, Names
from leadnurture.definitions.nodes import Entry, Items, Map, Node, Scalar
from leadnurture.definitions.problems import MistakeError, Report, listed, meant, unknown
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.references import person
from leadnurture.definitions.values import parsed, text_of
from leadnurture.domain.company import Company, Person, WorkingHours
from leadnurture.domain.condition import Condition
from leadnurture.domain.language import SPOKEN, base
from leadnurture.domain.vocabulary import BUILT_IN_FACTS, FACT_KINDS, REACTION_KINDS, FactKind

FILE: Final = "config/leadnurture.yaml"
FACT: Final = re.compile(r"(account\.)?[a-z][a-z0-9_]*")
ADDRESS: Final = re.compile(r"[^@\s<>\"]+@[^@\s<>\".]+(\.[^@\s<>\".]+)+")
LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
RESERVED: Final = frozenset({
    *conditions.FIGURES, *conditions.WORDS, *conditions.HAVING, *REACTION_KINDS,
    "days_until", "account", "within", "untag", "account.open_handoff",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """What a company's file declares for all others."""

    facts: dict[str, FactKind] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()
    locales: frozenset[str] = frozenset({"en"})
    people: frozenset[str] = frozenset()
    roles: frozenset[str] = ROLES


def declared(node: Node | None, report: Report) -> Declared:
    """The names that the file declares; reports what is wrong about them."""
    if not isinstance(node, Map):
        return Declared()
    fields = Fields(node, files.Company, report)
    people = fields.entries("people")
    return Declared(
        facts=dict(_fact(entry, report) for entry in fields.entries("facts")),
        topics=frozenset(_topic(scalar, report) for scalar in fields.scalars("topics")),
        locales=frozenset(scalar.text for scalar in fields.scalars("locales")) or frozenset({"en"}),
        people=frozenset(entry.key.text for entry in people),
        roles=ROLES | {role for entry in people if (role := _role(entry.value))},
    )


def read_company(node: Node | None, names: Names, report: Report) -> Company:
    """The company; a value that is not readable is reported and stands as an empty one."""
    fields = Fields(node, files.Company, report)
    sender = Fields(fields.node("sender"), files.Sender, report)
    locales = _locales(fields, report)
    sender_name, *translations = _sender_names(sender, locales, report)
    return Company(
        name=fields.text("name"),
        postal_address=fields.text("postal address"),
        sender_name=sender_name[1],
        sender_translations=tuple(translations),
        sender_address=sender.parsed("address", _address, ""),
        url=fields.parsed("url", address_of_page, "").rstrip("/"),
        zone=fields.parsed("zone", times.zone, ""),
        client=fields.condition("client", names, conditions.FACTS) or Condition("", conditions.NEVER),
        hours=fields.parsed("hours", times.hours, WorkingHours()),
        holidays=fields.parsed("holidays", holidays, None),
        locales=locales,
        topics=tuple(scalar.text for scalar in fields.scalars("topics")),
        facts=tuple((name, names.facts[name]) for name in names.facts if name in names.declared),
        crm_link=fields.parsed("crm link", _crm_link, ""),
        people=tuple(_person(entry, names, report) for entry in fields.entries("people")),
    )


def holidays(text: str) -> str:
    """`DE-HE`, unchanged, if the package `holidays` knows it. Loads only that one country."""
    from holidays import registry  # noqa: PLC0415  # costs a tenth of a second, only who has holidays pays

    country, _, state = text.partition("-")
    modules = {codes[1]: (module, codes[0]) for module, codes in registry.COUNTRIES.items()}
    if country not in modules:
        remedy = "write its two letters, as in DE-HE or AT"
        raise MistakeError(unknown("country of holidays", country, modules, remedy))
    module, name = modules[country]
    # By its file: by its name, all two hundred would be imported, for half a second.
    states = run_path(str(Path(registry.__file__).parent / "countries" / f"{module}.py"))[name].subdivisions
    if state and state not in states:
        raise MistakeError(
            unknown(f"state of {country}", state, states, f"there is {listed(states or ['none'])}")
        )
    return text


def address_of_page(text: str) -> str:
    """An http or https address, unchanged."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise MistakeError(f'"{text}" is not an address of a page; it begins with https://')
    return text


def _crm_link(text: str) -> str:
    if "{id}" not in text:
        raise MistakeError(
            f'"{text}" does not say where the id stands; write https://crm.example.com/leads/{{id}}'
        )
    return address_of_page(text)


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise MistakeError(f'"{text}" is not an e-mail address; write it as in news@example.com')
    return text


def _fact(entry: Entry, report: Report) -> tuple[str, FactKind]:
    name = entry.key.text
    if not FACT.fullmatch(name) or any(keyword.iskeyword(part) for part in name.split(".")):
        example = "small letters, digits and _, as in account.contract_ends_on"
        report.error(entry.key.place, f'"{name}" cannot be the name of a fact; write {example}')
    elif name in RESERVED - set(BUILT_IN_FACTS):
        report.error(entry.key.place, f'"{name}" is a word of the language; choose another name for the fact')
    return name, _kind(entry, report)


def _kind(entry: Entry, report: Report) -> FactKind:
    kind = text_of(entry.value, f'"{entry.key.text}"', report)
    built_in = BUILT_IN_FACTS.get(entry.key.text)
    if kind is not None and kind not in FACT_KINDS:
        report.unknown(entry.value.place, "kind of fact", kind, FACT_KINDS)
    elif kind and built_in and kind != built_in:
        sentence = f'"{entry.key.text}" is known of everybody and is a {built_in}; leave it out'
        report.error(entry.value.place, sentence)
    return next((known for known in FACT_KINDS if kind and known == meant(kind, FACT_KINDS)), "text")


def _topic(scalar: Scalar, report: Report) -> str:
    if not NAME.fullmatch(scalar.text):
        report.error(scalar.place, f'"{scalar.text}" cannot be the name of a topic; write {NAME_RULE}')
    return scalar.text


def _role(node: Node) -> str | None:
    role = node.get("role") if isinstance(node, Map) else None
    return role.text if isinstance(role, Scalar) else None


def _sender_names(sender: Fields, locales: tuple[str, ...], report: Report) -> list[tuple[str, str]]:
    """The name of the sender by locale, the first one's first."""
    node = sender.node("name")
    if not isinstance(node, Map):
        return [(locales[0], sender.text("name"))]
    entries = sender.entries("name")
    names = {entry.key.text: text_of(entry.value, "a name", report) or "" for entry in entries}
    for entry in entries:
        if entry.key.text not in locales:
            report.unknown(entry.key.place, "locale", entry.key.text, locales, DECLARE_LOCALE)
    if locales[0] not in names:
        report.error(node.place, f"the name in {locales[0]} is missing; it serves every reader without one")
    return [(locales[0], names.pop(locales[0], "")), *names.items()]


def _locales(fields: Fields, report: Report) -> tuple[str, ...]:
    locales: list[str] = []
    for scalar in fields.scalars("locales"):
        locale = scalar.text
        if not LOCALE.fullmatch(locale):
            sentence = f'"{locale}" is not a language; write its letters, as in en or de-CH'
            report.error(scalar.place, sentence)
        elif locale in locales:
            report.error(scalar.place, f'"{locale}" stands here twice; leave it out')
        elif base(locale) not in SPOKEN:
            spoken = listed(SPOKEN)
            sentence = f"dates and public pages are told in {spoken}; who reads {locale} sees them in English"
            report.warn(scalar.place, sentence)
        locales.append(locale)
    return tuple(locales) or ("en",)


def _person(entry: Entry, names: Names, report: Report) -> Person:
    fields = Fields(entry.value, files.Person, report, entry.key.place)
    name = entry.key.text
    if not NAME.fullmatch(name):
        report.error(entry.key.place, f'"{name}" cannot be the short name of a person; write {NAME_RULE}')
    elif name in names.roles:
        report.error(entry.key.place, f'"{name}" is a role; choose another short name for the person')
    return Person(
        id=name,
        name=fields.text("name"),
        email=fields.parsed("email", _address, ""),
        role=fields.text("role"),
        zone=fields.parsed("zone", times.zone, None),
        away=_away(fields, report),
        deputy=_deputy(fields, name, names, report),
    )


def _away(fields: Fields, report: Report) -> tuple[tuple[date, date], ...]:
    node = fields.node("away")
    parts = node.items if isinstance(node, Items) else (node,) if node else ()
    spans = (parsed(part, "away", times.days, report, None) for part in parts)
    return tuple(span for span in spans if span)


def _deputy(fields: Fields, name: str, names: Names, report: Report) -> str | None:
    deputy = person(fields, "deputy", names.people, report)
    if deputy == name:
        report.error(fields.at("deputy"), f"{name} cannot be the deputy of {name}; name somebody else")
    return deputy

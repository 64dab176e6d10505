"""One row of a table as a lead: which column is which, and what stands in it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from leadnurture.domain.condition import Value
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import BUILT_IN_FACTS, FactKind
from leadnurture.engine import LeadInput
from leadnurture.errors import InvalidInputError
from leadnurture.imports import cells
from leadnurture.imports.cells import UnusableCellError

REASON: Final = "reason"
ACCOUNT: Final = "account."
AT: Final = "id_at_"
"""A column `id at zoom` holds the ids of leads on the platform `zoom`."""
# What spreadsheets call our columns, without capitals, blanks, dots and dashes.
SPELLINGS: Final[Mapping[str, str]] = {
    "email": "email", "e_mail": "email", "mail": "email", "email_address": "email", "address": "email",
    "first_name": "first_name", "firstname": "first_name", "given_name": "first_name",
    "last_name": "last_name", "lastname": "last_name", "surname": "last_name", "family_name": "last_name",
    "company": "account", "account": "account", "account_name": "account", "organisation": "account",
    "organization": "account", "country": "country", "language": "language", "role": "role",
    "zone": "zone", "time_zone": "zone", "timezone": "zone", "source": "source", "lead_source": "source",
    "owner": "owner", "account_owner": "owner", "account_manager": "owner", "crm_id": "crm_id",
    "further_addresses": "addresses", "other_addresses": "addresses",
    "tags": "tags", "interests": "interests", "topics": "interests", "products": "products",
    "attended": "attended", "consent": "consent", "consent_at": "consent_at", "consent_on": "consent_at",
    "consent_source": "consent_source", "consent_wording": "consent_wording", "withdrawn": "withdrawn",
}  # fmt: skip

Row = dict[str, str]


@dataclass(frozen=True)
class ImportedLead:
    """One usable row: the lead, and the contents that he attended before we knew him."""

    lead: LeadInput
    attended: tuple[str, ...] = ()


class LeadTable:
    """The columns of one file. `read` turns a row into a lead or says why it cannot."""

    def __init__(self, header: Sequence[str], definitions: Definitions, warn: Callable[[str], None]) -> None:
        self._definitions = definitions
        self._company = definitions.company
        self._zone = ZoneInfo(definitions.company.zone)
        self._warn = warn
        self._width = len(header)
        self._contents = tuple(content.name for content in definitions.contents)
        self._people = {person.email.casefold(): person.id for person in definitions.company.people}
        self._people |= {person.id.casefold(): person.id for person in definitions.company.people}
        self._columns, self._facts, self.ignored = _assign(header, _declared(definitions))

    def read(self, line: int, cells_of_row: Sequence[str], now: datetime) -> ImportedLead:
        """The lead of a row; UnusableCellError with the reason when it cannot be used."""
        missing = self._width - len(cells_of_row)
        if missing < 0:
            raise UnusableCellError(f"the row has {len(cells_of_row)} cells, the first line {self._width}")
        cells_of_row = [*cells_of_row, *[""] * missing]
        row = {name: cells_of_row[index].strip() for name, index in self._columns.items()}
        consents, withdrawn = self._consents(row, now)
        lead = LeadInput(
            email=cells.address(row["email"]),
            first_name=row.get("first_name", ""),
            last_name=row.get("last_name", ""),
            account=row.get("account", ""),
            country=cells.country(row.get("country", "")),
            language=row.get("language", "").casefold(),
            role=row.get("role", "").casefold(),
            zone=self._zone_of(line, row.get("zone", "")),
            source=row.get("source", ""),
            owner=self._owner(line, row.get("owner", "")),
            crm_id=row.get("crm_id", ""),
            addresses=tuple(map(cells.address, cells.words(row.get("addresses", "")))),
            keys={name.removeprefix(AT): row[name] for name in row if name.startswith(AT)},
            facts=self._facts_of(cells_of_row),
            tags=cells.words(row.get("tags", "")),
            interests=self._known(
                line, "interest", cells.words(row.get("interests", "")), self._company.topics
            ),
            products=cells.words(row.get("products", "")),
            consents=consents,
            withdrawn=withdrawn,
        )
        contents = [content.name for content in self._definitions.contents]
        return ImportedLead(
            lead, self._known(line, "content", cells.words(row.get("attended", "")), contents)
        )

    def _facts_of(self, row: Sequence[str]) -> dict[str, Value]:
        return {
            name: cells.fact(kind, row[index].strip(), name)
            for name, (kind, index) in self._facts.items()
            if row[index].strip()
        }

    def _zone_of(self, line: int, cell: str) -> str:
        zone = cells.zone(cell) if cell else ""
        if zone is None:
            self._warn(f'line {line}: "{cell}" is no time zone, so {self._company.zone} holds')
        return zone or ""

    def _owner(self, line: int, cell: str) -> str:
        owner = self._people.get(cell.casefold()) if cell else ""
        if owner is None:
            self._warn(f'line {line}: "{cell}" is none of the company\'s people, so the account has no owner')
        return owner or ""

    def _known(self, line: int, what: str, words: tuple[str, ...], known: Sequence[str]) -> tuple[str, ...]:
        for word in words:
            if word not in known:
                self._warn(f'line {line}: unknown {what} "{word}" was left out')
        return tuple(word for word in words if word in known)

    def _consents(
        self, row: Row, now: datetime
    ) -> tuple[tuple[tuple[str, datetime | None, str, str], ...], tuple[str, ...]]:
        """The purposes that the lead agreed to, with their proof; `no` and an empty cell give none."""
        said = row.get("consent", "").casefold()
        at = cells.moment(row["consent_at"], "consent at", self._zone) if row.get("consent_at") else None
        if at and at > now:
            raise UnusableCellError(f'consent at: "{row["consent_at"]}" lies in the future')
        given = (
            () if not said or said in cells.NO else self._asked() if said in cells.YES else cells.words(said)
        )
        proof = (row.get("consent_source", ""), row.get("consent_wording", ""))
        taken_back = cells.words(row.get("withdrawn", ""))
        return tuple((purpose, at, *proof) for purpose in given), taken_back

    def _asked(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a.consent for a in self._definitions.agreements if a.consent))


def _declared(definitions: Definitions) -> dict[str, FactKind]:
    return {"account.deal_won": BUILT_IN_FACTS["account.deal_won"], **dict(definitions.company.facts)}


def _assign(
    header: Sequence[str], declared: Mapping[str, FactKind]
) -> tuple[dict[str, int], dict[str, tuple[FactKind, int]], tuple[str, ...]]:
    """Which column holds what: ours, then facts, an account's also by its bare name; others are ignored."""
    columns: dict[str, int] = {}
    facts: dict[str, tuple[FactKind, int]] = {}
    ignored: list[str] = []
    by_key = {_key(name.removeprefix(ACCOUNT)): name for name in declared} | {
        _key(name): name for name in declared
    }
    for index, title in enumerate(header):
        key = _key(title)
        own, fact = SPELLINGS.get(key, key if key.startswith(AT) else None), by_key.get(key)
        if own in columns or fact in facts:
            raise InvalidInputError(f'Two columns mean the same as "{title}"; remove one of them.')
        if own:
            columns[own] = index
        elif fact:
            facts[fact] = (declared[fact], index)
        elif key and key != REASON:
            ignored.append(title)
    if "email" not in columns:
        raise InvalidInputError(f"The first line has no column email; it has {', '.join(header)[:200]}.")
    return columns, facts, tuple(ignored)


def _key(title: str) -> str:
    return re.sub(r"\W+", "_", title.strip().casefold()).strip("_")

"""One cell of a table as a value of ours, or the reason why it cannot be one. Guesses nothing.

`03/04/2027` is March in one country and April in another, `1.200` is a thousand or one: such cells go back to
whoever wrote them instead of becoming a wrong fact.
"""

import functools
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Final
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from leadnurture.domain.condition import Value
from leadnurture.domain.vocabulary import FactKind

YES: Final = frozenset({"yes", "y", "true", "1", "x", "ja"})
NO: Final = frozenset({"no", "n", "false", "0", "nein"})
DAYS: Final = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d")
MOMENTS: Final = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y %H:%M",
)
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
AMBIGUOUS_NUMBER: Final = re.compile(r"-?\d{1,3}([.,]\d{3})+")
COUNTRIES: Final[Mapping[str, str]] = {
    "austria": "AT", "österreich": "AT", "belgien": "BE", "belgium": "BE", "canada": "CA", "czechia": "CZ",
    "denmark": "DK", "deutschland": "DE", "finland": "FI", "france": "FR", "frankreich": "FR",
    "germany": "DE", "great britain": "GB", "ireland": "IE", "italien": "IT", "italy": "IT",
    "netherlands": "NL", "niederlande": "NL", "norway": "NO", "norwegen": "NO", "poland": "PL", "polen": "PL",
    "schweden": "SE", "schweiz": "CH", "singapore": "SG", "spain": "ES", "spanien": "ES", "sweden": "SE",
    "switzerland": "CH", "uk": "GB", "united kingdom": "GB", "united states": "US", "usa": "US",
}  # fmt: skip


class UnusableCellError(ValueError):
    """A cell that cannot be used; its sentence is the reason that the sender of the row reads."""


def address(cell: str) -> str:
    """A mail address that could exist; asks no name server."""
    if not cell:
        raise UnusableCellError("the address is missing")
    try:
        return validate_email(cell, check_deliverability=False).normalized
    except EmailNotValidError as error:
        said = str(error).rstrip(".")
        raise UnusableCellError(f'"{cell}" is no address: {said[0].lower()}{said[1:]}') from error


def day(cell: str, column: str) -> date:
    """A date as `2027-03-01` or `01.03.2027`."""
    for form in DAYS:
        try:
            return datetime.strptime(cell, form).date()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    raise UnusableCellError(f'{column}: "{cell}" is no date like 2027-03-01')


def moment(cell: str, column: str, zone: tzinfo) -> datetime:
    """A date, or a date with an hour, as an instant; without an offset it is local time of the zone."""
    for form in (*MOMENTS, *DAYS):
        try:
            return datetime.strptime(cell, form).replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            continue
    try:
        written = datetime.fromisoformat(cell)
    except ValueError as error:
        raise UnusableCellError(
            f'{column}: "{cell}" is no date like 2027-03-01 or 2027-03-01 14:30'
        ) from error
    return (written if written.tzinfo else written.replace(tzinfo=zone)).astimezone(UTC)


def number(cell: str, column: str) -> float:
    """A number without separators of thousands, since their meaning depends on the country."""
    if AMBIGUOUS_NUMBER.fullmatch(cell):
        raise UnusableCellError(f'{column}: "{cell}" may mean two numbers; write it without a separator')
    if not NUMBER.fullmatch(cell):
        raise UnusableCellError(f'{column}: "{cell}" is no number')
    return float(cell)


def flag(cell: str, column: str) -> bool:
    """Yes or no."""
    if cell.casefold() in YES:
        return True
    if cell.casefold() in NO:
        return False
    raise UnusableCellError(f'{column}: "{cell}" is neither yes nor no')


def fact(kind: FactKind, cell: str, column: str) -> Value:
    """The value of a declared fact."""
    match kind:
        case "date":
            return day(cell, column)
        case "number":
            return number(cell, column)
        case "flag":
            return flag(cell, column)
        case "text":
            return cell


def words(cell: str) -> tuple[str, ...]:
    """Several words in one cell, by `;` or `|`; each once, in small letters."""
    return tuple(dict.fromkeys(word.strip().casefold() for word in re.split(r"[;|]", cell) if word.strip()))


def country(cell: str) -> str:
    """Two capital letters where the country is known to us, else as it was written."""
    return COUNTRIES.get(cell.casefold()) or (cell.upper() if len(cell) == len("DE") else cell)


@functools.cache
def _zones() -> Mapping[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def zone(cell: str) -> str | None:
    """The IANA name of a zone; None when there is no such zone."""
    return _zones().get(cell.casefold().replace(" ", "_"))

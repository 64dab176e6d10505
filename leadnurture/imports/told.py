"""What callers of the API may tell, item by item: the models at the border, and what is wrong with an item.

An item that cannot be used becomes a `Fault` with place and remedy; the others of the call are recorded.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, from_json

from leadnurture.domain.condition import Value
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import STANDING_KINDS, FactKind, ReactionKind
from leadnurture.engine import CRM, EMAIL, Obstacle
from leadnurture.errors import InvalidInputError

Item = TypeVar("Item")
FACTS: Final[Mapping[FactKind, TypeAdapter[Any]]] = {
    "text": TypeAdapter(Annotated[str, Field(strict=True)]),
    "number": TypeAdapter(Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)]),
    "date": TypeAdapter(date),
    "flag": TypeAdapter(Annotated[bool, Field(strict=True)]),
}
EXAMPLES: Final[Mapping[FactKind, str]] = {
    "text": 'a text, like "energy"',
    "number": "a number, like 200",
    "date": 'a date, like "2026-12-08"',
    "flag": "true or false",
}
ANSWERING_KINDS: Final = frozenset[ReactionKind]({"visited", "submitted", "feedback"})
NO_SEAT: Final[Mapping[Obstacle, str]] = {
    "cancelled": '"{}" is cancelled',
    "over": '"{}" takes nobody any more',
    "full": 'no seat is left in "{}"',
}
MOST_ITEMS: Final = 5_000
MOST_ATTENDED: Final = 20_000


def _printable(text: str) -> str:
    if any(ord(character) < ord(" ") and character not in "\n\t" for character in text):
        raise ValueError("must not contain control characters")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_printable)]
Name = Annotated[Line, Field(min_length=1)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000), AfterValidator(_printable)]
FactValue = bool | int | float | Line


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ToldConsent(_Told):
    """That a lead agreed, with its proof."""

    purpose: Name
    given_at: AwareDatetime | None = None
    source: Line = ""
    wording: Words = ""


class ToldLead(_Told):
    """A lead as another system knows it. Only what is said is changed."""

    id: Name | None = None
    """The caller's id of this telling: a second one with the same id changes nothing."""
    email: EmailStr
    first_name: Line = ""
    last_name: Line = ""
    account: Line = ""
    country: Line = ""
    language: Line = ""
    role: Line = ""
    zone: Line = ""
    source: Line = ""
    owner: Line = ""
    crm_id: Line = ""
    addresses: tuple[EmailStr, ...] = Field(default=(), max_length=20)
    keys: dict[Name, Name] = Field(default={}, max_length=20)

    facts: dict[Name, FactValue] = Field(default={}, max_length=100)
    tags: tuple[Name, ...] = Field(default=(), max_length=100)
    interests: tuple[Name, ...] = Field(default=(), max_length=100)
    products: tuple[Name, ...] = Field(default=(), max_length=100)
    consents: tuple[ToldConsent, ...] = Field(default=(), max_length=20)
    withdrawn: tuple[Name, ...] = Field(default=(), max_length=20)


class _OfLead(_Told):
    """About a lead, found by an address, the CRM's id or the id on a platform: by the first that we know."""

    email: Name | None = None
    crm_id: Name | None = None
    keys: dict[Name, Name] = Field(default={}, max_length=20)

    @property
    def known_as(self) -> Iterator[tuple[str, str]]:
        """(system, key), the best first."""
        if self.email:
            yield EMAIL, self.email.casefold()
        if self.crm_id:
            yield CRM, self.crm_id
        yield from ((system.casefold(), key) for system, key in self.keys.items())

    @model_validator(mode="after")
    def _says_of_whom(self) -> Self:
        if not any(self.known_as):
            raise ValueError("does not say of whom it tells: add `email`, `crm_id` or `keys`")
        return self


class ToldReaction(_OfLead):
    """Something a lead did."""

    id: Name
    """The caller's id: the same one twice is recorded once."""
    kind: ReactionKind
    at: AwareDatetime | None = None
    content: Name | None = None
    session: Name | None = None
    argument: Line | None = None
    if_free: bool = False
    """Of a registration: it is no fact yet, and takes a seat only if one is left."""

    @model_validator(mode="after")
    def _says_what_about(self) -> Self:
        if self.kind in STANDING_KINDS and self.content is None:
            raise ValueError(f"{self.kind} needs `content`: what it was about")
        if self.kind in ANSWERING_KINDS and not self.argument:
            raise ValueError(f"{self.kind} needs `argument`: the path of the page, or the answer")
        if self.if_free and self.kind != "registered":
            raise ValueError(f"{self.kind} takes no `if_free`: it is about registrations alone")
        return self


class ToldDeal(_OfLead):
    """What became of a lead in the end."""

    id: Name
    kind: Literal["deal_won", "deal_lost"]
    value: float | None = Field(default=None, ge=0)


class ToldAttendance(_Told):
    """The closed attendance list of a session: whoever had a seat and is not in it has missed it."""

    id: Name | None = None
    kind: Literal["attendance"]
    content: Name
    session: Name
    attended: tuple[Name, ...] = Field(default=(), max_length=MOST_ATTENDED)


Told = Annotated[ToldReaction | ToldDeal | ToldAttendance, Field(discriminator="kind")]
LEAD: Final[TypeAdapter[ToldLead]] = TypeAdapter(ToldLead)
REACTION: Final[TypeAdapter[ToldReaction | ToldDeal | ToldAttendance]] = TypeAdapter(Told)


@dataclass(frozen=True)
class Fault:
    """Why an item was not taken, where in it, and what to do."""

    item: int
    at: str
    problem: str
    remedy: str
    id: str | None = None


def items_of(body: bytes) -> list[object]:
    """The items of a call: one JSON object, or a list of them."""
    try:
        told = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        message = f"The body is not JSON ({error}); send one object or a list of objects."
        raise InvalidInputError(message) from error
    items = told if isinstance(told, list) else [told]
    if len(items) > MOST_ITEMS:
        message = f"These are {len(items):,} items; send at most {MOST_ITEMS:,} at once."
        raise InvalidInputError(message)
    return items


def checked(
    items: Sequence[object], model: TypeAdapter[Item], *, tagged: bool = False
) -> tuple[dict[int, Item], list[Fault]]:
    """The items that fit the model, by index, and what is wrong with the others. `tagged`: it is a union."""
    good: dict[int, Item] = {}
    faults: list[Fault] = []
    for index, item in enumerate(items):
        try:
            good[index] = model.validate_python(item)
        except ValidationError as error:
            given = item.get("id") if isinstance(item, dict) else None
            named = given if isinstance(given, str) else None
            for detail in error.errors(include_url=False, include_input=False):
                place = (
                    detail["loc"][1:] if tagged else detail["loc"]
                )  # pydantic puts the tag of a union first
                faults.append(Fault(index, ".".join(map(str, place)), *_sentences(detail), id=named))
    return good, faults


def _sentences(error: ErrorDetails) -> tuple[str, str]:
    problem = error["msg"].removeprefix("Value error, ")
    remedy = {
        "missing": "add it",
        "extra_forbidden": "leave it out, or correct its name",
        "union_tag_invalid": "use one of the kinds that the documentation of the API lists",
        "union_tag_not_found": "add `kind`",
        "timezone_aware": "give the time with its offset, like 2026-12-08T15:00:00+01:00",
    }.get(error["type"], "correct it and send the item again")
    return problem, remedy


def unknown_names(
    content: str | None, session: str | None, definitions: Definitions
) -> tuple[str, str, str] | None:
    """(place, problem, remedy) where a content or session is named that is not applied."""
    if content is None:
        return None if session is None else ("session", "a session needs its content", "add `content`")
    names = [one.name for one in definitions.contents]
    if content not in names:
        return "content", f'unknown content "{content}"', nearest(content, names)
    sessions = [one.name for one in definitions.content(content).sessions]
    if session is not None and session not in sessions:
        return "session", f'"{content}" has no session "{session}"', nearest(session, sessions)
    return None


def unclear_session(
    kind: ReactionKind, content: str, at: datetime | None, definitions: Definitions, now: datetime
) -> tuple[str, str, str] | None:
    """(place, problem, remedy) where no session is named and several may be meant."""
    known = definitions.content(content)
    meant = known.sessions_meant(kind, at, now, definitions.company.zone)
    if kind not in STANDING_KINDS or len(known.sessions) <= 1 or len(meant) == 1:
        return None
    names = meant or [one.name for one in known.sessions]
    return "session", f'"{content}" has several sessions', f"say which: {', '.join(names)}"


def no_seat(
    told: ToldReaction, obstacle: Obstacle, definitions: Definitions, now: datetime
) -> tuple[str, str, str]:
    """(place, problem, remedy) of a seat that is not to be had."""
    content = definitions.content(told.content or "")
    ahead = content.sessions_meant("registered", None, now, definitions.company.zone)
    session = told.session or ahead[0]
    others = [name for name in ahead if name != session]
    remedy = (
        f"offer another date: {', '.join(others)}"
        if others
        else "there is no other date yet; tell the lead so"
    )
    return "session", NO_SEAT[obstacle].format(session), remedy


def typed_facts(
    facts: Mapping[str, FactValue], kinds: Mapping[str, FactKind]
) -> tuple[dict[str, Value], tuple[str, str, str] | None]:
    """The facts as their declared kinds, or (place, problem, remedy) of the first that is none."""
    found: dict[str, Value] = {}
    for name, value in facts.items():
        kind = kinds.get(name)
        if kind is None:
            return {}, (f"facts.{name}", f'unknown fact "{name}"', nearest(name, sorted(kinds)))
        try:
            found[name] = FACTS[kind].validate_python(value)
        except ValidationError:
            return {}, (f"facts.{name}", f"is no {kind}", f"send {EXAMPLES[kind]}")
    return found, None


def nearest(name: str, names: Sequence[str]) -> str:
    """`did you mean "remind"?`, else the names that there are."""
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"use one of {', '.join(names)}" if names else "there are none yet"

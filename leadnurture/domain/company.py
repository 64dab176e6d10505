"""The company that sends: sender, hours, holidays, people, and the facts that it keeps of its leads."""

from dataclasses import dataclass
from datetime import date

from leadnurture.domain.condition import Condition
from leadnurture.domain.vocabulary import FactKind


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of ours: a marketer, a salesperson, an account manager."""

    id: str
    name: str
    email: str
    role: str
    zone: str | None = None
    away: tuple[tuple[date, date], ...] = ()
    deputy: str | None = None


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """`monday to friday 9:00 to 17:00`: no program mail leaves outside of them, in the lead's own zone."""

    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    """0 is Monday."""
    opens: int = 9 * 60
    """Minute of the local day."""
    closes: int = 17 * 60


@dataclass(frozen=True, slots=True)
class Company:
    """`config/leadnurture.yaml`."""

    name: str
    postal_address: str
    sender_name: str
    sender_address: str
    url: str
    zone: str
    client: Condition
    hours: WorkingHours = WorkingHours()
    holidays: str | None = None
    """Country and subdivision as the `holidays` package names them, `DE-HE`."""
    locales: tuple[str, ...] = ("en",)
    topics: tuple[str, ...] = ()
    facts: tuple[tuple[str, FactKind], ...] = ()
    """(full name, kind), `account.` before those of the account."""
    people: tuple[Person, ...] = ()
    sender_translations: tuple[tuple[str, str], ...] = ()
    """(locale, name of the sender) beside the first locale."""
    crm_link: str = ""
    """Where the CRM shows a lead, with `{id}` in place of his id there; empty where nothing is said."""

    def sender_in(self, locale: str) -> str:
        """The name of the sender in a locale; the first one's where there is none."""
        return dict(self.sender_translations).get(locale, self.sender_name)

    def person(self, person_id: str) -> Person:
        """The person of that id; KeyError when there is none."""
        for person in self.people:
            if person.id == person_id:
                return person
        raise KeyError(person_id)

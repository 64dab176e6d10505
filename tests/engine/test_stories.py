"""Stories of the sample company over simulated months: timelines, compared with `golden/<story>.txt`.

The files of the project, the real engine, the real claim of a mail; the clock steps to the next due instant.
`WRITE_GOLDEN=1 pytest tests/engine/test_stories.py` writes them anew: read every line of the difference.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text

from leadnurture.definitions import check_project
from leadnurture.domain.content import Content, Session
from leadnurture.domain.definitions import Definitions
from leadnurture.engine import LeadInput, lock_leads
from leadnurture.links import Links
from leadnurture.mail import deliver, next_sending
from leadnurture.store import Database
from leadnurture.store.instants import from_micros, to_micros
from tests.engine.driver import MACHINE, Company
from tests.mail.providers import Kept

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = Path(__file__).parent / "golden"
WRITES: Final = "WRITE_GOLDEN" in os.environ
LINKS: Final = Links("a secret of the tests", "https://news.example.com")
BERLIN: Final = ZoneInfo("Europe/Berlin")
MONDAY: Final = datetime(2026, 11, 23, 8, 0, tzinfo=BERLIN).astimezone(UTC)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant by the company's clock."""
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@dataclass
class Story(Company):
    """A company whose mails are claimed as in earnest and accepted by a provider that keeps them."""

    names: dict[int, str] = field(default_factory=dict)

    def person(self, name: str, **told: Any) -> int:  # noqa: ANN401 - fields of LeadInput
        """A lead of a company of two hundred and more, who is not yet qualified by what he is."""
        facts = {"account.employees": 250, **told.pop("facts", {})}
        known = {
            "email": f"{name}@acme.example",
            "first_name": name.title(),
            "account": "Acme GmbH",
            "country": "DE",
            "language": "en",
            "role": "manager",
            "zone": "Europe/Berlin",
            "crm_id": f"crm-{name}",
            "consents": [("marketing", None, "form", "")],
        }
        (lead,) = self.leads(LeadInput(**{**known, "facts": facts, **told}))
        self.names[lead] = name
        self._write(
            "UPDATE lead SET luck = :luck WHERE id = :lead", lead=lead, luck=zlib.crc32(name.encode()) >> 1
        )
        return lead

    def send(self) -> list[int]:
        """Claims what is due, as the product does."""
        kept = Kept()
        done = deliver(self.database, kept, LINKS, self.now, machine_now=MACHINE, parallel=1)
        return [mail.message_id or 0 for mail in kept.mails] + [0] * done.refused

    def next_instant(self) -> datetime | None:
        """When something is due next, after now."""
        with self.database.read() as connection:
            sending = next_sending(connection, self.now)
        found = [super().next_instant(), sending]
        return min((at for at in found if at is not None and at > self.now), default=None)

    def set_fact(self, lead: int, **facts: Any) -> None:  # noqa: ANN401 - values of facts
        """A colleague enters facts."""
        self.leads(LeadInput(email=f"{self.names[lead]}@acme.example", facts=facts))

    def hold(self, lead: int, until: datetime) -> None:
        """A colleague wants a lead to get nothing until an instant."""
        self._write("UPDATE lead SET hold_until = :until WHERE id = :lead", lead=lead, until=to_micros(until))

    def _write(self, statement: str, lead: int, **values: int) -> None:
        def write(connection: Connection) -> None:
            lock_leads(connection, [lead])
            connection.execute(text(statement), {"lead": lead, **values})

        self.database.run(write)

    def with_session(self, content: str, session: str, starts: datetime | None) -> Definitions:
        """The files with one session moved or cancelled."""

        def moved(one: Content) -> Content:
            sessions = tuple(
                Session(each.name, starts) if each.name == session else each for each in one.sessions
            )
            return replace(one, sessions=sessions) if one.name == content else one

        return replace(self.definitions, contents=tuple(moved(one) for one in self.definitions.contents))

    # Telling

    def timelines(self) -> str:
        """The timelines of all leads."""
        return "\n".join(f"{name}\n{self._timeline(lead)}" for lead, name in self.names.items())

    def _timeline(self, lead: int) -> str:
        zone = ZoneInfo(str(self.rows("SELECT zone FROM lead WHERE id = :lead", lead=lead)[0]["zone"]))
        lines = sorted(self._lines(lead), key=lambda line: line[:3])
        return "".join(f"  {at.astimezone(zone):%a %Y-%m-%d %H:%M}  {words}\n" for at, _, _, words in lines)

    def _lines(self, lead: int) -> Iterator[tuple[datetime, int, int, str]]:
        for place, (table, tell) in enumerate(self._tellers()):
            for row in self.rows(f"SELECT * FROM {table} WHERE lead_id = :lead", lead=lead):  # noqa: S608 - our own words
                for micros, words in tell(row):
                    yield from_micros(micros), place, row["id"], words

    @staticmethod
    def _tellers() -> tuple[tuple[str, Callable[[dict[str, Any]], Iterator[tuple[int, str]]]], ...]:
        return (
            ("reaction", _reaction),
            ("stage_change", _stage),
            ("handoff", _handoff),
            ("transition", _transition),
            ("message", _message),
        )


def _reaction(row: dict[str, Any]) -> Iterator[tuple[int, str]]:
    about = "/".join(row[name] for name in ("content", "session", "argument") if row[name])
    yield row["recorded_at"], f"* {row['kind']} {about}".rstrip()


def _stage(row: dict[str, Any]) -> Iterator[tuple[int, str]]:
    saw = f" [{row['saw']}]" if row["saw"] else ""
    yield row["at"], f"= {row['track']}: {row['from_stage']} → {row['to_stage']}: {row['rule']}{saw}"


def _handoff(row: dict[str, Any]) -> Iterator[tuple[int, str]]:
    yield row["opened_at"], f"# handoff: {row['reason']} (fit {row['fit']}, engagement {row['engagement']})"
    if row["decided_at"] is not None:
        yield row["decided_at"], f"# handoff {row['status']} {row['return_reason'] or ''}".rstrip()


def _transition(row: dict[str, Any]) -> Iterator[tuple[int, str]]:
    saw = f" [{row['saw']}]" if row["saw"] else ""
    where = f"{row['from_step'] or 'in'} → {row['to_step'] or row['status']}"
    if row["from_step"] == row["to_step"]:
        where = f"{row['from_step']} {row['status']}"
    visit = f" ({row['visit']})" if row["visit"] > 1 and row["to_step"] else ""
    yield row["at"], f"  {where}{visit}: {row['rule']}{saw}"


def _message(row: dict[str, Any]) -> Iterator[tuple[int, str]]:
    about = [
        row["content"],
        row["session_content"] if row["session"] and row["session_content"] != row["content"] else None,
    ]
    what = "/".join(one for one in (*about, row["session"], row["variant"]) if one)
    if row["sent_at"] is not None:
        yield row["sent_at"], f"> {row['program']}/{row['step']}: {what}"
    elif row["status"] == "planned":
        yield row["send_at"], f"? {row['program']}/{row['step']}: {what} planned"
    elif row["settled_at"] is not None:
        yield row["settled_at"], f"x {row['program']}/{row['step']}: {what} {row['status']}: {row['trouble']}"


@pytest.fixture(scope="session")
def sample() -> Definitions:
    """The files of this project."""
    checked = check_project(ROOT)
    assert checked.definitions is not None, "\n".join(map(str, checked.problems))
    return checked.definitions


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a story says that it is told `on_both` databases."""
    return str(request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url"))


on_both = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture
def story(database: Database, sample: Definitions) -> Story:
    """The sample company on the Monday before anything happens."""
    return Story(database, sample, MONDAY)


@pytest.fixture
def telling(request: pytest.FixtureRequest, story: Story) -> Iterator[None]:
    """Compares what happened with the golden file of the test's name."""
    yield
    name = request.node.originalname.removeprefix("test_").replace("_", "-")
    path = GOLDEN / f"{name}.txt"
    if WRITES:
        path.parent.mkdir(exist_ok=True)
        path.write_text(story.timelines())
    assert story.timelines() == path.read_text()


pytestmark = pytest.mark.usefixtures("telling")


@on_both
def test_silent_in_the_webinar_series(story: Story) -> None:
    story.person("ann", interests=["scaling"])
    story.advance(local(2027, 6, 1))


def test_registered_before_the_invitation(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"])
    story.react(ann, "registered", content="scaling-1", session="december")
    story.advance(local(2026, 12, 8, 17))
    story.close("scaling-1", "december", "ann@acme.example")
    story.advance(local(2026, 12, 20))


@on_both
def test_two_keys_of_on_at_once(story: Story) -> None:
    """Registered stands above declined and before the program's own replied, whatever came first."""
    ann = story.person("ann", interests=["scaling"])
    story.advance(local(2026, 11, 24, 12))
    story.react(ann, "replied", mail="invite")
    story.react(ann, "declined", content="scaling-1", session="january")
    story.react(ann, "registered", mail="invite")
    story.advance(local(2026, 11, 25))


def test_a_reaction_between_planning_and_claim(story: Story) -> None:
    """Planned on Monday for Tuesday; what fires cancels the mail in the queue."""
    ann = story.person("ann", interests=["scaling"])
    story.settle()
    story.advance(local(2026, 11, 23, 20))
    story.react(ann, "declined", content="scaling-1", session="december")
    story.advance(local(2026, 12, 1))


def test_a_webinar_is_moved(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"])
    story.advance(local(2026, 11, 24, 12))
    story.react(ann, "registered", mail="invite")
    story.advance(local(2026, 12, 1))
    story.apply(story.with_session("scaling-1", "december", datetime(2026, 12, 15, 16, 0)))  # noqa: DTZ001 - local, as files have it
    story.advance(local(2026, 12, 16, 9))
    story.close("scaling-1", "december")
    story.advance(local(2026, 12, 24))


def test_a_webinar_is_moved_before_its_last_call(story: Story) -> None:
    story.person("ann", interests=["scaling"])
    story.advance(local(2026, 12, 2))
    story.apply(story.with_session("scaling-1", "december", datetime(2026, 12, 17, 15, 0)))  # noqa: DTZ001 - as above
    story.advance(local(2026, 12, 20))


@on_both
def test_a_webinar_is_cancelled(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"])
    ben = story.person("ben", interests=["scaling"])
    story.advance(local(2026, 11, 24, 12))
    story.react(ann, "registered", mail="invite")
    story.advance(local(2026, 12, 3))
    story.apply(story.with_session("scaling-1", "december", None))
    assert story.names == {ann: "ann", ben: "ben"}
    story.advance(local(2026, 12, 24))


def test_a_webinar_is_over_when_its_mail_leaves(story: Story) -> None:
    """Asleep from the day before the invitation until after the webinar."""
    story.person("ann", interests=["scaling"])
    story.settle()
    story.sleep(local(2026, 12, 9, 11))
    story.advance(local(2026, 12, 24))


def test_a_return_to_where_he_stood(story: Story) -> None:
    """Sales does not reach him: back in his program, its dates later by the time that sales took."""
    ann = story.person("ann", interests=["scaling"], role="head")
    story.advance(local(2026, 11, 25, 12))
    story.react(ann, "submitted", argument="call", mail="invite")
    story.advance(local(2026, 11, 27, 12))
    story.give_back(ann, "not reached")
    story.advance(local(2026, 12, 20))


def test_a_second_return(story: Story) -> None:
    """Old points do not cross again; new behaviour does, and a third offer opens only by more of it."""
    ann = story.person("ann", interests=["scaling"], role="head")
    for day in (25, 26):
        story.advance(local(2026, 11, day, 12))
        story.react(ann, "visited", argument=f"/pricing/{day}")
    story.advance(local(2026, 11, 27, 12))
    story.give_back(ann, "not reached")
    for day in (2, 3):
        story.advance(local(2026, 12, day, 12))
        story.react(ann, "visited", argument="/pricing")
    story.advance(local(2026, 12, 7, 12))
    story.give_back(ann, "no budget")
    story.advance(local(2027, 1, 31))


def test_a_weekly_mail_stays_weekly(story: Story) -> None:
    ann = story.person("ann", interests=["scaling", "security", "migration", "monitoring"])
    story.react(ann, "attended", content="expo-2026", session="frankfurt")
    story.sleep(local(2026, 12, 7, 8))
    story.advance(local(2027, 2, 1))


@on_both
def test_no_budget_until_the_date(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"], role="head")
    story.advance(local(2026, 11, 25, 12))
    story.react(ann, "submitted", argument="call", mail="invite")
    story.advance(local(2026, 11, 26, 12))
    story.set_fact(ann, budget_on=date(2027, 7, 1))
    story.give_back(ann, "no budget")
    story.advance(local(2027, 7, 15))


def test_no_budget_and_no_date(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"], role="head")
    story.advance(local(2026, 11, 25, 12))
    story.react(ann, "submitted", argument="call", mail="invite")
    story.advance(local(2026, 11, 26, 12))
    story.give_back(ann, "no budget")
    story.advance(local(2027, 8, 1))


def test_ten_weeks_after_the_trade_show(story: Story) -> None:
    ann = story.person("ann", interests=["scaling", "security"])
    ben = story.person("ben", interests=["migration"], zone="America/New_York")
    for lead in (ann, ben):
        story.react(lead, "attended", content="expo-2026", session="frankfurt")
    story.advance(local(2027, 2, 28))


@on_both
def test_a_client_says_later(story: Story) -> None:
    ann = story.person("ann", products=["platform"], owner="nora", facts={"account.deal_won": True})
    story.advance(local(2026, 12, 1, 12))
    story.react(ann, "feedback", argument="later")
    story.advance(local(2027, 6, 9, 12))
    story.react(ann, "clicked", mail="once-more")
    story.advance(local(2027, 6, 20))


def test_a_prospect_becomes_a_client_on_the_way(story: Story) -> None:
    """A mail is planned for Tuesday when the deal is won on Monday evening."""
    ann = story.person("ann", interests=["scaling"], products=["platform"])
    story.person("ben", interests=["migration"])
    story.advance(local(2026, 11, 23, 20))
    story.win(ann)
    story.advance(local(2026, 12, 15))


def test_unsubscribed_on_the_way(story: Story) -> None:
    ann = story.person("ann", interests=["scaling"])
    story.advance(local(2026, 12, 1, 12))
    story.react(ann, "unsubscribed", mail="invite")
    story.advance(local(2027, 1, 31))


@on_both
def test_an_outage_over_several_due_times(story: Story) -> None:
    """Down from the 2nd to the 14th of December, over the last call and a letter for Thursday."""
    story.person("ann", interests=["scaling"])
    ben = story.person("ben", interests=["scaling"])
    story.advance(local(2026, 11, 24, 12))
    story.react(ben, "declined", mail="invite")
    story.advance(local(2026, 12, 2, 12))
    story.sleep(local(2026, 12, 14, 12))
    story.advance(local(2027, 1, 31))


def test_an_outage_over_mails_that_wait(story: Story) -> None:
    """An invitation waits for the next Tuesday; a letter goes within three working days, or not at all."""
    ann = story.person("ann", interests=["scaling"])
    ben = story.person("ben", interests=["scaling"])
    story.settle()
    story.react(ben, "declined", content="scaling-1", session="december")
    story.settle()
    story.sleep(local(2026, 11, 24, 18))
    story.advance(local(2026, 11, 25, 12))
    story.sleep(local(2026, 11, 30, 12))
    story.advance(local(2026, 12, 2, 12))
    story.react(ann, "declined", mail="invite")
    story.settle()
    story.sleep(local(2026, 12, 9, 12))
    story.advance(local(2026, 12, 18))


def test_registered_on_the_website_for_the_second_webinar(story: Story) -> None:
    """Nothing is sent by that visit, so its session is the one of the seat."""
    ann = story.person("ann", interests=["scaling"])
    story.advance(local(2026, 12, 7, 12))
    story.react(ann, "registered", content="scaling-2", session="december")
    story.advance(local(2026, 12, 18, 12))
    story.close("scaling-2", "december", "ann@acme.example")
    story.advance(local(2026, 12, 23))


def test_held_by_a_person(story: Story) -> None:
    """Held until a Saturday: the mail leaves in its next window, and the silence counts from there."""
    ann = story.person("ann", products=["platform"], owner="nora", facts={"account.deal_won": True})
    story.settle()
    story.hold(ann, local(2026, 12, 5, 12))
    story.advance(local(2027, 1, 10))


def test_the_week_in_which_the_clock_changes(story: Story) -> None:
    """Ten o'clock stays ten o'clock in Frankfurt and in New York, whose clocks change on different days."""
    story.sleep(local(2027, 3, 8, 8))
    story.apply(story.definitions)
    for name, zone in (("ann", "Europe/Berlin"), ("bob", "America/New_York")):
        lead = story.person(name, zone=zone, interests=["security", "scaling", "migration"])
        story.react(lead, "attended", content="expo-2026", session="frankfurt")
    story.advance(local(2027, 4, 12))

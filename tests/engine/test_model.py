"""The engine against the reference model: weeks of simulated time, compared after everything that happens."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from leadnurture.domain.content import Session
from leadnurture.domain.definitions import Definitions
from leadnurture.engine import Given, LeadInput, answer
from leadnurture.store import Database, open_database
from leadnurture.store.instants import from_micros
from tests import databases
from tests.engine.driver import COMPANY, Company, define
from tests.engine.reference import Enrollment, Lead, Mail, World

ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
STARTS: Final = (
    datetime(2026, 10, 19, 7, 30, tzinfo=UTC),  # Europe and America turn their clocks back
    datetime(2027, 3, 8, 14, 0, tzinfo=UTC),  # and forward
    datetime(2026, 12, 14, 9, 0, tzinfo=UTC),  # Christmas
)
ADDRESSES: Final = ("ann@acme.example", "ben@acme.example", "cem@cube.example", "dot@dice.example")
FILES: Final = {
    "leadnurture": COMPANY + "holidays: DE-HE\n",
    "content/w1": """
kind: webinar
title: W1
topics: [scaling]
sessions: {first: 2026-12-08 15:00, second: 2027-01-19 10:00}
""",
    "content/w2": """
kind: webinar
title: W2
topics: [scaling]
seats: 1
sessions: {only: 2026-12-15 11:00}
""",
    "content/last-call-mail": "kind: email\ntitle: Last call\n",
    "content/recording-mail": "kind: email\ntitle: Recording\n",
    "content/a1": "kind: article\ntitle: A1\ntopics: [scaling]\npublished: 2026-01-01\n",
    "content/a2": "kind: article\ntitle: A2\ntopics: [security]\npublished: 2026-02-01\n",
    "content/r1": "kind: report\ntitle: R1\ntopics: [scaling]\npublished: 2026-03-01\n",
    "content/bye": "kind: email\ntitle: Bye\n",
    "content/note": "kind: email\ntitle: Note\n",
    "prospects/track": """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
at once: 1
pause: account.open_handoff
fit:
  account.employees >= 200: 30
  role == "head": 25
  tag("student"): -100
engagement:
  live: 20 days
  points: {clicked: 3, downloaded: 10, attended: 20, visited("/pricing*"): 15, feedback("interested"): 40}
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 30 and engagement >= 25, needs: [account.name]}
routing: [{to: [lena]}]
returns:
  no budget: {program: digest}
  not reached: {go: resume}
  not a fit: {go: end}
""",
    "clients/track": """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
at once: 2
engagement: {points: {clicked: 5}}
stages:
  engaged: {when: engagement > 0}
routing: [{to: [lena]}]
returns:
  later: {go: resume}
""",
    "prospects/programs/series": """
title: Series
owner: dana
enter: stage < "qualified" and interest("scaling")
again: after 30 days
goal: stage >= "qualified"
exit: tag("competitor")
on:
  replied: call
  visited("/pricing*"): call
steps:
  invite:
    send: {next: webinar, about: scaling}
    at: tuesday 10:00
    otherwise: letter
    on: {registered: seat, declined: letter}
    after: 5 business days
  last-call:
    send: last-call-mail
    at: 2 business days before invite
    on: {registered: seat, declined: letter}
    after: 1 day after invite
    then:
      - if: clicked
        go: recording
      - go: more
  seat:
    on: {attended: recording, missed: recording, declined: letter}
    after: 4 days after invite
    otherwise: letter
    then: [{go: more}]
  recording:
    send: recording-mail
    at: 4 hours after invite
    after: 5 days
    then: [{go: more}]
  more:
    after: 6 hours
    then:
      - if: visit < 3
        go: invite
  letter:
    send: {next: [article, report], about: interests}
    at: thursday 10:00
    late: within 3 business days
    on:
      clicked("invite"): more
    after: 1 week
    then:
      - if: why == "empty"
        set: {tag: dry}
        go: end
      - if: downloaded
        set: {plan: big}
        go: end
      - program: digest
  call:
    handoff: Answered
    then: [{go: end}]
""",
    "prospects/programs/digest": """
title: Digest
owner: dana
steps:
  coin:
    split: {left: 50, right: 50}
  left:
    send: a1
    otherwise: budget
    on:
      clicked: budget
      downloaded("a2"): right
      interest("security"): right
    after: 3 days
    then:
      - if: visited("/demo*", within="10 days")
        go: right
      - go: budget
  right:
    set: {tag: heard}
    after: 36 hours
  budget:
    on:
      days_until(budget_on) < 10: farewell
    after: 20 days before budget_on
    otherwise: farewell
  farewell:
    send: bye
    at: "8:15"
    late: skip
""",
    "prospects/programs/quick": """
title: Quick
owner: dana
enter: tag("vip")
again: after 10 days
priority: 5
steps:
  now:
    send: note
    otherwise: rest
    on:
      feedback("later"): {set: {budget_on: in 2 months}, go: rest}
      submitted: rest
    after: 8 hours
  rest:
    after: 2 days
    then:
      - if: visit < 3 and not tag("student")
        set: {tag: rested}
        tell: He has rested
        go: rest2
      - go: dated
  rest2:
    task: Call him
    ask: {feedback: [later, interested]}
    tell: He is to be called
    on: {feedback("interested"): dated}
    after: 1 day
    otherwise: dated
    then: [{go: rest}]
  dated:
    send: {next: article}
    at: 30 days before budget_on
    late: next window
    otherwise: never
    after: 2 weeks
  never:
    send: w2
    otherwise: end
    on: {registered: end}
    after: 1 week
""",
    "clients/programs/care": """
title: Care
owner: dana
enter: stage < "handed_off"
again: after 60 days
steps:
  letter:
    send: a2
    at: monday
    otherwise: news
    on: {clicked: talk, declined: news}
    after: 10 business days
  news:
    send: {next: [report, article]}
    after: 1 week
    then: [{go: end}]
  talk:
    handoff: Asks
    then: [{go: end}]
""",
    "clients/programs/survey": """
title: Survey
owner: dana
enter: tag("vip")
steps:
  ask:
    send: note
    at: saturday 20:00
    after: 2 days
""",
}  # fmt: skip
MAILED: Final = (
    "clicked",
    "replied",
    "registered",
    "declined",
    "downloaded",
    "submitted",
    "feedback",
    "opened",
    "delivered",
)
ACTS: Final = (
    ("visited", None, "/pricing/big"),
    ("visited", None, "/demo"),
    ("visited", None, "/"),
    ("downloaded", "a1", None),
    ("downloaded", "a2", None),
    ("downloaded", "r1", None),
    ("feedback", None, "interested"),
    ("feedback", None, "later"),
    ("submitted", None, "form"),
    ("replied", None, None),
    ("declined", "a1", None),
)
Opened = Callable[[], AbstractContextManager[Database]]


class Machine(RuleBasedStateMachine):
    """Four leads of three accounts; whatever happens, engine and model agree."""

    files: Definitions

    def __init__(self) -> None:
        super().__init__()
        self.opened = self.open()
        self.database = self.opened.__enter__()
        self.last: dict[str, Any] = {}

    @staticmethod
    def open() -> AbstractContextManager[Database]:
        """A fresh database, for each example."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    @initialize(
        start=st.sampled_from(STARTS),
        people=st.lists(st.tuples(st.sampled_from(ZONES), st.integers(0, 15)), min_size=4, max_size=4),
    )
    def begin(self, start: datetime, people: list[tuple[str, int]]) -> None:
        self.definitions = sessions_from(self.files, start)
        self.company = Company(self.database, self.definitions, start)
        self.world = World(self.definitions, start, self.coin)
        told = []
        for number, (zone, bits) in enumerate(people):
            lead = Lead(
                number + 1,
                zone,
                "Acme" if number < 2 else f"Firm {number}",
                {"role": "head" if bits & 1 else "clerk"},
            )
            lead.interests = {("scaling", "test"): (start, None)} if bits & 2 else {}
            lead.tags = {"vip"} if bits & 4 else set()
            lead.consents = set() if bits == 15 else {"marketing"}
            self.world.account_facts.setdefault(lead.account, {})
            if bits & 8:
                self.world.account_facts[lead.account]["employees"] = 300
            self.world.leads.append(lead)
            facts = {"account.employees": 300} if bits & 8 else {}
            interests = [topic for topic, _ in lead.interests]
            consents = [(each, None, "form", "") for each in lead.consents]
            told.append(
                LeadInput(
                    ADDRESSES[number],
                    account=lead.account,
                    role=lead.words["role"],
                    zone=zone,
                    tags=sorted(lead.tags),
                    interests=interests,
                    facts=facts,
                    consents=consents,
                )
            )
        assert self.company.leads(*told) == (1, 2, 3, 4)
        self.wait(0)

    def wait(self, minutes: float) -> None:
        """Both live on."""
        self.company.advance(minutes=minutes)
        self.world.advance(self.company.now)

    @rule(minutes=st.sampled_from([1, 3, 180, 1440]))
    def time_passes(self, minutes: int) -> None:
        self.wait(minutes)

    @rule(days=st.sampled_from([3, 6, 11, 25]))
    def days_pass(self, days: int) -> None:
        self.wait(days * 1440)

    @rule(days=st.sampled_from([2, 7, 14, 30]))
    def weeks_pass(self, days: int) -> None:
        self.wait(days * 1440)

    @rule(lead=st.integers(1, 4), kind=st.sampled_from(MAILED), which=st.integers(0, 3))
    def reacts_to_a_mail(self, lead: int, kind: Any, which: int) -> None:  # noqa: ANN401 - a ReactionKind
        mails = [
            row
            for row in self.company.messages(lead)
            if row["status"] not in {"planned", "cancelled", "failed"}
        ]
        if not mails:
            return
        row = mails[-1 - which % len(mails)]
        said = "later" if kind == "feedback" else None
        self.told(
            lead,
            kind,
            {"message_id": row["id"], "argument": said},
            {"mail": self.mails(lead)[row["id"]], "argument": said},
        )

    @rule(
        lead=st.integers(1, 4),
        kind=st.sampled_from(["registered", "declined", "attended", "missed"]),
        content=st.sampled_from([("w1", "first"), ("w1", "second"), ("w2", "only")]),
    )
    def does_something_about_a_webinar(self, lead: int, kind: Any, content: tuple[str, str]) -> None:  # noqa: ANN401 - as above
        about = {"content": content[0], "session": content[1]}
        self.told(lead, kind, about, about)

    @rule(lead=st.integers(1, 4), act=st.sampled_from(ACTS))
    def does_something_on_the_website(self, lead: int, act: tuple[Any, str | None, str | None]) -> None:
        about = {"content": act[1], "argument": act[2]}
        self.told(lead, act[0], about, about)

    @rule(lead=st.integers(1, 4), words=st.sampled_from(["later", "interested", "refused"]))
    def one_of_us_answers(self, lead: int, words: str) -> None:
        known = self.world.leads[lead - 1]
        tasks = [task for task in known.tasks if task.status == "open"]
        if not tasks:
            return
        self.wait(1)
        question = "SELECT max(id) AS id FROM task WHERE lead_id = :lead AND status = 'open'"
        task = self.company.rows(question, lead=lead)[0]["id"]
        given = Given("" if words == "refused" else "feedback", words, "lena")
        assert answer(self.company.database, given, self.company.now, task_id=task).became == "taken"
        self.world.report(known, tasks[-1], words)
        self.wait(0)

    def told(self, lead: int, kind: Any, engine: dict[str, Any], model: dict[str, Any]) -> None:  # noqa: ANN401 - as above
        """One reaction for both. Without a second of its own it would be the same thing told twice."""
        self.wait(1)
        self.last = {
            "lead": lead,
            "kind": kind,
            "key": f"told-{self.company.told}-again",
            "at": self.company.now,
            **engine,
        }
        assert self.company.react(**self.last).recorded == 1
        self.world.react(self.world.leads[lead - 1], kind, **model)
        self.wait(0)

    @precondition(lambda self: self.last)
    @rule(key=st.sampled_from(["same", "other"]))
    def is_told_again(self, key: str) -> None:
        again = {**self.last, "key": self.last["key"] if key == "same" else f"{self.company.told}-other"}
        assert self.company.react(**again).recorded == 0
        self.wait(0)

    @rule(
        lead=st.integers(1, 4),
        kind=st.sampled_from(["unsubscribed", "bounced", "complained"]),
        sure=st.integers(0, 4),
    )
    def wants_no_more(self, lead: int, kind: Any, sure: int) -> None:  # noqa: ANN401 - as above
        if sure == 0:
            self.told(lead, kind, {}, {})

    @rule(lead=st.integers(1, 4), tag=st.sampled_from(["vip", "student", "competitor"]))
    def gets_a_tag(self, lead: int, tag: str) -> None:
        self.company.leads(LeadInput(ADDRESSES[lead - 1], tags=[tag]))
        self.world.leads[lead - 1].tags.add(tag)
        self.world.leads[lead - 1].dirty = True
        self.wait(0)

    @rule(lead=st.integers(1, 4), days=st.sampled_from([5, 25, 40]))
    def tells_of_his_budget(self, lead: int, days: int) -> None:
        day = self.company.now.date() + timedelta(days)
        self.company.leads(LeadInput(ADDRESSES[lead - 1], facts={"budget_on": day}))
        self.world.leads[lead - 1].facts["budget_on"] = day
        self.world.leads[lead - 1].dirty = True
        self.wait(0)

    @rule(lead=st.integers(1, 4), reason=st.sampled_from([None, "no budget", "not reached", "not a fit"]))
    def sales_decides(self, lead: int, reason: str | None) -> None:
        person = self.world.leads[lead - 1]
        if not person.offered:
            return
        if reason is None:
            self.company.accept(lead)
            self.world.accept(person)
        else:
            reason = reason if person.track == "prospects" else "later"
            self.company.give_back(lead, reason)
            self.world.give_back(person, reason)
        self.wait(0)

    @rule(lead=st.integers(1, 4), sure=st.integers(0, 5))
    def buys(self, lead: int, sure: int) -> None:
        if sure == 0:
            self.company.win(lead)
            self.world.win(self.world.leads[lead - 1])
            self.wait(0)

    @rule(name=st.sampled_from(["w1", "w2"]), days=st.sampled_from([None, 3, 12]))
    def webinar_changes(self, name: str, days: int | None) -> None:
        day = None if days is None else self.company.now + timedelta(days)
        starts = None if day is None else day.replace(hour=15, minute=0, tzinfo=None)
        changed = [
            replace(one, sessions=(Session(one.sessions[0].name, starts), *one.sessions[1:]))
            if one.name == name
            else one
            for one in self.definitions.contents
        ]
        self.definitions = replace(self.definitions, contents=tuple(changed))
        self.company.apply(self.definitions)
        self.world.apply(self.definitions)
        self.wait(0)

    # Comparing

    def coin(self, each: Enrollment) -> str:
        """Which arm of a split the engine chose."""
        lead = next(lead for lead in self.world.leads if each in lead.enrollments)
        nth = [one for one in lead.enrollments if one.program.name == each.program.name].index(each)
        ours = [row["id"] for row in self.enrollments(lead.id) if row["program"] == each.program.name]
        moves = self.company.rows("SELECT * FROM transition ORDER BY id")
        arms = [
            row["to_step"]
            for row in moves
            if row["enrollment_id"] in ours[nth : nth + 1] and row["from_step"] == each.step
        ]
        return str(arms[-1] if arms else each.program.step(each.step).split[0][0])

    def enrollments(self, lead: int) -> list[dict[str, Any]]:
        return self.company.rows("SELECT * FROM enrollment WHERE lead_id = :lead ORDER BY id", lead=lead)

    def mails(self, lead: int) -> dict[int, Mail]:
        """The model's mails by the ids of the engine's."""
        numbers: dict[str, dict[int, int]] = defaultdict(dict)
        found = {}
        for row in self.enrollments(lead):
            numbers[row["program"]][row["id"]] = len(numbers[row["program"]])
        for row in self.company.messages(lead):
            ours = [
                each for each in self.world.leads[lead - 1].enrollments if each.program.name == row["program"]
            ]
            mails = ours[numbers[row["program"]][row["enrollment_id"]]].mails
            found[row["id"]] = next(
                mail for mail in mails if (mail.step, mail.visit) == (row["step"], row["visit"])
            )
        return found

    @invariant()
    def agree(self) -> None:
        for lead in getattr(self, "world", World(self.files, STARTS[0], str)).leads:
            engine, model = engine_story(self.company, lead.id), model_story(lead)
            assert engine == model, "\n".join(self.differences(lead, engine, model))

    def differences(
        self, lead: Lead, engine: dict[str, list[str]], model: dict[str, list[str]]
    ) -> Iterator[str]:
        """What to read when they do not agree."""
        yield f"lead {lead.id} in {lead.zone} at {self.company.now}"
        for ours, theirs in zip(engine.values(), model.values(), strict=True):
            yield from (f"  engine: {line}" for line in ours if line not in theirs)
            yield from (f"  model:  {line}" for line in theirs if line not in ours)
        yield from self.company.journey(lead.id)


def sessions_from(definitions: Definitions, start: datetime) -> Definitions:
    """The same webinars, some days after a start."""
    days = {"first": 10, "second": 24, "only": 15}
    contents = []
    for content in definitions.contents:
        starts = [(each.name, start + timedelta(days[each.name])) for each in content.sessions]
        moved = [Session(name, each.replace(hour=15, minute=0, tzinfo=None)) for name, each in starts]
        contents.append(replace(content, sessions=tuple(moved)))
    return replace(definitions, contents=tuple(contents))


def at(instant: datetime | int | None) -> str:
    if instant is None:
        return ""
    return f"{instant if isinstance(instant, datetime) else from_micros(instant):%a %d.%m. %H:%M:%S}"


def mail_story(row: Mapping[str, Any]) -> str:
    status = row["status"] if row["status"] in {"planned", "cancelled", "failed"} else "sent"
    name = f"{row['program']}/{row['step']} {row['visit']}: {row['content']}/{row['session']}"
    return f"{name} at {at(row['planned_at'])} leaves {at(row['send_at'])} {status}"


def enrollment_story(row: Mapping[str, Any]) -> str:
    return f"{row['program']} {row['status']} at {row['step']} {row['visit']} until {at(row['deadline_at'])}"


def engine_story(company: Company, lead: int) -> dict[str, list[str]]:
    """What the database says of a lead."""
    person = company.rows("SELECT track, stage, fit, engagement, score FROM lead WHERE id = :id", id=lead)[0]
    enrollments = company.rows("SELECT * FROM enrollment WHERE lead_id = :lead", lead=lead)
    offers = company.rows("SELECT status FROM handoff WHERE lead_id = :lead ORDER BY id", lead=lead)
    tags = company.rows("SELECT tag FROM lead_tag WHERE lead_id = :lead", lead=lead)
    tasks = company.rows("SELECT step, visit, status FROM task WHERE lead_id = :lead ORDER BY id", lead=lead)
    tells = company.rows("SELECT text FROM notice WHERE lead_id = :lead", lead=lead)
    return {
        "lead": [str(value) for value in person.values()],
        "enrollments": sorted(map(enrollment_story, enrollments)),
        "mails": sorted(map(mail_story, company.messages(lead))),
        "offers": [row["status"] for row in offers],
        "tags": sorted(row["tag"] for row in tags),
        "tasks": [f"{row['step']} {row['visit']} {row['status']}" for row in tasks],
        "tells": sorted(row["text"] for row in tells),
    }


def model_story(lead: Lead) -> dict[str, list[str]]:
    """What the model says of him."""
    enrollments = [
        vars(each)
        | {"program": each.program.name, "visit": each.visits[each.step], "deadline_at": each.deadline}
        for each in lead.enrollments
    ]
    mails = [
        vars(mail)
        | {"program": each.program.name, "planned_at": mail.planned, "send_at": mail.send}
        | {"session": mail.about[1] if mail.about else None}
        for each in lead.enrollments
        for mail in each.mails
    ]
    return {
        "lead": [lead.track, lead.stage, str(lead.fit), str(lead.engagement), str(lead.score)],
        "enrollments": sorted(map(enrollment_story, enrollments)),
        "mails": sorted(map(mail_story, mails)),
        "offers": lead.offers,
        "tags": sorted(lead.tags),
        "tasks": [f"{task.step} {task.visit} {task.status}" for task in lead.tasks],
        "tells": sorted(lead.tells),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    return define(tmp_path_factory.mktemp("files"), FILES)


@pytest.fixture
def sqlite(sqlite_template: Path, tmp_path: Path) -> Opened:
    @contextmanager
    def opened() -> Iterator[Database]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
        shutil.copy(sqlite_template, path)
        database = open_database(databases.sqlite_url(path))
        yield database
        database.dispose()

    return opened


@pytest.fixture
def postgres(postgres_server: databases.Server, postgres_template: str) -> Opened:
    @contextmanager
    def opened() -> Iterator[Database]:
        with postgres_server.database(postgres_template) as url:
            database = open_database(url)
            yield database
            database.dispose()

    return opened


def compare(opened: Opened, files: Definitions, profile: settings) -> None:
    machine = type("Compared", (Machine,), {"open": staticmethod(opened), "files": files})
    run_state_machine_as_test(machine, settings=settings(profile, suppress_health_check=list(HealthCheck)))


# The same examples every time, and as they were found: shrinking them takes minutes.
SHORT: Final = settings(max_examples=6, stateful_step_count=18, derandomize=True, phases=[Phase.generate])
LONG: Final = settings(max_examples=300, stateful_step_count=50)


def test_engine_and_model_agree_on_sqlite(sqlite: Opened, files: Definitions) -> None:
    compare(sqlite, files, SHORT)


def test_engine_and_model_agree_on_postgresql(postgres: Opened, files: Definitions) -> None:
    compare(postgres, files, settings(SHORT, max_examples=3))


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_engine_and_model_agree_for_long(sqlite: Opened, files: Definitions) -> None:
    compare(sqlite, files, LONG)

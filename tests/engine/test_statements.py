"""What work costs: as many statements for ten leads as for ten thousand, and nothing for those who wait."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event, text

from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine import (
    LeadInput,
    NewReaction,
    Settled,
    StepDone,
    begin_wave,
    finish_wave,
    import_leads,
    judge,
    look,
    next_due,
    next_judging,
    next_look,
    record_reactions,
    run_step,
    settle_messages,
)
from leadnurture.mail import next_sending
from leadnurture.mail.claim import reserve
from leadnurture.store import Database
from leadnurture.store.instants import to_micros
from leadnurture.store.tables import metadata
from tests.engine.driver import MACHINE, Company, define

MONDAY: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
PROGRAM: Final = """
title: One step of each kind
owner: dana
enter: tag("walk")
goal: stage >= "qualified"
exit: tag("competitor")
on:
  replied: call
steps:
  invite:
    send: {next: webinar, about: scaling}
    at: tuesday 10:00
    otherwise: read
    on:
      registered: seat
    after: 2 days
  last-call:
    send: last-words
    at: 1 business day before invite
    after: 1 day after invite
  seat:
    after: 4 days after invite
    then:
      - go: read
  read:
    send: {next: [article, report], about: interests}
    split: {plain: 50, question: 50}
    late: within 3 business days
    otherwise: rest
    on:
      clicked: rest
    after: 1 week
    then:
      - if: visit < 2
        go: read
  rest:
    set: {plan: big}
    after: 3 hours
  asking:
    task: Ask for the budget
    ask: {feedback: [yes, no], budget_on: date}
    tell: Somebody asks
    on:
      feedback("yes"): {tell: He says yes, go: budget}
    after: 3 hours
  budget:
    after: 45 days before budget_on
    otherwise: ways
  ways:
    split: {short: 50, long: 50}
  short:
    then:
      - set: {tag: short}
        tell: The short way
        to: lena
        go: end
  long:
    then:
      - program: letters
  call:
    handoff: Replied
"""
LETTERS: Final = """
title: Letters
owner: dana
steps:
  write:
    send: last-letter
    after: 30 days
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
pause: account.open_handoff
fit:
  account.employees >= 200: 30
  role == "head": 20
engagement:
  live: 90 days
  points:
    clicked: 5
    replied: 20
    visited("/pricing*"): 15
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 40 and engagement >= 30, needs: [country]}
routing: [{to: [lena]}]
"""
FILES: Final = {
    "prospects/track": AGREEMENT,
    "prospects/programs/walk": PROGRAM,
    "prospects/programs/letters": LETTERS,
    "content/talk": """
kind: webinar
title: {en: A talk}
topics: [scaling]
sessions: {december: 2026-12-03 15:00, january: 2027-01-21 15:00, march: 2027-03-18 15:00}
""",
    "content/paper": "kind: article\ntitle: {en: A paper}\ntopics: [scaling]\npublished: 2026-09-01\n",
    "content/study": "kind: report\ntitle: {en: A study}\ntopics: [scaling]\npublished: 2026-08-01\n",
    "content/last-words": "kind: email\ntitle: {en: Last words}\n",
    "content/last-letter": "kind: email\ntitle: {en: A letter}\n",
}
DEFINED: Final = frozenset(
    {"project_version", "program", "program_version", "program_step", "wave", "source", "calendar_day",
     "content", "content_topic", "content_track", "content_session"}
)  # fmt: skip
"""The tables that `apply` fills; the others are about people."""
KINDS: Final[tuple[ReactionKind, ...]] = (
    "clicked",
    "replied",
    "visited",
    "registered",
    "delivered",
    "bounced",
)


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Company:
    return Company(database, define(tmp_path, FILES), MONDAY)


@contextmanager
def asked(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, with their parameters."""
    found: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401 - of any driver
        found.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


class Walk:
    """Takes a crowd through the program and counts the statements of each kind of work."""

    def __init__(self, company: Company, name: str, size: int) -> None:
        self.company = company
        self.name = name
        self.size = size
        self.costs: dict[str, list[int]] = {}

    def count(self, what: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - the result of the work
        with asked(self.company.database) as statements:
            result = work()
        self.costs.setdefault(what, []).append(len(statements))
        return result

    def arrive(self) -> list[int]:
        """A batch at a time, as the import does."""
        database, now = self.company.database, self.company.now
        inputs = [
            LeadInput(
                f"{self.name}{place}@{self.name}{place}.example", role="head", country="DE", tags=["walk"],
                interests=["scaling"], facts={"account.employees": 300},
                consents=[("marketing", None, "form", "")],
            )
            for place in range(self.size)
        ]  # fmt: skip
        batches = [inputs[start : start + 5_000] for start in range(0, self.size, 5_000)]
        ids = [
            lead
            for batch in batches
            for lead in self.count("import", partial(import_leads, database, batch, now, "test")).lead_ids
        ]
        with database.write() as connection:  # luck that both arms of each split have
            connection.execute(text("UPDATE lead SET luck = (id * 7919 * 271) % 2147483648"))
        return ids

    def react(self, leads: list[int]) -> None:
        """Everybody does something, some of it the same."""
        told = [
            NewReaction(
                KINDS[place % 6],
                f"{self.name}-{self.company.now}-{lead}", "test", lead_id=lead, argument="/pricing",
                content="talk" if place % 6 == 3 else None, session="january" if place % 6 == 3 else None,
            )
            for place, lead in enumerate(leads)
        ]  # fmt: skip
        self.count("record", lambda: record_reactions(self.company.database, told, self.company.now))

    def live(self, days: int) -> None:
        """Works off what is due, an instant after the other."""
        until = self.company.now + timedelta(days)
        while True:
            while self._round():
                pass
            following = self.company.next_instant()
            if following is None or following > until:
                break
            self.company.now = following
        self.company.now = until

    def _round(self) -> int:
        company, database, now = self.company, self.company.database, self.company.now
        with database.read() as connection:
            looks = next_look(connection, "prospects")
            clicks = next_judging(connection)
        done = 0
        if clicks is not None and clicks <= now:
            done += self.count("judge", lambda: judge(database, now, chunk=20_000)).clicks
        if looks is not None and looks <= now:
            done += self.count("look", lambda: look(database, "prospects", now, chunk=20_000)).leads
        for program in ("walk", "letters"):
            wave = begin_wave(database, program, "test", now, MACHINE)
            if wave is not None:
                done += sum(self._step(program, step, wave.number) for step, due in wave.steps if due)
                finish_wave(database, wave, [], "test", 0)
        return done + self._send(company)

    def _step(self, program: str, step: str, wave: int) -> int:
        done: StepDone = self.count(
            f"{program}/{step}",
            lambda: run_step(self.company.database, program, step, wave, self.company.now, chunk=20_000),
        )
        return done.due

    def _send(self, company: Company) -> int:
        due = company.rows(
            """SELECT m.id FROM message m
                 JOIN enrollment e ON e.id = m.enrollment_id JOIN lead l ON l.id = m.lead_id
                WHERE m.status = 'planned' AND m.send_at <= :now AND e.status = 'active'
                  AND (e.due_at IS NULL OR e.due_at > :now) AND (l.look_at IS NULL OR l.look_at > :now)"""
        )
        if not due:
            return 0
        outcomes = [Settled(int(row["id"]), "sent") for row in due]
        self.count(
            "settle", lambda: company.database.run(lambda each: settle_messages(each, outcomes, company.now))
        )
        return len(due)


def walk(company: Company, name: str, size: int, days: int = 40) -> dict[str, list[int]]:
    """A crowd arrives, is invited, reacts, walks on for weeks; the costs of each kind of work in their order.

    Afterwards it never was, so that the next crowd walks the same way.
    """
    crowd = Walk(company, name, size)
    leads = crowd.arrive()
    crowd.live(5)
    crowd.react(leads[: size // 2])
    crowd.live(days)
    with company.database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in DEFINED:
                connection.execute(table.delete())
    company.now = MONDAY
    return crowd.costs


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ten_thousand_leads_cost_as_many_statements_as_ten(company: Company) -> None:
    walk(company, "first", 12)  # what is read once and kept
    few = walk(company, "few", 12)
    many = walk(company, "many", 500)
    steps = (
        "invite",
        "last-call",
        "seat",
        "read",
        "rest",
        "asking",
        "budget",
        "ways",
        "short",
        "long",
        "call",
    )
    assert {f"walk/{step}" for step in steps} <= set(few)
    assert {what: set(costs) for what, costs in many.items()} == {
        what: set(costs) for what, costs in few.items()
    }
    crowd = walk(company, "crowd", 10_000, days=5)
    assert set(crowd) >= {
        "import",
        "judge",
        "look",
        "record",
        "settle",
        "walk/invite",
        "walk/last-call",
        "walk/call",
    }
    assert {what: set(costs) - set(few[what]) for what, costs in crowd.items()} == {
        what: set() for what in crowd
    }


# Who waits costs nothing


@pytest.fixture
def asleep(company: Company) -> Company:
    """Three thousand who wait for months, and a few who are due."""
    crowd = Walk(company, "sleeper", 3_000)
    crowd.arrive()
    crowd.live(3)
    awake = Walk(company, "awake", 5)
    awake.arrive()
    if not company.database.is_sqlite:
        with company.database.write() as connection:
            connection.execute(text("ANALYZE"))
    return company


def plans(
    company: Company, work: Callable[[], Any], *, explain: str = "EXPLAIN ", only: str = ""
) -> list[str]:
    """How the database answers what the work asks."""
    with asked(company.database) as statements:
        work()
    found: list[str] = []
    with company.database.write() as connection:
        for statement, parameters in statements:
            if statement.lstrip().startswith((only,) if only else ("SELECT", "WITH", "INSERT", "UPDATE")):
                words = "EXPLAIN QUERY PLAN " if company.database.is_sqlite else explain
                found += [str(row[-1]) for row in connection.exec_driver_sql(words + statement, parameters)]
        connection.rollback()
    return found


def whole_tables(lines: list[str]) -> list[str]:
    """The lines of plans that read a table of people from one end to the other.

    An index of mails that wait is read from its beginning, up to the first that fits.
    """
    whole = re.compile(r"(Seq Scan on|^SCAN) (enrollment|lead|message|transition|point|e|l|m)(_\d+)?\b")
    excused = ("(never executed)", "USING INDEX ix_message_planned")
    return [
        line for line in lines if whole.search(line.strip()) and not any(word in line for word in excused)
    ]


def test_asking_what_is_due_reads_nobody_who_waits(asleep: Company) -> None:
    def ask() -> None:
        with asleep.database.read() as connection:
            next_due(connection, "walk")
            next_look(connection, "prospects")
            next_sending(connection, asleep.now)

    assert whole_tables(plans(asleep, ask)) == []


def test_a_claim_of_mails_reads_no_mail_that_waits(asleep: Company) -> None:
    """Run in earnest: the planner cannot know that of thousands of planned mails none is due."""

    def claim() -> None:
        with asleep.database.write() as connection:
            reserve(connection, "test", asleep.now, MACHINE, MACHINE, 100)

    found = plans(asleep, claim, explain="EXPLAIN (ANALYZE, TIMING OFF) ")
    read = [line for line in whole_tables(found) if not re.search(r"\(actual rows=[01] loops=1\)", line)]
    assert read == []


def test_a_wave_and_a_look_read_nobody_who_waits(asleep: Company) -> None:
    """On PostgreSQL an index finds who is due; how the rest is joined depends on how many there are."""
    look(asleep.database, "prospects", asleep.now)
    begun = begin_wave(asleep.database, "walk", "test", asleep.now, MACHINE)
    assert begun is not None
    assert (begun.due, [step for step, due in begun.steps if due]) == (5, ["invite"])

    def wave() -> None:
        run_step(asleep.database, "walk", "invite", begun.number, asleep.now)

    def looked() -> None:
        look(asleep.database, "prospects", asleep.now)

    only = "" if asleep.database.is_sqlite else "INSERT INTO work_"
    assert whole_tables(plans(asleep, wave, only=only)) == []
    with asleep.database.write() as connection:
        connection.execute(
            text("UPDATE lead SET look_at = :now WHERE id <= 5"), {"now": to_micros(asleep.now)}
        )
    assert whole_tables(plans(asleep, looked, only="" if only == "" else "INSERT INTO work_lead")) == []

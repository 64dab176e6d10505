"""The search for leads costs the same among 200,000 as among 200: which way it takes, how much it reads."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text

from leadnurture.reports import leads
from leadnurture.store import Database
from tests.profile.rows import apply

MANY: Final = 200_000
FEW: Final = 200
NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})",
    "postgresql": "WITH n AS (SELECT i FROM generate_series(1, {count}) AS g(i))",
}
STAGE: Final = "CASE WHEN i % 1000 = 0 THEN 'won' WHEN i % 10 = 0 THEN 'engaged' ELSE 'new' END"
FILL: Final = (
    """INSERT INTO account (id, name, name_key, created_at)
       {numbers} SELECT i, 'Company ' || i, 'company ' || i, 0 FROM n WHERE i <= {count} / 20""",
    """INSERT INTO account_word (account_id, word) SELECT id, 'company' FROM account
       UNION ALL SELECT id, 'c' || id FROM account
       UNION ALL SELECT id, CASE WHEN id % 2 = 0 THEN 'north' ELSE 'south' END FROM account""",
    """INSERT INTO lead (id, email, email_key, first_name, last_name, account_id, track, stage, stage_since,
            country, language, role, source, zone, zone_given, luck, fit, engagement, score, created_at)
       {numbers} SELECT i, 'p' || i || '@example.com', 'p' || i || '@example.com', 'Anna', 'Solheim',
            1 + i % ({count} / 20), CASE WHEN i % 7 = 0 THEN 'clients' ELSE 'prospects' END, {stage}, 0,
            'NO', 'en', '', '', 'Europe/Oslo', '', i, 0, 0, (i * 7919) % 101, 0 FROM n""",
    """INSERT INTO lead_word (lead_id, word)
       SELECT id, 'anna' FROM lead UNION ALL SELECT id, 'solheim' || id FROM lead
       UNION ALL SELECT id, email_key FROM lead UNION ALL SELECT id, 'rare' || (id % 5000) FROM lead
       UNION ALL SELECT id, CASE WHEN id % 2 = 0 THEN 'even' ELSE 'odd' END FROM lead
       UNION ALL SELECT id, 'thirtieth' FROM lead WHERE id % 30 = 0
       UNION ALL SELECT id, 'low' FROM lead WHERE score < 50
       UNION ALL SELECT id, 'third' FROM lead WHERE id % 3 = 1
       UNION ALL SELECT id, 'buyer' FROM lead WHERE track = 'clients'""",
    """INSERT INTO enrollment (lead_id, program, version_id, status, step, visit, arrived_at,
            seen_reaction_id, acted, wave, started_at)
       SELECT l.id, v.program, v.id, 'active', 'x', 1, 0, 0, TRUE, 0, 0 FROM lead l, program_version v
        WHERE (v.program = 'scaling-series' AND l.id % 3 = 0)
           OR (v.program = 'trade-show-follow-up' AND l.id % 5000 = 1)""",
)
QUESTIONS: Final[dict[str, dict[str, Any]]] = {
    "all": {},
    "the next page": {"before": (50, FEW // 2)},
    "one name": {"search": "solheim78"},
    "an address": {"search": "p150@exam"},
    "a company": {"search": "c7"},
    "a name that all have": {"search": "anna"},
    "a name that all have at a company": {"search": "anna c3"},
    "two words that all have": {"search": "anna company"},
    "nobody": {"search": "anna nobody"},
    "a rare stage": {"stage": "won"},
    "a score": {"least": 95},
    "a stage and a score": {"stage": "engaged", "least": 60},
    "a large program": {"program": "scaling-series"},
    "a small program": {"program": "trade-show-follow-up"},
    "everything": {"search": "anna", "program": "scaling-series", "stage": "engaged", "least": 20},
}
COMMON: Final[dict[str, dict[str, Any]]] = {
    "two words that nobody has both": {"search": "even odd"},
    "a name and a company that nobody has both": {"search": "even north"},
    "two companies": {"search": "north south"},
    "three words": {"search": "anna even odd"},
    "a name that few of a company have": {"search": "anna thirtieth south"},
    "two words, one of them of fewer": {"search": "odd thirtieth"},
    "a name that nobody of a program has": {"search": "third", "program": "scaling-series"},
    "a name that nobody with such a score has": {"search": "low", "least": 50},
    "a name of the lower half": {"search": "low"},
    "a name that only clients have": {"search": "buyer"},
    "the next page of two words": {"search": "even odd", "before": (50, FEW // 2)},
    "a stage of one word": {"search": "odd", "stage": "engaged"},
    "everything that is common": {
        "search": "even odd", "program": "scaling-series", "stage": "new", "least": 20, "before": (90, 10),
    },
}  # fmt: skip
"""Words that many leads have each, and few or none together."""
MOST: Final = {True: 1_000, False: 20_000}
"""A search of SQLite's runs a million instructions at most, some ten milliseconds; reading all leads takes
many times that. PostgreSQL's pages are mostly the same few of an index again.
"""
MOST_OF_COMMON: Final = {True: 12_000, False: 80_000}
"""Where indexes are read for a word from end to end: some instructions an entry."""
MOST_STATEMENTS: Final = 11
READ: Final = ("lead", "lead_word", "account_word", "enrollment")
"""What grows with the leads, and is never read from end to end."""


def fill(database: Database, count: int) -> None:
    apply(database)
    numbers = NUMBERS["sqlite" if database.is_sqlite else "postgresql"].format(count=count)
    with database.write() as connection:
        for statement in FILL:
            connection.execute(text(statement.format(numbers=numbers, count=count, stage=STAGE)))
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, with their values."""
    told: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:  # noqa: ANN401 - the driver's own
        told.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    yield told
    event.remove(database.engine, "before_cursor_execute", note)


def whole_tables(connection: Connection, statement: str, values: Any) -> set[str]:  # noqa: ANN401 - the driver's own
    """The tables that a statement would read from end to end."""
    is_sqlite = connection.dialect.name == "sqlite"
    plan = connection.exec_driver_sql(
        f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{statement}", values
    ).all()
    pattern = r"^SCAN (\w+)" if is_sqlite else r"Seq Scan on (\w+)"
    assert not any("hashed SubPlan" in str(row[-1]) for row in plan), "all rows with a word are read first"
    return {found[1] for row in plan if (found := re.search(pattern, str(row[-1])))} & set(READ)


def work_of(database: Database, told: list[tuple[str, Any]]) -> int:
    """What statements cost: thousands of instructions of SQLite's machine, pages of PostgreSQL's memory."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    with database.read() as connection:
        if database.is_sqlite:
            raw: Any = connection.connection.dbapi_connection
            raw.set_progress_handler(count, 1000)
        for statement, values in told:
            if database.is_sqlite:
                connection.exec_driver_sql(statement, values).all()
            else:
                plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", values).scalars()
                hits = re.search(r"Buffers: shared ([^\n]*)", "\n".join(plan))
                counted += sum(map(int, re.findall(r"=(\d+)", hits[1]))) if hits else 0
        if database.is_sqlite:
            raw.set_progress_handler(None, 0)
    return counted


def asked(database: Database, filters: dict[str, Any]) -> tuple[list[int], list[tuple[str, Any]]]:
    """The leads that a search finds, and the statements that it takes."""
    with noted(database) as told, database.read() as connection:
        found = leads(connection, **filters)
    return [lead.id for lead in found], [one for one in told if one[0].lstrip().startswith("SELECT")]


PLAIN: Final = """
    SELECT l.id FROM lead l
     WHERE l.track = 'prospects' AND (:stage = '' OR l.stage = :stage) AND l.score >= :least
       AND (l.score < :score OR (l.score = :score AND l.id < :id))
       AND (:program = '' OR l.id IN (SELECT e.lead_id FROM enrollment e WHERE e.program = :program))
       {words} ORDER BY l.score DESC, l.id DESC LIMIT 50"""
HAS_WORD: Final = """
       AND (l.id IN (SELECT w.lead_id FROM lead_word w WHERE w.word LIKE '{0}%')
            OR l.account_id IN (SELECT w.account_id FROM account_word w WHERE w.word LIKE '{0}%'))"""


def plainly(connection: Connection, filters: dict[str, Any]) -> list[int]:
    """The same question, asked without any art."""
    words = "".join(HAS_WORD.format(word) for word in filters.get("search", "").split())
    score, number = filters.get("before", (1000, 0))
    values = {name: filters.get(name, "") for name in ("stage", "program")}
    values |= {"least": filters.get("least", 0), "score": score, "id": number}
    return list(connection.scalars(text(PLAIN.format(words=words)), values))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_costs_the_same_among_two_hundred_thousand(database: Database) -> None:
    fill(database, MANY)
    for name, filters in (QUESTIONS | COMMON).items():
        found, told = asked(database, filters)
        with database.read() as connection:
            for statement, values in told:
                assert whole_tables(connection, statement, values) == set(), f"{name}: {statement}"
            assert found == plainly(connection, filters), name
        most = MOST_OF_COMMON if name in COMMON else MOST
        assert work_of(database, told) <= most[database.is_sqlite], name
        assert len(told) <= MOST_STATEMENTS, name


@pytest.mark.slow
def test_among_two_hundred_the_same_questions_have_the_same_answers(database: Database) -> None:
    fill(database, FEW)
    for name, filters in (QUESTIONS | COMMON).items():
        found, told = asked(database, filters)
        with database.read() as connection:
            assert found == plainly(connection, filters), name
        assert len(told) <= MOST_STATEMENTS, name

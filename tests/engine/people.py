"""A company in which the same person may come twice: programs, points, seats and offers to sales."""

from typing import Any, Final

from sqlalchemy import select

from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.engine.driver import Company

SERIES: Final = """
title: A series
owner: dana
enter: tag("series")
steps:
  write:
    send: letter
    after: 5 days
  again:
    send: last-letter
    after: 30 days
"""
LETTERS: Final = """
title: Letters
owner: dana
enter: tag("letters")
steps:
  invite:
    send: talk
    on:
      replied: call
    after: 30 days
    then:
      - go: end
  call:
    handoff: Asked for it
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
at once: 2
fit: {role == "head": 50}
engagement:
  live: 90 days
  points:
    downloaded: 10
    registered: 5
    attended: 20
    submitted("yes"): 30
stages:
  engaged: {when: engagement > 0}
  qualified: {when: fit >= 40 and engagement >= 30}
routing: [{to: [lena]}]
returns: {no budget: {go: resume}}
"""
FILES: Final = {
    "prospects/track": AGREEMENT,
    "prospects/programs/series": SERIES,
    "prospects/programs/letters": LETTERS,
    "content/letter": "kind: email\ntitle: {en: A letter}\n",
    "content/last-letter": "kind: email\ntitle: {en: The last letter}\n",
    "content/guide": "kind: report\ntitle: {en: A guide}\nlink: https://example.com\ntopics: [scaling]\n",
    "content/talk": """
kind: webinar
title: {en: A talk}
topics: [security]
sessions:
  june: 2027-06-01 15:00
""",
}
NOT_UNDONE: Final = frozenset({"audit", "lead_merge"})
"""What tells that something was done stays."""


def everything(database: Database, *, but: frozenset[str] = NOT_UNDONE) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with database.read() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
            if name not in but
        }


def ids(company: Company, table: str, lead: int) -> set[int]:
    """The ids of a lead's rows."""
    his = metadata.tables[table]
    with company.database.read() as connection:
        return set(connection.scalars(select(his.c.id).where(his.c.lead_id == lead)))

"""Keeps clicks as they come in: raw facts, not yet judged. Nothing else is written; `judging` makes of them what they are.

A click is no reaction. It becomes one when it is judged a person's, after its settle time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from leadnurture.domain.clicks import SETTLE, SETTLING
from leadnurture.engine.sql import run, sql
from leadnurture.store import Database
from leadnurture.store.instants import from_micros, to_micros

LONGEST_AGENT: Final = 300
COLUMNS: Final = """lead_id, message_id, program, step, content, session, link, method, agent, network, at, recorded_at, source, key,
                     natural_key, judgement, reason, judge_at"""


@dataclass(frozen=True, slots=True)
class RawClick:
    """A request for a link of a mail, as our own door saw it."""

    message_id: int
    link: str
    method: Literal["GET", "HEAD"]
    agent: str
    """How the program calls itself; empty when it does not say."""
    network: str | None
    """A keyed hash of the address without its last part, where it is known."""
    key: str


def keep_click(database: Database, click: RawClick, now: datetime) -> None:
    """Appends one row, by one statement, and locks no lead: whoever follows the link waits for nothing else."""

    def keep(connection: Connection) -> None:
        run(
            connection,
            f"""
            INSERT INTO click ({COLUMNS})
            SELECT m.lead_id, m.id, m.program, m.step, m.content,
                   CASE WHEN m.session_content = m.content THEN m.session END,
                   :link, :method, :agent, CAST(:network AS VARCHAR), :now, :now, 'web', :key, NULL, 'undecided', :settling, :judge_at
              FROM message m WHERE m.id = :message""",
            message=click.message_id, link=click.link, method=click.method, agent=_printable(click.agent), network=click.network,
            key=f"web:{click.key}", settling=SETTLING, judge_at=to_micros(now + SETTLE), now=now,
        )  # fmt: skip

    database.run(keep)


def _printable(agent: str) -> str:
    return "".join(character for character in agent if character.isprintable())[:LONGEST_AGENT]


def keep_told_clicks(connection: Connection, now: datetime) -> int:
    """Moves the clicks of `work_reaction`, whose leads are known and locked, to where raw clicks lie. Two statements.

    The result is how many were new: the same key, or the same click under another key, is kept once.
    """
    kept = run(
        connection,
        f"""
        INSERT INTO click ({COLUMNS})
        SELECT w.lead_id, w.message_id, m.program, m.step, w.content, w.session, w.argument, NULL, w.agent, NULL, w.at, :now, w.source,
               w.key, w.natural_key, 'undecided', :settling, w.counts_at
          FROM work_reaction w LEFT JOIN message m ON m.id = w.message_id
         WHERE w.lead_id IS NOT NULL AND w.kind = 'clicked' ORDER BY w.position
            ON CONFLICT DO NOTHING""",
        settling=SETTLING,
        now=now,
    )
    run(connection, "DELETE FROM work_reaction WHERE kind = 'clicked'")
    return kept


def next_judging(connection: Connection) -> datetime | None:
    """When the next click is to be judged; a probe of an index."""
    earliest = connection.execute(sql("SELECT min(judge_at) FROM click WHERE judge_at IS NOT NULL")).scalar()
    return None if earliest is None else from_micros(earliest)

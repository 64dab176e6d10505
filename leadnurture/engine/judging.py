"""Judges clicks: a person or a machine? A person's becomes a reaction, a machine's never does, or does not any more.

One idea to hold: what is said of a click depends on the clicks around it and on nothing else, in whatever order they became known.
So a click that is judged for the first time makes its judged neighbours due again; those make nobody due, and it ends.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from leadnurture.domain.clicks import (
    AGENTS,
    AT_ONCE,
    BURST,
    CROWD,
    CROWDED_LEADS,
    EARLY,
    HEAD_BY_VISITOR,
    HEAD_OF_LINK,
    HIDDEN_BY_ANYBODY,
    HIDDEN_BY_VISITOR,
    HIDDEN_LINK,
    SWEEP,
    SWEPT_LINKS,
    VERDICTS,
    Judgement,
    Rule,
)
from leadnurture.engine.current import current_definitions
from leadnurture.engine.reactions import follow, insert_fresh
from leadnurture.engine.sql import lock_lead_of, run, sql
from leadnurture.engine.takeback import take_back
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note, stage
from leadnurture.store.tables import Click
from leadnurture.store.work import empty, work_click, work_reaction

CHUNK: Final = 2_000
# Of one network's clicks within ten seconds so many are looked at: enough to see a crowd, few enough to stay quick.
MOST_OF_NETWORK: Final = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judging came to."""

    clicks: int = 0
    persons: int = 0
    """Clicks that became reactions, or count again."""
    lost: int = 0
    """Clicks that counted and were a machine's after all."""
    went_back: int = 0
    """Enrollments that went back to where such a click had moved them from."""
    withdrawn: int = 0
    """Handoffs that rested on such a click alone."""

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(
            self.clicks + other.clicks, self.persons + other.persons, self.lost + other.lost,
            self.went_back + other.went_back, self.withdrawn + other.withdrawn,
        )  # fmt: skip


def judge(database: Database, now: datetime, *, seconds: float = 20.0, chunk: int = CHUNK) -> Judged:
    """Judges every click that is due, a chunk a transaction, for at most that many seconds of the machine.

    A constant number of statements per chunk, whatever its size. Safe to repeat, safe beside other workers.
    """
    until, total = time.monotonic() + seconds, Judged()
    while True:
        done = database.run(lambda connection: _chunk(connection, now, chunk))
        total += done
        if not done.clicks or time.monotonic() > until:
            return total


def revise_click(
    database: Database, click_id: int, judgement: Judgement, by: str, now: datetime, *, reason: str = ""
) -> Judged:
    """What a person says of a click; from then on the rules say nothing of it any more. Safe to repeat.

    Raises NotFoundError for an unknown click, InvalidInputError for any other word than person and machine.
    """
    if judgement not in {"person", "machine"}:
        raise InvalidInputError(f"A click is judged person or machine, not {judgement!r}.")

    def revise(connection: Connection) -> Judged:
        lead_id = lock_lead_of(connection, Click.__table__, click_id)
        if lead_id is None:
            raise NotFoundError(f"There is no click {click_id}; `leadnurture explain` lists those of a lead.")
        empty(connection, work_click)
        stage(connection, work_click, [{"click_id": click_id, "lead_id": lead_id}])
        _know(connection)
        said = reason or f"{by} says so"
        run(connection, "UPDATE work_click SET judgement = :judgement, reason = :reason, person = :by",
            judgement=judgement, reason=said, by=by)  # fmt: skip
        if run(connection, "DELETE FROM work_click WHERE was = judgement AND reason = was_reason"):
            return Judged()
        note(
            connection, by, "judged a click", f"lead {lead_id}", now, detail=f"click {click_id}, {judgement}"
        )
        return _carry_out(connection, now)

    return database.run(revise)


def _chunk(connection: Connection, now: datetime, chunk: int) -> Judged:
    empty(connection, work_click)
    locked = "" if connection.dialect.name == "sqlite" else " FOR NO KEY UPDATE OF l SKIP LOCKED"
    due = run(
        connection,
        f"""
        INSERT INTO work_click (click_id, lead_id)
        SELECT c.id, c.lead_id FROM click c JOIN lead l ON l.id = c.lead_id
         WHERE c.judge_at <= :now ORDER BY c.judge_at, c.id LIMIT :chunk{locked}""",
        now=now,
        chunk=chunk,
    )
    if not due:
        return Judged()
    if locked:  # on SQLite nobody else can have judged or moved it, and nothing is planned by numbers
        connection.execute(sql("ANALYZE work_click"))
        run(
            connection,
            """
            DELETE FROM work_click WHERE NOT EXISTS (
                   SELECT 1 FROM click c WHERE c.id = work_click.click_id AND c.lead_id = work_click.lead_id AND c.judge_at <= :now)""",
            now=now,
        )
    _know(connection)
    run(connection, _ASK, **_LENGTHS)
    run(connection, _SAY)
    return _carry_out(connection, now)


def _know(connection: Connection) -> None:
    """What was said of the clicks so far. Read after their leads are locked."""
    run(
        connection,
        """
        UPDATE work_click SET is_first = (c.judged_at IS NULL), was = c.judgement, was_reason = c.reason, reaction_id = c.reaction_id,
               counted_at = (SELECT r.counts_at FROM reaction r WHERE r.id = c.reaction_id)
          FROM click c WHERE c.id = work_click.click_id""",
    )


def _carry_out(connection: Connection, now: datetime) -> Judged:
    """Writes what was judged, and everything that follows from it."""
    definitions = current_definitions(connection)
    run(connection, _ASK_NEIGHBOURS, now=now, crowd=2 * _micros(CROWD))
    run(
        connection,
        """
        UPDATE work_click SET is_lost = (judgement <> 'person' AND counted_at IS NOT NULL),
               is_again = (judgement = 'person' AND counted_at IS NULL AND reaction_id IS NOT NULL)""",
    )
    run(connection, _REVISIONS, now=now)
    fresh = _count(connection, now)
    if fresh:
        follow(connection, definitions, {"clicked"}, now)
    changed = take_back(connection, definitions, now)
    clicks = run(
        connection,
        """
        UPDATE click SET judgement = w.judgement, reason = w.reason, judge_at = NULL, judged_at = :now, judged_by = w.person,
               reaction_id = coalesce(click.reaction_id, (SELECT r.id FROM reaction r WHERE r.key = 'click:' || CAST(click.id AS VARCHAR)))
          FROM work_click w WHERE w.click_id = click.id""",
        now=now,
    )
    return Judged(clicks, fresh + changed.again, changed.lost, changed.went_back, changed.withdrawn)


def _count(connection: Connection, now: datetime) -> int:
    """Makes reactions of what persons did."""
    empty(connection, work_reaction)
    run(
        connection,
        """
        INSERT INTO work_reaction (position, lead_id, message_id, kind, content, session, argument, at, recorded_at, counts_at, source,
                                   key, natural_key)
        SELECT c.id, c.lead_id, c.message_id, 'clicked', c.content, c.session, CASE WHEN c.method IS NULL THEN c.link END, c.at,
               c.recorded_at, :now, c.source, 'click:' || CAST(c.id AS VARCHAR), 'click|' || CAST(c.id AS VARCHAR)
          FROM work_click w JOIN click c ON c.id = w.click_id
         WHERE w.judgement = 'person' AND w.reaction_id IS NULL""",
        now=now,
    )
    return insert_fresh(connection)


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


_LENGTHS: Final = {
    name: _micros(length)
    for name, length in {
        "burst": BURST, "sweep": SWEEP, "crowd": CROWD, "by_visitor": HIDDEN_BY_VISITOR, "by_anybody": HIDDEN_BY_ANYBODY,
        "head_by_visitor": HEAD_BY_VISITOR, "head_of_link": HEAD_OF_LINK, "at_once": AT_ONCE, "early": EARLY,
    }.items()
}  # fmt: skip
_SAME_MAIL: Final = "o.message_id = c.message_id AND o.id <> c.id"
_SAME_VISITOR: Final = "(o.network = c.network OR o.network IS NULL OR c.network IS NULL)"
_KNOWN_AGENT: Final = " OR ".join(f"lower(c.agent) LIKE '%{word}%'" for word in AGENTS)
_AFTER_SENDING: Final = (
    "c.at - (SELECT coalesce(m.sent_at, m.attempt_at) FROM message m WHERE m.id = c.message_id)"
)
# In the order of the verdicts. Time and network speak only where our own door saw the click: never a clock of somebody else.
_SIGNS: Final[dict[Rule, str]] = {
    "head": "c.method = 'HEAD'",
    "hidden": f"c.link = '{HIDDEN_LINK}'",
    "agent": f"({_KNOWN_AGENT})",
    "burst": f"EXISTS (SELECT 1 FROM click o WHERE {_SAME_MAIL} AND o.link <> c.link AND o.at BETWEEN c.at - :burst AND c.at + :burst)",
    "with hidden": f"""EXISTS (SELECT 1 FROM click o WHERE {_SAME_MAIL} AND o.link = '{HIDDEN_LINK}'
                           AND (o.at BETWEEN c.at - :by_anybody AND c.at + :by_anybody
                                OR (o.at BETWEEN c.at - :by_visitor AND c.at + :by_visitor AND o.agent = c.agent AND {_SAME_VISITOR})))""",
    "after head": f"""EXISTS (SELECT 1 FROM click o WHERE {_SAME_MAIL} AND o.method = 'HEAD'
                          AND ((o.network = c.network AND o.at BETWEEN c.at - :head_by_visitor AND c.at)
                               OR (o.link = c.link AND o.at BETWEEN c.at - :head_of_link AND c.at)))""",
    "sweep": f"""EXISTS (SELECT 1 FROM click f WHERE f.message_id = c.message_id AND f.at BETWEEN c.at - :sweep AND c.at
                     AND (SELECT count(DISTINCT o.link) FROM click o
                           WHERE o.message_id = f.message_id AND o.at BETWEEN f.at AND f.at + :sweep) >= {SWEPT_LINKS})""",
    "crowd": f"""c.network IS NOT NULL AND (SELECT count(DISTINCT near.lead_id) FROM (
                     SELECT o.lead_id FROM click o WHERE o.network = c.network AND o.at BETWEEN c.at - :crowd AND c.at + :crowd
                      ORDER BY o.at LIMIT {MOST_OF_NETWORK}) AS near) >= {CROWDED_LEADS}""",
    "at once": f"c.method IS NOT NULL AND {_AFTER_SENDING} < :at_once",
    "early": f"c.method IS NOT NULL AND {_AFTER_SENDING} < :early",
    "nameless": "c.method IS NOT NULL AND coalesce(c.agent, '') = ''",
}
_CASES: Final = " ".join(f"WHEN {sign} THEN '{rule}'" for rule, sign in _SIGNS.items())
_ASK: Final = f"UPDATE work_click SET rule = CASE {_CASES} ELSE 'none' END FROM click c WHERE c.id = work_click.click_id"


def _said(place: int) -> str:
    cases = " ".join(f"WHEN '{rule}' THEN '{verdict[place]}'" for rule, verdict in VERDICTS.items())
    return f"CASE rule {cases} END"


_SAY: Final = f"UPDATE work_click SET judgement = {_said(0)}, reason = {_said(1)}"
# A machine's click stays one whatever else becomes known, and of what a person judged the rules say nothing.
_ASK_NEIGHBOURS: Final = """
    UPDATE click SET judge_at = :now
     WHERE judged_at IS NOT NULL AND judge_at IS NULL AND judged_by IS NULL AND judgement <> 'machine' AND id IN (
           SELECT o.id FROM work_click w JOIN click c ON c.id = w.click_id JOIN click o ON o.message_id = c.message_id
            WHERE w.is_first
            UNION
           SELECT o.id FROM work_click w JOIN click c ON c.id = w.click_id
             JOIN click o ON o.network = c.network AND o.at BETWEEN c.at - :crowd AND c.at + :crowd
            WHERE w.is_first)"""
_REVISIONS: Final = """
    INSERT INTO click_revision (click_id, lead_id, at, was, was_reason, judgement, reason, by, points)
    SELECT w.click_id, w.lead_id, :now, w.was, w.was_reason, w.judgement, w.reason, w.person,
           CASE WHEN w.is_lost THEN coalesce((
                SELECT sum(p.points) FROM point p
                 WHERE p.lead_id = w.lead_id AND p.reaction_id = w.reaction_id AND (p.ends_at IS NULL OR p.ends_at > :now)), 0) ELSE 0 END
      FROM work_click w
     WHERE (NOT w.is_first OR w.person IS NOT NULL) AND (w.judgement <> w.was OR w.person IS NOT NULL)"""

"""Asks SQLite how it goes about statements, and which tables that grow it goes through.

Whole, or by an index that finds a large part of them: of the leads of a track there are as many as of leads.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, event

# Tables that grow with leads and years. Whoever goes through one of them pays for those who wait. Handoffs
# and notices are not among them: people work them off by hand, so they are few.
GROWING: Final = (
    "account", "account_fact", "account_word", "audit", "click", "click_revision", "consent", "deal",
    "enrollment", "inbox", "inbox_item", "interest", "lead", "lead_fact", "lead_key", "lead_merge",
    "lead_note", "lead_tag", "lead_word", "message", "point", "preference", "product", "reaction", "reply",
    "stage_change", "standing", "suppression", "transition", "unwanted_topic", "way_back",
)  # fmt: skip
# What many rows of such a table have in common: found by these alone they are as good as all.
COMMON: Final = frozenset(
    {
        "acted", "kind", "locale", "occasion", "program", "purpose", "reason", "source", "stage", "status",
        "step", "system", "topic", "track", "zone",
    }
)  # fmt: skip
# Of these a part is as good as all; a part of instants is what is due.
RANKED: Final = frozenset({"id", "rowid", "score"})
# What a statement with such words may go through, and by what: it ends at the first rows that fit, or reads
# what people work off.
EXCUSED: Final = (
    ("(SELECT min(e.due_at) FROM enrollment e", "enrollment by program=? AND step=?"),
    ("ORDER BY m.send_at LIMIT 1", "message by ix_message_planned"),
    ("enrollment.status IN ('active', 'paused') LIMIT ?", "enrollment by program=?"),
    ("WHERE reply.sorted_at IS NULL", "reply by ix_reply_unsorted"),
    # Asked for a foreign key, and only of a transaction that has broken one.
    ("INSERT INTO account (", "deal by nothing"),
    ("INSERT INTO reaction (", "interest by nothing"),
    ("INSERT INTO reaction (", "lead_note by nothing"),
)
# What is done once a day, for all.
ONCE_A_DAY: Final = frozenset({"SELECT DISTINCT lead.zone FROM lead"})
_NAMED: Final = re.compile(rf"\b({'|'.join(GROWING)})\b(?:\s+(?:AS\s+)?(\w+))?")
_STEP: Final = re.compile(r"^(SCAN|SEARCH) (\w+)(?: USING (.+))?$")
_INDEX: Final = re.compile(r"INDEX (\w+)")
_TERM: Final = re.compile(r"(\w+)([=<>])\?")


class Plans:
    """Every statement that was seen, with the growing tables that it goes through."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, ...]] = {}

    def told(self) -> list[str]:
        """Which table a statement goes through, and the statement: a line each."""
        plain = {" ".join(statement.split()): tables for statement, tables in self.seen.items()}
        return sorted(
            f"{table}: {statement}"
            for statement, tables in plain.items()
            for table in tables
            if statement not in ONCE_A_DAY
            and not any(words in statement and table == by for words, by in EXCUSED)
        )

    @contextmanager
    def watched(self, engine: Engine) -> Iterator[None]:
        """Looks at all statements that begin meanwhile."""
        event.listen(engine, "before_cursor_execute", self._look)
        yield
        event.remove(engine, "before_cursor_execute", self._look)

    def _look(
        self, connection: Connection, _: object, statement: str, values: tuple[object, ...], *__: object
    ) -> None:
        is_asked = statement.lstrip().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE"))
        if statement in self.seen or not is_asked:
            return
        first = values[0] if values and isinstance(values[0], tuple) else values  # of many
        cursor = connection.connection.cursor()
        lines = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", first)]
        cursor.close()
        named = {name: table for table, alias in _NAMED.findall(statement) for name in (table, alias) if name}
        named |= {table: table for table in GROWING}  # foreign keys ask tables that are not named
        found = [_STEP.match(line) for line in lines]
        self.seen[statement] = tuple(
            f"{named[step[2]]} by {_by(step[3] or '')}"
            for step in found
            if step and step[2] in named and _is_whole(step[1], step[3] or "")
        )


def _by(using: str) -> str:
    terms, index = _TERM.findall(using), _INDEX.search(using)
    return " AND ".join(f"{name}{how}?" for name, how in terms) or (index[1] if index else "nothing")


def _is_whole(how: str, using: str) -> bool:
    if how == "SCAN" or using.startswith("AUTOMATIC"):
        return True
    terms = _TERM.findall(using)  # none where the least or the greatest alone is read
    return bool(terms) and all(name in (COMMON if sign == "=" else RANKED) for name, sign in terms)

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
# What ends at the first rows that fit, is done once a day for all, or goes through what people work off.
EXCUSED: Final = (
    "(SELECT min(e.due_at) FROM enrollment e WHERE e.status = 'active' AND",
    "ORDER BY m.send_at LIMIT 1",
    "enrollment.status IN ('active', 'paused') LIMIT",
    "SELECT DISTINCT lead.zone FROM lead",
    "ix_reply_unsorted",
)  # fmt: skip
_NAMED: Final = re.compile(rf"\b({'|'.join(GROWING)})\b(?:\s+(?:AS\s+)?(\w+))?")
_GOES: Final = re.compile(r"^(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+)(?: \((.+)\))?)?")


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
            if not any(words in statement or words in table for words in EXCUSED)
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
        # What a foreign key asks of other tables is not executed unless a transaction has broken one.
        named = {name: table for table, alias in _NAMED.findall(statement) for name in (table, alias) if name}
        found = [_GOES.match(line) for line in lines]
        self.seen[statement] = tuple(
            f"{named[one[2]]} by {one[4] or one[3] or 'nothing'}"
            for one in found
            if one and one[2] in named and (one[1] == "SCAN" or _is_common(one[4] or ""))
        )


def _is_common(columns: str) -> bool:
    return {column.removesuffix("=?") for column in columns.split(" AND ")} <= COMMON

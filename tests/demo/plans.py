"""Asks SQLite how it goes about every statement of the daily work, and which tables it goes through whole."""

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
# What is done once a day, for all.
ONCE_A_DAY: Final = frozenset({"SELECT DISTINCT lead.zone FROM lead"})
_NAMED: Final = re.compile(rf"\b({'|'.join(GROWING)})\b(?:\s+(?:AS\s+)?(\w+))?")
_SCAN: Final = re.compile(r"^SCAN (\w+)( USING (?:COVERING )?INDEX \w+)?")


class Plans:
    """Every statement that was seen, with the growing tables that it goes through."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, ...]] = {}

    def told(self) -> list[str]:
        """Which table a statement goes through, and the statement: a line each."""
        plain = {" ".join(statement.split()): scans for statement, scans in self.seen.items()}
        return sorted(
            f"{scan}: {statement}"
            for statement, scans in plain.items()
            for scan in scans
            if statement not in ONCE_A_DAY
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
        if statement in self.seen or not statement.startswith(
            ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
        ):
            return
        first = values[0] if values and isinstance(values[0], tuple) else values  # of many
        cursor = connection.connection.cursor()
        lines = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", first)]
        cursor.close()
        named = {alias or table: table for table, alias in _NAMED.findall(statement)}
        named |= {table: table for table in GROWING}
        found = (_SCAN.match(line) for line in lines)
        self.seen[statement] = tuple(
            f"{named[match[1]]}{match[2] or ''}" for match in found if match and match[1] in named
        )

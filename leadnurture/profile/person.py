"""All that is held about one person, as JSON: for whoever asks what we know of him.

One idea to hold: nobody lists the tables. Every row that refers to the lead is his, so that a table of
tomorrow is in his copy as well.
"""

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, or_, select

from leadnurture import engine
from leadnurture.store import Database, note
from leadnurture.store.tables import metadata

WITHOUT: Final = frozenset({"lease_owner", "lease_until", "luck"})
"""Columns that say nothing of him: who of our machines is at work, and a lot that was drawn."""
JSON_TEXT: Final = frozenset({"facts", "body", "ask"})
"""Columns that are JSON themselves: what a mail was made of, what a merge has put aside, what a task asks."""


def export_person(database: Database, lead_ref: int | str, actor: str, now: datetime) -> dict[str, Any]:
    """Everything about a lead, by id or address, under the names of the tables. Raises NotFoundError.

    Whose data went to whom is noted with it, and stands in the copy. A statement a table.
    """

    def export(connection: Connection) -> dict[str, Any]:
        lead = engine.find_lead(connection, lead_ref)
        note(connection, actor, "exported all that is held", f"lead {lead.id}", now)
        return _held(connection, lead, now)

    return database.run(export)


def _held(connection: Connection, lead: Row[Any], now: datetime) -> dict[str, Any]:
    addresses = engine.addresses_of(connection, lead.id)
    numbers = engine.numbers_of(connection, lead.id)
    told: dict[str, Any] = {"exported_at": now.isoformat(), "lead": _plain(lead)}
    for table in metadata.sorted_tables:
        wanted = _his(table, lead, addresses, numbers)
        if wanted is not None:
            order = list(table.primary_key.columns)
            rows = connection.execute(select(table).where(wanted).order_by(*order))
            told[table.name] = [_plain(row) for row in rows]
    return told


def _his(
    table: Table, lead: Row[Any], addresses: Collection[str], numbers: Collection[int]
) -> ColumnElement[bool] | None:
    """Which rows of a table are about him; None where none can be."""
    columns = table.c
    found: ColumnElement[bool] | None
    match table.name:
        case "audit":
            found = columns.subject.in_([f"lead {number}" for number in numbers])
        case "suppression":
            found = columns.email_key.in_(addresses)
        case "lead_merge":
            # One that was undone has put aside what is another person's.
            found = columns.kept_id.in_(numbers) & columns.undone_at.is_(None)
        case "account":
            found = columns.id == lead.account_id
        case "account_fact" | "product":
            found = columns.account_id == lead.account_id
        case _:
            parents = list(_parents(table, lead))
            found = or_(*parents) if parents else None
    return found


def _parents(table: Table, lead: Row[Any]) -> Iterator[ColumnElement[bool]]:
    """His own rows, and what hangs on one of them, as a notice does on a handoff."""
    if "lead_id" in table.c:
        yield table.c.lead_id == lead.id
        return
    for key in table.foreign_keys:
        parent = key.column.table
        if "lead_id" in parent.c and parent.name != table.name:
            yield key.parent.in_(select(key.column).where(parent.c.lead_id == lead.id))


def _plain(row: Row[Any]) -> dict[str, Any]:
    """A row without what is empty in it."""
    told = ((name, _value(name, value)) for name, value in row._mapping.items() if name not in WITHOUT)  # noqa: SLF001 - the public way to the names of a row
    return {name: value for name, value in told if value is not None}


def _value(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if name in JSON_TEXT and isinstance(value, str):
        return json.loads(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

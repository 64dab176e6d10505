"""What an act changed in the rows of a few leads, so that it can be taken back: row for row, column for column.

One idea to hold: the rows are read before and after, whatever the tables. Taking back is a merge of three: a column
goes back only where it still says what the act made of it; what has changed since stays as it is.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from leadnurture.store.instants import to_micros
from leadnurture.store.tables import metadata

LEAD: Final = metadata.tables["lead"]
SUPPRESSION: Final = metadata.tables["suppression"]
OF_LEADS: Final = tuple(table for table in metadata.sorted_tables if "lead_id" in table.c)
"""Tables whose rows belong to a lead, in the order in which they may be filled."""

Value = str | float | bool | None
Row = Mapping[str, Value]
Rows = dict[str, dict[str, Row]]
"""Rows by table, and there by their primary key as text."""
Change = dict[str, Any]
"""`table`, and `was` and `is`: whole rows, or the columns that differ together with the key."""


def rows_of(connection: Connection, lead_ids: Collection[int], addresses: Collection[str]) -> Rows:
    """Every row of these leads, and what is said of these addresses. A statement a table."""
    found: Rows = {}
    for table, criterion in _chosen(lead_ids, addresses):
        rows = connection.execute(select(table).where(criterion)).mappings()
        for row in rows:
            told = {name: _plain(value) for name, value in row.items()}
            found.setdefault(table.name, {})[_key(table, told)] = told
    return found


def _chosen(
    lead_ids: Collection[int], addresses: Collection[str]
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    yield LEAD, LEAD.c.id.in_(lead_ids)
    yield SUPPRESSION, SUPPRESSION.c.email_key.in_(addresses)
    for table in OF_LEADS:
        yield table, table.c.lead_id.in_(lead_ids)


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON knows
    return to_micros(value) if isinstance(value, datetime) else value


def _key(table: Table, row: Row) -> str:
    return json.dumps([row[column.name] for column in table.primary_key])


def digest(rows: Rows) -> str:
    """Equal where the rows are."""
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def difference(before: Rows, after: Rows) -> list[Change]:
    """What has to be taken back to come from the second to the first."""
    return [
        change
        for name in dict.fromkeys([*before, *after])
        for change in _differing(name, before.get(name, {}), after.get(name, {}))
    ]


def _differing(name: str, before: Mapping[str, Row], after: Mapping[str, Row]) -> Iterator[Change]:
    table = metadata.tables[name]
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            yield {"table": name, "was": was, "is": now}
        elif differing := [column for column in was if was[column] != now[column]]:
            its_key = {column.name: was[column.name] for column in table.primary_key}
            yield {
                "table": name,
                "key": its_key,
                "was": {column: was[column] for column in differing},
                "is": {column: now[column] for column in differing},
            }


def take_back(connection: Connection, changes: Sequence[Change]) -> None:
    """Takes changes back. A lead who was gone comes first, since all else refers to him."""
    gone = [one for one in changes if one["is"] is None]
    made = [one for one in changes if one["was"] is None]
    differing = [one for one in changes if one["was"] is not None and one["is"] is not None]
    _go_back(connection, [one for one in differing if one["table"] == "lead"])
    _fill(connection, [one for one in gone if one["table"] == "lead"])
    for table in reversed(metadata.sorted_tables):
        _drop(connection, table, [one["is"] for one in made if one["table"] == table.name])
    # The lead first: he may be in a program again only once it is his.
    of_others = [one for one in differing if one["table"] != "lead"]
    _go_back(connection, of_others, only="lead_id")
    _go_back(connection, of_others, but="lead_id")
    for table in metadata.sorted_tables:
        if table.name != "lead":
            _fill(connection, [one for one in gone if one["table"] == table.name])


def _go_back(connection: Connection, changes: Sequence[Change], *, only: str = "", but: str = "") -> None:
    """Each column goes back where it still says what it was made; a statement for each column of each table."""
    groups: dict[tuple[str, str], list[dict[str, Value]]] = {}
    for one in changes:
        for column, was in one["was"].items():
            if column != but and only in {"", column}:
                its_key = {f"key_{name}": value for name, value in one["key"].items()}
                group = groups.setdefault((one["table"], column), [])
                group.append({"was_": was, "is_": one["is"][column], **its_key})
    for (name, column), values in groups.items():
        table = metadata.tables[name]
        its_row = [key == bindparam(f"key_{key.name}", type_=key.type) for key in table.primary_key]
        target: Column[Any] = table.c[column]
        unchanged = target.is_not_distinct_from(bindparam("is_", type_=target.type))
        statement = update(table).where(*its_row, unchanged)
        connection.execute(statement.values({column: bindparam("was_", type_=target.type)}), values)


def _drop(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    for row in rows:
        as_made = [
            table.c[name].is_not_distinct_from(bindparam(None, value, table.c[name].type))
            for name, value in row.items()
        ]
        connection.execute(delete(table).where(and_(*as_made)))


def _fill(connection: Connection, changes: Sequence[Change]) -> None:
    for one in changes:
        connection.execute(insert(metadata.tables[one["table"]]).values(one["was"]))

"""Statements written as SQL, with the two things that differ: how `now` is bound and how many rows they
touched.
"""

import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Table,
    TextClause,
    bindparam,
    exists,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from leadnurture.store import LostRaceError
from leadnurture.store.instants import Instant


@functools.lru_cache(maxsize=512)
def sql(statement: str) -> TextClause:
    """A textual statement whose `:now` takes an aware instant. Cached, so that it is parsed once."""
    clause = text(statement)
    return clause.bindparams(bindparam("now", type_=Instant())) if ":now" in statement else clause


def run(connection: Connection, statement: str, **values: Any) -> int:  # noqa: ANN401 - SQL parameters
    """Executes it; the result is the number of rows that it touched."""
    return connection.execute(sql(statement), values).rowcount


class least(GenericFunction[Any]):  # noqa: N801 - a SQL function is named as in SQL
    """The least of its arguments; SQLite calls it min. Coalesce the arguments: the two disagree about NULL."""

    name = "least"
    inherit_cache = True


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return f"min({compiler.process(element.clauses, **options)})"


class bytewise(GenericFunction[Any]):  # noqa: N801 - as above
    """Text that sorts by its bytes on both databases, whatever the language of the server."""

    name = "bytewise"
    inherit_cache = True


@compiles(bytewise)
def _bytewise(element: bytewise, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    text_ = compiler.process(element.clauses, **options)
    return text_ if compiler.dialect.name == "sqlite" else f'({text_}) COLLATE "C"'


class among(GenericFunction[Any]):  # noqa: N801 - as above
    """Whether a column is one of a scalar sub-select's values, however many rows PostgreSQL believes that to find: it
    looks an array up by an index, as in `few`.
    """

    name = "among"
    inherit_cache = True


@compiles(among)
def _among(element: among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    column, rows = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN {rows}" if compiler.dialect.name == "sqlite" else f"{column} = ANY (ARRAY{rows})"


def some(*criteria: ColumnElement[Any], of: Sequence[FromClause]) -> ColumnElement[bool]:
    """Whether rows of these tables meet the criteria; every other table that they name belongs to the
    statement around it.
    """
    return exists(select(literal_column("1")).select_from(*of).where(*criteria).correlate_except(*of))


def one(
    column: ColumnElement[Any],
    *criteria: ColumnElement[Any],
    of: Sequence[FromClause],
    order: Sequence[ColumnElement[Any]] = (),
) -> ColumnElement[Any]:
    """A value of these tables as a sub-select, the first in the given order; other tables belong to the
    statement around it.
    """
    rows = select(column).select_from(*of).where(*criteria).correlate_except(*of)
    return (rows.order_by(*order).limit(1) if order else rows).scalar_subquery()


def merely(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column that narrows or orders rows which are found by others: no index of it is used.

    SQLite knows no sizes and takes whatever an index finds by an equality for ten rows, all leads of a track too.
    Of texts and numbers alone, not of instants.
    """
    return column + (0 if isinstance(column.type, Integer) else "")


def lock_leads(connection: Connection, lead_ids: Sequence[int], *, may_be_gone: bool = False) -> None:
    """Locks leads in the order of their ids until the transaction ends.

    Whoever writes anything about a lead calls this first. On SQLite the writer lock has done it already. A lead that
    became one with another while we waited raises LostRaceError, so that `Database.run` looks for it again; whoever
    judges rows by their lead of now does not mind.
    """
    if connection.dialect.name != "sqlite":
        wanted = sorted(set(lead_ids))
        locked = sql("SELECT id FROM lead WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
        found = connection.execute(locked, {"ids": wanted}).all()
        if len(found) < len(wanted) and not may_be_gone:
            raise LostRaceError


def lock_leads_of(connection: Connection, leads: str) -> None:
    """The same for the leads of a sub-select of ours."""
    if connection.dialect.name != "sqlite":
        connection.execute(sql(f"SELECT id FROM lead WHERE id IN ({leads}) ORDER BY id FOR NO KEY UPDATE"))


def lock_lead_of(
    connection: Connection,
    rows: Table,
    row_id: int,
    lock: Callable[[Connection, Sequence[int]], None] = lock_leads,
) -> int | None:
    """Locks the lead whose a row is; the result is his number, None where there is no such row.

    Whose it is may change while we wait, when one lead becomes two again: then LostRaceError, as above.
    """
    whose = select(rows.c.lead_id).where(rows.c.id == row_id)
    lead_id = connection.scalar(whose)
    if lead_id is None:
        return None
    lock(connection, [lead_id])
    if connection.scalar(whose) != lead_id:
        raise LostRaceError
    return int(lead_id)


def few(connection: Connection, column: str, rows: str) -> str:
    """Says of a join with a work table once more that it is about few rows, those of a sub-select of ours.

    PostgreSQL looks an array up by an index whatever it believes of its tables; joined by rows alone it goes
    through all that waits as long as it knows no numbers of a table that fills. SQLite is told sizes.
    """
    return "TRUE" if connection.dialect.name == "sqlite" else f"{column} = ANY(ARRAY({rows}))"


def wake_leads(connection: Connection, lead_ids: Sequence[int], at: datetime) -> None:
    """Makes a look at these leads due at an instant, unless an earlier one is. The caller holds their locks."""
    is_sqlite = connection.dialect.name == "sqlite"
    chosen = "id IN (SELECT value FROM json_each(:ids))" if is_sqlite else "id = ANY(:ids)"
    _wake(connection, chosen, at, ids=str(list(lead_ids)) if is_sqlite else list(lead_ids))


def wake_leads_of(connection: Connection, leads: str, at: datetime, **values: Any) -> None:  # noqa: ANN401 - SQL parameters
    """The same for the leads of a sub-select of ours."""
    _wake(connection, f"id IN ({leads})", at, **values)


def _wake(connection: Connection, chosen: str, at: datetime, **values: Any) -> None:  # noqa: ANN401 - as above
    wake = f"UPDATE lead SET look_at = :now WHERE {chosen} AND (look_at IS NULL OR look_at > :now)"
    run(connection, wake, now=at, **values)

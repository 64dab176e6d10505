"""The temporary tables in which a chunk of work lies while it is judged. Once per connection, emptied by whoever fills them.

They make a chunk cost the same statements whatever its size: candidates go in, columns are filled in by sets, rows leave.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, MetaData, String, Table, Text

from leadnurture.store.instants import Instant

work_metadata: Final = MetaData()


def _work_table(name: str, *columns: Column[object]) -> Table:
    return Table(name, work_metadata, *columns, prefixes=["TEMPORARY"])


def create_work_tables(connection: Connection) -> None:
    """Creates them where this connection has none yet."""
    if not connection.info.get("has_work_tables"):
        work_metadata.create_all(connection, checkfirst=False)
        connection.info["has_work_tables"] = True

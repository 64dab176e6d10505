"""The temporary tables in which a chunk of work lies while it is judged. Once per connection, emptied by
whoever fills them.

They make a chunk cost the same statements whatever its size: candidates go in, columns are filled in by sets, rows leave.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from leadnurture.store.instants import Instant

work_metadata: Final = MetaData()
FEW: Final = 500
"""Rows that SQLite's planner expects in a work table."""


def _work_table(name: str, *columns: Column[object] | Index) -> Table:
    # Most rows are written anew once: with room for that on its page PostgreSQL leaves their index entries alone.
    return Table(name, work_metadata, *columns, prefixes=["TEMPORARY"], postgresql_with={"fillfactor": 45})


def create_work_tables(connection: Connection) -> None:
    """Creates them for this connection; its caller remembers that."""
    work_metadata.create_all(connection, checkfirst=False)
    if connection.dialect.name == "sqlite":
        _say_that_they_are_small(connection)


def _say_that_they_are_small(connection: Connection) -> None:
    """SQLite takes a table of which it knows nothing for a million rows.

    It would go through all messages to find the few that a work table names, at every chunk.
    """
    connection.exec_driver_sql("ANALYZE temp")
    connection.exec_driver_sql("DELETE FROM temp.sqlite_stat1")
    connection.exec_driver_sql(
        """
        INSERT INTO temp.sqlite_stat1 (tbl, idx, stat)
        SELECT name, NULL, :rows FROM temp.sqlite_schema WHERE type = 'table' AND name LIKE 'work!_%' ESCAPE '!'
         UNION ALL
        SELECT tbl_name, name, :rows || ' 1' FROM temp.sqlite_schema WHERE type = 'index'""",
        {"rows": str(FEW)},
    )
    connection.exec_driver_sql("ANALYZE temp.sqlite_schema")


class Emptied(Executable, ClauseElement):
    """The statement that takes every row out of a work table.

    PostgreSQL leaves deleted rows where they lie, and vacuums no temporary table: whoever reads one that is only ever
    deleted from reads all rows that its connection has seen.
    """

    inherit_cache = False

    def __init__(self, table: Table) -> None:
        self.table = table


@compiles(Emptied)
def _delete_all(element: Emptied, *_: object, **__: object) -> str:
    return f"DELETE FROM {element.table.name}"


@compiles(Emptied, "postgresql")
def _truncate(element: Emptied, *_: object, **__: object) -> str:
    return f"TRUNCATE {element.table.name}"


def empty(connection: Connection, *tables: Table) -> None:
    """Takes every row out of work tables."""
    for table in tables:
        connection.execute(Emptied(table))


work_calendar: Final = _work_table(
    "work_calendar",
    Column("zone", String), Column("day", Integer), Column("begins_at", Instant), Column("ends_at", Instant),
    Column("opens_at", Instant), Column("closes_at", Instant), Column("weekday", Integer), Column("business_number", Integer),
    Column("shift_from", Integer), Column("shift", BigInteger),
)  # fmt: skip
# A chunk of enrollments at one step.
work_step: Final = _work_table(
    "work_step",
    Column("enrollment_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger), Column("zone", String),
    Column("is_new", Boolean), Column("arm", Integer), Column("trouble", String), Column("message_id", BigInteger),
    Column("content", String), Column("session_content", String), Column("session", String),
    Column("planned_at", Instant), Column("send_at", Instant), Column("late_at", Instant), Column("deadline_at", Instant),
    Column("settling_at", Instant), Column("anchor_at", Instant), Column("anchor_day", Integer), Column("is_beyond", Boolean),
)  # fmt: skip
# The windows of a step, one row a zone: without an anchor they depend on nothing else.
work_window: Final = _work_table(
    "work_window",
    Column("zone", String, primary_key=True), Column("planned_at", Instant), Column("send_at", Instant), Column("late_at", Instant),
    Column("deadline_at", Instant),
)  # fmt: skip
# What lies on the shelf for a step: sessions with seats, or content without sessions.
work_shelf: Final = _work_table(
    "work_shelf",
    Column("content", String), Column("session", String), Column("starts_at", Instant), Column("published_day", Integer),
    Column("is_full", Boolean),
)  # fmt: skip
# A chunk of leads that changed.
work_lead: Final = _work_table(
    "work_lead",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False), Column("zone", String), Column("is_switched", Boolean),
)  # fmt: skip
# Enrollments that end, by whatever rule.
work_end: Final = _work_table(
    "work_end",
    Column("enrollment_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger), Column("status", String),
    Column("rule", Text), Column("saw", Text),
)  # fmt: skip
# Leads that may be enrolled, and why.
work_enroll: Final = _work_table(
    "work_enroll",
    Column("lead_id", BigInteger), Column("program", String), Column("version_id", BigInteger), Column("step", String),
    Column("priority", Integer), Column("rank", Integer), Column("rule", Text), Column("saw", Text), Column("is_free", Boolean),
)  # fmt: skip
# Points as the reactions give them, told anew.
work_point: Final = _work_table(
    "work_point",
    Column("lead_id", BigInteger), Column("track", String), Column("rule", String), Column("subject", String),
    Column("points", Integer), Column("reaction_id", BigInteger), Column("agreement", String),
    Column("begins_at", Instant), Column("ends_at", Instant),
    Index("ix_work_point", "lead_id"),
)  # fmt: skip
# Moves to be counted.
work_move: Final = _work_table(
    "work_move",
    Column("program", String), Column("from_step", String), Column("to_step", String), Column("rule", Text), Column("moves", Integer),
)  # fmt: skip
# Leads that are offered to sales, and why.
work_handoff: Final = _work_table(
    "work_handoff",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False), Column("reason", Text), Column("wanted", String),
    Column("enrollment_id", BigInteger),
)  # fmt: skip
# Clicks that are judged.
work_click: Final = _work_table(
    "work_click",
    Column("click_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger), Column("is_first", Boolean),
    Column("was", String), Column("was_reason", String), Column("rule", String), Column("judgement", String), Column("reason", String), Column("person", String),
    Column("reaction_id", BigInteger), Column("counted_at", Instant), Column("is_lost", Boolean), Column("is_again", Boolean),
)  # fmt: skip
# Enrollments that go back to where a machine's click moved them from, and leads whose stage does, with the offer that it rested on.
work_back: Final = _work_table(
    "work_back",
    Column("enrollment_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger), Column("way_id", BigInteger),
)  # fmt: skip
work_stage_back: Final = _work_table(
    "work_stage_back",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False), Column("handoff_id", BigInteger), Column("stage", String),
    Column("rule", String), Column("agreement", String),
)  # fmt: skip
# Reactions as they came in.
work_reaction: Final = _work_table(
    "work_reaction",
    Column("position", Integer), Column("lead_id", BigInteger), Column("named_id", BigInteger), Column("message_id", BigInteger),
    Column("email_key", String), Column("kind", String), Column("content", String), Column("session", String), Column("argument", Text),
    Column("at", Instant), Column("recorded_at", Instant), Column("counts_at", Instant), Column("source", String), Column("key", String),
    Column("natural_key", String), Column("agent", Text), Column("is_fresh", Boolean), Column("reaction_id", BigInteger),
    Column("is_wish", Boolean), Column("refused", String),
    Index("ix_work_reaction", "lead_id"),
)  # fmt: skip
# Seats that were taken or given back, or whose session changed; `news` says what whoever has one is told.
work_seat: Final = _work_table(
    "work_seat",
    Column("lead_id", BigInteger), Column("content", String), Column("session", String), Column("track", String), Column("zone", String),
    Column("seat_id", BigInteger), Column("starts_at", Instant), Column("before_at", Instant), Column("sequence", Integer), Column("news", String),
    Index("ix_work_seat", "lead_id"),
)  # fmt: skip
# Sessions that changed.
work_session: Final = _work_table("work_session", Column("content", String), Column("session", String))
# When whoever has a seat is reminded, by the zone in which he reads its time.
work_reminder: Final = _work_table(
    "work_reminder",
    Column("content", String), Column("session", String), Column("zone", String), Column("occasion", String), Column("at", Instant),
)  # fmt: skip
# Outcomes of sendings.
work_settle: Final = _work_table(
    "work_settle",
    Column("message_id", BigInteger, primary_key=True, autoincrement=False), Column("status", String), Column("why", String),
    Column("trouble", Text), Column("provider_id", String), Column("send_at", Instant),
)  # fmt: skip
# Leads as an import or the API brings them.
work_import: Final = _work_table(
    "work_import",
    Column("position", Integer), Column("email", String), Column("email_key", String, primary_key=True), Column("first_name", String), Column("last_name", String),
    Column("account", String), Column("account_key", String), Column("derived_key", String), Column("domain", String), Column("country", String), Column("language", String),
    Column("role", String), Column("source", String), Column("zone", String), Column("zone_given", String), Column("owner", String),
    Column("luck", Integer), Column("crm_id", String), Column("lead_id", BigInteger), Column("account_id", BigInteger), Column("is_changed", Boolean),
    Column("words", Text), Column("account_words", Text),
)  # fmt: skip
# What is said of those leads: facts, tags, products, interests, consents; `kind` says which.
work_said: Final = _work_table(
    "work_said",
    Column("email_key", String), Column("kind", String), Column("name", String), Column("text", Text), Column("number", Float),
    Column("at", Instant), Column("lead_id", BigInteger), Column("account_id", BigInteger), Column("wording", Text),
    Index("ix_work_said", "email_key", "kind"),
)  # fmt: skip
# Messages that a worker reserved and now wants to claim.
work_pick: Final = _work_table(
    "work_pick", Column("message_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger),
)  # fmt: skip
# Everything that is due to the leads of those, with what the claim says of it.
work_claim: Final = _work_table(
    "work_claim",
    Column("message_id", BigInteger, primary_key=True, autoincrement=False), Column("lead_id", BigInteger), Column("zone", String),
    Column("is_mine", Boolean), Column("verdict", String), Column("trouble", Text), Column("template", String),
    Column("locale", String), Column("mails", Integer), Column("paced_from", Instant), Column("own_mails", Integer),
    Column("own_paced_from", Instant), Column("held_until", Instant), Column("planned_at", Instant), Column("send_at", Instant), Column("late_at", Instant), Column("wait_until", Instant), Column("weekday", BigInteger), Column("minute", BigInteger),
    Column("shift", BigInteger), Column("counts", String),
)  # fmt: skip
# When the steps of mails that missed their window have the next one.
work_missed: Final = _work_table(
    "work_missed",
    Column("message_id", BigInteger, primary_key=True, autoincrement=False), Column("weekday", BigInteger), Column("minute", BigInteger),
    Column("counts", String),
)  # fmt: skip
# What a mail is made of, as it is frozen at the claim.
work_frozen: Final = _work_table(
    "work_frozen",
    Column("message_id", BigInteger, primary_key=True, autoincrement=False), Column("template", String), Column("facts", Text),
)  # fmt: skip
# Items of a post in the inbox.
work_item: Final = _work_table(
    "work_item",
    Column("position", Integer), Column("key", String), Column("natural_key", String), Column("kind", String), Column("message_id", BigInteger),
    Column("outcome", String),
)  # fmt: skip

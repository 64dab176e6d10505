"""`set` of a step or an arm: facts and tags, written for the rows of a chunk."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from leadnurture.domain.condition import Value
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Setting
from leadnurture.domain.timing import Duration
from leadnurture.engine.sql import run, wake_leads_of
from leadnurture.store.instants import day_number, day_of


def set_on_rows(
    connection: Connection, settings: Sequence[Setting], rows: str, now: datetime, definitions: Definitions
) -> None:
    """Writes the settings for the rows of `work_step` that meet `rows`, and makes a look at their leads due."""
    today = now.astimezone(ZoneInfo(definitions.company.zone)).date()
    for setting in settings:
        if setting.name == "tag":
            run(
                connection,
                f"INSERT INTO lead_tag (lead_id, tag) SELECT DISTINCT lead_id, :tag FROM work_step WHERE {rows} ON CONFLICT DO NOTHING",
                tag=str(setting.value),
            )
        else:
            _set_fact(connection, setting.name, stored_value(setting.value, today), rows)
    wake_leads_of(connection, f"SELECT lead_id FROM work_step WHERE {rows}", now)


def _set_fact(connection: Connection, name: str, value: tuple[str | None, float | None], rows: str) -> None:
    table, key, owner = (
        ("account_fact", "account_id", "l.account_id")
        if name.startswith("account.")
        else ("lead_fact", "lead_id", "l.id")
    )
    run(
        connection,
        f"""
        INSERT INTO {table} ({key}, name, text, number)
        SELECT DISTINCT {owner}, CAST(:name AS VARCHAR), CAST(:text AS VARCHAR), CAST(:number AS DOUBLE PRECISION)
          FROM work_step w JOIN lead l ON l.id = w.lead_id
         WHERE {rows} AND {owner} IS NOT NULL
            ON CONFLICT ({key}, name) DO UPDATE SET text = excluded.text, number = excluded.number""",
        name=name.removeprefix("account."),
        text=value[0],
        number=value[1],
    )


def stored_value(value: Value | Duration, today: date) -> tuple[str | None, float | None]:
    """A value as (text, number), the form in which facts lie in their tables."""
    if isinstance(value, Duration):
        return None, float(day_number(later(today, value)))
    if isinstance(value, date):
        return None, float(day_number(value))
    if isinstance(value, str):
        return value, None
    return None, float(value)


def later(day: date, duration: Duration) -> date:
    """The date that lies a duration after a day; a month later is the same day of that month, or its last."""
    if duration.unit != "months":
        return day_of(day_number(day) + duration.days)
    month = day.month - 1 + duration.amount
    year, month = day.year + month // 12, month % 12 + 1
    for last in range(day.day, 27, -1):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    return date(year, month, min(day.day, 28))

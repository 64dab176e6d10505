"""One fact of one lead, as a person tells it: asked for on a page, with a return, by a task.

What many leads are told to be at once goes through `facts` and `leads`, in sets.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from leadnurture.domain.asking import Ask, answer_of
from leadnurture.domain.condition import Value
from leadnurture.engine.current import current_definitions
from leadnurture.engine.facts import stored_value
from leadnurture.engine.sql import lock_leads, run
from leadnurture.engine.told_leads import account_key
from leadnurture.errors import InvalidInputError
from leadnurture.store.tables import Account, AccountFact, Lead, LeadFact

leads: Final = Lead.__table__
accounts: Final = Account.__table__
COLUMNS: Final = ("first_name", "last_name", "role", "country")
"""Facts that lie in the lead's own row."""
NO_ANSWER: Final = "This is no answer to the question. Go back and choose or write another one."


def known_facts(connection: Connection, lead_id: int) -> set[str]:
    """The names of all facts that are known of a lead and its account. Three statements."""
    columns = [leads.c[name] for name in COLUMNS]
    row = connection.execute(
        select(leads.c.account_id, accounts.c.name.label("account"), *columns)
        .outerjoin(accounts, accounts.c.id == leads.c.account_id)
        .where(leads.c.id == lead_id)
    ).one()
    known = {name for name in COLUMNS if getattr(row, name)} | ({"account.name"} if row.account else set())
    mine, theirs = LeadFact.__table__, AccountFact.__table__
    known |= set(connection.scalars(select(mine.c.name).where(mine.c.lead_id == lead_id)))
    of_account = select(theirs.c.name).where(theirs.c.account_id == row.account_id)
    return known | {f"account.{name}" for name in connection.scalars(of_account)}


def lock_accounts(connection: Connection, lead_ids: Sequence[int]) -> None:
    """Locks leads and their colleagues, in the order of their ids: what is told may be about their company."""
    told = leads.alias()
    theirs = select(told.c.account_id).where(told.c.id.in_(lead_ids))
    colleagues = connection.scalars(select(leads.c.id).where(leads.c.account_id.in_(theirs)))
    lock_leads(connection, [*lead_ids, *colleagues])


def learn_facts(
    connection: Connection, lead_id: int, ask: Ask, told: Mapping[str, str], now: datetime
) -> Sequence[str]:
    """Sets what is told of the facts of an `ask`; the result is what was told, as `name: answer`.

    The caller holds the locks of `lock_accounts`. Raises InvalidInputError for an answer that is none.
    """
    learned = []
    for question in ask.questions:
        said = told.get(question.name, "").strip()
        if not said:
            continue
        value = answer_of(question, said)
        if value is None:
            raise InvalidInputError(NO_ANSWER)
        set_known(connection, lead_id, question.name, value, now)
        learned.append(f"{question.name} {said}")
    return learned


def set_known(connection: Connection, lead_id: int, name: str, value: Value, now: datetime) -> None:
    """Sets one fact, declared or built in; looks at whom it is about are due. Three statements at most."""
    if name == "account.name":
        _join_account(connection, lead_id, str(value), now)
    elif name in COLUMNS:
        said = str(value).casefold() if name == "role" else str(value)
        run(connection, f"UPDATE lead SET {name} = :said WHERE id = :id", said=said, id=lead_id)
    else:
        _set_fact(connection, lead_id, name, value, now)
    who = "id = :id"
    if name.startswith("account."):
        who += " OR account_id = (SELECT l.account_id FROM lead l WHERE l.id = :id)"
    run(
        connection,
        f"UPDATE lead SET look_at = :now WHERE ({who}) AND (look_at IS NULL OR look_at > :now)",
        id=lead_id,
        now=now,
    )


def today(connection: Connection, now: datetime) -> date:
    """The day in the company's zone."""
    return now.astimezone(ZoneInfo(current_definitions(connection).company.zone)).date()


def _set_fact(connection: Connection, lead_id: int, name: str, value: Value, now: datetime) -> None:
    table, key, owner = (
        ("account_fact", "account_id", "l.account_id")
        if name.startswith("account.")
        else ("lead_fact", "lead_id", "l.id")
    )
    text, number = stored_value(value, today(connection, now))
    run(
        connection,
        f"""
        INSERT INTO {table} ({key}, name, text, number)
        SELECT {owner}, CAST(:name AS VARCHAR), CAST(:text AS VARCHAR), CAST(:number AS DOUBLE PRECISION)
          FROM lead l WHERE l.id = :id AND {owner} IS NOT NULL
            ON CONFLICT ({key}, name) DO UPDATE SET text = excluded.text, number = excluded.number""",
        name=name.removeprefix("account."), text=text, number=number, id=lead_id,
    )  # fmt: skip


def _join_account(connection: Connection, lead_id: int, name: str, now: datetime) -> None:
    """Somebody without an account is of that company from now on; an account that is known keeps its name."""
    key = account_key(name)
    if not key:
        return
    run(
        connection,
        "INSERT INTO account (name, name_key, created_at) VALUES (:name, :key, :now) ON CONFLICT DO NOTHING",
        name=name,
        key=key,
        now=now,
    )
    run(
        connection,
        """
        UPDATE lead SET told_engaged = FALSE, account_id = (SELECT a.id FROM account a WHERE a.name_key = :key)
         WHERE id = :id AND account_id IS NULL""",
        key=key,
        id=lead_id,
    )

"""What people tell of leads afterwards: a deal won or lost, who came to a session. And which leads meet a condition."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from leadnurture.domain.condition import Condition
from leadnurture.domain.vocabulary import ReactionKind
from leadnurture.engine.conditions import Scope, compile_condition
from leadnurture.engine.identity import EMAIL, email_key, leads_by_key
from leadnurture.engine.moves import end_all
from leadnurture.engine.reactions import NewReaction, Recorded, record_in
from leadnurture.engine.sql import lock_leads, run, sql, wake_leads
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note
from leadnurture.store.instants import to_micros
from leadnurture.store.tables import Lead

MOST_ASKED: Final = 1_000
"""About so many people a page asks who of them came; a file has no limit."""
TOO_MANY: Final = "These are more people than a page can ask about; use `leadnurture close` with a file."
NOT_YET: Final = "Nobody can have come yet: the session has not begun, or it was cancelled."


def set_deal(
    database: Database,
    lead_id: int,
    status: Literal["won", "lost"],
    value: float | None,
    key: str,
    now: datetime,
) -> None:
    """Records a deal, once per key.

    A won one makes the account a client, as far as the company's rule says so.
    """

    def write(connection: Connection) -> None:
        row = connection.execute(
            sql("SELECT account_id, email FROM lead WHERE id = :id"), {"id": lead_id}
        ).first()
        if row is None:
            msg = f"There is no lead {lead_id}; search for it on /leads."
            raise NotFoundError(msg)
        account_id = row.account_id or _own_account(connection, lead_id, row.email, now)
        colleagues = connection.execute(
            sql("SELECT id FROM lead WHERE account_id = :id OR id = :lead"),
            {"id": account_id, "lead": lead_id},
        )
        ids = list(colleagues.scalars())
        lock_leads(connection, ids)
        fresh = run(
            connection,
            """
            INSERT INTO deal (lead_id, account_id, status, value, at, key)
            VALUES (:lead, :account, :status, :value, :now, :key) ON CONFLICT DO NOTHING""",
            lead=lead_id, account=account_id, status=status, value=value, now=now, key=key,
        )  # fmt: skip
        if not fresh:
            return
        run(
            connection,
            """
            INSERT INTO stage_change (lead_id, track, from_stage, to_stage, at, rule, agreement)
            SELECT id, track, stage, CAST(:status AS VARCHAR), :now, :rule, '' FROM lead
             WHERE id = :lead AND stage <> CAST(:status AS VARCHAR)""",
            lead=lead_id, status=status, now=now, rule=f"deal {status}",
        )  # fmt: skip
        run(
            connection,
            "UPDATE lead SET stage = :status, stage_since = :now WHERE id = :lead",
            lead=lead_id,
            status=status,
            now=now,
        )
        if status == "won":
            run(
                connection,
                """
                INSERT INTO account_fact (account_id, name, number) VALUES (:account, 'deal_won', 1)
                    ON CONFLICT (account_id, name) DO UPDATE SET number = 1""",
                account=account_id,
            )
        end_all(connection, lead_id, f"deal {status}", now)
        wake_leads(connection, ids, now)

    database.run(write)


def _own_account(connection: Connection, lead_id: int, email: str, now: datetime) -> int:
    """An account for somebody who bought without a company's address."""
    lock_leads(connection, [lead_id])
    run(
        connection,
        "INSERT INTO account (name, name_key, created_at) VALUES (:name, :name, :now) ON CONFLICT DO NOTHING",
        name=email.casefold(),
        now=now,
    )
    account = connection.execute(
        sql("SELECT id FROM account WHERE name_key = :name"), {"name": email.casefold()}
    ).scalar_one()
    run(connection, "UPDATE lead SET account_id = :account WHERE id = :lead", account=account, lead=lead_id)
    return int(account)


def close_session(
    database: Database,
    content: str,
    session: str | None,
    attended: Sequence[str],
    now: datetime,
    source: str,
    *,
    actor: str | None = None,
) -> Recorded:
    """Closes an attendance list: who is on it attended, who had a seat and is not on it missed.

    Safe to repeat. What a person of ours did on a page is noted under the name of the `actor`. Raises NotFoundError for
    a session that there is not, InvalidInputError where nobody can have come, or more have a seat than a page asks about.
    """

    def close(connection: Connection) -> Recorded:
        _refuse_too_early(connection, content, session or "", now)
        came = {email_key(email) for email in attended}
        people = set(leads_by_key(connection, EMAIL, came).values())
        seats = connection.execute(
            sql("""
                SELECT l.id, l.email_key FROM standing s JOIN lead l ON l.id = s.lead_id
                 WHERE s.content = :content AND s.session = :session AND s.kind = 'registered' ORDER BY l.id"""),
            {"content": content, "session": session or ""},
        ).all()
        if actor is not None and len(seats) > MOST_ASKED:  # whoever was left out would have missed it
            raise InvalidInputError(TOO_MANY)
        told: list[tuple[ReactionKind, str]] = [("attended", email) for email in sorted(came)] + [
            ("missed", seat.email_key) for seat in seats if seat.id not in people
        ]
        reactions = [
            NewReaction(
                kind,
                f"{content}/{session or ''}/{email}/{kind}",
                source,
                email=email,
                content=content,
                session=session,
            )
            for kind, email in told
        ]
        recorded = record_in(connection, reactions, now)
        # Leads first, as everybody who holds both.
        run(
            connection,
            "UPDATE content_session SET closed_at = coalesce(closed_at, :now) WHERE content = :content AND name = :session",
            content=content,
            session=session or "",
            now=now,
        )
        if actor is not None:
            detail = f"{len(came)} attended"
            note(connection, actor, "closed a list", f"session {content}/{session or ''}", now, detail=detail)
        return recorded

    return database.run(close)


def _refuse_too_early(connection: Connection, content: str, session: str, now: datetime) -> None:
    """Whoever has a seat would have missed what has not begun."""
    rows = connection.execute(
        sql("SELECT name, starts_at FROM content_session WHERE content = :content"), {"content": content}
    )
    starts = {row.name: row.starts_at for row in rows} or {"": to_micros(now)}
    if session not in starts:
        known = ", ".join(filter(None, starts)) or "none"
        raise NotFoundError(f"{content} has no session {session!r}; choose one of: {known}.")
    if starts[session] is None or starts[session] > to_micros(now):
        raise InvalidInputError(NOT_YET)


def leads_matching(
    connection: Connection, condition: Condition, lead_ids: Sequence[int], now: datetime
) -> set[int]:
    """Which of these leads meet a condition of a head or an agreement."""
    lead = Lead.__table__
    rows = select(lead.c.id).where(
        lead.c.id.in_(list(lead_ids)), compile_condition(condition, Scope(lead=lead))
    )
    return set(connection.execute(rows, {"now": now}).scalars())

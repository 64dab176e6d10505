"""Who a lead is to others: his addresses, his ids in the CRM and on platforms, and the number he had before a merge.

One idea to hold: a key belongs to one lead. The main address and the CRM's id lie in the row of the lead, all others
in `lead_key`; whoever looks for a lead asks both.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from leadnurture.engine.sql import lock_leads, merely, run
from leadnurture.errors import NotFoundError
from leadnurture.store import LostRaceError
from leadnurture.store.tables import Lead, LeadKey

EMAIL: Final = "email"
CRM: Final = "crm"
FORMER: Final = "lead"
"""The numbers of leads that became one with this one."""
OURS: Final = frozenset({EMAIL, CRM, FORMER})
"""Systems that are no platform's."""

lead: Final = Lead.__table__
keys: Final = LeadKey.__table__
# Where the leads of a work table's rows lie, by a column of that table: parts of statements in our own words.
BY_ADDRESS: Final = """
        (SELECT l.id FROM lead l WHERE l.email_key = {0}),
        (SELECT k.lead_id FROM lead_key k WHERE k.system = 'email' AND k.key = {0})"""
BY_NUMBER: Final = """
        (SELECT l.id FROM lead l WHERE l.id = {0}),
        (SELECT k.lead_id FROM lead_key k WHERE k.system = 'lead' AND k.key = CAST({0} AS VARCHAR))"""
BY_CRM: Final = """
        (SELECT l.id FROM lead l WHERE l.crm_id = {0}),
        (SELECT k.lead_id FROM lead_key k WHERE k.system = 'crm' AND k.key = {0})"""


def email_key(email: str) -> str:
    """An address for matching: case does not count."""
    return email.strip().casefold()


def find_lead(connection: Connection, ref: int | str) -> Row[Any]:
    """The row of a lead by number or by one of his addresses, also by those of before a merge. NotFoundError."""
    named = str(ref).strip()
    if named.isdecimal() and len(named) < len(str(2**63)):
        own, other = lead.c.id == int(named), _keyed(FORMER, [str(int(named))])
    else:
        own, other = lead.c.email_key == email_key(named), _keyed(EMAIL, [email_key(named)])
    for is_it in (own, lead.c.id.in_(other)):
        row = connection.execute(select(lead).where(is_it)).first()
        if row is not None:
            return row
    raise NotFoundError(f"There is no lead {named!r}; give an address or the number of a lead.")


def lead_id_of(connection: Connection, ref: int | str) -> int:
    """The number that such a lead has now. NotFoundError."""
    return int(find_lead(connection, ref).id)


def lock_lead(connection: Connection, ref: int | str) -> int:
    """Locks such a lead; the result is the number that he has now. NotFoundError.

    LostRaceError where two became one or one two while we waited, as `lock_leads` has it.
    """
    lead_id = lead_id_of(connection, ref)
    lock_leads(connection, [lead_id])
    if lead_id_of(connection, ref) != lead_id:
        raise LostRaceError
    return lead_id


def leads_by_key(connection: Connection, system: str, told: Collection[str]) -> dict[str, int]:
    """The leads of these keys of a system: addresses, ids in the CRM, ids on a platform. Two statements."""
    wanted = {email_key(key) if system == EMAIL else key for key in told}
    known = select(keys.c.key, keys.c.lead_id).where(keys.c.system == system, keys.c.key.in_(wanted))
    found = {row.key: row.lead_id for row in connection.execute(known)}
    column = {EMAIL: lead.c.email_key, CRM: lead.c.crm_id}.get(system)
    if column is not None:
        own = select(column.label("key"), lead.c.id).where(column.in_(wanted))
        found |= {row.key: row.id for row in connection.execute(own)}
    return found


def addresses_of(connection: Connection, lead_id: int) -> tuple[str, ...]:
    """Every address of a lead as it is matched, the main one first."""
    main = select(lead.c.email_key).where(lead.c.id == lead_id)
    others = (
        select(keys.c.key)
        .where(keys.c.lead_id == lead_id, merely(keys.c.system) == EMAIL)
        .order_by(keys.c.key)
    )
    return (*connection.scalars(main), *connection.scalars(others))


def numbers_of(connection: Connection, lead_id: int) -> tuple[int, ...]:
    """Every number of a lead, that of now first."""
    former = (
        select(keys.c.key)
        .where(keys.c.lead_id == lead_id, merely(keys.c.system) == FORMER)
        .order_by(keys.c.key)
    )
    return (lead_id, *map(int, connection.scalars(former)))


def _keyed(system: str, told: Collection[str]) -> Select[tuple[int]]:
    return select(keys.c.lead_id).where(keys.c.system == system, keys.c.key.in_(told))


def spread_suppression(connection: Connection, leads: str) -> int:
    """Whoever wants no mail at one address gets none at any of his: an unsubscribe and a complaint hold for the
    person, a bounce for the address alone. One statement for the leads of a sub-select, whose locks the caller holds.
    """
    return run(
        connection,
        f"""
        WITH address (lead_id, key) AS (
             SELECT id, email_key FROM lead WHERE id IN ({leads})
              UNION ALL
             SELECT lead_id, key FROM lead_key WHERE system || '' = 'email' AND lead_id IN ({leads}))
        INSERT INTO suppression (email_key, reason, at)
        SELECT his.key, max(s.reason), min(s.at)
          FROM address his JOIN address one ON one.lead_id = his.lead_id JOIN suppression s ON s.email_key = one.key
         WHERE s.reason <> 'bounced' GROUP BY his.key ORDER BY his.key
            ON CONFLICT (email_key) DO UPDATE SET reason = excluded.reason WHERE suppression.reason < excluded.reason""",
    )

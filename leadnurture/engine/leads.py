"""Leads come in and what is known of them changes: import, API and commands, all through the same sets.

Nothing that is known is erased by silence: an empty cell leaves the value that is there.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from leadnurture.domain.company import Company
from leadnurture.engine.calendar import fill_calendar
from leadnurture.engine.current import current_definitions
from leadnurture.engine.identity import BY_ADDRESS, BY_CRM, email_key, spread_suppression
from leadnurture.engine.sql import lock_leads_of, run, sql
from leadnurture.engine.told_leads import LeadInput, one_person, rows_of, said_of
from leadnurture.store import Database, LostRaceError, stage
from leadnurture.store.work import empty, work_import, work_said

BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to; `lead_ids` in the order of the input."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    lead_ids: tuple[int, ...] = ()
    doubles: tuple[tuple[int, int], ...] = ()
    """Pairs of leads of which somebody said that they are one: an address or an id of the second was told of the first."""


def import_leads(database: Database, leads: Sequence[LeadInput], now: datetime, source: str) -> Imported:
    """Creates and updates leads and their accounts. A lead is found by its address without regard to case, else by
    its id in the CRM, else by a further address or an id on a platform. Safe to repeat: the same leads once.
    """
    total = Imported()
    for start in range(0, len(leads), BATCH):
        batch = leads[start : start + BATCH]
        done = database.run(functools.partial(_import, leads=batch, now=now, source=source))
        total = Imported(
            total.created + done.created,
            total.updated + done.updated,
            total.unchanged + done.unchanged,
            total.lead_ids + done.lead_ids,
            total.doubles + done.doubles,
        )
    return total


def _import(connection: Connection, leads: Sequence[LeadInput], now: datetime, source: str) -> Imported:
    definitions = current_definitions(connection)
    company = definitions.company
    same = one_person(leads)
    _stage(connection, leads, same, company, now)
    twice = _match(connection)
    if twice:  # two rows are about one lead, as only the database knows
        _stage(connection, leads, same | {key: twice.get(to, to) for key, to in same.items()}, company, now)
        _match(connection)
    _keep_account(connection)
    _accounts(connection, now)
    _lock_known(connection)
    doubles = _release_taken(connection)
    created = _insert_leads(connection, now)
    _update_leads(connection)
    _write_said(connection, now, source)
    spread_suppression(connection, _TOLD_OF_KEYS)
    fill_calendar(connection, company, now)
    run(
        connection,
        """
        UPDATE lead SET look_at = :now
         WHERE id IN (SELECT lead_id FROM work_import WHERE is_changed OR is_changed IS NULL)
           AND (look_at IS NULL OR look_at > :now OR created_at = :now)""",
        now=now,
    )
    ids = {
        row.email_key: row.lead_id
        for row in connection.execute(sql("SELECT email_key, lead_id FROM work_import"))
    }
    if None in ids.values():
        raise LostRaceError
    touched = connection.execute(sql("SELECT count(*) FROM work_import WHERE is_changed")).scalar_one()
    known = len(ids) - created
    same = {key: twice.get(to, to) for key, to in same.items()}
    lead_ids = tuple(ids[same[email_key(lead.email)]] for lead in leads)
    return Imported(created, touched, known - touched, lead_ids, doubles)


def _stage(
    connection: Connection,
    leads: Sequence[LeadInput],
    same: Mapping[str, str],
    company: Company,
    now: datetime,
) -> None:
    empty(connection, work_import, work_said)
    stage(connection, work_import, rows_of(leads, same, company))
    stage(connection, work_said, list(said_of(leads, same, now)))


_KNOWN: Final = f"""coalesce({BY_ADDRESS.format("w.email_key")},
            {BY_CRM.format("w.crm_id")},
            (SELECT min(l.id) FROM work_said s JOIN lead l ON l.email_key = s.text
              WHERE s.email_key = w.email_key AND s.kind = 'key' AND s.name = 'email'),
            (SELECT min(k.lead_id) FROM work_said s JOIN lead_key k ON k.system = s.name AND k.key = s.text
              WHERE s.email_key = w.email_key AND s.kind = 'key'))"""


def _match(connection: Connection) -> dict[str, str]:
    """Finds the leads that are known. The result says of rows about the same lead under which address they go."""
    run(connection, f"UPDATE work_import AS w SET lead_id = {_KNOWN}")
    rows = connection.execute(
        sql("""
            SELECT w.email_key, one.email_key AS first FROM work_import w
              JOIN (SELECT lead_id, min(position) AS position FROM work_import WHERE lead_id IS NOT NULL
                     GROUP BY lead_id HAVING count(*) > 1) AS twice ON twice.lead_id = w.lead_id
              JOIN work_import one ON one.position = twice.position
             WHERE w.position > twice.position""")
    )
    return {row.email_key: row.first for row in rows}


def _keep_account(connection: Connection) -> None:
    """The domain of a further address names no account: his is the one that we know, until another is told."""
    run(
        connection,
        """
        UPDATE work_import SET account = '', account_key = NULL, derived_key = NULL, domain = NULL
         WHERE account_key = derived_key AND EXISTS (
               SELECT 1 FROM lead l WHERE l.id = work_import.lead_id AND l.email_key <> work_import.email_key)""",
    )


def _release_taken(connection: Connection) -> tuple[tuple[int, int], ...]:
    """Addresses and ids that are another lead's stay there; the result are the pairs that they make one."""
    pairs = connection.execute(
        sql("""
            SELECT w.lead_id, l.id AS other FROM work_import w JOIN lead l ON l.crm_id = w.crm_id AND l.id <> w.lead_id
             UNION
            SELECT w.lead_id, k.lead_id FROM work_said s JOIN work_import w ON w.email_key = s.email_key
              JOIN lead_key k ON k.system = s.name AND k.key = s.text AND k.lead_id <> w.lead_id WHERE s.kind = 'key'
             UNION
            SELECT w.lead_id, l.id FROM work_said s JOIN work_import w ON w.email_key = s.email_key
              JOIN lead l ON l.email_key = s.text AND l.id <> w.lead_id WHERE s.kind = 'key' AND s.name = 'email'
             ORDER BY 1, 2""")
    ).all()
    run(
        connection,
        """
        UPDATE work_import SET crm_id = NULL
         WHERE EXISTS (SELECT 1 FROM lead l WHERE l.crm_id = work_import.crm_id AND l.id <> coalesce(work_import.lead_id, 0))
            OR EXISTS (SELECT 1 FROM lead_key k WHERE k.system = 'crm' AND k.key = work_import.crm_id)""",
    )
    return tuple((row.lead_id, row.other) for row in pairs)


def _accounts(connection: Connection, now: datetime) -> None:
    """Accounts match by domain, then by name; a new one takes both. Free-mail domains form no account."""
    found = """
        UPDATE work_import SET account_id = coalesce(
            (SELECT a.id FROM account a WHERE a.domain = work_import.domain),
            (SELECT a.id FROM account a WHERE a.name_key = work_import.account_key))"""
    run(connection, found)
    run(
        connection,
        """
        INSERT INTO account (name, name_key, domain, owner, created_at)
        SELECT min(account), account_key, min(domain), min(owner), :now
          FROM work_import WHERE account_id IS NULL AND account_key IS NOT NULL
         GROUP BY account_key ORDER BY account_key
            ON CONFLICT DO NOTHING""",
        now=now,
    )
    run(connection, found)
    run(
        connection,
        """
        UPDATE account SET name = w.name, name_key = w.name_key
          FROM (SELECT account_id, min(account) AS name, min(account_key) AS name_key FROM work_import
                 WHERE account_key <> derived_key GROUP BY account_id) AS w
         WHERE w.account_id = account.id AND account.name_key IN (SELECT derived_key FROM work_import)
           AND NOT EXISTS (SELECT 1 FROM account other WHERE other.name_key = w.name_key)""",
    )
    run(
        connection,
        """
        UPDATE account SET owner = w.owner
          FROM (SELECT account_id, min(owner) AS owner FROM work_import WHERE owner IS NOT NULL GROUP BY account_id) AS w
         WHERE w.account_id = account.id AND (account.owner IS NULL OR account.owner <> w.owner)""",
    )


def _lock_known(connection: Connection) -> None:
    """Locks the leads that are known, and the colleagues of the accounts of which something is said."""
    lock_leads_of(
        connection,
        """
        SELECT lead_id FROM work_import WHERE lead_id IS NOT NULL
         UNION
        SELECT l.id FROM lead l JOIN work_import w ON w.account_id = l.account_id
         WHERE EXISTS (SELECT 1 FROM work_said s WHERE s.email_key = w.email_key AND s.kind IN ('account_fact', 'product'))""",
    )
    moved = f"SELECT count(*) FROM work_import w WHERE w.lead_id <> coalesce({_KNOWN}, 0)"
    if connection.dialect.name != "sqlite" and connection.execute(sql(moved)).scalar_one():
        raise LostRaceError  # two became one, or one two, while we waited


def _insert_leads(connection: Connection, now: datetime) -> int:
    created = run(
        connection,
        """
        INSERT INTO lead (email, email_key, first_name, last_name, account_id, track, stage, stage_since, country, language, role, source,
                          zone, zone_given, luck, fit, engagement, score, crm_id, look_at, created_at)
        SELECT email, email_key, first_name, last_name, account_id, 'prospects', 'new', :now, country, language, role, source,
               zone, zone_given, luck, 0, 0, 0, crm_id, :now, :now
          FROM work_import WHERE lead_id IS NULL ORDER BY position
            ON CONFLICT DO NOTHING""",
        now=now,
    )
    run(
        connection,
        """
        UPDATE work_import SET lead_id = (SELECT l.id FROM lead l WHERE l.email_key = work_import.email_key)
         WHERE lead_id IS NULL""",
    )
    run(
        connection,
        """
        UPDATE work_import SET account_id = coalesce(work_import.account_id, l.account_id),
               is_changed = CASE WHEN l.created_at = :now AND l.look_at = :now AND l.luck = work_import.luck THEN NULL ELSE FALSE END
          FROM lead l WHERE l.id = work_import.lead_id""",
        now=now,
    )
    run(
        connection,
        "UPDATE work_said SET lead_id = w.lead_id, account_id = w.account_id FROM work_import w WHERE w.email_key = work_said.email_key",
    )
    return created


def _update_leads(connection: Connection) -> None:
    """Known leads take what is told anew; an invalid or missing zone leaves theirs, and where they came from stays."""
    columns = ("first_name", "last_name", "country", "language", "role")
    differs = " OR ".join(f"(w.{name} <> '' AND w.{name} <> lead.{name})" for name in columns)
    differs += " OR (w.source <> '' AND lead.source = '')"
    differs += " OR (w.zone_given = w.zone AND w.zone <> lead.zone) OR (w.account_id IS NOT NULL AND coalesce(lead.account_id, 0) <> w.account_id)"
    differs += " OR (w.crm_id IS NOT NULL AND coalesce(lead.crm_id, '') <> w.crm_id)"
    told = differs.replace("lead.", "l.")
    run(
        connection,
        f"""
        UPDATE work_import SET is_changed = TRUE
         WHERE is_changed = FALSE AND EXISTS (SELECT 1 FROM lead l, work_import w
                WHERE l.id = work_import.lead_id AND w.email_key = work_import.email_key AND ({told}))""",
    )
    takes = ", ".join(
        f"{name} = CASE WHEN w.{name} <> '' THEN w.{name} ELSE lead.{name} END" for name in columns
    )
    run(
        connection,
        f"""
        UPDATE lead SET {takes}, source = CASE WHEN lead.source = '' THEN w.source ELSE lead.source END, crm_id = coalesce(w.crm_id, lead.crm_id), account_id = coalesce(w.account_id, lead.account_id),
               told_engaged = told_engaged AND (w.account_id IS NULL OR w.account_id = coalesce(lead.account_id, 0)),
               zone = CASE WHEN w.zone_given = w.zone THEN w.zone ELSE lead.zone END,
               zone_given = CASE WHEN w.zone_given <> '' THEN w.zone_given ELSE lead.zone_given END
          FROM work_import w WHERE w.lead_id = lead.id AND w.is_changed = TRUE""",
    )


def _write_said(connection: Connection, now: datetime, source: str) -> None:
    """Facts, tags, products, interests and consents: each pair marks whose leads differ, then writes."""
    for statement in SAID:
        values: dict[str, Any] = {"now": now} if ":now" in statement else {}
        if ":source" in statement:
            values["source"] = source or "import"
        run(connection, statement, **values)
    _write_words(connection)


def _write_words(connection: Connection) -> None:
    """Words are only added: whoever looks for a former name finds him, too."""
    each = "json_each({}) AS word"
    if connection.dialect.name != "sqlite":
        each = "jsonb_array_elements_text(CAST({} AS jsonb)) AS word(value)"
    run(
        connection,
        f"""
        INSERT INTO lead_word (lead_id, word)
        SELECT w.lead_id, word.value FROM work_import w CROSS JOIN {each.format("w.words")}
         WHERE w.is_changed OR w.is_changed IS NULL ORDER BY w.lead_id, word.value
            ON CONFLICT DO NOTHING""",
    )
    run(
        connection,
        f"""
        INSERT INTO account_word (account_id, word)
        SELECT w.account_id, word.value FROM work_import w CROSS JOIN {each.format("w.account_words")}
         WHERE w.account_id IS NOT NULL ORDER BY w.account_id, word.value
            ON CONFLICT DO NOTHING""",
    )


def _differs(kind: str, table: str, key: str, condition: str) -> str:
    return f"""
        UPDATE work_import SET is_changed = TRUE
         WHERE is_changed = FALSE AND EXISTS (
            SELECT 1 FROM work_said s
             WHERE s.email_key = work_import.email_key AND s.kind = '{kind}' AND s.{key} IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{key} = s.{key} AND {condition}))"""


_SAME_FACT: Final = "t.name = s.name AND coalesce(t.text, '') = coalesce(s.text, '') AND coalesce(t.number, -1e300) = coalesce(s.number, -1e300)"


def _facts_told(table: str, key: str) -> str:
    """A value for each fact; whoever tells two of the same thing in one batch tells the greater."""
    return f"""
        SELECT {key}, name, max(text) AS text, max(number) AS number FROM work_said
         WHERE kind = '{table}' AND {key} IS NOT NULL GROUP BY {key}, name"""


def _fact_differs(table: str, key: str) -> str:
    return f"""
        UPDATE work_import SET is_changed = TRUE
         WHERE is_changed = FALSE AND {key} IN (
            SELECT s.{key} FROM ({_facts_told(table, key)}) AS s
             WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{key} = s.{key} AND {_SAME_FACT}))
           AND EXISTS (SELECT 1 FROM work_said o WHERE o.email_key = work_import.email_key AND o.kind = '{table}')"""


def _fact(table: str, key: str) -> str:
    return f"""
        INSERT INTO {table} ({key}, name, text, number) {_facts_told(table, key)} ORDER BY {key}, name
            ON CONFLICT ({key}, name) DO UPDATE SET text = excluded.text, number = excluded.number"""


_WAKE_COLLEAGUES: Final = """
    UPDATE lead SET look_at = :now
     WHERE account_id IN (SELECT s.account_id FROM work_said s JOIN work_import w ON w.email_key = s.email_key
                           WHERE s.kind IN ('account_fact', 'product') AND (w.is_changed OR w.is_changed IS NULL))
       AND (look_at IS NULL OR look_at > :now)"""

_IS_MAIN: Final = "s.name = 'email' AND EXISTS (SELECT 1 FROM lead l WHERE l.email_key = s.text)"
_OWN: Final = """
        SELECT w.email_key, 'key' AS kind, 'email' AS name, w.email_key AS text, w.lead_id
          FROM work_import w JOIN lead l ON l.id = w.lead_id AND l.email_key <> w.email_key
         UNION ALL SELECT email_key, kind, name, text, lead_id FROM work_said WHERE kind = 'key'"""
_TOLD_OF_KEYS: Final = f"SELECT lead_id FROM ({_OWN}) AS told"
_KEYS: Final = (
    f"""
        UPDATE work_import SET is_changed = TRUE
         WHERE is_changed = FALSE AND lead_id IN (
            SELECT s.lead_id FROM ({_OWN}) AS s WHERE NOT ({_IS_MAIN})
               AND NOT EXISTS (SELECT 1 FROM lead_key t WHERE t.system = s.name AND t.key = s.text))""",
    f"""INSERT INTO lead_key (system, key, lead_id)
        SELECT name, text, min(lead_id) FROM ({_OWN}) AS s WHERE NOT ({_IS_MAIN})
         GROUP BY name, text ORDER BY name, text ON CONFLICT DO NOTHING""",
)
SAID: Final = (
    *_KEYS,
    _fact_differs("lead_fact", "lead_id"),
    _fact("lead_fact", "lead_id"),
    _fact_differs("account_fact", "account_id"),
    _fact("account_fact", "account_id"),
    _differs("tag", "lead_tag", "lead_id", "t.tag = s.name"),
    "INSERT INTO lead_tag (lead_id, tag) SELECT DISTINCT lead_id, name FROM work_said WHERE kind = 'tag' ON CONFLICT DO NOTHING",
    _differs("product", "product", "account_id", "t.name = s.name"),
    """INSERT INTO product (account_id, name)
       SELECT DISTINCT account_id, name FROM work_said WHERE kind = 'product' AND account_id IS NOT NULL ON CONFLICT DO NOTHING""",
    _differs("interest", "interest", "lead_id", "t.topic = s.name"),
    """INSERT INTO interest (lead_id, topic, subject, begins_at)
       SELECT DISTINCT lead_id, name, :source, CAST(:now AS BIGINT) FROM work_said WHERE kind = 'interest' ON CONFLICT DO NOTHING""",
    _differs(
        "consent",
        "consent",
        "lead_id",
        "t.purpose = s.name AND (t.withdrawn_at IS NULL OR t.withdrawn_at >= s.at)",
    ),
    """INSERT INTO consent (lead_id, purpose, given_at, source, wording)
       SELECT lead_id, name, min(at), coalesce(min(text), ''), coalesce(min(wording), '') FROM work_said
        WHERE kind = 'consent' GROUP BY lead_id, name ORDER BY lead_id, name
           ON CONFLICT (lead_id, purpose) DO UPDATE
              SET given_at = excluded.given_at, source = excluded.source, wording = excluded.wording, withdrawn_at = NULL
            WHERE consent.withdrawn_at IS NOT NULL AND consent.withdrawn_at < excluded.given_at""",
    _differs("withdrawn", "consent", "lead_id", "t.purpose = s.name AND t.withdrawn_at IS NOT NULL"),
    """UPDATE consent SET withdrawn_at = :now
        WHERE withdrawn_at IS NULL AND lead_id IN (SELECT s.lead_id FROM work_said s WHERE s.kind = 'withdrawn')
          AND EXISTS (SELECT 1 FROM work_said s
               WHERE s.kind = 'withdrawn' AND s.lead_id = consent.lead_id AND s.name = consent.purpose)""",
    _WAKE_COLLEAGUES,
)

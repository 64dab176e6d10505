"""Two leads who are one person become one, and can be two again.

One idea to hold: the one who is kept gets everything of the other, and the other's row goes. What both have is kept
once, by the rule of its own table; whatever leaves its place for that lies in the row of the merge, by which it is
taken back. The other's number stays a key of the one who is kept, so links and tokens go on working.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, UniqueConstraint, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from leadnurture.domain.vocabulary import STAGES
from leadnurture.engine.changes import LEAD, OF_LEADS, Change, difference, digest, rows_of, take_back
from leadnurture.engine.identity import CRM, EMAIL, FORMER, addresses_of, lead_id_of, spread_suppression
from leadnurture.engine.moves import end_all, end_enrollments, pause_enrollments
from leadnurture.engine.replies import PAUSE, listening
from leadnurture.engine.sql import lock_leads, run, sql, wake_leads
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, LostRaceError, note
from leadnurture.store.tables import LeadKey, LeadMerge, StageChange
from leadnurture.store.work import empty, work_end

keys: Final = LeadKey.__table__
merges: Final = LeadMerge.__table__
WITH_SALES: Final = ("accepted", "opportunity", "won")
FURTHEST: Final = {**{str(stage): place for place, stage in enumerate(STAGES)}, "lost": -1}
"""How far each stage is; `lost` is less than anything that goes on."""
TEXTS: Final = ("first_name", "last_name", "country", "language", "role", "zone_given")
# What both have is kept once. Points: of the first reaction, as they are counted. A standing: who came or stayed away
# has told more than who only had a seat, else the newest. An interest lives from the first to the last that showed it.
# A consent: the last word that was said of it, a withdrawal where both say it at once. Preferences: the stricter pace,
# the longer pause; and what one of both does not want, the one person does not.
_POINTS: Final = """
    UPDATE point SET points = g.points, reaction_id = g.reaction_id, agreement = g.agreement, begins_at = g.begins_at, ends_at = g.ends_at
      FROM point g WHERE point.lead_id = :kept AND g.lead_id = :gone AND g.track = point.track AND g.rule = point.rule
       AND g.subject = point.subject AND g.begins_at < point.begins_at"""
_STANDING: Final = """
    UPDATE standing SET kind = g.kind, reaction_id = g.reaction_id, seat_id = g.seat_id
      FROM standing g WHERE standing.lead_id = :kept AND g.lead_id = :gone AND g.content = standing.content AND g.session = standing.session
       AND CASE WHEN (g.kind IN ('attended', 'missed')) = (standing.kind IN ('attended', 'missed')) THEN g.reaction_id > standing.reaction_id
                ELSE g.kind IN ('attended', 'missed') END"""
_INTEREST: Final = """
    UPDATE interest SET begins_at = CASE WHEN g.begins_at < interest.begins_at THEN g.begins_at ELSE interest.begins_at END,
           reaction_id = CASE WHEN g.begins_at < interest.begins_at THEN g.reaction_id ELSE interest.reaction_id END,
           ends_at = CASE WHEN g.ends_at IS NULL OR interest.ends_at IS NULL THEN NULL
                          WHEN g.ends_at > interest.ends_at THEN g.ends_at ELSE interest.ends_at END
      FROM interest g WHERE interest.lead_id = :kept AND g.lead_id = :gone AND g.topic = interest.topic AND g.subject = interest.subject"""
_PREFERENCE: Final = """
    UPDATE preference SET mails = CASE WHEN preference.mails IS NULL OR g.mails < preference.mails THEN g.mails ELSE preference.mails END,
           paused_until = CASE WHEN preference.paused_until IS NULL OR g.paused_until > preference.paused_until
                               THEN g.paused_until ELSE preference.paused_until END
      FROM preference g WHERE preference.lead_id = :kept AND g.lead_id = :gone"""
_CONSENT: Final = """
    UPDATE consent SET given_at = g.given_at, withdrawn_at = g.withdrawn_at, source = g.source, wording = g.wording
      FROM consent g WHERE consent.lead_id = :kept AND g.lead_id = :gone AND g.purpose = consent.purpose
       AND (coalesce(g.withdrawn_at, g.given_at) > coalesce(consent.withdrawn_at, consent.given_at)
            OR (coalesce(g.withdrawn_at, g.given_at) = coalesce(consent.withdrawn_at, consent.given_at) AND consent.withdrawn_at IS NULL))"""


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge: by its number it is undone."""

    id: int
    kept_id: int
    gone_id: int


def merge_leads(
    database: Database, kept: int | str, gone: int | str, by: str, now: datetime, *, actor: str | None = None
) -> Merged:
    """Makes two leads one, the first; each is named by number or address. A constant number of statements.

    Raises NotFoundError, InvalidInputError where both are the same lead.
    """

    def merge(connection: Connection) -> Merged:
        kept_id, gone_id = (lead_id_of(connection, ref) for ref in (kept, gone))
        if kept_id == gone_id:
            raise InvalidInputError(f"Both are lead {kept_id} already.")
        one, other = _locked(connection, kept_id, gone_id)
        if [kept_id, gone_id] != [lead_id_of(connection, ref) for ref in (kept, gone)]:
            raise LostRaceError  # an earlier merge was undone while we waited
        addresses = [*addresses_of(connection, kept_id), *addresses_of(connection, gone_id)]
        before = rows_of(connection, [kept_id, gone_id], addresses)
        _become_one(connection, one, other, by, now)
        after = rows_of(connection, [kept_id], addresses)
        body = {"changes": difference(before, after), "after": digest(after), "addresses": addresses}
        merge_id = _keep(connection, body, kept_id, gone_id, by, now)
        told = f"merge {merge_id}, with lead {gone_id}"
        note(connection, actor or by, "merged leads", f"lead {kept_id}", now, detail=told)
        return Merged(merge_id, kept_id, gone_id)

    return database.run(merge)


def _locked(connection: Connection, kept_id: int, gone_id: int) -> tuple[Row[Any], Row[Any]]:
    """Both rows, locked, and with them the other's colleagues, who may count one engaged person less."""
    colleagues = sql("""
        SELECT l.id FROM lead l JOIN lead g ON g.account_id = l.account_id WHERE g.id = :gone""")
    ids = connection.scalars(colleagues, {"gone": gone_id}).all()
    lock_leads(connection, [kept_id, gone_id, *ids])
    rows = {row.id: row for row in connection.execute(select(LEAD).where(LEAD.c.id.in_([kept_id, gone_id])))}
    return rows[kept_id], rows[gone_id]


def _keep(
    connection: Connection, body: Mapping[str, object], kept_id: int, gone_id: int, by: str, now: datetime
) -> int:
    row = {
        "kept_id": kept_id,
        "gone_id": gone_id,
        "at": now,
        "by": by,
        "body": json.dumps(body, ensure_ascii=False),
    }
    return int(connection.scalar(insert(merges).values(row).returning(merges.c.id)) or 0)


# --- becoming one --------------------------------------------------------------------------------------


def _become_one(connection: Connection, kept: Row[Any], gone: Row[Any], by: str, now: datetime) -> None:
    both = {"kept": kept.id, "gone": gone.id}
    base, rest = (gone, kept) if (kept.track, gone.track) == ("prospects", "clients") else (kept, gone)
    stage = base.stage if base.track != rest.track else max(kept.stage, gone.stage, key=FURTHEST.__getitem__)
    rule = f"merged with lead {gone.id}"
    if base.track != rest.track:  # whoever is a client is mailed as one
        end_all(connection, rest.id, rule, now)
    _end_twice(connection, both, rule, now)
    is_offered = _settle_offers(connection, both, stage, by, now)
    _ask_once(connection, both, now)
    for statement in (_POINTS, _STANDING, _INTEREST, _CONSENT, _PREFERENCE):
        run(connection, statement, **both)
    _move(connection, kept.id, gone.id)
    values = _as_one(connection, kept, gone, base) | {"stage": stage, "look_at": now}
    values["stage_since"] = (kept if kept.stage == stage else gone).stage_since
    connection.execute(delete(LEAD).where(LEAD.c.id == gone.id))
    connection.execute(update(LEAD).where(LEAD.c.id == kept.id).values(values))
    _write_about_one_seat(connection, kept.id, base.track, rule, now)
    _keep_keys(connection, kept, gone, values)
    spread_suppression(connection, f"SELECT {kept.id}")
    _follow(connection, kept.id, stage, rule, now, is_offered=is_offered)
    if stage != kept.stage:
        _note_stage(connection, kept, values, rule, now)
    if gone.account_id is not None and gone.account_id != values["account_id"]:
        others = sql("SELECT id FROM lead WHERE account_id = :account")
        wake_leads(connection, connection.scalars(others, {"account": gone.account_id}).all(), now)


def _end_twice(connection: Connection, both: dict[str, int], rule: str, now: datetime) -> None:
    """Of a program in which both are, the enrollment goes on that began first."""
    empty(connection, work_end)
    run(
        connection,
        """
        INSERT INTO work_end (enrollment_id, lead_id, status, rule)
        SELECT later.id, later.lead_id, CASE WHEN later.goal_at IS NULL THEN 'exited' ELSE 'reached' END, :rule
          FROM enrollment later JOIN enrollment first ON first.program = later.program AND first.id < later.id
         WHERE first.lead_id IN (:kept, :gone) AND later.lead_id IN (:kept, :gone) AND first.lead_id <> later.lead_id
           AND first.status IN ('active', 'paused') AND later.status IN ('active', 'paused')""",
        rule=rule,
        **both,
    )
    end_enrollments(connection, now)


def _settle_offers(connection: Connection, both: dict[str, int], stage: str, by: str, now: datetime) -> bool:
    """At most one offer stays open, that of the lead who is kept; none where sales has him already."""
    stays = """
        (SELECT h.id FROM handoff h WHERE h.status = 'open' AND h.lead_id IN (:kept, :gone) AND :stage = 'handed_off'
          ORDER BY CASE WHEN h.lead_id = :kept THEN 0 ELSE 1 END LIMIT 1)"""
    leaves = f"SELECT id FROM handoff WHERE status = 'open' AND lead_id IN (:kept, :gone) AND id <> coalesce({stays}, 0)"
    run(
        connection,
        f"UPDATE notice SET status = 'cancelled' WHERE status = 'planned' AND handoff_id IN ({leaves})",
        stage=stage,
        **both,
    )
    run(
        connection,
        f"""
        UPDATE handoff SET status = 'withdrawn', decided_at = :now, decided_by = :by, is_told = FALSE,
               note = 'The lead became one with another.',
               decided_reaction_id = coalesce((SELECT max(r.id + 0) FROM reaction r WHERE r.lead_id = handoff.lead_id), 0)
         WHERE id IN ({leaves})""",
        now=now,
        by=by,
        stage=stage,
        **both,
    )
    is_open = sql("SELECT count(*) FROM handoff WHERE status = 'open' AND lead_id IN (:kept, :gone)")
    return bool(connection.execute(is_open, both).scalar_one())


def _ask_once(connection: Connection, both: dict[str, int], now: datetime) -> None:
    """Of two tasks for what is missing the one about the lead who is kept stays."""
    run(
        connection,
        """
        UPDATE task SET status = 'withdrawn', closed_at = :now
         WHERE status = 'open' AND enrollment_id IS NULL AND lead_id = :gone AND EXISTS (
            SELECT 1 FROM task his WHERE his.lead_id = :kept AND his.status = 'open' AND his.enrollment_id IS NULL)""",
        now=now,
        **both,
    )


def _move(connection: Connection, kept_id: int, gone_id: int) -> None:
    """Everything becomes the kept one's; of what he has himself the other's leaves. Two statements a table at most."""
    for table in OF_LEADS:
        for names in _once_a_lead(table):
            his = table.alias()
            same = [his.c[name] == table.c[name] for name in names]
            twice = exists().where(his.c.lead_id == kept_id, *same)
            connection.execute(delete(table).where(table.c.lead_id == gone_id, twice))
        connection.execute(update(table).where(table.c.lead_id == gone_id).values(lead_id=kept_id))


def _write_about_one_seat(connection: Connection, kept_id: int, track: str, rule: str, now: datetime) -> None:
    """Who had two seats in one session has one now, and is reminded of it once, as whoever he is."""
    run(
        connection,
        """
        UPDATE message SET status = 'cancelled', settled_at = :now, trouble = :rule
         WHERE lead_id = :kept AND status = 'planned' AND occasion IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM standing s
                            WHERE s.lead_id = message.lead_id AND s.content = message.session_content AND s.session = message.session
                              AND s.kind = 'registered' AND s.seat_id = message.seat_id)""",
        kept=kept_id, rule=rule, now=now,
    )  # fmt: skip
    run(
        connection,
        "UPDATE message SET track = :track WHERE lead_id = :kept AND status = 'planned' AND occasion IS NOT NULL",
        kept=kept_id,
        track=track,
    )


def _once_a_lead(table: Table) -> Iterator[list[str]]:
    """Of which columns a lead has each value once."""
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    for constraint in (table.primary_key, *unique):
        names = [column.name for column in constraint.columns]
        if "lead_id" in names:
            yield [name for name in names if name != "lead_id"]


def _as_one(connection: Connection, kept: Row[Any], gone: Row[Any], base: Row[Any]) -> dict[str, Any]:
    """The columns of the one row: what the kept one says, where he says something."""
    rest = gone if base is kept else kept
    first = min(kept, gone, key=lambda row: (row.created_at, row.id))
    later = gone if first is kept else kept
    values: dict[str, Any] = {name: getattr(kept, name) or getattr(gone, name) for name in TEXTS}
    mailed = _mailed(connection, kept, gone)
    return values | {
        "email": mailed.email,
        "email_key": mailed.email_key,
        "zone": (kept if kept.zone_given or not gone.zone_given else gone).zone,
        "track": base.track,
        "track_reaction_id": max(kept.track_reaction_id, gone.track_reaction_id),
        "account_id": base.account_id or rest.account_id,
        "source": first.source or later.source,
        "created_at": first.created_at,
        "crm_id": kept.crm_id or gone.crm_id,
        "hold_until": max((row.hold_until for row in (kept, gone) if row.hold_until), default=None),
        "told_engaged": False,
    }


def _mailed(connection: Connection, kept: Row[Any], gone: Row[Any]) -> Row[Any]:
    """Whose address is mailed: the kept one's, unless mail bounces there and arrives at the other."""
    told = sql("SELECT email_key, reason FROM suppression WHERE email_key IN (:kept, :gone)")
    rows = connection.execute(told, {"kept": kept.email_key, "gone": gone.email_key})
    reasons = {row.email_key: row.reason for row in rows}
    bounces = reasons.get(kept.email_key) == "bounced" and gone.email_key not in reasons
    return gone if bounces else kept


def _keep_keys(connection: Connection, kept: Row[Any], gone: Row[Any], values: dict[str, Any]) -> None:
    """By what else he is found from now on."""
    other = gone if values["email_key"] == kept.email_key else kept
    told = [(FORMER, str(gone.id)), (EMAIL, other.email_key)]
    if gone.crm_id and gone.crm_id != values["crm_id"]:
        told.append((CRM, gone.crm_id))
    rows = [{"system": system, "key": key, "lead_id": kept.id} for system, key in told]
    connection.execute(insert(keys), rows)


def _follow(
    connection: Connection, kept_id: int, stage: str, rule: str, now: datetime, *, is_offered: bool
) -> None:
    """What holds for the one holds for all that he is enrolled in now."""
    if stage in WITH_SALES:
        end_all(connection, kept_id, rule, now)
    elif is_offered:
        pause_enrollments(connection, f"SELECT {kept_id}", now, "handoff", rule)
    unsorted = sql("SELECT count(*) FROM reply WHERE lead_id = :lead AND sorted_at IS NULL")
    if connection.execute(unsorted, {"lead": kept_id}).scalar_one():
        spared = list(listening(connection, kept_id))
        pause_enrollments(connection, f"SELECT {kept_id}", now, PAUSE, rule, spared=spared)


def _note_stage(
    connection: Connection, kept: Row[Any], values: dict[str, Any], rule: str, now: datetime
) -> None:
    connection.execute(
        insert(StageChange.__table__).values(
            lead_id=kept.id, track=values["track"], from_stage=kept.stage, to_stage=values["stage"], at=now,
            rule=rule, agreement="",
        )
    )  # fmt: skip


# --- becoming two again --------------------------------------------------------------------------------


def undo_merge(
    database: Database,
    merge_id: int,
    by: str,
    now: datetime,
    *,
    actor: str | None = None,
    kept_id: int | None = None,
) -> Merged:
    """Makes two leads of one again, row for row as they were. What has come since stays with the one who was kept,
    unless it answers a mail of the other or moves an enrollment of his.

    Raises NotFoundError, InvalidInputError where it was undone already, or can be no more.
    """

    def undo(connection: Connection) -> Merged:
        row = connection.execute(select(merges).where(merges.c.id == merge_id)).first()
        if row is None or kept_id not in {None, row.kept_id}:
            raise NotFoundError(f"There is no merge {merge_id}; the page of the lead names it.")
        if connection.scalar(select(LEAD.c.id).where(LEAD.c.id == row.kept_id)) is None:
            raise InvalidInputError(
                f"Lead {row.kept_id} became one with another since; undo that merge first."
            )
        lock_leads(connection, [row.kept_id])
        undone = update(merges).where(merges.c.id == merge_id, merges.c.undone_at.is_(None))
        if not connection.execute(undone.values(undone_at=now, undone_by=by)).rowcount:
            raise InvalidInputError(f"Merge {merge_id} is undone already.")
        _become_two(connection, row, now)
        told = f"merge {merge_id}, with lead {row.gone_id}"
        note(connection, actor or by, "undid a merge", f"lead {row.kept_id}", now, detail=told)
        return Merged(merge_id, row.kept_id, row.gone_id)

    try:
        return database.run(undo)
    except IntegrityError as error:
        sentence = (
            "Too much has happened since: something of the one would now be there twice. Leave them one."
        )
        raise InvalidInputError(sentence) from error


def _become_two(connection: Connection, row: Row[Any], now: datetime) -> None:
    body = json.loads(row.body)
    changes: Sequence[Change] = body["changes"]
    is_untouched = digest(rows_of(connection, [row.kept_id], body["addresses"])) == body["after"]
    take_back(connection, changes)
    if is_untouched:
        return
    both = {"kept": row.kept_id, "gone": row.gone_id}
    for table, column, parent in ANSWERS:
        run(
            connection,
            f"""
            UPDATE {table} SET lead_id = :gone
             WHERE lead_id = :kept AND {column} IN (SELECT id FROM {parent} WHERE lead_id = :gone)""",
            **both,
        )
    for table, same in (("point", ("track", "rule", "subject")), ("interest", ("topic", "subject"))):
        twin = " AND ".join(f"his.{name} = {table}.{name}" for name in same)
        run(
            connection,
            f"""
            UPDATE {table} SET lead_id = :gone
             WHERE lead_id = :kept AND reaction_id IN (SELECT id FROM reaction WHERE lead_id = :gone)
               AND NOT EXISTS (SELECT 1 FROM {table} his WHERE his.lead_id = :gone AND {twin})""",
            **both,
        )
    wake_leads(connection, [row.kept_id, row.gone_id], now)


# What belongs to the lead whose enrollment, mail or reaction it hangs on, in this order.
ANSWERS: Final = (
    ("message", "enrollment_id", "enrollment"),
    ("transition", "enrollment_id", "enrollment"),
    ("way_back", "enrollment_id", "enrollment"),
    ("reaction", "message_id", "message"),
    ("click", "message_id", "message"),
    ("click_revision", "click_id", "click"),
    ("reply", "message_id", "message"),
    ("lead_note", "reaction_id", "reaction"),
    ("task", "enrollment_id", "enrollment"),
    ("answer", "message_id", "message"),
    ("answer", "task_id", "task"),
    ("notice", "task_id", "task"),
)

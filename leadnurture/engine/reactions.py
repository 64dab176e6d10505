"""Records what leads did: once, in sets, whatever the order in which it is told.

A reaction is a row; everything that follows from it (standing, points, interests, suppression, the status of its mail, the look
at its lead) is written in the same transaction, under the lead's lock. A click becomes one only when it was judged a person's: until
then it lies with the raw clicks (`clicks`).
"""

import functools
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    FromClause,
    String,
    Subquery,
    case,
    cast,
    func,
    insert,
    literal,
    not_,
    null,
    select,
)

from leadnurture.domain.agreement import Agreement, EngagementRule
from leadnurture.domain.clicks import SETTLE
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import (
    ENDING_KINDS,
    MESSAGE_ORDER,
    REACTION_KINDS,
    SILENT_KINDS,
    STANDING_KINDS,
    MessageStatus,
    ReactionKind,
)
from leadnurture.engine.calendar import local_day
from leadnurture.engine.clicks import keep_told_clicks
from leadnurture.engine.conditions import argument_matches
from leadnurture.engine.current import current_definitions
from leadnurture.engine.identity import BY_ADDRESS, BY_NUMBER, email_key
from leadnurture.engine.seats import follow_seats
from leadnurture.engine.sending import PLACE_OF
from leadnurture.engine.sql import lock_leads_of, merely, run, some, sql
from leadnurture.engine.vacancy import Obstacle, refuse_wishes
from leadnurture.errors import InvalidInputError
from leadnurture.store import Database, LostRaceError, stage
from leadnurture.store.tables import Lead, Message, Point
from leadnurture.store.work import empty, work_reaction

# What a reaction proves of its mail. A click proves nothing: a GET appends it, and a GET changes nothing else.
PROOF: Final[dict[str, MessageStatus]] = {
    "delivered": "delivered",
    "opened": "delivered",
    "bounced": "bounced",
    "complained": "complained",
}
# What is done with a mail itself.
OF_THE_MAIL: Final = frozenset[ReactionKind]({"delivered", "opened", "clicked", "replied"})
BATCH: Final = 10_000
POINT: Final = (
    "lead_id", "track", "rule", "subject", "points", "reaction_id", "agreement", "begins_at", "ends_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewReaction:
    """Something a lead did, as somebody tells it. One of `lead_id`, `message_id`, `email` finds the lead."""

    kind: ReactionKind
    key: str
    """The teller's own id; the same key is recorded once."""
    source: str
    at: datetime | None = None
    """When he did it, as the teller says; one that lies ahead is the recording's. It dates the journey, tells the same
    from another, and a session that was ahead from one that was over; conditions, points and stages count from the recording.
    """
    lead_id: int | None = None
    message_id: int | None = None
    email: str | None = None
    content: str | None = None
    session: str | None = None
    argument: str | None = None
    """The path of a visit, the answer of a form, the address that was clicked."""
    agent: str | None = None
    """Of a click: how the program that followed the link calls itself."""
    is_wish: bool = False
    """Of a registration: it is asked for here, not told of elsewhere, so it needs a seat that is left."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch; `unknown` are the positions of those whose lead was not found, `refused` those of the
    seats that could not be had.
    """

    recorded: int = 0
    duplicates: int = 0
    unknown: tuple[int, ...] = ()
    refused: Mapping[int, Obstacle] = field(default_factory=dict)


def record_reactions(database: Database, reactions: Sequence[NewReaction], now: datetime) -> Recorded:
    """Records them, each once; what is answered is committed.

    Unknown kinds raise InvalidInputError before anything is written.
    """
    total = Recorded()
    for start in range(0, len(reactions), BATCH):
        batch = reactions[start : start + BATCH]
        done = database.run(functools.partial(record_in, reactions=batch, now=now))
        total = Recorded(
            total.recorded + done.recorded,
            total.duplicates + done.duplicates,
            total.unknown + tuple(start + position for position in done.unknown),
            {**total.refused, **{start + position: why for position, why in done.refused.items()}},
        )
    return total


def record_in(
    connection: Connection, reactions: Sequence[NewReaction], now: datetime, *, settle: timedelta = SETTLE
) -> Recorded:
    """The same inside of a transaction of the caller. A constant number of statements."""
    if not reactions:
        return Recorded()
    _refuse_unknown_kinds(reactions)
    definitions = current_definitions(connection)
    empty(connection, work_reaction)
    stage(
        connection,
        work_reaction,
        [
            _row(position, _said_fully(one, definitions, now), now, settle)
            for position, one in enumerate(reactions)
        ],
        _WITH_MESSAGES,
    )
    _find_other_leads(connection)
    lock_leads_of(connection, "SELECT lead_id FROM work_reaction")
    moved = f"SELECT count(*) FROM work_reaction w WHERE w.lead_id IS DISTINCT FROM {_WHOSE}"
    if connection.dialect.name != "sqlite" and connection.execute(sql(moved)).scalar_one():
        raise LostRaceError  # two became one, or one two, while we waited
    lost = sql("SELECT position FROM work_reaction WHERE lead_id IS NULL ORDER BY position")
    unknown = connection.scalars(lost).all()
    refused = refuse_wishes(connection, now) if any(one.is_wish for one in reactions) else {}
    kinds = {reaction.kind for reaction in reactions}
    clicks = keep_told_clicks(connection, now) if "clicked" in kinds else 0
    fresh = insert_fresh(connection) if kinds != {"clicked"} else 0
    if fresh:
        follow(connection, definitions, kinds, now)
    recorded = fresh + clicks
    duplicates = len(reactions) - len(unknown) - len(refused) - recorded
    return Recorded(recorded, duplicates, tuple(unknown), refused)


def _refuse_unknown_kinds(reactions: Sequence[NewReaction]) -> None:
    for reaction in reactions:
        if reaction.kind not in REACTION_KINDS:
            msg = f"There is no reaction {reaction.kind!r}; use one of {', '.join(REACTION_KINDS)}."
            raise InvalidInputError(msg)


def _said_fully(reaction: NewReaction, definitions: Definitions, now: datetime) -> NewReaction:
    """With the session, where only one can be meant; a message knows its own."""
    if reaction.kind not in STANDING_KINDS or reaction.session or reaction.message_id is not None:
        return reaction
    content = definitions.find_content(reaction.content)
    zone = definitions.company.zone
    did_at = min(reaction.at or now, now)
    meant = content.sessions_meant(reaction.kind, did_at, now, zone) if content else ()
    return replace(reaction, session=meant[0]) if len(meant) == 1 else reaction


def _row(position: int, reaction: NewReaction, now: datetime, settle: timedelta) -> dict[str, object]:
    return {
        "position": position,
        "named_id": reaction.lead_id,
        "message_id": reaction.message_id,
        "email_key": None if reaction.email is None else email_key(reaction.email),
        "kind": reaction.kind,
        "content": reaction.content,
        "session": reaction.session,
        "argument": reaction.argument,
        "at": reaction.at or now,
        "recorded_at": now,
        "counts_at": now + settle if reaction.kind == "clicked" else now,
        "source": reaction.source,
        "key": f"{reaction.source}:{reaction.key}",
        "agent": reaction.agent,
        "is_wish": reaction.is_wish or None,
    }


_BY_ADDRESS_OR_NUMBER: Final = f"{BY_ADDRESS.format('w.email_key')}, {BY_NUMBER.format('w.named_id')}"
_WHOSE: Final = (
    f"coalesce((SELECT m.lead_id FROM message m WHERE m.id = w.message_id), {_BY_ADDRESS_OR_NUMBER})"
)


def _known_by(told: str, lead: str, content: str, session: str) -> tuple[str, str]:
    """The natural key of a reaction and its instant: standing ones are one per session, others one per second, so that
    the same thing told under a new id is known. It has the instant that was told, so that a clock ahead of ours tells
    nothing twice; what counts is not ahead.
    """
    words = (
        f"{told}.kind", f"CAST({lead} AS VARCHAR)", f"coalesce(CAST({told}.message_id AS VARCHAR), '')",
        f"coalesce({content}, '')", f"coalesce({session}, '')", f"coalesce({told}.argument, '')",
        f"CAST({told}.at / 1000000 AS VARCHAR)",
    )  # fmt: skip
    at = f"CASE WHEN {told}.at > {told}.recorded_at THEN {told}.recorded_at ELSE {told}.at END"
    return " || '|' || ".join(words), at


_CONTENT: Final = "coalesce(told.content, m.content)"
_SESSION: Final = (
    f"CASE WHEN told.session IS NULL AND m.session_content = {_CONTENT} THEN m.session ELSE told.session END"
)
_KEY, _AT = _known_by("told", "m.lead_id", _CONTENT, _SESSION)
# A message knows its lead and its content. Without a lead there is no key yet.
_WITH_MESSAGES: Final = f"""
    INSERT INTO work_reaction (position, lead_id, named_id, message_id, email_key, kind, content, session, argument, at, recorded_at, counts_at,
                               source, key, natural_key, agent, is_wish)
    SELECT told.position, m.lead_id, told.named_id, told.message_id, told.email_key, told.kind, {_CONTENT}, {_SESSION}, told.argument,
           CASE WHEN m.lead_id IS NULL THEN told.at ELSE {_AT} END, told.recorded_at, told.counts_at, told.source, told.key, {_KEY},
           told.agent, told.is_wish
      FROM told LEFT JOIN message m ON m.id = told.message_id"""


def _find_other_leads(connection: Connection) -> None:
    """An address or a number finds its lead; the natural key then says who did what and when."""
    run(
        connection,
        f"""
        UPDATE work_reaction AS w SET lead_id = coalesce({_BY_ADDRESS_OR_NUMBER}) WHERE w.lead_id IS NULL""",
    )
    key, at = _known_by("work_reaction", "lead_id", "content", "session")
    run(
        connection,
        f"UPDATE work_reaction SET natural_key = {key}, at = {at} WHERE lead_id IS NOT NULL AND natural_key IS NULL",
    )


def insert_fresh(connection: Connection) -> int:
    """Inserts what is not there yet and gives the fresh rows of `work_reaction` their ids.

    Ids are handed out in the order of telling, and only rows above the newest id of before can be fresh.
    """
    newest = connection.execute(sql("SELECT coalesce(max(id), 0) FROM reaction")).scalar_one()
    inserted = run(
        connection,
        """
        INSERT INTO reaction (lead_id, kind, content, session, message_id, argument, at, recorded_at, counts_at, source, key, natural_key)
        SELECT lead_id, kind, content, session, message_id, argument, at, recorded_at, counts_at, source, key, natural_key
          FROM work_reaction WHERE lead_id IS NOT NULL ORDER BY position
            ON CONFLICT DO NOTHING""",
    )
    if inserted:
        run(
            connection,
            """
            UPDATE work_reaction SET reaction_id = r.id
              FROM reaction r WHERE r.key = work_reaction.key AND r.natural_key = work_reaction.natural_key AND r.id > :newest""",
            newest=newest,
        )
    return inserted


def follow(
    connection: Connection, definitions: Definitions, kinds: AbstractSet[ReactionKind], now: datetime
) -> None:
    """Everything that follows from the fresh rows of `work_reaction`, those with an id."""
    if kinds & STANDING_KINDS:
        _stand(connection)
        follow_seats(connection, definitions, now)
    earn_points(connection, definitions, now)
    show_interest(connection, definitions)
    if kinds & set(PROOF):
        _prove_mails(connection, now)
    if kinds & ENDING_KINDS:
        _suppress(connection, now)
    silent = ", ".join(f"'{kind}'" for kind in sorted(SILENT_KINDS))
    run(
        connection,
        f"""
        UPDATE lead SET look_at = w.counts_at
          FROM (SELECT lead_id, min(counts_at) AS counts_at FROM work_reaction
                 WHERE reaction_id IS NOT NULL AND kind NOT IN ({silent}) GROUP BY lead_id) AS w
         WHERE lead.id = w.lead_id AND (lead.look_at IS NULL OR lead.look_at > w.counts_at)""",
    )


def _stand(connection: Connection) -> None:
    """The newest told holds; who attended or missed is not made a mere registrant again by a late
    registration. Whoever registers for a seat that he has keeps that seat.
    """
    kinds = ", ".join(f"'{kind}'" for kind in sorted(STANDING_KINDS))
    run(
        connection,
        f"""
        INSERT INTO standing (lead_id, content, session, kind, reaction_id, seat_id)
        SELECT lead_id, content, session, kind, reaction_id, CASE kind WHEN 'registered' THEN reaction_id END
          FROM (SELECT lead_id, content, coalesce(session, '') AS session, kind, reaction_id,
                       row_number() OVER (PARTITION BY lead_id, content, coalesce(session, '') ORDER BY reaction_id DESC) AS back
                  FROM work_reaction WHERE reaction_id IS NOT NULL AND content IS NOT NULL AND kind IN ({kinds})) AS newest
         WHERE back = 1
            ON CONFLICT (lead_id, content, session) DO UPDATE SET kind = excluded.kind, reaction_id = excluded.reaction_id,
               seat_id = CASE excluded.kind WHEN 'registered' THEN coalesce(standing.seat_id, excluded.seat_id) END
         WHERE NOT (excluded.kind = 'registered' AND standing.kind IN ('attended', 'missed'))""",
    )


def earn_points(connection: Connection, definitions: Definitions, now: datetime) -> None:
    """The points of the fresh rows, under the agreement in force; what was counted is not counted again."""
    for agreement in definitions.agreements:
        for statement in _point_statements(agreement):
            connection.execute(statement, {"now": now})


@functools.lru_cache(maxsize=64)
def _point_statements(agreement: Agreement) -> tuple[Any, ...]:
    """One insertion per rule: points begin to count when the reaction does, once per content, for visits once
    a day.
    """
    return tuple(_point_statement(agreement, rule) for rule in agreement.engagement)


def _point_statement(agreement: Agreement, rule: EngagementRule) -> Any:  # noqa: ANN401 - an Insert
    point = Point.__table__
    rows = point_rows(agreement, rule, work_reaction)
    counted = (
        point.c.lead_id == rows.c.lead_id,
        point.c.track == agreement.track,
        point.c.rule == rule.text,
        point.c.subject == rows.c.subject,
    )
    # The leads are locked, so nobody can count the same in between.
    fresh = select(*(rows.c[name] for name in POINT)).where(not_(some(*counted, of=[point])))
    return insert(point).from_select(POINT, fresh)


def point_rows(agreement: Agreement, rule: EngagementRule, told: FromClause) -> Subquery:
    """The points that a rule gives for the reactions of a table (`lead_id reaction_id message_id kind content
    argument counts_at`): a row for each lead and subject, of its first reaction.
    """
    lead, reacted = Lead.__table__, rule.reacted
    by_day = case(
        (told.c.kind == "visited", func.coalesce(cast(local_day(lead.c.zone, told.c.counts_at), String), "")),
        else_=func.coalesce(told.c.content, ""),
    )
    subject = func.coalesce(func.nullif(by_day, ""), func.coalesce(told.c.argument, ""))
    lives = agreement.live.microseconds if agreement.live is not None and rule.points > 0 else None
    wanted = [
        told.c.reaction_id.is_not(None),
        told.c.kind == reacted.kind,
        merely(lead.c.track) == agreement.track,
    ]
    if reacted.about is not None:
        wanted.append(told.c.content == reacted.about)
    if reacted.argument is not None:
        wanted.append(argument_matches(reacted, told))
    if reacted.kind in OF_THE_MAIL:  # an answer to what he asked for is no interest in anything
        mail = Message.__table__
        wanted.append(not_(some(mail.c.id == told.c.message_id, mail.c.is_service, of=[mail])))
    begins = func.min(told.c.counts_at)
    values = (
        told.c.lead_id, literal(agreement.track), literal(rule.text), subject, literal(rule.points),
        func.min(told.c.reaction_id), literal(agreement.version.isoformat()), begins,
        begins + lives if lives is not None else cast(null(), BigInteger),
    )  # fmt: skip
    return (
        select(*(value.label(name) for name, value in zip(POINT, values, strict=True)))
        .join_from(told, lead, lead.c.id == told.c.lead_id)
        .where(*wanted)
        .group_by(told.c.lead_id, subject)
        .subquery()
    )


def show_interest(connection: Connection, definitions: Definitions) -> None:
    """A reaction to a content makes its topics his interests, for as long as points live; declining shows
    none.
    """
    lives = {
        agreement.track: agreement.live.microseconds if agreement.live else None
        for agreement in definitions.agreements
    }
    run(
        connection,
        """
        INSERT INTO interest (lead_id, topic, subject, reaction_id, begins_at, ends_at)
        SELECT w.lead_id, t.topic, w.content, min(w.reaction_id), min(w.counts_at),
               max(w.counts_at) + max(CASE l.track WHEN 'clients' THEN CAST(:clients AS BIGINT) ELSE CAST(:prospects AS BIGINT) END)
          FROM work_reaction w JOIN content_topic t ON t.content = w.content JOIN lead l ON l.id = w.lead_id
         WHERE w.reaction_id IS NOT NULL
           AND w.kind IN ('clicked', 'replied', 'registered', 'attended', 'downloaded', 'submitted', 'visited')
         GROUP BY w.lead_id, t.topic, w.content
            ON CONFLICT (lead_id, topic, subject) DO UPDATE SET ends_at = excluded.ends_at
         WHERE interest.ends_at < excluded.ends_at OR excluded.ends_at IS NULL""",
        clients=lives.get("clients"),
        prospects=lives.get("prospects"),
    )


def _prove_mails(connection: Connection, now: datetime) -> None:
    """A delivery, an open or a click proves that a mail arrived; forward only, and the wait of an unknown one
    has begun already.
    """
    proof = " ".join(f"WHEN '{kind}' THEN {MESSAGE_ORDER.index(status)}" for kind, status in PROOF.items())
    back = " ".join(
        f"WHEN {MESSAGE_ORDER.index(status)} THEN '{status}'" for status in dict.fromkeys(PROOF.values())
    )
    kinds = ", ".join(f"'{kind}'" for kind in PROOF)
    run(
        connection,
        f"""
        UPDATE message SET status = CASE w.place {back} END, settled_at = :now
          FROM (SELECT message_id, max(CASE kind {proof} END) AS place FROM work_reaction
                 WHERE reaction_id IS NOT NULL AND message_id IS NOT NULL AND kind IN ({kinds}) GROUP BY message_id) AS w
         WHERE message.id = w.message_id AND message.status NOT IN ('planned', 'failed', 'cancelled', 'sending')
           AND w.place > {PLACE_OF.format("message.status")}""",
        now=now,
    )


def _suppress(connection: Connection, now: datetime) -> None:
    """Unsubscribed, bounced and complained hold at once: the address is never mailed again, its queue is
    cancelled, but what answers him goes to whoever has merely unsubscribed. Who unsubscribes or complains does so
    for every address of his; a bounce is one address's.

    The weightiest reason stands, whatever was told first; by chance they weigh as they stand in the alphabet.
    """
    kinds = ", ".join(f"'{kind}'" for kind in sorted(ENDING_KINDS))
    ending = f"w.reaction_id IS NOT NULL AND w.kind IN ({kinds})"
    mailed = "m.facts ->> 'to'" if connection.dialect.name == "sqlite" else "CAST(m.facts AS json) ->> 'to'"
    bounced = f"coalesce(w.email_key, (SELECT lower({mailed}) FROM message m WHERE m.id = w.message_id AND m.facts <> ''))"
    run(
        connection,
        f"""
        INSERT INTO suppression (email_key, reason, at)
        SELECT email_key, max(kind), :now
          FROM (SELECT l.email_key, w.kind FROM work_reaction w JOIN lead l ON l.id = w.lead_id
                 WHERE {ending} AND (w.kind <> 'bounced' OR coalesce({bounced}, l.email_key) = l.email_key)
                 UNION ALL
                SELECT k.key, w.kind FROM work_reaction w JOIN lead_key k ON k.lead_id = w.lead_id AND k.system || '' = 'email'
                 WHERE {ending} AND (w.kind <> 'bounced' OR {bounced} = k.key)) AS his
         WHERE TRUE GROUP BY email_key ORDER BY email_key
            ON CONFLICT (email_key) DO UPDATE SET reason = excluded.reason WHERE suppression.reason < excluded.reason""",
        now=now,
    )
    for mails, whose in (("NOT is_service", ""), ("is_service", "AND w.kind <> 'unsubscribed'")):
        run(
            connection,
            f"""
            UPDATE message SET status = 'cancelled', settled_at = :now, trouble = 'suppressed'
             WHERE status = 'planned' AND {mails}
               AND lead_id IN (SELECT l.id FROM work_reaction w JOIN lead l ON l.id = w.lead_id
                     JOIN suppression s ON s.email_key = l.email_key WHERE {ending} {whose})""",
            now=now,
        )

"""Sends what is due: claims, renders, hands over, marks; so that a crash at any point sends nothing twice.

One idea to hold: the claim is committed before the first byte leaves, so a crash leaves `sending`, which
becomes `unknown` and is never sent again blindly. There are never more in that state than there are threads.
One gate is shared by all threads: a provider that says "too many" is asked nothing until the instant it
named.
"""

import contextlib
import itertools
import logging
import queue
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import quote

from jinja2 import TemplateError
from sqlalchemy import Connection, text, update

from leadnurture.engine import NewReaction, Settled, record_in, settle_messages
from leadnurture.links import Links
from leadnurture.mail import invites
from leadnurture.mail.claim import Pick, claim, messages, release, reserve
from leadnurture.mail.freeze import Freezer, Frozen
from leadnurture.mail.provider import (
    Accepted,
    Answer,
    Later,
    Mail,
    NotSent,
    Provider,
    Refused,
    Unknown,
)
from leadnurture.mail.rendering import Shown
from leadnurture.store import Database
from leadnurture.store.instants import to_micros

log: Final = logging.getLogger(__name__)
LEASE: Final = timedelta(minutes=5)
BATCH: Final = 1000
# Where the provider does not say when it is ready again.
REST: Final = timedelta(seconds=60)
# How long a mail rests that a server does not want right now; those who hold back strangers ask for minutes.
REST_ALONE: Final = timedelta(minutes=5)
SOURCE: Final = "sending"
FIRST_REST: Final = timedelta(seconds=5)
LONGEST_REST: Final = timedelta(minutes=10)
RESTING: Final = "resting"
MOST_TOLD: Final = 200
# So long the first of a group waits for others before it is marked.
MOMENT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a delivery did."""

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    moved: int = 0
    """Held, out of hours, paced, or in the next window: they leave later."""
    refused: int = 0
    """Suppressed, without consent, late, for another track: they never leave."""
    again: int = 0
    """Proved unsent; they are tried again."""
    failures: tuple[tuple[int, str], ...] = ()
    """(message, what was said) of what was not accepted; the first two hundred."""
    ready_at: datetime | None = None
    """When the provider may be asked again, of the machine's clock; None: at once."""


class Result(NamedTuple):
    """What became of one claimed message."""

    message_id: int
    answer: Answer


def deliver(
    database: Database,
    provider: Provider,
    links: Links,
    now: datetime,
    *,
    machine_now: datetime,
    parallel: int = 32,
    limit: int = 5000,
) -> Delivered:
    """Sends at most `limit` due mails, never more than `parallel` at a time.

    Safe to repeat, and to run in many places at once.
    """
    recover(database, now, machine_now)
    return Delivery(database, provider, links, now, machine_now=machine_now, parallel=parallel).run(limit)


def recover(database: Database, now: datetime, machine_now: datetime) -> int:
    """Makes `unknown` of what was being sent when its worker died; its wait begins at the attempt.

    Safe to repeat.
    """
    stale = {"machine_now": to_micros(machine_now)}
    with database.read() as connection:
        if connection.execute(_STALE, stale).first() is None:
            return 0

    def settle(connection: Connection) -> int:
        lost = connection.execute(_STALE, stale).scalars().all()
        return settle_messages(
            connection,
            [Settled(one, "unknown", trouble="the worker died while it was sending") for one in lost],
            now,
        )

    return database.run(settle)


_STALE: Final = text(
    "SELECT id FROM message WHERE status = 'sending' AND lease_until <= :machine_now"
    " ORDER BY lease_until LIMIT 10000"
)


@dataclass
class Gate:
    """Closed while the provider wants to be left alone. Written by any thread, read by all."""

    machine_now: datetime
    """The machine's clock at the beginning; from there on counted monotonically."""
    opens_at: datetime | None = None
    _began: float = field(default_factory=time.monotonic)
    _vain: int = 0

    def now(self) -> datetime:
        """The machine's clock."""
        return self.machine_now + timedelta(seconds=time.monotonic() - self._began)

    def is_closed(self) -> bool:
        """Whether the provider is to be left alone now."""
        return self.opens_at is not None and self.opens_at > self.now()

    def hear(self, answer: Answer) -> None:
        """Closes or widens the gate by an answer."""
        if isinstance(answer, Accepted):
            self._vain = 0
        elif isinstance(answer, Later) and not answer.is_alone:
            self._close(answer.at or self.now() + REST)
        elif isinstance(answer, NotSent):
            self._close(self.now() + min(FIRST_REST * 2**self._vain, LONGEST_REST))
            self._vain = min(self._vain + 1, 10)
        elif isinstance(answer, Refused) and answer.stops:
            self._close(self.now() + REST)

    def _close(self, until: datetime) -> None:
        self.opens_at = max(until, self.opens_at or until)


class Delivery:
    """One pass over what is due.

    `reserve`, `claim` and `mark` are a transaction each, `hand_over` is none.
    """

    def __init__(
        self,
        database: Database,
        provider: Provider,
        links: Links,
        now: datetime,
        *,
        machine_now: datetime,
        parallel: int = 32,
    ) -> None:
        self._database = database
        self._provider = provider
        self._now = now
        self._parallel = parallel
        self._owner = f"mail-{secrets.token_hex(8)}"
        self._freezer = Freezer(links)
        self._reserved: list[Pick] = []
        self._gate = Gate(machine_now)
        self._answers: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._bugs: list[Exception] = []
        self._done = Delivered()

    def run(self, limit: int) -> Delivered:
        """Until nothing is due, the limit is reached, or the provider wants to be left alone."""
        with self._database.read() as connection:
            self._freezer.load(connection)
        picks = self._picks(limit)
        threads = min(self._parallel, self._provider.threads or self._parallel)
        sending = 0
        # Where nothing is waited for, a thread would only take turns with this one.
        threaded = ThreadPoolExecutor(threads, thread_name_prefix="mail") if threads > 1 else None
        with threaded or contextlib.nullcontext():
            carry = self._carry if threaded is None else lambda frozen: threaded.submit(self._carry, frozen)
            while True:
                free = self._parallel - sending
                chosen = list(itertools.islice(picks, free)) if 2 * free >= self._parallel else []
                for frozen in self.claim(chosen) if chosen else ():
                    carry(frozen)
                    sending += 1
                if not chosen and not sending:
                    break
                if sending:
                    sending -= self._settle_some(sending)
        self._database.run(lambda connection: release(connection, self._owner, self._reserved))
        if self._bugs:
            raise self._bugs[0]
        return replace(self._done, ready_at=self._gate.opens_at if self._gate.is_closed() else None)

    def reserve(self, limit: int) -> list[Pick]:
        """Messages that nobody else takes for five minutes."""
        machine_now = self._gate.now()
        return self._database.run(
            lambda connection: reserve(
                connection, self._owner, self._now, machine_now, machine_now + LEASE, limit
            )
        )

    def claim(self, picks: Sequence[Pick]) -> Sequence[Frozen]:
        """Those that may leave, committed as `sending`."""
        until = self._gate.now() + LEASE
        claimed = self._database.run(
            lambda connection: claim(connection, self._owner, picks, self._freezer, self._now, until)
        )
        self._done = replace(
            self._done, refused=self._done.refused + claimed.refused, moved=self._done.moved + claimed.moved
        )
        return claimed.mails

    def hand_over(self, mail: Mail) -> Answer:
        """The provider's answer to one mail."""
        return self._provider.send(mail)

    def mark(self, results: Sequence[Result]) -> None:
        """Writes what became of mails, as one group; the wait of a step begins in the same transaction."""
        outcomes = [_outcome(result) for result in results]
        alone = {result.message_id for result in results if _is_alone(result.answer)}
        unsent = {outcome.message_id for outcome in outcomes if outcome.status == "planned"}
        now = self._gate.now()
        rests = ((unsent - alone, self._gate.opens_at or now), (unsent & alone, now + REST_ALONE))
        gone = [
            NewReaction("bounced", str(outcome.message_id), SOURCE, message_id=outcome.message_id)
            for outcome in outcomes
            if outcome.status == "bounced"
        ]

        def settle(connection: Connection) -> None:
            settle_messages(connection, outcomes, self._now)
            record_in(connection, gone, self._now)
            for ids, until in rests:
                if ids:
                    resting = messages.c.id.in_(ids) & (messages.c.status == "planned")
                    rest = update(messages).where(resting).values(lease_owner=RESTING, lease_until=until)
                    connection.execute(rest)

        self._database.run(settle)
        self._count(outcomes)

    def _picks(self, limit: int) -> Iterator[Pick]:
        """Reserved messages, a batch after the other."""
        while limit > 0 and not self._gate.is_closed():
            batch = self.reserve(min(BATCH, limit))
            if not batch:
                return
            limit -= len(batch)
            self._reserved += batch
            for pick in batch:
                if self._gate.is_closed() or self._bugs:
                    return
                yield pick

    def _carry(self, frozen: Frozen) -> None:
        """In a thread of its own where that gains anything: renders a claimed mail and hands it over."""
        try:
            answer = self._answer(frozen)
        except Exception as error:  # noqa: BLE001 - whatever it was, the mail may have left
            self._bugs.append(error)
            answer = Unknown(f"{type(error).__name__}: {error}")
        self._gate.hear(answer)
        self._answers.put(Result(frozen.message_id, answer))

    def _answer(self, frozen: Frozen) -> Answer:
        if self._gate.is_closed():
            return Later(self._gate.opens_at)
        try:
            shown = self._freezer.rendering(frozen.template).render(frozen.content["values"])
            mail = mail_of(frozen, shown, self._now)
        except (TemplateError, ValueError) as error:
            return Refused(f"cannot be rendered: {error}")
        return self.hand_over(mail)

    def _settle_some(self, sending: int) -> int:
        """Waits for an answer and marks it, with those that come within a moment."""
        results = [self._answers.get()]
        ends = time.monotonic() + MOMENT
        while len(results) < sending:
            try:
                results.append(self._answers.get(timeout=max(ends - time.monotonic(), 0)))
            except queue.Empty:
                break
        self.mark(results)
        return len(results)

    def _count(self, outcomes: Sequence[Settled]) -> None:
        counts = Counter(outcome.status for outcome in outcomes)
        told = [(outcome.message_id, outcome.trouble) for outcome in outcomes if outcome.trouble]
        for message_id, trouble in told:
            log.warning("message %d: %s", message_id, trouble)
        self._done = replace(
            self._done,
            sent=self._done.sent + counts["sent"],
            failed=self._done.failed + counts["failed"] + counts["bounced"],
            unknown=self._done.unknown + counts["unknown"],
            again=self._done.again + counts["planned"],
            failures=(*self._done.failures, *told)[:MOST_TOLD],
        )


def _is_alone(answer: Answer) -> bool:
    return isinstance(answer, Later) and answer.is_alone


def _outcome(result: Result) -> Settled:
    """What an answer means for the message."""
    match result.answer:
        case Accepted(provider_id):
            return Settled(result.message_id, "sent", provider_id=provider_id)
        case Refused(said, _, True):
            return Settled(result.message_id, "bounced", trouble=said)
        case Refused(said):
            return Settled(result.message_id, "failed", "failed", said)
        case Later(_, said):
            return Settled(result.message_id, "planned", trouble=said)
        case NotSent(said):
            return Settled(result.message_id, "planned", trouble=said)
        case Unknown(said):
            return Settled(result.message_id, "unknown", trouble=said)


def mail_of(frozen: Frozen, shown: Shown, now: datetime) -> Mail:
    """A program's mail with the headers that it owes its reader. ValueError for a line break in a header."""
    content = frozen.content
    link = content["values"]["unsubscribe_link"]
    token = quote(link.rpartition("/")[2], safe="")
    return Mail(
        key=str(frozen.message_id),
        to=content["to"],
        to_name=content["to_name"],
        sender_name=content["from_name"],
        sender=content["from"],
        reply_to=tuple(content["reply_to"]),
        bounces_to=content["bounces_to"],
        subject=shown.subject,
        html=shown.html,
        text=shown.text,
        at=now,
        headers=(
            # RFC 2369 and RFC 8058: a page for people, one click for mail programs, a mail for the rest.
            (
                "List-Unsubscribe",
                f"<{link}>, <mailto:{content['reply_to'][-1]}?subject=unsubscribe%20{token}>",
            ),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
        attachments=invites.files(content.get("invites", ())),
        message_id=frozen.message_id,
    )

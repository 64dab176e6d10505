"""Our own people: they read their notices and accept or return, some only upon a reminder or an escalation.

What was accepted becomes a deal or none, weeks later.
"""

import heapq
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from leadnurture.demo import rows
from leadnurture.demo.hours import DECIDING
from leadnurture.demo.rows import Errand, Offer
from leadnurture.demo.visits import Visitor, links_in
from leadnurture.store import Database

NOTICE: Final = re.compile(r"^notice-(\d+)\.eml$")
ACCEPT: Final = "accept"
READS: Final = timedelta(hours=3)
GO_ON: Final = "not reached"
"""For this reason a lead goes on where he stood."""
# What they say, in turn: of those who fit, of those who were handed off though they do not, of clients.
FITTING: Final = (
    ACCEPT, ACCEPT, "no budget", ACCEPT, "not reached", ACCEPT, "wrong person", ACCEPT, ACCEPT, "not a fit",
)  # fmt: skip
UNFITTING: Final = (
    "no budget", "no budget", "not a fit", "no budget", "not reached", "no budget", "wrong person",
)  # fmt: skip
CLIENTS: Final = (ACCEPT, "not reached", ACCEPT, "no need", ACCEPT, "no budget")
WAITS_FOR: Final = (*("handoff",) * 4, "reminder", *("handoff",) * 5, "escalation", "handoff")
"""Which notice they answer, in turn."""
FITS: Final = 40
NO_BUDGET: Final = "no budget"
BUDGET: Final = timedelta(days=150)
REFUSED: Final = "refused"
# What they report of clients, in turn, and whether they find out a missing fact; nothing: they never answer.
REPORTS: Final = ("", "later", "", "no")
FINDS: Final = ("found", "", "found", REFUSED)
FOUND: Final[Mapping[str, str]] = {"account.name": "Found & Co", "role": "manager", "country": "DE"}
# What becomes of those who were accepted, in turn, and after how many days.
DEALS: Final = (
    ("deal_won", 8),
    (None, 0),
    ("deal_lost", 12),
    (None, 0),
    ("deal_won", 15),
    (None, 0),
    (None, 0),
)


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """A decision about a handoff, or the outcome of an accepted one, at an instant."""

    at: datetime
    order: int
    offer: Offer = field(compare=False)
    says: str = field(compare=False)
    path: str = field(compare=False, default="")


@dataclass(frozen=True, slots=True, order=True)
class Report:
    """The answer to a task, at an instant."""

    at: datetime
    order: int
    errand: Errand = field(compare=False)
    says: str = field(compare=False)
    path: str = field(compare=False)


class Salespeople:
    """They answer every handoff in the end."""

    def __init__(
        self, database: Database, visitor: Visitor, tell: Callable[[Mapping[str, object]], None]
    ) -> None:
        self._database = database
        self._visitor = visitor
        self._tell = tell
        self._orders = itertools.count()
        self._answers: list[Answer] = []
        self._reports: list[Report] = []
        self._errands: dict[str, tuple[Errand, str]] = {}
        """What is to be found out about understudies, by their addresses."""
        self._turns: Counter[str] = Counter()
        self._withdrawn: set[int] = set()
        self._plans: dict[int, tuple[str, str]] = {}
        self.understudies: set[int] = set()
        """Leads who have lines to say yet: when they cross the threshold, they are returned to go on."""

    @property
    def next_at(self) -> datetime | None:
        """When one of them answers next."""
        times = [*(answer.at for answer in self._answers[:1]), *(report.at for report in self._reports[:1])]
        return min(times, default=None)

    def read(self, notices: Sequence[Path], now: datetime) -> None:
        """Reads new notices; each handoff is answered upon one of them."""
        by_id = {int(found[1]): path for path in notices if (found := NOTICE.search(path.name))}
        with self._database.read() as connection:
            offers = rows.offers(connection, list(by_id))
            errands = rows.errands(connection, list(by_id))
        for notice_id in sorted(errands):
            self._take_on(errands[notice_id], links_in(by_id[notice_id])["a"], now)
        for notice_id in sorted(offers):
            offer = offers[notice_id]
            if offer.kind == "withdrawn":
                self._withdrawn.add(offer.handoff_id)
                continue
            if offer.handoff_id not in self._plans:
                self._plans[offer.handoff_id] = self._plan(offer)
            waits_for, says = self._plans[offer.handoff_id]
            if offer.kind in {waits_for, "escalation"}:
                path = links_in(by_id[notice_id])["h"]
                self._plan_answer(DECIDING.first_from(now + READS), offer, says, path)

    def _take_on(self, errand: Errand, path: str, now: datetime) -> None:
        """Answers a task in time, or never; of understudies only what their lines say."""
        if errand.lead_id in self.understudies:
            self._errands[errand.email] = (errand, path)
            return
        group = "of a program" if errand.is_of_program else "of facts"
        says = (REPORTS if errand.is_of_program else FINDS)[self._turns[group] % 4]
        self._turns[group] += 1
        if says:
            at = DECIDING.first_from(now + READS)
            heapq.heappush(self._reports, Report(at, next(self._orders), errand, says, path))

    def report(self, email: str, words: str) -> bool:
        """What an understudy's line has one of us report of him; False while nobody was asked yet."""
        if email not in self._errands:
            return False
        errand, path = self._errands.pop(email)
        self._say(errand, words, path)
        return True

    def _say(self, errand: Errand, words: str, path: str) -> None:
        if words == REFUSED or not errand.asks:
            self._visitor.press(path, name="", answer=REFUSED)
            return
        for name in errand.asks:
            self._visitor.press(path, name=name, answer=FOUND.get(name, words))

    def _plan(self, offer: Offer) -> tuple[str, str]:
        """Which notice is answered, and how."""
        if offer.lead_id in self.understudies and offer.is_by_threshold:
            return "handoff", GO_ON
        group = "clients" if offer.track == "clients" else "fitting" if offer.fit >= FITS else "unfitting"
        says = {"clients": CLIENTS, "fitting": FITTING, "unfitting": UNFITTING}[group]
        turn = self._turns[group]
        self._turns.update((group, "all"))
        return WAITS_FOR[self._turns["all"] % len(WAITS_FOR)], says[turn % len(says)]

    def _plan_answer(self, at: datetime, offer: Offer, says: str, path: str = "") -> None:
        heapq.heappush(self._answers, Answer(at, next(self._orders), offer, says, path))

    def answer(self, now: datetime) -> int:
        """Presses the buttons that are due; how many it was."""
        done = 0
        while self._answers and self._answers[0].at <= now:
            self._decide(heapq.heappop(self._answers), now)
            done += 1
        while self._reports and self._reports[0].at <= now:
            report = heapq.heappop(self._reports)
            self._say(report.errand, report.says, report.path)
            done += 1
        return done

    def _decide(self, answer: Answer, now: datetime) -> None:
        offer = answer.offer
        if answer.path and offer.handoff_id in self._withdrawn:
            return
        if not answer.path:
            value = {"value": 12_000 + 4_000 * (offer.handoff_id % 9)} if answer.says == "deal_won" else {}
            self._tell({"kind": answer.says, "email": offer.email, **value})
        elif answer.says == ACCEPT:
            self._visitor.press(answer.path, decision="accepted")
            becomes, days = DEALS[self._turns["accepted"] % len(DEALS)]
            self._turns["accepted"] += 1
            if becomes:
                self._plan_answer(DECIDING.first_from(now + timedelta(days=days)), offer, becomes)
        else:
            told = self._told(answer, now)
            self._visitor.press(answer.path, decision="returned", reason=answer.says, **told)

    def _told(self, answer: Answer, now: datetime) -> Mapping[str, str]:
        """The date of every third budget that there is not yet, of prospects."""
        if answer.says != NO_BUDGET or answer.offer.track == "clients":
            return {}
        self._turns[NO_BUDGET] += 1
        is_known = self._turns[NO_BUDGET] % 3 == 0
        return {"told.budget_on": (now + BUDGET).date().isoformat()} if is_known else {}

"""The audience: reads what lies new in the outbox and answers in its own time, through the doors.

One idea to hold: reading only decides what will be done and when (`Act`); it is done when the clock gets
there. Understudies (`roles.py`) follow their lines, everybody else his temper (`people.py`), our own people
their habits (`salespeople.py`).
"""

import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from leadnurture.demo import gateways, rows
from leadnurture.demo.hours import ANSWERS
from leadnurture.demo.people import likes_to
from leadnurture.demo.roles import UNDERSTUDIES, Role
from leadnurture.demo.rows import Letter, Newcomer
from leadnurture.demo.salespeople import Salespeople
from leadnurture.demo.visits import Visitor, all_links_in, links_in
from leadnurture.domain.definitions import Definitions
from leadnurture.store import Database

DELAY: Final = re.compile(r"\+(\d+) (.*)")
FITS: Final = 40
SETTLED: Final = timedelta(hours=2)
"""How long after its beginning the list of a session is closed."""
TIDIED: Final = timedelta(weeks=4)
"""How much later somebody closes a list from which the platform has lost somebody."""
WRITTEN_OFF: Final = {"vanishes": "misses"}
READS: Final = timedelta(hours=3)
"""Nobody answers sooner."""
LATE: Final = timedelta(weeks=5)
"""Who comes into a program later than so long after the beginning of the demo, comes late."""
LIVELY: Final = timedelta(weeks=5)
"""After so long only understudies answer; everybody else has made up his mind."""
READ: Final = frozenset({"article", "report", "blog"})


@dataclass(frozen=True, slots=True, order=True)
class Act:
    """Something that somebody will do."""

    at: datetime
    order: int
    do: str = field(compare=False)
    email: str = field(compare=False)
    letter: Letter | None = field(compare=False, default=None)


@dataclass(frozen=True, slots=True)
class Seat:
    """Whoever has taken a seat, and what will become of it: attends, misses or vanishes."""

    email: str
    will: str


class Audience:
    """People who get mails, organisers who hold webinars, and salespeople."""

    def __init__(
        self, database: Database, definitions: Definitions, outbox: Path, visitor: Visitor, began: datetime
    ) -> None:
        self._database = database
        self._contents = {content.name: content for content in definitions.contents}
        self._sending = {
            (program.name, step.name)
            for program in definitions.programs
            for step in program.steps
            if step.send is not None
        }
        self._outbox = outbox
        self._visitor = visitor
        self._began = began
        self._orders = itertools.count()
        self._acts: list[Act] = []
        self._read: set[str] = set()
        self._newest = 0
        self._free = {program: [*roles, *roles] for program, roles in UNDERSTUDIES.items()}
        self._played: dict[int, Role] = {}
        self._understudies: dict[int, Newcomer] = {}
        self._companies: set[int] = set()
        """The accounts of the understudies."""
        self._buyers: set[int] = set()
        """Of these, those that are about to buy, which moves all of their people."""
        self._heard: set[tuple[int, str]] = set()
        self._roles_of: dict[tuple[str, str], Role] = {}
        self._invitations: dict[tuple[str, str], Letter] = {}
        """The last mail about a session, by understudy and program."""
        self._seats: dict[tuple[str, str], dict[str, Seat]] = defaultdict(dict)
        self._closings: dict[tuple[str, str], datetime] = {}
        self._moved: dict[tuple[str, str], datetime] = {}
        """Sessions with another date than the mails about them told."""
        self._reactions: list[Mapping[str, object]] = []
        self._leads: list[Mapping[str, object]] = []
        self.salespeople = Salespeople(database, visitor, self._reactions.append)

    @property
    def next_at(self) -> datetime | None:
        """When somebody will do something next."""
        times = [self.salespeople.next_at, *(act.at for act in self._acts[:1]), *self._closings.values()]
        return min((at for at in times if at is not None), default=None)

    @property
    def unplayed(self) -> Mapping[str, list[Role]]:
        """The roles for which nobody has come yet, by program."""
        return self._free

    # --- reading ------------------------------------------------------------------------------------------

    def read(self, now: datetime) -> None:
        """Takes note of all that is new: enrollments for the understudies, mails for everybody."""
        with self._database.read() as connection:
            newcomers = rows.newcomers(connection, self._newest)
            places = rows.places(connection, list(self._understudies))
        for newcomer in newcomers:
            self._newest = max(self._newest, newcomer.enrollment_id)
            self._roles_of.pop((newcomer.email, newcomer.program), None)
        for is_alone in (True, False):
            for newcomer in newcomers:
                if newcomer.enrollment_id not in self._played:
                    self._cast(newcomer, now, is_alone=is_alone)
        self._hear_cues(places, now)
        self._read_outbox(now)

    def _cast(self, newcomer: Newcomer, now: datetime, *, is_alone: bool) -> None:
        """Gives the first free role that fits to somebody whom only his lines can move.

        Colleagues get into each other's way, so at first only to those of whom no colleague has one.
        """
        if newcomer.track == "prospects" and not 0 <= newcomer.fit < FITS:
            return
        if newcomer.account_id in (self._companies if is_alone else self._buyers):
            return
        free = self._free.get(newcomer.program, [])
        is_late = now - self._began > LATE
        fitting = (role for role in free if _fits(role, newcomer, is_late=is_late))
        role = next((role for role in fitting if is_alone or not role.buys), None)
        if role is None:
            return
        free.remove(role)
        if newcomer.account_id is not None:
            self._companies.add(newcomer.account_id)
            self._buyers.update({newcomer.account_id} if role.buys else ())
        self._roles_of[newcomer.email, newcomer.program] = role
        self.salespeople.understudies.add(newcomer.lead_id)
        self._played[newcomer.enrollment_id] = role
        self._understudies[newcomer.enrollment_id] = newcomer
        self._say(role.lines.get("enter", ""), newcomer.email, now, None)

    def _hear_cues(self, places: Iterable[tuple[int, str, int]], now: datetime) -> None:
        """Lines of steps that send nothing, said as soon as the understudy stands there."""
        for enrollment_id, step, visit in places:
            newcomer = self._understudies[enrollment_id]
            line = _line(self._played[enrollment_id], step, visit)
            if line is None or self._sends(newcomer.program, step) or (enrollment_id, line[0]) in self._heard:
                continue
            self._heard.add((enrollment_id, line[0]))
            invitation = self._invitations.get((newcomer.email, newcomer.program))
            self._say(line[1], newcomer.email, now, invitation)

    def _sends(self, program: str, step: str) -> bool:
        return (program, step) in self._sending

    def _read_outbox(self, now: datetime) -> None:
        files = self._outbox.iterdir() if self._outbox.is_dir() else ()
        fresh = [file.name for file in files if file.suffix == ".eml" and file.name not in self._read]
        self._read.update(fresh)
        ids = [int(name[:-4]) for name in fresh if name[:-4].isdecimal()]
        with self._database.read() as connection:
            found = [letter for part in _parts(ids) for letter in rows.letters(connection, part)]
        for letter in found:
            self._read_letter(letter, now)
        self.salespeople.read([self._outbox / name for name in fresh if "notice-" in name], now)

    def _read_letter(self, letter: Letter, now: datetime) -> None:
        role = self._roles_of.get((letter.email, letter.program))
        self._pass_gateway(letter, now, has_role=role is not None)
        if role is not None:
            if letter.session is not None:
                self._invitations[letter.email, letter.program] = letter
            line = _line(role, letter.step, letter.visit)
            self._say(line[1] if line else "", letter.email, now, letter)
            return
        if now > self._began + LIVELY:
            return
        mail = f"{letter.program}/{letter.step}/{letter.content}"
        for part in likes_to(letter.email, mail, letter.kind):
            self._say(part, letter.email, now, letter)

    def _pass_gateway(self, letter: Letter, now: datetime, *, has_role: bool) -> None:
        """Nobody's lines are spoilt by a gateway that is found out late."""
        for at, which in gateways.looks(letter.email, now):
            if which == "every link" or not (has_role or now > self._began + LIVELY):
                heapq.heappush(self._acts, Act(at, next(self._orders), which, letter.email, letter))

    def _say(self, line: str, email: str, now: datetime, letter: Letter | None) -> None:
        """Plans the acts of a line."""
        for part in filter(None, (part.strip() for part in line.split(","))):
            delayed = DELAY.fullmatch(part)
            days, do = (int(delayed[1]), delayed[2]) if delayed else (0, part)
            at = ANSWERS.first_from(now + READS + timedelta(days=days))
            heapq.heappush(self._acts, Act(at, next(self._orders), do, email, letter))

    # --- answering ----------------------------------------------------------------------------------------

    def answer(self, now: datetime) -> int:
        """Does what is due to be done; how much it was."""
        done = 0
        while self._acts and self._acts[0].at <= now:
            self._do(heapq.heappop(self._acts), now)
            done += 1
        done += self._close_lists(now) + self.salespeople.answer(now)
        self._post()
        return done

    def _do(self, act: Act, now: datetime) -> None:
        verb, _, argument = act.do.partition(":")
        if verb == "reports":
            self._report(act, argument)
        elif verb in BY_LINK:
            self._follow(act)
        elif verb == "choose":
            self._choose(act, argument)
        elif verb in BY_GATEWAY:
            self._scan(act)
        elif verb == "download" and (path := self._links(act).get("d")):
            self._visitor.press(path)
        elif verb in {"attends", "misses", "vanishes"}:
            self._intend(act)
        elif verb in {"declines", "knows"}:
            self._decline(act.email, self._meant(verb, argument))
        elif verb in {"tag", "product", "interest"}:
            self._leads.append({"email": act.email, f"{verb}s": [argument]})
        elif verb == "date":
            fact, _, days = argument.partition("=")
            on: date = (now + timedelta(days=int(days))).date()
            self._leads.append({"email": act.email, "facts": {fact: on.isoformat()}})
        else:
            self._reactions.append({"email": act.email} | TOLD[verb](argument, act.letter))

    def _follow(self, act: Act) -> None:
        """Does with a mail what one does with links."""
        links = self._links(act)
        verb, _, argument = act.do.partition(":")
        if verb == "answer" and "a" in links:
            name, _, words = argument.partition("=")
            self._visitor.press(links["a"], name=name, answer=words)
        elif act.do == "click" and "c" in links:
            self._visitor.click(links["c"])
        elif act.do == "unsubscribe" and "u" in links:
            self._visitor.press(links["u"])
        elif act.do in {"register", "decline"} and "w" in links:
            self._visitor.press(links["w"], answer="registered" if act.do == "register" else "declined")
            self._take_seat(act)

    def _choose(self, act: Act, what: str) -> None:
        """Changes one thing about what he gets: `pause=1`, or `-topic=security` to take a tick away."""
        if (path := self._links(act).get("p")) is not None:
            name, _, value = what.removeprefix("-").partition("=")
            self._visitor.choose(path, name, value, adds=not what.startswith("-"))

    def _report(self, act: Act, words: str) -> None:
        """One of us answers what he was asked about him, once he has got the notice."""
        if not self.salespeople.report(act.email, words):
            heapq.heappush(self._acts, replace(act, at=ANSWERS.first_from(act.at + READS)))

    def _links(self, act: Act) -> Mapping[str, str]:
        """Those of the mail that is answered, if one is."""
        return {} if act.letter is None else links_in(self._outbox / f"{act.letter.message_id}.eml")

    def _scan(self, act: Act) -> None:
        """Does with a mail what a gateway does with links."""
        if act.letter is None:
            return
        paths = all_links_in(self._outbox / f"{act.letter.message_id}.eml")
        clicks = [path for path in paths if path.startswith("/c/")]
        if act.do == "every link":
            for path in paths:
                self._visitor.scan(path, gateways.AGENT)
        elif len(clicks) > 1:
            self._visitor.click(clicks[0 if act.do == "visible link" else -1], gateways.AGENT)

    def _take_seat(self, act: Act) -> None:
        letter = act.letter
        if letter is None or letter.session is None or letter.starts_at is None:
            return
        if act.do == "decline":
            self._seats[letter.session].pop(act.email, None)
            return
        self._seats[letter.session][act.email] = Seat(act.email, "misses")
        starts_at = self._moved.get(letter.session, letter.starts_at)
        self._closings[letter.session] = ANSWERS.first_from(starts_at + SETTLED)

    def _intend(self, act: Act) -> None:
        seats = self._seats[act.letter.session] if act.letter and act.letter.session else {}
        if act.email in seats:
            seats[act.email] = Seat(act.email, act.do)

    def _meant(self, verb: str, argument: str) -> list[str]:
        """A content, or everything to read about a topic."""
        if verb == "declines":
            return [argument]
        return [
            name
            for name, content in self._contents.items()
            if argument in content.topics and content.kind in READ
        ]

    def _decline(self, email: str, names: Iterable[str]) -> None:
        """Says no on the website, without a mail."""
        for name in names:
            sessions = self._contents[name].sessions
            about = {"content": name, **({"session": sessions[-1].name} if sessions else {})}
            self._reactions.append({"kind": "declined", "email": email, **about})

    def _close_lists(self, now: datetime) -> int:
        """Organisers tell who came: by the list, or one by one where the platform has lost somebody."""
        due = [session for session, at in self._closings.items() if at <= now]
        for session in due:
            del self._closings[session]
            content, name = session
            seats = self._seats.pop(session, {}).values()
            about = {"content": content, "session": name}
            if all(seat.will != "vanishes" for seat in seats):
                came = [seat.email for seat in seats if seat.will == "attends"]
                self._reactions.append({"kind": "attendance", **about, "attended": came})
                continue
            self._closings[session] = ANSWERS.first_from(now + TIDIED)
            for seat in seats:
                self._seats[session][seat.email] = replace(seat, will=WRITTEN_OFF.get(seat.will, seat.will))
                if seat.will != "vanishes":
                    kind = "attended" if seat.will == "attends" else "missed"
                    self._reactions.append({"kind": kind, "email": seat.email, **about})
        return len(due)

    def call_off(self, sessions: Iterable[tuple[str, str]]) -> None:
        """Nobody comes to sessions that are called off."""
        for session in sessions:
            self._closings.pop(session, None)
            self._seats.pop(session, None)

    def move(self, session: tuple[str, str], starts_at: datetime) -> None:
        """Whoever has a seat comes at the new date, or not; who came is told after it."""
        self._moved[session] = starts_at
        if session in self._closings:
            self._closings[session] = ANSWERS.first_from(starts_at + SETTLED)

    def _post(self) -> None:
        if self._leads:
            self._visitor.tell_leads(self._leads)
        if self._reactions:
            self._visitor.tell_reactions(self._reactions)
        self._leads.clear()
        self._reactions.clear()


def _fits(role: Role, newcomer: Newcomer, *, is_late: bool) -> bool:
    return (
        role.starts in {"", newcomer.step}
        and (role.interests is None or role.interests == newcomer.interests)
        and not (role.is_undated and newcomer.is_dated)
        and (is_late or not role.is_late)
    )


def _line(role: Role, step: str, visit: int) -> tuple[str, str] | None:
    """The name and the words of a role's line at a visit of a step."""
    for name in (f"{step}#{visit}", step):
        if name in role.lines:
            return name, role.lines[name]
    return None


def _parts(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def _content(letter: Letter | None) -> dict[str, str]:
    return {} if letter is None else {"content": letter.content}


BY_GATEWAY: Final = frozenset({"every link", "visible link", "hidden link"})
BY_LINK: Final = frozenset({"answer", "click", "register", "decline", "unsubscribe"})
TOLD: Final[Mapping[str, Callable[[str, Letter | None], dict[str, object]]]] = {
    "reply": lambda _, letter: {"kind": "replied", **_content(letter)},
    "pricing": lambda *_: {"kind": "visited", "argument": "/pricing"},
    "submit": lambda _, letter: {"kind": "submitted", "argument": "call", **_content(letter)},
    "download": lambda _, letter: {"kind": "downloaded", **_content(letter)},
    "feedback": lambda answer, letter: {"kind": "feedback", "argument": answer, **_content(letter)},
}

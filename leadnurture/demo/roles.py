"""The understudies: who does what in a program, so that every branch of the sample is taken by somebody.

Everybody else in the audience does as he likes (`people.py`); an understudy follows his lines and is silent
where he has none. A line belongs to a step, or to its second visit (`invite#2`); `enter` is said when he
comes into the program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Role:
    """Lines by step: what is done there, separated by commas. `+3 click` is done three days later.

    Answers of a reader: click, register, decline, reply, pricing, submit, download, feedback:WORD;
    answer:QUESTION=WORD on the page of a mail that asks, choose:WHAT on that of his preferences.
    What one of us reports of him: reports:WORD.
    How he acts at a session for which he has a seat: attends, misses, or vanishes (nobody tells for weeks).
    What others tell of him: declines:CONTENT, knows:TOPIC, interest:TOPIC, tag:WORD, product:WORD,
    date:FACT=DAYS ahead.
    """

    lines: Mapping[str, str]
    starts: str = ""
    """Only for somebody who begins at this step, where a split decides."""
    interests: frozenset[str] | None = None
    """Only for somebody with exactly these; None for anybody."""
    is_undated: bool = False
    """Only for somebody of whom no date of a budget is known."""
    is_late: bool = False
    """Only for somebody who comes into the program weeks after the beginning of the demo."""

    @property
    def buys(self) -> bool:
        """Whether his account buys something, and all of his colleagues with him."""
        return any("product:" in line for line in self.lines.values())


def _role(
    *,
    starts: str = "",
    interests: tuple[str, ...] | None = None,
    undated: bool = False,
    late: bool = False,
    **lines: str,
) -> Role:
    """A role, with `invite__2` for the second visit of `invite` and `_` for `-`."""
    told = {step.replace("__", "#").replace("_", "-"): line for step, line in lines.items()}
    return Role(told, starts, None if interests is None else frozenset(interests), undated, late)


EVERYTHING: Final = "knows:scaling, knows:migration, knows:security, knows:monitoring"
SCALING: Final = (
    # Nothing is left to read for him, so he is the first whose year with the quarterly mail begins.
    _role(invite=f"decline, {EVERYTHING}"),
    _role(invite="register, attends", thanks="submit"),
    _role(invite="register, attends"),
    _role(invite="register, misses", recording="submit"),
    _role(invite="register, misses"),
    _role(invite="register, vanishes"),
    _role(invite="register", seat="decline"),
    # The session in January is called off.
    _role(invite__3="register, attends"),
    _role(invite="register, attends", thanks="declines:scaling-2"),
    _role(last_call="register, attends"),
    _role(last_call="decline"),
    _role(last_call="click"),
    _role(),
    _role(invite="reply"),
    _role(invite="pricing"),
    _role(invite="tag:competitor"),
)
MIGRATION: Final = (
    _role(starts="invite", invite="register, attends", notes="submit"),
    _role(starts="invite", invite="register, attends"),
    _role(starts="invite", invite="register, misses", offer="click"),
    _role(starts="invite", invite="register, vanishes"),
    _role(starts="invite", invite="register", seat="decline", offer="submit"),
    _role(starts="invite", invite="decline"),
    _role(starts="invite", last_call="register, attends"),
    _role(starts="invite", last_call="decline"),
    _role(starts="invite", last_call="decline"),
    _role(starts="invite"),
    _role(starts="read", read="download"),
    # The session in January is called off.
    _role(starts="read", invite="register, attends"),
    _role(starts="read", read="knows:migration"),
    _role(starts="read", read="declines:migration-1"),
    _role(read="reply", invite="reply"),
    _role(read="pricing", invite="pricing"),
    _role(read="tag:competitor", invite="tag:competitor"),
)
ACQUAINTED: Final = (
    _role(hello="click, declines:two-clouds", secure="click", invite="register, attends"),
    _role(hello="declines:two-clouds", secure="click", invite="register, misses"),
    _role(hello="declines:two-clouds", secure="click", invite="register, vanishes"),
    _role(hello="declines:two-clouds", secure="click", invite="register, vanishes"),
    _role(hello="declines:two-clouds", secure="click", invite="register", seat="decline"),
    _role(hello="declines:two-clouds", secure="click", invite="register", seat="decline"),
    # The session in January is called off.
    _role(hello="declines:two-clouds", secure="+9 click", invite="register, attends"),
    _role(hello="declines:two-clouds", secure="click", invite="decline"),
    _role(hello="declines:two-clouds", secure="click"),
    _role(hello="declines:two-clouds", secure="click, declines:security-1"),
    _role(hello="knows:security"),
    _role(hello="knows:monitoring"),
    _role(),
    _role(hello="reply"),
    _role(hello="pricing"),
    _role(hello="tag:competitor"),
)
TRADE_SHOW: Final = (
    _role(thanks="submit"),
    _role(thanks="answer:interest=scaling"),
    _role(weekly="submit"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register, attends"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register, misses"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register, vanishes"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register, vanishes"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register", seat="decline"),
    _role(interests=("scaling",), enter="knows:scaling", invite="register", seat="decline"),
    # His session is called off.
    _role(interests=("scaling",), weekly__2="knows:scaling, declines:scaling-2", invite="register, attends"),
    _role(interests=("scaling",), enter="knows:scaling, declines:scaling-1, declines:scaling-2"),
    _role(interests=("scaling",), enter="knows:scaling", invite="decline", farewell="click"),
    _role(interests=("scaling",), enter="knows:scaling", invite="decline", farewell="submit"),
    _role(deeper="submit"),
    _role(),
    _role(thanks="reply"),
    _role(thanks="pricing"),
    _role(thanks="tag:competitor"),
)
DIGEST: Final = (
    _role(),
    _role(),
    _role(digest="reply", quarter="reply"),
    _role(digest="pricing", quarter="pricing"),
    _role(digest="tag:competitor", quarter="tag:competitor"),
)
READS: Final = "interest:security, interest:monitoring"
RECYCLE: Final = (
    _role(rest="submit"),
    _role(rest="date:budget_on=40", ready="click"),
    _role(rest="date:budget_on=40", ready="submit"),
    _role(rest="date:budget_on=40"),
    _role(rest=f"{EVERYTHING}, date:budget_on=100", wait="submit"),
    _role(rest=f"{READS}, date:budget_on=200"),
    _role(rest=READS, warm="submit"),
    _role(undated=True, rest=EVERYTHING, question="date:budget_on=60"),
    _role(undated=True, rest=EVERYTHING),
    _role(rest=READS, warm="submit"),
    _role(rest="reply"),
    _role(rest="pricing"),
    _role(rest="tag:competitor"),
)
KNOWS_MONITORING: Final = "declines:monitoring-survey, declines:alert-fatigue, declines:slow-before-down"
EXPANSION: Final = (
    # Nothing is left for these to read, so they come to the session in December.
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, attends", offer="click"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, attends"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, attends", ask_them="reports:interested"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, attends", ask_them="reports:refused"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, misses"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register, vanishes"),
    _role(letter=f"click, {KNOWS_MONITORING}", invite="register", seat="decline"),
    # The one in January is called off.
    _role(letter="click", invite="register, attends"),
    _role(letter="declines:monitoring-1"),
    _role(invite="decline"),
    _role(),
    _role(letter="reply"),
    _role(letter="feedback:later", later="date:ask_again_on=14", once_more="click"),
    _role(letter="feedback:later", later="date:ask_again_on=14"),
    _role(letter="feedback:no"),
    _role(letter="product:monitoring"),
)
QUIET: Final = (
    _role(letter="feedback:no, date:contract_ends_on=100", review="click"),
    _role(letter="feedback:no, date:contract_ends_on=100"),
    _role(day="decline"),
    # The client day in January is called off.
    _role(day="register, attends"),
    _role(letter="declines:client-day-2027"),
    _role(),
    _role(letter="reply"),
    _role(letter="feedback:interested"),
    # These come to the one in February.
    _role(late=True, day="register, attends"),
    _role(late=True, day="register, misses"),
    _role(late=True, day="register, vanishes"),
    _role(late=True, day="register", seat="decline"),
    _role(late=True, day="register", seat="decline"),
)
WELCOME: Final = (
    _role(confirm="answer:consent=yes", hello="answer:interest=monitoring"),
    _role(confirm="answer:consent=yes", hello="answer:language=en"),
    _role(confirm="answer:consent=yes"),
    _role(),
)
UNDERSTUDIES: Final[Mapping[str, tuple[Role, ...]]] = {
    "scaling-series": SCALING,
    "migration-path": MIGRATION,
    "getting-acquainted": ACQUAINTED,
    "trade-show-follow-up": TRADE_SHOW,
    "quarterly-digest": DIGEST,
    "recycle-no-budget": RECYCLE,
    "expansion-monitoring": EXPANSION,
    "quiet-client": QUIET,
    "welcome": WELCOME,
}
"""Each is played twice, since something may come between: by the first who fit, prospects whom the threshold
does not reach, so that nothing but their lines moves them.
"""

CALLED_OFF: Final = (
    (
        datetime(2027, 1, 5, 7, tzinfo=UTC),
        (
            ("scaling-1", "january"),
            ("migration-1", "january"),
            ("security-1", "january"),
            ("monitoring-1", "january"),
            ("client-day-2027", "january"),
        ),
    ),
)
"""The sessions that are cancelled, and when; there are people in their seats."""
MOVED: Final = (
    (datetime(2026, 12, 4, 7, tzinfo=UTC), ("scaling-1", "december"), datetime(2026, 12, 8, 15, tzinfo=UTC)),
)
"""The session that gets another hour, when that is decided, and when it takes place then."""

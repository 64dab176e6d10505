from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.definitions import parse_condition
from leadnurture.definitions.conditions import FACTS, LEAD, Scope, read_condition
from leadnurture.definitions.formula import read_formula
from leadnurture.definitions.names import Names
from leadnurture.definitions.problems import MistakeError
from leadnurture.domain.agreement import ScoreFormula
from leadnurture.domain.condition import (
    And,
    Compare,
    DaysUntil,
    Fact,
    Figure,
    Has,
    Known,
    Node,
    Not,
    OneOf,
    OpenHandoff,
    Or,
    Reacted,
    Word,
)
from leadnurture.domain.timing import Duration
from leadnurture.domain.vocabulary import BUILT_IN_FACTS

NAMES = Names(
    facts={**BUILT_IN_FACTS, "budget_on": "date", "account.employees": "number", "account.churned": "flag"},
    topics=frozenset({"scaling"}),
    contents={"scaling-1": "webinar", "letter-1": "article"},
)
STEP = Scope("on", knows_step=True, steps=frozenset({"invite"}))
ROLE = Fact("role", "text")

MEANINGS: dict[str, Node] = {
    "account.employees >= 200": Compare(Fact("account.employees", "number"), ">=", 200),
    "account.employees > -1.5": Compare(Fact("account.employees", "number"), ">", -1.5),
    'role in ["head", "chief"]': OneOf(ROLE, ("head", "chief")),
    'role not in ["head"]': Not(OneOf(ROLE, ("head",))),
    'role == "ü"': Compare(ROLE, "==", "ü"),
    "account.churned": Known(Fact("account.churned", "flag")),
    "account.owner": Known(Fact("account.owner", "text")),
    'budget_on < "2027-01-31"': Compare(Fact("budget_on", "date"), "<", date(2027, 1, 31)),
    "days_until(budget_on) > 45": Compare(DaysUntil("budget_on"), ">", 45),
    "score >= 40": Compare(Figure("score"), ">=", 40),
    "visit < 3": Compare(Figure("visit"), "<", 3),
    'stage < "qualified"': Compare(Word("stage"), "<", "qualified"),
    'stage in ["won", "lost"]': OneOf(Word("stage"), ("won", "lost")),
    'why == "empty"': Compare(Word("why"), "==", "empty"),
    'language == "de"': Compare(Word("language"), "==", "de"),
    'tag("x")': Has("tag", "x"),
    'interest("scaling")': Has("interest", "scaling"),
    "account.open_handoff": OpenHandoff(),
    "clicked": Reacted("clicked"),
    'clicked("letter-1")': Reacted("clicked", about="letter-1"),
    'clicked("invite")': Reacted("clicked", about="invite", about_is_step=True),
    'attended("scaling-1", within="30 days")': Reacted(
        "attended", about="scaling-1", within=Duration(30, "days")
    ),
    'visited("/pricing*")': Reacted("visited", argument="/pricing*"),
    'submitted("call")': Reacted("submitted", argument="call"),
    "feedback": Reacted("feedback"),
    "clicked and not replied or score > 1": Or(
        (And((Reacted("clicked"), Not(Reacted("replied")))), Compare(Figure("score"), ">", 1))
    ),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_line_means_one_thing(text: str) -> None:
    condition = parse_condition(f" {text} ", NAMES, STEP)

    assert condition.node == MEANINGS[text]
    assert str(condition) == text


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("clicked", LEAD),
        ('clicked("invite")', LEAD),
        ("visit < 3", LEAD),
        ('why == "empty"', LEAD),
        ('attended("scaling-1")', FACTS),
        ("score > 3", FACTS),
        ('stage == "won"', FACTS),
        ("account.open_handoff", FACTS),
    ],
)
def test_where_a_line_stands_decides_what_it_may_say(text: str, scope: Scope) -> None:
    with pytest.raises(MistakeError, match=r"has no|belongs to a step|unknown content"):
        parse_condition(text, NAMES, scope)


def test_a_mistake_stands_at_its_character_not_at_its_byte() -> None:
    _, (mistake,) = read_condition('role == "ä" and colour', NAMES, STEP)

    assert mistake.offset == 16


@given(
    st.text(st.characters(codec="utf-8"), max_size=60)
    | st.lists(st.sampled_from(list(MEANINGS))).map(" or ".join)
)
def test_reading_a_line_never_raises(text: str) -> None:
    condition, mistakes = read_condition(text, NAMES, STEP)

    assert condition.node == Or(()) or not mistakes


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("fit + engagement", ScoreFormula(1, 1, 0)),
        ("2 * fit + engagement - 10", ScoreFormula(2, 1, -10)),
        ("-(fit - engagement * 3) * 2", ScoreFormula(-2, 6, 0)),
        ("engagement", ScoreFormula(0, 1, 0)),
    ],
)
def test_a_score_is_linear(text: str, weights: ScoreFormula) -> None:
    assert read_formula(text) == weights


@pytest.mark.parametrize(
    "text", ["", "fit * fit", "fit / 2", "1.5 * fit", "fit ** 2", "score", "max(fit, 3)", "True"]
)
def test_what_is_not_linear_is_no_score(text: str) -> None:
    with pytest.raises(MistakeError, match="is not a score"):
        read_formula(text)

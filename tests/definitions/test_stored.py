from __future__ import annotations

from datetime import date, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadnurture.definitions import dump_definitions, dump_program, load_definitions, load_program
from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company
from leadnurture.domain.condition import And, Compare, Condition, Fact, Known, Node, Not, Or, Value
from leadnurture.domain.content import Content
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.dates()
)
NODES: st.SearchStrategy[Node] = st.recursive(
    st.builds(Compare, value=VALUES) | st.from_type(Known),
    lambda nodes: st.one_of(
        st.builds(Not, nodes),
        st.builds(And, st.lists(nodes, max_size=3).map(tuple)),
        st.builds(Or, st.lists(nodes, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
CONDITIONS = st.builds(Condition, st.text(), NODES)
st.register_type_strategy(Condition, CONDITIONS)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(datetime, st.datetimes().map(lambda starts: starts.replace(fold=0)))
WHOLE = st.builds(
    Definitions,
    company=st.from_type(Company),
    agreements=st.lists(st.from_type(Agreement), max_size=1).map(tuple),
    contents=st.lists(st.from_type(Content), max_size=2).map(tuple),
    programs=st.lists(st.from_type(Program), max_size=2).map(tuple),
)
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@SLOW
@given(st.from_type(Program))
def test_a_program_comes_back_as_it_was(program: Program) -> None:
    again = load_program(dump_program(program))

    assert again == program
    assert repr(again) == repr(program)  # 1, 1.0 and True are equal, and not the same


@SLOW
@given(WHOLE)
def test_a_project_comes_back_as_it_was(definitions: Definitions) -> None:
    again = load_definitions(dump_definitions(definitions))

    assert again == definitions
    assert repr(again) == repr(definitions)


def test_a_date_stays_a_date_and_a_text_that_looks_like_one_a_text() -> None:
    parts = (
        Compare(Fact("a", "date"), "<", date(2026, 12, 8)),
        Compare(Fact("b", "text"), "==", "2026-12-08"),
    )
    program = Program("p", "prospects", "P", "dana", (), enter=Condition("…", And(parts)))

    assert load_program(dump_program(program)).enter == Condition("…", And(parts))


def test_a_deep_condition_is_read_in_no_time() -> None:
    node: Node = Known(Fact("role", "text"))
    for _ in range(60):
        node = And((Or((Not(node),)), node)) if node == Known(Fact("role", "text")) else And((Or((node,)),))
    program = Program("p", "prospects", "P", "dana", (), enter=Condition("…", node))

    assert load_program(dump_program(program)) == program

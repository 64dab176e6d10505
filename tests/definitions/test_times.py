from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadnurture.definitions import times
from leadnurture.definitions.problems import MistakeError
from leadnurture.domain.company import WorkingHours
from leadnurture.domain.timing import Anchored, Duration, FactAnchor, Hour, Late, StepAnchor, Wait

ANCHORS = times.Anchors(steps={"invite", "seat"}, sending={"invite"}, dates={"budget_on"})
PARSERS: dict[str, Callable[[str], object]] = {
    "duration": times.duration,
    "after": lambda text: times.after(text, ANCHORS),
    "at": lambda text: times.at(text, ANCHORS),
    "late": times.late,
    "again": times.again,
    "ahead": times.ahead,
    "hours": times.hours,
    "pace": times.pace,
    "day": times.day,
    "days": times.days,
    "moment": times.moment,
    "zone": times.zone,
}
MEANINGS: list[tuple[str, str, object]] = [
    ("duration", "5 business days", Duration(5, "business days")),
    ("duration", "1 hour", Duration(1, "hours")),
    ("after", "1 week", Wait(Duration(1, "weeks"))),
    ("after", "1 day after invite", Anchored(Duration(1, "days"), "after", StepAnchor("invite"))),
    ("after", "0 days before budget_on", Anchored(Duration(0, "days"), "before", FactAnchor("budget_on"))),
    ("at", "tuesday 10:00", Hour(1, 600)),
    ("at", "tuesday", Hour(1, None)),
    ("at", "9:30", Hour(None, 570)),
    (
        "at",
        "2 business days before invite",
        Anchored(Duration(2, "business days"), "before", StepAnchor("invite")),
    ),
    ("late", "skip", Late("skip")),
    ("late", "next window", Late("next window")),
    ("late", "within 4 hours", Late("within", Duration(4, "hours"))),
    ("again", "after 180 days", Duration(180, "days")),
    ("again", "never", None),
    ("ahead", "in 6 months", Duration(6, "months")),
    ("ahead", "today", Duration(0, "days")),
    ("ahead", "2027-01-31", date(2027, 1, 31)),
    ("hours", "monday to friday 9:00 to 17:00", WorkingHours()),
    ("hours", "sunday to thursday 8:30 to 24:00", WorkingHours((0, 1, 2, 3, 6), 510, 1440)),
    ("hours", "monday, wednesday and friday 9:00 to 12:00", WorkingHours((0, 2, 4), 540, 720)),
    ("pace", "2 a week", (2, 7)),
    ("pace", "3 a month", (3, 30)),
    ("days", "2026-12-21 to 2027-01-06", (date(2026, 12, 21), date(2027, 1, 6))),
    ("days", "2026-12-21", (date(2026, 12, 21), date(2026, 12, 21))),
    ("moment", "2026-12-08 15:00", datetime(2026, 12, 8, 15)),  # noqa: DTZ001 - local on purpose
    ("zone", "Europe/Berlin", "Europe/Berlin"),
]


@pytest.mark.parametrize(("name", "text", "meaning"), MEANINGS, ids=[text for _, text, _ in MEANINGS])
def test_a_time_is_read_as_people_write_it(name: str, text: str, meaning: object) -> None:
    assert PARSERS[name](text) == meaning


@given(
    st.sampled_from(sorted(PARSERS)),
    st.text(max_size=30) | st.sampled_from([text for _, text, _ in MEANINGS]),
)
def test_what_is_no_time_is_a_mistake_and_nothing_else(name: str, text: str) -> None:
    try:
        PARSERS[name](text)
    except MistakeError as mistake:
        assert mistake.sentence  # noqa: PT017 - either it is read or it is told


def test_a_step_that_sends_nothing_has_no_date() -> None:
    with pytest.raises(MistakeError, match='step "seat" sends nothing'):
        times.after("1 day after seat", ANCHORS)

"""The parts of the demo that need no system."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from leadnurture.app import examine
from leadnurture.demo.hours import (
    ANSWERS,
    DECIDING,
    ROUNDS,
    SENDING,
    SENDING_TODAY,
    STRIDES,
    ZONE,
    next_round,
)
from leadnurture.demo.people import likes_to, temper_of
from leadnurture.demo.roles import CALLED_OFF, MOVED, UNDERSTUDIES
from leadnurture.demo.stage import RunsAlreadyError, leave_settings, reserved
from leadnurture.demo.tree import left_behind
from leadnurture.demo.visits import links_in
from leadnurture.domain.definitions import Definitions

ROOT = Path(__file__).parents[2]
MONDAY = datetime(2026, 11, 23, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    found = examine(ROOT, MONDAY).definitions
    assert found is not None
    return found


def test_stops_are_whole_hours_of_working_days() -> None:
    for hours in (ROUNDS, ANSWERS, SENDING, SENDING_TODAY, DECIDING):
        at = MONDAY
        for _ in range(40):
            at = hours.first_after(at)
            assert (at.minute, at.second, at.microsecond) == (0, 0, 0)
            assert at.weekday() < 5


def test_a_stop_lies_never_before_what_is_due() -> None:
    due = datetime(2026, 12, 4, 23, 0, tzinfo=UTC)
    assert ROUNDS.first_from(due) == datetime(2026, 12, 8, 7, tzinfo=UTC)
    assert ROUNDS.first_from(datetime(2026, 12, 8, 7, tzinfo=UTC)) == datetime(2026, 12, 8, 7, tzinfo=UTC)


def test_a_round_keeps_its_hour_when_the_clocks_are_changed() -> None:
    in_winter, in_summer = datetime(2027, 3, 25, 7, tzinfo=UTC), datetime(2027, 3, 30, 6, tzinfo=UTC)
    assert ROUNDS.first_after(in_winter) == in_summer


def test_the_first_weeks_have_two_rounds_each_and_later_ones_lie_further_apart() -> None:
    rounds = [MONDAY]
    while rounds[-1] - MONDAY < timedelta(weeks=54):
        rounds.append(next_round(MONDAY, rounds[-1], rounds[-1]))
    days = [(later - earlier).days for earlier, later in pairwise(at.astimezone(ZONE) for at in rounds)]
    assert days[1:7] == [2, 5, 2, 5, 2, 5]
    assert days[7:] == sorted(days[7:])
    assert days[-1] == max(stride for _, stride in STRIDES).days


def test_a_round_waits_for_what_falls_due_later() -> None:
    in_spring = datetime(2027, 4, 1, 6, tzinfo=UTC)
    assert next_round(MONDAY, MONDAY, in_spring - timedelta(hours=1)) == in_spring


def test_people_do_the_same_in_every_demo() -> None:
    assert temper_of("ann@example.com") == temper_of("ann@example.com")
    answers = [
        likes_to(f"ann{number}@example.com", "scaling-series/invite/scaling-1", "webinar")
        for number in range(300)
    ]
    again = [
        likes_to(f"ann{number}@example.com", "scaling-series/invite/scaling-1", "webinar")
        for number in range(300)
    ]
    assert answers == again
    assert 30 < sum(bool(answer) for answer in answers) < 200


def test_the_lines_of_every_role_name_steps_of_its_program(definitions: Definitions) -> None:
    for program, roles in UNDERSTUDIES.items():
        steps = {step.name for step in definitions.program(program).steps} | {"enter"}
        for role in roles:
            assert {line.partition("#")[0] for line in role.lines} <= steps, program
            assert role.starts in steps | {""}, program


def test_every_program_of_the_sample_has_roles(definitions: Definitions) -> None:
    assert {program.name for program in definitions.programs} == set(UNDERSTUDIES)


def test_sessions_that_are_called_off_or_moved_exist(definitions: Definitions) -> None:
    called_off = [session for _, sessions in CALLED_OFF for session in sessions]
    for content, session in [*called_off, *(session for _, session, _ in MOVED)]:
        assert session in {each.name for each in definitions.content(content).sessions}


def test_two_demos_do_not_share_a_place(tmp_path: Path) -> None:
    with reserved(tmp_path), pytest.raises(RunsAlreadyError), reserved(tmp_path):
        pass


def test_a_place_is_empty_every_time_and_the_data_beside_it_stay(tmp_path: Path) -> None:
    (tmp_path / ".leadnurture").mkdir()
    (tmp_path / ".leadnurture" / "leadnurture.db").write_text("ours")
    with reserved(tmp_path) as folder:
        (folder / "old").touch()
    with reserved(tmp_path) as folder:
        assert list(folder.iterdir()) == []
    assert (tmp_path / ".leadnurture" / "leadnurture.db").read_text() == "ours"


def test_settings_of_the_operator_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os,
        "environ",
        {"LEADNURTURE_DATABASE_URL": "x", "LEADNURTURE_PORT": "81", "PREFECT_API_URL": "y", "HOME": "z"},
    )
    leave_settings()
    assert os.environ == {"LEADNURTURE_PORT": "81", "HOME": "z", "LEADNURTURE_SECRETS_DIR": os.devnull}


def test_links_are_read_from_the_text_of_a_mail(tmp_path: Path) -> None:
    lines = (
        "To: ann@example.com",
        'Content-Type: multipart/alternative; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Take a seat <http://127.0.0.1:8080/w/1~june.abc-D=",
        "--EF_g>",
        "Unsubscribe <http://127.0.0.1:8080/u/3~1.xyz>",
        "--b--",
        "",
    )
    letter = tmp_path / "1.eml"
    letter.write_bytes("\r\n".join(lines).encode())
    assert links_in(letter) == {"w": "/w/1~june.abc-D--EF_g", "u": "/u/3~1.xyz"}


def test_no_process_is_left_where_none_was_started(tmp_path: Path) -> None:
    assert left_behind(tmp_path) == []

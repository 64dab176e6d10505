from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadnurture.definitions import check_project, load_definitions
from leadnurture.definitions.nodes import parse
from leadnurture.definitions.problems import Report
from leadnurture.domain.condition import Compare, Word
from leadnurture.domain.program import Go, Handoff
from leadnurture.domain.timing import Duration, Hour, Wait
from tests.definitions.projects import BASE, checked, write

ROOT = Path(__file__).parents[2]
PROGRAM = "config/prospects/programs/letters.yaml"
HEAVY = {"alembic", "fastapi", "httpx", "mjml", "prefect", "sendgrid", "sqlalchemy", "sqlmodel"}


def test_the_sample_company_has_no_problems() -> None:
    assert list(map(str, check_project(ROOT, today=date(2026, 12, 1)).problems)) == []


def test_the_values_are_those_of_the_files(tmp_path: Path) -> None:
    definitions = check_project(write(tmp_path, BASE)).definitions

    assert definitions is not None
    program = definitions.program("letters")
    first, call = program.steps
    assert program.enter is not None
    assert program.enter.node == Compare(Word("stage"), "<", "qualified")
    assert first.at == Hour(weekday=1, minute=600)
    assert first.after == Wait(Duration(1, "weeks"))
    assert [(arm.text, arm.go, arm.line) for arm in first.on] == [("clicked", Go(step="call"), 10)]
    assert call.handoff == Handoff("Read the letter")
    assert (program.file, first.line, call.line) == (PROGRAM, 6, 14)
    assert definitions.content("letter-1").tracks == ("prospects",)
    assert dict(definitions.sources)[PROGRAM] == BASE[PROGRAM]
    assert "_layout.mjml" in dict(definitions.templates)


def test_a_warning_hinders_nothing(tmp_path: Path) -> None:
    told = checked(tmp_path, f"=== {PROGRAM}\n" + BASE[PROGRAM].replace("letter-1", "scaling-1"))

    assert told.problems == ()
    assert check_project(tmp_path, today=date(2026, 12, 8)).problems == ()
    late = check_project(tmp_path, today=date(2026, 12, 9))
    assert [problem.is_warning for problem in late.problems] == [True]
    assert late.definitions is not None


def test_a_folder_without_a_project_is_one_problem(tmp_path: Path) -> None:
    (problem,) = check_project(tmp_path / "nowhere").problems

    assert str(problem).startswith("config:1:1: there is no folder config here; go to the project's folder")


def test_yaml_is_read_by_the_rules_of_1_2(tmp_path: Path) -> None:
    text = (
        BASE[PROGRAM].replace("title: Letters", "title: NO\npriority: +10").replace("tuesday 10:00", "10:00")
    )
    definitions = checked(tmp_path, f"=== {PROGRAM}\n{text}").definitions

    assert definitions is not None
    program = definitions.program("letters")
    assert (program.title, program.priority) == ("NO", 10)
    assert program.steps[0].at == Hour(weekday=None, minute=600)
    assert [arm.text for arm in program.steps[0].on] == ["clicked"]


BOMBS = {
    "aliases": "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "depth": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "size": "a: " + "x" * 1_000_000,
    "number": "a: " + "9" * 100_000,
    "keys": "".join(f"k{number}: 1\n" for number in range(10_000)),
    "question": "? " * 50_000,
    "dashes": "- " * 50_000,
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(5)
def test_a_bomb_is_a_problem_and_costs_nothing(name: str, tmp_path: Path) -> None:
    told = check_project(write(tmp_path, {**BASE, PROGRAM: BOMBS[name]}))

    assert told.definitions is None
    assert all(problem.file == PROGRAM or "letters" in problem.sentence for problem in told.problems)


CONDITION_BOMBS = [
    "not " * 200 + "clicked",
    "(" * 400 + "clicked" + ")" * 400,
    "-" * 900 + "1",
    "a" * 2000,
    "f(" * 300,
]


@pytest.mark.parametrize("line", CONDITION_BOMBS)
def test_a_condition_cannot_be_a_bomb(line: str, tmp_path: Path) -> None:
    told = checked(tmp_path, f"=== {PROGRAM}\n" + BASE[PROGRAM].replace('stage < "qualified"', line))

    assert told.definitions is None


def test_files_that_are_no_text_are_problems(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    (tmp_path / PROGRAM).write_bytes(b"\xff\xfe\x00title")
    (tmp_path / "config/content/scaling-1.yaml").write_bytes(b"title: \x07\n")

    told = [str(problem) for problem in check_project(tmp_path).problems]

    assert f"{PROGRAM}:1:1: the file is not UTF-8; save it as UTF-8 in your editor" in told
    assert "config/content/scaling-1.yaml:1:8: a control character; remove it" in told


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    (tmp_path / PROGRAM).write_bytes(b"\xef\xbb\xbf" + BASE[PROGRAM].replace("\n", "\r\n").encode())

    assert check_project(tmp_path).problems == ()


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode(errors="replace")))
def test_whatever_is_in_a_file_reading_it_never_raises(text: str) -> None:
    report = Report("x.yaml")

    assert parse(text, report) is not None or report.problems


TOKENS = [
    *(
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        '"',
        "'",
        " #",
        "*a",
        "&a",
        "!!x",
        "? ",
    ),
    *(
        "steps",
        "send",
        "on",
        "after",
        "then",
        "if",
        "go",
        "next",
        "about",
        "set",
        "split",
        "otherwise",
        "first",
        "call",
    ),
    *(
        "1 week",
        "clicked",
        "visit < 3",
        "letter-1",
        "webinar",
        "end",
        "10:00",
        "0x1",
        "1e9",
        "null",
        "title",
        "owner",
    ),
    *(
        "enter",
        "goal",
        'tag("x")',
        "not ",
        "and ",
        "stage",
        "==",
        "in ",
        "(",
        ")",
        "dana",
        "moved",
        "2 days before first",
    ),
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(TOKENS), max_size=40), st.sampled_from(sorted(BASE)), st.integers(0, 20))
def test_whatever_is_written_into_a_project_checking_it_never_raises(
    tmp_path: Path, tokens: list[str], path: str, line: int
) -> None:
    lines = BASE[path].split("\n")
    damaged = "\n".join([*lines[:line], "".join(tokens), *lines[line + 1 :]])
    try:
        told = check_project(write(tmp_path, {**BASE, path: damaged}))
    finally:
        write(tmp_path, BASE)

    assert (told.definitions is None) == any(not problem.is_warning for problem in told.problems)
    assert list(told.problems) == sorted(told.problems)


PROBE = """
import json, sys, time
from pathlib import Path
started = time.process_time()
from leadnurture.definitions import check_project, dump_definitions
checked = check_project(Path(sys.argv[1]))
print(json.dumps({
    "seconds": time.process_time() - started,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "definitions": dump_definitions(checked.definitions),
}))
"""


def test_checking_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)

    run = [sys.executable, "-c", PROBE, str(tmp_path)]
    told = json.loads(subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT).stdout)

    assert not HEAVY & set(told["modules"])
    assert told["seconds"] < 2
    assert load_definitions(told["definitions"]) == check_project(tmp_path).definitions

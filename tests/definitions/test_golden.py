from __future__ import annotations

from pathlib import Path

import pytest

from leadnurture.definitions import check_project
from tests.definitions.projects import BASE, GOLDEN, PROBLEMS, checked, files_of, write

CASES = sorted(GOLDEN.glob("*.txt"))


def test_the_base_project_has_no_problems(tmp_path: Path) -> None:
    assert check_project(write(tmp_path, BASE)).problems == ()


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_every_mistake_is_told_with_its_place_and_remedy(case: Path, tmp_path: Path) -> None:
    text = case.read_text()

    problems = checked(tmp_path, text).problems

    assert "\n".join(map(str, problems)) == files_of(text)[PROBLEMS].strip()


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 60

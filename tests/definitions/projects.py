"""Whole projects in one text: `=== path` begins a file, so that input and expectation stand side by side."""

from __future__ import annotations

from pathlib import Path

from leadnurture.definitions import Checked, check_project

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MARK = "=== "
PROBLEMS = "problems"
REMOVED = "(no such file)"


def files_of(text: str) -> dict[str, str]:
    """The files of such a text, by path; what stands before the first is a comment."""
    parts = f"\n{text}".split(f"\n{MARK}")[1:]
    heads = (part.partition("\n") for part in parts)
    return {
        path.strip(): f"{content}\n" if content and not content.endswith("\n") else content
        for path, _, content in heads
    }


BASE = files_of((HERE / "base.txt").read_text())


def write(root: Path, files: dict[str, str]) -> Path:
    """The project of these files on disk."""
    for path, content in files.items():
        if content.strip() == REMOVED or path == PROBLEMS:
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def checked(root: Path, text: str) -> Checked:
    """What `check_project` says of the base project with some of its files replaced."""
    return check_project(write(root, {**BASE, **files_of(text)}))

"""What others wrote lies unchanged in the tree, with its licence."""

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "leadnurture/web/static/vendor", ROOT / "tests/web/vendor"]


@pytest.mark.parametrize("folder", FOLDERS, ids=["pages", "tests"])
def test_every_vendored_file_is_the_one_of_the_manifest(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert {hashlib.sha256((folder / file["file"]).read_bytes()).hexdigest() for file in files} == {
        file["sha256"] for file in files
    }
    licences = {file["licence_file"] for file in files}
    scripts = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert {name for name in scripts if "LICENSE" not in name} == {file["file"] for file in files}
    assert licences <= scripts

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOCK = Path(__file__).parent.parent / "requirements.lock"


def test_the_lock_names_no_registry() -> None:
    words = LOCK.read_text().split()
    assert [word for word in words if "://" in word or word.endswith("-url")] == []


@pytest.mark.slow
def test_the_server_of_prefect_is_built_on_the_locked_fastapi(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from prefect.server.api.server import create_app; create_app()"],
        env={**os.environ, "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr

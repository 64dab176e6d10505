"""Each import contract of pyproject.toml, with an import that it must catch."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("leadnurture", "flows")
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

VIOLATIONS = [
    ("layers", {"leadnurture/store/seeded.py": "import leadnurture.engine"}),
    ("layers", {"leadnurture/mail/seeded.py": "import leadnurture.sales"}),
    ("layers", {"leadnurture/helpers/__init__.py": ""}),
    ("doors", {"leadnurture/engine/seeded.py": "def late():\n    import flows"}),
    ("doors", {"flows/seeded.py": "import leadnurture.web"}),
    ("orchestrators", {"leadnurture/app.py": "from prefect import flow"}),
    ("orchestrators", {"leadnurture/engine/seeded.py": "import apscheduler.triggers.date"}),
    ("domain", {"leadnurture/domain/seeded.py": "from sqlalchemy import select"}),
    ("domain", {"leadnurture/domain/seeded.py": "import time"}),
    ("yaml", {"leadnurture/engine/seeded.py": "import yaml"}),
    ("yaml", {"flows/seeded.py": "from yaml.nodes import Node"}),
    ("mail", {"leadnurture/sales/seeded.py": "import sendgrid"}),
    ("mail", {"leadnurture/web/seeded.py": "def late():\n    import smtplib"}),
    ("mjml", {"leadnurture/sales/seeded.py": "import mjml"}),
    ("web", {"leadnurture/reports/seeded.py": "from fastapi import APIRouter"}),
    ("web", {"leadnurture/app.py": "from starlette.requests import Request"}),
    (
        "acyclic",
        {
            "leadnurture/engine/one.py": "import leadnurture.engine.two",
            "leadnurture/engine/two.py": "import leadnurture.engine.one",
        },
    ),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the product to seed with violations."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    return tmp_path


@pytest.mark.parametrize(
    ("contract", "files"),
    VIOLATIONS,
    ids=[f"{contract}-{next(iter(files))}" for contract, files in VIOLATIONS],
)
def test_a_contract_catches_a_seeded_import(tree: Path, contract: str, files: dict[str, str]) -> None:
    for name, source in files.items():
        seed(tree / name, source)
    result = lint(tree, contract)
    assert result.returncode == 1
    assert f"{CONTRACTS[contract]} BROKEN" in " ".join(result.stdout.split())


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_has_a_violation_that_it_catches(contract: str) -> None:
    assert contract in {caught for caught, _ in VIOLATIONS}


def test_the_product_keeps_every_contract(tree: Path) -> None:
    result = lint(tree, *CONTRACTS)
    assert result.returncode == 0, result.stdout


def seed(path: Path, source: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{source}\n")


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    for contract in contracts:
        command += ["--contract", contract]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)

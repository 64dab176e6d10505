"""Asks whether a locked package has a known vulnerability: `python -m tests.advisories`.

Where the service is not reachable, pip-audit may find nothing and say that all is well. So it is asked first
about a package that everybody knows to be vulnerable: only who knows of that one is believed about others.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parent.parent / "requirements.lock"
KNOWN: Final = "jinja2==2.4.1"
"""Has had advisories for more than ten years."""
AUDIT: Final = (sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--no-deps", "--timeout=10")


class ServiceError(Exception):
    """What pip-audit said where it could not look a package up."""


def advisories(requirements: Path) -> list[str]:
    """What is known about the packages of a file, a line each; ServiceError where not all were looked up."""
    command = (*AUDIT, "--format=json", "--progress-spinner=off", f"--requirement={requirements}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        raise ServiceError(done.stderr) from error
    return [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions'])}"
        for package in packages
        for found in package["vulns"]
    ]


def is_reachable() -> bool:
    """Whether the service knows what everybody knows."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "requirements.txt"
        probe.write_text(f"{KNOWN}\n")
        try:
            return bool(advisories(probe))
        except ServiceError:
            return False


def main() -> int:
    """0 where nothing is known, or where the service is not reachable, which it says; else 1."""
    if not is_reachable():
        sys.stdout.write("pip-audit: skipped, its service is not reachable from here\n")
        return 0
    found = advisories(LOCK)
    sys.stdout.write("\n".join(found or ["pip-audit: no advisory about any locked package"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Reads what mail servers report of a mail that they carried (RFC 3464, with the codes of RFC 3463)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from typing import Final, Literal

from leadnurture.mail.incoming import Incoming

Fate = Literal["bounced", "deferred", "delivered", "sent"]
ACTIONS: Final[dict[str, Fate]] = {
    "delayed": "deferred",
    "delivered": "delivered",
    "relayed": "sent",
    "expanded": "sent",
}
# The mailbox or its domain is not there; a full one, a busy server, a filter may think better of it.
GONE: Final = re.compile(r"5\.(1\.\d+|0\.0|2\.1|4\.4)$")
ADDRESS: Final = re.compile(r"[^\s;<>]+@[^\s;<>]+")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a mail on its way to one address."""

    address: str
    fate: Fate
    said: str


def reports_in(mail: Incoming) -> list[Report]:
    """The reports in a mail, one an address; empty when it is none."""
    return list(_reports(mail.report)) if mail.report else []


def _reports(content: bytes) -> Iterator[Report]:
    for group in re.split(rb"\r?\n\r?\n+", content):
        fields = BytesParser(policy=policy.compat32).parsebytes(group.strip() + b"\n\n")
        action = str(fields.get("Action", "")).strip().lower()
        found = ADDRESS.search(str(fields.get("Original-Recipient") or fields.get("Final-Recipient") or ""))
        if not action or found is None:
            continue
        status = str(fields.get("Status", "")).split(maxsplit=1)[0] if fields.get("Status") else ""
        said = f"{status} {' '.join(str(fields.get('Diagnostic-Code', '')).split())}".strip()[:500]
        fate = _failed(status) if action == "failed" else ACTIONS.get(action)
        if fate is not None:
            yield Report(found[0].lower(), fate, said.replace("\0", "") or action)


def _failed(status: str) -> Fate:
    return "bounced" if GONE.match(status) or not status else "deferred"

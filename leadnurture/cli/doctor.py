"""What `leadnurture doctor` looks at: a line each, with the remedy where something is amiss."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leadnurture.app import machine_now
from leadnurture.cli.access import NOBODY
from leadnurture.errors import LeadNurtureError
from leadnurture.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from leadnurture.reports.watchdog import Asleep

LEAST_FREE: Final = 200_000_000
ANSWERS_WITHIN: Final = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    is_fine: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_fine else 'BAD '} {self.about}: {self.sentence}"


def examine_installation(root: Path) -> list[Finding]:
    """Everything that hinders the project on this machine, and what is well."""
    try:
        settings = load_settings(root)
    except LeadNurtureError as error:
        return [Finding("settings", is_fine=False, sentence=str(error))]
    return [Finding("settings", is_fine=True, sentence=f"provider {settings.provider}"), *_findings(settings)]


def _findings(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    yield Finding("disk", free > LEAST_FREE, f"{free / 1e9:.1f} GB free in {settings.data}")
    yield from _database(settings)
    yield _port("web", settings.port, "PORT", "/healthz", '"leadnurture"')
    if not settings.prefect_url:
        yield _port("prefect", settings.prefect_port, "PREFECT_PORT", "/api/health", "true")
    if settings.provider == "sendgrid":
        has_key = settings.sendgrid_webhook_key is not None
        remedy = "LEADNURTURE_SENDGRID_WEBHOOK_KEY is missing, so no event is accepted; see docs/settings.md"
        yield Finding("events", has_key, "are verified" if has_key else remedy)
    if settings.provider == "smtp":
        hears = bool(settings.inbound_address)
        remedy = "LEADNURTURE_INBOUND_ADDRESS is missing, so no bounce is heard of; see docs/operating.md"
        yield Finding("reports", hears, f"come to {settings.inbound_address}" if hears else remedy)


def _database(settings: Settings) -> Iterator[Finding]:
    from leadnurture.access import users
    from leadnurture.engine import current_definitions
    from leadnurture.reports import asleep
    from leadnurture.store import is_migrated, open_database

    try:
        database = open_database(settings.database_url)
        if not is_migrated(database):
            yield Finding(
                "database", is_fine=False, sentence="the schema is not the newest; run `leadnurture migrate`"
            )
            return
        with database.read() as connection:
            programs = len(current_definitions(connection).programs)
            lost = asleep(connection)
            people = len(users(connection, machine_now()))
    except LeadNurtureError as error:
        yield Finding("database", is_fine=False, sentence=str(error))
        return
    yield Finding("database", is_fine=True, sentence=f"{programs} programs are applied")
    told = f"{people} can sign in" if people else f"{NOBODY[0].lower()}{NOBODY[1:-1]}"
    yield Finding("users", is_fine=True, sentence=told)
    yield _watchdog(lost)


def _watchdog(lost: "Sequence[Asleep]") -> Finding:
    """A fault of ours, not of the project: it names whom to look at, and whom to tell."""
    if not lost:
        return Finding(
            "watchdog", is_fine=True, sentence="every enrollment is due at some time or waits for its mail"
        )
    first = lost[0]
    return Finding(
        "watchdog",
        is_fine=False,
        sentence=f"{len(lost)} enrollments would never wake, the first is that of lead {first.lead_id} "
        f"at {first.program}, {first.step}; tell us what `leadnurture explain {first.lead_id}` says",
    )


def _port(about: str, port: int, setting: str, path: str, says: str) -> Finding:
    """Whether a port is free, or our own server listens there: it answers on a path, and says so."""
    if not _is_taken(port):
        return Finding(about, is_fine=True, sentence=f"port {port} is free")
    if says in _answer(f"http://127.0.0.1:{port}{path}"):
        return Finding(about, is_fine=True, sentence=f"port {port} answers")
    remedy = f"something else listens on port {port}; end it, or choose another by {PREFIX}{setting}"
    return Finding(about, is_fine=False, sentence=remedy)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answer(url: str) -> str:
    """What a server says; nothing where it does not, or speaks another language."""
    import httpx

    try:
        answer = httpx.get(url, timeout=ANSWERS_WITHIN)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.is_success else ""

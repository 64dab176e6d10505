"""Listens to everything that a test logs, and remembers what should not stand in a log."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from typing_extensions import override

from leadnurture.cli.logs import QUIET, TEXT

# Addresses of people, link tokens, API keys, hashed passwords, secrets as we draw them.
SECRETS: Final = re.compile(
    r"[\w.+-]+@(?!sqlite|postgres)[\w-]+[.][\w.-]*[a-z]|[0-9]+~[\w.~%-]*[.][\w-]{20}|\bln_[\w-]{40}"
    r"|[$]argon2|(?<![\w/-])[\w-]{43}(?![\w-])"
)
# The servers that tests write to tell what they got, and Python's loop what it does for them.
NOT_OURS: Final = ("mail", "asyncio", "hypothesis", "faker", "prefect", "websockets", "docket", "fakeredis")


class Listener(logging.Handler):
    """Keeps what holds a secret."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter(TEXT))
        self.told: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in NOT_OURS:
            return
        line = self.format(record)
        if SECRETS.search(line):
            self.told.append(line)


@contextmanager
def listened() -> Iterator[Listener]:
    """All logs of this process at DEBUG, but of those that the product keeps quiet at any level."""
    root, listener = logging.getLogger(), Listener()
    levels = {name: logging.getLogger(name).level for name in QUIET}
    before = root.level
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    root.setLevel(logging.DEBUG)
    root.addHandler(listener)
    try:
        yield listener
    finally:
        root.removeHandler(listener)
        root.setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

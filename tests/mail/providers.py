"""Providers of our own for tests: they keep what they are given and answer as they are told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from leadnurture.mail import Accepted, Answer, Mail


@dataclass
class Kept:
    """Accepts everything, or answers by a function."""

    answers: Callable[[Mail], Answer] = lambda _: Accepted("kept")
    threads: int | None = None
    mails: list[Mail] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, mail: Mail) -> Answer:
        """Keeps the mail and answers."""
        with self._lock:
            self.mails.append(mail)
        return self.answers(mail)

    @property
    def ids(self) -> list[int | None]:
        """The messages, sorted."""
        return sorted((mail.message_id for mail in self.mails), key=lambda one: one or 0)

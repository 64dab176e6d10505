"""Delivers to the fake and kills itself: `python -m tests.mail.dying DATABASE PROVIDER POINT NTH`."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from leadnurture.mail import Answer, Mail
from leadnurture.mail.claim import Pick
from leadnurture.mail.delivery import Delivery, Result
from leadnurture.mail.freeze import Frozen
from leadnurture.mail.sendgrid import SendGrid
from leadnurture.store import open_database
from tests.fakes.sendgrid import KEY
from tests.mail.scene import LINKS, MACHINE, NOW

POINTS = ("after reserve", "after claim commit", "before bytes", "after bytes", "before mark", "after mark")
PARALLEL = 4


class Dying(Delivery):
    """A delivery that dies at its point, the n-th time that it gets there."""

    point = ""
    nth = 1
    _passed = 0

    def _die(self, point: str) -> None:
        if point == self.point:
            self._passed += 1
            if self._passed == self.nth:
                os.kill(os.getpid(), signal.SIGKILL)

    def reserve(self, limit: int) -> list[Pick]:
        """Dies once messages are reserved."""
        picks = super().reserve(limit)
        self._die("after reserve")
        return picks

    def claim(self, picks: Sequence[Pick]) -> Sequence[Frozen]:
        """Dies once they are `sending`."""
        claimed = super().claim(picks)
        self._die("after claim commit")
        return claimed

    def hand_over(self, mail: Mail) -> Answer:
        """Dies before or after the provider has it."""
        self._die("before bytes")
        answer = super().hand_over(mail)
        self._die("after bytes")
        return answer

    def mark(self, results: Sequence[Result]) -> None:
        """Dies before or after it is written down."""
        self._die("before mark")
        super().mark(results)
        self._die("after mark")


def main(database_url: str, provider_url: str, point: str, nth: str) -> NoReturn:
    """Sends everything, or dies."""
    Dying.point, Dying.nth = point, int(nth)
    provider = SendGrid(KEY, provider_url)
    Dying(open_database(database_url), provider, LINKS, NOW, machine_now=MACHINE, parallel=PARALLEL).run(1000)
    sys.exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

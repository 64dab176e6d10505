"""Answers posts and kills itself: `python -m tests.mail.answering DATABASE POINT KEY`.

Reads a post a line from its standard input, headers and body as JSON, and writes `200` for each answered one.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from sqlalchemy import Connection

from leadnurture.inbox import Post, Read, keep_items, work_off
from leadnurture.mail import read_sendgrid_events, receive_sendgrid_events, sendgrid_events
from leadnurture.store import Database, open_database
from tests.mail.scene import MACHINE, NOW

POINTS = ("before reading", "amid a post", "before its end")


def die() -> NoReturn:
    """Like a machine that loses its power."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def main(url: str, point: str, public_key: str) -> None:
    """Answers everything, then reads until its point."""
    database = open_database(url)
    for line in sys.stdin:
        told = json.loads(line)
        receive_sendgrid_events(database, told["body"].encode(), told["headers"], public_key, NOW)
        sys.stdout.write("200\n")
        sys.stdout.flush()
    if point == "before reading":
        die()

    chunks = 0

    def keep_or_die(connection: Connection, post: Post, items: Sequence[object] | None = None) -> object:
        nonlocal chunks
        chunks += 1
        if point == "amid a post" and chunks == 3:
            die()
        return keep_items(connection, post, items)  # type: ignore[arg-type] # handed on

    def read(database: Database, post: Post, now: datetime, is_last: bool) -> Read:  # noqa: FBT001 - a Reader
        done = read_sendgrid_events(database, post, now, is_last)
        if point == "before its end":
            die()
        return done

    # So that a post is several transactions, and one of them dies.
    vars(sendgrid_events).update(keep_items=keep_or_die, CHUNK=10)
    work_off(database, {"sendgrid": read}, NOW, lambda: MACHINE)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Reads posts, one after the other, each by whoever knows its source, until it is read or proved unusable.

One idea to hold: a post is never dropped. What a reader cannot do now it does later; a post that nobody can
make sense of stays, with the reason.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from leadnurture.errors import InvalidInputError, LeadNurtureError
from leadnurture.inbox.posts import Post, put_back, take
from leadnurture.store import Database

log: Final = logging.getLogger(__name__)
FIRST_WAIT: Final = timedelta(minutes=1)
MOST_WAITS: Final = 8
"""So often a post is read again for the sake of mails that we do not know: some four hours in all."""
FIRST_REST: Final = timedelta(seconds=2)
LONGEST_REST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Read:
    """What a post said. All of its items are kept, except those that had come before."""

    items: int = 0
    recorded: int = 0
    """Reactions that are new."""
    repeated: int = 0
    """Items that had come before, under the same id or as the same event."""
    not_ours: int = 0
    """Items about nothing of ours."""
    not_understood: int = 0
    """Items of a kind that we do not know, or that says nothing about a lead."""
    waiting: int = 0
    """Items about mails that we do not know yet."""


Reader = Callable[[Database, Post, datetime, bool], Read]
"""Reads a post at an instant of the product's clock; safe to repeat. The flag says that it is the last time
that mails may be unknown. InvalidInputError: nobody will ever be able to read it.
"""


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """What a pass over the inbox did."""

    posts: int = 0
    failed: int = 0
    is_done: bool = True
    """False when time was up before the posts were."""


def work_off(
    database: Database,
    readers: Mapping[str, Reader],
    now: datetime,
    machine_now: Callable[[], datetime],
    *,
    seconds: float = 10.0,
) -> WorkedOff:
    """Reads what is to be read, for so long at most. Safe to repeat, and to run in many places at once."""
    ends = time.monotonic() + seconds
    posts = failed = 0
    while time.monotonic() < ends:
        post = take(database, machine_now())
        if post is None:
            return WorkedOff(posts, failed)
        posts += 1
        failed += not _read(database, readers, post, now, machine_now)
    return WorkedOff(posts, failed, is_done=False)


def read_post(
    database: Database,
    readers: Mapping[str, Reader],
    post_id: int,
    now: datetime,
    machine_now: Callable[[], datetime],
) -> bool:
    """Reads this post if no other is ahead of it; whether it did."""
    post = take(database, machine_now(), only=post_id)
    return post is not None and _read(database, readers, post, now, machine_now)


def finish(database: Database, post: Post, read: Callable[[], Read]) -> None:
    """Says that a post was read by whoever kept it."""
    try:
        read()
    except InvalidInputError as error:
        put_back(database, post.id, "unusable", retry_at=None, trouble=str(error))
    else:
        put_back(database, post.id, "done", retry_at=None, trouble=None)


def _read(
    database: Database,
    readers: Mapping[str, Reader],
    post: Post,
    now: datetime,
    machine_now: Callable[[], datetime],
) -> bool:
    """Whether a post was read, in whatever way it ended."""
    is_last = post.attempts > MOST_WAITS
    try:
        read = readers[post.source](database, post, now, is_last)
    except InvalidInputError as error:
        put_back(database, post.id, "unusable", retry_at=None, trouble=str(error))
        return True
    except Exception as error:
        is_bug = not isinstance(error, LeadNurtureError)
        rest = min(FIRST_REST * 2 ** min(post.attempts - 1, 20), LONGEST_REST)
        log.error(  # noqa: TRY400 - a sentence where it is no bug
            "post %d of %s cannot be read, again in %d seconds: %s",
            post.id,
            post.source,
            rest.total_seconds(),
            type(error).__name__ if is_bug else error,
            exc_info=error if is_bug else None,
        )
        put_back(database, post.id, "new", retry_at=machine_now() + rest, trouble=str(error)[:2000])
        return False
    if read.waiting:
        again = machine_now() + FIRST_WAIT * 2 ** (post.attempts - 1)
        put_back(
            database,
            post.id,
            "waiting",
            retry_at=again,
            trouble=f"{read.waiting} items are about mails unknown yet",
        )
    else:
        put_back(database, post.id, "done", retry_at=None, trouble=None)
    return True

"""Everything that comes in lies here first, as it came: kept, answered, read afterwards, read again at will.

Hides how a post is kept once, who reads it next, and that a reader may die or fail. Knows no provider: who
can read a source is handed in.
"""

from leadnurture.inbox.items import Item, keep_items, stage_items
from leadnurture.inbox.posts import Kept, Post, keep, keep_for_now, next_reading, replay, unread
from leadnurture.inbox.reading import Read, Reader, WorkedOff, finish, read_post, work_off

__all__ = [
    "Item",
    "Kept",
    "Post",
    "Read",
    "Reader",
    "WorkedOff",
    "finish",
    "keep",
    "keep_for_now",
    "keep_items",
    "next_reading",
    "read_post",
    "replay",
    "stage_items",
    "unread",
    "work_off",
]

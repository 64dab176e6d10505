"""The items of a post: each once by its teller's id, with what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from leadnurture.inbox.posts import Post
from leadnurture.store import stage
from leadnurture.store.work import empty, work_item

LONGEST_WORD: Final = 200


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a post says."""

    position: int
    key: str
    """The teller's own id of it."""
    kind: str
    message_id: int | None = None
    outcome: str = "recorded"
    natural_key: str = ""
    """What it says: equal when the same is told under a new id."""


def stage_items(connection: Connection, items: Sequence[Item]) -> None:
    """Lays items into `work_item`, where they are judged."""
    empty(connection, work_item)
    rows = [
        {
            "position": item.position,
            "key": item.key,
            "natural_key": item.natural_key,
            "kind": item.kind[:LONGEST_WORD],
            "message_id": item.message_id,
            "outcome": item.outcome,
        }
        for item in items
    ]
    stage(connection, work_item, rows)


def keep_items(connection: Connection, post: Post, items: Sequence[Item] | None = None) -> Mapping[int, str]:
    """Keeps the items of a post, or those that are judged in `work_item`; the outcomes of its own.

    An item that another post told before is not. One that was recorded stays so, however often it is read.
    """
    if items is not None:
        stage_items(connection, items)
    about = {"inbox": post.id, "source": post.source}
    fresh = set(connection.execute(_KEEP, about).scalars())
    judged = connection.execute(text("SELECT position, outcome FROM work_item")).all()
    if len(fresh) < len(judged):
        connection.execute(_JUDGE_AGAIN, about)
        return {row.position: row.outcome for row in connection.execute(_OWN, about)}
    return {row.position: row.outcome for row in judged}


_KEEP: Final = text("""
    INSERT INTO inbox_item (inbox_id, position, source, key, kind, message_id, outcome)
    SELECT :inbox, position, :source, key, kind, message_id, outcome FROM work_item WHERE TRUE ORDER BY key
        ON CONFLICT DO NOTHING RETURNING position""")
_JUDGE_AGAIN: Final = text("""
    UPDATE inbox_item SET outcome = w.outcome, message_id = w.message_id
      FROM work_item w
     WHERE inbox_item.inbox_id = :inbox AND inbox_item.position = w.position AND inbox_item.key = w.key
       AND inbox_item.outcome NOT IN ('recorded', w.outcome)""")
_OWN: Final = text("""
    SELECT i.position, i.outcome
      FROM inbox_item i JOIN work_item w ON w.position = i.position AND w.key = i.key
     WHERE i.inbox_id = :inbox""")

"""Keys of other systems, on both databases."""

from datetime import UTC, datetime

import pytest

from leadnurture import access
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, noted
from leadnurture.store.tables import metadata

NOW = datetime(2026, 12, 9, 10, 40, tzinfo=UTC)
LONG = "a key of the settings that is long enough"


def good_for(database: Database, key: str) -> set[str] | None:
    with database.read() as connection:
        scopes = access.scopes_of(connection, key)
    return None if scopes is None else set(scopes)


def test_a_key_is_good_for_its_scopes_until_it_is_revoked(database: Database) -> None:
    key = access.add_key(database, "crm", ["reactions", "leads"], "ann", NOW)
    assert good_for(database, key) == {"leads", "reactions"}
    assert good_for(database, key + "x") is None
    access.revoke_key(database, "crm", "ann", NOW)
    assert good_for(database, key) is None
    with pytest.raises(NotFoundError):
        access.revoke_key(database, "crm", "ann", NOW)
    with database.read() as connection:
        assert [(row.act, row.subject) for row in noted(connection, limit=9)] == [
            ("key revoked", "crm"),
            ("key added", "crm"),
        ]


def test_a_key_lies_nowhere(database: Database) -> None:
    key = access.add_key(database, "crm", ["leads"], "ann", NOW)
    with database.read() as connection:
        rows = [
            tuple(row)
            for name in metadata.tables
            for row in connection.execute(metadata.tables[name].select())
        ]
    assert key not in repr(rows)
    assert key[:8] in repr(rows), "by which people know it again"


def test_a_name_is_free_again_once_its_key_is_revoked(database: Database) -> None:
    first = access.add_key(database, "crm", ["leads"], "ann", NOW)
    with pytest.raises(InvalidInputError, match="a key crm already"):
        access.add_key(database, "crm", ["leads"], "ann", NOW)
    access.revoke_key(database, "crm", "ann", NOW)
    second = access.add_key(database, "crm", ["read"], "ann", NOW)
    assert (good_for(database, first), good_for(database, second)) == (None, {"read"})
    with database.read() as connection:
        assert [key.revoked_at is None for key in access.keys(connection)] == [True, False]


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["leads"]), ("a\nb", ["leads"]), ("crm", []), ("crm", ["all"])]
)
def test_a_key_has_a_name_and_something_that_it_is_for(
    database: Database, name: str, scopes: list[str]
) -> None:
    with pytest.raises(InvalidInputError):
        access.add_key(database, name, scopes, "ann", NOW)


def test_the_key_of_the_settings_is_taken_up_once_and_for_all(database: Database) -> None:
    for _ in range(2):
        access.take_up_key(database, LONG, "first run", NOW)
    assert good_for(database, LONG) == {"leads", "reactions", "read"}
    access.take_up_key(database, LONG + " and another", "first run", NOW)
    access.revoke_key(database, "settings", "ann", NOW)
    access.take_up_key(database, LONG, "first run", NOW)
    assert good_for(database, LONG) is None
    with database.read() as connection:
        found = {key.name: key.start for key in access.keys(connection)}
    assert found == {"settings": "a key of", "settings-2": "a key of"}


def test_of_a_short_key_nothing_is_shown(database: Database) -> None:
    access.take_up_key(database, "short", "first run", NOW)
    with database.read() as connection:
        assert [key.start for key in access.keys(connection)] == [""]

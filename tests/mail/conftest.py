"""A company whose mails are due, on SQLite and on PostgreSQL."""

import pytest

from leadnurture.store import Database
from tests.mail.scene import Scene


@pytest.fixture
def scene(database: Database) -> Scene:
    """The company, applied."""
    scene = Scene(database)
    scene.apply()
    return scene

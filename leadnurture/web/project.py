"""Hides what else a project is: this is all that the doors and pages ask of it."""

from datetime import datetime
from typing import Protocol

from leadnurture.links import Links
from leadnurture.settings import Settings
from leadnurture.store import Database


class Project(Protocol):
    """An opened project; `leadnurture.app` makes one."""

    @property
    def settings(self) -> Settings:
        """What the operator set."""

    @property
    def database(self) -> Database:
        """Where everything lies."""

    @property
    def links(self) -> Links:
        """Reads the tokens of the public links and signs new ones."""

    def clock(self) -> datetime:
        """The product's now: the stepping clock where there is one, else the machine's."""

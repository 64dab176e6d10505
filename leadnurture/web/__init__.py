"""The doors through which responses come in, and the pages that people look at."""

from leadnurture.web.app import create_app
from leadnurture.web.project import Project

__all__ = ["Project", "create_app"]

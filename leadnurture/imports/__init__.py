"""Hides how untidy a table of leads is, and what other systems may tell: spellings, values, ids.

What cannot be used comes back with the reason.
"""

from leadnurture.imports.file import ImportReport, import_file, read_emails
from leadnurture.imports.platforms import Platform, read_platform_events, receive_platform_event
from leadnurture.imports.telling import Outcome, read_leads, read_reactions
from leadnurture.imports.told import items_of, unclear_session, unknown_names

__all__ = [
    "ImportReport",
    "Outcome",
    "Platform",
    "import_file",
    "items_of",
    "read_emails",
    "read_leads",
    "read_platform_events",
    "read_reactions",
    "receive_platform_event",
    "unclear_session",
    "unknown_names",
]

"""Hides how untidy a table of leads is: spellings of columns and values, and where unusable rows go."""

from leadnurture.imports.file import ImportReport, import_file, read_emails

__all__ = ["ImportReport", "import_file", "read_emails"]

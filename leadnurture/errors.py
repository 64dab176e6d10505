"""The errors that a door shows to a person.

A docstring is the sentence that he reads, with what he can do about it.
"""


class LeadNurtureError(Exception):
    """Something went wrong that you can mend."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ProjectProblemsError(LeadNurtureError):
    """The project's files have problems; run `leadnurture check` and mend them."""


class SettingError(LeadNurtureError):
    """A setting is missing or wrong; see docs/settings.md."""

    exit_code = 2


class DatabaseUnavailableError(LeadNurtureError):
    """The database does not answer; start it or correct LEADNURTURE_DATABASE_URL."""

    exit_code = 3


class SchemaOutdatedError(LeadNurtureError):
    """The database has an older schema; run `leadnurture migrate`."""

    exit_code = 3


class StorageFullError(LeadNurtureError):
    """The disk is full; make room and start again, nothing was lost."""

    exit_code = 3


class PortBusyError(LeadNurtureError):
    """The port is taken by another program; choose another one with LEADNURTURE_PORT or
    LEADNURTURE_PREFECT_PORT.
    """

    exit_code = 4


class NotFoundError(LeadNurtureError):
    """There is no such thing; check the name."""

    exit_code = 5


class TooOldError(NotFoundError):
    """This mail is too old to be answered by its link. A newer one has another."""


class InvalidInputError(LeadNurtureError):
    """The input cannot be used as it is."""

    exit_code = 6


class NotSignedError(LeadNurtureError):
    """The signature does not fit; compare the verification key with the one that the provider shows."""

    exit_code = 7

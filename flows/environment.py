"""The environment in which Prefect runs: quiet, offline, its home in the data folder.

It must stand in the environment of a process before Prefect is imported there.
"""

import os

from leadnurture.settings import Settings

DAY = 86_400


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The variables for Prefect's server and for every process that runs flows."""
    return {
        "PREFECT_HOME": str(settings.data / "prefect"),
        "PREFECT_API_URL": settings.prefect_api,
        # Relative, so that the UI asks the server it came from, whatever its port.
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "true",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(settings.prefect_retention_days * DAY),
        # Written one by one, what tasks did would lock Prefect's own SQLite for most of a wave, and whoever
        # wants the next run would be answered 503.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "leadnurture",
        # The worker also says something outside of runs.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # Its own lines tell what the graph shows already.
        "PREFECT_LOGGING_LEVEL": "WARNING",
        # Work does not wait for answers, but a run that hangs holds the runs behind it.
        "PREFECT_API_REQUEST_TIMEOUT": "10",
    }


def enter_prefect_environment(settings: Settings) -> None:
    """Sets the variables in this process; what the operator has set himself stays."""
    for name, value in prefect_environment(settings).items():
        os.environ.setdefault(name, value)

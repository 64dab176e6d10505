"""Logs of our own processes, for people or machines. They hold ids, never addresses."""

import json
import logging
import sys
from typing import TYPE_CHECKING, Final

from typing_extensions import override

if TYPE_CHECKING:
    from leadnurture.settings import Settings

TEXT: Final = "%(asctime)s %(levelname)-7s %(name)s  %(message)s"
# They talk about keys and addresses, or once a second about nothing.
QUIET: Final = (
    "alembic",
    "apscheduler",
    "httpx",
    "httpcore",
    "python_http_client",
    "sqlalchemy",
    "uvicorn.access",
)


# What fails in a run is told by us as well; there it stands in the run's own log.
TWICE: Final = ("prefect.flow_runs", "prefect.task_runs")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logs(settings: "Settings") -> None:
    """Sends all logs of this process to the standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else logging.Formatter(TEXT))
    handler.addFilter(lambda record: not record.name.startswith(TWICE))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

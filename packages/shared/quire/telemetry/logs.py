"""Log lines for people or for machines (`QUIRE_LOG_FORMAT`), always without secrets.

A JSON line has `time`, `level`, `logger`, `process`, `message`, and, where they are known, `request_id`, `task_id`,
`document_id`, `exception`, `trace_id`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from celery import current_task, signals

from quire.settings import Settings
from quire.telemetry import tracing
from quire.telemetry.context import document_id, request_id
from quire.telemetry.redaction import Redaction

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# uvicorn's own loggers; its access log holds query strings, in which people search for text.
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi")


class RedactingFormatter(logging.Formatter):
    """What another formatter makes of a record, without secrets."""

    def __init__(self, inner: logging.Formatter, redact: Redaction) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        return self._redact(self._inner.format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line. Fields that libraries add to a record are left out: they hold arguments of tasks."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in _ids(record).items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _IdsFormatter(logging.Formatter):
    """What another formatter makes of a record, with the ids behind it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        known = " ".join(f"{name}={value}" for name, value in _ids(record).items() if value is not None)
        first, separator, rest = self._inner.format(record).partition("\n")
        return f"{first} [{known}]{separator}{rest}" if known else first + separator + rest


def configure_api(settings: Settings) -> None:
    """Send the log of this process to stderr, uvicorn's with it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings, logging.Formatter(_TEXT)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in (*_UVICORN, "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name in _UVICORN
    _hush_addresses()


def configure_worker(settings: Settings) -> None:
    """Have Celery's log handlers write such lines, as soon as there are any. In text they keep Celery's form."""

    def change(logger: logging.Logger, **_: Any) -> None:
        for handler in logger.handlers:
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(_formatter(settings, handler.formatter or logging.Formatter(_TEXT)))

    _hush_addresses()
    for signal in (signals.after_setup_logger, signals.after_setup_task_logger):
        signal.connect(change, weak=False, dispatch_uid="quire-logs")


def _formatter(settings: Settings, text: logging.Formatter) -> RedactingFormatter:
    inner = JsonFormatter() if settings.quire_log_format == "json" else _IdsFormatter(text)
    return RedactingFormatter(inner, Redaction(settings))


def _ids(record: logging.LogRecord) -> dict[str, str | None]:
    return {
        "request_id": request_id.get(),
        "task_id": _task_id(record),
        "document_id": document_id.get(),
        "trace_id": tracing.current_trace_id(),
    }


def _task_id(record: logging.LogRecord) -> str | None:
    if current_task and current_task.request.id:
        return str(current_task.request.id)
    # Lines of a worker's parent process about a task.
    data = getattr(record, "data", None)
    return str(data["id"]) if isinstance(data, dict) and "id" in data else None


def _hush_addresses() -> None:
    """No line for each request that is made, with its URL: one that a user named may hold a secret."""
    logging.getLogger("httpx").setLevel(logging.WARNING)

"""What a worker shows of itself: its log lines, its metrics, and the trace that each ticket belongs to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from celery import Celery, bootsteps, signals
from opentelemetry.trace import SpanKind
from sqlalchemy import Engine

from quire.database import documents
from quire.database.engine import transaction
from quire.errors import SettingsError
from quire.scratch import scratch_folder
from quire.settings import Settings, get_settings
from quire.telemetry import logs, meters, tracing
from quire.telemetry.context import bound
from runtime.binding import TaskContext

logger = logging.getLogger(__name__)

# The folder of this worker's metrics, from before its processes begin until after they have ended.
_kept: Final = ExitStack()


def install(app: Celery, settings: Settings) -> None:
    """Connect to the signals and start-up steps of workers of this app."""
    logs.configure_worker(settings)
    tracing.name_service("quire-worker")
    # A pool process ends without Python's exit handlers.
    signals.worker_process_shutdown.connect(_send_spans, weak=False)
    if settings.quire_metrics_port is not None:
        app.steps["worker"].add(MetricsServer)
        signals.celeryd_after_setup.connect(_prepare_meters, weak=False)
        signals.worker_process_init.connect(_begin_meters, weak=False)
        signals.worker_shutdown.connect(_remove_meters, weak=False)


@contextmanager
def ticket_of(document_id: UUID, database: Engine, context: TaskContext) -> Iterator[None]:
    """Work on a ticket: its log lines name the document, its spans belong to the trace that submitted it."""
    with bound(document=document_id):
        if not tracing.is_on():
            yield
            return
        with transaction(database) as session:
            document = documents.get(session, document_id)
            submitted = document.traceparent if document is not None else None
        with tracing.span(
            "ticket",
            parent=submitted or context.traceparent,
            link=context.traceparent,
            kind=SpanKind.CONSUMER,
            attributes={"quire.document_id": str(document_id), "quire.task_id": context.task_id},
        ):
            yield


class MetricsServer(bootsteps.StartStopStep):  # type: ignore[misc]
    """Serves the metrics of all processes of a worker on `QUIRE_METRICS_PORT`."""

    # After the pool: its processes are forked from one that has no threads yet.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._stop: Callable[[], None] | None = None

    def start(self, worker: Any) -> None:
        """Begin to serve, or end the worker with a sentence."""
        settings = get_settings()
        assert settings.quire_metrics_port is not None
        try:
            self._stop = meters.serve(_folder(), settings.quire_metrics_port)
        except SettingsError as error:
            logger.critical("%s", error.message)
            raise SystemExit(1) from None

    def stop(self, worker: Any) -> None:
        """Stop serving."""
        if self._stop is not None:
            self._stop()
            self._stop = None


@lru_cache(maxsize=1)
def _folder() -> Path:
    return _kept.enter_context(scratch_folder(get_settings()))


def _prepare_meters(**_: Any) -> None:
    meters.prepare(_folder())


def _begin_meters(**_: Any) -> None:
    meters.begin()


def _remove_meters(**_: Any) -> None:
    _kept.close()


def _send_spans(**_: Any) -> None:
    tracing.shut_down()

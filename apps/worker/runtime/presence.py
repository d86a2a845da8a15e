"""A worker tells the database every few seconds that it is there, and hears whether it shall take no more tasks.

Without a database nobody is told. One that does not answer disturbs nothing: the worker goes on, and tries again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any
from uuid import uuid4

from celery import Celery, bootsteps
from celery.worker import state as worker_state
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from quire.database import workers
from quire.database.engine import connect, transaction
from quire.errors import DatabaseUnreachable
from quire.settings import Settings, get_settings
from runtime import retire

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0


def install(app: Celery) -> None:
    """Let workers of this app say that they are there."""
    app.steps["worker"].add(Presence)


class Presence(bootsteps.StartStopStep):  # type: ignore[misc]
    """Begins when the engine is loaded: a worker that is heard of is one that can work."""

    requires = ("runtime.pool:WarmUp",)

    def include_if(self, worker: Any) -> bool:
        """Only where there is a database."""
        return get_settings().database_url is not None

    def start(self, worker: Any) -> None:
        """Begin."""
        threading.Thread(target=_Heart(worker, get_settings()).beat, name="presence", daemon=True).start()


class _Heart:
    def __init__(self, worker: Any, settings: Settings) -> None:
        self._worker, self._settings = worker, settings
        self._id, self._started = uuid4(), time.monotonic()
        self._queue = ",".join(sorted(worker.app.amqp.queues.consume_from))
        self._is_unheard = False

    def beat(self) -> None:
        assert self._settings.sqlalchemy_url is not None
        database = connect(self._settings.sqlalchemy_url, pool_size=1, answer_seconds=_ANSWER_SECONDS)
        self._forget_old(database)
        while True:
            if self._is_asked_to_drain(database):
                retire.take_no_more(self._worker)
            time.sleep(self._settings.quire_heartbeat_seconds)

    def _is_asked_to_drain(self, database: Engine) -> bool:
        try:
            with transaction(database) as session:
                asked = workers.note(session, self._heartbeat())
        except (DatabaseUnreachable, SQLAlchemyError) as error:
            if not self._is_unheard:
                logger.warning("the database does not hear of this worker for now: %s", type(error).__name__)
            self._is_unheard = True
            return False
        self._is_unheard = False
        return asked

    def _heartbeat(self) -> workers.Heartbeat:
        # In this order: what is taken in between is seen as taken.
        draining = not retire.takes_tasks(self._worker) or worker_state.should_stop is not None
        return workers.Heartbeat(
            id=self._id,
            name=self._worker.hostname,
            host=socket.gethostname(),
            queue=self._queue,
            pod_id=self._settings.runpod_pod_id,
            processes=int(self._worker.pool.num_processes),
            draining=draining,
            busy=retire.holds_tasks(),
            uptime_seconds=time.monotonic() - self._started,
        )

    def _forget_old(self, database: Engine) -> None:
        """Rows come when workers start, so that is when they go."""
        try:
            with transaction(database) as session:
                workers.forget_old(session)
        except (DatabaseUnreachable, SQLAlchemyError):
            logger.debug("workers that are gone are forgotten another time")

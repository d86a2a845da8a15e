"""Hearing of changes: one connection a process that LISTENs for documents whose status or counts have changed.

A notification only says "look again": it carries an id, may be lost with the connection, and is made up for by telling
every watcher when the connection is back. Whoever waits looks again after `poll_seconds` all the same, because a
connection pooler may take a LISTEN and never deliver.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from quire.database.engine import CONNECT_ARGS

logger = logging.getLogger(__name__)

# What the trigger `documents_changed` notifies, and whoever deletes a document (`tombstones.bury`).
CHANNEL: Final = "quire_documents"

# Until a connection that nobody needs is closed: whoever polls a job would open one each time.
_LINGER_SECONDS: Final = 30.0
_BACK_OFF_SECONDS: Final = (0.1, 10.0)
_POLL_SECONDS: Final = 5.0
_POLL_SECONDS_UNHEARD: Final = 1.0


class Listener:
    """Calls back when a document has changed. Its thread and connection exist while somebody watches."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._lock = threading.Lock()
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None
        self._last_watched = -_LINGER_SECONDS
        self._listening = False

    @property
    def poll_seconds(self) -> float:
        """How long to wait for a call before looking without one: shorter while there is no connection."""
        return _POLL_SECONDS if self._listening else _POLL_SECONDS_UNHEARD

    @contextmanager
    def watching(self, document_id: UUID, changed: Callable[[], None]) -> Iterator[None]:
        """Have `changed` called, in the listener's thread, whenever the document may have changed.

        That is with every notification, and each time the connection has been made. `changed` must return at once and
        raise nothing. Look at the document after the block has been entered, or a change in between is missed.
        """
        watched = str(document_id)
        with self._lock:
            self._callbacks.setdefault(watched, []).append(changed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="quire-listener", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                callbacks = self._callbacks[watched]
                callbacks.remove(changed)
                if not callbacks:
                    del self._callbacks[watched]
                self._last_watched = time.monotonic()

    def _run(self) -> None:
        delay = _BACK_OFF_SECONDS[0]
        while self._goes_on():
            begun_at = time.monotonic()
            try:
                self._listen()
            except psycopg.Error as error:
                if not self._callbacks:
                    # Nobody misses it: no lingering.
                    self._last_watched = -_LINGER_SECONDS
                    continue
                # Not the text of the error: it may have the address.
                logger.warning("not listening for changes of documents, will try again: %s", type(error).__name__)
                lasted = time.monotonic() - begun_at >= _BACK_OFF_SECONDS[1]
                delay = _BACK_OFF_SECONDS[0] if lasted else min(2 * delay, _BACK_OFF_SECONDS[1])
                time.sleep(delay * random.uniform(0.5, 1))

    def _is_needed(self) -> bool:
        """Whether somebody watches, or did a moment ago."""
        return bool(self._callbacks) or time.monotonic() - self._last_watched < _LINGER_SECONDS

    def _goes_on(self) -> bool:
        """False if the thread is not needed any more; then whoever watches next starts another one."""
        with self._lock:
            if not self._is_needed():
                self._thread = None
            return self._thread is not None

    def _listen(self) -> None:
        """Listen over one connection for as long as it lasts and is needed."""
        options: dict[str, Any] = dict(CONNECT_ARGS)
        with psycopg.connect(self._conninfo, autocommit=True, **options) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._listening = True
            try:
                self._tell_all()
                while self._is_needed():
                    for notification in connection.notifies(timeout=1):
                        self._tell(notification.payload)
            finally:
                self._listening = False

    def _tell(self, payload: str) -> None:
        with self._lock:
            callbacks = tuple(self._callbacks.get(payload, ()))
        for changed in callbacks:
            changed()

    def _tell_all(self) -> None:
        with self._lock:
            callbacks = [changed for some in self._callbacks.values() for changed in some]
        for changed in callbacks:
            changed()


def listener_of(database: Engine) -> Listener:
    """The listener of this process for the database of an engine; a forked child gets its own."""
    conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return _listener_of_process(conninfo, os.getpid())


@lru_cache(maxsize=16)
def _listener_of_process(conninfo: str, _pid: int) -> Listener:
    return Listener(conninfo)

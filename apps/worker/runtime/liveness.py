"""A worker that has stopped working says so, and ends: a supervisor can start another one.

Two things are watched, from a thread. The event loop touches a file every second; where it does not for
`QUIRE_STALL_SECONDS` the worker ends with `STALLED`. And where messages wait in its queues for as long, processes are
free and nothing has been received, it does not consume any more, as has happened after lost connections; it ends with
`NOT_CONSUMING`. A worker that is halted as a whole cannot notice: that is for a probe of the file (`python -m
runtime.liveness`).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import redis
from celery import bootsteps
from celery.worker import state as worker_state

from quire.queues import lists_of_queue
from quire.settings import Settings, get_settings

logger = logging.getLogger(__name__)

STALLED: Final = 70
NOT_CONSUMING: Final = 75
_BEAT_SECONDS: Final = 1.0
_FILE: Final = "alive"


class Liveness(bootsteps.StartStopStep):  # type: ignore[misc]
    """Beats in the worker's event loop and watches the beat. Without an event loop (`-P solo`) there is no watch."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin."""
        if worker.hub is None:
            return
        file = alive_file(get_settings(), os.getpid())
        file.parent.mkdir(parents=True, exist_ok=True)
        watch = _Watch(worker, get_settings(), file)
        worker.timer.call_repeatedly(_BEAT_SECONDS, watch.beat)
        threading.Thread(target=watch.run, name="liveness", daemon=True).start()


def alive_file(settings: Settings, worker_pid: int) -> Path:
    """The file that a worker's event loop touches every second."""
    return settings.quire_runtime_dir.absolute() / f"worker-{worker_pid}" / _FILE


class _Watch:
    def __init__(self, worker: Any, settings: Settings, file: Path) -> None:
        self._worker = worker
        self._file = file
        self._stall_seconds = settings.quire_stall_seconds
        self._last_beat: float | None = None
        self._received = -1
        self._idle_since = time.monotonic()
        self._redis = redis.Redis.from_url(settings.broker_url, socket_timeout=5, socket_connect_timeout=5)

    def beat(self) -> None:
        self._last_beat = time.monotonic()
        # The folder goes when the worker does.
        if self._file.parent.is_dir():
            self._file.touch()

    def run(self) -> None:
        while not _is_stopping():
            began, pause = time.monotonic(), min(5.0, self._stall_seconds / 4)
            time.sleep(pause)
            if self._last_beat is None or _is_stopping():
                continue
            if time.monotonic() - began > pause + self._stall_seconds / 4:
                # The process was halted as a whole, and the loop has had no time to beat since.
                self._last_beat = self._idle_since = time.monotonic()
                continue
            if time.monotonic() - self._last_beat > self._stall_seconds:
                _leave(STALLED, "its event loop has stood still")
            if self._seconds_without_work() > self._stall_seconds:
                _leave(NOT_CONSUMING, "messages wait in its queue, and it does not take them")

    def _seconds_without_work(self) -> float:
        """How long messages have been waiting that this worker could have taken."""
        received = sum(worker_state.total_count.values())
        now = time.monotonic()
        if received != self._received or self._is_busy() or not self._messages_wait():
            self._received, self._idle_since = received, now
        return now - self._idle_since

    def _is_busy(self) -> bool:
        return len(worker_state.reserved_requests) >= int(self._worker.pool.num_processes)

    def _messages_wait(self) -> bool:
        queues = list(self._worker.app.amqp.queues.consume_from)
        try:
            return any(self._redis.llen(name) for queue in queues for name in lists_of_queue(queue))
        except redis.RedisError:
            return False


def _is_stopping() -> bool:
    return worker_state.should_stop is not None or worker_state.should_terminate is not None


def _leave(status: int, reason: str) -> None:
    logger.critical("the worker ends because %s for QUIRE_STALL_SECONDS", reason)
    logging.shutdown()
    os._exit(status)


def main() -> int:
    """Whether a worker of this machine or container is alive: 0, or 1 with a sentence."""
    settings = get_settings()
    folders = settings.quire_runtime_dir.absolute().glob(f"worker-*/{_FILE}")
    ages = [time.time() - file.stat().st_mtime for file in folders]
    if ages and min(ages) <= settings.quire_stall_seconds:
        return 0
    youngest = f"The youngest sign of life is {min(ages):.0f} s old." if ages else "No worker has given a sign of life."
    sys.stderr.write(f"{youngest} (QUIRE_RUNTIME_DIR={settings.quire_runtime_dir})\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

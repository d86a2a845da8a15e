"""Commands of images while they run: up, asked to stop, gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery import Celery

from quire.embedded import ChildProcess
from quire.queues import create_celery
from quire.settings import Settings


def app_of(queues: dict[str, str]) -> Celery:
    return create_celery(Settings.model_validate({name.lower(): value for name, value in queues.items()}))


def wait_until(condition: Callable[[], bool], process: ChildProcess, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.exit_status is None, process.last_lines(40)
        assert time.monotonic() < deadline, process.last_lines(40)
        time.sleep(0.05)


def is_ready(process: ChildProcess) -> bool:
    return " ready." in process.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(process: ChildProcess, is_up: Callable[[ChildProcess], bool] = is_ready) -> Iterator[ChildProcess]:
    """A process that is up; at the end it is asked to stop and must end well, long before any supervisor's patience."""
    with process:
        wait_until(lambda: is_up(process), process)
        yield process
        # Uvicorn ends in good order and then repeats the signal; to a container's first process that is nothing.
        assert _stopped(process) in (0, -signal.SIGTERM if "uvicorn" in process.last_lines(40) else 0)


def _stopped(process: ChildProcess, seconds: float = 10) -> int | None:
    """The exit status after SIGTERM."""
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while process.exit_status is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return process.exit_status

"""A worker that was asked to stop has stopped within `QUIRE_DRAIN_SECONDS`, whatever it is doing.

Processes finish the page they are on and give the others back. Those that are not done near the end are interrupted as
by a soft time limit: the page flow gives back what it has begun, and it counts as no attempt. Then Celery's cold
shutdown hands every running task back to its queue; and what ignores even that is ended.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Final

from celery.worker import state as worker_state

from quire.queues import OCR_TASKS
from quire.settings import Settings

logger = logging.getLogger(__name__)

# Of the time there is.
_INTERRUPT, _HAND_BACK = 0.7, 0.85
_FORCED: Final = 1

_begun = threading.Event()


def end_within(settings: Settings, app: Any) -> None:
    """See to it that this worker ends, from a thread of its own. Asked again, the first time counts."""
    if _begun.is_set():
        return
    _begun.set()
    threading.Thread(target=_see_to_it, args=(settings, app), name="drain", daemon=True).start()


def _see_to_it(settings: Settings, app: Any) -> None:
    begun, seconds = time.monotonic(), settings.quire_drain_seconds
    _sleep_until(begun + seconds * _INTERRUPT)
    # Without a database the document is one task: interrupted it would have failed.
    interrupted = _processes(OCR_TASKS) if settings.database_url else []
    if interrupted:
        logger.warning("draining: pages still in work are given back")
        _signal(interrupted, signal.SIGUSR1)
    _sleep_until(begun + seconds * _HAND_BACK)
    if _processes():
        logger.warning("draining: running tasks are handed back")
        # Celery would sleep this long whether or not anything runs.
        app.conf.worker_soft_shutdown_timeout = 0.0
        os.kill(os.getpid(), signal.SIGQUIT)
    _sleep_until(begun + seconds)
    logger.critical("draining: the worker did not stop within QUIRE_DRAIN_SECONDS and is ended")
    _signal(_processes(), signal.SIGKILL)
    os._exit(_FORCED)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _processes(names: tuple[str, ...] = ()) -> list[int]:
    """The processes that run a task now, one of these where `names` are given."""
    active = list(worker_state.active_requests)
    return [request.worker_pid for request in active if request.worker_pid and (not names or request.name in names)]


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)

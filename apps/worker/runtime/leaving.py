"""A process of a worker that was asked to stop is gone as soon as its work is done.

billiard has each process that ends wait one more second, for the main process to read that it does. A worker that stops
does not read that any more: it waits for the process.
"""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from runtime.pool import is_draining


def install() -> None:
    """Connect to the signal of processes that end. Call it last: what is connected after it is not heard."""
    signals.worker_process_shutdown.connect(_leave, weak=False)


def _leave(exitcode: int = 0, **_: Any) -> None:
    # Its results have been read: it has waited for that.
    if is_draining():
        os._exit(exitcode)

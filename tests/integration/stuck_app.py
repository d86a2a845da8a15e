"""The worker's Celery app with an engine that gets stuck on page 2, and a worker that gets stuck itself.

`STUCK` says how: `python`, `native` (in native code), `locked` (in native code that holds the interpreter's lock),
`loop` (the worker's event loop stands still), `deaf` (the worker does not ask for messages any more).
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import os
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

from celery import bootsteps

from celery_app import celery_app
from ocr.engines import TextLine
from quire.pages import PageImage
from quire.settings import Settings
from runtime import pool

__all__ = ["celery_app"]

STUCK = os.environ["STUCK"]
STUCK_PAGE = 2
_BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


class StuckEngine:
    name = "stuck"
    version = "1"

    def warm_up(self) -> None:
        pass

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        for image in images:
            if image.number == STUCK_PAGE:
                get_stuck()
        return [[TextLine(f"page {image.number}", _BOX, 0.99)] for image in images]

    def describe(self) -> dict[str, Any]:
        return {"engine": self.name}


def get_stuck() -> None:
    if STUCK == "python":
        time.sleep(600)
    elif STUCK == "native":
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    elif STUCK == "locked":
        collections.deque(itertools.repeat(None), maxlen=0)


class Trouble(bootsteps.StartStopStep):  # type: ignore[misc]
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        if STUCK == "loop":
            consumer.timer.call_after(1.5, time.sleep, (600,))
        elif STUCK == "deaf":
            consumer.timer.call_after(1, consumer.task_consumer.channel._queue_cycle.update, ([],))


def _create_engine(settings: Settings, threads: int | None = None) -> StuckEngine:
    return StuckEngine()


celery_app.steps["consumer"].add(Trouble)
mock.patch.object(pool, "create_engine", _create_engine).start()

"""Jobs one after the other in a thread of their own, beside an event loop that has to go on hearing.

An engine belongs to one thread, and no two jobs may use it at once: one that nobody waits for any more is told to stop,
and the next one begins when it has. SIGTERM lets the job of the moment go on for most of `QUIRE_DRAIN_SECONDS`.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from quire.settings import Settings

T = TypeVar("T")
Job = TypeVar("Job")
Answer = TypeVar("Answer")

# Of the time that there is to stop in; pages in work need the rest.
_UNDISTURBED: Final = 0.7
# Of the time that a page may take: a job that has not stopped by then never will.
_DEAF: Final = 1.5
_STDERR: Final = 2


class OneThread(Generic[Job, Answer]):
    """Runs `work(job, should_stop)`; `should_stop()` turns True when the job was cancelled, or time is nearly over."""

    def __init__(self, work: Callable[[Job, Callable[[], bool]], Answer], settings: Settings) -> None:
        self._work = work
        self._undisturbed_seconds = settings.quire_drain_seconds * _UNDISTURBED
        self._deaf_seconds = settings.quire_page_seconds * _DEAF
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._stop_at: float | None = None
        self._hears: Any = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Do something else in that thread."""
        return self._executor.submit(call)

    async def call(self, call: Callable[[], T]) -> T:
        """The same, from the event loop."""
        return await asyncio.wrap_future(self.submit(call))

    async def run(self, job: Job) -> Answer:
        """What `work` answers. Cancelled, it returns at once, and the thread soon after.

        A thread that does not hear it, because native code never returns, takes the process with it: other jobs would
        wait behind it.
        """
        self._hear_sigterm()
        cancelled = threading.Event()
        running = self._executor.submit(self._work, job, lambda: cancelled.is_set() or self._is_time_over())
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            cancelled.set()
            if not running.done():
                faulthandler.dump_traceback_later(self._deaf_seconds, exit=True, file=_STDERR)
                running.add_done_callback(lambda _: faulthandler.cancel_dump_traceback_later())
            raise

    def stop_soon(self) -> None:
        """Let the job of the moment, and the next one, go on for most of the time there is. The first call counts."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._undisturbed_seconds

    def _is_time_over(self) -> bool:
        return self._stop_at is not None and time.monotonic() > self._stop_at

    def _hear_sigterm(self) -> None:
        """Hear SIGTERM before whoever listens now, which is known only once the loop of the platform runs."""
        listening = signal.getsignal(signal.SIGTERM)
        if listening is self._hears or not callable(listening):
            return

        def hear(number: int, frame: FrameType | None) -> None:
            self.stop_soon()
            listening(number, frame)

        self._hears = hear
        signal.signal(signal.SIGTERM, hear)

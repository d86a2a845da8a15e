"""RunPod's worker loop (the `runpod` package, 1.12) without three ways of losing a job.

As it is, after SIGTERM it waits for the answers to its long polls, up to 90 seconds, in which the platform may end it,
and a job that comes in one of them is taken and never begun. A result is sent once where the connection breaks. And
after a job whose id is no header every later request fails.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import FrameType
from typing import Any, Final, TypeVar

import aiohttp

logger = logging.getLogger(__name__)

T = TypeVar("T")
Job = dict[str, Any]
Call = Callable[..., Coroutine[Any, Any, T]]

# Between two requests for jobs, where the platform holds none open: it is away, or in trouble.
_PAUSE_SECONDS: Final = 0.5
# After SIGTERM: a job that the platform has just given out may be on its way.
_ON_ITS_WAY_SECONDS: Final = 2.0
# For the 10 MB that a result may have. The loop's own limit is ten minutes.
_SEND_SECONDS: Final = 30.0
_SENT_AGAIN_AFTER: Final = (1.0, 3.0, 10.0, 20.0)
_TOO_MANY_REQUESTS: Final = 429


class RunpodLoop:
    """Takes the place of the loop's own functions; `install` it before the loop starts.

    On SIGTERM, or Ctrl-C, an open request for jobs is soon given up; a job that comes before is done. The request for
    jobs to stop is open until no job is in work. Then the loop ends.
    """

    def __init__(self, stop_soon: Callable[[], None]) -> None:
        """`stop_soon` is called with each signal, in the main thread."""
        self._stop_soon = stop_soon
        self._is_stopping = False
        self._given_up = asyncio.Event()
        self._ended = asyncio.Event()
        self._end_loop: Callable[[int, FrameType | None], Any] | None = None

    def install(self, rp_scale: Any, rp_http: Any) -> None:
        """Put its own functions into these modules of `runpod.serverless.modules`."""
        rp_scale.get_job = self.taking(rp_scale.get_job)
        rp_scale.get_stop_signals = self.hearing_stops(rp_scale.get_stop_signals)
        rp_http._transmit = sending_again(rp_http._transmit)

    def taking(self, poll: Call[list[Job] | None]) -> Call[list[Job]]:
        """The loop's request for jobs, made only while no job is in work."""

        async def take(*arguments: Any) -> list[Job]:
            self._hear_signals()
            jobs: list[Job] = []
            try:
                if not self._is_stopping:
                    found = await _until(self._given_up, _unhurried(poll, *arguments))
                    jobs = [job for job in found or () if _can_be_answered(job)]
            finally:
                if self._is_stopping and not jobs:
                    self._end()
            return jobs

        return take

    def hearing_stops(self, poll: Call[list[str]]) -> Call[list[str]]:
        """The loop's request for the ids of jobs to stop."""

        async def hear_stops(*arguments: Any) -> list[str]:
            return await _until(self._ended, poll(*arguments)) or []

        return hear_stops

    def _hear_signals(self) -> None:
        """Hear them in place of the loop, whose handler is there by the time of its first request."""
        handler = signal.getsignal(signal.SIGTERM)
        if self._end_loop is not None or not callable(handler):
            return
        self._end_loop = handler
        loop = asyncio.get_running_loop()

        def hear(_number: int, _frame: FrameType | None) -> None:
            self._is_stopping = True
            self._stop_soon()
            loop.call_soon_threadsafe(loop.call_later, _ON_ITS_WAY_SECONDS, self._given_up.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hear)

    def _end(self) -> None:
        self._ended.set()
        if self._end_loop is not None:
            self._end_loop(signal.SIGTERM, None)


def sending_again(send: Call[None]) -> Call[None]:
    """The loop's request with a result, which it repeats where the answer is a server's error, and only there.

    Raises:
        aiohttp.ClientError, OSError: the platform refuses the result, or could not be reached for a minute.
    """

    async def send_again(*arguments: Any) -> None:
        for pause in (*_SENT_AGAIN_AFTER, None):
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send(*arguments)
                    return
            except (aiohttp.ClientError, OSError) as error:
                if pause is None or _is_refusal(error):
                    raise
                logger.warning("a result was not taken (%s); it is sent again in %.0f s", type(error).__name__, pause)
            await asyncio.sleep(pause)

    return send_again


def _is_refusal(error: Exception) -> bool:
    status = error.status if isinstance(error, aiohttp.ClientResponseError) else 0
    return 400 <= status < 500 and status != _TOO_MANY_REQUESTS


def _can_be_answered(job: Any) -> bool:
    """Whether the job has an id that can be a header, as the loop makes it one."""
    job_id = job.get("id") if isinstance(job, dict) else None
    if isinstance(job_id, str) and job_id and job_id.isprintable():
        return True
    logger.error("a job without a usable id was taken: it can be neither done nor refused")
    return False


async def _unhurried(poll: Call[T], *arguments: Any) -> T:
    """The poll; where it finds nothing, not before a pause has passed since it began."""
    begun = time.monotonic()
    found = None
    try:
        found = await poll(*arguments)
    finally:
        if not found:
            await asyncio.sleep(begun + _PAUSE_SECONDS - time.monotonic())
    return found


async def _until(event: asyncio.Event, call: Awaitable[T]) -> T | None:
    """What the call returns or raises; None if the event came first, and then the call is cancelled."""
    calling, coming = asyncio.ensure_future(call), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((calling, coming), return_when=asyncio.FIRST_COMPLETED)
    finally:
        coming.cancel()
        calling.cancel()
    return calling.result() if calling.done() else None

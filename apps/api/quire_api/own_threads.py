"""Threads for what takes long: however many such requests there are, all others are answered meanwhile.

A server has 40 threads for everything that is not asynchronous. Requests that wait for a foreign server, or for a
process that renders, would have them all; not even `/livez` would be answered then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")


class OwnThreads:
    """So many threads for one kind of work, at `most`; what is over that waits without one."""

    def __init__(self, name: str, most: int) -> None:
        self.most = most
        # Of the event loop that asks: a process may have several, one after the other.
        self._limiters: RunVar[CapacityLimiter] = RunVar(f"threads of {name}")

    async def run(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The result of a function that is run in a thread of its kind; raises what it raises."""
        limiter = self._limiters.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.most)
            self._limiters.set(limiter)
        return await to_thread.run_sync(partial(work, *arguments, **named), limiter=limiter)


FETCHES: Final = OwnThreads("fetches", 8)
IMAGES: Final = OwnThreads("images", 4)
EXPORTS: Final = OwnThreads("exports", 4)
STORES: Final = OwnThreads("stores", 16)
# Few: with forty at once, which all compute, some wait several times as long as others for the interpreter's lock.
SUBMISSIONS: Final = OwnThreads("submissions", 4)

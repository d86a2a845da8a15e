"""Watching documents: however many streams show one, it is looked at once a period, and only when it has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import islice
from typing import Final
from uuid import UUID

from anyio import CapacityLimiter, to_thread

from quire.database.listener import Listener
from quire.errors import QuireError
from quire_api.progress import Snapshot, Told, events

logger = logging.getLogger(__name__)

# Between two looks at one document; after a look that took long, so long that looking takes a fifth of the time.
_PERIOD_SECONDS: Final = 0.15
_LONGEST_PERIOD_SECONDS: Final = 5.0
# Looks at different documents at the same time: each holds a thread and a connection.
_LOOKS_AT_ONCE: Final = 4
_KEPT_ENCODINGS: Final = 64

# Gives a document as it is now; the snapshot before is there to be compared with and added to.
Look = Callable[[UUID, Snapshot | None], Snapshot]


class Watch:
    """One document, watched by any number of streams in the same event loop."""

    def __init__(self, document_id: UUID) -> None:
        self.document_id = document_id
        self.streams = 0
        self._snapshot: Snapshot | None = None
        self._is_closed = False
        self._moved = asyncio.Event()
        self._encoded: dict[Told, list[tuple[bytes, Told]]] = {}

    async def next(self, known: Snapshot | None) -> Snapshot | None:
        """The latest snapshot, as soon as it is another one than `known`; None when the process is about to end.

        Snapshots in between are left out, so a slow stream has nothing that piles up.
        """
        while not self._is_closed and self._snapshot is known:
            await self._moved.wait()
        return None if self._is_closed else self._snapshot

    def events(self, told: Told, now: Snapshot) -> Iterator[tuple[bytes, Told]]:
        """As `progress.events`, made once for all streams that know the same."""
        if now is not self._snapshot:
            return events(told, now)
        made = self._encoded.get(told)
        if made is None:
            made = list(islice(events(told, now), 2))
            if len(made) == 2:
                # Long: made bit by bit, as fast as the client takes it.
                return events(told, now)
            if len(self._encoded) < _KEPT_ENCODINGS:
                self._encoded[told] = made
        return iter(made)

    def publish(self, snapshot: Snapshot) -> None:
        """Let every stream have this snapshot."""
        self._snapshot = snapshot
        self._encoded.clear()
        self._wake()

    def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def follow(self, listener: Listener, look: Look, limiter: CapacityLimiter) -> None:
        """Look at the document whenever it may have changed, and publish what is new, until cancelled."""
        loop, dirty = asyncio.get_running_loop(), asyncio.Event()
        with listener.watching(self.document_id, partial(_set_soon, loop, dirty)):
            while True:
                dirty.clear()
                begun_at = loop.time()
                try:
                    known = self._snapshot
                    snapshot = await to_thread.run_sync(look, self.document_id, known, limiter=limiter)
                    if snapshot != known:
                        self.publish(snapshot)
                except QuireError as error:
                    logger.warning("document %s cannot be looked at, will try again: %s", self.document_id, error.code)
                except Exception:
                    # Streams would wait for a task that is no more.
                    logger.exception("document %s cannot be looked at, will try again", self.document_id)
                took = loop.time() - begun_at
                await asyncio.sleep(min(max(_PERIOD_SECONDS, 4 * took), _LONGEST_PERIOD_SECONDS))
                with suppress(TimeoutError):
                    await asyncio.wait_for(dirty.wait(), listener.poll_seconds)


class Watches:
    """The documents that are watched in this process."""

    def __init__(self, listener: Callable[[], Listener], look: Look) -> None:
        self._listener = listener
        self._look = look
        self._limiter = CapacityLimiter(_LOOKS_AT_ONCE)
        self._watches: dict[UUID, tuple[Watch, asyncio.Task[None]]] = {}
        self._is_closed = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(watch.streams for watch, _ in self._watches.values())

    @property
    def documents(self) -> int:
        """How many documents are watched."""
        return len(self._watches)

    @asynccontextmanager
    async def watching(self, document_id: UUID) -> AsyncIterator[Watch]:
        """Watch a document for as long as the block lasts."""
        if document_id not in self._watches:
            watch = Watch(document_id)
            if self._is_closed:
                watch.close()
            task = asyncio.create_task(watch.follow(self._listener(), self._look, self._limiter))
            self._watches[document_id] = (watch, task)
        watch, task = self._watches[document_id]
        watch.streams += 1
        try:
            yield watch
        finally:
            watch.streams -= 1
            if watch.streams == 0:
                del self._watches[document_id]
                task.cancel()

    def close(self) -> None:
        """End all streams, those to come as well; clients connect again, to another process."""
        self._is_closed = True
        for watch, _ in self._watches.values():
            watch.close()


def _set_soon(loop: asyncio.AbstractEventLoop, dirty: asyncio.Event) -> None:
    # The loop may be closed by now.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(dirty.set)

"""Many clients of one document's progress events, in one event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID


@dataclass
class StreamClient(asyncio.Protocol):
    """One connection. What comes is kept as it is, with its time, and read when all is over: reading costs time."""

    request: bytes
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self.request)

    def data_received(self, data: bytes) -> None:
        self.chunks.append((time.time(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def page_times(self) -> list[tuple[int, float]]:
        """Number of each page event, and when it came."""
        found: list[tuple[int, float]] = []
        rest = b""
        for at, data in self.chunks:
            *blocks, rest = (rest + data).split(b"\n\n")
            for block in blocks:
                lines = block.split(b"\n")
                if b"event: page" in lines:
                    content = next(line for line in lines if line.startswith(b"data: "))
                    found.append((json.loads(content[6:])["page_number"], at))
        return found


@dataclass(frozen=True)
class Received:
    """What all clients got: seconds from the commit of a page to each receipt, and whether each got each page once."""

    delays: Sequence[float]
    every_page_once: bool


async def open_streams(url: str, document_id: UUID, count: int) -> list[StreamClient]:
    """Open `count` streams, and wait until each has had its first event."""
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    # Of version 1.0: no chunks, and the body lasts as long as the connection.
    request = f"GET /api/v1/documents/{document_id}/events HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(count):
        _, client = await loop.create_connection(lambda: StreamClient(request), host, port)
        clients.append(client)
    async with asyncio.timeout(60):
        while not all(b"event: document" in b"".join(data for _, data in client.chunks) for client in clients):
            await asyncio.sleep(0.05)
    return clients


async def wait_until_closed(clients: Sequence[StreamClient], seconds: float) -> None:
    """Wait until the server has closed each stream.

    Raises:
        TimeoutError: it has not.
    """
    async with asyncio.timeout(seconds):
        for client in clients:
            await client.closed.wait()


def summarise(clients: Sequence[StreamClient], committed: dict[int, float]) -> Received:
    """Compare what came with what was committed: when, by page."""
    delays: list[float] = []
    complete = True
    once = Counter(committed.keys())
    for client in clients:
        times = client.page_times()
        complete = complete and Counter(number for number, _ in times) == once
        delays += [at - committed[number] for number, at in times if number in committed]
    return Received(delays, complete)

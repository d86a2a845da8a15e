"""Holds an endpoint to a time and a size for its whole answer: the HTTP client's time limit is one for each piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx

# Far more than any model writes in an answer.
MOST_BYTES: Final = 16 * 1024 * 1024


class _BoundedStream(httpx.SyncByteStream):
    """The bytes of an answer, until there are too many or it has taken too long."""

    def __init__(self, stream: httpx.SyncByteStream, seconds: float) -> None:
        self._stream = stream
        self._ends_at = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            size += len(piece)
            if time.monotonic() > self._ends_at:
                raise httpx.ReadTimeout("The answer took too long.")
            if size > MOST_BYTES:
                raise httpx.ReadError("The answer is too long.")
            yield piece

    def close(self) -> None:
        self._stream.close()


def bounding(seconds: float) -> Callable[[httpx.Response], None]:
    """A hook for answers whose body is still to be read: it may take so many seconds, and have `MOST_BYTES`."""

    def bound(response: httpx.Response) -> None:
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _BoundedStream(response.stream, seconds)

    return bound

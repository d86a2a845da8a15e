"""Pages that could not be rendered a moment ago: to try again may cost a process its life, or half a minute."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from quire.errors import Corrupt, OutOfMemory, PageTimeout, QuireError, error_from

_SECONDS: Final = 300.0
_MOST: Final = 1000


class PageFailures:
    """Errors of the last five minutes, by page. Safe to use from threads."""

    def __init__(self, seconds: float = _SECONDS, most: int = _MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[float, QuireError]] = OrderedDict()

    @contextmanager
    def remembered(self, page: Hashable) -> Iterator[None]:
        """Remember how the block fails; raise that at once for a page that failed before.

        Only what is the page's fault is remembered: a store that does not answer may answer the next time.
        """
        with self._lock:
            until, error = self._known.get(page, (0.0, None))
        if error is not None and self._now() < until:
            # Another one each time: a raised error holds on to what it was raised through.
            raise error_from(error.code, error.message)
        try:
            yield
        except (Corrupt, OutOfMemory, PageTimeout) as failure:
            self._remember(page, failure)
            raise

    def _remember(self, page: Hashable, failure: QuireError) -> None:
        with self._lock:
            self._known[page] = (self._now() + self._seconds, error_from(failure.code, failure.message))
            self._known.move_to_end(page)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


@lru_cache(maxsize=1)
def page_failures() -> PageFailures:
    """This process's."""
    return PageFailures()

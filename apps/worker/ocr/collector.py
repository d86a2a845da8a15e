"""Python's garbage collector, out of the way while a page is put together."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Put garbage collection off to the end of the block.

    A page is thousands of small objects that all live until it is done. While they are made, the collector looks at
    them some ten times and finds nothing, and every few pages at all the process has: a third of a page's time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

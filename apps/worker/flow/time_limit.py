"""A limit on the time of a page: first an error in Python code, then the end of a process that does not hear it.

While native code runs no signal handler does, and where it holds the interpreter's lock no thread of Python either.
The second limit is therefore `faulthandler`'s, whose thread needs no lock: it writes to stderr where every thread is,
and ends the process. The page's attempt has been counted, and another process goes on with its document.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from quire.errors import PageTimeout

# Of the limit; the time in which Python code can still end by itself.
_LAST_CALL: Final = 1.5
_STDERR: Final = 2


@contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Limit what is done in the block, which may not be nested; after half as long again the process ends.

    Outside of a process's main thread, where no signal can be handled, there is no limit.

    Raises:
        PageTimeout: with this message, after `seconds`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise PageTimeout(message)

    before = signal.signal(signal.SIGALRM, stop)
    faulthandler.dump_traceback_later(seconds * _LAST_CALL, exit=True, file=_STDERR)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)

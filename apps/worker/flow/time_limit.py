"""A limit on the time of a page: first an error in Python code, then the end of a process that does not hear it.

While native code runs no signal handler does, and where it holds the interpreter's lock no thread of Python either.
The second limit is therefore `faulthandler`'s, whose thread needs no lock: it writes to stderr where every thread is,
and ends the process. The page's attempt has been counted, and another process goes on with its document.
"""

from __future__ import annotations

import ctypes
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

    The end of the process is for one thread at a time: where several have such blocks it is uncertain.

    Raises:
        PageTimeout: with this message, after `seconds`.
    """
    is_main = threading.current_thread() is threading.main_thread()
    faulthandler.dump_traceback_later(seconds * _LAST_CALL, exit=True, file=_STDERR)
    try:
        with _by_signal(seconds, message) if is_main else _by_thread(seconds, message):
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _by_signal(seconds: float, message: str) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise PageTimeout(message)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _OutOfTimeError(BaseException):
    """Raised in a thread from outside, where only a class can be. Nothing on its way takes it for a page's error."""


@contextmanager
def _by_thread(seconds: float, message: str) -> Iterator[None]:
    """For threads that no signal reaches, such as the one of the serverless handler."""
    thread, guard, is_over = threading.get_ident(), threading.Lock(), threading.Event()

    def stop() -> None:
        with guard:
            if not is_over.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_OutOfTimeError))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        try:
            yield
        finally:
            timer.cancel()
            with guard:
                is_over.set()
    except _OutOfTimeError:
        raise PageTimeout(message) from None

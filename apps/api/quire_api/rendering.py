"""Work on hostile files in processes of its own: what crashes, hangs or takes all memory there costs one request.

A few processes are kept, each does one thing at a time. One that ends or takes too long is replaced.
"""

from __future__ import annotations

import io
import multiprocessing
import queue
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from quire import media_types
from quire.errors import Corrupt, OutOfMemory, PageTimeout, QuireError, error_from
from quire.pages.base import PageLimits
from quire.settings import MIB

T = TypeVar("T")

_PROCESSES: Final = 2
_SECONDS: Final = 30.0
_START_SECONDS: Final = 60.0
# Of what a process may allocate; allocators reserve several times what they use.
_MEMORY: Final = 6 * 1024 * MIB
_QUALITY: Final = 88


@dataclass(frozen=True)
class Rendering:
    """A page of a file as an image: at `dpi` where it is a PDF's, and not wider than `width` pixels."""

    path: Path
    number: int
    dpi: float
    width: int | None
    limits: PageLimits


def render_jpeg(wanted: Rendering) -> bytes:
    """The page as JPEG, as the reader sees it. Raises as `open_source` and `PageSource.image`."""
    from PIL import Image

    from quire.pages import open_source

    with open_source(wanted.path, wanted.limits) as source:
        # An image's page may be called by the number it has in something larger.
        is_one_image = source.page_count == 1 and source.media_type != media_types.PDF
        page = source.image(1 if is_one_image else wanted.number, wanted.dpi)
    image = Image.fromarray(page.pixels)
    if wanted.width is not None and wanted.width < image.width:
        height = max(1, round(image.height * wanted.width / image.width))
        image = image.resize((wanted.width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY, progressive=True)
    return content.getvalue()


class Renderers:
    """Processes that do what they are given, one thing each at a time. Safe to use from threads."""

    def __init__(self, processes: int = _PROCESSES, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            # Started when it is needed first.
            self._free.put(None)

    def render(self, wanted: Rendering) -> bytes:
        """A page as JPEG.

        Raises:
            QuireError: what `render_jpeg` raises; `Corrupt`, `PageTimeout` or `OutOfMemory` where the process did not
                survive it.
        """
        return self.run(render_jpeg, wanted)

    def run(self, work: Callable[..., T], *arguments: Any, seconds: float | None = None) -> T:
        """The result of a module's function on arguments that can be pickled; raises what it raises, if typed."""
        process = self._free.get()
        try:
            if process is not None and not process.is_alive():
                # Nobody used it: what ended it says nothing about this work.
                process.end()
                process = None
            if process is None:
                process = _Process()
            return process.run(work, arguments, seconds or self._seconds)
        except _Ended as ended:
            process = None
            raise ended.error from None
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes that are free."""
        while not self._free.empty():
            process = self._free.get_nowait()
            if process is not None:
                process.end()


@lru_cache(maxsize=1)
def renderers() -> Renderers:
    """This process's."""
    return Renderers()


class _Ended(Exception):
    def __init__(self, error: QuireError) -> None:
        super().__init__(error.message)
        self.error = error


class _Process:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="quire-rendering", daemon=True)
        self._process.start()
        theirs.close()
        # Not before it is ready does the time of a request begin.
        if not self._is_ready():
            self.end()
            raise _Ended(QuireError("The process that renders pages did not start; the API's log may say why."))

    def _is_ready(self) -> bool:
        try:
            return self._connection.poll(_START_SECONDS) and bool(self._connection.recv())
        except (EOFError, OSError):
            return False

    def is_alive(self) -> bool:
        # It says nothing unasked: what can be read is the end of the connection.
        return self._process.is_alive() and not self._connection.poll()

    def run(self, work: Callable[..., T], arguments: tuple[Any, ...], seconds: float) -> T:
        try:
            self._connection.send((work, arguments))
            if not self._connection.poll(seconds):
                self.end()
                raise _Ended(PageTimeout("The page took longer to render than it may."))
            kind, value, message = self._connection.recv()
        except (EOFError, OSError):
            self.end()
            raise _Ended(Corrupt("The page ended the process that rendered it. The file is damaged.")) from None
        if kind == "error":
            raise error_from(value, message)
        result: T = value
        return result

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection) -> None:
    """What a process does: one thing after the other, until its parent is gone."""
    # Ctrl-C reaches everything in a terminal; the server ends this process when it has ended its requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY if hard < 0 else min(_MEMORY, hard), hard))
    connection.send("ready")
    while True:
        try:
            work, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_done(work, arguments))


def _done(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any, str]:
    try:
        return "done", work(*arguments), ""
    except QuireError as error:
        return "error", error.code, error.message
    except MemoryError:
        return "error", OutOfMemory.code, "The page needs more memory than there is."
    except Exception as error:
        return "error", Corrupt.code, f"The page cannot be rendered ({type(error).__name__})."

"""An engine that reads the cells of `tests.chaos.serials`, takes as long for it as it is told, and dies of some."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any, Final

from ocr.engines import TextLine
from quire.pages import PageImage
from tests.chaos.serials import is_deadly, read_cells, text_of

# The name of the variable that says how long a page takes.
PAGE_MILLISECONDS: Final = "CHAOS_PAGE_MILLISECONDS"
_BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


class CellsEngine:
    """Reads each page as one line: the text of the serial number that its pixels show."""

    name = "cells"
    version = "1"

    def __init__(self) -> None:
        self._page_seconds = float(os.environ.get(PAGE_MILLISECONDS, "0")) / 1000

    def warm_up(self) -> None:
        pass

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        return [[TextLine(self._read(image), _BOX, 0.99)] for image in images]

    def _read(self, image: PageImage) -> str:
        time.sleep(self._page_seconds)
        try:
            serial = read_cells(image.pixels)
        except ValueError as error:
            # Text that belongs to no page, which the checker will find.
            return str(error)
        if is_deadly(serial):
            _die(serial)
        return text_of(serial)

    def describe(self) -> dict[str, Any]:
        return {"engine": self.name}


def _die(serial: int) -> None:
    """End the process as native code does that crashes, or that calls `exit`."""
    if serial % 2:
        os._exit(1)
    os.kill(os.getpid(), signal.SIGSEGV)

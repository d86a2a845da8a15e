"""An engine that costs nothing, for tests of everything around the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ocr.engines import TextLine
from quire.pages import PageImage

_BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


class InstantEngine:
    """Reads every page as one line that says how large it is; `before` runs first and may raise."""

    name = "instant"
    version = "1"

    def __init__(self, before: Callable[[PageImage], None] | None = None) -> None:
        self._before = before
        self.read: list[int] = []

    def warm_up(self) -> None:
        pass

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        lines = []
        for image in images:
            if self._before is not None:
                self._before(image)
            self.read.append(image.number)
            lines.append([TextLine(f"{image.width} x {image.height}", _BOX, 0.9)])
        return lines

    def describe(self) -> dict[str, Any]:
        return {"engine": self.name}

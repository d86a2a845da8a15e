"""An engine over another one: what it does not change is the other one's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ocr.engines.base import OcrEngine, TextLine
from quire.pages import PageImage


class EngineOver:
    """An `OcrEngine` that passes everything on; subclasses add `recognize_pages`, which makes it a `PageEngine`."""

    def __init__(self, inner: OcrEngine) -> None:
        self._inner = inner
        self.name = inner.name

    @property
    def version(self) -> str:
        """See `OcrEngine.version`."""
        return self._inner.version

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""
        self._inner.warm_up()

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`: parts of pages, which are read as they are."""
        return self._inner.recognize(images, languages)

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return self._inner.describe()

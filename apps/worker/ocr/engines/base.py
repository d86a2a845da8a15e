"""What every OCR engine can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from quire.contracts import Box
from quire.pages import PageImage


@dataclass(frozen=True)
class TextWord:
    """One word of a line: a run without white space. `box` and `confidence` are as those of `TextLine`."""

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True)
class TextLine:
    """One line as an engine or a text layer gives it.

    `box` is in pixels of the page image, clockwise from the text's own top left. `confidence` is from 0 to 1. `words`
    are in the order of the text; empty where an engine does not know them.
    """

    text: str
    box: Box
    confidence: float
    words: tuple[TextWord, ...] = ()


class OcrEngine(Protocol):
    """Reads page images. An engine belongs to one process and one thread."""

    name: str

    @property
    def version(self) -> str:
        """What decides the text that comes out: library, runtime, models."""

    def warm_up(self) -> None:
        """Load the models and read once, so that the first page is as fast as the next.

        Raises:
            EngineUnavailable: a library or a model is missing or damaged.
        """

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """The lines of each image, unfiltered and in no particular order.

        Raises:
            EngineUnavailable: there is no model for these languages.
            OutOfMemory: the images do not fit the device's memory.
        """

    def describe(self) -> dict[str, Any]:
        """Models, device and runtime, for `tasks.diagnostics`."""

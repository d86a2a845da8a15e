"""What every OCR engine can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from quire.contracts import Block, Box, Mode, PageTransform
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


@dataclass(frozen=True)
class ReadRequest:
    """What a caller asks an engine for: languages as PaddleOCR's codes, and whether single lines may be upside down."""

    languages: tuple[str, ...]
    textline_orientation: bool = False
    mode: Mode = "text"


@dataclass(frozen=True)
class PageContent:
    """What an engine says of a page image. All places are in pixels of that image.

    `lines` may come in any order and be empty, where an engine knows no places: then `text` says it all. `blocks` are
    in the order of the page, without lines, which `read.py` puts into them. `pictures` are RGB pixels cut out of the
    page, by the index of their block. `transform` is what was done to the image before it was read.
    """

    lines: tuple[TextLine, ...]
    blocks: tuple[Block, ...] = ()
    text: str | None = None
    markdown: str | None = None
    pictures: Mapping[int, npt.NDArray[np.uint8]] = field(default_factory=dict)
    transform: PageTransform | None = None


class OcrEngine(Protocol):
    """Reads page images. An engine belongs to one process and one thread.

    This is all that an engine of lines needs. One that sees more, or takes a request's options, is a `PageEngine`.
    """

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


@runtime_checkable
class PageEngine(Protocol):
    """An `OcrEngine` that says more of a page than its lines.

    `recognize` is what parts of pages are read with. An engine that knows no places gives one line around everything.
    One that answers mode structure itself, so that PP-StructureV3 is not asked, has `formats_pages = True` as well.
    """

    name: str

    @property
    def version(self) -> str:
        """See `OcrEngine.version`."""

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`."""

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """The content of each image. Raises as `recognize`."""


def read_images(engine: OcrEngine, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
    """The content of each image, by any engine. Raises as `OcrEngine.recognize`."""
    if isinstance(engine, PageEngine):
        return engine.recognize_pages(images, request)
    return [PageContent(tuple(lines)) for lines in engine.recognize(images, request.languages)]

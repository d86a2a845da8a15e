"""The engines of one process: which one reads a document, by the document's options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ocr.engines.base import OcrEngine, PageContent, PageEngine, ReadRequest, TextLine, read_images
from quire.contracts import Mode
from quire.errors import EngineUnavailable
from quire.pages import PageImage
from quire.settings import Settings

if TYPE_CHECKING:
    from ocr.engines.structure import StructureEngine
    from ocr.preparation.engine import Preparation


class EngineOptions(Protocol):
    """The options of a document that an engine is chosen by."""

    @property
    def mode(self) -> Mode: ...
    @property
    def doc_orientation(self) -> bool: ...
    @property
    def doc_unwarping(self) -> bool: ...


class Engines:
    """The engine of text, and beside it that of structure and the models that prepare pages, loaded when first needed.

    As an `OcrEngine` it is the one of text; `for_options` gives the one for a document.
    """

    def __init__(self, text: OcrEngine, settings: Settings, threads: int | None = None) -> None:
        self._text = text
        self._settings = settings
        self._threads = threads or settings.quire_ocr_threads or len(os.sched_getaffinity(0))
        self.name = text.name

    @property
    def version(self) -> str:
        """See `OcrEngine.version`."""
        return self._text.version

    def warm_up(self) -> None:
        """Load the engine of text, and that of structure where its configuration is given."""
        self._text.warm_up()
        if self._settings.paddleocr_pipeline_config is not None:
            self._structure.warm_up()
            prepared, models = self._structure.preparation, self._structure_preparation
            if prepared.orientation:
                _ = models.orientation
            if prepared.flattening:
                _ = models.flattening

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`."""
        return self._text.recognize(images, languages)

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`."""
        return read_images(self._text, images, request)

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return self._text.describe()

    def for_options(self, options: EngineOptions) -> OcrEngine:
        """The engine that reads a document with these options. It is loaded when it reads."""
        from ocr.preparation.engine import PreparingEngine

        orientation, flattening = options.doc_orientation, options.doc_unwarping
        if options.mode == "text" or self._text_formats:
            if not (orientation or flattening):
                return self._text
            return PreparingEngine(self._text, self._preparation, orientation=orientation, flattening=flattening)
        # Its configuration may have pages prepared whoever asks.
        configured = self._structure.preparation
        orientation, flattening = orientation or configured.orientation, flattening or configured.flattening
        if not (orientation or flattening):
            return self._structure
        return PreparingEngine(
            self._structure, self._structure_preparation, orientation=orientation, flattening=flattening
        )

    @property
    def _text_formats(self) -> bool:
        """Whether the engine of text answers mode structure: it can, and nobody has set PP-StructureV3 up."""
        return getattr(self._text, "formats_pages", False) and self._settings.paddleocr_pipeline_config is None

    @cached_property
    def _structure(self) -> StructureEngine:
        from ocr.engines.structure import StructureEngine

        return StructureEngine(self._settings, self._threads)

    @cached_property
    def _preparation(self) -> Preparation:
        from ocr.preparation.engine import Preparation

        return Preparation(self._settings, self._threads)

    @cached_property
    def _structure_preparation(self) -> Preparation:
        configured = self._structure.preparation
        if configured.orientation_model is None and configured.flattening_model is None:
            return self._preparation
        from ocr.preparation.engine import Preparation

        return Preparation(self._settings, self._threads, configured.orientation_model, configured.flattening_model)


def engine_for(engine: OcrEngine, options: EngineOptions) -> OcrEngine:
    """The engine for a document with these options, where `engine` is that of a process, or just one.

    Raises:
        EngineUnavailable: a single engine was given that cannot do what is asked for.
    """
    if isinstance(engine, Engines):
        return engine.for_options(options)
    if options.mode == "structure" and not isinstance(engine, PageEngine):
        raise EngineUnavailable(f"The engine {engine.name} reads lines only: ask for mode text.")
    if options.doc_orientation or options.doc_unwarping:
        raise EngineUnavailable(
            f"The engine {engine.name} reads pages as they are: leave doc_orientation and doc_unwarping out."
        )
    return engine

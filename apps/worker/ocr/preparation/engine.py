"""An engine whose pages are turned upright and flattened first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ocr import turns
from ocr.engines.base import OcrEngine, PageContent, ReadRequest, read_images
from ocr.engines.over import EngineOver
from ocr.preparation.flattening import MODEL as FLATTENING_MODEL
from ocr.preparation.flattening import Flattening, flattened
from ocr.preparation.orientation import MODEL as ORIENTATION_MODEL
from ocr.preparation.orientation import Orientation
from ocr.preparation.prepared import PreparedPage
from quire.pages import PageImage
from quire.settings import Settings


@dataclass
class Preparation:
    """The models of one process, each loaded when it is first needed: from below `QUIRE_MODEL_DIR`, if not given."""

    settings: Settings
    threads: int
    orientation_model: Path | None = None
    flattening_model: Path | None = None

    @cached_property
    def orientation(self) -> Orientation:
        """Raises `EngineUnavailable` where its model is missing or damaged."""
        return Orientation(self.settings.quire_model_dir, self.threads, self.orientation_model)

    @cached_property
    def flattening(self) -> Flattening:
        """Raises `EngineUnavailable` where its model is missing or damaged."""
        return Flattening(self.settings.quire_model_dir, self.threads, self.flattening_model)


class PreparingEngine(EngineOver):
    """A `PageEngine` over another one. Boxes it gives are on the page images it was given."""

    def __init__(self, inner: OcrEngine, preparation: Preparation, *, orientation: bool, flattening: bool) -> None:
        super().__init__(inner)
        self._preparation = preparation
        self._orientation = orientation
        self._flattening = flattening

    @property
    def version(self) -> str:
        """That of the other engine, and the models before it."""
        models = [ORIENTATION_MODEL] * self._orientation + [FLATTENING_MODEL] * self._flattening
        return "+".join([self._inner.version, *models])

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`."""
        pages = [self._prepared(image) for image in images]
        found = read_images(self._inner, [page.image for page in pages], request)
        return [page.content(content) for page, content in zip(pages, found, strict=True)]

    def _prepared(self, image: PageImage) -> PreparedPage:
        quarters, confidence = self._preparation.orientation.quarters(image) if self._orientation else (0, None)
        seen = turns.upright(image, quarters)
        if not self._flattening:
            return PreparedPage(seen, image.width, image.height, quarters, confidence)
        grid = self._preparation.flattening.grid(seen)
        return PreparedPage(flattened(seen, grid), image.width, image.height, quarters, confidence, grid)

"""Quire: the product's own way from a file to text, its settings from the environment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.systems.base import PageResult
from ocr.engines import create_engine
from ocr.images_on_demand import ImagesOnDemand
from ocr.read import ReadOptions, read_page, read_pages
from quire.contracts import OcrOptions, PageText
from quire.pages import PageImage, open_source
from quire.settings import get_settings

_MOST_PIXELS: Final = 1_000_000_000


class QuireSystem:
    """Reads pages one by one, or hands `in_flight` of them to the engine at once."""

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        settings = get_settings()
        self._engine = create_engine(settings)
        self._engine.warm_up()
        self._options = ReadOptions.resolve(OcrOptions(), settings)

    def versions(self) -> dict[str, Any]:
        """See `System.versions`."""
        return {**self._engine.describe(), "version": self._engine.version}

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """See `System.read`. It renders PDF pages itself."""
        if document is not None:
            return self._read_document(document, range(1, len(images) + 1))
        if self._in_flight == 1:
            return [result for image in images for result in self._read_document(image, [1])]
        groups = (images[start : start + self._in_flight] for start in range(0, len(images), self._in_flight))
        return [result for group in groups for result in self._read_group(group)]

    def read_one(self, path: Path, number: int) -> PageResult:
        """One page of a file."""
        return self._read_document(path, [number])[0]

    def _read_document(self, path: Path, numbers: Sequence[int]) -> list[PageResult]:
        with open_source(path) as source:
            if self._in_flight == 1:
                pages = [read_page(source, number, self._options, self._engine) for number in numbers]
            else:
                pages = list(read_pages(source, numbers, self._options, self._engine))
        return [_result(page) for page in pages]

    def _read_group(self, paths: Sequence[Path]) -> list[PageResult]:
        images = ImagesOnDemand(self._image(paths[0]), [partial(self._image, path) for path in paths[1:]], _MOST_PIXELS)
        return [
            PageResult.of_lines(
                [(line.text, line.box) for line in lines if line.confidence >= self._options.min_confidence]
            )
            for lines in self._engine.recognize(images, self._options.languages)
        ]

    def _image(self, path: Path) -> PageImage:
        with open_source(path) as source:
            return source.image(1, self._options.dpi)


def _result(page: PageText) -> PageResult:
    return PageResult.of_lines([(found.text, found.box) for found in page.detections])

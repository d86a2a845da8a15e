"""OCR of the parts of a page that its text layer does not have: pictures, filled fields, notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ocr.engines import OcrEngine, TextLine
from ocr.text_layer import Rectangle, Region, TextLayer
from ocr.text_layer.characters import Floats
from ocr.text_layer.regions import beside, covered_area
from quire.contracts import Box
from quire.pages import PageImage
from quire.pages.pdf import POINTS_PER_INCH

Pixels = npt.NDArray[np.uint8]

# Around a region, so that text at its very edge is whole. Less than half of what keeps two regions apart.
MARGIN_POINTS: Final = 2.0
# An OCR line with this share of its box under words of the text layer is these words, read again.
MAX_SHARE_OF_LAYER: Final = 0.5


@dataclass(frozen=True)
class _Crop:
    image: PageImage
    left: int
    top: int


def read_regions(image: PageImage, layer: TextLayer, engine: OcrEngine, languages: Sequence[str]) -> list[TextLine]:
    """What the engine reads in the layer's regions and the layer does not say, with boxes in pixels of `image`.

    Raises:
        EngineUnavailable, OutOfMemory: as `OcrEngine.recognize`.
    """
    crops = [crop for region in layer.regions if (crop := _crop(image, region, layer)) is not None]
    if not crops:
        return []
    found = engine.recognize([crop.image for crop in crops], languages)
    lines = [_moved(line, crop.left, crop.top) for crop, lines in zip(crops, found, strict=True) for line in lines]
    return [line for line in lines if not _is_in_layer(line, layer)]


def _crop(image: PageImage, region: Region, layer: TextLayer) -> _Crop | None:
    """A region's pixels, or None where they are all of one colour."""
    margin = MARGIN_POINTS * layer.geometry.dpi / POINTS_PER_INCH
    left, top, right, bottom = region.box
    rows, columns = _pixels_of((left - margin, top - margin, right + margin, bottom + margin), image.pixels.shape)
    pixels = image.pixels[rows, columns].copy()
    _paint_over(pixels, beside(region.parts, layer.legible) - np.tile([columns.start, rows.start], 2))
    if (pixels == pixels[:1, :1]).all():
        return None
    return _Crop(replace(image, pixels=pixels), columns.start, rows.start)


def _paint_over(pixels: Pixels, words: Floats) -> None:
    """Paint words in their background's colour: OCR neither spends time on them nor takes half of one for a word."""
    for left, top, right, bottom in words.tolist():
        rows, columns = _pixels_of((left, top, right, bottom), pixels.shape)
        word = pixels[rows, columns]
        if word.size:
            # Ink covers less than half of a word's box.
            word[:] = np.median(word.reshape(-1, word.shape[2]), axis=0)


def _pixels_of(box: Rectangle, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of every pixel that a rectangle touches."""
    left, top = (max(0, math.floor(side)) for side in box[:2])
    right, bottom = min(shape[1], math.ceil(box[2])), min(shape[0], math.ceil(box[3]))
    return slice(top, max(top, bottom)), slice(left, max(left, right))


def _moved(line: TextLine, x: int, y: int) -> TextLine:
    words = tuple(replace(word, box=_shifted(word.box, x, y)) for word in line.words)
    return replace(line, box=_shifted(line.box, x, y), words=words)


def _shifted(box: Box, x: int, y: int) -> Box:
    a, b, c, d = ((round(px + x, 2), round(py + y, 2)) for px, py in box)
    return a, b, c, d


def _is_in_layer(line: TextLine, layer: TextLayer) -> bool:
    xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
    box = min(xs), min(ys), max(xs), max(ys)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return covered_area(box, layer.legible) > MAX_SHARE_OF_LAYER * area

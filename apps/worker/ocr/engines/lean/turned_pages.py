"""Pages whose text runs up, down or upside down: found by their lines, read upright, boxes put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ocr import turns
from ocr.engines.base import TextLine
from ocr.engines.lean.reading import Reading
from quire.contracts import Box
from quire.pages import PageImage

_ABOUT_AS_WELL: Final = 0.9


def page_quarters(readings: Sequence[Reading]) -> int:
    """Quarter turns clockwise by which most of a page's text is turned, weighed by its confidence."""
    weights = [0.0] * 4
    for read in readings:
        weights[read.attempt.quarters] += _amount([read])
    return int(np.argmax(weights))


def is_more(again: Sequence[Reading], before: Sequence[Reading]) -> bool:
    """Whether a page held the other way reads about as well at least: else it was not turned."""
    return _amount(again) > _ABOUT_AS_WELL * _amount(before)


def _amount(readings: Sequence[Reading]) -> float:
    """How much text was read: characters, by their probability."""
    return sum(character.score for read in readings for character in read.characters)


def put_back(line: TextLine, image: PageImage, quarters: int) -> TextLine:
    """A line of `turns.upright(image, quarters)` with its boxes in pixels of `image`."""
    words = tuple(replace(word, box=_put_back(word.box, image, quarters)) for word in line.words)
    return replace(line, box=_put_back(line.box, image, quarters), words=words)


def _put_back(box: Box, image: PageImage, quarters: int) -> Box:
    a, b, c, d = (turns.put_back(point, image.width, image.height, quarters) for point in box)
    return a, b, c, d

"""Lines and words with boxes in pixels."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final

import numpy as np

from ocr.engines.base import TextLine, TextWord
from ocr.text_layer.breaks import find_breaks
from ocr.text_layer.characters import Bools, Characters, Floats, Indices
from quire.contracts import Box
from quire.pages.pdf import PageGeometry

# |sin 2a| of text that runs along the edges of the page is 0; 0.2 are six degrees.
_MOST_SLANT: Final = 0.2


@dataclass(frozen=True)
class Layout:
    """The lines of a page and their words, in PDFium's order.

    `line_corners` (k, 4, 2) and `word_corners` (m, 4, 2) are x and y in pixels, clockwise from the text's own top left.
    `first_words` (k + 1) are the indices of the words that begin the lines, and m. `angles` (m) are those of the words,
    `on_page` (k) says whether the middle of a line is on the page.
    """

    texts: list[str]
    line_corners: Floats
    word_corners: Floats
    first_words: Indices
    angles: Floats
    on_page: Bools

    def lines(self) -> list[TextLine]:
        """The lines that are on the page. A born-digital line is certain: its confidence is 1."""
        words = list(map(TextWord, self.texts, _boxes(self.word_corners), repeat(1.0)))
        spans = zip(_boxes(self.line_corners), pairwise(self.first_words.tolist()), self.on_page.tolist(), strict=True)
        return [
            TextLine(" ".join(self.texts[start:end]), box, 1.0, tuple(words[start:end]))
            for box, (start, end), on_page in spans
            if on_page
        ]

    def text_share(self, geometry: PageGeometry) -> float:
        """The share of the page under words, slanted ones with the box around them."""
        width, height = (self.word_corners.max(axis=1) - self.word_corners.min(axis=1)).T
        return float((width * height).sum()) / (geometry.pixels[0] * geometry.pixels[1])

    def legible(self) -> Floats:
        """Left, top, right and bottom in pixels (n, 4) of the words that OCR would read too.

        Those with a letter or a digit, along the edges of the page: where slanted text lies is not known well enough.
        """
        legible = np.abs(np.sin(2 * self.angles)) <= _MOST_SLANT
        legible &= np.repeat(self.on_page, np.diff(self.first_words))
        legible &= np.fromiter((any(map(str.isalnum, text)) for text in self.texts), bool, len(self.texts))
        corners = self.word_corners[legible]
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def lay_out(characters: Characters, geometry: PageGeometry) -> Layout:
    """Find the lines and the words."""
    breaks = find_breaks(characters)
    boxes, angles = characters.boxes, characters.angles
    first_words = np.searchsorted(breaks.words, breaks.lines)
    quarters = np.rint(angles[breaks.lines] / (math.pi / 2)).astype(np.intp) % 4
    words_a_line = np.diff(np.append(first_words, len(breaks.words)))
    line_corners = _corners(_around(boxes, breaks.lines), quarters, geometry)
    return Layout(
        texts=_texts(characters, breaks.words),
        line_corners=line_corners,
        word_corners=_corners(_around(boxes, breaks.words), np.repeat(quarters, words_a_line), geometry),
        first_words=np.append(first_words, len(breaks.words)),
        angles=angles[breaks.words],
        on_page=_touch_page(line_corners, geometry),
    )


def _texts(characters: Characters, words: Indices) -> list[str]:
    """The characters from each start up to the next, without white space."""
    solid = "".join(characters.text.split())
    places = characters.places[words]
    # How many characters that are not white come before each start.
    starts = places - np.cumsum(characters.white)[places]
    texts = [solid[start:end] for start, end in pairwise([*starts.tolist(), len(solid)])]
    # Then each part of it is.
    if unicodedata.is_normalized("NFC", solid):
        return texts
    return [unicodedata.normalize("NFC", each) for each in texts]


def _around(boxes: Floats, starts: Indices) -> Floats:
    """The box around the characters from each start up to the next: (n, 4)."""
    if not starts.size:
        return np.empty((0, 4))
    low, high = np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)
    return np.concatenate([low, high], axis=1)


def _corners(boxes: Floats, quarters: Indices, geometry: PageGeometry) -> Floats:
    """Corners in pixels (n, 4, 2), clockwise; `quarters` are the turns of the text, counter-clockwise."""
    left, bottom, right, top = boxes.T
    x, y = np.stack([left, right, right, left], axis=1), np.stack([top, top, bottom, bottom], axis=1)
    a, b, c, d, e, f = geometry.to_pixels
    pixels = np.stack([a * x + b * y + c, d * x + e * y + f], axis=2)
    if quarters.any():
        # The corners are in the order of the unturned text; a turned one starts at another of them.
        pixels = np.take_along_axis(pixels, ((quarters[:, None] + np.arange(4)) % 4)[:, :, None], axis=1)
    return np.round(pixels, 2)


def _touch_page(corners: Floats, geometry: PageGeometry) -> Bools:
    middle = corners.mean(axis=1)
    on_page: Bools = ((middle >= 0) & (middle <= geometry.pixels)).all(axis=1)
    return on_page


def _boxes(corners: Floats) -> list[Box]:
    # The same iterator several times: a point is the next two numbers, a box the next four points.
    numbers = iter(corners.ravel().tolist())
    points = zip(numbers, numbers, strict=True)
    return list(zip(points, points, points, points, strict=True))

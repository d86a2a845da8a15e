"""The characters of a page as PDFium knows them."""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pypdfium2.raw as pdfium_c

from ocr.text_layer import pdfium

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Codes = npt.NDArray[np.uint32]

NO_CHARACTER: Final = 0xFFFD


def _table(codes: Iterable[int]) -> Bools:
    """Which code points are among these, up to the first one from which on none is."""
    wanted = list(codes)
    table = np.zeros(max(wanted) + 2, bool)
    table[wanted] = True
    return table


# How PDFium hands out the hyphen of a divided word: in the text, and for the single character.
_HYPHENS: Final = _table((0xFFFE, 0x02))
_LINE_ENDS: Final = _table((0x0A, 0x0D))
# The last of Unicode's white space is the ideographic one.
_WHITE: Final = _table(code for code in range(0x3001) if chr(code).isspace())
_SMALL_LETTERS: Final = _table(map(ord, string.ascii_lowercase))
# The most frequent characters of running text. A font that lacks the meaning of single glyphs has it of these.
_USUAL: Final = _table(map(ord, string.ascii_letters + string.digits + " .,\r\n"))
_SAMPLE_STEP: Final = 8
# How far a character may lie from the end of the one before it, in heights: within a word, which may be kerned, and
# with white space between them. Elsewhere it may be turned otherwise, and PDFium is asked.
_STEP_HEIGHTS: Final = 0.5
_SPACE_HEIGHTS: Final = 1.0


@dataclass(frozen=True)
class Characters:
    """The n characters of a page in PDFium's reading order.

    `text` has one code point for each. `white`, `ends` and `hyphens` (n) say of each whether it is white space, ends a
    line, or is the hyphen of a word that goes on in the next line. `places` (k) are the indices, ascending, of the
    characters that are measured: all but white space, and small letters between small letters, which lie between
    these. `boxes` (k, 4) are their left, bottom, right and top in PDF user space, of the full height of the font, so
    that a line's box is even. `angles` (k) are radians counter-clockwise.
    """

    text: str
    white: Bools
    ends: Bools
    hyphens: Bools
    places: Indices
    boxes: Floats
    angles: Floats


def read_characters(textpage: Any) -> Characters:
    """All characters of an `FPDF_TEXTPAGE`; the caller holds PDFium's lock."""
    handle = pdfium.address(textpage)
    count = max(0, pdfium_c.FPDFText_CountChars(textpage))
    codes = _codes(handle, count)
    hyphens = _hyphens(handle, codes)
    codes[_without_meaning(handle, codes)] = NO_CHARACTER
    codes[hyphens] = ord("-")
    keep = _join_surrogates(codes)
    codes, hyphens, indices = codes[keep], hyphens[keep], np.arange(count)[keep]
    text = codes.astype("<u4").tobytes().decode("utf-32-le")
    white = _among(codes, _WHITE)
    places = np.flatnonzero(~white & ~_inside_words(codes))
    boxes = _boxes(handle, indices[places])
    angles = _angles(handle, indices[places], boxes, is_white_between(white, places), places)
    return Characters(text, white, _among(codes, _LINE_ENDS), hyphens, places, boxes, angles)


def is_white_between(white: Bools, places: Indices) -> Bools:
    """Of each place but the last, whether there is white space before the next."""
    return np.diff(np.cumsum(white)[places]) > 0


def _inside_words(codes: Codes) -> Bools:
    """Small letters between small letters: their neighbours say how high they are and where."""
    small = _among(codes, _SMALL_LETTERS)
    inside = np.zeros_like(small)
    inside[1:-1] = small[:-2] & small[1:-1] & small[2:]
    return inside


def _among(codes: Codes, table: Bools) -> Bools:
    """`np.isin` for code points and what `_table` made of others: faster than a sort."""
    return table.take(codes, mode="clip")


def _codes(handle: int, count: int) -> Codes:
    """UTF-16 units, one for each character."""
    units = np.zeros(count + 1, np.uint16)
    if pdfium.get_text(handle, 0, count, units.ctypes.data) == count + 1:
        return units[:count].astype(np.uint32)
    # PDFium leaves some control characters out of a text: then each is asked for by its index.
    return np.fromiter(map(pdfium.get_unicode, repeat(handle), range(count)), np.uint32, count)


def _hyphens(handle: int, codes: Codes) -> Bools:
    hyphens = _among(codes, _HYPHENS)
    for index in np.flatnonzero(hyphens).tolist():
        hyphens[index] = pdfium.is_hyphen(handle, index) == 1
    return hyphens


def _without_meaning(handle: int, codes: Codes) -> list[int]:
    """The characters of which the font does not say what they are; PDFium guesses from the glyph's number.

    Most pages have none. All are looked at only where a sample has one: what a guess may look like, and every eighth.
    """
    unusual = ~_among(codes, _USUAL)
    unusual[::_SAMPLE_STEP] = True
    sample = np.flatnonzero(unusual).tolist()
    if not any(map(pdfium.has_unicode_map_error, repeat(handle), sample)):
        return []
    everything = range(len(codes))
    return list(compress(everything, map(pdfium.has_unicode_map_error, repeat(handle), everything)))


def _boxes(handle: int, indices: Indices) -> Floats:
    edges = np.zeros((len(indices), 4), np.float32)
    start, step = edges.ctypes.data, 4 * edges.itemsize
    targets = range(start, start + step * len(indices), step)
    deque(map(pdfium.get_loose_char_box, repeat(handle), indices.tolist(), targets), maxlen=0)
    left, top, right, bottom = edges.T
    boxes = np.empty(edges.shape)
    boxes[:, 0], boxes[:, 2] = left, right
    boxes[:, 1], boxes[:, 3] = np.minimum(bottom, top), np.maximum(bottom, top)
    return boxes


def _angles(handle: int, indices: Indices, boxes: Floats, spaced: Bools, places: Indices) -> Floats:
    """PDFium is asked where a character does not follow the one before it to the right, as the first of a line."""
    if not len(indices):
        return np.empty(0)
    left, bottom, right, top = boxes.T
    step = (left[1:] - right[:-1]) / np.maximum(top - bottom, 1.0)[:-1]
    near = (
        (step >= -_STEP_HEIGHTS)
        & (step <= np.where(spaced, _SPACE_HEIGHTS, _STEP_HEIGHTS))
        & (np.minimum(top[1:], top[:-1]) > np.maximum(bottom[1:], bottom[:-1]))
    )
    inside_a_word = (np.diff(places) > 1) & ~spaced
    asked = np.flatnonzero(np.concatenate([[True], ~(near | inside_a_word)]))
    known = [max(pdfium.get_char_angle(handle, index), 0.0) for index in indices[asked].tolist()]
    return np.repeat(known, np.diff(np.append(asked, len(indices))))


def _join_surrogates(codes: Codes) -> Bools | slice:
    """Make code points of UTF-16 units in place; which characters stay."""
    high, low = (codes & 0xFFFFFC00) == 0xD800, (codes & 0xFFFFFC00) == 0xDC00
    impossible = codes > 0x10FFFF
    if not (high.any() or low.any() or impossible.any()):
        return slice(None)
    pairs = np.flatnonzero(high[:-1] & low[1:])
    codes[pairs] = 0x10000 + ((codes[pairs] & 0x3FF) << 10) + (codes[pairs + 1] & 0x3FF)
    keep = np.ones(len(codes), bool)
    keep[pairs + 1] = False
    high[pairs] = False
    codes[high | low | impossible] = NO_CHARACTER
    return keep

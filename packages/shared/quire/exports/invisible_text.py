"""A page's words as PDF operators that draw nothing: each within its box, in reading order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from quire.contracts import Box, Point
from quire.exports.glyphless_font import ADVANCE, DESCENT, Codes
from quire.exports.lines import PlacedLine, PlacedWord, runs_right_to_left

# From pixels of the page image to the units of a PDF's page.
Mapping = Callable[[float, float], Point]

# Thinner than this many units, a word has no place that a reader could use.
_LEAST: Final = 0.05
# A word that rises by no more than this part of its height is set level: Poppler takes every letter of one that rises
# by half a point for a word.
_LEVEL: Final = 0.5
# Readers tell a space from none by its width, in parts of the height of the text.
_LEAST_SPACE: Final = 0.15


def invisible_text(lines: Iterable[PlacedLine], to_page: Mapping, font: str, codes: Codes) -> bytes:
    """A content stream in text rendering mode 3, which changes nothing outside itself. `font` is its resource's name.

    A word's font is as high as its box, and stretched so that the word is as wide. Text that runs from right to left
    is set mirrored from its right end: readers get its letters in the order they are written, where they are seen.
    """
    parts = [part for line in lines for part in _line(line, to_page, font, codes)]
    return "\n".join(["q", "BT", "3 Tr", *parts, "ET", "Q", ""]).encode() if parts else b""


def _line(line: PlacedLine, to_page: Mapping, font: str, codes: Codes) -> Iterator[str]:
    for index, word in enumerate(line.words):
        following = line.words[index + 1] if index + 1 < len(line.words) and word.space_after else None
        yield from _word(word, following, to_page, font, codes)


def _word(word: PlacedWord, following: PlacedWord | None, to_page: Mapping, font: str, codes: Codes) -> Iterator[str]:
    characters = codes.encode(word.text)
    placed = _place(word.box, to_page)
    if not characters or placed is None:
        return
    (x, y), (along_x, along_y), width, height = placed
    # Up is a quarter turn counter-clockwise from the way the text runs.
    up_x, up_y = -along_y, along_x
    x, y = x + up_x * DESCENT * height, y + up_y * DESCENT * height
    if runs_right_to_left(word.text):
        x, y = x + along_x * width, y + along_y * width
        along_x, along_y = -along_x, -along_y
    space = 0.0
    if following is not None:
        space = _gap(word.box, following.box, to_page, (along_x, along_y))
        # Where there is no room for it, the word makes some.
        missing = max(0.0, min(_LEAST_SPACE * height, width / 2) - space)
        width, space = width - missing, space + missing
    yield f"/{font} {height:.3f} Tf {_stretch(width / len(characters), height)} Tz"
    yield f"{along_x:.6f} {along_y:.6f} {up_x:.6f} {up_y:.6f} {x:.3f} {y:.3f} Tm"
    yield f"<{''.join(f'{code:04X}' for code in characters)}> Tj"
    if following is not None:
        yield f"{_stretch(space, height)} Tz <{codes.encode(' ')[0]:04X}> Tj"


def _stretch(width: float, size: float) -> str:
    """The horizontal scaling, in percent, by which a character of a font of this size is so wide."""
    return f"{100 * width / (ADVANCE * size):.3f}"


def _place(box: Box, to_page: Mapping) -> tuple[Point, Point, float, float] | None:
    """A box on the page: its bottom left corner, the direction of its text, its width and its height."""
    corners = [to_page(x, y) for x, y in box]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    across, up = (bx - ax + cx - dx) / 2, (by - ay + cy - dy) / 2
    width = math.hypot(across, up)
    height = (math.hypot(ax - dx, ay - dy) + math.hypot(bx - cx, by - cy)) / 2
    if not (math.isfinite(width) and math.isfinite(height)) or height < _LEAST or width < _LEAST:
        return None
    along_x, along_y = across / width, up / width
    if min(abs(across), abs(up)) <= _LEVEL * height:
        along_x, along_y = (math.copysign(1, across), 0) if abs(across) > abs(up) else (0, math.copysign(1, up))
    middle_x, middle_y = (ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4
    x = middle_x - along_x * width / 2 + along_y * height / 2
    y = middle_y - along_y * width / 2 - along_x * height / 2
    return (x, y), (along_x, along_y), width, height


def _gap(box: Box, following: Box, to_page: Mapping, along: Point) -> float:
    """How far it is from a word's end to the next one's beginning, in the direction of the text; 0 if it overlaps."""
    ends = [x * along[0] + y * along[1] for x, y in (to_page(*point) for point in box)]
    starts = [x * along[0] + y * along[1] for x, y in (to_page(*point) for point in following)]
    return max(0.0, min(starts) - max(ends))

"""A page's result as lines of words, with what the formats need to know of their places."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quire.contracts import Box, PageText, Word

# Two detections belong to one row where they overlap in height by this share of the lower one.
_ROW_OVERLAP = 0.5
# A paragraph ends at a gap of this many row heights. The space between the lines of a text, double-spaced or not, is
# less than its lines are high.
_PARAGRAPH_GAP = 1.0


@dataclass(frozen=True)
class PlacedWord:
    """A word of a line. `space_after` says whether the line has white space before its next word."""

    text: str
    box: Box
    confidence: float
    space_after: bool


@dataclass(frozen=True)
class PlacedLine:
    """A line of text and its words; `index` is its place in `PageText.detections`."""

    index: int
    text: str
    box: Box
    confidence: float
    words: tuple[PlacedWord, ...]


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle in pixels, origin top left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def lines_of(page: PageText) -> Iterator[PlacedLine]:
    """The lines of a page in reading order. One whose words are not known is divided by the length of its words."""
    words: dict[int, list[Word]] = {}
    for word in page.words:
        words.setdefault(word.line, []).append(word)
    for index, line in enumerate(page.detections):
        known = words.get(index)
        pieces = _placed(line.text, known) if known else _divided(line.text, line.box, line.confidence)
        yield PlacedLine(index, line.text, line.box, line.confidence, tuple(pieces))


def _placed(line: str, words: Sequence[Word]) -> Iterator[PlacedWord]:
    end = 0
    for number, word in enumerate(words):
        found = line.find(word.text, end)
        end = found + len(word.text) if found >= 0 else end
        # Where a word is not found, the line says nothing of what follows it.
        joined = found >= 0 and number + 1 < len(words) and line.startswith(words[number + 1].text, end)
        yield PlacedWord(word.text, word.box, word.confidence, not joined)


def _divided(line: str, box: Box, confidence: float) -> Iterator[PlacedWord]:
    end = 0
    for text in line.split():
        start = line.index(text, end)
        end = start + len(text)
        yield PlacedWord(text, _part(box, start / len(line), end / len(line)), confidence, True)


def _part(box: Box, start: float, end: float) -> Box:
    """The part of a box between two shares of the way along the text."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = box
    return (
        (ax + (bx - ax) * start, ay + (by - ay) * start),
        (ax + (bx - ax) * end, ay + (by - ay) * end),
        (dx + (cx - dx) * end, dy + (cy - dy) * end),
        (dx + (cx - dx) * start, dy + (cy - dy) * start),
    )


def rectangle(box: Box) -> Rectangle:
    """The smallest upright rectangle around a box."""
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return Rectangle(min(xs), min(ys), max(xs), max(ys))


def around(rectangles: Sequence[Rectangle]) -> Rectangle:
    """The smallest rectangle around several."""
    return Rectangle(
        min(r.left for r in rectangles),
        min(r.top for r in rectangles),
        max(r.right for r in rectangles),
        max(r.bottom for r in rectangles),
    )


def angle(box: Box) -> float:
    """Degrees clockwise from the right in which a box's text runs, from -180 to 180."""
    (ax, ay), (bx, by), *_ = box
    return math.degrees(math.atan2(by - ay, bx - ax))


def runs_right_to_left(text: str) -> bool:
    """Whether text is written from right to left, by its first letter (UAX #9, rule P2)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def rows_of(lines: Sequence[PlacedLine]) -> list[list[PlacedLine]]:
    """Lines that stand beside each other, as the items and prices of a receipt; in the order they are given."""
    rows: list[list[PlacedLine]] = []
    for line in lines:
        if rows and _beside(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _beside(before: PlacedLine, line: PlacedLine) -> bool:
    a, b = rectangle(before.box), rectangle(line.box)
    overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
    return b.left >= a.left and overlap >= _ROW_OVERLAP * max(min(a.height, b.height), 1e-6)


def paragraphs_of(rows: Sequence[Sequence[PlacedLine]]) -> list[list[int]]:
    """Indices of rows, by paragraph: a new one begins after a gap, and where the next column does."""
    paragraphs: list[list[int]] = []
    before: Rectangle | None = None
    for index, row in enumerate(rows):
        here = around([rectangle(line.box) for line in row])
        if before is None or _begins_paragraph(before, here):
            paragraphs.append([])
        paragraphs[-1].append(index)
        before = here
    return paragraphs


def _begins_paragraph(before: Rectangle, here: Rectangle) -> bool:
    height = min(before.height, here.height)
    beside = here.left >= before.right or here.right <= before.left
    return here.top - before.bottom > _PARAGRAPH_GAP * height or here.top < before.top or beside

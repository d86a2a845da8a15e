"""A page's result as lines of words, with what the formats need to know of their places."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, median_low
from typing import Final

from quire.contracts import Box, PageText, Point, Word

# Two detections belong to one row where they overlap in height by this share of the lower one.
_ROW_OVERLAP: Final = 0.5
# A paragraph ends at a gap of this many row heights that is also this much larger than the page's usual one.
_PARAGRAPH_GAP: Final = 0.5
_PARAGRAPH_GAP_OF_USUAL: Final = 1.4
# Smaller turns move no line into another's row.
_LEAST_TURN_DEGREES: Final = 0.2


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


def rectangle(box: Sequence[Point]) -> Rectangle:
    """The smallest upright rectangle around points."""
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


def paragraphs_of(lines: Sequence[PlacedLine]) -> list[list[list[PlacedLine]]]:
    """The lines in the order they are given, by paragraph and row: the items and prices of a receipt share rows.

    A new paragraph begins after a gap, and where the next column does. A page whose text is turned is held upright.
    """
    places = _upright(lines)
    rows = _rows(places)
    bounds = [around([places[number] for number in row]) for row in rows]
    usual = _usual_gap(bounds)
    paragraphs: list[list[list[PlacedLine]]] = []
    for index, row in enumerate(rows):
        if not index or _begins_paragraph(bounds[index - 1], bounds[index], usual):
            paragraphs.append([])
        paragraphs[-1].append([lines[number] for number in row])
    return paragraphs


def _rows(places: Sequence[Rectangle]) -> list[list[int]]:
    """Indices of rectangles, by row: one joins the row of the one before it where it stands to its right."""
    rows: list[list[int]] = []
    for number, here in enumerate(places):
        if number and _beside(places[number - 1], here):
            rows[-1].append(number)
        else:
            rows.append([number])
    return rows


def _beside(a: Rectangle, b: Rectangle) -> bool:
    overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
    return b.left >= a.left and overlap >= _ROW_OVERLAP * max(min(a.height, b.height), 1e-6)


def _begins_paragraph(before: Rectangle, here: Rectangle, usual: float) -> bool:
    least = max(_PARAGRAPH_GAP * min(before.height, here.height), _PARAGRAPH_GAP_OF_USUAL * usual)
    return here.top - before.bottom > least or not _below(before, here)


def _usual_gap(rows: Sequence[Rectangle]) -> float:
    """The gap between the lines of running text, which may be double-spaced; 0 where they touch or are too few."""
    gaps = [here.top - before.bottom for before, here in pairwise(rows) if _below(before, here)]
    return max(0.0, median_low(gaps)) if gaps else 0.0


def _below(before: Rectangle, here: Rectangle) -> bool:
    """Whether a row comes under the one before it in the same column."""
    return here.top >= before.top and here.left < before.right and here.right > before.left


def _upright(lines: Sequence[PlacedLine]) -> list[Rectangle]:
    """Where the lines are once the page is held so that most of its text runs to the right."""
    turn = math.radians(_page_angle(lines))
    cosine, sine = math.cos(turn), math.sin(turn)
    return [
        rectangle([(x * cosine + y * sine, y * cosine - x * sine) for x, y in line.box] if turn else line.box)
        for line in lines
    ]


def _page_angle(lines: Sequence[PlacedLine]) -> float:
    """The angle of most of the text: the quarter with most characters decides, within it the median."""
    characters: Counter[int] = Counter()
    angles: dict[int, list[float]] = {}
    for line in lines:
        turn = angle(line.box)
        quarter = round(turn / 90) % 4
        characters[quarter] += len(line.text)
        angles.setdefault(quarter, []).append((turn - 90 * quarter + 180) % 360 - 180)
    if not characters:
        return 0.0
    ((quarter, _),) = characters.most_common(1)
    turn = 90 * quarter + median(angles[quarter])
    return turn if abs(turn) >= _LEAST_TURN_DEGREES else 0.0

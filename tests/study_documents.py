"""Pages with known lines and words, as OCR would have read them."""

from __future__ import annotations

from collections.abc import Sequence

from quire.contracts import Box, Detection, PageText, Word

LINE_HEIGHT = 20
LETTER_WIDTH = 10


def box_of(start: int, end: int, line: int) -> Box:
    """The box of letters `start` to `end` of a line."""
    left, right, top = float(start * LETTER_WIDTH), float(end * LETTER_WIDTH), float(line * LINE_HEIGHT)
    bottom = top + LINE_HEIGHT - 4
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def page_of(number: int, lines: Sequence[str], *, words: bool = True) -> PageText:
    """A page of these lines, with a box for each and, unless told otherwise, for each word."""
    found, parts = [], []
    for index, line in enumerate(lines):
        found.append(
            Detection(text=line, box=box_of(0, len(line), index), confidence=0.9, page_number=number),
        )
        start = 0
        for word in line.split():
            start = line.index(word, start)
            parts.append(Word(text=word, box=box_of(start, start + len(word), index), confidence=0.9, line=index))
            start += len(word)
    return PageText(
        page_number=number,
        width=2000,
        height=3000,
        rotation=0,
        source="ocr",
        engine="test",
        text="\n".join(lines),
        detections=tuple(found),
        words=tuple(parts) if words else (),
        confidence=0.9,
    )


def book(pages: int, lines: int = 12, first: int = 1) -> list[PageText]:
    """Pages `first` to `pages`, of which every line is another one."""
    return [
        page_of(
            number,
            [
                f"Entry {number}.{line}: the {_WORDS[(number * 7 + line) % 12]} weighs {number * 13 + line} grams."
                for line in range(1, lines + 1)
            ],
        )
        for number in range(first, pages + 1)
    ]


_WORDS = (
    "hammer",
    "walnut",
    "teapot",
    "lantern",
    "compass",
    "anchor",
    "violin",
    "marble",
    "saddle",
    "pigeon",
    "candle",
    "button",
)

"""Words of a line, from the pieces that PaddleX divides it into: letters, numbers, spaces and signs each apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ocr.engines.base import TextWord
from quire.contracts import Box, Point


def words_of_line(
    text: str, box: Box, confidence: float, pieces: Sequence[str], places: Sequence[Sequence[Any]]
) -> tuple[TextWord, ...]:
    """Runs of pieces without white space; none where the pieces are not those of the text.

    `places` are upright rectangles, which end where the recogniser saw a letter's middle. A word has the height of its
    line, and the first and the last one begin and end with it. The confidence is the line's.
    """
    if "".join(pieces) != text or len(pieces) != len(places):
        return ()
    left, right = min(box[0][0], box[3][0]), max(box[1][0], box[2][0])
    found = list(_runs(pieces, places))
    if right <= left or not found:
        return ()
    shares = [((start - left) / (right - left), (end - left) / (right - left)) for _, start, end in found]
    shares[0] = 0.0, shares[0][1]
    shares[-1] = shares[-1][0], 1.0
    return tuple(
        TextWord(word, _part(box, min(max(start, 0), 1), min(max(start, end, 0), 1)), confidence)
        for (word, *_), (start, end) in zip(found, shares, strict=True)
    )


def _runs(pieces: Sequence[str], places: Sequence[Sequence[Any]]) -> Iterator[tuple[str, float, float]]:
    """Words, and where they begin and end across."""
    # A sign may have a space in it, such as a full stop and what follows it: the space ends the word.
    letters = [
        (letter, float(place[0]), float(place[2]))
        for piece, place in zip(pieces, places, strict=True)
        for letter in piece
    ]
    for is_space, run in groupby(letters, key=lambda each: each[0].isspace()):
        some = list(run)
        if not is_space:
            yield "".join(letter for letter, *_ in some), min(x for _, x, _ in some), max(x for *_, x in some)


def _part(box: Box, start: float, end: float) -> Box:
    """The part of a line's box between two shares of the way along it."""
    upper, lower = (box[0], box[1]), (box[3], box[2])
    return _between(upper, start), _between(upper, end), _between(lower, end), _between(lower, start)


def _between(line: tuple[Point, Point], share: float) -> Point:
    (x, y), (to_x, to_y) = line
    return round(x + (to_x - x) * share, 2), round(y + (to_y - y) * share, 2)

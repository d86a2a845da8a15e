"""Words of a line, from the pieces that PaddleX divides it into: letters, numbers, spaces and signs each apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from ocr.engines.base import TextLine, TextWord
from quire.contracts import Box, Point

# PaddleX takes a line whose surroundings are this much taller than wide for one that runs down the page.
_UPRIGHT_RATIO: Final = 1.5


def with_words(
    line: TextLine, polygon: Sequence[Sequence[Any]], pieces: Sequence[str], places: Sequence[Sequence[Any]]
) -> TextLine:
    """A line with its words: the runs of pieces without white space; none where the pieces are not those of its text.

    `polygon` is PaddleX's of the line, (4, 2), `places` its upright rectangles of the pieces, (n, 4): the shares of
    the line's length at which the recogniser saw a letter's middle, laid on the polygon from left to right or, of a
    line that runs down the page, from above. A word has the height of its line, and the first and the last one begin
    and end with it. The confidence is the line's.
    """
    if "".join(pieces) != line.text or len(pieces) != len(places):
        return line
    axis, begin, length = _along(polygon)
    found = list(_runs(pieces, places, axis))
    if length <= 0 or not found:
        return line
    return replace(
        line, words=_words(line, [(word, (a - begin) / length, (b - begin) / length) for word, a, b in found])
    )


def _words(line: TextLine, found: Sequence[tuple[str, float, float]]) -> tuple[TextWord, ...]:
    shares = [(start, end) for _, start, end in found]
    shares[0] = 0.0, shares[0][1]
    shares[-1] = shares[-1][0], 1.0
    return tuple(
        TextWord(word, _part(line.box, min(max(start, 0), 1), min(max(start, end, 0), 1)), line.confidence)
        for (word, *_), (start, end) in zip(found, shares, strict=True)
    )


def _along(polygon: Sequence[Sequence[Any]]) -> tuple[int, float, float]:
    """Along which axis PaddleX has laid a line's pieces, where that begins, and how long it is."""
    (left, top), (right, _), (_, bottom), _ = ((float(x), float(y)) for x, y in polygon)
    across, down = zip(*polygon, strict=True)
    if max(down) - min(down) > _UPRIGHT_RATIO * (max(across) - min(across)):
        return 1, top, bottom - top
    return 0, left, right - left


def _runs(pieces: Sequence[str], places: Sequence[Sequence[Any]], axis: int) -> Iterator[tuple[str, float, float]]:
    """Words, and where they begin and end."""
    # A sign may have a space in it, such as a full stop and what follows it: the space ends the word.
    letters = [
        (letter, float(place[axis]), float(place[axis + 2]))
        for piece, place in zip(pieces, places, strict=True)
        for letter in piece
    ]
    for is_space, run in groupby(letters, key=lambda each: each[0].isspace()):
        some = list(run)
        if not is_space:
            yield "".join(letter for letter, *_ in some), min(at for _, at, _ in some), max(at for *_, at in some)


def _part(box: Box, start: float, end: float) -> Box:
    """The part of a line's box between two shares of the way along it."""
    upper, lower = (box[0], box[1]), (box[3], box[2])
    return _between(upper, start), _between(upper, end), _between(lower, end), _between(lower, start)


def _between(line: tuple[Point, Point], share: float) -> Point:
    (x, y), (to_x, to_y) = line
    return round(x + (to_x - x) * share, 2), round(y + (to_y - y) * share, 2)

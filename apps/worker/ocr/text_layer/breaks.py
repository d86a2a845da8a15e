"""Where lines and words begin among the characters of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ocr.text_layer.characters import Bools, Characters, Floats, Indices, is_white_between

# Lengths are in heights of the character's box, which is a little higher than its font size.
# A wider gap starts a new line: table cells, columns.
_NEW_LINE_GAP: Final = 2.0
# PDFium ends a line where the baseline jumps, also at an index or a footnote mark. What begins this near to the end of
# the last character (a space has about 0.3), and shares this much of the lower one's height, goes on in its line.
_SAME_LINE_GAP: Final = (-0.25, 0.35)
_SAME_LINE_OVERLAP: Final = 0.25
# PDFium makes up spaces from gaps. A narrower one is none: the gap between a letter and its index.
_SPACE_GAP: Final = 0.02


@dataclass(frozen=True)
class Breaks:
    """Which of a page's measured characters begin a line, and which begin a word.

    Ascending indices in `Characters.places` that begin with 0, or none where there is no character.
    """

    lines: Indices
    words: Indices


@dataclass(frozen=True)
class _Pairs:
    """Each measured character but the last with the next one.

    `spaced` says whether white space lies between the two, `ended` whether PDFium has ended the line there. `gap` is
    the space between them in the direction of the text, `step` the same where text runs to the right: below 0 where the
    next one begins before this one's end. `overlap` is the share of the lower one's height that both have, `upright`
    says whether both run to the right.
    """

    spaced: Bools
    ended: Bools
    gap: Floats
    step: Floats
    height: Floats
    tallest: Floats
    overlap: Floats
    upright: Bools


def find_breaks(characters: Characters) -> Breaks:
    """Split at line ends, at gaps too wide to be a space, and words at white space too."""
    if not characters.places.size:
        return Breaks(characters.places, characters.places)
    pairs = _pairs(characters)
    # What lies between two letters of a word that are measured is letters, not a gap.
    apart = (pairs.spaced | (np.diff(characters.places) == 1)) & (pairs.gap > _NEW_LINE_GAP * pairs.height)
    new_line = apart | (pairs.ended & ~_continues(pairs)) | characters.hyphens[characters.places[:-1]]
    narrow = pairs.upright & (pairs.gap <= _SPACE_GAP * pairs.height)
    return Breaks(_starts(new_line), _starts(new_line | (pairs.spaced & ~narrow)))


def _starts(new: Bools) -> Indices:
    return np.flatnonzero(np.concatenate([[True], new]))


def _pairs(characters: Characters) -> _Pairs:
    left, bottom, right, top = characters.boxes.T
    step, rise = left[1:] - right[:-1], bottom[1:] - top[:-1]
    # Text that runs up or down the page: its gaps are vertical, and its height is across.
    vertical = (np.abs(np.sin(characters.angles)) > 0.5)[:-1]
    upright = np.cos(characters.angles) > 0.9
    heights = np.maximum(top - bottom, 1.0)
    return _Pairs(
        spaced=is_white_between(characters.white, characters.places),
        ended=is_white_between(characters.ends, characters.places),
        gap=np.where(
            vertical,
            np.maximum(rise, bottom[:-1] - top[1:]),
            np.maximum(step, left[:-1] - right[1:]),
        ),
        step=step,
        height=np.where(vertical, np.maximum(right - left, 1.0)[:-1], heights[:-1]),
        tallest=np.maximum(heights[1:], heights[:-1]),
        overlap=(np.minimum(top[1:], top[:-1]) - np.maximum(bottom[1:], bottom[:-1]))
        / np.minimum(heights[1:], heights[:-1]),
        upright=upright[1:] & upright[:-1],
    )


def _continues(pairs: _Pairs) -> Bools:
    """Whether the next one goes on in the line of this one, although PDFium has ended it."""
    least, most = _SAME_LINE_GAP
    step = pairs.step / pairs.tallest
    near: Bools = (step >= least) & (step <= most) & (pairs.overlap >= _SAME_LINE_OVERLAP)
    return near & pairs.upright

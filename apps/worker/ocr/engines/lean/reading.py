"""Lines of a page while they are being read: which way round, and what the recogniser says.

A box does not say which way its text runs. Wide boxes are read as they lie; tall ones as lines that run down the page,
and, where they are short enough to be a single letter or digit standing upright, as they stand: the surer reading
counts. A whole group that reads badly is tried the other way round on a few of its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from ocr.engines.lean import crops
from ocr.engines.lean.alignment import Character, confidence_of, text_of
from ocr.engines.lean.crops import FIRST_LOOK, SECOND_LOOK, Frame
from ocr.engines.lean.detection import Quad

# A region this much taller than wide may be a line that runs up or down the page, from the second figure on it is one.
_TALL: Final = 1.5
_SURELY_TURNED: Final = 3.0
# Lines below this confidence may be upside down.
_DOUBTFUL: Final = 0.85
_GAIN: Final = 0.05
_TIE: Final = 0.02
_SAMPLE: Final = 5
# Shorter texts read much the same upside down.
_TELLING_LENGTH: Final = 2


@dataclass(frozen=True)
class Attempt:
    """A box on page `page` (an index) whose text is taken to be turned by `quarters` quarter turns clockwise."""

    page: int
    quad: Quad
    quarters: int
    frame: Frame = FIRST_LOOK

    @cached_property
    def upright(self) -> Quad:
        """The box, its first corner where the text begins."""
        return crops.turned(self.quad, self.quarters)

    def opposite(self) -> Attempt:
        """The same box read from its other end."""
        return replace(self, quarters=(self.quarters + 2) % 4)

    def second(self) -> Attempt:
        """The same text in another frame."""
        return replace(self, frame=SECOND_LOOK)


@dataclass(frozen=True)
class Reading:
    """What was read in an attempt. `width` is that of the line's picture in pixels."""

    attempt: Attempt
    width: int
    characters: Sequence[Character]

    @cached_property
    def text(self) -> str:
        """The text as read."""
        return text_of(self.characters)

    @cached_property
    def confidence(self) -> float:
        """Mean probability of its characters."""
        return confidence_of(self.characters)


def attempts(page: int, quad: Quad) -> list[Attempt]:
    """The ways in which the text of a box may run."""
    width, height = crops.sides(quad)
    if height < _TALL * width:
        return [Attempt(page, quad, 0)]
    if height < _SURELY_TURNED * width:
        return [Attempt(page, quad, 0), Attempt(page, quad, 1)]
    return [Attempt(page, quad, 1)]


def surest(readings: Sequence[Reading]) -> Reading:
    """The reading of one box with the highest confidence; of about equal ones the first.

    A box that holds one character however it is read holds an upright one: single letters also read well lying down.
    """
    best = readings[0]
    for other in readings[1:]:
        one_character = len(best.text) == 1 == len(other.text) and best.attempt.quarters == 0
        if not one_character and other.confidence > best.confidence + _TIE:
            best = other
    return best


def doubtful_groups(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Lines of one page and direction that as a group read badly, as upside-down text does."""
    groups: dict[tuple[int, int], list[Reading]] = {}
    for reading in readings:
        groups.setdefault((reading.attempt.page, reading.attempt.quarters), []).append(reading)
    return [group for group in groups.values() if (some := sample(group)) and _mean_confidence(some) < _DOUBTFUL]


def sample(group: Sequence[Reading]) -> list[Reading]:
    """The longest few lines of a group, which tell most about it."""
    telling = [reading for reading in group if len(reading.characters) >= _TELLING_LENGTH]
    return sorted(telling, key=lambda reading: -reading.width)[:_SAMPLE]


def reads_better(turned: Sequence[Reading], as_is: Sequence[Reading]) -> bool:
    """Whether lines read clearly better the other way round."""
    return _mean_confidence(turned) > _mean_confidence(as_is) + _GAIN


def _mean_confidence(readings: Sequence[Reading]) -> float:
    """Over characters, so that a long line counts for more."""
    scores = [character.score for reading in readings for character in reading.characters]
    return sum(scores) / len(scores) if scores else 0.0

"""CTC decoding with places: which characters were read, how surely, and where along the line.

Method: Graves et al., "Connectionist Temporal Classification" (2006), best path: repeated classes are one character,
the blank separates. The steps of the path are columns of the line, eight pixels wide: they are where a character is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

BLANK: Final = 0
# Pixels of the line's picture for each step of the recogniser.
STEP_PIXELS: Final = 8
_LEAD: Final = 0.7


@dataclass(frozen=True)
class Steps:
    """What the recogniser says about one line of T steps: arrays of shape (T,), `features` (T, F).

    `best` are indices into `characters` (0 is the blank), `score` their probabilities, `space` the probability of a
    space.
    """

    best: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    space: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    characters: Sequence[str]


class Character(NamedTuple):
    """One character: probability, first and last step of its run, and the step at which it is surest.

    A tuple, since a page has a thousand and they are made in a third of the time of a frozen dataclass.
    """

    text: str
    score: float
    first: int
    last: int
    peak: int


@dataclass(frozen=True)
class Span:
    """A word: its text, mean probability, and where it begins and ends along the line, in steps."""

    text: str
    score: float
    start: float
    end: float


def decode(steps: Steps, space_threshold: float) -> list[Character]:
    """The characters of a line.

    Between two characters the blank often wins by a little over the space, and two words become one: where a space's
    probability reaches `space_threshold` at a step between them, it is read as one.
    """
    score, space = steps.score.tolist(), steps.space.tolist()
    found: list[Character] = []
    after = 0
    for code, start, end in _runs(steps.best.tolist()):
        text = steps.characters[code]
        if found and start > after and text != " " and found[-1].text != " ":
            likeliest = max(space[after:start])
            if likeliest >= space_threshold:
                where = space.index(likeliest, after)
                found.append(Character(" ", likeliest, where, where, where))
        surest = max(score[start:end])
        found.append(Character(text, surest, start, end - 1, score.index(surest, start)))
        after = end
    return found


def _runs(best: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Runs of one class that are not blank: the class, the first step and the one after the last."""
    start, count = 0, len(best)
    for end in range(1, count + 1):
        if end == count or best[end] != best[start]:
            if best[start] != BLANK:
                yield best[start], start, end
            start = end


def text_of(characters: Sequence[Character]) -> str:
    """The characters as one string, as read."""
    return "".join(character.text for character in characters)


def confidence_of(characters: Sequence[Character]) -> float:
    """Mean probability of what is not space; 0 for nothing."""
    scores = [character.score for character in characters if not character.text.isspace()]
    return sum(scores) / len(scores) if scores else 0.0


def words(characters: Sequence[Character], length: float) -> list[Span]:
    """The words among the characters of a line of `length` steps.

    A word reaches half a typical character beyond the centres of its first and last one, but not over the space beside
    it. The network is sure of a character a little after its left edge, hence the lead.
    """
    inked = [character for character in characters if not character.text.isspace()]
    if not inked:
        return []
    centres = [(character.first + character.last + 1) / 2 for character in characters]
    half = _half_pitch(characters, centres)
    spans: list[Span] = []
    run: list[int] = []
    for index, character in enumerate(characters):
        if not character.text.isspace():
            run.append(index)
        if run and (character.text.isspace() or index == len(characters) - 1):
            spans.append(_span(run, characters, centres, half, length))
            run = []
    return spans


def _half_pitch(characters: Sequence[Character], centres: Sequence[float]) -> float:
    """Half the usual distance, in steps, between neighbouring characters of one word."""
    pitches = [
        b - a
        for a, b, first, second in zip(centres, centres[1:], characters, characters[1:], strict=False)
        if not (first.text.isspace() or second.text.isspace())
    ]
    return median(pitches) / 2 if pitches else 1.0


def _span(
    run: Sequence[int], characters: Sequence[Character], centres: Sequence[float], half: float, length: float
) -> Span:
    first, last = run[0], run[-1]
    start, end = centres[first] - half - _LEAD, centres[last] + half
    if first > 0:
        start = max(start, centres[first - 1])
    if last + 1 < len(characters):
        end = min(end, (centres[last] + centres[last + 1]) / 2)
    members = [characters[index] for index in run]
    return Span(text_of(members), confidence_of(members), _within(start, length), _within(end, length))


def _within(step: float, length: float) -> float:
    return min(max(step, 0.0), length)

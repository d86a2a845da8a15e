"""Medians, ratios and scores of compared systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

from benchmarks.peer_rounds import Comparison, Turn
from benchmarks.systems.catalog import REFERENCE
from benchmarks.word_f1 import WordScore


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of what several rounds gave."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """Of these values; None if there are none."""
        return cls(median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Summary:
    """One system on one corpus.

    `speed` is pages per second and `ratio` that of the reference's in the same round (None where it was not measured).
    `cpu` is the median of CPU seconds per page, `peak` the most memory in MiB, `others` the median of cores that other
    programs used meanwhile. `repeatable` says whether every round read the same text and boxes.
    """

    key: str
    speed: Spread
    ratio: Spread | None
    cpu: float
    peak: float
    others: float
    score: WordScore
    repeatable: bool


def summarize(comparison: Comparison) -> list[Summary]:
    """A summary of each system that was there in every round, in the order of the entries."""
    return [_summary(key, comparison) for key in comparison.entries if _complete(key, comparison)]


def _complete(key: str, comparison: Comparison) -> bool:
    return bool(comparison.rounds) and all(key in turns for turns in comparison.rounds)


def _summary(key: str, comparison: Comparison) -> Summary:
    turns = [turns[key] for turns in comparison.rounds]
    speeds = Spread.of([_speed(turn) for turn in turns])
    assert speeds is not None
    return Summary(
        key,
        speeds,
        # Each ratio compares neighbours in time: what slows the machine down slows both.
        Spread.of([_speed(each[key]) / _speed(each[REFERENCE]) for each in comparison.rounds if REFERENCE in each]),
        median(turn.run.cpu / len(turn.run.texts) for turn in turns),
        max(turn.run.peak for turn in turns),
        median(turn.others for turn in turns),
        WordScore.of_pages(zip(turns[0].run.texts, comparison.corpus.truths, strict=True)),
        all(turn.run.digests == turns[0].run.digests for turn in turns),
    )


def _speed(turn: Turn) -> float:
    """Pages per second."""
    return len(turn.run.texts) / turn.run.wall

"""Word F1: how many of the words on a page were read, and how many of the words read are on it.

Order, punctuation, case and line breaks do not count; how often a word occurs does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_WORD: Final = re.compile(r"[A-Z0-9]+")


def words(text: str) -> Counter[str]:
    """The runs of A–Z and 0–9 in the text in upper case, each with its number of occurrences."""
    return Counter(_WORD.findall(text.upper()))


@dataclass(frozen=True)
class WordScore:
    """Counts of words: on both sides, read, and in the ground truth. Scores of pages add up to that of all of them."""

    matched: int = 0
    read: int = 0
    expected: int = 0

    @classmethod
    def of_page(cls, read: str, truth: str) -> Self:
        """The score of one page: a word read twice that is there once matches once."""
        found, wanted = words(read), words(truth)
        return cls((found & wanted).total(), found.total(), wanted.total())

    @classmethod
    def of_pages(cls, pages: Iterable[tuple[str, str]]) -> Self:
        """The score of all pages together, each given as `(read, truth)`."""
        scores = [cls.of_page(read, truth) for read, truth in pages]
        return cls(
            sum(score.matched for score in scores),
            sum(score.read for score in scores),
            sum(score.expected for score in scores),
        )

    @property
    def precision(self) -> float:
        """Share of the words read that are right, from 0 to 1; 1 where nothing was read."""
        return self.matched / self.read if self.read else 1.0

    @property
    def recall(self) -> float:
        """Share of the words that were read, from 0 to 1; 1 where there is nothing to read."""
        return self.matched / self.expected if self.expected else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, from 0 to 1."""
        total = self.read + self.expected
        return 2 * self.matched / total if total else 1.0

"""Documents that arrive: the day of an office, a book, a crowd; each from a seed, so that all see the same."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_HOUR: Final = 3600.0
# Documents by their number of pages, and how many there are of each: 6.3 pages in the mean, as in docs/scaling.md.
_SIZES: Final = {1: 0.50, 2: 0.20, 5: 0.15, 12: 0.10, 40: 0.045, 250: 0.0045, 1000: 0.0005}


class Arrival(NamedTuple):
    """A document: seconds since the beginning, and its pages."""

    at: float
    pages: int


Trace = list[Arrival]


def steady(seed: int) -> Trace:
    """Eight hours of 150 documents an hour: about what one local worker can do."""
    return _documents(random.Random(seed), 8 * _HOUR, lambda _: 150 / _HOUR)


def office_hours(seed: int) -> Trace:
    """A day whose work comes from eight to six, most at eleven; nothing at night."""

    def rate(at: float) -> float:
        hour = at / _HOUR
        return 1500 / _HOUR * math.sin(math.pi * (hour - 8) / 10) ** 2 if 8 <= hour <= 18 else 0.0

    return _documents(random.Random(seed), 24 * _HOUR, rate)


def book(seed: int) -> Trace:
    """One book of 5,000 pages among forty small documents an hour, for four hours."""
    chance = random.Random(seed)
    small = _documents(chance, 4 * _HOUR, lambda _: 40 / _HOUR, sizes={1: 0.7, 3: 0.3})
    return sorted([*small, Arrival(chance.uniform(600, 1800), 5000)])


def flash_crowd(seed: int) -> Trace:
    """Six hours with little to do, and three crowds of 1,500 documents within five minutes each."""
    chance = random.Random(seed)
    crowds = [chance.uniform(hour, hour + 0.5) * _HOUR for hour in (0.5, 2.5, 4.5)]

    def rate(at: float) -> float:
        return 5.0 if any(0 <= at - begun < 300 for begun in crowds) else 20 / _HOUR

    return _documents(chance, 6 * _HOUR, rate, sizes={1: 0.8, 2: 0.15, 5: 0.05})


TRACES: Final[dict[str, Callable[[int], Trace]]] = {
    "steady": steady,
    "office hours": office_hours,
    "book": book,
    "flash crowd": flash_crowd,
}


def read_trace(path: Path) -> Trace:
    """Somebody's own: a CSV file with the columns `seconds` and `pages`.

    Raises:
        ValueError: a column is missing, or a value is no number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"seconds", "pages"} <= rows[0].keys():
        raise ValueError(f"{path} needs a first line with seconds,pages and at least one document.")
    return sorted(Arrival(float(row["seconds"]), int(row["pages"])) for row in rows)


def _documents(
    chance: random.Random, seconds: float, rate: Callable[[float], float], sizes: dict[int, float] | None = None
) -> Trace:
    """A Poisson process whose rate (documents a second) changes from one step of ten seconds to the next."""
    numbers = list((sizes or _SIZES).keys())
    weights = list((sizes or _SIZES).values())
    return [Arrival(at, chance.choices(numbers, weights)[0]) for at in _moments(chance, seconds, rate)]


def _moments(chance: random.Random, seconds: float, rate: Callable[[float], float]) -> Iterator[float]:
    step = 10.0
    for number in range(int(seconds / step)):
        begun = number * step
        expected = rate(begun) * step
        at = chance.expovariate(1.0)
        while at < expected:
            yield begun + at / expected * step
            at += chance.expovariate(1.0)

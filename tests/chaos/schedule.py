"""When which fault happens: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# Every kind of fault; `tests.chaos.faults` says what each does.
KINDS: Final = (
    "kill",
    "kill-child",
    "drain",
    "suspend",
    "redis-restart",
    "redis-flush",
    "postgres-fast",
    "postgres-immediate",
    "postgres-away",
    "postgres-silent",
    "s3-error",
    "s3-slow-down",
    "s3-truncated",
    "s3-reset",
    "s3-silent",
    "kill-default",
    "kill-api",
    "kill-api-upload",
)


@dataclass(frozen=True)
class Fault:
    """A fault of a kind, `at` seconds after the start. `lot`, from 0 to 1, draws the victim among those there are."""

    at: float
    kind: str
    lot: float


def schedule(seed: int, kinds: Sequence[str], every: float) -> Iterator[Fault]:
    """Faults without end, one in `every` seconds on average: in each round every kind once, in an order of its own."""
    chance, at = random.Random(f"faults {seed}"), 0.0
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            at += every * chance.uniform(0.5, 1.5)
            yield Fault(at, kind, chance.random())

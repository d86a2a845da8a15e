"""How fast local workers and pods read, learned from what all of them together get done.

Nobody writes down who read which page. While no pod is there, what is read is read by local workers; what is read
beyond that while pods are there is read by these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

# Of a new value in the moving average.
_WEIGHT: Final = 0.1
# What is learned stays within this factor of what was expected: a wrong number must not rent a hundred pods.
_FACTOR: Final = 20.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Moving averages: pages a second of one local process, seconds a page of one pod; None before there are any."""

    local_process: float | None = None
    page_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For a column of Postgres."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(local_process=data.get("local_process"), page_seconds=data.get("page_seconds"))


@dataclass(frozen=True, slots=True)
class Crew:
    """Who reads now.

    Attributes:
        local_processes: of workers that are not rented.
        pods: with a worker that takes pages.
        is_settled: everybody is busy, and has been there for as long as `rate` of `learn` is an average of.
    """

    local_processes: int
    pods: int
    is_settled: bool


def learn(rates: Rates, rate: float, crew: Crew, *, expected_page_seconds: float) -> Rates:
    """The averages with one more look, in which `crew` read `rate` pages a second while more waited."""
    if not crew.is_settled or rate <= 0:
        return rates
    if not crew.pods:
        if not crew.local_processes:
            return rates
        return replace(rates, local_process=_blend(rates.local_process, rate / crew.local_processes))
    of_pods = rate - local_rate(rates, crew)
    if of_pods <= 0:
        return rates
    seconds = min(max(crew.pods / of_pods, expected_page_seconds / _FACTOR), expected_page_seconds * _FACTOR)
    return replace(rates, page_seconds=_blend(rates.page_seconds, seconds))


def local_rate(rates: Rates, crew: Crew) -> float:
    """Pages a second that the local workers are known for; 0 where nothing is known."""
    return (rates.local_process or 0.0) * crew.local_processes


def _blend(average: float | None, value: float) -> float:
    return value if average is None else (1 - _WEIGHT) * average + _WEIGHT * value

"""Measured points, and what they come to: pages a second, the batch that is enough, tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.gpu.nvidia import Usage
from benchmarks.gpu.pages import Host

# A batch this much slower than the best one is as good, and takes less memory.
_AS_GOOD: Final = 0.05


@dataclass(frozen=True)
class Setup:
    """One way to use a GPU: so many processes that each read `batch` pages at once."""

    engine: str
    batch: int
    processes: int = 1
    host: Host = "before"


@dataclass(frozen=True)
class Reading:
    """What one process did: `pages` in `seconds`, all of them while the others were reading as well."""

    pages: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


@dataclass(frozen=True)
class Point:
    """A setup and what it gave. `page_batch`: pages the engine still took at once at the end, less after it ran out of
    memory; None where it does not say. `usage` is None where the driver gave no samples.
    """

    setup: Setup
    readings: tuple[Reading, ...]
    usage: Usage | None
    page_batch: int | None = None

    @property
    def rate(self) -> float:
        """Pages a second of all processes together."""
        return sum(reading.rate for reading in self.readings)

    def to_json(self) -> dict[str, Any]:
        """Everything, with the rate."""
        return {
            **asdict(self.setup),
            "pages_per_second": round(self.rate, 3),
            "readings": [asdict(reading) for reading in self.readings],
            "usage": asdict(self.usage) if self.usage else None,
            "page_batch_at_the_end": self.page_batch,
        }

    def cells(self) -> list[str]:
        """The point as a row: processes, batch, host, pages a second, utilisation, memory."""
        batch = str(self.setup.batch)
        if self.page_batch is not None and self.page_batch < self.setup.batch:
            batch += f" (memory: {self.page_batch})"
        usage = [f"{self.usage.utilisation:.0f} %", f"{self.usage.memory:,.0f} MiB"] if self.usage else ["-", "-"]
        return [str(self.setup.processes), batch, self.setup.host, f"{self.rate:.2f}", *usage]


def enough(points: Sequence[Point]) -> Point:
    """The point with the smallest batch that is within 5 % of the fastest.

    Raises:
        ValueError: there are no points.
    """
    least = max(point.rate for point in points) * (1 - _AS_GOOD)
    return min((point for point in points if point.rate >= least), key=lambda point: point.setup.batch)

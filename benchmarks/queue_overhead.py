"""What the queue costs: the same receipts read directly and through the queue, in turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import through_queue
from benchmarks.cpu_time import cpu_seconds, parts_of, used_between, wait_until_idle
from benchmarks.direct import DirectEngine, DirectRun
from benchmarks.page_times import PageTimes, page_times
from benchmarks.receipts import Receipt
from benchmarks.through_queue import QueueRun
from quire.embedded.stack import Stack


@dataclass(frozen=True)
class Round:
    """Both ways once.

    `*_idle` is how many cores stack and engine still used before, `*_cpu` the CPU seconds by part meanwhile (`others`:
    other programs on the machine, which make a round noisy).
    """

    direct: DirectRun
    queue: QueueRun
    times: PageTimes
    direct_idle: float
    queue_idle: float
    direct_cpu: dict[str, float]
    queue_cpu: dict[str, float]

    @property
    def direct_seconds(self) -> float:
        """Wall seconds per page, the engine alone."""
        return self.direct.wall / len(self.direct.pages)

    @property
    def queue_seconds(self) -> float:
        """Wall seconds per page through the queue, uploads included."""
        return self.queue.wall / len(self.queue.ids)

    @property
    def ratio(self) -> float:
        """Queue over direct."""
        return self.queue_seconds / self.direct_seconds


def measure_rounds(stack: Stack, engine: DirectEngine, receipts: Sequence[Receipt], count: int) -> Iterator[Round]:
    """Yield `count` rounds; nothing else of the benchmark runs meanwhile."""
    images = [receipt.image for receipt in receipts]
    database = stack.settings.sqlalchemy_url
    assert database is not None
    # Connections, caches and the first large page of either process belong to no round.
    engine.read_all(images[:1])
    through_queue.read_all(stack, images[:1])
    parts = parts_of(stack, direct=engine.pid)
    for _ in range(count):
        direct_idle = wait_until_idle(parts)
        before = cpu_seconds(parts)
        direct = engine.read_all(images)
        direct_cpu = used_between(before, cpu_seconds(parts))
        queue_idle = wait_until_idle(parts)
        before = cpu_seconds(parts)
        queue = through_queue.read_all(stack, images)
        queue_cpu = used_between(before, cpu_seconds(parts))
        yield Round(direct, queue, page_times(database, queue.ids), direct_idle, queue_idle, direct_cpu, queue_cpu)


def median_ratio(rounds: Sequence[Round]) -> float:
    """The median of the rounds' ratios: each compares neighbours in time."""
    return median(each.ratio for each in rounds)

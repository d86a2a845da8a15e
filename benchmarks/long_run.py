"""One process that reads many pages: how its memory grows, and whether it still reads as a new one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.receipts import Receipt
from benchmarks.systems.catalog import Entry
from benchmarks.systems.process import SystemProcess
from benchmarks.varied_receipts import write_page

# Memory is noted after this many pages, and after the last.
CHECKPOINTS: Final = (1, 25, 100, 300, 600, 1000, 2000, 3000)


@dataclass(frozen=True)
class LongRun:
    """`rss` is MiB after so many pages, and `peak` the most there ever was.

    `compared` are the numbers of the pages that a new process read alone as well, and `different` those of them on
    which text or boxes were not the same.
    """

    title: str
    pages: int
    wall: float
    rss: dict[int, float]
    peak: float
    compared: list[int]
    different: list[int]

    @property
    def identical(self) -> bool:
        """Whether every compared page was read the same."""
        return not self.different

    def to_json(self) -> dict[str, Any]:
        """MiB and seconds."""
        return {
            "title": self.title,
            "pages": self.pages,
            "wall_seconds": round(self.wall, 1),
            "rss_mib": {str(pages): round(mib, 1) for pages, mib in self.rss.items()},
            "peak_mib": round(self.peak, 1),
            "compared_pages": self.compared,
            "different_pages": self.different,
            "identical": self.identical,
        }


@dataclass(frozen=True)
class Workplace:
    """Where pages and logs may be written, and where the models are."""

    folder: Path
    model_dir: Path


def measure(
    entry: Entry,
    receipts: Sequence[Receipt],
    pages: int,
    *,
    group: int,
    sample: int,
    place: Workplace,
    say: Callable[[str], object],
) -> LongRun:
    """Read `pages` pages, `group` in a request, then `sample` of them again, each alone in a new process.

    Raises:
        ChildEnded: a process ended.
        Absent: the system is not on this machine.
    """
    digests: list[str] = []
    rss: dict[int, float] = {}
    wall, peak = 0.0, 0.0
    with SystemProcess(entry, place.folder / "system.log", place.model_dir) as process:
        process.wait_until_loaded()
        for numbers in groups(pages, group):
            run = process.read(_write(receipts, numbers, place.folder))
            digests += run.digests
            wall, peak = wall + run.wall, run.peak
            if numbers.stop in {*CHECKPOINTS, pages}:
                rss[numbers.stop] = run.rss
                say(f"{numbers.stop} pages: {run.rss:.0f} MiB")
    compared = spread(pages, sample)
    different = [number for number in compared if _read_alone(entry, receipts, number, place) != digests[number]]
    return LongRun(entry.title, pages, wall, rss, peak, [n + 1 for n in compared], [n + 1 for n in different])


def groups(pages: int, size: int) -> Iterator[range]:
    """Pages, numbered from 0, in groups of at most `size`; one ends at every checkpoint."""
    ends = sorted({0, pages, *(checkpoint for checkpoint in CHECKPOINTS if checkpoint < pages)})
    for start, end in pairwise(ends):
        yield from (range(first, min(first + size, end)) for first in range(start, end, size))


def spread(pages: int, count: int) -> list[int]:
    """At most `count` page numbers from 0, the last page and others at equal distances before it."""
    return sorted({pages * step // count - 1 for step in range(1, count + 1)} - {-1})


def _read_alone(entry: Entry, receipts: Sequence[Receipt], number: int, place: Workplace) -> str:
    """The digest of one page that is all a new process reads."""
    folder = place.folder / "alone"
    folder.mkdir(exist_ok=True)
    with SystemProcess(entry, folder / "system.log", place.model_dir) as process:
        process.wait_until_loaded()
        (digest,) = process.read(_write(receipts, [number], folder)).digests
    return digest


def _write(receipts: Sequence[Receipt], numbers: Sequence[int], folder: Path) -> list[Path]:
    """Files of these pages, over those of the pages before."""
    paths = [folder / f"page-{position}.jpg" for position in range(len(numbers))]
    for number, path in zip(numbers, paths, strict=True):
        write_page(path, receipts, number)
    return paths

"""`python -m benchmarks.scale.queueing`: how many workers a day of pages needs, and how long documents wait then."""

from __future__ import annotations

import argparse
import math
import random
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from statistics import quantiles
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.scale.queue_model import Load, Outcome, Servers, simulate
from benchmarks.scale.results import add_output, machine_facts, save

console = Console(highlight=False, soft_wrap=True)

_DAY: Final = 86_400.0
# Assumed: documents by number of pages, and how many there are of each. Their mean is 6.3 pages.
SIZES: Final = {1: 0.50, 2: 0.20, 5: 0.15, 12: 0.10, 40: 0.045, 250: 0.0045, 1000: 0.0005}
# Assumed: a page takes a time whose spread is that of a gamma distribution of this shape: the times of the
# receipts in `make bench` have a standard deviation of 0.29 of their mean.
_SHAPE: Final = 12.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, save."""
    options = _parse(arguments)
    machine = machine_facts()
    rows = [row for headroom in options.headroom for row in _rows(options, headroom)]
    figures = {
        "pages_per_day": options.pages_per_day,
        "peak_factor": options.peak_factor,
        "page_seconds": options.page_seconds,
        "scale": options.scale,
        "mean_document_pages": mean_size(),
        "peak_pages_per_second": options.pages_per_day / _DAY * options.peak_factor,
        "rows": rows,
    }
    _show(figures)
    save(options.output, machine, figures)
    console.print(f"Saved to {options.output}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.queueing", description=__doc__)
    add = parser.add_argument
    add("--pages-per-day", type=float, default=100e6, metavar="N", help="default: %(default)g")
    add("--peak-factor", type=float, default=2.0, metavar="N", help="peak rate over the mean (default: %(default)s)")
    add(
        "--page-seconds",
        type=float,
        nargs="+",
        default=[0.57, 1.71],
        metavar="N",
        help="of a page on a worker (default: a receipt and an A4 scan on one core, see docs/benchmarks.md)",
    )
    add(
        "--headroom",
        type=float,
        nargs="+",
        default=[0.9, 1.0, 1.1],
        metavar="N",
        help="workers over what the peak keeps busy (default: %(default)s)",
    )
    add("--hours", type=float, default=24.0, metavar="N", help="simulated (default: %(default)s)")
    add(
        "--scale",
        type=float,
        default=0.02,
        metavar="N",
        help="share of workers and of pages that is simulated; fewer workers wait for longer (default: %(default)s)",
    )
    add("--seed", type=int, default=1, metavar="N")
    add_output(parser, "queueing")
    return parser.parse_args(arguments)


def mean_size() -> float:
    """Mean pages of a document."""
    return sum(pages * share for pages, share in SIZES.items())


def draw_size() -> Callable[[random.Random], int]:
    """A function that draws the number of pages of a document."""
    sizes, bounds = list(SIZES), list(accumulate(SIZES.values()))

    def draw(chance: random.Random) -> int:
        return sizes[min(bisect_left(bounds, chance.random() * bounds[-1]), len(sizes) - 1)]

    return draw


def daily(mean: float, peak_factor: float) -> Callable[[float], float]:
    """A rate that swings once a day around its mean: lowest at midnight, highest at noon."""

    def rate(moment: float) -> float:
        return mean * (1 - (peak_factor - 1) * math.cos(2 * math.pi * moment / _DAY))

    return rate


def _rows(options: argparse.Namespace, headroom: float) -> list[dict[str, Any]]:
    rows = []
    for seconds in options.page_seconds:
        documents = options.pages_per_day / _DAY / mean_size() * options.scale
        needed = options.pages_per_day / _DAY * options.peak_factor * seconds
        workers = max(1, round(needed * headroom * options.scale))
        load = Load(
            options.hours * 3600,
            daily(documents, options.peak_factor),
            documents * options.peak_factor,
            draw_size(),
        )

        def service(chance: random.Random, mean: float = seconds) -> float:
            return chance.gammavariate(_SHAPE, mean / _SHAPE)

        outcome = simulate(load, Servers(workers, service), options.seed)
        rows.append(
            {
                "page_seconds": seconds,
                "headroom": headroom,
                "workers": round(needed * headroom),
                "workers_simulated": workers,
                "busy": round(outcome.busy, 3),
                **percentiles(outcome),
            }
        )
    return rows


def percentiles(outcome: Outcome) -> dict[str, float | int]:
    """Waits until the first page is begun, and times of documents of one page and of 40 and more."""
    small = [time for size, time in zip(outcome.sizes, outcome.times, strict=True) if size == 1]
    large = [time for size, time in zip(outcome.sizes, outcome.times, strict=True) if size >= 40]
    return {
        "documents": len(outcome.waits),
        **_of("wait", outcome.waits),
        **_of("one_page", small),
        **_of("forty_pages_or_more", large),
    }


def _of(name: str, values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {}
    cuts = quantiles(values, n=100)
    return {f"{name}_p{cut}_seconds": round(cuts[cut - 1], 3) for cut in (50, 95, 99)}


def _show(figures: dict[str, Any]) -> None:
    title = (
        f"{figures['pages_per_day'] / 1e6:g} million pages a day, {figures['peak_pages_per_second']:,.0f} a second at "
        f"the peak; simulated: {figures['scale']:g} of it"
    )
    table = Table(title=title, title_justify="left")
    columns = {
        "s a page": "page_seconds",
        "workers over peak need": "headroom",
        "workers": "workers",
        "simulated": "workers_simulated",
        "busy": "busy",
        "wait p50": "wait_p50_seconds",
        "wait p95": "wait_p95_seconds",
        "wait p99": "wait_p99_seconds",
        "40+ pages p95": "forty_pages_or_more_p95_seconds",
    }
    for column in columns:
        table.add_column(column, justify="right")
    for row in sorted(figures["rows"], key=lambda row: (-row["page_seconds"], row["headroom"])):
        table.add_row(
            *(f"{row.get(key, 0):,.2f}" if "workers" not in key else f"{row[key]:,}" for key in columns.values())
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())

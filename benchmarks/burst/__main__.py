"""`python -m benchmarks.burst`: Quire's policy beside fixed numbers of pods and KEDA's formula, on the same arrivals.

A simulation: prices, the speed of pods, how long they boot and how often they fail are assumed, and options. The
criterion: on no trace is another one better in both money and waiting than Quire's defaults; and over all traces the
defaults cost least when the waiting of a page is worth `--hour-of-waiting` USD an hour.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.burst.scalers import Fixed, Keda, Quire
from benchmarks.burst.traces import TRACES, Trace, read_trace
from benchmarks.burst.world import Outcome, Place, Scaler, World
from benchmarks.plot import Panel, Point, draw
from benchmarks.scale.results import add_output, machine_facts, save
from quire.burst.policy import PolicySettings

console = Console(highlight=False, soft_wrap=True)

DEFAULTS: Final = "Quire"
_MOST: Final = PolicySettings().most_pods
# What the sweep tries, in the order of its columns.
_SWEEP: Final[dict[str, tuple[int, ...]]] = {
    "target_seconds": (30, 60, 120, 300),
    "oldest_seconds": (120, 180, 300),
    "idle_seconds": (120, 300, 600),
    "polls": (1, 2),
}


@dataclass(frozen=True)
class Row:
    """Medians over the seeds. Waits are in seconds, a page each; `usd` and the USD for 1,000 pages are of all pods.

    `total` is the money for 1,000 pages with what their waiting is worth.
    """

    wait_median: float
    wait_p95: float
    wait_p99: float
    usd: float
    usd_a_thousand: float
    total: float
    pods: float
    most_pods: float
    idle_hours: float
    left: int
    unread: int


def scalers() -> dict[str, Callable[[], Scaler]]:
    """What is compared, each made anew for each run."""
    return {
        DEFAULTS: Quire,
        "Quire, thrifty": lambda: Quire(PolicySettings(target_seconds=300, oldest_seconds=300)),
        **{f"always {count}": partial(Fixed, count) for count in (0, 1, 2, 4)},
        **{f"KEDA, {target} pages": partial(Keda, target, _MOST) for target in (100, 1000)},
    }


def simulate(
    trace: Callable[[int], Trace], scaler: Callable[[], Scaler], place: Place, seeds: Sequence[int], hour: float
) -> Row:
    """A scaler on as many days of one kind as there are seeds."""
    return _row([World(trace(seed), place, seed).run(scaler()) for seed in seeds], hour)


def dominating(rows: Mapping[str, Row]) -> list[str]:
    """Those that are better than the defaults in both money and waiting."""
    own = rows[DEFAULTS]
    return [
        name
        for name, row in rows.items()
        if row.usd_a_thousand < own.usd_a_thousand and row.wait_p95 < own.wait_p95 and not row.unread
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, save. The exit status: 1 if somebody is better than the defaults in money and in waiting."""
    options = _parse(arguments)
    machine = machine_facts()
    place = Place(
        options.local_rate,
        options.page_seconds,
        options.price,
        options.cold_start,
        options.boot_failures,
        options.kills,
    )
    traces = {options.trace.name: lambda _: read_trace(options.trace)} if options.trace else TRACES
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    if options.sweep:
        _sweep(traces, place, seeds, options.hour_of_waiting)
        return 0
    found: dict[str, dict[str, Row]] = {}
    for name, trace in traces.items():
        found[name] = {
            label: simulate(trace, make, place, seeds, options.hour_of_waiting) for label, make in scalers().items()
        }
        _show(name, found[name])
    totals = _totals(found)
    _show_totals(totals)
    better = {name: dominating(rows) for name, rows in found.items()}
    for name, names in better.items():
        console.print(f"{name}: better than the defaults in money and waiting: {', '.join(names) or 'none'}")
    figures = {
        "place": asdict(place),
        "seeds": list(seeds),
        "hour_of_waiting": options.hour_of_waiting,
        "traces": {name: {label: asdict(row) for label, row in rows.items()} for name, rows in found.items()},
        "totals": totals,
        "better_in_both": better,
    }
    save(options.output, machine, figures)
    plot = options.output.with_suffix(".svg")
    plot.write_text(_plot(found), encoding="utf-8")
    console.print(f"Saved to {options.output} and {plot}")
    return 1 if any(better.values()) else 0


def _row(outcomes: Sequence[Outcome], hour: float) -> Row:
    waits = [sorted(outcome.waits) for outcome in outcomes]
    thousand = [outcome.usd / max(len(each), 1) * 1000 for outcome, each in zip(outcomes, waits, strict=True)]
    worth = [mean(each) / 3600 * hour * 1000 if each else 0.0 for each in waits]
    return Row(
        median(_part(each, 0.5) for each in waits),
        median(_part(each, 0.95) for each in waits),
        median(_part(each, 0.99) for each in waits),
        median(outcome.usd for outcome in outcomes),
        median(thousand),
        median(money + time for money, time in zip(thousand, worth, strict=True)),
        median(outcome.pods for outcome in outcomes),
        max(outcome.most_pods for outcome in outcomes),
        median(outcome.idle_seconds for outcome in outcomes) / 3600,
        max(outcome.left for outcome in outcomes),
        max(outcome.unread for outcome in outcomes),
    )


def _part(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0


def _totals(found: Mapping[str, Mapping[str, Row]]) -> dict[str, float]:
    labels = next(iter(found.values()))
    return {label: round(mean(rows[label].total for rows in found.values()), 4) for label in labels}


def _sweep(traces: Mapping[str, Callable[[int], Trace]], place: Place, seeds: Sequence[int], hour: float) -> None:
    table = Table(title="The defaults' neighbours, means over all traces", title_justify="left")
    for name in (*_SWEEP, "p95 wait s", "USD for 1,000", "with waiting"):
        table.add_column(name, justify="right")
    for target, oldest, idle, polls in itertools.product(*_SWEEP.values()):
        settings = PolicySettings(target, oldest, idle_seconds=idle, polls=polls)
        rows = [simulate(each, partial(Quire, settings), place, seeds, hour) for each in traces.values()]
        waits, money, total = (
            mean(getattr(row, name) for row in rows) for name in ("wait_p95", "usd_a_thousand", "total")
        )
        table.add_row(
            *(f"{value}" for value in (target, oldest, idle, polls)), f"{waits:.0f}", f"{money:.4f}", f"{total:.4f}"
        )
    console.print(table)


def _show(name: str, rows: Mapping[str, Row]) -> None:
    table = Table(title=name, title_justify="left")
    table.add_column("")
    titles = ("median wait s", "p95", "p99", "USD", "USD for 1,000", "with waiting", "pods", "most", "idle h", "left")
    for title in titles:
        table.add_column(title, justify="right")
    for label, row in rows.items():
        table.add_row(
            label, f"{row.wait_median:.0f}", f"{row.wait_p95:.0f}", f"{row.wait_p99:.0f}", f"{row.usd:.2f}",
            f"{row.usd_a_thousand:.3f}", f"{row.total:.3f}", f"{row.pods:.0f}", f"{row.most_pods:.0f}",
            f"{row.idle_hours:.1f}", str(row.left),
        )  # fmt: skip
    console.print(table)


def _show_totals(totals: Mapping[str, float]) -> None:
    for label, total in sorted(totals.items(), key=lambda each: each[1]):
        console.print(f"{label}: {total:.3f} USD for 1,000 pages with their waiting, mean of all traces")


def _plot(found: Mapping[str, Mapping[str, Row]]) -> str:
    """Money and waiting of each trace; what costs nothing has no place on a logarithmic axis."""
    panels = [
        Panel(
            name,
            [
                Point(label, row.usd_a_thousand, row.wait_p95, "Quire" if label.startswith("Quire") else None)
                for label, row in rows.items()
                if row.usd_a_thousand > 0
            ],
        )
        for name, rows in found.items()
    ]
    return draw(panels, x_title="USD for 1,000 pages", y_title="95 % of pages wait less, s")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    place = Place()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description=__doc__)
    add = parser.add_argument
    add("--seeds", type=positive, default=5, metavar="N", help="days of each kind (default: %(default)s)")
    add("--first-seed", type=int, default=100, metavar="N", help="default: %(default)s")
    add("--sweep", action="store_true", help="the policy with other thresholds instead")
    add("--trace", type=Path, metavar="CSV", help="your own arrivals: columns seconds and pages")
    add("--price", type=float, default=place.price_per_hour, metavar="USD", help="a pod an hour (default: %(default)s)")
    add("--page-seconds", type=float, default=place.page_seconds, metavar="S", help="on a pod (default: %(default)s)")
    add("--local-rate", type=float, default=place.local_rate, metavar="N", help="pages/s (default: %(default)s)")
    add("--cold-start", type=float, default=place.cold_start, metavar="S", help="median (default: %(default)s)")
    add("--boot-failures", type=float, default=place.boot_failures, metavar="P", help="of pods (default: %(default)s)")
    add("--kills", type=float, default=place.kills_per_hour, metavar="N", help="a pod an hour (default: %(default)s)")
    add("--hour-of-waiting", type=float, default=0.01, metavar="USD", help="of a page (default: %(default)s)")
    add_output(parser, "burst")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

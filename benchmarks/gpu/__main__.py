"""`make bench-gpu`: pages a second over batch sizes, processes and places where pages are rendered.

Exit status: 0 measured, 1 no engine could be used on the GPU, 2 wrong arguments, 3 there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.gpu.curve import Point, Setup, enough
from benchmarks.gpu.measure import CannotMeasure, measure
from benchmarks.gpu.nvidia import Gpu, NoGpu, find_gpus
from benchmarks.gpu.pages import write_pages
from benchmarks.machine import machine_facts

NO_ENGINE: Final = 1
NO_GPU: Final = 3

_RESULTS: Final = Path(__file__).parents[1] / "results" / "gpu.json"
_ENGINES: Final = ["paddleocr", "lean", "structure", "got"]
_COLUMNS: Final = ("processes", "batch", "rendered", "pages / s", "GPU busy", "GPU memory")

console = Console(highlight=False, soft_wrap=True)

Measure = Callable[[Setup], Point]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save; the exit status is above."""
    options = _parse(arguments)
    try:
        gpu = _chosen(find_gpus(), options.gpu)
    except NoGpu as error:
        print(f"No GPU to measure on: {error}", file=sys.stderr)
        return NO_GPU
    results: dict[str, Any] = {"machine": machine_facts(), "gpu": asdict(gpu), "engines": {}}
    with tempfile.TemporaryDirectory(prefix="quire-bench-gpu-") as folder:
        pdf = Path(folder) / "pages.pdf"
        write_pages(pdf, options.pages)

        def measure_one(setup: Setup) -> Point:
            renderers = options.renderers or max(1, (_cores() - setup.processes) // setup.processes)
            return measure(
                setup, pdf=pdf, gpu=gpu.index, seconds=options.seconds, renderers=renderers, logs=Path(folder)
            )

        for engine in options.engines:
            results["engines"][engine] = _measure_engine(engine, options, measure_one)
    if not any(found["points"] for found in results["engines"].values()):
        print("No engine could be measured on this GPU.", file=sys.stderr)
        return NO_ENGINE
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print(f"\nSaved to {options.output}")
    return 0


def _measure_engine(engine: str, options: argparse.Namespace, measure_one: Measure) -> dict[str, Any]:
    """Points as JSON, and what could not be measured with its reason."""
    points: list[Point] = []
    skipped: list[dict[str, Any]] = []
    for setup in setups(engine, options.batches, options.processes, points):
        try:
            points.append(measure_one(setup))
        except CannotMeasure as error:
            console.print(f"{engine}, {setup}: {error}", markup=False)
            skipped.append({**asdict(setup), "reason": str(error)})
            if not points:
                # The engine itself: no other setup will do.
                break
    if points:
        console.print(_table(engine, points))
    return {"points": [point.to_json() for point in points], "skipped": skipped}


def setups(engine: str, batches: Sequence[int], processes: Sequence[int], points: Sequence[Point]) -> Iterator[Setup]:
    """What to measure: every batch; then, with the batch that is enough, more processes; then where pages are rendered.

    `points` grows while this goes on: what comes later depends on what was found.
    """
    for batch in batches:
        yield Setup(engine, batch)
    if not points:
        return
    base = enough(points).setup
    for number in processes:
        if number != base.processes:
            yield replace(base, processes=number)
    for number in processes:
        yield replace(base, processes=number, host="same")
        yield replace(base, processes=number, host="others")


def _chosen(gpus: Sequence[Gpu], index: int) -> Gpu:
    found = next((gpu for gpu in gpus if gpu.index == index), None)
    if found is None:
        raise NoGpu(f"there is no GPU {index}, only {', '.join(str(gpu.index) for gpu in gpus)}.")
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _table(engine: str, points: Sequence[Point]) -> Table:
    table = Table(title=engine, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for point in points:
        table.add_row(*point.cells())
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--engines",
        type=lambda text: text.split(","),
        default=_ENGINES,
        metavar="NAME,…",
        help=f"of QUIRE_OCR_ENGINE, and structure (default: {','.join(_ENGINES)}; those that cannot be used say why)",
    )
    parser.add_argument("--batches", type=_numbers, default=[1, 2, 4, 8, 16, 32], metavar="N,…", help="pages at once")
    parser.add_argument("--processes", type=_numbers, default=[1, 2, 4], metavar="N,…", help="processes on the GPU")
    parser.add_argument("--seconds", type=positive, default=20, help="of each measurement (default: 20)")
    parser.add_argument("--pages", type=positive, default=32, help="different pages (default: 32)")
    parser.add_argument(
        "--renderers", type=positive, help="processes that render, for each reader (default: the cores)"
    )
    parser.add_argument("--gpu", type=int, default=0, metavar="INDEX", help="as nvidia-smi counts (default: 0)")
    parser.add_argument("--output", type=Path, default=_RESULTS, metavar="PATH", help="JSON file")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())

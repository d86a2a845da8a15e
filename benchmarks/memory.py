"""`python -m benchmarks.memory`: memory of one process over many pages, and whether it still reads them right."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.child import ChildEnded
from benchmarks.long_run import LongRun, Workplace, measure
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT, DataMissing, find_receipts
from benchmarks.systems.base import Absent
from benchmarks.systems.catalog import IN_FLIGHT, NAMES, PRESETS, Entry, entries, quire_entry

console = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 1 where pages differ, 2 where there is nothing to measure."""
    # Stopped from outside, the children must still be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    machine = machine_facts()
    try:
        run = _measure(options)
    except (DataMissing, Absent, ChildEnded) as error:
        print(error, file=sys.stderr)
        return 2
    _show(run)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"machine": machine, **run.to_json()}
    options.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Saved to {options.output}", soft_wrap=True)
    return 0 if run.identical else 1


def _measure(options: argparse.Namespace) -> LongRun:
    receipts = find_receipts()
    entry = _system(options)
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as name:
        folder = Path(name)
        place = Workplace(folder, Path(os.environ.get("QUIRE_MODEL_DIR") or folder / "models").absolute())
        console.print(f"{entry.title}: {options.pages} pages …")
        return measure(
            entry,
            receipts,
            options.pages,
            group=options.in_flight,
            sample=options.sample,
            place=place,
            say=console.print,
        )


def _system(options: argparse.Namespace) -> Entry:
    if options.system == "quire":
        return quire_entry(options.preset, str(options.in_flight))
    (entry,) = entries([options.system]).values()
    return entry


def _show(run: LongRun) -> None:
    table = Table()
    table.add_column("after pages", justify="right")
    table.add_column("RSS MiB", justify="right")
    for pages, mib in run.rss.items():
        table.add_row(str(pages), f"{mib:.0f}")
    table.add_section()
    table.add_row("peak", f"{run.peak:.0f}")
    console.print(table)
    console.print(f"identical: {str(run.identical).lower()} ({len(run.compared)} pages, each alone in a new process)")
    if run.different:
        console.print(f"[red]different: pages {', '.join(map(str, run.different))}[/]")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    add = parser.add_argument
    add("--pages", type=positive, default=1000, metavar="N", help="default: 1000")
    add("--system", choices=NAMES, default="quire", help="default: quire")
    add("--preset", choices=PRESETS, default="balanced", help="of Quire (default: balanced)")
    add("--in-flight", type=positive, default=IN_FLIGHT, metavar="N", help=f"pages at once (default: {IN_FLIGHT})")
    add("--sample", type=positive, default=10, metavar="N", help="pages to read again, alone (default: 10)")
    default = ROOT / "benchmarks" / "results" / "memory.json"
    add("--output", type=Path, default=default, metavar="PATH", help="JSON file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-scale`: leases, tickets, a million waiting documents, fairness and the simulation of a day, in turn.

`--summary` only prints what they last saved.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from benchmarks.receipts import ROOT
from benchmarks.scale.summary import show

PARTS: Final = ("leases", "tickets", "million", "fairness", "queueing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, each in a process of its own; the greatest of their exit statuses."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"from {', '.join(PARTS)} (default: all)")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"choose from {', '.join(PARTS)} (not {', '.join(sorted(unknown))})")
    parts = [] if options.summary else options.parts or PARTS
    console = Console(highlight=False)
    status = 0
    for part in parts:
        console.print(f"\n[bold]{part}[/]")
        status = max(status, subprocess.call([sys.executable, "-m", f"benchmarks.scale.{part}"], cwd=ROOT))
    show(console)
    return status


if __name__ == "__main__":
    sys.exit(main())

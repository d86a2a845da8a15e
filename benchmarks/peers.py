"""`make bench-peers`: speed, memory and accuracy next to other OCR systems, in one run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.arguments import one_of, positive
from benchmarks.cold_start import ColdStart, cold_starts
from benchmarks.corpora import Corpus, receipts_corpus
from benchmarks.machine import machine_facts
from benchmarks.peer_rounds import compare
from benchmarks.peers_report import PeersReport
from benchmarks.receipts import ROOT, DataMissing, find_receipts
from benchmarks.scanned_pages import scanned_corpus
from benchmarks.systems.catalog import NAMES, PRESETS, entries

console = Console(highlight=False)
# Wide enough for the table, whatever the terminal or pipe behind it.
console.width = max(console.width, 132)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 2 where there is nothing to measure with."""
    # Stopped from outside, the children must still be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    machine = machine_facts()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quire-bench-")))
        try:
            corpora = [_corpus(name, folder, options) for name in options.corpora]
        except DataMissing as error:
            print(error, file=sys.stderr)
            return 2
        model_dir = Path(os.environ.get("QUIRE_MODEL_DIR") or folder / "models").absolute()
        systems = entries(options.systems, options.presets)
        comparisons = []
        for corpus in corpora:
            console.print(f"\n{corpus.title}")
            logs = folder / corpus.name
            logs.mkdir()
            # New processes for each corpus, so that a peak of memory belongs to one.
            comparisons.append(
                compare(corpus, systems, options.rounds, folder=logs, model_dir=model_dir, say=console.print)
            )
        report = PeersReport(machine, comparisons, _cold_starts(corpora[0], folder) if options.cold else [])
    report.show(console)
    for path in report.save(options.output):
        console.print(f"Saved to {path}", soft_wrap=True)
    return 0


def _corpus(name: str, folder: Path, options: argparse.Namespace) -> Corpus:
    makers: dict[str, Callable[[], Corpus]] = {
        "receipts": lambda: receipts_corpus(find_receipts(options.receipts)),
        "scan": lambda: scanned_corpus(folder, options.scan_pages),
    }
    return makers[name]()


def _cold_starts(corpus: Corpus, folder: Path) -> list[ColdStart]:
    console.print("\nCold starts …")
    scratch = folder / "cold"
    scratch.mkdir()
    return cold_starts(corpus.images[0], scratch)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    add = parser.add_argument
    add("--systems", type=one_of(NAMES), default=NAMES, metavar="A,B", help=f"default: {','.join(NAMES)}")
    add("--presets", type=one_of(PRESETS), default=("balanced",), metavar="A,B", help="of Quire (default: balanced)")
    add(
        "--corpora",
        type=one_of(("receipts", "scan")),
        default=("receipts", "scan"),
        metavar="A,B",
        help="default: both",
    )
    add("--receipts", type=positive, metavar="N", help="use the first N only (default: all)")
    add("--scan-pages", type=positive, metavar="N", help="use the first N pages of the PDF only (default: all)")
    add("--rounds", type=positive, default=3, metavar="N", help="every system once a round (default: 3)")
    add("--cold", action="store_true", help="measure Quire's cold start as well")
    default = ROOT / "benchmarks" / "results" / "peers.json"
    add("--output", type=Path, default=default, metavar="PATH", help="JSON file; the plot is saved beside it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

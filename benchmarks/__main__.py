"""`make bench`: accuracy and speed through the queue, next to the engine alone."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import through_queue
from benchmarks.arguments import positive
from benchmarks.direct import DirectEngine
from benchmarks.long_pdf import DPI, write_long_pdf
from benchmarks.machine import machine_facts
from benchmarks.page_times import document_seconds
from benchmarks.queue_overhead import Round, measure_rounds
from benchmarks.receipts import ROOT, Receipt, ReceiptsMissing, find_receipts
from benchmarks.report import LongPdf, Report
from benchmarks.word_f1 import WordScore
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack

console = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 2 where there is nothing to measure with."""
    # Stopped from outside, the servers must still be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    try:
        receipts = find_receipts(options.receipts)
    except ReceiptsMissing as error:
        print(error, file=sys.stderr)
        return 2
    machine = machine_facts()
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        home = Path(folder) / "home"
        console.print("Starting Redis, Postgres, the API and the workers …")
        # Every page is to be read, however often it comes.
        env = {"QUIRE_REUSE_PAGES": "false"}
        with Stack(home, free_port(), ocr_processes=options.processes, env=env) as stack:
            rounds = _measure(stack, receipts, options.rounds)
            long_pdf = _measure_long_pdf(stack, receipts, options.pdf_pages) if options.pdf_pages else None
            log = (home / "logs" / "ocr-1-worker.log").read_text(encoding="utf-8", errors="replace")
    truths = [receipt.truth for receipt in receipts]
    report = Report(
        machine,
        len(receipts),
        queue_score=WordScore.of_pages(zip(rounds[0].queue.texts, truths, strict=True)),
        direct_score=WordScore.of_pages(zip(rounds[0].direct.texts, truths, strict=True)),
        rounds=rounds,
        engine_loads=log.count("OCR engine ready"),
        long_pdf=long_pdf,
    )
    report.show(console)
    report.save(options.output)
    console.print(f"\nSaved to {options.output}", soft_wrap=True)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--receipts", type=positive, metavar="N", help="use the first N only (default: all)")
    parser.add_argument(
        "--rounds", type=positive, default=3, metavar="N", help="direct and queue in turns (default: 3)"
    )
    parser.add_argument(
        "--processes", type=positive, default=1, metavar="N", help="processes of the OCR worker (default: 1)"
    )
    parser.add_argument(
        "--pdf-pages", type=int, default=200, metavar="N", help="length of the PDF (default: 200; 0: none)"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "bench.json", metavar="PATH", help="JSON file"
    )
    return parser.parse_args(arguments)


def _measure(stack: Stack, receipts: Sequence[Receipt], count: int) -> list[Round]:
    rounds: list[Round] = []
    with DirectEngine(stack.home / "models", stack.home / "logs" / "direct.log") as engine:
        for number, each in enumerate(measure_rounds(stack, engine, receipts, count), 1):
            console.print(
                f"Round {number} of {count}: direct {each.direct_seconds:.3f} s, queue {each.queue_seconds:.3f} s per "
                f"page, ratio {each.ratio:.3f}"
            )
            rounds.append(each)
    return rounds


def _measure_long_pdf(stack: Stack, receipts: Sequence[Receipt], pages: int) -> LongPdf:
    console.print(f"A PDF of {pages} pages …")
    path = stack.home / "long.pdf"
    write_long_pdf(path, receipts, pages)
    run = through_queue.read_all(stack, [path], pages=pages, dpi=str(DPI))
    database = stack.settings.sqlalchemy_url
    assert database is not None
    seconds, reading = document_seconds(database, run.ids[0])
    return LongPdf(pages, round(seconds, 2), round(reading, 2), run.errors)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.scale.fairness`: how long small documents wait beside a book, and without it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from uuid import UUID

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.scale.fake_stack import FakeStack, fake_stack
from benchmarks.scale.results import add_output, machine_facts, save
from quire import jobs
from quire.database.tables import Document

console = Console(highlight=False, soft_wrap=True)

_LONGEST_SECONDS: Final = 900
_SECONDS_TO_SPREAD: Final = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 1 where the median wait doubles."""
    options = _parse(arguments)
    machine = machine_facts()
    console.print("Starting Redis, Postgres, the API and the workers …")
    with (
        tempfile.TemporaryDirectory(prefix="quire-bench-") as name,
        fake_stack(Path(name), options.processes, options.page_milliseconds) as stack,
    ):
        bench = _Bench(stack, options.documents, options.pages)
        rounds = [bench.round() for _ in range(options.rounds)]
        turn_seconds = stack.stack.settings.quire_turn_seconds
    figures = summary(rounds) | {
        "documents": options.documents,
        "book_pages": options.pages,
        "processes": options.processes,
        "page_milliseconds": options.page_milliseconds,
        "turn_seconds": turn_seconds,
        "rounds": rounds,
    }
    _show(figures)
    save(options.output, machine, figures)
    console.print(f"Saved to {options.output}")
    return 1 if max(figures["ratios"].values()) >= 2 else 0


def summary(rounds: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians over the rounds, and each case's median wait over that without the book in the same round."""
    names = list(rounds[0])
    medians = {name: {key: median(each[name][key] for each in rounds) for key in rounds[0][name]} for name in names}
    ratios = {
        name: round(median(each[name]["median_seconds"] / each[names[0]]["median_seconds"] for each in rounds), 3)
        for name in names[1:]
    }
    return {"medians": medians, "ratios": ratios}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.fairness", description=__doc__)
    add = parser.add_argument
    add("--documents", type=positive, default=500, metavar="N", help="of one page (default: %(default)s)")
    add("--pages", type=positive, default=5000, metavar="N", help="of the book (default: %(default)s)")
    add("--processes", type=positive, default=4, metavar="N", help="that read pages (default: %(default)s)")
    # What the engine takes for a receipt on one core, see docs/benchmarks.md.
    add("--page-milliseconds", type=float, default=300.0, metavar="N", help="of a page (default: %(default)s)")
    add("--rounds", type=positive, default=1, metavar="N", help="default: %(default)s")
    add_output(parser, "fairness")
    return parser.parse_args(arguments)


class _Bench:
    """Small documents, and a book that is there before them."""

    def __init__(self, stack: FakeStack, documents: int, pages: int) -> None:
        self._stack = stack
        self._documents = documents
        self._small, self._book = stack.store(1), stack.store(pages)
        # Processes, connections and caches belong to no case.
        stack.wait([stack.add(self._small, "warm-up") for _ in range(20)], _LONGEST_SECONDS)

    def round(self) -> dict[str, dict[str, float]]:
        """The waits without the book, beside another owner's, and beside one's own."""
        return {
            "no book": self._measure(None, "reader"),
            "beside another owner's book": self._measure("writer", "reader"),
            "beside the same owner's book": self._measure("reader", "reader"),
        }

    def _measure(self, book_owner: str | None, owner: str) -> dict[str, float]:
        book: UUID | None = None
        if book_owner is not None:
            book = self._stack.add(self._book, book_owner)
            # Until it has all its tickets.
            time.sleep(_SECONDS_TO_SPREAD)
        found = self._stack.wait(
            [self._stack.add(self._small, owner) for _ in range(self._documents)], _LONGEST_SECONDS
        )
        waits = [_wait(document) for document in found]
        figures = {
            "median_seconds": round(median(waits), 3),
            "p95_seconds": round(quantiles(waits, n=20)[18], 3),
            "last_seconds": round(max(waits), 3),
            "book_pages_meanwhile": 0.0,
        }
        if book is not None:
            jobs.cancel(book, self._stack.engine)
            (ended,) = self._stack.wait([book], _LONGEST_SECONDS)
            figures["book_pages_meanwhile"] = float(ended.pages_done)
            # Whoever still reads a page of it.
            time.sleep(_SECONDS_TO_SPREAD)
        console.print(f"median {figures['median_seconds']:.1f} s, last {figures['last_seconds']:.1f} s")
        return figures


def _wait(document: Document) -> float:
    assert document.finished_at is not None
    return (document.finished_at - document.created_at).total_seconds()


def _show(figures: dict[str, Any]) -> None:
    title = f"{figures['documents']} documents of a page beside a book of {figures['book_pages']:,}"
    table = Table(title=title, title_justify="left")
    for column in ("", "median s", "95 % s", "last s", "pages of the book", "of no book"):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in figures["medians"].items():
        ratio = figures["ratios"].get(name)
        table.add_row(
            name,
            *(f"{row[key]:.1f}" for key in ("median_seconds", "p95_seconds", "last_seconds")),
            f"{row['book_pages_meanwhile']:.0f}",
            f"{ratio:.2f}" if ratio else "",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())

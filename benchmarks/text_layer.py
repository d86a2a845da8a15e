"""How many pages a second are read from their text layer, by one process on one core.

From the open document to `PageText`: deciding, lines, words, boxes, reading order. No OCR.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT, data_folder
from benchmarks.text_pdf import write_text_pdf
from quire.contracts import PageText
from quire.errors import NoTextLayer
from quire.pages import PageSource, open_source
from quire.settings import Settings

_GENERATED_PAGES: Final = 50
# Born-digital documents in the data folder: LaTeX in one and in two columns, and a book with formulas and drawings.
_SAMPLES: Final = ("pdflatex-4-pages.pdf", "multicolumn.pdf", "GeoTopo-komprimiert.pdf")

Reader = Callable[[int], PageText]


@dataclass(frozen=True)
class Speed:
    """One document: its pages with a sound text layer, and seconds of CPU and of wall time for all of them, a round."""

    title: str
    pages: int
    characters: int
    words: int
    cpu: list[float]
    wall: list[float]

    @property
    def cpu_pages_per_second(self) -> float:
        """Median over the rounds."""
        return self.pages / median(self.cpu)

    @property
    def wall_pages_per_second(self) -> float:
        """Median over the rounds."""
        return self.pages / median(self.wall)

    def to_json(self) -> dict[str, Any]:
        """Medians, counts a page, and all rounds."""
        return {
            "title": self.title,
            "pages": self.pages,
            "characters_per_page": round(self.characters / self.pages),
            "words_per_page": round(self.words / self.pages),
            "pages_per_cpu_second": round(self.cpu_pages_per_second, 1),
            "pages_per_second": round(self.wall_pages_per_second, 1),
            "rounds": [
                {"cpu_seconds": round(cpu, 4), "seconds": round(wall, 4)}
                for cpu, wall in zip(self.cpu, self.wall, strict=True)
            ],
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save."""
    sys.path.insert(0, str(ROOT / "apps" / "worker"))
    options = _parse(arguments)
    machine = machine_facts() | {"pypdfium2": version("pypdfium2")}
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        speeds = [_measure(title, path, options.rounds) for title, path in _documents(options.pdf, Path(folder))]
    _show(speeds)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine, "documents": [speed.to_json() for speed in speeds]}
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"Saved to {options.output}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_layer", description=__doc__)
    parser.add_argument("--pdf", type=Path, metavar="PATH", help="this document (default: one made here, and samples)")
    parser.add_argument("--rounds", type=positive, default=9, metavar="N", help="over all pages (default: 9)")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results" / "text_layer.json",
        metavar="PATH",
        help="JSON file",
    )
    return parser.parse_args(arguments)


def _documents(pdf: Path | None, folder: Path) -> list[tuple[str, Path]]:
    """The document asked for; else one of running text, and those of the samples that are there."""
    if pdf is not None:
        return [(pdf.name, pdf)]
    generated = folder / "text.pdf"
    write_text_pdf(generated, _GENERATED_PAGES)
    samples = [data_folder() / "documents" / "py-pdf-samples" / name for name in _SAMPLES]
    return [("running text", generated), *((path.name, path) for path in samples if path.is_file())]


def _measure(title: str, path: Path, rounds: int) -> Speed:
    with open_source(path) as source:
        read = _reader(source)
        # Also what is read for the first time is then in memory. The pages themselves are not kept, as nobody does.
        sizes = {number: size for number in range(1, source.page_count + 1) if (size := _size(read, number))}
        if not sizes:
            raise SystemExit(f"{path} has no page with a sound text layer.")
        times = [_round(read, list(sizes)) for _ in range(rounds)]
    return Speed(
        title,
        pages=len(sizes),
        characters=sum(characters for characters, _ in sizes.values()),
        words=sum(words for _, words in sizes.values()),
        cpu=[cpu for cpu, _ in times],
        wall=[wall for _, wall in times],
    )


def _reader(source: PageSource) -> Reader:
    """Reads a page from its text layer and nothing else; the engine is never loaded."""
    from ocr.engines import create_engine
    from ocr.read import ReadOptions, read_page

    engine = create_engine(Settings())
    options = ReadOptions(dpi=180, min_confidence=0.5, languages=("en",), text_layer="only")
    return lambda number: read_page(source, number, options, engine)


def _size(read: Reader, number: int) -> tuple[int, int] | None:
    """Characters and words of a page; None where its text layer is not sound."""
    try:
        page = read(number)
    except NoTextLayer:
        return None
    return len(page.text), len(page.words)


def _round(read: Reader, numbers: Sequence[int]) -> tuple[float, float]:
    """Seconds of CPU and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    for number in numbers:
        read(number)
    return time.process_time() - cpu, time.perf_counter() - wall


def _show(speeds: Sequence[Speed]) -> None:
    table = Table(title="Pages read from their text layer, medians of the rounds", title_justify="left")
    table.add_column("")
    for column in ("pages", "characters a page", "words a page", "pages a CPU second", "pages a second"):
        table.add_column(column, justify="right")
    for speed in speeds:
        facts = speed.to_json()
        table.add_row(
            speed.title,
            *(str(facts[key]) for key in ("pages", "characters_per_page", "words_per_page")),
            *(f"{facts[key]:.0f}" for key in ("pages_per_cpu_second", "pages_per_second")),
        )
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.exports`: time a page of each export, and whether memory stays the same however many there are.

Pages are made up: an A4 page at 180 pixels an inch, 40 lines of 9 words, over the picture of a scanned page. Each
export runs in a process of its own, which reports its largest resident size.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.picture_pdf import write_picture_pdf
from benchmarks.receipts import ROOT
from quire.contracts import Box, Detection, PageText, Word
from quire.exports.base import ExportInfo
from quire.exports.formats import FORMATS, write_export

_DPI: Final = 180.0
_WIDTH, _HEIGHT = 1488, 2105
_LINES, _WORDS = 40, 9

console = Console(highlight=False)


@dataclass(frozen=True)
class Measured:
    """One export: seconds for all pages, the bytes written, and the process's largest resident size in MiB."""

    seconds: float
    written: int
    peak_mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save."""
    options = _parse(arguments)
    if options.one:
        print(json.dumps(asdict(_export(options.one, options.source, options.pages[0]))))
        return 0
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        results = _measure(Path(folder), options.pages, options.rounds)
    _show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine_facts(),
        "words_a_page": _LINES * _WORDS,
        "exports": {
            name: {str(n): [asdict(m) for m in some] for n, some in by.items()} for name, by in results.items()
        },
    }
    options.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Saved to {options.output}", soft_wrap=True)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--pages", type=positive, nargs="+", default=[100, 1000], help="how many (100 1000)")
    parser.add_argument("--rounds", type=positive, default=3, help="how often each is measured (3)")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "exports.json")
    parser.add_argument("--one", choices=FORMATS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _measure(folder: Path, pages: Sequence[int], rounds: int) -> dict[str, dict[int, list[Measured]]]:
    results: dict[str, dict[int, list[Measured]]] = {}
    for count in pages:
        sources = {"pdf": _scanned_pdf(folder, count), "tiff": _scanned_tiff(folder, count)}
        for title, name, source in _cases(sources):
            console.print(f"{title}, {count} pages …")
            # One page is all there is of an overlay.
            some = [_in_child(name, source, 1 if FORMATS[name].one_page else count) for _ in range(rounds)]
            results.setdefault(title, {})[count] = some
        for source in sources.values():
            source.unlink()
    return results


def _cases(sources: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    for name in FORMATS:
        if name == "pdf":
            yield "pdf, of a scanned PDF", name, sources["pdf"]
            yield "pdf, of a TIFF, 1 bit", name, sources["tiff"]
        else:
            yield name, name, sources["pdf"]


def _in_child(name: str, source: Path, pages: int) -> Measured:
    command = [
        sys.executable,
        "-m",
        "benchmarks.exports",
        "--one",
        name,
        "--source",
        str(source),
        "--pages",
        str(pages),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return Measured(**json.loads(done.stdout))


def _export(name: str, source: Path, pages: int) -> Measured:
    with tempfile.TemporaryFile(dir=source.parent) as out:
        started = time.perf_counter()
        write_export(name, ExportInfo(source.name, pages), made_up_pages(pages), out, source)
        return Measured(time.perf_counter() - started, out.tell(), _peak_mib())


def _peak_mib() -> float:
    """The largest resident size of this process, in MiB; `getrusage` would count its parent's."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process had")


def made_up_pages(count: int) -> Iterator[PageText]:
    """Results of scanned pages, made as they are asked for."""
    for number in range(1, count + 1):
        lines = [[f"w{number}x{line}y{word}" for word in range(_WORDS)] for line in range(_LINES)]
        yield PageText(
            page_number=number,
            width=_WIDTH,
            height=_HEIGHT,
            dpi=_DPI,
            rotation=0,
            source="ocr",
            engine="none",
            text="\n".join(map(" ".join, lines)),
            detections=tuple(
                Detection(text=" ".join(words), box=_box(line, 0, _WORDS), confidence=0.97, page_number=number)
                for line, words in enumerate(lines)
            ),
            words=tuple(
                Word(text=text, box=_box(line, word, 1), confidence=0.97, line=line)
                for line, words in enumerate(lines)
                for word, text in enumerate(words)
            ),
            confidence=0.97,
        )


def _box(line: int, word: int, words: int) -> Box:
    left, top = 90.0 + 145 * word, 100.0 + 48 * line
    right, bottom = left + 145 * words - 12, top + 34
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _page_image() -> Image.Image:
    image = Image.effect_noise((_WIDTH, _HEIGHT), 12).point(lambda value: min(255, value + 100)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for line in range(_LINES):
        draw.text((90, 104 + 48 * line), "The quick brown fox jumps over the lazy dog, and on. " * 2,
                  font=ImageFont.load_default(26), fill=(30, 30, 60))  # fmt: skip
    return image


def _scanned_pdf(folder: Path, pages: int) -> Path:
    buffer = io.BytesIO()
    _page_image().save(buffer, "JPEG", quality=60)
    write_picture_pdf(folder / f"{pages}.pdf", (buffer.getvalue() for _ in range(pages)), _DPI)
    return folder / f"{pages}.pdf"


def _scanned_tiff(folder: Path, pages: int) -> Path:
    image = _page_image().convert("L").point(lambda value: 255 * (value > 96)).convert("1")
    path = folder / f"{pages}.tiff"
    image.save(path, compression="group4", save_all=True, append_images=[image] * (pages - 1))
    return path


def _show(results: dict[str, dict[int, list[Measured]]]) -> None:
    table = Table("export", "pages", "ms a page", "KiB a page", "peak MiB")
    for title, by_count in results.items():
        for count, some in by_count.items():
            pages = 1 if title == "overlay" else count
            milliseconds = median(one.seconds for one in some) * 1000 / pages
            table.add_row(
                title,
                str(count),
                f"{milliseconds:.2f}",
                f"{some[0].written / pages / 1024:.0f}",
                f"{median(one.peak_mib for one in some):.0f}",
            )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())

"""Results made by hand for the tests of the exports, and PDFs read back by other programs."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium
from lxml import html

from quire.contracts import Box, Detection, PageError, PageText, Word
from quire.exports.base import ExportInfo
from quire.exports.formats import write_export

POPPLER: Final = shutil.which("pdftotext")
# Left, top, right, bottom.
Sides = tuple[float, float, float, float]
Placed = tuple[str, Sides]


def box(left: float, top: float, right: float, bottom: float) -> Box:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def page_with(
    lines: Sequence[Sequence[tuple[str, Box]]],
    *,
    number: int = 1,
    size: tuple[int, int] = (700, 400),
    between: str = " ",
    with_words: bool = True,
    confidences: Sequence[float] = (),
    **fields: Any,
) -> PageText:
    """A page of these lines of words; a line's box is the one around those of its words."""
    detections, words = [], []
    for index, line in enumerate(lines):
        confidence = confidences[index] if confidences else 0.9
        xs = [x for _, corners in line for x, _ in corners]
        ys = [y for _, corners in line for _, y in corners]
        around = line[0][1] if len(line) == 1 else box(min(xs), min(ys), max(xs), max(ys))
        text = between.join(word for word, _ in line)
        detections.append(Detection(text=text, box=around, confidence=confidence, page_number=number))
        words += [Word(text=word, box=corners, confidence=confidence, line=index) for word, corners in line]
    known: dict[str, Any] = {
        "page_number": number, "width": size[0], "height": size[1], "rotation": 0, "source": "ocr", "engine": "test 1",
        "text": "\n".join(found.text for found in detections), "detections": detections,
        "words": words if with_words else [], "confidence": 0.9,
    }  # fmt: skip
    return PageText(**(known | fields))


def text_page(*lines: str, number: int = 1, **fields: Any) -> PageText:
    """A page of these lines, one under the other, each of one word."""
    places = [[(line, box(40, 40 + 40 * index, 400, 70 + 40 * index))] for index, line in enumerate(lines)]
    return page_with(places, number=number, size=(700, 2000), with_words=False, **fields)


def exported(
    name: str,
    pages: Iterable[PageText],
    source: Path | None = None,
    *,
    errors: tuple[PageError, ...] = (),
    filename: str = "letter.pdf",
) -> bytes:
    out = io.BytesIO()
    info = ExportInfo(filename, 3, "ab" * 32, errors)
    write_export(name, info, iter(pages), out, source)
    return out.getvalue()


def failed(number: int) -> PageError:
    return PageError(page_number=number, code="timeout", message="It took too long.")


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def poppler_words(path: Path, page: int = 1) -> list[Placed]:
    """The words `pdftotext` finds, in points of the page as it is seen, origin top left."""
    assert POPPLER is not None
    command = [POPPLER, "-bbox", "-cropbox", "-f", str(page), "-l", str(page), str(path), "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    tree = html.fromstring(done.stdout.decode())
    return [(word.text or "", _sides(word)) for word in tree.iter("word")]


def _sides(word: Any) -> Sides:
    return float(word.get("xmin")), float(word.get("ymin")), float(word.get("xmax")), float(word.get("ymax"))


def pdfium_text(path: Path, page: int = 1) -> str:
    with pdfium.PdfDocument(path) as document:
        text = document[page - 1].get_textpage()
        return str(text.get_text_bounded()).replace("\r\n", "\n")


def pdfium_place(path: Path, searched: str, page: int = 1) -> Sides:
    """Where PDFium finds a text: left, bottom, right and top in the page's own coordinates."""
    with pdfium.PdfDocument(path) as document:
        text = document[page - 1].get_textpage()
        found = text.search(searched, match_case=True).get_next()
        assert found is not None, f"{searched} is not found"
        boxes = [text.get_charbox(index) for index in range(found[0], found[0] + found[1])]
        lefts, bottoms, rights, tops = zip(*boxes, strict=True)
        return min(lefts), min(bottoms), max(rights), max(tops)


def rendered(path: Path, page: int = 1, scale: float = 1.0) -> bytes:
    with pdfium.PdfDocument(path) as document:
        bitmap = document[page - 1].render(scale=scale)
        return bytes(bitmap.to_numpy().tobytes())

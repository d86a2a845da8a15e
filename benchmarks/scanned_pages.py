"""A4 pages as a scanner makes them, with ground truth: born-digital pages, rendered, given noise, stored as pictures.

The ground truth is the text layer of the page before. The same files give the same pages, bit for bit.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
from PIL import Image

from benchmarks.corpora import Corpus
from benchmarks.picture_pdf import write_picture_pdf
from benchmarks.receipts import DataMissing, data_folder

DPI: Final = 180
_POINTS_PER_INCH: Final = 72
# A4 pages with text in one or two columns whose text layer says exactly what is to be seen; numbered from 1.
_PAGES: Final = (
    ("pdflatex-4-pages.pdf", 1),
    ("multicolumn.pdf", 1),
    ("google-doc-document.pdf", 1),
    ("pdflatex-4-pages.pdf", 2),
    ("multicolumn.pdf", 2),
    ("pdflatex-image.pdf", 1),
    ("pdflatex-4-pages.pdf", 3),
    ("pdflatex-4-pages.pdf", 4),
)
# Grey levels, of 255: paper is not white, ink is not black, and a sensor is not quiet.
_PAPER: Final = 244
_INK: Final = 30
_NOISE: Final = 6
_JPEG_QUALITY: Final = 80


def scanned_corpus(folder: Path, most: int | None = None) -> Corpus:
    """Write the first `most` pages into `folder`, as one PDF and as a PNG each.

    Raises:
        DataMissing: the born-digital files are not there.
    """
    chosen = [_page(name, number) for name, number in _PAGES[:most]]
    document = folder / "scan.pdf"
    write_picture_pdf(document, (_scanned(pixels, seed) for seed, (pixels, _) in enumerate(chosen)), DPI)
    images = tuple(folder / f"scan-{number}.png" for number in range(1, len(chosen) + 1))
    for number, image in enumerate(images):
        Image.fromarray(_render(document, number)[0]).save(image)
    title = f"a scanned PDF of {len(chosen)} A4 pages at {DPI} DPI"
    return Corpus("scan", title, images, tuple(text for _, text in chosen), document, DPI)


def _page(name: str, number: int) -> tuple[Any, str]:
    """The page's pixels and its own text."""
    path = data_folder() / "documents" / "py-pdf-samples" / name
    if not path.is_file():
        raise DataMissing(f"No file {path}: set QUIRE_TEST_DATA.")
    return _render(path, number - 1)


def _render(path: Path, index: int) -> tuple[Any, str]:
    """Page `index` (from 0) as uint8 RGB, shape (height, width, 3), at `DPI`, and its text layer."""
    with pdfium.PdfDocument(path) as document:
        page = document[index]
        pixels = np.asarray(page.render(scale=DPI / _POINTS_PER_INCH).to_pil().convert("RGB"))
        text: str = page.get_textpage().get_text_range()
    return pixels, text


def _scanned(pixels: Any, seed: int) -> bytes:
    """A grey JPEG of the page as if it had been on paper. `pixels` is uint8, shape (height, width, 3)."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, _NOISE, grey.shape)
    scan = _INK + grey * ((_PAPER - _INK) / 255) + noise
    buffer = io.BytesIO()
    Image.fromarray(np.clip(scan, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=_JPEG_QUALITY, dpi=(DPI, DPI))
    return buffer.getvalue()

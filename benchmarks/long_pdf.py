"""A long scanned PDF: the upper parts of receipts, one a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium
from PIL import Image

from benchmarks.receipts import Receipt

# Pages are rendered at the resolution their pictures have.
DPI: Final = 100
_WIDTH_PIXELS: Final = 460
_HEIGHT_PIXELS: Final = 320


def write_long_pdf(target: Path, receipts: Sequence[Receipt], pages: int) -> None:
    """Write a PDF of so many pages; the receipts repeat."""
    pictures = [_upper_part(receipt.image) for receipt in receipts]
    document = pdfium.PdfDocument.new()
    try:
        for index in range(pages):
            _add_page(document, pictures[index % len(pictures)])
        document.save(target)
    finally:
        document.close()


def _upper_part(image: Path) -> bytes:
    """A JPEG of `_WIDTH_PIXELS` × at most `_HEIGHT_PIXELS`."""
    with Image.open(image) as opened:
        picture = opened.convert("RGB")
    height = round(picture.height * _WIDTH_PIXELS / picture.width)
    picture = picture.resize((_WIDTH_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.crop((0, 0, _WIDTH_PIXELS, min(height, _HEIGHT_PIXELS))).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _add_page(document: Any, jpeg: bytes) -> None:
    picture = pdfium.PdfImage.new(document)
    picture.load_jpeg(io.BytesIO(jpeg), inline=True)
    width, height = (pixels * 72 / DPI for pixels in picture.get_px_size())
    picture.set_matrix(pdfium.PdfMatrix().scale(width, height))
    page = document.new_page(width, height)
    page.insert_obj(picture)
    page.gen_content()
    page.close()

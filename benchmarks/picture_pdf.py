"""A PDF whose pages are pictures and carry no text, as a scanner makes it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium

_POINTS_PER_INCH: Final = 72


def write_picture_pdf(target: Path, jpegs: Iterable[bytes], dpi: float) -> None:
    """Write a PDF with one JPEG a page. Rendered at `dpi`, a page has as many pixels as its picture."""
    document = pdfium.PdfDocument.new()
    try:
        for jpeg in jpegs:
            _add_page(document, jpeg, dpi)
        document.save(target)
    finally:
        document.close()


def _add_page(document: Any, jpeg: bytes, dpi: float) -> None:
    picture = pdfium.PdfImage.new(document)
    picture.load_jpeg(io.BytesIO(jpeg), inline=True)
    width, height = (pixels * _POINTS_PER_INCH / dpi for pixels in picture.get_px_size())
    picture.set_matrix(pdfium.PdfMatrix().scale(width, height))
    page = document.new_page(width, height)
    page.insert_obj(picture)
    page.gen_content()
    page.close()

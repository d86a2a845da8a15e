"""A long scanned PDF: the upper parts of receipts, one a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.picture_pdf import write_picture_pdf
from benchmarks.receipts import Receipt

# Pages are rendered at the resolution their pictures have.
DPI: Final = 100
_WIDTH_PIXELS: Final = 460
_HEIGHT_PIXELS: Final = 320


def write_long_pdf(target: Path, receipts: Sequence[Receipt], pages: int) -> None:
    """Write a PDF of so many pages; the receipts repeat."""
    pictures = [_upper_part(receipt.image) for receipt in receipts]
    write_picture_pdf(target, (pictures[index % len(pictures)] for index in range(pages)), DPI)


def _upper_part(image: Path) -> bytes:
    """A JPEG of `_WIDTH_PIXELS` × at most `_HEIGHT_PIXELS`."""
    with Image.open(image) as opened:
        picture = opened.convert("RGB")
    height = round(picture.height * _WIDTH_PIXELS / picture.width)
    picture = picture.resize((_WIDTH_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.crop((0, 0, _WIDTH_PIXELS, min(height, _HEIGHT_PIXELS))).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()

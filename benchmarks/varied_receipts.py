"""Any number of pages of different sizes, cut out of receipts; the same number gives the same page, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.receipts import Receipt

# The share of a receipt's width and height that a page keeps, and the width in pixels it is scaled to.
_KEPT: Final = (0.6, 1.0)
_WIDTHS: Final = (400, 1400)
_JPEG_QUALITY: Final = 90


def write_page(target: Path, receipts: Sequence[Receipt], number: int) -> None:
    """Write page `number` as a JPEG: a part of a receipt, in a size of its own."""
    chance = random.Random(number)
    with Image.open(receipts[number % len(receipts)].image) as opened:
        picture = opened.convert("RGB")
    width, height = (max(1, round(side * chance.uniform(*_KEPT))) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    picture = picture.crop((left, top, left + width, top + height))
    wanted = chance.randint(*_WIDTHS)
    scaled = (wanted, max(1, round(height * wanted / width)))
    picture.resize(scaled, Image.Resampling.LANCZOS).save(target, "JPEG", quality=_JPEG_QUALITY)

"""Pages of one size to measure with: made here, so that a GPU machine needs nothing but the repository."""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

from benchmarks.picture_pdf import write_picture_pdf
from quire.pages import PageImage, open_source

# Where pages are rendered: before the measurement, in the process that reads them, or in others beside it.
Host = Literal["before", "same", "others"]

DPI: Final = 150
# A4.
_SIZE: Final = (1240, 1754)
_LINES: Final = 44
# fmt: off
_WORDS: Final = (
    "account", "amount", "balance", "carried", "contract", "customer", "date", "delivery", "due", "gross", "hereby",
    "invoice", "item", "net", "number", "order", "paid", "payable", "period", "price", "quantity", "received",
    "supplier", "terms", "total", "transfer", "unit", "value", "2026", "17.50", "384",
)
# fmt: on
# Pages that are being rendered ahead, in batches.
_AHEAD: Final = 2


def write_pages(target: Path, count: int) -> None:
    """Write a PDF of so many scanned pages with different text, 44 lines each. Equal counts give equal pages."""
    write_picture_pdf(target, (_scan(number) for number in range(count)), DPI)


def batches(pdf: Path, size: int, host: Host, renderers: int = 1) -> Generator[list[PageImage], None, None]:
    """The document's pages over and over, in lists of `size`. `renderers`: how many other processes render.

    Close the iterator, which ends the other processes.
    """
    with open_source(pdf) as source:
        count = source.page_count
    if host == "others":
        yield from _rendered_by_others(pdf, size, count, renderers)
    elif host == "same":
        with open_source(pdf) as source:
            numbers = cycle(range(1, count + 1))
            while True:
                yield [source.image(number, DPI) for number in islice(numbers, size)]
    else:
        with open_source(pdf) as source:
            pages = cycle([source.image(number, DPI) for number in range(1, count + 1)])
        while True:
            yield list(islice(pages, size))


def _rendered_by_others(pdf: Path, size: int, count: int, renderers: int) -> Iterator[list[PageImage]]:
    numbers = cycle(range(1, count + 1))
    # A forked child of a process that uses CUDA is unusable.
    with ProcessPoolExecutor(renderers, get_context("spawn")) as pool:
        ahead: deque[Future[PageImage]] = deque()
        try:
            while True:
                while len(ahead) < (_AHEAD + 1) * size:
                    ahead.append(pool.submit(_render, pdf, next(numbers)))
                yield [ahead.popleft().result() for _ in range(size)]
        finally:
            for future in ahead:
                future.cancel()


def _render(pdf: Path, number: int) -> PageImage:
    with open_source(pdf) as source:
        return source.image(number, DPI)


def _scan(seed: int) -> bytes:
    words = random.Random(seed)
    page = Image.new("L", _SIZE, 247)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(24)
    for line in range(_LINES):
        draw.text((90, 90 + 36 * line), " ".join(words.choices(_WORDS, k=10)), font=font, fill=25)
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()

"""The documents of a run: of various sizes, no two pages alike, and what each page says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.chaos.serials import cells_image, text_of
from tests.pdfs import numbered_image, write_picture_pdf

Engine = Literal["fake", "lean"]

_SIZES: Final = (1, 1, 2, 3, 5, 8, 20, 60, 150, 400)
# With this many digits each serial number is as long as the others.
_FIRST_SERIAL: Final = 100_000


@dataclass(frozen=True)
class Book:
    """One document; `texts` are those of its pages, in order."""

    path: Path
    texts: tuple[str, ...]


def make_books(folder: Path, pages: int, engine: Engine, seed: int) -> list[Book]:
    """Write PDFs that have `pages` pages together, drawn so that this engine can read them."""
    picture = cells_image if engine == "fake" else numbered_image
    books, serial = [], _FIRST_SERIAL
    for number, size in enumerate(sizes(pages, seed)):
        serials = range(serial, serial + size)
        path = write_picture_pdf(folder / f"book-{number}.pdf", map(picture, serials))
        books.append(Book(path, tuple(map(text_of, serials))))
        serial += size
    return books


def sizes(pages: int, seed: int) -> Iterator[int]:
    """Page counts from one to a fifth of all pages, which they add up to."""
    chance, left = random.Random(f"sizes {seed}"), pages
    while left:
        size = min(chance.choice(_SIZES), max(1, pages // 5), left)
        yield size
        left -= size

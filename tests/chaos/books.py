"""The documents of a run: of various sizes, no two pages alike, and what each page says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.chaos.serials import FIRST_DEADLY, cells_image, is_deadly, text_of
from tests.pdfs import numbered_image, write_picture_pdf

Engine = Literal["fake", "lean"]

_SIZES: Final = (1, 1, 2, 3, 5, 8, 20, 60, 150, 400)
# In a document of fewer pages a deadly one would have no neighbours.
_LEAST_NEIGHBOURLY: Final = 3
# With this many digits each serial number is as long as the others.
_FIRST_SERIAL: Final = 100_000


@dataclass(frozen=True)
class Book:
    """One document; `texts` are those of its pages, in order, None where whoever reads the page dies of it."""

    path: Path
    texts: tuple[str | None, ...]


def make_books(folder: Path, pages: int, engine: Engine, seed: int, deadly: int = 0) -> list[Book]:
    """Write PDFs that have `pages` pages together, drawn so that this engine can read them.

    Up to `deadly` documents, of those submitted first, have one page that the fake engine does not survive.
    """
    picture = cells_image if engine == "fake" else numbered_image
    books, serial = [], _FIRST_SERIAL
    all_sizes = list(sizes(pages, seed))
    deaths = _deaths(all_sizes, deadly if engine == "fake" else 0, seed)
    for number, size in enumerate(all_sizes):
        serials = list(range(serial, serial + size))
        if number in deaths:
            serials[deaths[number]] = FIRST_DEADLY + number
        path = write_picture_pdf(folder / f"book-{number}.pdf", map(picture, serials))
        books.append(Book(path, tuple(None if is_deadly(one) else text_of(one) for one in serials)))
        serial += size
    return books


def _deaths(all_sizes: list[int], deadly: int, seed: int) -> dict[int, int]:
    """For some of the first half of the documents, the index of the page that is deadly."""
    chance = random.Random(f"deadly {seed}")
    first = range((len(all_sizes) + 1) // 2)
    fit = [number for number in first if all_sizes[number] >= _LEAST_NEIGHBOURLY]
    return {number: chance.randrange(all_sizes[number]) for number in chance.sample(fit, min(deadly, len(fit)))}


def sizes(pages: int, seed: int) -> Iterator[int]:
    """Page counts from one to a fifth of all pages, which they add up to."""
    chance, left = random.Random(f"sizes {seed}"), pages
    while left:
        size = min(chance.choice(_SIZES), max(1, pages // 5), left)
        yield size
        left -= size

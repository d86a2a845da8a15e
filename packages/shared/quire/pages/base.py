"""A page image, the limits on it, and what every kind of document can do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from quire.errors import PageOutOfRange
from quire.settings import Settings

Rotation = Literal[0, 90, 180, 270]


@dataclass(frozen=True)
class PageLimits:
    """What is refused before memory is spent on it. Pixels are width × height of one page."""

    max_pages: int = 10_000
    max_image_pixels: int = 100_000_000
    max_render_pixels: int = 25_000_000

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limits of the `QUIRE_MAX_*` variables."""
        return cls(settings.quire_max_pages, settings.quire_max_image_pixels, settings.quire_max_render_pixels)


@dataclass(frozen=True)
class PageImage:
    """One page as the reader sees it.

    `pixels` is uint8 of shape (height, width, 3), RGB. `dpi` is the resolution a PDF page was rendered at, None for an
    image. `rotation` is the clockwise turn in degrees that the file asked for and that has been applied.
    """

    number: int
    pixels: npt.NDArray[np.uint8]
    dpi: float | None = None
    rotation: Rotation = 0

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])


class PageSource(AbstractContextManager["PageSource"], Protocol):
    """An open document. Pages are made one at a time, when asked for; use it from one thread and close it."""

    media_type: str
    page_count: int

    def image(self, number: int, dpi: float) -> PageImage:
        """The image of page `number` (from 1). `dpi` is for PDF pages; images keep the pixels they have.

        Raises:
            PageOutOfRange: there is no such page.
            TooLarge: it has more pixels than allowed.
            Corrupt: it cannot be decoded.
        """


def refuse_missing_page(number: int, page_count: int) -> None:
    """Raise `PageOutOfRange` unless 1 ≤ `number` ≤ `page_count`."""
    if not 1 <= number <= page_count:
        raise PageOutOfRange(f"There is no page {number}: the document has {page_count} page(s).")

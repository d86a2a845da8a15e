"""Quarter turns of page images, and boxes put back on the page as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quire.contracts import Point
from quire.pages import PageImage


def upright(image: PageImage, quarters: int) -> PageImage:
    """The page turned by `quarters` quarter turns, counterclockwise."""
    return replace(image, pixels=np.ascontiguousarray(np.rot90(image.pixels, quarters))) if quarters else image


def put_back(point: Point, width: int, height: int, quarters: int) -> Point:
    """Where a point of `upright(image, quarters)` is on an image of `width` × `height` pixels."""
    x, y = point
    if quarters == 1:
        x, y = width - y, x
    elif quarters == 2:
        x, y = width - x, height - y
    elif quarters == 3:
        x, y = y, height - x
    return round(x, 2), round(y, 2)

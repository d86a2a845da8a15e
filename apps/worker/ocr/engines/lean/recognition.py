"""Reading the pictures of lines, in batches of equal width."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from ocr.engines.lean.alignment import Steps
from ocr.engines.lean.crops import GREY, LINE_HEIGHT
from ocr.engines.lean.detection import Pixels
from ocr.engines.lean.network import Network

# Widths are rounded up, more coarsely the longer the line, and batches have one of a few numbers of lines: a runtime
# keeps compiled code and memory for each shape it has seen, and these are few.
_WIDTH_STEPS: Final = ((320, 32), (640, 64), (1280, 128), (4096, 640))
_BATCHES: Final = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)


def padded_width(width: int) -> int:
    """The width a picture of this width is filled up to with grey: the line's own, whatever batch it is in."""
    step = next(step for limit, step in _WIDTH_STEPS if width <= limit)
    return max(32, -(-width // step) * step)


def batches(widths: Sequence[int], batch_pixels: int) -> list[list[int]]:
    """Indices of lines in batches: of one padded width and a size of `_BATCHES`, at most `batch_pixels` long together.

    The largest come first, so that no thread is left with a large one at the end.
    """
    by_width: dict[int, list[int]] = defaultdict(list)
    for index, width in enumerate(widths):
        by_width[padded_width(width)].append(index)
    found: list[tuple[int, list[int]]] = []
    for width, indices in by_width.items():
        start = 0
        while start < len(indices):
            left = len(indices) - start
            size = next(size for size in _BATCHES if size == 1 or (size <= left and size * width <= batch_pixels))
            found.append((size * width, indices[start : start + size]))
            start += size
    return [batch for _, batch in sorted(found, key=lambda entry: -entry[0])]


def line_image(lines: Sequence[Pixels]) -> Pixels:
    """The recogniser's input for lines of one padded width: (N, 49, W + 1, 3), grey around them."""
    width = padded_width(max(line.shape[1] for line in lines))
    image: Pixels = np.full((len(lines), LINE_HEIGHT + 1, width + 1, 3), GREY, np.uint8)
    for row, line in enumerate(lines):
        image[row, 1:, 1 : line.shape[1] + 1] = line
    return image


def read(lines: Sequence[Pixels], network: Network, characters: Sequence[str]) -> list[Steps]:
    """What the recogniser says about the lines of one batch, each (48, W, 3)."""
    out = network.run(line_image(lines))
    return [
        Steps(out["best"][row], out["score"][row], out["space"][row], out["features"][row], characters)
        for row in range(len(lines))
    ]

"""From a region of the page to the picture of one line, upright and of the recogniser's height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ocr.engines.lean.detection import Pixels, Quad

# The height of the pictures that the recogniser reads, in pixels.
LINE_HEIGHT: Final = 48
# What lies around a line's picture: the middle of the range, zero to the recogniser.
GREY: Final = 128
# The longest line that is read in one piece, in pixels of LINE_HEIGHT: 66 times as wide as high.
LONGEST_LINE: Final = 3200


@dataclass(frozen=True)
class Frame:
    """What a line's picture shows of its box, in heights of the line.

    `trim` is cut off at both ends, where the box is at least twice as wide as high; `margin` is added above and below.
    """

    trim: float
    margin: float


# A detected box reaches further beyond the ends of a line than above and below it, and every pixel of a line's length
# is time: in this frame lines are an eighth shorter than in the box itself, and read as well.
FIRST_LOOK: Final = Frame(0.1, 0.05)
# Another view of the same line: glyphs are larger, its ends are safe.
SECOND_LOOK: Final = Frame(-0.1, 0.0)


def sides(quad: Quad) -> tuple[float, float]:
    """Width and height of a box, along its own edges, in pixels."""
    (ax, ay), (bx, by), _, (dx, dy) = quad.tolist()
    return math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)


def turned(quad: Quad, quarters: int) -> Quad:
    """The same box, its first corner moved by quarter turns clockwise: where text turned so begins."""
    return np.ascontiguousarray(np.roll(quad, -quarters, axis=0))


def extent(quad: Quad, frame: Frame) -> tuple[float, float]:
    """Where along a box its picture begins and ends, as shares of the box's width."""
    width, height = sides(quad)
    trim = frame.trim * height / width if width >= 2 * height else 0.0
    return trim, 1 - trim


def picture_width(quad: Quad, frame: Frame) -> int:
    """How wide `cut` makes the picture of the line in a box, in pixels: at most `LONGEST_LINE`."""
    width, height = _piece_size(part(quad, *extent(quad, frame), frame.margin))
    return min(LONGEST_LINE, max(1, round(width * LINE_HEIGHT / height)))


def part(quad: Quad, start: float, end: float, margin: float = 0.0) -> Quad:
    """The part of a box between two shares of its width, with `margin` shares of its height more above and below."""
    top, bottom, down = quad[1] - quad[0], quad[2] - quad[3], (quad[3] - quad[0]) * margin
    return np.asarray(
        [
            quad[0] + top * start - down,
            quad[0] + top * end - down,
            quad[3] + bottom * end + down,
            quad[3] + bottom * start + down,
        ],
        np.float32,
    )


def cut(pixels: Pixels, quad: Quad, frame: Frame = FIRST_LOOK) -> Pixels:
    """The picture of the line in a box, scaled to the height of a line: (48, W, 3), W as `picture_width` says.

    Beyond the page the page's border is repeated.
    """
    line_width = picture_width(quad, frame)
    quad = part(quad, *extent(quad, frame), frame.margin)
    width, height = _piece_size(quad)
    piece = _straight(pixels, quad) if _lies_straight(quad) else _warped(pixels, quad, width, height)
    shrinks = piece.shape[0] > LINE_HEIGHT * 1.5
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(piece, (line_width, LINE_HEIGHT), interpolation=kind), np.uint8)


def _piece_size(quad: Quad) -> tuple[int, int]:
    width, height = sides(quad)
    return max(1, round(width)), max(1, round(height))


def _lies_straight(quad: Quad) -> bool:
    """Whether the box is upright to within half a pixel, so that slicing the page gives it."""
    left, right, top, bottom = quad[[0, 3], 0], quad[[1, 2], 0], quad[[0, 1], 1], quad[[2, 3], 1]
    upright = bool(left.max() < right.min() and top.max() < bottom.min())
    return upright and max(float(np.ptp(edge)) for edge in (left, right, top, bottom)) <= 1.0


def _straight(pixels: Pixels, quad: Quad) -> Pixels:
    height, width = pixels.shape[:2]
    left, top = np.rint((quad[0] + quad[[3, 1], [0, 1]]) / 2).astype(int)
    right, bottom = np.rint((quad[2] + quad[[1, 3], [0, 1]]) / 2).astype(int)
    left, right = min(max(left, 0), width - 1), min(right, width)
    top, bottom = min(max(top, 0), height - 1), min(bottom, height)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def _warped(pixels: Pixels, quad: Quad, width: int, height: int) -> Pixels:
    target = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    return np.asarray(
        cv2.warpPerspective(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC),
        np.uint8,
    )

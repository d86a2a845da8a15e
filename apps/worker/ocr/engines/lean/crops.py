"""From a region of the page to the picture of one line, upright and of the recogniser's height."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ocr.engines.lean.detection import Pixels, Quad

# The height of the pictures that the recogniser reads, in pixels.
LINE_HEIGHT: Final = 48
# What lies around a line's picture: the middle of the range, zero to the recogniser.
GREY: Final = 128
# Pieces of a page higher than this are reduced by averaging: fewer pixels than all would miss thin strokes.
_AVERAGED_FROM: Final = LINE_HEIGHT * 1.5
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
    return quad[[(corner + quarters) % 4 for corner in range(4)]] if quarters else quad


def extent(quad: Quad, frame: Frame) -> tuple[float, float]:
    """Where along a box its picture begins and ends, as shares of the box's width."""
    trim = _trim(*sides(quad), frame)
    return trim, 1 - trim


def parts(quads: Quad, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Quad:
    """The part of each box between two shares of its width: (N, 4, 2) and twice (N,) → (N, 4, 2)."""
    start, end = np.asarray(starts, np.float32)[:, None], np.asarray(ends, np.float32)[:, None]
    a, b, c, d = (quads[:, corner] for corner in range(4))
    top, bottom = b - a, c - d
    return np.stack([a + top * start, a + top * end, d + bottom * end, d + bottom * start], axis=1)


def picture_width(quad: Quad, frame: Frame) -> int:
    """How wide `cut` makes the picture of the line in a box, in pixels: at most `LONGEST_LINE`."""
    return _piece(quad, frame).picture_width()


def cut(pixels: Pixels, quad: Quad, frame: Frame = FIRST_LOOK) -> Pixels:
    """The picture of the line in a box, scaled to the height of a line: (48, W, 3), W as `picture_width` says.

    Beyond the page the page's border is repeated.
    """
    piece = _piece(quad, frame)
    size = piece.picture_width(), LINE_HEIGHT
    if piece.lies_straight():
        found = _straight(pixels, piece)
    elif piece.height <= _AVERAGED_FROM:
        return _warped(pixels, piece, size)
    else:
        found = _warped(pixels, piece, (piece.width, piece.height))
    kind = cv2.INTER_AREA if found.shape[0] > _AVERAGED_FROM else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(found, size, interpolation=kind), np.uint8)


class _Piece(NamedTuple):
    """What a picture shows of a page: the corner where the line begins, and the edges along and down it from there.

    Plain numbers: for so few of them arrays cost more than the picture. `width` and `height` are the lengths of the
    edges in whole pixels.
    """

    x: float
    y: float
    along: tuple[float, float]
    down: tuple[float, float]
    width: int
    height: int

    def picture_width(self) -> int:
        return min(LONGEST_LINE, max(1, round(self.width * LINE_HEIGHT / self.height)))

    def lies_straight(self) -> bool:
        """Whether it is upright to within half a pixel, so that slicing the page gives it."""
        slant_x, slant_y = abs(self.down[0]), abs(self.along[1])
        return slant_x <= 1.0 and slant_y <= 1.0 and self.along[0] > slant_x and self.down[1] > slant_y


def _trim(width: float, height: float, frame: Frame) -> float:
    """What is cut off both ends of a box of this size, as a share of its width."""
    return frame.trim * height / width if width >= 2 * height else 0.0


def _piece(quad: Quad, frame: Frame) -> _Piece:
    (ax, ay), (bx, by), _, (dx, dy) = quad.tolist()
    width, height = sides(quad)
    trim, margin = _trim(width, height, frame), frame.margin
    along, down = (bx - ax, by - ay), (dx - ax, dy - ay)
    length, depth = 1 - 2 * trim, 1 + 2 * margin
    return _Piece(
        ax + along[0] * trim - down[0] * margin,
        ay + along[1] * trim - down[1] * margin,
        (along[0] * length, along[1] * length),
        (down[0] * depth, down[1] * depth),
        max(1, round(width * length)),
        max(1, round(height * depth)),
    )


def _straight(pixels: Pixels, piece: _Piece) -> Pixels:
    height, width = pixels.shape[:2]
    # The middles of the four edges.
    x, y = piece.x + piece.down[0] / 2, piece.y + piece.along[1] / 2
    left, right = min(max(round(x), 0), width - 1), min(round(x + piece.along[0]), width)
    top, bottom = min(max(round(y), 0), height - 1), min(round(y + piece.down[1]), height)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def _warped(pixels: Pixels, piece: _Piece, size: tuple[int, int]) -> Pixels:
    """A piece of the page as a picture of this width and height."""
    width, height = size
    (along_x, along_y), (down_x, down_y) = piece.along, piece.down
    step = [[along_x / width, down_x / height], [along_y / width, down_y / height]]
    # Numbers of pixels mean their middles.
    matrix = [[a, b, start + (a + b - 1) / 2] for (a, b), start in zip(step, (piece.x, piece.y), strict=True)]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(pixels, np.asarray(matrix), size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.uint8)

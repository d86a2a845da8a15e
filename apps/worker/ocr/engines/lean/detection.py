"""Where text lines are: the probability map of a DB detector and the boxes in it.

Method: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (2020), as PaddleOCR applies it.
A shrunken text region is grown back by area × ratio / perimeter; grown by the same distance on every side, the smallest
rectangle around a rectangle is a larger rectangle, so no polygon clipping is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ocr.engines.lean.network import Network

Pixels = npt.NDArray[np.uint8]
# Corners (4, 2) float32 in pixels, clockwise from the top left.
Quad = npt.NDArray[np.float32]
# x and y.
Point = tuple[float, float]

# What the detector sees beyond the page: the mean of its training pictures.
PADDING: Final = (104, 116, 124)

# Both sides of the detector's input are multiples of this. Its stride is 32; coarser steps mean fewer shapes, for each
# of which a runtime keeps compiled code and memory.
_STEP: Final = 64
# More boxes are not looked at: noise.
_MOST_BOXES: Final = 3000


@dataclass(frozen=True)
class DetectionOptions:
    """What counts as text.

    `side`: pixels of the long side the page is shrunk to. `mask`, `box`: probabilities that a pixel, and a box on
    average, is text. `unclip`: how far boxes are grown. `smallest`: shorter side of the smallest region in pixels of
    the shrunken page, before growing.
    """

    side: int = 960
    mask: float = 0.3
    box: float = 0.5
    unclip: float = 1.6
    smallest: float = 3.0


@dataclass(frozen=True)
class Region:
    """One text line's place: `quad` in page pixels, `score` its mean probability of being text."""

    quad: Quad
    score: float


def shrink(pixels: Pixels, side: int) -> Pixels:
    """The page with a long side of at most `side` pixels: (H, W, 3) → (H', W', 3). A smaller page stays as it is."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Averaging by exact halves first takes a fifth of the time of averaging by the scale itself.
    while pixels.shape[0] >= 2 * size[1] and pixels.shape[1] >= 2 * size[0]:
        pixels = _halved(pixels)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _halved(pixels: Pixels) -> Pixels:
    """Each pixel the mean of four; an odd row or column at the end is left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def with_padding(pixels: Pixels) -> Pixels:
    """The detector's input for a shrunken page: (1, H + 1, W + 1, 3), H and W the next multiples of the step.

    Above and on the left lies `PADDING`, below and on the right the page's border is repeated.
    """
    height, width = pixels.shape[:2]
    bottom, right = -height % _STEP, -width % _STEP
    whole = np.asarray(cv2.copyMakeBorder(pixels, 1, bottom, 1, right, cv2.BORDER_REPLICATE), np.uint8)
    whole[0], whole[:, 0] = PADDING, PADDING
    return whole[None]


def detect(pixels: Pixels, network: Network, options: DetectionOptions) -> list[Region]:
    """The text regions of a page (H, W, 3), in its pixels."""
    small = shrink(pixels, options.side)
    logits = network.run(with_padding(small))["logits"][0, 0, : small.shape[0], : small.shape[1]]
    return regions(logits, (pixels.shape[1], pixels.shape[0]), options)


def regions(logits: npt.NDArray[np.float32], page: tuple[int, int], options: DetectionOptions) -> list[Region]:
    """The text regions in the detector's answer.

    `logits` is (H', W'), without what was padded, `page` the (width, height) of the page that boxes are scaled to.
    """
    height, width = logits.shape
    threshold = float(np.log(options.mask / (1 - options.mask)))
    mask = (logits > threshold).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    corners: list[list[Point]] = []
    scores: list[float] = []
    for contour in contours[:_MOST_BOXES]:
        centre, size, angle = cv2.minAreaRect(contour)
        if min(size) < options.smallest:
            continue
        score = _mean_probability(logits, cv2.boxPoints((centre, size, angle)))
        if score < options.box:
            continue
        grown = size[0] * size[1] * options.unclip / (2 * (size[0] + size[1]))
        around = cv2.boxPoints((centre, (size[0] + 2 * grown, size[1] + 2 * grown), angle))
        corners.append(_clockwise(around.tolist()))
        scores.append(score)
    scale = np.asarray([page[0] / width, page[1] / height], np.float32)
    quads = np.asarray(corners, np.float32).reshape(-1, 4, 2) * scale
    return [Region(quad, score) for quad, score in zip(quads, scores, strict=True)]


def _mean_probability(logits: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> float:
    """The mean probability within a rectangle."""
    height, width = logits.shape
    xs, ys = zip(*corners.tolist(), strict=True)
    left, right = _within(math.floor(min(xs)), width), _within(math.ceil(max(xs)), width)
    top, bottom = _within(math.floor(min(ys)), height), _within(math.ceil(max(ys)), height)
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - [left, top]).astype(np.int32)], 1)
    part = 1 / (1 + np.exp(-logits[top : bottom + 1, left : right + 1]))
    return float(cv2.mean(part, inside)[0])


def _within(place: int, count: int) -> int:
    return min(max(place, 0), count - 1)


def _clockwise(corners: Sequence[Point]) -> list[Point]:
    """Corners in order from the top left, for a box that lies rather than stands on a corner."""
    by_x = sorted(corners, key=itemgetter(0))
    left, right = sorted(by_x[:2], key=itemgetter(1)), sorted(by_x[2:], key=itemgetter(1))
    return [left[0], right[0], right[1], left[1]]

"""Which way the text of a page runs, and its boxes as they lie once the page is held so that it runs to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from quire.contracts import Box

# Turns smaller than this, in degrees, shift no line into another's row; most pages need nothing done.
_LEAST_TURN: Final = 0.2


def text_angle(boxes: Sequence[Box]) -> float:
    """Degrees clockwise from the right in which most of the text runs, from -180 to 180; 0 for no boxes.

    The quarter with most text, by length, decides; within it the median, so that a stray line does not count.
    """
    if not boxes:
        return 0.0
    corners = _corners(boxes)
    along = corners[:, 1] - corners[:, 0]
    lengths = np.hypot(along[:, 0], along[:, 1])
    angles = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    quarters = np.rint(angles / 90).astype(int) % 4
    quarter = int(np.bincount(quarters, weights=lengths, minlength=4).argmax())
    chosen = quarters == quarter
    deviations = (angles[chosen] - 90 * quarter + 180) % 360 - 180
    angle = 90 * quarter + _weighted_median(deviations, lengths[chosen])
    return (angle + 180) % 360 - 180


def turned_upright(boxes: Sequence[Box]) -> list[Box]:
    """The boxes, turned about the origin so that most of the text runs to the right; as they are where it does."""
    angle = text_angle(boxes)
    if abs(angle) < _LEAST_TURN:
        return list(boxes)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = _corners(boxes) @ np.asarray([[cosine, -sine], [sine, cosine]])
    return [((a[0], a[1]), (b[0], b[1]), (c[0], c[1]), (d[0], d[1])) for a, b, c, d in turned.tolist()]


def _corners(boxes: Sequence[Box]) -> npt.NDArray[np.float64]:
    """`np.asarray` of boxes, (n, 4, 2), which asks each tuple what it is and takes four times as long."""
    numbers = chain.from_iterable(chain.from_iterable(boxes))
    return np.fromiter(numbers, np.float64, 8 * len(boxes)).reshape(-1, 4, 2)


def _weighted_median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, total[-1] / 2)), len(values) - 1)])

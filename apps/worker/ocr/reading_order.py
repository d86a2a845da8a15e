"""Reading order: columns first, then rows, then left to right within a row.

A recursive X-Y cut (Nagy & Seth, 1984) with one change: a gap between columns counts only where both sides look like
running text, because the gap between the items and the prices of a receipt must not be read down.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from heapq import nlargest
from statistics import median, median_low
from typing import Final, Generic, NamedTuple, TypeVar

from ocr.text_direction import turned_upright
from quire.contracts import Box, Point

T = TypeVar("T")

_COLUMN_ROWS: Final = 3
# Two columns have at least this many items.
_FEWEST_IN_COLUMNS: Final = 2 * _COLUMN_ROWS
_COLUMN_FILL: Final = 0.6
# Narrower than this many line heights it is a column of amounts, not of text.
_COLUMN_WIDTH: Final = 8
# More gaps are not looked at: a page of scattered words has thousands, and trying them all takes minutes.
_MOST_COLUMNS: Final = 16
_ROW_OVERLAP: Final = 0.5


class _Item(NamedTuple, Generic[T]):
    value: T
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


def read_rows(items: Sequence[tuple[T, Box]]) -> list[list[T]]:
    """Sort boxed things into rows in reading order; each row from left to right, as the text runs."""
    boxes = turned_upright([box for _, box in items])
    boxed = [_item(value, *box) for (value, _), box in zip(items, boxes, strict=True)]
    # Depth first, left or upper part first; a stack, because a page may have thousands of lines.
    rows: list[list[T]] = []
    parts = [boxed] if boxed else []
    while parts:
        part = parts.pop()
        if len(part) < _FEWEST_IN_COLUMNS:
            rows.extend(row for band in _bands(part) for row in _rows(band))
            continue
        split = _split_columns(part) or _split_rows(part)
        if split is None:
            rows.extend(_rows(part))
        else:
            parts.extend(reversed(split))
    return rows


def _item(value: T, a: Point, b: Point, c: Point, d: Point) -> _Item[T]:
    left, right = min(a[0], b[0], c[0], d[0]), max(a[0], b[0], c[0], d[0])
    top, bottom = min(a[1], b[1], c[1], d[1]), max(a[1], b[1], c[1], d[1])
    return _Item(value, left, top, right, bottom)


def _split_columns(part: list[_Item[T]]) -> tuple[list[_Item[T]], list[_Item[T]]] | None:
    """The two sides of the widest gap that runs from top to bottom between running text."""
    gaps = _gaps([(item.left, item.right) for item in part])
    if not gaps:
        return None
    line_height = median(item.height for item in part)
    for width, left_end in nlargest(_MOST_COLUMNS, gaps):
        if width < line_height / 2:
            return None
        left = [item for item in part if item.right <= left_end]
        right = [item for item in part if item.right > left_end]
        if _is_column(left, line_height) and _is_column(right, line_height) and _side_by_side(left, right):
            return left, right
    return None


def _split_rows(part: list[_Item[T]]) -> tuple[list[_Item[T]], list[_Item[T]]] | None:
    """What lies above and below the widest gap that runs from left to right."""
    gaps = _gaps(_heights(part))
    if not gaps:
        return None
    # Of equal gaps the one nearest to the middle: cutting off line after line would take quadratic time.
    middle = (min(item.top for item in part) + max(item.bottom for item in part)) / 2
    _, upper_end = max(gaps, key=lambda gap: (round(gap[0], 1), -abs(gap[1] - middle)))
    return [i for i in part if i.bottom <= upper_end], [i for i in part if i.bottom > upper_end]


def _bands(part: list[_Item[T]]) -> list[list[_Item[T]]]:
    """What `_split_rows` ends in where there are no columns: cut at every gap, from top to bottom."""
    starts, end = [], -math.inf
    for top, bottom in sorted(_heights(part)):
        if top > end:
            starts.append(top)
        elif bottom <= end:
            continue
        end = bottom
    bands: list[list[_Item[T]]] = [[] for _ in starts]
    for item in part:
        bands[bisect_right(starts, item.top) - 1].append(item)
    return bands


def _heights(part: list[_Item[T]]) -> list[tuple[float, float]]:
    return [(item.top, item.bottom) for item in part]


def _gaps(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """`(width, start)` of each gap in the union of the spans."""
    ordered = sorted(spans)
    gaps, end = [], ordered[0][1]
    for start, stop in ordered:
        if start > end:
            gaps.append((start - end, end))
        elif stop <= end:
            continue
        end = stop
    return gaps


def _is_column(side: list[_Item[T]], line_height: float) -> bool:
    """Whether these are lines of running text, in one column or several: most about as wide as their column."""
    left, right = min(item.left for item in side), max(item.right for item in side)
    gaps = sorted(
        (start, start + width)
        for width, start in _gaps([(item.left, item.right) for item in side])
        if width >= line_height / 2
    )
    starts, ends = [left, *(end for _, end in gaps)], [*(start for start, _ in gaps), right]
    if len(side) < _COLUMN_ROWS * len(starts):
        return False
    columns = [bisect_right(starts, item.left) - 1 for item in side]
    extents = [ends[column] - starts[column] for column in columns]
    fill = median((i.right - i.left) / extent if extent else 1.0 for i, extent in zip(side, extents, strict=True))
    return median_low(extents) >= _COLUMN_WIDTH * line_height and fill >= _COLUMN_FILL


def _side_by_side(left: list[_Item[T]], right: list[_Item[T]]) -> bool:
    """Whether the two overlap in height for more than half of the shorter one."""
    tops = [min(item.top for item in side) for side in (left, right)]
    bottoms = [max(item.bottom for item in side) for side in (left, right)]
    shorter = min(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    return min(bottoms) - max(tops) > shorter / 2


def _rows(part: list[_Item[T]]) -> list[list[T]]:
    """Group by height on the page: an item joins a row whose last item it overlaps by half."""
    if len(part) == 1:
        return [[part[0].value]]
    rows: list[list[_Item[T]]] = []
    for item in sorted(part, key=lambda i: (i.top + i.bottom, i.left)):
        row = rows[-1] if rows else None
        if row is not None and _same_row(row[-1], item):
            row.append(item)
        else:
            rows.append([item])
    return [[item.value for item in sorted(row, key=lambda i: i.left)] for row in rows]


def _same_row(a: _Item[T], b: _Item[T]) -> bool:
    overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
    return overlap >= _ROW_OVERLAP * max(min(a.height, b.height), 1e-6)

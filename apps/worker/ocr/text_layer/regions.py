"""Which parts of a page with a sound text layer are left to OCR.

Rectangles are left, top, right and bottom in pixels of the page image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

import numpy as np

from ocr.text_layer.characters import Floats
from ocr.text_layer.drawing import UserBox
from quire.pages.pdf import POINTS_PER_INCH, PageGeometry

Rectangle = tuple[float, float, float, float]

# A line of small print needs 8 points, a short word 24: what is smaller is a bullet, a rule or an icon.
MIN_TEXT_POINTS: Final = (8.0, 24.0)
# A field or a note is there for its text; this small it shows none.
MIN_NOTE_POINTS: Final = (4.0, 4.0)
# Less of the page is not worth rendering it: a logo of 5 by 2 cm has 0.016 of an A4 page, and is on every page. A stamp
# of 6 by 2.5 cm has 0.024.
MIN_PICTURE_SHARE: Final = 0.02
# Pictures over this share of the page leave a margin at most: it is a scan, whatever text lies over it.
MAX_PICTURE_SHARE: Final = 0.75
# So are pictures with wider margins that are this many times larger than all the text, and more than a stamp
# themselves: the text is a page number, or a stamp. Half a page of picture below one line has about 50.
MAX_PICTURE_TO_TEXT: Final = 100.0
MIN_SCAN_SHARE: Final = 0.1
# Set text covers about half of its block. A picture with this much of it under the layer's words is their background,
BACKGROUND_SHARE: Final = 0.3
# unless it is over this share of the page: then it may as well be a scan over the text of an earlier OCR.
MAX_BACKGROUND_SHARE: Final = 0.5
# Tiles of one picture touch, and the parts of a figure nearly so.
MERGE_POINTS: Final = 4.0
# Each region costs a detection of its own: more become one, around them all.
MAX_REGIONS: Final = 8
# Where more pictures than this are apart, only those count that can hold text: comparing each with each takes time.
_MOST_APART: Final = 100


@dataclass(frozen=True)
class Region:
    """A rectangle to read by OCR, and the pictures, fields and notes in it that made it one."""

    box: Rectangle
    parts: tuple[Rectangle, ...]


def picture_regions(pictures: Iterable[UserBox], geometry: PageGeometry) -> list[Region]:
    """The pictures that can hold text and are more than a logo, tiles of one picture together."""
    scale = geometry.dpi / POINTS_PER_INCH
    regions = _merged(_on_page(pictures, geometry), scale)
    least = MIN_PICTURE_SHARE * _page_area(geometry)
    return [region for region in regions if _area(region.box) >= least and _fits(region.box, MIN_TEXT_POINTS, scale)]


def objection_to_pictures(
    regions: Sequence[Region], legible: Floats, text_share: float, geometry: PageGeometry
) -> str | None:
    """Why the whole page is a picture, of these `picture_regions`; None if it is more than that.

    `legible` are rectangles of words (n, 4), `text_share` is the share of the page under characters.
    """
    shares = [_area(region.box) / _page_area(geometry) for region in regions]
    scanned = sum(shares) > MAX_PICTURE_SHARE or (
        sum(shares) > MIN_SCAN_SHARE and sum(shares) > MAX_PICTURE_TO_TEXT * text_share
    )
    if scanned or any(
        share > MAX_BACKGROUND_SHARE and _is_background(region, legible)
        for share, region in zip(shares, regions, strict=True)
    ):
        return "the page is a picture with some text on it"
    return None


def regions_to_read(
    regions: Sequence[Region], notes: Iterable[UserBox], legible: Floats, geometry: PageGeometry
) -> tuple[Region, ...]:
    """The regions that the layer's text does not cover, and the notes: `MAX_REGIONS` at most."""
    scale = geometry.dpi / POINTS_PER_INCH
    shown = [note for note in _on_page(notes, geometry) if _fits(note.box, MIN_NOTE_POINTS, scale)]
    bare = [region for region in regions if not _is_background(region, legible)]
    merged = _merged([*bare, *shown], scale)
    return tuple(merged) if len(merged) <= MAX_REGIONS else (_join(merged),)


def legible_beside(notes: Iterable[UserBox], legible: Floats, geometry: PageGeometry) -> Floats:
    """The words that no note lies on: of the others the note may have made something else."""
    return beside([note.box for note in _on_page(notes, geometry)], legible)


def beside(rectangles: Iterable[Rectangle], legible: Floats) -> Floats:
    """The words (n, 4) whose middle is in none of these rectangles."""
    x, y = (legible[:, side::2].mean(axis=1) for side in (0, 1))
    outside = np.ones(len(x), bool)
    for left, top, right, bottom in rectangles:
        outside &= (x < left) | (x > right) | (y < top) | (y > bottom)
    words: Floats = legible[outside]
    return words


def _on_page(boxes: Iterable[UserBox], geometry: PageGeometry) -> list[Region]:
    """One region for each box, clipped to the page; none for a box outside of it."""
    width, height = geometry.pixels
    regions = []
    for left, bottom, right, top in boxes:
        corners = geometry.point(left, bottom), geometry.point(right, top)
        xs, ys = sorted(x for x, _ in corners), sorted(y for _, y in corners)
        box = max(xs[0], 0.0), max(ys[0], 0.0), min(xs[1], float(width)), min(ys[1], float(height))
        if box[0] < box[2] and box[1] < box[3]:
            regions.append(Region(box, (box,)))
    return regions


@dataclass
class _Growing:
    """A region while others are joined to it: a page may have thousands of them, which are not copied each time."""

    box: Rectangle
    parts: list[Rectangle]


def _merged(regions: Iterable[Region], scale: float) -> list[Region]:
    """What touches becomes one rectangle, until nothing does."""
    apart: list[_Growing] = []
    for region in regions:
        joined, near = _Growing(region.box, list(region.parts)), True
        while near:
            touching = [_touch(other.box, joined.box, MERGE_POINTS * scale) for other in apart]
            joined = _grown([*compress(apart, touching), joined])
            apart = [other for other, touches in zip(apart, touching, strict=True) if not touches]
            near = any(touching)
        apart.append(joined)
        if len(apart) > _MOST_APART:
            large = [each for each in apart if _fits(each.box, MIN_TEXT_POINTS, scale)]
            apart = large if len(large) <= _MOST_APART else [_grown(large)]
    return [Region(each.box, tuple(each.parts)) for each in apart]


def _grown(regions: Sequence[_Growing]) -> _Growing:
    """All of them as one: the one with the most parts, which takes those of the others."""
    largest = max(regions, key=lambda region: len(region.parts))
    largest.box = _around([region.box for region in regions])
    for region in regions:
        if region is not largest:
            largest.parts += region.parts
    return largest


def _join(regions: Sequence[Region]) -> Region:
    return Region(
        _around([region.box for region in regions]), tuple(part for region in regions for part in region.parts)
    )


def _around(boxes: Sequence[Rectangle]) -> Rectangle:
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) for side in (2, 3))
    return left, top, right, bottom


def _touch(a: Rectangle, b: Rectangle, reach: float) -> bool:
    return a[0] - reach <= b[2] and b[0] - reach <= a[2] and a[1] - reach <= b[3] and b[1] - reach <= a[3]


def _fits(box: Rectangle, points: tuple[float, float], scale: float) -> bool:
    """Whether the shorter and the longer side are at least this long."""
    short, long = sorted((box[2] - box[0], box[3] - box[1]))
    return short >= points[0] * scale and long >= points[1] * scale


def _is_background(region: Region, legible: Floats) -> bool:
    return covered_area(region.box, legible) > BACKGROUND_SHARE * _area(region.box)


def covered_area(box: Rectangle, legible: Floats) -> float:
    """How many square pixels of `box` lie under these rectangles (n, 4), which do not overlap each other."""
    left, top, right, bottom = legible.T
    widths = np.minimum(right, box[2]) - np.maximum(left, box[0])
    heights = np.minimum(bottom, box[3]) - np.maximum(top, box[1])
    return float((widths.clip(0) * heights.clip(0)).sum())


def _area(box: Rectangle) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _page_area(geometry: PageGeometry) -> float:
    return float(geometry.pixels[0] * geometry.pixels[1])

"""A page with its detections drawn over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageDraw

from quire.contracts import Detection, PageText
from quire.errors import PageOutOfRange
from quire.exports.base import ExportInfo
from quire.pages import PageImage, open_source
from quire.pages.pdf import POINTS_PER_INCH

# From sure to unsure, so that what deserves a second look is seen at once.
_COLOURS = ((0.9, (22, 128, 60)), (0.7, (202, 138, 4)), (0.0, (220, 38, 38)))


def draw_overlay(page: PageImage, detections: Iterable[Detection]) -> Image.Image:
    """The page image with each detection's polygon outlined and tinted by its confidence."""
    canvas = Image.fromarray(page.pixels).convert("RGB")
    draw = ImageDraw.Draw(canvas, "RGBA")
    width = max(2, round(min(canvas.size) / 500))
    for detection in detections:
        colour = next(rgb for least, rgb in _COLOURS if detection.confidence >= least)
        points = [(x, y) for x, y in detection.box]
        draw.polygon(points, fill=(*colour, 40))
        draw.line([*points, points[0]], fill=(*colour, 255), width=width, joint="curve")
    return canvas


def save_overlay(page: PageImage, detections: Iterable[Detection], path: Path) -> None:
    """Write the overlay as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_overlay(page, detections).save(path, "PNG")


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path | None) -> None:
    """The first of `pages` as a PNG of its page image's size."""
    page = next(pages, None)
    if page is None or source is None:
        raise PageOutOfRange("There is no such page that was read.")
    with open_source(source, info.limits) as document:
        number = 1 if document.page_count == 1 else page.page_number
        image = document.image(number, page.dpi or POINTS_PER_INCH)
    draw_overlay(image, page.detections).save(out, "PNG")

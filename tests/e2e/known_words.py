"""One picture of words whose places are known, in files that store it turned, cropped or as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pikepdf
from PIL import Image

from tests.pdfs import Rectangle, write_picture_pdf, written

LINES: Final = (
    "Harvest report 1924",
    "Wheat and barley 3810",
    "Apples, pears 447",
    "Honey 9240 jars",
)
SIZE: Final = (900, 520)
# Pixels an inch of `write_picture_pdf`: PDF pages are read at the same, so the pixels stay what they are.
_DPI: Final = 180
# Counterclockwise: what is stored so has to be turned clockwise to be read.
_TURN: Final = 90
_EXIF_ORIENTATION: Final = 0x0112
_TURN_CLOCKWISE: Final = 6


def picture() -> tuple[Image.Image, dict[str, Rectangle]]:
    """The picture as a reader sees it, and the place of each word on it."""
    image, places = written(LINES, 44, SIZE, (60, 60))
    return image, dict(places)


def line_places() -> list[Rectangle]:
    """The place of each line."""
    _, words = picture()
    return [_around([words[word] for word in line.split()]) for line in LINES]


def _around(rectangles: list[Rectangle]) -> Rectangle:
    lefts, tops, rights, bottoms = zip(*rectangles, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def as_it_is(folder: Path) -> Path:
    """A PNG."""
    path = folder / "plain.png"
    picture()[0].save(path)
    return path


def with_exif_turn(folder: Path) -> Path:
    """A JPEG as a camera held sideways makes it."""
    path = folder / "sideways.jpg"
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _TURN_CLOCKWISE
    picture()[0].rotate(_TURN, expand=True).save(path, quality=95, exif=exif)
    return path


def with_rotate(folder: Path) -> Path:
    """A PDF whose page has /Rotate 90."""
    path = write_picture_pdf(folder / "rotate.pdf", [picture()[0].rotate(_TURN, expand=True)])
    return _change(path, lambda page: page.__setitem__("/Rotate", _TURN))


def with_crop_box(folder: Path) -> Path:
    """A PDF whose page is larger than its CropBox, with text outside of it."""
    left, top, right, bottom = 200, 150, 100, 130
    sheet = Image.new("L", (left + SIZE[0] + right, top + SIZE[1] + bottom), 255)
    outside, _ = written(["Nobody sees this line"], 32, (sheet.width, top))
    sheet.paste(outside, (0, 0))
    sheet.paste(picture()[0], (left, top))
    path = write_picture_pdf(folder / "crop.pdf", [sheet])
    box = [value * 72 / _DPI for value in (left, bottom, left + SIZE[0], bottom + SIZE[1])]
    return _change(path, lambda page: page.__setitem__("/CropBox", pikepdf.Array(box)))


def _change(path: Path, change: Callable[[pikepdf.Page], None]) -> Path:
    content = io.BytesIO(path.read_bytes())
    with pikepdf.open(content) as pdf:
        change(pdf.pages[0])
        pdf.save(path)
    return path

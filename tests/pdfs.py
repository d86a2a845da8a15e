"""PDFs and pictures made for tests: pages that say which they are, and lines whose words have known places."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageDraw, ImageFont

from quire.pages import PageImage

Pixels = npt.NDArray[np.uint8]
# Left, top, right, bottom.
Rectangle = tuple[float, float, float, float]

TEXTS: Final = (
    "Invoice 2024-117 of 12 March",
    "Total due: 1,284.50 EUR",
    "Please pay within 14 days",
    "Quick brown foxes jump (twice)",
    "VAT no. DE 129273398",
    "Thank you & see you soon!",
    "Unit price / quantity / sum",
    "Café à la crème, 3 × 2.80",
    "order #A-7731 was shipped",
    "0123456789 ABCDEFGH xyz",
    "Ground floor, 27 Mill Lane",
    "Tel. +44 20 7946 0958",
    "www.example.com/terms",
    "Subtotal 991.00 less 5%",
    "Signed: J. R. Hartley",
)

# The strokes of some characters, each from one point to another in a square of ten by ten.
_STROKES: Final[dict[str, Sequence[tuple[int, int, int, int]]]] = {
    "中": ((1, 2, 9, 2), (1, 2, 1, 7), (9, 2, 9, 7), (1, 7, 9, 7), (5, 0, 5, 10)),
    "日": ((2, 0, 8, 0), (2, 5, 8, 5), (2, 10, 8, 10), (2, 0, 2, 10), (8, 0, 8, 10)),
    "田": ((1, 1, 9, 1), (1, 5, 9, 5), (1, 9, 9, 9), (1, 1, 1, 9), (5, 1, 5, 9), (9, 1, 9, 9)),
    "王": ((1, 0, 9, 0), (1, 5, 9, 5), (0, 10, 10, 10), (5, 0, 5, 10)),
    "山": ((5, 0, 5, 9), (1, 3, 1, 9), (9, 3, 9, 9), (1, 9, 9, 9)),
    "工": ((1, 1, 9, 1), (5, 1, 5, 9), (0, 9, 10, 9)),
    "土": ((2, 3, 8, 3), (5, 0, 5, 9), (0, 9, 10, 9)),
}


def words_of(number: int) -> str:
    """What page `number` says: digits only, so that a reader cannot argue about spaces."""
    return str(1000 + number)


def numbered_image(number: int, size: tuple[int, int] = (360, 120)) -> Image.Image:
    """A picture that says `words_of(number)`."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((20, 30), words_of(number), font=ImageFont.load_default(48), fill=0)
    return image


def write_scanned_pdf(path: Path, pages: int) -> Path:
    """A PDF without a text layer; page n is a picture of `words_of(n)`."""
    return write_picture_pdf(path, map(numbered_image, range(1, pages + 1)))


def write_picture_pdf(path: Path, pictures: Iterable[Image.Image]) -> Path:
    """A PDF without a text layer, a page for each picture, at 180 pixels an inch."""
    document = pdfium.PdfDocument.new()
    for image in pictures:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        buffer.seek(0)
        width, height = image.width * 72 / 180, image.height * 72 / 180
        page = document.new_page(width, height)
        picture = pdfium.PdfImage.new(document)
        picture.load_jpeg(buffer, inline=True)
        picture.set_matrix(pdfium.PdfMatrix().scale(width, height))
        page.insert_obj(picture)
        page.gen_content()
        page.close()
    document.save(path)
    document.close()
    return path


def write_text_pdf(path: Path, pages: int) -> Path:
    """A born-digital PDF; page n has the text `words_of(n)`."""
    document = pdfium.PdfDocument.new()
    font = pdfium_c.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
    for number in range(1, pages + 1):
        page = document.new_page(200, 100)
        _insert_text(document, page, font, words_of(number))
        page.gen_content()
        page.close()
    pdfium_c.FPDFFont_Close(font)
    document.save(path)
    document.close()
    return path


def _insert_text(document: Any, page: Any, font: Any, line: str) -> None:
    text = pdfium_c.FPDFPageObj_CreateTextObj(document.raw, font, ctypes.c_float(18))
    encoded = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
    pdfium_c.FPDFText_SetText(text, ctypes.cast(encoded, ctypes.POINTER(ctypes.c_ushort)))
    pdfium_c.FPDFPageObj_Transform(text, 1, 0, 0, 1, 20, 40)
    pdfium_c.FPDFPage_InsertObject(page.raw, text)


def page_of(image: Image.Image | Pixels) -> PageImage:
    """The picture as a page."""
    return PageImage(1, np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image))


def written(
    lines: Sequence[str], size: int = 32, canvas: tuple[int, int] = (700, 300), at: tuple[int, int] = (40, 40)
) -> tuple[Image.Image, list[tuple[str, Rectangle]]]:
    """Lines of text, and each word's rectangle: as wide as its ink, as high as its line's."""
    image = Image.new("L", canvas, 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    places: list[tuple[str, Rectangle]] = []
    for number, line in enumerate(lines):
        top = at[1] + number * 2 * size
        draw.text((at[0], top), line, font=font, fill=0)
        _, upper, _, lower = draw.textbbox((at[0], top), line, font=font)
        start = 0
        for word in line.split():
            start = line.index(word, start)
            left, _, right, _ = draw.textbbox((at[0] + font.getlength(line[:start]), top), word, font=font)
            places.append((word, (left, upper, right, lower)))
            start += len(word)
    return image, places


def chinese(text: str, size: int = 60, width: int = 6) -> Image.Image:
    """Characters of straight strokes on a white page of 640 by 200."""
    image = Image.new("L", (640, 200), 255)
    draw = ImageDraw.Draw(image)
    for number, character in enumerate(text):
        left = 60 + number * (size + 12)
        for x1, y1, x2, y2 in _STROKES[character]:
            ends = [(left + x * size / 10, 60 + y * size / 10) for x, y in ((x1, y1), (x2, y2))]
            draw.line(ends, fill=0, width=width)
    return image


def noisy(image: Image.Image, seed: int) -> Image.Image:
    """The picture as a camera sees it: grey, and no two pixels alike."""
    noise = np.random.default_rng(seed).normal(0, 12, (image.height, image.width))
    return Image.fromarray(np.clip(np.asarray(image, np.float64) * 0.7 + 40 + noise, 0, 255).astype(np.uint8))


def line_pictures(count: int, seed: int = 0) -> list[Pixels]:
    """Pictures of lines as the recogniser takes them, (48, W, 3), of many widths."""
    random = np.random.default_rng(seed)
    pictures: list[Pixels] = []
    for number in range(count):
        text = TEXTS[number % len(TEXTS)]
        size = int(random.integers(24, 36))
        image, places = written([text], size, (900, 120))
        left, top, right, bottom = places[0][1][0], places[0][1][1], places[-1][1][2], places[0][1][3]
        part = noisy(image, number).crop((int(left) - 4, int(top) - 4, int(right) + 4, int(bottom) + 4))
        part = part.resize((max(1, round(part.width * 48 / part.height)), 48), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(part.convert("RGB")))
    return pictures

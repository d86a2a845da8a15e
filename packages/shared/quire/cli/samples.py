"""Two sample documents with known text: a PDF and something like a photo."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SCANNED_PAGE: Final = (
    "Quire sample document",
    "This page is a picture of text, as a scanner makes it.",
    "A worker renders it and reads it with PP-OCRv6.",
    "Invoice 2026-0417   Total 1,284.50 EUR",
)
BORN_DIGITAL_PAGE: Final = (
    "The second page carries its own text.",
    "Quire takes that text with its boxes, and no OCR runs.",
    "Each page says which of the two was used.",
)
PHOTO: Final = ("CORNER CAFE", "2 x Flat white 7.80", "1 x Cinnamon roll 3.40", "TOTAL 11.20", "Thank you!")

# A4 in points.
_WIDTH, _HEIGHT = 595, 842
_SCAN_DPI = 180


def make_samples(folder: Path) -> tuple[Path, Path]:
    """Write `sample.pdf` (a scanned page, a born-digital page) and `photo.jpg`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pdf, photo = folder / "sample.pdf", folder / "photo.jpg"
    pdf.write_bytes(sample_pdf())
    photo.write_bytes(sample_photo())
    return pdf, photo


def sample_pdf() -> bytes:
    """A PDF of two pages with the texts above."""
    document = pdfium.PdfDocument.new()
    _add_picture_page(document, _scan(SCANNED_PAGE))
    _add_text_page(document, BORN_DIGITAL_PAGE)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def sample_photo() -> bytes:
    """A JPEG of a receipt on a table: turned a little, unevenly lit, with noise."""
    paper = Image.new("RGB", (620, 560), (250, 248, 240))
    draw = ImageDraw.Draw(paper)
    for index, line in enumerate(PHOTO):
        draw.text((60, 50 + index * 92), line, font=ImageFont.load_default(44), fill=(40, 38, 36))
    table = Image.new("RGB", (900, 860), (122, 92, 66))
    turned = paper.convert("RGBA").rotate(3.5, Image.Resampling.BICUBIC, expand=True)
    table.paste(turned, (120, 120), turned)
    generator = np.random.default_rng(7)
    pixels = np.asarray(table.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    light = np.linspace(1.05, 0.8, pixels.shape[1], dtype=np.float32)[None, :, None]
    noisy = np.clip(pixels * light + generator.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _scan(lines: tuple[str, ...]) -> bytes:
    scale = _SCAN_DPI / 72
    page = Image.new("L", (round(_WIDTH * scale), round(_HEIGHT * scale)), 252)
    draw = ImageDraw.Draw(page)
    for index, line in enumerate(lines):
        size = 30 if index == 0 else 17
        draw.text((60 * scale, (80 + index * 48) * scale), line, font=ImageFont.load_default(size * scale), fill=25)
    buffer = io.BytesIO()
    page.filter(ImageFilter.GaussianBlur(0.6)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _add_picture_page(document: Any, jpeg: bytes) -> None:
    page = document.new_page(_WIDTH, _HEIGHT)
    picture = pdfium.PdfImage.new(document)
    picture.load_jpeg(io.BytesIO(jpeg), inline=True)
    picture.set_matrix(pdfium.PdfMatrix().scale(_WIDTH, _HEIGHT))
    page.insert_obj(picture)
    page.gen_content()
    page.close()


def _add_text_page(document: Any, lines: tuple[str, ...]) -> None:
    page = document.new_page(_WIDTH, _HEIGHT)
    font = pdfium_c.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
    for index, line in enumerate(lines):
        text = pdfium_c.FPDFPageObj_CreateTextObj(document.raw, font, ctypes.c_float(18))
        encoded = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
        pdfium_c.FPDFText_SetText(text, ctypes.cast(encoded, ctypes.POINTER(ctypes.c_ushort)))
        pdfium_c.FPDFPageObj_Transform(text, 1, 0, 0, 1, 60, _HEIGHT - 100 - index * 40)
        pdfium_c.FPDFPage_InsertObject(page.raw, text)
    page.gen_content()
    pdfium_c.FPDFFont_Close(font)
    page.close()

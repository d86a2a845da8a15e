"""PDFs made for tests: pages whose text says which page they are."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageDraw, ImageFont


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
    document = pdfium.PdfDocument.new()
    for number in range(1, pages + 1):
        buffer = io.BytesIO()
        numbered_image(number).save(buffer, "JPEG", quality=85)
        buffer.seek(0)
        page = document.new_page(144, 48)
        picture = pdfium.PdfImage.new(document)
        picture.load_jpeg(buffer, inline=True)
        picture.set_matrix(pdfium.PdfMatrix().scale(144, 48))
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

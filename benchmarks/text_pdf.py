"""A born-digital PDF of running text, a text object for each line, as a word processor writes it."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

_PAGE_POINTS: Final = (595, 842)
_FONT_POINTS: Final = 11
_LINE_POINTS: Final = 18
_MARGIN_POINTS: Final = 72
# With the margins these fill an A4 page: about 2,500 characters and 420 words.
_LINES: Final = 36
_LINE_CHARACTERS: Final = 72
_SYLLABLES: Final = ("ba", "con", "da", "ex", "fer", "ga", "hi", "ju", "le", "mo", "nu", "pre", "re", "sa", "ti", "ve")


def write_text_pdf(target: Path, pages: int) -> str:
    """Write a PDF of so many pages, the same ones every time; the text that is on them, a line for each line."""
    chance = random.Random(20260417)
    texts = [[_line(chance) for _ in range(_LINES)] for _ in range(pages)]
    document = pdfium.PdfDocument.new()
    font = pdfium_c.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
    try:
        for lines in texts:
            _add_page(document, font, lines)
        document.save(target)
    finally:
        pdfium_c.FPDFFont_Close(font)
        document.close()
    return "\n".join(line for lines in texts for line in lines)


def _line(chance: random.Random) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < _LINE_CHARACTERS - 6:
        word = "".join(chance.choices(_SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4))))
        words.append(chance.choice((word, word, word, word.capitalize(), word + ",", word + ".")))
    return " ".join(words)


def _add_page(document: Any, font: Any, lines: Sequence[str]) -> None:
    width, height = _PAGE_POINTS
    page = document.new_page(width, height)
    for index, line in enumerate(lines):
        text = pdfium_c.FPDFPageObj_CreateTextObj(document.raw, font, ctypes.c_float(_FONT_POINTS))
        encoded = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
        pdfium_c.FPDFText_SetText(text, ctypes.cast(encoded, ctypes.POINTER(ctypes.c_ushort)))
        top = height - _MARGIN_POINTS - index * _LINE_POINTS
        pdfium_c.FPDFPageObj_Transform(text, 1, 0, 0, 1, _MARGIN_POINTS, top)
        pdfium_c.FPDFPage_InsertObject(page.raw, text)
    page.gen_content()
    page.close()

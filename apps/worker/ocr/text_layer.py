"""The text a PDF page carries itself: extracted with boxes, and judged before it is believed."""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pypdfium2.raw as pdfium_c

from ocr.engines import TextLine
from quire.contracts import Box
from quire.pages.pdf import PageGeometry, PdfSource

# A page with a larger share of characters that stand for nothing is not believed.
MAX_UNREADABLE_SHARE: Final = 0.05
# Running text has few of these. A subset font without a map to Unicode numbers its glyphs from "!" on, so that the most
# frequent letters come out as them, and PDFium sees no error.
MAX_SYMBOL_SHARE: Final = 0.4
_SYMBOLS: Final = frozenset("!\"#$%&'*+<=>@[\\]^`{|}~")
# A picture over this share of the page is a scan, whatever text lies over it.
MAX_PICTURE_SHARE: Final = 0.5
# So is a picture over this share of the page and this many times larger than all the text: a caption, or a stamp.
MIN_PICTURE_SHARE: Final = 0.1
MAX_PICTURE_TO_TEXT: Final = 4.0
# A gap wider than this many character heights starts a new line: table cells, columns.
_GAP_HEIGHTS: Final = 2.0

_INVISIBLE: Final = 3
_NOT_CHARACTERS: Final = {"\ufffd", "\ufffe", "\uffff", "\x00"}


@dataclass(frozen=True)
class TextLayer:
    """Lines of a page's own text, and why they should not be believed (None if they should)."""

    lines: list[TextLine]
    objection: str | None


@dataclass(frozen=True)
class _Character:
    text: str
    left: float
    bottom: float
    right: float
    top: float
    angle: float


def read_text_layer(source: PdfSource, number: int, dpi: float) -> TextLayer:
    """The text layer of page `number`, with boxes in pixels of `source.image(number, dpi)`.

    Raises:
        PageOutOfRange, Corrupt: the page cannot be opened.
    """
    with source.page(number) as page:
        geometry = source.geometry(number, dpi)
        textpage = page.get_textpage()
        try:
            characters = list(_characters(textpage.raw))
        finally:
            textpage.close()
        objection = _objection(page, characters, geometry)
    lines = [_line(run, geometry) for run in _runs(characters)]
    on_page = [line for line in lines if _touches_page(line.box, geometry)]
    if objection is None and not on_page:
        objection = "no text on the page"
    return TextLayer(on_page, objection)


def _characters(textpage: Any) -> Iterator[_Character | None]:
    """Characters in PDFium's reading order; None for a line break."""
    edges = [ctypes.c_double() for _ in range(4)]
    for index in range(pdfium_c.FPDFText_CountChars(textpage)):
        code = pdfium_c.FPDFText_GetUnicode(textpage, index)
        if code in (0x0A, 0x0D):
            yield None
            continue
        # Left, right, bottom, top: the loose box has the full height of the font, so that a line's box is even.
        rectangle = pdfium_c.FS_RECTF()
        if pdfium_c.FPDFText_GetLooseCharBox(textpage, index, rectangle):
            left, bottom, right, top = rectangle.left, rectangle.bottom, rectangle.right, rectangle.top
        else:
            pdfium_c.FPDFText_GetCharBox(textpage, index, *edges)
            left, right, bottom, top = (edge.value for edge in edges)
        if pdfium_c.FPDFText_IsHyphen(textpage, index) == 1:
            # PDFium hands the hyphen of a divided word out as a control character.
            code = ord("-")
        elif pdfium_c.FPDFText_HasUnicodeMapError(textpage, index) == 1:
            # The font does not say which character this glyph is; PDFium guesses from its number.
            code = 0xFFFD
        text = chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"
        yield _Character(text, left, min(bottom, top), right, max(bottom, top), _angle(textpage, index))


def _angle(textpage: Any, index: int) -> float:
    angle = float(pdfium_c.FPDFText_GetCharAngle(textpage, index))
    return angle if angle >= 0 else 0.0


def _runs(characters: list[_Character | None]) -> Iterator[list[_Character]]:
    """Split at line breaks and at gaps too wide to be a space."""
    run: list[_Character] = []
    last: _Character | None = None
    for character in characters:
        if character is None:
            if run:
                yield run
            run, last = [], None
            continue
        if last is not None and not character.text.isspace() and _apart(last, character):
            if run:
                yield run
            run = []
        run.append(character)
        if not character.text.isspace():
            last = character
    if run:
        yield run


def _apart(a: _Character, b: _Character) -> bool:
    limit = _GAP_HEIGHTS * max(a.top - a.bottom, 1.0)
    # Text that runs up or down the page: the gap is vertical there.
    if abs(math.sin(a.angle)) > 0.5:
        return max(b.bottom - a.top, a.bottom - b.top) > _GAP_HEIGHTS * max(a.right - a.left, 1.0)
    return b.left - a.right > limit or a.left - b.right > limit


def _line(run: list[_Character], geometry: PageGeometry) -> TextLine:
    text = unicodedata.normalize("NFC", "".join(character.text for character in run)).strip()
    inked = [character for character in run if not character.text.isspace()] or run
    left, right = min(c.left for c in inked), max(c.right for c in inked)
    bottom, top = min(c.bottom for c in inked), max(c.top for c in inked)
    corners = [geometry.point(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
    # Corners are in the order of the unturned text; a turned run starts at another one, in quarter turns clockwise.
    start = round(inked[0].angle / (math.pi / 2)) % 4
    rounded = [(round(x, 2), round(y, 2)) for x, y in corners[start:] + corners[:start]]
    return TextLine(text, (rounded[0], rounded[1], rounded[2], rounded[3]), 1.0)


def _touches_page(box: Box, geometry: PageGeometry) -> bool:
    width, height = geometry.pixels
    centre_x, centre_y = sum(x for x, _ in box) / 4, sum(y for _, y in box) / 4
    return 0 <= centre_x <= width and 0 <= centre_y <= height


def _objection(page: Any, characters: list[_Character | None], geometry: PageGeometry) -> str | None:
    """Why this text is not what a person sees, or None."""
    visible = [c for c in characters if c is not None and not c.text.isspace()]
    inked = sum((c.right - c.left) * (c.top - c.bottom) for c in visible)
    text_share = inked / (geometry.points[0] * geometry.points[1])
    return _objection_to_characters([c.text for c in visible]) or _objection_to_drawing(page, geometry, text_share)


def _objection_to_characters(visible: list[str]) -> str | None:
    if not visible:
        return "no text layer"
    unreadable = sum(map(_is_unreadable, visible))
    if unreadable > MAX_UNREADABLE_SHARE * len(visible):
        return f"{unreadable} of {len(visible)} characters have no Unicode value"
    symbols = sum(character in _SYMBOLS for character in visible)
    if symbols > MAX_SYMBOL_SHARE * len(visible):
        return f"{symbols} of {len(visible)} characters are symbols: the font does not say which letters they are"
    return None


def _objection_to_drawing(page: Any, geometry: PageGeometry, text_share: float) -> str | None:
    if _draws_annotations(page):
        return "form fields or notes are drawn over it, whose text it does not have"
    hidden, picture = _hidden_and_picture_share(page, geometry)
    if hidden:
        return "the text is invisible: a layer from an earlier OCR"
    if picture > MAX_PICTURE_SHARE or (picture > MIN_PICTURE_SHARE and picture > MAX_PICTURE_TO_TEXT * text_share):
        return "the page is a picture with some text on it"
    return None


def _is_unreadable(character: str) -> bool:
    return character in _NOT_CHARACTERS or unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs")


def _draws_annotations(page: Any) -> bool:
    """Whether filled form fields or text notes are part of what the reader sees."""
    for index in range(pdfium_c.FPDFPage_GetAnnotCount(page.raw)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page.raw, index)
        try:
            kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
            # Lengths are in bytes and count the two of the terminator.
            filled = (
                kind == pdfium_c.FPDF_ANNOT_WIDGET and pdfium_c.FPDFAnnot_GetStringValue(annotation, b"V", None, 0) > 2
            )
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)
        if filled or kind == pdfium_c.FPDF_ANNOT_FREETEXT:
            return True
    return False


def _hidden_and_picture_share(page: Any, geometry: PageGeometry) -> tuple[bool, float]:
    """Whether most text objects are drawn invisibly, and the share of the page under its largest picture."""
    texts = hidden = 0
    largest = 0.0
    for thing in page.get_objects(filter=(pdfium_c.FPDF_PAGEOBJ_TEXT, pdfium_c.FPDF_PAGEOBJ_IMAGE), max_depth=4):
        if thing.type == pdfium_c.FPDF_PAGEOBJ_TEXT:
            texts += 1
            hidden += pdfium_c.FPDFTextObj_GetTextRenderMode(thing.raw) == _INVISIBLE
        else:
            left, bottom, right, top = thing.get_bounds()
            largest = max(largest, abs(right - left) * abs(top - bottom))
    return hidden * 2 > texts, largest / (geometry.points[0] * geometry.points[1])

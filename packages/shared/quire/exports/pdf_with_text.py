"""A PDF as it is, with an invisible layer of text on the pages that OCR has read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import pikepdf
import pypdfium2 as pdfium
from pikepdf import Dictionary, Name, Object

from quire.contracts import Box, PageText, Point
from quire.errors import Corrupt, Encrypted, OutOfMemory
from quire.exports.base import ExportInfo
from quire.exports.glyphless_font import DESCENDANT, DESCRIPTOR, FONT, Codes, font_program
from quire.exports.hidden_text import remove_hidden_text
from quire.exports.invisible_text import Mapping, invisible_text
from quire.exports.lines import PlacedLine, lines_of
from quire.pages import PageLimits
from quire.pages.pdf import POINTS_PER_INCH, PageGeometry, PdfSource

# What pikepdf raises where a PDF is not what its specification says.
_DAMAGED: Final = (pikepdf.PdfError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)

_PAGES_OPEN: Final = 16


def write_pdf_with_text(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path) -> None:
    """Pages whose text is the PDF's own stay as they are; on mixed ones only what OCR read is added.

    Raises:
        Corrupt, Encrypted, Empty, TooManyPages, OutOfMemory: it cannot be read, and why.
    """
    # First PDFium, which says what is wrong with a file that cannot be opened.
    with _DrawnPdf(source, info.limits) as drawn:
        try:
            # Read as it is needed: mapped into memory, all of the file would count as this process's.
            with pikepdf.open(source, access_mode=pikepdf.AccessMode.stream) as pdf:
                if len(pdf.pages) != drawn.page_count:
                    raise Corrupt("The PDF is damaged: its pages cannot be counted for certain.")
                _add_text(pdf, drawn, pages)
                # An owner's restrictions stay.
                pdf.save(out, encryption=pdf.is_encrypted)
        except pikepdf.PasswordError:
            raise Encrypted("The PDF is protected by a password. Remove the password and send it again.") from None
        except MemoryError:
            raise OutOfMemory("There was not enough memory to write the PDF.") from None
        except _DAMAGED:
            raise Corrupt("The PDF is damaged. Export or print it to a new PDF and send that.") from None


class _DrawnPdf:
    """The PDF as PDFium draws it. PDFium keeps what it has read of a file, so that it is closed every few pages."""

    def __init__(self, path: Path, limits: PageLimits) -> None:
        self._path, self._limits = path, limits
        self._source = PdfSource(path, limits)
        self._pages = 0
        self.page_count = self._source.page_count

    @contextmanager
    def page(self, page: PageText) -> Iterator[tuple[Any, Mapping]]:
        """PDFium's page, and where a pixel of the page image is on it."""
        if self._pages == _PAGES_OPEN:
            self._source.close()
            self._source, self._pages = PdfSource(self._path, self._limits), 0
        self._pages += 1
        with self._source.page(page.page_number) as opened:
            geometry = self._source.geometry_of(opened, page.dpi or POINTS_PER_INCH)
            yield opened, _to_user_space(geometry, page)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()


def _add_text(pdf: pikepdf.Pdf, drawn: _DrawnPdf, pages: Iterable[PageText]) -> None:
    codes = Codes()
    font = pdf.make_indirect(Object.parse(f"<< {FONT} >>".encode()))
    for page in pages:
        if page.source == "text_layer" or not page.detections:
            continue
        with drawn.page(page) as (opened, to_page):
            lines = [*_read_by_ocr(page, opened, to_page)]
        if not lines:
            continue
        target = pdf.pages[page.page_number - 1]
        if page.source == "ocr":
            remove_hidden_text(pdf, target)
        name = _add_font(target, font)
        content = invisible_text(lines, to_page, name, codes)
        if content:
            # Before the page's own content, which may leave its coordinates changed.
            stream = pdf.make_stream(zlib.compress(content), Filter=Name.FlateDecode)
            target.contents_add(stream, prepend=True)
    if codes.characters():
        _complete_font(pdf, font, codes)


def _to_user_space(geometry: PageGeometry, page: PageText) -> Mapping:
    """From pixels of the page image to the page's own coordinates: where PDFium draws, the other way round."""
    a, b, c, d, e, f = geometry.to_pixels
    determinant = a * e - b * d
    if not determinant:
        raise Corrupt(f"Page {page.page_number} of the PDF has no size.")
    across, down = geometry.pixels[0] / page.width, geometry.pixels[1] / page.height

    def to_page(x: float, y: float) -> Point:
        x, y = x * across - c, y * down - f
        return (e * x - b * y) / determinant, (a * y - d * x) / determinant

    return to_page


def _read_by_ocr(page: PageText, opened: Any, to_page: Mapping) -> Iterator[PlacedLine]:
    """The lines that the page does not have already."""
    if page.source == "ocr":
        yield from lines_of(page)
        return
    text: Any = opened.get_textpage()
    try:
        for line in lines_of(page):
            # Lines of the page's own text are certain. One that OCR is certain of as well has no text in its place.
            if line.confidence < 1 or not _has_text(text, line.box, to_page):
                yield line
    finally:
        text.close()


def _has_text(text: pdfium.PdfTextPage, box: Box, to_page: Mapping) -> bool:
    xs, ys = zip(*(to_page(x, y) for x, y in box), strict=True)
    return bool(str(text.get_text_bounded(min(xs), min(ys), max(xs), max(ys))).strip())


def _add_font(page: pikepdf.Page, font: Object) -> str:
    """Make the font known to a page, and to no other that shares its resources; its name there."""
    resources = copy(page.resources)
    fonts = resources.get(Name.Font)
    fonts = copy(fonts) if isinstance(fonts, Dictionary) else Dictionary()
    number = next(number for number in range(len(fonts) + 1) if Name(f"/QuireText{number}") not in fonts)
    fonts[Name(f"/QuireText{number}")] = font
    resources[Name.Font] = fonts
    page.obj[Name.Resources] = resources
    return f"QuireText{number}"


def _complete_font(pdf: pikepdf.Pdf, font: Object, codes: Codes) -> None:
    """What is known of a font only once all text is set in it."""
    program = pdf.make_stream(font_program(), Length1=len(font_program()))
    descriptor = Object.parse(f"<< {DESCRIPTOR} >>".encode())
    descriptor[Name.FontFile2] = program
    descendant = Object.parse(f"<< {DESCENDANT} >>".encode())
    descendant[Name.FontDescriptor] = pdf.make_indirect(descriptor)
    descendant[Name.CIDToGIDMap] = pdf.make_stream(codes.glyph_map())
    font[Name.DescendantFonts] = pikepdf.Array([pdf.make_indirect(descendant)])
    font[Name.ToUnicode] = pdf.make_stream(codes.to_unicode())

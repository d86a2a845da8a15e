"""A PDF of an image file: a page for each picture, and its text, invisible, over it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from quire import media_types
from quire.contracts import PageText, Point
from quire.errors import Corrupt
from quire.exports.base import ExportInfo
from quire.exports.glyphless_font import DESCENDANT, DESCRIPTOR, FONT, Codes, font_program
from quire.exports.invisible_text import invisible_text
from quire.exports.lines import lines_of
from quire.exports.pdf_writer import PdfWriter, text_string
from quire.pages import PageLimits, PageSource, open_source
from quire.pages.pdf import POINTS_PER_INCH

# Pillow's name of what a file is known to be, so that it tries no other decoder.
_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    media_types.TIFF: "TIFF",
    media_types.HEIC: "HEIF",
}
# What Pillow raises where a file is not what it expects.
_DAMAGED: Final = (OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, RuntimeError)

# A resolution outside of this is none: cameras write 72 whatever they photograph.
_BELIEVED_DPI: Final = (100.0, 4800.0)
# Without one, a picture's longer side is an A4 page's, unless that would make it finer or coarser than this.
_A4_INCHES: Final = 11.69
_ASSUMED_DPI: Final = (72.0, 300.0)
# No PDF page is longer (ISO 32000-1, annex C).
_MOST_POINTS: Final = 14_400.0

# From the unit square, in which a PDF has every picture, to the page of width w and height h, by EXIF orientation.
_PLACED: Final = {
    1: "{w} 0 0 {h} 0 0",
    2: "-{w} 0 0 {h} {w} 0",
    3: "-{w} 0 0 -{h} {w} {h}",
    4: "{w} 0 0 -{h} 0 {h}",
    5: "0 -{h} -{w} 0 {w} {h}",
    6: "0 -{h} {w} 0 0 {h}",
    7: "0 {h} {w} 0 0 0",
    8: "0 {h} -{w} 0 {w} 0",
}
_SIDEWAYS: Final = (5, 6, 7, 8)

_CHUNK_BYTES: Final = 1 << 20
# Pixels are looked at and compressed so many rows at a time.
_ROWS: Final = 256
_COMPRESSION: Final = 4


def write_pdf_of_pictures(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path) -> None:
    """A JPEG is in the PDF as it is, byte for byte; of other formats the pixels that were read are, without loss.

    Raises:
        Corrupt, TooLarge, TooManyPages, OutOfMemory: the file cannot be decoded, and why.
    """
    document = _Document(out, info)
    with _Pictures(source, info.limits) as pictures:
        page = next(pages, None)
        for number in range(1, pictures.page_count + 1):
            # The result of a single picture may carry any number.
            mine = page is not None and (pictures.page_count == 1 or page.page_number == number)
            document.add_page(pictures.picture(document.writer, number), page if mine else None)
            if mine:
                page = next(pages, None)
    document.finish(info.filename)


@dataclass(frozen=True)
class _Picture:
    """A picture in the PDF: its object, its size in pixels as the reader sees it, and how it is to be turned."""

    number: int
    width: int
    height: int
    dpi: float
    orientation: int = 1


class _Document:
    """The PDF that is being written."""

    def __init__(self, out: BinaryIO, info: ExportInfo) -> None:
        self.writer = PdfWriter(out)
        self._codes = Codes()
        self._font, self._tree = self.writer.reserve(), self.writer.reserve()
        self._pages: list[int] = []

    def add_page(self, picture: _Picture, text: PageText | None) -> None:
        scale = POINTS_PER_INCH / picture.dpi
        w, h = f"{picture.width * scale:.4f}", f"{picture.height * scale:.4f}"
        content = f"q {_PLACED[picture.orientation].format(w=w, h=h)} cm /Picture Do Q\n".encode()
        if text is not None:
            across, down = picture.width / text.width * scale, picture.height / text.height * scale

            def to_page(x: float, y: float) -> Point:
                return x * across, picture.height * scale - y * down

            content += invisible_text(lines_of(text), to_page, "Text", self._codes)
        contents = self.writer.add_compressed(content)
        resources = f"<< /XObject << /Picture {picture.number} 0 R >> /Font << /Text {self._font} 0 R >> >>"
        self._pages.append(
            self.writer.add(
                f"<< /Type /Page /Parent {self._tree} 0 R /MediaBox [0 0 {w} {h}] /Resources {resources}"
                f" /Contents {contents} 0 R >>"
            )
        )

    def finish(self, title: str) -> None:
        writer = self.writer
        program = writer.add_compressed(font_program(), f"/Length1 {len(font_program())}")
        descriptor = writer.add(f"<< {DESCRIPTOR} /FontFile2 {program} 0 R >>")
        glyphs = writer.add_compressed(self._codes.glyph_map())
        references = f"/FontDescriptor {descriptor} 0 R /CIDToGIDMap {glyphs} 0 R"
        descendant = writer.add(f"<< {DESCENDANT} {references} >>")
        to_unicode = writer.add_compressed(self._codes.to_unicode())
        references = f"/DescendantFonts [{descendant} 0 R] /ToUnicode {to_unicode} 0 R"
        writer.add(f"<< {FONT} {references} >>", self._font)
        kids = " ".join(f"{number} 0 R" for number in self._pages)
        writer.add(f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>", self._tree)
        root = writer.add(f"<< /Type /Catalog /Pages {self._tree} 0 R >>")
        about = writer.add(f"<< /Title {text_string(title)} /Producer (Quire) >>")
        writer.finish(root, about)


class _Pictures:
    """An image file's pages, as pictures for a PDF."""

    def __init__(self, path: Path, limits: PageLimits) -> None:
        self._path = path
        with ExitStack() as opened:
            self._source: PageSource = opened.enter_context(open_source(path, limits))
            # Once more, for what pixels do not say: the resolution, and how a JPEG is stored.
            self._file = opened.enter_context(_open_image(path, self._source.media_type))
            self._opened = opened.pop_all()
        self.page_count = self._source.page_count

    def picture(self, writer: PdfWriter, number: int) -> _Picture:
        """Page `number` from 1, written to the PDF."""
        if self._source.media_type == "image/jpeg" and self._file.mode in ("L", "RGB"):
            return self._stored(writer)
        pixels = self._source.image(number, POINTS_PER_INCH).pixels
        height, width = pixels.shape[:2]
        return _Picture(_write_pixels(writer, pixels), width, height, self._dpi(number, width, height))

    def _stored(self, writer: PdfWriter) -> _Picture:
        """A JPEG as it is: PDFs have the same encoding."""
        width, height = self._file.size
        colours = "/DeviceRGB" if self._file.mode == "RGB" else "/DeviceGray"
        entries = f"{_entries(width, height, 8, colours)} /Filter /DCTDecode"
        with self._path.open("rb") as file:
            written = writer.add_stream(iter(lambda: file.read(_CHUNK_BYTES), b""), entries)
        orientation = self._orientation()
        if orientation in _SIDEWAYS:
            width, height = height, width
        return _Picture(written, width, height, self._dpi(1, width, height), orientation)

    def _orientation(self) -> int:
        try:
            orientation = self._file.getexif().get(ExifTags.Base.Orientation, 1)
        except _DAMAGED:
            return 1
        return orientation if orientation in _PLACED else 1

    def _dpi(self, number: int, width: int, height: int) -> float:
        """Pixels to the inch: what the file says where that can be, else what makes a page of a usual size."""
        longer = max(width, height)
        try:
            if self.page_count > 1:
                self._file.seek(number - 1)
            dpi = float(max(self._file.info.get("dpi", (0, 0))))
        except _DAMAGED:
            dpi = 0.0
        if not _BELIEVED_DPI[0] <= dpi <= _BELIEVED_DPI[1]:
            dpi = min(max(longer / _A4_INCHES, _ASSUMED_DPI[0]), _ASSUMED_DPI[1])
        return max(dpi, longer * POINTS_PER_INCH / _MOST_POINTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


def _open_image(path: Path, media_type: str) -> Image.Image:
    try:
        return Image.open(path, formats=(_FORMATS[media_type],))
    except _DAMAGED:
        raise Corrupt("The image file is damaged and cannot be opened.") from None


def _write_pixels(writer: PdfWriter, pixels: npt.NDArray[np.uint8]) -> int:
    """Pixels as they are, in as few bits as they need; the number of their object."""
    height, width = pixels.shape[:2]
    grey = all(bool((part == part[..., :1]).all()) for part in _parts(pixels))
    bits = 1 if grey and all(_is_bilevel(part[..., 0]) for part in _parts(pixels)) else 8
    colours = 1 if grey else 3
    # Each row is stored as its difference from the one above, which compresses better (PNG's filter 2).
    parameters = f"/DecodeParms << /Predictor 15 /Colors {colours} /BitsPerComponent {bits} /Columns {width} >>"
    entries = _entries(width, height, bits, "/DeviceGray" if grey else "/DeviceRGB")
    return writer.add_stream(_compressed(pixels, colours, bits), f"{entries} /Filter /FlateDecode {parameters}")


def _is_bilevel(grey: npt.NDArray[np.uint8]) -> bool:
    return bool(((grey == 0) | (grey == 255)).all())


def _compressed(pixels: npt.NDArray[np.uint8], colours: int, bits: int) -> Iterator[bytes]:
    compressor = zlib.compressobj(_COMPRESSION)
    above: npt.NDArray[np.uint8] | None = None
    for part in _parts(pixels):
        rows = part[..., :colours].reshape(len(part), -1)
        rows = np.packbits(rows > 127, axis=1) if bits == 1 else rows
        first = np.zeros_like(rows[:1]) if above is None else above
        filtered = rows - np.concatenate([first, rows[:-1]])
        above = rows[-1:]
        yield compressor.compress(np.concatenate([np.full((len(rows), 1), 2, np.uint8), filtered], axis=1).tobytes())
    yield compressor.flush()


def _parts(pixels: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    for top in range(0, len(pixels), _ROWS):
        yield pixels[top : top + _ROWS]


def _entries(width: int, height: int, bits: int, colours: str) -> str:
    return (
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent {bits} /ColorSpace {colours}"
    )

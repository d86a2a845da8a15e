"""Image files that nobody made in good faith, and files that are not what they say."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import pillow_heif
from PIL import Image

from quire.cli.samples import sample_pdf
from tests.unit.hostile_pdfs import bomb, jpeg, jpeg2000

pillow_heif.register_heif_opener()

# Tag, type, count, value.
Entry = tuple[int, int, int, int]

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def encoded(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """A picture of shades."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes = b"", *before: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of this size with these compressed pixels, and parts before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return PNG_SIGNATURE + header + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(*folders: Sequence[Entry], following: Sequence[int] = (), data: bytes = b"") -> bytes:
    """A TIFF of these folders of (tag, type, count, value), one behind the other.

    `following` are the places of the next folders, where they are not what they should be. `data` starts at 8.
    """
    file = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    for number, entries in enumerate(folders):
        packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
        end = len(file) + 2 + len(packed) + 4
        last = 0 if number == len(folders) - 1 else end
        following_place = following[number] if number < len(following) else last
        file += struct.pack("<H", len(entries)) + packed + struct.pack("<I", following_place)
    return file


def tags(width: int = 8, height: int = 8, /, **changes: Entry | None) -> list[Entry]:
    """The entries of a grey page whose pixels are at 8; `changes` are others, by name, or None for none."""
    usual: dict[str, Entry | None] = {
        "across": (256, 4, 1, width),
        "down": (257, 4, 1, height),
        "bits": (258, 3, 1, 8),
        "compression": (259, 3, 1, 1),
        "colours": (262, 3, 1, 1),
        "strips": (273, 4, 1, 8),
        "samples": (277, 3, 1, 1),
        "rows": (278, 4, 1, height),
        "sizes": (279, 4, 1, 64),
    }
    return [entry for entry in (usual | changes).values() if entry is not None]


def many_folders(count: int) -> bytes:
    """A TIFF of as many pages, all of the same pixels."""
    page = tags(compression=None, bits=None, samples=None, rows=None)
    size = 2 + 12 * len(page) + 4
    packed = struct.pack("<H", len(page)) + b"".join(struct.pack("<HHII", *entry) for entry in page)
    folders = (packed + struct.pack("<I", 72 + size * n) for n in range(1, count))
    return b"II*\0" + struct.pack("<I", 72) + b"\x80" * 64 + b"".join(folders) + packed + bytes(4)


def bmp(width: int, height: int, *, bits: int = 24, compression: int = 0, data: bytes = b"", colours: int = 0) -> bytes:
    """A BMP that says it is that large."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data


def heic(width: int, height: int) -> bytes:
    """A small HEIC picture that says it is that large."""
    content = bytearray(encoded("HEIF"))
    size = content.index(b"ispe") + 8
    content[size : size + 8] = struct.pack(">II", width, height)
    return bytes(content)


def webp(width: int, height: int) -> bytes:
    """A small WebP picture in a canvas that is said to be that large."""
    picture = encoded("WEBP", lossless=True)[12:]
    canvas = struct.pack("<I", 0)[:4] + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


def scans(count: int) -> bytes:
    """A progressive JPEG of many scans over the same 8,000 x 8,000 pixels."""
    start = encoded("JPEG", (16, 16), "L", progressive=True)
    frame = bytearray(start[: start.index(b"\xff\xda")])
    size = frame.index(b"\xff\xc2") + 5
    frame[size : size + 4] = struct.pack(">HH", 8_000, 8_000)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x05\x02" + b"\0" * 8
    return bytes(frame) + scan * count + b"\xff\xd9"


def _pngs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    pixel = zlib.compress(b"\0\0\0\0")
    sizes = (
        (60_000, 60_000),
        (2**31 - 1, 2**31 - 1),
        (2**31 - 1, 1),
        (1, 2**31 - 1),
        (0, 0),
        (2**32 - 1, 9),
        (9_999, 9_999),
    )
    for width, height in sizes:
        yield f"PNG, {width:,} x {height:,} pixels of nothing", partial(png, width, height, pixel)
    yield "PNG, 100,000,000 x 1 of nothing", partial(png, 100_000_000, 1, pixel)
    yield "PNG, a bomb in its pixels", lambda: png(99, 99, bomb(b"\0"))
    yield "PNG, a bomb in its text", lambda: png(9, 9, pixel, chunk(b"zTXt", b"Comment\0\0" + bomb(b"A")))
    yield (
        "PNG, a bomb in its international text",
        lambda: png(9, 9, pixel, chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb(b"A"))),
    )
    yield "PNG, a bomb in its profile", lambda: png(9, 9, pixel, chunk(b"iCCP", b"Profile\0\0" + bomb(b"\0")))
    yield "PNG, 100,000 texts", lambda: png(9, 9, pixel, *[chunk(b"tEXt", b"A\0B")] * 100_000)
    yield "PNG, a part of 4 GB", lambda: png(9, 9, pixel, struct.pack(">I", 2**32 - 1) + b"tEXt" + b"A")
    yield "PNG, 48 bits a pixel", lambda: png(9_000, 9_000, pixel, bits=16)
    yield "PNG, bits and colours that do not exist", lambda: png(9, 9, pixel, bits=13, colour=9)
    yield "PNG, a palette that is missing", lambda: png(9, 9, zlib.compress(b"\0" + b"\xff" * 9), colour=3)
    yield (
        "PNG, a huge animation",
        lambda: png(9, 9, pixel, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), chunk(b"fcTL", b"\xff" * 26)),
    )
    yield (
        "PNG, 10,000 x 10,000 black pixels of 16 bits",
        lambda: png(10_000, 10_000, bomb(b"\0", 20_000 * 10_000 + 2**20), bits=16, colour=0),
    )
    yield (
        "PNG, 10,000 x 10,000 clear pixels",
        lambda: png(10_000, 10_000, bomb(b"\0", 40_000 * 10_000 + 2**20), colour=6),
    )


def _tiffs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    pixels = b"\x80" * 64
    for width, height in ((60_000, 60_000), (2**32 - 1, 2**32 - 1), (2**32 - 1, 1), (0, 0), (9_999, 9_999)):
        yield f"TIFF, {width:,} x {height:,} pixels of nothing", partial(tiff, tags(width, height), data=pixels)
    changes: dict[str, dict[str, Entry | None]] = {
        "2^32 strips": {"strips": (273, 4, 2**32 - 1, 8), "sizes": (279, 4, 2**32 - 1, 8)},
        "a strip of 4 GB": {"sizes": (279, 4, 1, 2**32 - 1)},
        "a strip behind the end": {"strips": (273, 4, 1, 2**32 - 1)},
        "strips of no rows": {"rows": (278, 4, 1, 0)},
        "65,535 samples": {"samples": (277, 3, 1, 65_535)},
        "65,535 bits": {"bits": (258, 3, 1, 65_535)},
        "2^32 kinds of bits": {"bits": (258, 3, 2**32 - 1, 8)},
        "colours that do not exist": {"colours": (262, 3, 1, 999)},
        "a compression that does not exist": {"compression": (259, 3, 1, 999)},
        "deflate that is none": {"compression": (259, 3, 1, 8)},
        "LZW that is none": {"compression": (259, 3, 1, 5)},
        "JPEG that is none": {"compression": (259, 3, 1, 7)},
        "JPEG of the old kind": {"compression": (259, 3, 1, 6)},
        "a fax that is none": {"compression": (259, 3, 1, 4), "bits": (258, 3, 1, 1)},
        "tiles of 2^31": {"tile": (322, 4, 1, 2**31), "tile height": (323, 4, 1, 2**31), "tiles": (324, 4, 1, 8)},
        "a profile of 4 GB": {"profile": (34675, 7, 2**32 - 1, 8)},
        "a description of 4 GB": {"description": (270, 2, 2**32 - 1, 8)},
        "a tag of a type that does not exist": {"description": (270, 99, 9, 8)},
        "a resolution of nothing by nothing": {"x": (282, 5, 1, 500), "y": (283, 5, 1, 500)},
        "an EXIF folder that is itself": {"exif": (34665, 4, 1, 72)},
        "no size": {"across": None, "down": None},
        "a palette that is missing": {"colours": (262, 3, 1, 3)},
    }
    for name, change in changes.items():
        yield f"TIFF, {name}", partial(tiff, tags(**change), data=pixels)
    yield "TIFF, a folder that follows itself", lambda: tiff(tags(), following=[72], data=pixels)
    yield "TIFF, two folders that follow each other", lambda: tiff(tags(), tags(), following=[186, 72], data=pixels)
    yield "TIFF, a next folder behind the end", lambda: tiff(tags(), following=[2**32 - 1], data=pixels)
    yield "TIFF, a next folder in the header", lambda: tiff(tags(), following=[2], data=pixels)
    yield "TIFF, 9,000 pages", lambda: many_folders(9_000)
    yield "TIFF, 50,000 pages", lambda: many_folders(50_000)
    yield "TIFF, no folder", lambda: b"II*\0" + bytes(4)
    yield "TIFF, a folder of 65,535 entries that end", lambda: b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 9
    yield "TIFF, a big one without an end", lambda: b"II+\0\x08\0\0\0" + b"\xff" * 64
    fax = {"compression": (259, 3, 1, 4), "bits": (258, 3, 1, 1), "sizes": (279, 4, 1, 2_000)}
    yield "TIFF, a fax of 10,000 x 10,000 in 2 kB", lambda: tiff(tags(10_000, 10_000, **fax), data=b"\xff" * 2_000)
    deflated = zlib.compress(bomb(b"\0", 2**27))
    squeezed = {"compression": (259, 3, 1, 8), "sizes": (279, 4, 1, len(deflated))}
    yield "TIFF, a bomb", lambda: tiff(tags(8, 8, **squeezed), data=deflated)
    floats = {"bits": (258, 3, 1, 32), "format": (339, 3, 1, 3)}
    yield "TIFF, floats that are no numbers", lambda: tiff(tags(4, 4, **floats), data=b"\xff\xff\xff\x7f" * 16)
    yield "TIFF, floats that are infinite", lambda: tiff(tags(4, 4, **floats), data=b"\0\0\x80\x7f" * 16)
    yield "TIFF, floats below zero", lambda: tiff(tags(4, 4, **floats), data=b"\0\0\x80\xbf" * 16)


def _photos() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "JPEG, 65,500 x 65,500 pixels of nothing", lambda: jpeg(65_500, 65_500)
    yield "JPEG, 9,999 x 9,999 pixels of nothing", lambda: jpeg(9_999, 9_999)
    yield "JPEG, no pixels", lambda: jpeg(0, 0)
    yield "JPEG, four inks", lambda: jpeg(16, 16, "CMYK")
    yield (
        "JPEG, four inks of Adobe's other kind",
        lambda: jpeg(16, 16, "CMYK").replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2"),
    )
    yield (
        "JPEG, an Adobe mark of a kind that does not exist",
        lambda: jpeg(16, 16, "CMYK").replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\x63"),
    )
    yield "JPEG, 100 scans of 64 megapixels", lambda: scans(100)
    yield "JPEG, a mark that ends the file", lambda: b"\xff\xd8\xff"
    yield "JPEG, a thousand comments", lambda: jpeg(16, 16)[:2] + b"\xff\xfe\xff\xff" * 1_000 + jpeg(16, 16)[2:]
    yield (
        "JPEG, an EXIF block that is a circle",
        lambda: encoded("JPEG", exif=b"Exif\0\0" + tiff(tags(exif=(34665, 4, 1, 8)), following=[8])),
    )
    yield "JPEG, an orientation of 60,000", lambda: encoded("JPEG", exif=b"Exif\0\0" + tiff([(274, 3, 1, 60_000)]))
    yield (
        "JPEG, an orientation that is a text",
        lambda: encoded("JPEG", exif=b"Exif\0\0" + tiff([(274, 2, 4, 0x41414141)])),
    )
    yield "WebP, a canvas of 16,384 x 16,384", lambda: webp(16_384, 16_384)
    yield "WebP, a canvas of 16,777,216 x 16,777,216", lambda: webp(2**24, 2**24)
    yield "WebP, a part of 4 GB", lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + b"\0" * 64
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (-5, 5), (5, -(2**31)), (0, 0), (9_999, 9_999)):
        yield f"BMP, {width:,} x {height:,} pixels of nothing", partial(bmp, width, height)
    yield (
        "BMP, runs that go on behind the end",
        lambda: bmp(9_999, 9_999, bits=8, compression=1, data=b"\xff\x55" * 999, colours=256),
    )
    yield "BMP, 2^32 colours", lambda: bmp(9, 9, bits=8, colours=2**32 - 1, data=b"\0" * 999)
    yield "BMP, 77 bits", lambda: bmp(9, 9, bits=77, data=b"\0" * 999)
    yield "BMP, a header of 4 GB", lambda: b"BM" + b"\0" * 12 + b"\xff" * 64
    for width, height in ((60_000, 60_000), (2**32 - 1, 2**32 - 1), (0, 0), (9_999, 9_999)):
        yield f"HEIC, {width:,} x {height:,} pixels of nothing", partial(heic, width, height)
    yield "HEIC, only its brand", lambda: b"\0\0\0\x18ftypheic" + b"\0" * 12
    yield "HEIC, boxes of 16 EB", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\1meta" + b"\xff" * 8


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w:document/>")
    return buffer.getvalue()


def _strangers() -> dict[str, Callable[[], bytes]]:
    """Files of types that Quire does not read."""
    return {
        "GIF": lambda: encoded("GIF"),
        "a GIF and a ZIP in one": lambda: encoded("GIF") + _zip(),
        "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><use href="#a" id="a"/></svg>',
        "an XML bomb": lambda: b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        "ZIP": _zip,
        "JPEG 2000": lambda: jpeg2000(16, 16),
        "PostScript": lambda: b"%!PS-Adobe-3.0\n{ } loop\n",
        "HTML": lambda: b"<html><body>%PDF</body></html>",
        "a program": lambda: b"\x7fELF" + b"\0" * 999,
        "one byte": lambda: b"%",
        "zeros": lambda: bytes(4_000),
        "a PDF header too late": lambda: b" " * 1_024 + sample_pdf(),
    }


def _disguised() -> dict[str, Callable[[], bytes]]:
    """Files that are two things at once; what Quire takes them for, it can read."""
    return {
        "a PDF behind 900 bytes of HTML": lambda: b"<!-- ".ljust(900, b"-") + sample_pdf(),
        "a PDF behind a GIF": lambda: encoded("GIF", (4, 4), "1")[:900] + sample_pdf(),
        "a PDF behind a ZIP": lambda: _zip() + sample_pdf(),
        "a PDF behind a PNG": lambda: encoded("PNG", (4, 4)).ljust(900, b"\0") + sample_pdf(),
        "a PDF behind a JPEG": lambda: encoded("JPEG", (4, 4)) + sample_pdf(),
        "a PDF in a part of a PNG": lambda: encoded("PNG")[:33] + chunk(b"puPP", sample_pdf()) + encoded("PNG")[33:],
        "a ZIP behind a PDF": lambda: sample_pdf() + _zip(),
    }


def hostile_images() -> dict[str, Callable[[], bytes]]:
    """What makes each file, by what is wrong with it."""
    return {name: make for group in (_pngs, _tiffs, _photos) for name, make in group()}


STRANGERS: Final = _strangers()
DISGUISED: Final = _disguised()

"""A font without a single glyph: text set in it is found and copied, and nothing is drawn.

Every character is half as wide as the font is high, so that a text's width follows from its length alone. The font's
height is split between what is above the baseline and what is below it as most letters are.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

ASCENT: Final = 0.8
DESCENT: Final = 0.2
# Of every character, in parts of the font's size.
ADVANCE: Final = 0.5

_UNITS: Final = 1000
_NAME: Final = "QuireGlyphless"

# The entries of the font's three dictionaries. Missing are the references: FontFile2; FontDescriptor and CIDToGIDMap;
# DescendantFonts and ToUnicode.
DESCRIPTOR: Final = (
    f"/Type /FontDescriptor /FontName /{_NAME} /Flags 4 /ItalicAngle 0 /StemV 80"
    f" /FontBBox [0 {-DESCENT * _UNITS:.0f} {ADVANCE * _UNITS:.0f} {ASCENT * _UNITS:.0f}]"
    f" /Ascent {ASCENT * _UNITS:.0f} /Descent {-DESCENT * _UNITS:.0f} /CapHeight {ASCENT * _UNITS:.0f}"
)
DESCENDANT: Final = (
    f"/Type /Font /Subtype /CIDFontType2 /BaseFont /{_NAME} /DW {ADVANCE * _UNITS:.0f}"
    " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
)
FONT: Final = f"/Type /Font /Subtype /Type0 /BaseFont /{_NAME} /Encoding /Identity-H"

# Codes have two bytes, and 0 is the character that is none.
_MOST_CODES: Final = 0xFFFF
# More than this many marks on one letter are noise.
_MOST_IN_CLUSTER: Final = 8
_ZERO_WIDTH_JOINER: Final = "\u200d"
_REPLACEMENT: Final = "\ufffd"


class Codes:
    """The codes of one document's font: a number for each different character, with the marks on it."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        """The codes of a text, one for each character a reader sees."""
        return [self._code(cluster) for cluster in clusters(text)]

    def _code(self, cluster: str) -> int:
        known = self._codes.get(cluster)
        if known is not None:
            return known
        # The last one stands for all that are left over.
        code = min(len(self._codes) + 1, _MOST_CODES)
        self._codes[cluster if code < _MOST_CODES else _REPLACEMENT] = code
        return code

    def characters(self) -> Mapping[str, int]:
        """What was encoded, and how."""
        return self._codes

    def glyph_map(self) -> bytes:
        """The CIDToGIDMap stream: every code shows the one empty glyph."""
        return b"\0\1" * (len(self._codes) + 1)

    def to_unicode(self) -> bytes:
        """The CMap by which readers get the text back."""
        return "\n".join(self._cmap()).encode()

    def _cmap(self) -> Iterator[str]:
        yield "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap"
        yield "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def"
        yield "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def"
        yield "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange"
        pairs = [f"<{code:04X}> <{text.encode('utf-16-be').hex().upper()}>" for text, code in self._codes.items()]
        # A section has a hundred entries at most.
        for start in range(0, len(pairs), 100):
            some = pairs[start : start + 100]
            yield f"{len(some)} beginbfchar\n" + "\n".join(some) + "\nendbfchar"
        yield "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"


def clusters(text: str) -> Iterator[str]:
    """The characters of a text as a reader sees them: each with the marks on it."""
    cluster = ""
    for character in text:
        joins = _is_mark(character) or cluster.endswith(_ZERO_WIDTH_JOINER)
        if cluster and joins and len(cluster) < _MOST_IN_CLUSTER:
            cluster += character
            continue
        if cluster:
            yield cluster
        cluster = _REPLACEMENT if unicodedata.category(character) in ("Cc", "Cs") else character
    if cluster:
        yield cluster


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character == _ZERO_WIDTH_JOINER


@cache
def font_program() -> bytes:
    """A TrueType font of an empty glyph and one that fills its box with nothing: an outline without area.

    Its height is what PDFium, and with it Chromium, highlights when text is selected.
    """
    above, below, advance = round(ASCENT * _UNITS), round(DESCENT * _UNITS), round(ADVANCE * _UNITS)
    # A format 4 subtable with the one segment that every font ends in: it maps nothing.
    cmap = struct.pack(">HHHHI", 0, 1, 3, 1, 12) + struct.pack(">12H", 4, 24, 0, 2, 2, 0, 0, 0xFFFF, 0, 0xFFFF, 1, 0)
    # One contour of two points, at two corners of the box: flags, then both coordinates of each, as differences.
    glyph = struct.pack(">hhhhhHH2B4h", 1, 0, -below, advance, above, 1, 0, 1, 1, 0, advance, -below, above + below)
    tables = {
        b"cmap": cmap,
        b"glyf": glyph,
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh",
            0x00010000, 0x00010000, 0, 0x5F0F3CF5, 0, _UNITS, 0, 0, 0, -below, advance, above, 0, 8, 2, 0, 0,
        ),
        b"hhea": struct.pack(">IhhhH11hH", 0x00010000, above, -below, 0, advance, *([0] * 3), 1, *([0] * 7), 2),
        b"hmtx": struct.pack(">HhHh", advance, 0, advance, 0),
        b"loca": struct.pack(">HHH", 0, 0, len(glyph) // 2),
        b"maxp": struct.pack(">IH13H", 0x00010000, 2, 2, 1, 0, 0, 1, *([0] * 8)),
        b"name": struct.pack(">HHH", 0, 0, 6),
        b"post": struct.pack(">IIhhIIIII", 0x00030000, 0, 0, 0, 1, 0, 0, 0, 0),
    }  # fmt: skip
    return _assemble(tables)


def _assemble(tables: Mapping[bytes, bytes]) -> bytes:
    entries, body = b"", b""
    start = 12 + 16 * len(tables)
    for tag, content in sorted(tables.items()):
        entries += tag + struct.pack(">III", _checksum(content), start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    power = len(tables).bit_length() - 1
    header = struct.pack(">IHHHH", 0x00010000, len(tables), 16 << power, power, 16 * len(tables) - (16 << power))
    font = header + entries + body
    adjustment = (0xB1B0AFBA - _checksum(font)) & 0xFFFFFFFF
    place = font.index(tables[b"head"]) + 8
    return font[:place] + struct.pack(">I", adjustment) + font[place + 4 :]


def _checksum(content: bytes) -> int:
    padded = content + b"\0" * (-len(content) % 4)
    words: tuple[int, ...] = struct.unpack(f">{len(padded) // 4}I", padded)
    return sum(words) & 0xFFFFFFFF

"""hOCR 1.2: XHTML whose elements say where on the page image they stand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from quire.contracts import Box, PageError, PageText
from quire.exports.base import ExportInfo, with_failed
from quire.exports.lines import (
    PlacedLine,
    PlacedWord,
    Rectangle,
    angle,
    around,
    lines_of,
    paragraphs_of,
    rectangle,
    runs_right_to_left,
)
from quire.exports.xml_text import attribute, comment, element_text

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{title}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
<meta name="ocr-system" content="Quire"/>
<meta name="ocr-capabilities" content="ocr_page ocr_par ocr_line ocrx_word"/>
<meta name="ocr-number-of-pages" content="{pages}"/>
</head>
<body>
"""
# The part of a box's height that is below the line on which most letters stand.
_DESCENDER: Final = 0.2


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """UTF-8. Boxes are in pixels of the page image; a page that failed is a comment."""
    out.write(_HEAD.format(title=element_text(info.filename), pages=info.page_count).encode())
    for page in with_failed(pages, info.errors):
        if isinstance(page, PageError):
            out.write(f"<!-- page {page.page_number}: not read, {comment(page.code)} -->\n".encode())
        else:
            out.write("".join(_page(info, page)).encode())
    out.write(b"</body>\n</html>\n")


def _page(info: ExportInfo, page: PageText) -> Iterator[str]:
    number = page.page_number
    title = f'image "{_quoted(info.filename)}"; bbox 0 0 {page.width} {page.height}; ppageno {number - 1}'
    if page.dpi:
        title += f"; scan_res {round(page.dpi)} {round(page.dpi)}"
    yield f'<div class="ocr_page" id="page_{number}" title="{attribute(title)}">\n'
    for index, rows in enumerate(paragraphs_of(list(lines_of(page))), start=1):
        lines = [line for row in rows for line in row]
        box = _bbox(around([rectangle(line.box) for line in lines]))
        yield f'<p class="ocr_par" id="par_{number}_{index}" title="{box}">\n'
        for line in lines:
            yield from _line(number, line)
        yield "</p>\n"
    yield "</div>\n"


def _line(page: int, line: PlacedLine) -> Iterator[str]:
    number = line.index + 1
    direction = ' dir="rtl"' if runs_right_to_left(line.text) else ""
    title = f"{_bbox(rectangle(line.box))}{_slope(line.box)}; x_wconf {_percent(line.confidence)}"
    yield f'<span class="ocr_line" id="line_{page}_{number}"{direction} title="{title}">'
    for index, word in enumerate(line.words, start=1):
        yield _word(f"word_{page}_{number}_{index}", word)
        yield " " if word.space_after and index < len(line.words) else ""
    yield "</span>\n"


def _word(name: str, word: PlacedWord) -> str:
    title = f"{_bbox(rectangle(word.box))}; x_wconf {_percent(word.confidence)}"
    return f'<span class="ocrx_word" id="{name}" title="{title}">{element_text(word.text)}</span>'


def _bbox(box: Rectangle) -> str:
    """Whole pixels, as hOCR has them: all that the box touches."""
    sides = math.floor(box.left), math.floor(box.top), math.ceil(box.right), math.ceil(box.bottom)
    return "bbox " + " ".join(str(max(0, side)) for side in sides)


def _slope(box: Box) -> str:
    """How the line's text lies: its baseline from the bottom left corner of its bbox, or the turn of a turned line."""
    turn = angle(box)
    if abs(turn) > 45:
        # Counter-clockwise, in quarters more or less: hOCR's baseline is for text that runs to the right.
        return f"; textangle {-turn:.0f}"
    (ax, ay), _, _, (dx, dy) = box
    bounds = rectangle(box)
    slope = math.tan(math.radians(turn))
    x, y = dx + (ax - dx) * _DESCENDER, dy + (ay - dy) * _DESCENDER
    offset = y - slope * (x - bounds.left) - math.ceil(bounds.bottom)
    return f"; baseline {slope:.3f} {offset:.0f}".replace("-0.000", "0.000")


def _percent(confidence: float) -> int:
    return round(confidence * 100)


def _quoted(text: str) -> str:
    """Text within the double quotes of a hOCR property, which has no escape for them."""
    return text.replace('"', "'")

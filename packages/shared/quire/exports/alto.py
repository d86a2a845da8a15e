"""ALTO 4.4: the XML that libraries and archives keep text with its places in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from quire.contracts import PageError, PageText
from quire.exports.base import ExportInfo, with_failed
from quire.exports.lines import (
    PlacedLine,
    Rectangle,
    angle,
    around,
    lines_of,
    paragraphs_of,
    rectangle,
    runs_right_to_left,
)
from quire.exports.xml_text import attribute, element_text

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" SCHEMAVERSION="4.4">
<Description>
<MeasurementUnit>pixel</MeasurementUnit>
<sourceImageInformation>
<fileName>{filename}</fileName>
{identifier}</sourceImageInformation>
<Processing ID="processing">
<processingCategory>contentGeneration</processingCategory>
<processingSoftware><softwareName>Quire</softwareName></processingSoftware>
</Processing>
</Description>
<Styles><ParagraphStyle ID="paragraph"/></Styles>
<Layout>
"""
_IDENTIFIER: Final = '<fileIdentifier fileIdentifierLocation="SHA-256">{sha256}</fileIdentifier>\n'
# From here on a line is turned, not only askew.
_TURNED_DEGREES: Final = 1.0


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """UTF-8. Places are in pixels of the page image; a page that failed has no PrintSpace, and its code."""
    identifier = _IDENTIFIER.format(sha256=element_text(info.sha256)) if info.sha256 else ""
    out.write(_HEAD.format(filename=element_text(info.filename), identifier=identifier).encode())
    for page in with_failed(pages, info.errors):
        parts = _failed_page(page) if isinstance(page, PageError) else _page(page)
        out.write("".join(parts).encode())
    out.write(b"</Layout>\n</alto>\n")


def _failed_page(error: PageError) -> Iterator[str]:
    code = re.sub(r"[^a-z0-9_]", "", error.code)
    number = error.page_number
    yield f'<Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" PROCESSINGREFS="processing" QUALITY_DETAIL="{code}"/>\n'


def _page(page: PageText) -> Iterator[str]:
    number = page.page_number
    accuracy = "" if page.confidence is None else f' PC="{min(page.confidence, 1.0):.4g}"'
    yield (
        f'<Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" PROCESSINGREFS="processing"'
        f' HEIGHT="{page.height}" WIDTH="{page.width}"{accuracy}>\n'
        f'<PrintSpace ID="space_{number}" HEIGHT="{page.height}" WIDTH="{page.width}" HPOS="0" VPOS="0">\n'
    )
    for index, rows in enumerate(paragraphs_of(list(lines_of(page))), start=1):
        # A line without characters has no String, and would not be one.
        lines = [line for row in rows for line in row if line.words]
        if lines:
            yield from _block(f"{number}_{index}", number, lines)
    yield "</PrintSpace>\n</Page>\n"


def _block(name: str, page: int, lines: list[PlacedLine]) -> Iterator[str]:
    place = _place(around([rectangle(line.box) for line in lines]))
    yield f'<TextBlock ID="block_{name}" STYLEREFS="paragraph" {place}{_rotation(lines)}>\n'
    for line in lines:
        yield from _line(page, line)
    yield "</TextBlock>\n"


def _rotation(lines: list[PlacedLine]) -> str:
    """Degrees counter-clockwise, of text that is turned."""
    turn = angle(lines[0].box)
    return f' ROTATION="{-turn:.1f}"' if abs(turn) > _TURNED_DEGREES else ""


def _line(page: int, line: PlacedLine) -> Iterator[str]:
    name = f"{page}_{line.index + 1}"
    direction = ' BASEDIRECTION="rtl"' if runs_right_to_left(line.text) else ""
    yield f'<TextLine ID="line_{name}" {_place(rectangle(line.box))}{direction}>\n'
    yield f'<Shape><Polygon POINTS="{" ".join(f"{x:g},{y:g}" for x, y in line.box)}"/></Shape>\n'
    for index, word in enumerate(line.words):
        here = rectangle(word.box)
        yield (
            f'<String ID="string_{name}_{index + 1}" {_place(here)}'
            f' WC="{word.confidence:.4g}" CONTENT="{attribute(word.text)}"/>\n'
        )
        if word.space_after and index + 1 < len(line.words):
            yield _space(here, rectangle(line.words[index + 1].box))
    yield "</TextLine>\n"


def _space(before: Rectangle, after: Rectangle) -> str:
    """The gap between two words of a line, whichever way it runs."""
    left, right = sorted((before, after), key=lambda box: box.left)
    return f'<SP HPOS="{left.right:g}" VPOS="{left.top:g}" WIDTH="{max(0.0, right.left - left.right):g}"/>\n'


def _place(box: Rectangle) -> str:
    return f'HPOS="{box.left:g}" VPOS="{box.top:g}" WIDTH="{box.width:g}" HEIGHT="{box.height:g}"'

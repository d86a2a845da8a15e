"""A page's text layer: what it says, whether it is believed, and what it leaves to OCR."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ocr.engines import TextLine
from ocr.text_layer.characters import Characters, Floats, read_characters
from ocr.text_layer.drawing import Drawing, read_drawing
from ocr.text_layer.judge import objection_to_characters
from ocr.text_layer.layout import Layout, lay_out
from ocr.text_layer.regions import (
    Region,
    legible_beside,
    objection_to_pictures,
    picture_regions,
    regions_to_read,
)
from quire.pages.pdf import PageGeometry, PdfSource


def _none() -> Floats:
    return np.empty((0, 4))


@dataclass(frozen=True)
class TextLayer:
    """The lines of a page's own text, and how far they are what a person sees.

    `objection` says why OCR should read the whole page instead, None if it should not. `sound` says whether the lines
    themselves are right all the same: those of a scan with a page number are. Without an objection OCR has `regions` to
    read, often none; `legible` (n, 4) are then left, top, right and bottom of the words it need not read again.
    """

    lines: list[TextLine]
    objection: str | None
    sound: bool
    geometry: PageGeometry
    regions: tuple[Region, ...] = ()
    legible: Floats = field(default_factory=_none)


def read_text_layer(source: PdfSource, number: int, dpi: float) -> TextLayer:
    """The text layer of page `number`, with boxes in pixels of `source.image(number, dpi)`.

    Raises:
        PageOutOfRange, Corrupt: the page cannot be opened.
    """
    with source.page(number) as page:
        geometry = source.geometry_of(page, dpi)
        characters = _characters(page)
        objection = objection_to_characters(characters.text)
        drawing = read_drawing(page) if objection is None else None
    layout = lay_out(characters, geometry)
    lines = layout.lines()
    if drawing is None:
        return TextLayer(lines, objection, sound=False, geometry=geometry)
    if drawing.hidden:
        objection = "the text is invisible: a layer from an earlier OCR"
    elif not lines:
        objection = "no text on the page"
    if objection is not None:
        return TextLayer(lines, objection, sound=False, geometry=geometry)
    if not (drawing.pictures or drawing.notes):
        return TextLayer(lines, None, sound=True, geometry=geometry)
    return _with_regions(lines, layout, drawing, geometry)


def _characters(page: Any) -> Characters:
    textpage = page.get_textpage()
    try:
        return read_characters(textpage.raw)
    finally:
        textpage.close()


def _with_regions(lines: list[TextLine], layout: Layout, drawing: Drawing, geometry: PageGeometry) -> TextLayer:
    legible = layout.legible()
    pictures = picture_regions(drawing.pictures, geometry)
    objection = objection_to_pictures(pictures, legible, layout.text_share(geometry), geometry)
    if objection is not None:
        return TextLayer(lines, objection, sound=True, geometry=geometry)
    regions = regions_to_read(pictures, drawing.notes, legible, geometry)
    legible = legible_beside(drawing.notes, legible, geometry)
    return TextLayer(lines, None, sound=True, geometry=geometry, regions=regions, legible=legible)

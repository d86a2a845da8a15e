"""From a document to `PageText`, page by page: the one way every caller reads a page."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from ocr.engines import OcrEngine, TextLine
from ocr.languages import merge_languages
from ocr.reading_order import read_rows
from ocr.text_layer import read_text_layer
from quire.contracts import Detection, OcrOptions, PageSourceKind, PageText
from quire.errors import NoTextLayer, OutOfMemory
from quire.pages import PageImage, PageSource
from quire.pages.base import Rotation
from quire.pages.pdf import PdfSource
from quire.settings import Settings


@dataclass(frozen=True)
class ReadOptions:
    """Options with every default filled in. `dpi` is for PDF pages; `languages` are PaddleOCR's codes."""

    dpi: float
    min_confidence: float
    languages: tuple[str, ...]
    text_layer: str

    @classmethod
    def resolve(cls, options: OcrOptions, settings: Settings) -> Self:
        """What the caller asked for, else what the environment says."""
        confidence = options.min_confidence
        return cls(
            dpi=float(options.dpi or settings.paddleocr_pdf_dpi),
            min_confidence=settings.paddleocr_min_confidence if confidence is None else confidence,
            languages=merge_languages(settings.paddleocr_lang, options.lang_hints),
            text_layer=options.text_layer,
        )


def read_page(
    source: PageSource, number: int, options: ReadOptions, engine: OcrEngine, *, label: int | None = None
) -> PageText:
    """Read one page: its text layer where that is asked for and sound, else OCR.

    `label` is the page number the result carries, where that is not the page's own.

    Raises:
        DocumentError: the page cannot be read; the code says why.
        OutOfMemory, EngineUnavailable: it could be read, but not here.
    """
    try:
        if isinstance(source, PdfSource) and options.text_layer != "never":
            page = _from_text_layer(source, number, options, label or number)
            if page is not None:
                return page
        elif options.text_layer == "only":
            raise NoTextLayer("An image has no text layer. Ask for text_layer='auto'.")
        return _from_pixels(source, number, options, engine, label or number)
    except MemoryError:
        raise OutOfMemory(f"Page {number} needs more memory than there is.") from None


def read_pages(
    source: PageSource, numbers: Iterable[int], options: ReadOptions, engine: OcrEngine
) -> Iterator[PageText]:
    """Read these pages one after the other."""
    for number in numbers:
        yield read_page(source, number, options, engine)


def _from_text_layer(source: PdfSource, number: int, options: ReadOptions, label: int) -> PageText | None:
    started = time.perf_counter()
    layer = read_text_layer(source, number, options.dpi)
    if layer.objection is not None:
        if options.text_layer == "only":
            raise NoTextLayer(f"Page {number} has no usable text layer: {layer.objection}. Ask for text_layer='auto'.")
        return None
    geometry = source.geometry(number, options.dpi)
    timings = {"text_layer": _milliseconds_since(started)}
    return _page_text(
        layer.lines, label, geometry.pixels, geometry.dpi, geometry.rotation, "text_layer", "pdfium", timings
    )


def _from_pixels(source: PageSource, number: int, options: ReadOptions, engine: OcrEngine, label: int) -> PageText:
    started = time.perf_counter()
    image: PageImage = source.image(number, options.dpi)
    rendered = time.perf_counter()
    (lines,) = engine.recognize([image], options.languages)
    timings = {"render": (rendered - started) * 1000, "ocr": _milliseconds_since(rendered)}
    kept = [line for line in lines if line.confidence >= options.min_confidence]
    return _page_text(
        kept,
        label,
        (image.width, image.height),
        image.dpi,
        image.rotation,
        "ocr",
        f"{engine.name} {engine.version}",
        timings,
    )


def _page_text(
    lines: list[TextLine],
    number: int,
    size: tuple[int, int],
    dpi: float | None,
    rotation: Rotation,
    source: PageSourceKind,
    engine: str,
    timings: dict[str, float],
) -> PageText:
    clean = [replace(line, text=_without_controls(line.text)) for line in lines]
    rows = read_rows([(line, line.box) for line in clean if line.text])
    ordered = [line for row in rows for line in row]
    characters = sum(len(line.text) for line in ordered)
    return PageText(
        page_number=number,
        width=size[0],
        height=size[1],
        dpi=dpi,
        rotation=rotation,
        source=source,
        engine=engine,
        text="\n".join(" ".join(line.text for line in row) for row in rows),
        detections=tuple(
            Detection(text=line.text, box=line.box, confidence=round(line.confidence, 4), page_number=number)
            for line in ordered
        ),
        confidence=round(sum(line.confidence * len(line.text) for line in ordered) / characters, 4)
        if characters
        else None,
        timings={stage: round(milliseconds, 2) for stage, milliseconds in timings.items()},
    )


def _without_controls(text: str) -> str:
    """Without control characters and lone surrogates, which Postgres, JSON and readers do not take; tabs are spaces."""
    spaced = "".join(" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cs")).strip()


def _milliseconds_since(moment: float) -> float:
    return (time.perf_counter() - moment) * 1000

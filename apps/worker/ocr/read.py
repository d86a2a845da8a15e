"""From a document to `PageText`, page by page: the one way every caller reads a page."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final, Self

from ocr.block_lines import lines_in_blocks
from ocr.collector import collector_paused
from ocr.control_characters import without_controls
from ocr.divided_words import join_divided_words
from ocr.engines import OcrEngine, PageContent, ReadRequest, TextLine, read_images
from ocr.images_on_demand import ImagesOnDemand, TooManyPixels
from ocr.languages import merge_languages
from ocr.mixed_page import read_regions
from ocr.page_words import page_words, text_layer_words
from ocr.reading_order import read_rows
from ocr.text_layer import TextLayer, read_text_layer
from quire.contracts import Detection, Mode, OcrOptions, PageSourceKind, PageText
from quire.errors import NoTextLayer, OutOfMemory, QuireError
from quire.pages import PageImage, PageSource
from quire.pages.base import Rotation
from quire.pages.pdf import PdfSource
from quire.settings import Settings
from quire.structure.markdown import blocks_markdown

# Pages whose images are in memory at once, and which an engine reads together; and the pixels they have at most.
PAGES_TOGETHER: Final = 8
_PIXELS_TOGETHER: Final = 60_000_000


@dataclass(frozen=True)
class ReadOptions:
    """Options with every default filled in. `dpi` is for PDF pages; `languages` are PaddleOCR's codes."""

    dpi: float
    min_confidence: float
    languages: tuple[str, ...]
    text_layer: str
    mode: Mode = "text"
    doc_orientation: bool = False
    doc_unwarping: bool = False
    textline_orientation: bool = False

    @classmethod
    def resolve(cls, options: OcrOptions, settings: Settings) -> Self:
        """What the caller asked for, else what the environment says."""
        confidence = options.min_confidence
        return cls(
            dpi=float(options.dpi or settings.paddleocr_pdf_dpi),
            min_confidence=settings.paddleocr_min_confidence if confidence is None else confidence,
            languages=merge_languages(settings.paddleocr_lang, options.lang_hints),
            text_layer=options.text_layer,
            mode=options.mode,
            doc_orientation=options.doc_orientation,
            doc_unwarping=options.doc_unwarping,
            textline_orientation=options.textline_orientation,
        )

    @property
    def request(self) -> ReadRequest:
        """What an engine is asked for."""
        return ReadRequest(self.languages, self.textline_orientation, self.mode)

    @property
    def uses_text_layers(self) -> bool:
        """Whether a PDF page's own text is looked at: it says nothing of structure."""
        return self.text_layer != "never" and self.mode == "text"


@dataclass(frozen=True)
class _Unread:
    """A page that OCR has to read: all of it, or what its text layer leaves.

    `number` is its number in the source, `label` the one its result carries; `timings` what was spent on it so far.
    """

    number: int
    label: int
    layer: TextLayer | None
    timings: dict[str, float]


def read_page(
    source: PageSource, number: int, options: ReadOptions, engine: OcrEngine, *, label: int | None = None
) -> PageText:
    """Read one page: its text layer where that is asked for and sound, with OCR of the pictures beside it; else OCR.

    `label` is the page number the result carries, where that is not the page's own.

    Raises:
        DocumentError: the page cannot be read; the code says why.
        OutOfMemory, EngineUnavailable: it could be read, but not here.
    """
    try:
        return _read_some([_without_ocr(source, number, options, label or number)], source, options, engine)[0]
    except MemoryError:
        raise OutOfMemory(f"Page {number} needs more memory than there is.") from None


def read_pages(
    source: PageSource, numbers: Iterable[int], options: ReadOptions, engine: OcrEngine
) -> Iterator[PageText]:
    """Read these pages in their order, a few at a time: an engine is faster with several. Raises as `read_page`."""
    for outcome in page_outcomes(source, ((number, number) for number in numbers), options, engine):
        if isinstance(outcome, QuireError):
            raise outcome
        yield outcome


def page_outcomes(
    source: PageSource, pages: Iterable[tuple[int, int]], options: ReadOptions, engine: OcrEngine
) -> Iterator[PageText | QuireError]:
    """Read pages, each given as its number in the source and its label, in their order and a few at a time.

    One that fails costs only itself: in its place comes its error, of those that `read_page` raises.
    """
    remaining = iter(pages)
    while some := list(islice(remaining, PAGES_TOGETHER)):
        try:
            yield from read_together(source, some, options, engine)
        except (QuireError, MemoryError):
            yield from (_outcome(source, number, label, options, engine) for number, label in some)


def _outcome(
    source: PageSource, number: int, label: int, options: ReadOptions, engine: OcrEngine
) -> PageText | QuireError:
    try:
        return read_page(source, number, options, engine, label=label)
    except QuireError as error:
        return error


def read_together(
    source: PageSource, pages: Sequence[tuple[int, int]], options: ReadOptions, engine: OcrEngine
) -> list[PageText]:
    """Read pages, each given as its number in the source and its label, with one call of the engine.

    At most `PAGES_TOGETHER`, and with more than one call where their images are large. Raises as `read_page`: which
    page it was is found by reading them one by one.
    """
    begun = [_without_ocr(source, number, options, label) for number, label in pages]
    return _read_some(begun, source, options, engine)


def _read_some(
    begun: Sequence[PageText | _Unread], source: PageSource, options: ReadOptions, engine: OcrEngine
) -> list[PageText]:
    """The pages in their order, all of them read. Raises as `read_page`."""
    whole = [page for page in begun if isinstance(page, _Unread) and page.layer is None]
    recognized = iter(_recognized(whole, source, options, engine))
    found: list[PageText] = []
    for page in begun:
        if isinstance(page, PageText):
            found.append(page)
        elif page.layer is None:
            found.append(next(recognized))
        else:
            found.append(_with_regions(page, page.layer, source, options, engine))
    return found


def _without_ocr(source: PageSource, number: int, options: ReadOptions, label: int) -> PageText | _Unread:
    """The page by way of its text layer; else what OCR has to know of it."""
    timings: dict[str, float] = {}
    layer = None
    if isinstance(source, PdfSource) and options.uses_text_layers:
        with collector_paused():
            found = _from_text_layer(source, number, options, label, timings)
        if isinstance(found, PageText):
            return found
        layer = found
    elif options.text_layer == "only":
        raise NoTextLayer("An image has no text layer. Ask for text_layer='auto'.")
    return _Unread(number, label, layer, timings)


def _from_text_layer(
    source: PdfSource, number: int, options: ReadOptions, label: int, timings: dict[str, float]
) -> PageText | TextLayer | None:
    """The page's own text; the layer where it leaves regions to OCR; None where it leaves the whole page to OCR."""
    started = time.perf_counter()
    layer = read_text_layer(source, number, options.dpi)
    timings["text_layer"] = _milliseconds_since(started)
    if options.text_layer == "only":
        if not layer.sound:
            raise NoTextLayer(f"Page {number} has no usable text layer: {layer.objection}. Ask for text_layer='auto'.")
    elif layer.objection is not None:
        return None
    elif layer.regions:
        return layer
    return _of_layer(layer, layer.lines, label, "text_layer", "pdfium", timings)


def _with_regions(
    page: _Unread, layer: TextLayer, source: PageSource, options: ReadOptions, engine: OcrEngine
) -> PageText:
    """The layer's lines, and what OCR reads in the regions that it leaves; that may be nothing."""
    image = _rendered(source, page, options)
    started = time.perf_counter()
    lines = read_regions(image, layer, engine, options.languages)
    timings = page.timings | {"ocr": _milliseconds_since(started)}
    seen = [line for line in lines if line.confidence >= options.min_confidence]
    if not seen:
        return _of_layer(layer, layer.lines, page.label, "text_layer", "pdfium", timings)
    return _of_layer(layer, [*layer.lines, *seen], page.label, "mixed", f"pdfium + {_name_of(engine)}", timings)


def _rendered(source: PageSource, page: _Unread, options: ReadOptions) -> PageImage:
    """The page's image; what it took is noted in the page's timings."""
    started = time.perf_counter()
    image = source.image(page.number, options.dpi)
    page.timings["render"] = _milliseconds_since(started)
    return image


def _of_layer(
    layer: TextLayer,
    lines: list[TextLine],
    label: int,
    source: PageSourceKind,
    engine: str,
    timings: dict[str, float],
) -> PageText:
    geometry = layer.geometry
    content = PageContent(tuple(lines))
    return _page_text(content, label, geometry.pixels, geometry.dpi, geometry.rotation, source, engine, timings)


def _recognized(
    pages: Sequence[_Unread], source: PageSource, options: ReadOptions, engine: OcrEngine
) -> list[PageText]:
    """The pages as the engine reads them, with one call unless their images are large."""
    found: list[PageText] = []
    while len(found) < len(pages):
        left = pages[len(found) :]
        first = _rendered(source, left[0], options)
        # Most documents have pages of one size.
        some = left[: max(1, _PIXELS_TOGETHER // (first.width * first.height))]
        others = [partial(_rendered, source, page, options) for page in some[1:]]
        with suppress(TooManyPixels):
            found += _in_one_call(some, ImagesOnDemand(first, others, _PIXELS_TOGETHER), options, engine)
            continue
        # Out here the images made until then are gone.
        found += _in_one_call(some[:1], [first], options, engine)
    return found


def _in_one_call(
    pages: Sequence[_Unread], images: Sequence[PageImage], options: ReadOptions, engine: OcrEngine
) -> list[PageText]:
    """The pages as the engine reads them, the first of them rendered; its time is shared equally among them.

    Raises as `read_page`, and `TooManyPixels`.
    """
    started = time.perf_counter()
    found = read_images(engine, images, options.request)
    rendering = sum(page.timings["render"] for page in pages[1:])
    milliseconds = (_milliseconds_since(started) - rendering) / len(pages)
    return [
        _page_text(
            replace(content, lines=_sure(content.lines, options)),
            page.label,
            (image.width, image.height),
            image.dpi,
            image.rotation,
            "ocr",
            _name_of(engine),
            page.timings | {"ocr": milliseconds},
        )
        for page, image, content in zip(pages, images, found, strict=True)
    ]


def _sure(lines: Iterable[TextLine], options: ReadOptions) -> tuple[TextLine, ...]:
    return tuple(line for line in lines if line.confidence >= options.min_confidence)


def _page_text(
    content: PageContent,
    number: int,
    size: tuple[int, int],
    dpi: float | None,
    rotation: Rotation,
    source: PageSourceKind,
    engine: str,
    timings: dict[str, float],
) -> PageText:
    clean = [line for line in map(_cleaned, content.lines) if line.text]
    placed = lines_in_blocks(clean, content.blocks) if content.blocks else None
    rows = placed.rows if placed else read_rows([(line, line.box) for line in clean])
    ordered = [line for row in rows for line in row]
    blocks = placed.blocks if placed else ()
    characters = sum(len(line.text) for line in ordered)
    texts = [" ".join(line.text for line in row) for row in rows]
    if content.text is not None and not ordered:
        texts = _without_controls(content.text).split("\n")
    markdown = blocks_markdown(blocks) if blocks and content.markdown is None else content.markdown
    return PageText(
        page_number=number,
        width=size[0],
        height=size[1],
        dpi=dpi,
        rotation=rotation,
        source=source,
        engine=engine,
        text="\n".join(texts) if source == "ocr" else join_divided_words(texts),
        detections=tuple(
            Detection(text=line.text, box=line.box, confidence=round(line.confidence, 4), page_number=number)
            for line in ordered
        ),
        blocks=blocks,
        markdown=None if markdown is None else _without_controls(markdown),
        transform=content.transform,
        words=(text_layer_words if source == "text_layer" else page_words)(ordered),
        confidence=round(sum(line.confidence * len(line.text) for line in ordered) / characters, 4)
        if characters
        else None,
        timings={stage: round(milliseconds, 2) for stage, milliseconds in timings.items()},
    )


def _without_controls(text: str) -> str:
    """A text of several lines, each as an engine indented it."""
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cs")).strip(
        "\n"
    )


def _cleaned(line: TextLine) -> TextLine:
    text = without_controls(line.text)
    return line if text == line.text else replace(line, text=text)


def _name_of(engine: OcrEngine) -> str:
    return f"{engine.name} {engine.version}"


def _milliseconds_since(moment: float) -> float:
    return (time.perf_counter() - moment) * 1000

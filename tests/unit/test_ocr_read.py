"""From a document to `PageText`, with an engine that answers what a test wants."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ocr.engines import TextLine
from ocr.read import ReadOptions, read_page, read_pages
from quire.contracts import Box, OcrOptions, PageText
from quire.errors import NoTextLayer, OutOfMemory, PageOutOfRange
from quire.pages import PageImage, PageSource, open_source
from quire.pages.base import refuse_missing_page
from quire.settings import Settings
from tests.unit.pdf_files import Page, text, write_pdf

AUTO = ReadOptions(dpi=144, min_confidence=0.5, languages=("fr", "en"), text_layer="auto")
NEVER = ReadOptions(dpi=144, min_confidence=0.5, languages=("en",), text_layer="never")
ONLY = ReadOptions(dpi=144, min_confidence=0.5, languages=("en",), text_layer="only")


def box(left: float, top: float, width: float = 50, height: float = 10) -> Box:
    return (left, top), (left + width, top), (left + width, top + height), (left, top + height)


@dataclass
class Engine:
    """Answers `lines` to every page."""

    lines: list[TextLine] = field(default_factory=list)
    error: Exception | None = None
    asked: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    name: str = "fake"
    version: str = "7"

    def warm_up(self) -> None:
        pass

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        if self.error is not None:
            raise self.error
        self.asked += [(image.number, tuple(languages)) for image in images]
        return [self.lines for _ in images]

    def describe(self) -> dict[str, Any]:
        return {}


@dataclass
class Blank:
    """A document of blank pages, so that a test needs no file."""

    media_type: str = "image/png"
    page_count: int = 1

    def image(self, number: int, dpi: float) -> PageImage:
        refuse_missing_page(number, self.page_count)
        return PageImage(number, np.full((100, 200, 3), 255, np.uint8), None, 90)

    def __enter__(self) -> Blank:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    """Page 1 has its own text, page 2 has none."""
    path = tmp_path / "document.pdf"
    path.write_bytes(write_pdf([Page(text("Own text", 20, 40), rotate=90), Page()]))
    return path


def read_blank(*lines: TextLine, options: ReadOptions = AUTO, label: int | None = None) -> PageText:
    return read_page(Blank(), 1, options, Engine(list(lines)), label=label)


def read_from(path: Path, number: int, options: ReadOptions, engine: Engine) -> PageText:
    with open_source(path) as source:
        return read_page(source, number, options, engine)


def test_what_the_caller_asks_for_goes_before_the_settings():
    settings = Settings(paddleocr_lang="en", paddleocr_pdf_dpi=180, paddleocr_min_confidence=0.5)
    asked = OcrOptions(dpi=300, min_confidence=0.0, lang_hints=("de",), text_layer="never")
    assert ReadOptions.resolve(asked, settings) == ReadOptions(300, 0, ("german", "en"), "never")


def test_the_settings_fill_in_what_the_caller_leaves_out():
    settings = Settings(paddleocr_lang="fr", paddleocr_pdf_dpi=200, paddleocr_min_confidence=0.25)
    assert ReadOptions.resolve(OcrOptions(), settings) == ReadOptions(200, 0.25, ("fr",), "auto")


def test_a_line_below_the_least_confidence_is_left_out():
    page = read_blank(TextLine("sure", box(0, 0), 0.5), TextLine("unsure", box(0, 20), 0.49))
    assert (page.text, [detection.text for detection in page.detections]) == ("sure", ["sure"])


def test_a_least_confidence_of_zero_keeps_everything():
    options = ReadOptions(dpi=144, min_confidence=0, languages=("en",), text_layer="auto")
    assert read_blank(TextLine("unsure", box(0, 0), 0.0), options=options).text == "unsure"


def test_lines_come_in_reading_order():
    page = read_blank(TextLine("c", box(0, 40), 1), TextLine("b", box(100, 1), 1), TextLine("a", box(0, 0), 1))
    assert page.text == "a b\nc"
    assert [detection.text for detection in page.detections] == ["a", "b", "c"]


def test_a_detection_keeps_its_box_and_its_confidence():
    (detection,) = read_blank(TextLine("a", box(1.5, 2.5), 0.98765)).detections
    assert (detection.box, detection.confidence, detection.page_number) == (box(1.5, 2.5), 0.9877, 1)


def test_the_confidence_of_a_page_is_the_mean_over_its_characters():
    page = read_blank(TextLine("aaa", box(0, 0), 1.0), TextLine("b", box(0, 20), 0.6))
    assert page.confidence == 0.9


def test_a_page_without_text_has_no_confidence():
    page = read_blank()
    assert (page.text, page.detections, page.confidence) == ("", (), None)


def test_a_page_has_the_size_and_rotation_of_its_image():
    page = read_blank()
    assert (page.width, page.height, page.dpi, page.rotation) == (200, 100, None, 90)


def test_a_page_says_what_read_it():
    page = read_blank()
    assert (page.source, page.engine) == ("ocr", "fake 7")


def test_a_page_says_how_long_it_took():
    timings = read_blank().timings
    assert set(timings) == {"render", "ocr"}
    assert all(milliseconds >= 0 for milliseconds in timings.values())


def test_a_label_is_the_number_that_a_page_carries():
    page = read_blank(TextLine("a", box(0, 0), 1), label=7)
    assert (page.page_number, page.detections[0].page_number) == (7, 7)


def test_nul_characters_are_removed():
    page = read_blank(TextLine("a\0b", box(0, 0), 1))
    assert (page.text, page.detections[0].text) == ("ab", "ab")


@given(st.text(st.characters(), min_size=1, max_size=12))
def test_no_control_character_and_no_lone_surrogate_gets_into_a_detection(words):
    for detection in read_blank(TextLine(words, box(0, 0), 1)).detections:
        assert not {unicodedata.category(character) for character in detection.text} & {"Cc", "Cs"}
        detection.text.encode()


@pytest.mark.parametrize("words", ["می‌خواهم", "naïve Übergröße", "日本語", "क्‍ष", "👩‍💻", "1 000"])
def test_what_belongs_to_a_word_is_kept(words):
    assert read_blank(TextLine(words, box(0, 0), 1)).text == words


@pytest.mark.parametrize("words", ["\0", "\x07\x08", "\x1f"])
def test_a_line_of_nothing_but_control_characters_is_no_line(words):
    page = read_blank(TextLine(words, box(0, 0), 1), TextLine("a", box(0, 20), 0.8))
    assert (page.text, len(page.detections), page.confidence) == ("a", 1, 0.8)


def test_the_engine_is_told_the_languages():
    engine = Engine()
    read_page(Blank(), 1, AUTO, engine)
    assert engine.asked == [(1, ("fr", "en"))]


def test_a_sound_text_layer_is_used_without_the_engine(pdf: Path):
    engine = Engine()
    page = read_from(pdf, 1, AUTO, engine)
    assert (page.text, page.source, page.engine) == ("Own text", "text_layer", "pdfium")
    assert engine.asked == []


def test_a_page_from_its_text_layer_has_the_size_of_its_image(pdf: Path):
    page = read_from(pdf, 1, AUTO, Engine())
    with open_source(pdf) as source:
        image = source.image(1, 144)
    assert (page.width, page.height, page.dpi, page.rotation) == (image.width, image.height, image.dpi, image.rotation)


def test_a_page_without_a_text_layer_is_read_by_the_engine(pdf: Path):
    engine = Engine([TextLine("seen", box(0, 0), 1)])
    page = read_from(pdf, 2, AUTO, engine)
    assert (page.text, page.source, page.dpi) == ("seen", "ocr", 144)


def test_a_text_layer_is_left_aside_where_that_is_asked_for(pdf: Path):
    assert read_from(pdf, 1, NEVER, Engine([TextLine("seen", box(0, 0), 1)])).text == "seen"


def test_only_the_text_layer_is_used_where_that_is_asked_for(pdf: Path):
    assert read_from(pdf, 1, ONLY, Engine()).text == "Own text"


def test_a_page_without_the_text_layer_that_was_asked_for_says_why(pdf: Path):
    engine = Engine()
    with pytest.raises(NoTextLayer, match="Page 2 has no usable text layer: no text layer"):
        read_from(pdf, 2, ONLY, engine)
    assert engine.asked == []


def test_an_image_has_no_text_layer(tmp_path: Path):
    Image.new("L", (20, 20), 255).save(tmp_path / "image.png")
    with pytest.raises(NoTextLayer, match="image"):
        read_from(tmp_path / "image.png", 1, ONLY, Engine())


@pytest.mark.parametrize("options", [AUTO, NEVER, ONLY], ids=lambda options: options.text_layer)
def test_a_page_that_is_not_there_is_out_of_range(pdf: Path, options):
    with pytest.raises(PageOutOfRange):
        read_from(pdf, 3, options, Engine())


def test_memory_that_runs_out_is_a_typed_error():
    with pytest.raises(OutOfMemory, match="Page 1"):
        read_page(Blank(), 1, AUTO, Engine(error=MemoryError()))


def test_pages_are_read_a_few_at_a_time_as_they_are_asked_for():
    engine = Engine()
    source: PageSource = Blank(page_count=12)
    wanted = [3, 1, 2, 9, 8, 7, 12, 11, 10, 5]
    pages = read_pages(source, wanted, AUTO, engine)
    assert next(pages).page_number == 3
    assert [number for number, _ in engine.asked] == wanted[:8]
    assert [page.page_number for page in pages] == wanted[1:]
    assert engine.asked == [(number, ("fr", "en")) for number in wanted]


def test_pages_before_one_that_cannot_be_read_are_not_lost_with_it():
    pages = read_pages(Blank(page_count=3), [1, 2, 4, 3], AUTO, Engine())
    assert [next(pages).page_number, next(pages).page_number] == [1, 2]
    with pytest.raises(PageOutOfRange):
        next(pages)


def test_large_pages_are_not_in_memory_together(tmp_path: Path):
    """Eight pages of 36 megapixels would be 864 MB; the order of what comes out stays that of the pages."""
    frames = [Image.new("1", (6000, 6000), number % 2) for number in range(4)]
    frames[0].save(tmp_path / "large.tiff", save_all=True, append_images=frames[1:], compression="group4")
    together: list[int] = []

    class Counting(Engine):
        def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
            together.append(len(images))
            return super().recognize(images, languages)

    with open_source(tmp_path / "large.tiff") as source:
        pages = list(read_pages(source, range(1, 5), NEVER, Counting([TextLine("x", box(0, 0), 0.9)])))
    assert [page.page_number for page in pages] == [1, 2, 3, 4]
    assert together == [1, 1, 1, 1]

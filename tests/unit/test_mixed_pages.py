"""Pages whose text layer is sound and that carry pictures with text: OCR reads the pictures, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.engines import OcrEngine, TextLine, create_engine
from ocr.engines.base import TextWord
from ocr.read import ReadOptions, read_page
from quire.contracts import Box, PageText
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.engines import InstantEngine
from tests.unit.pdf_files import Page, Rectangle, stream, text, write_pdf

DPI = 144
AUTO = ReadOptions(dpi=DPI, min_confidence=0.5, languages=("en",), text_layer="auto")
ONLY = ReadOptions(dpi=DPI, min_confidence=0.5, languages=("en",), text_layer="only")
NEVER = ReadOptions(dpi=DPI, min_confidence=0.5, languages=("en",), text_layer="never")
MEDIA_BOX = (0, 0, 400, 300)
ROTATIONS = (0, 90, 180, 270)
LETTER = b"".join(text(f"Line {number} of the letter", 20, 270 - 25 * number, 14) for number in range(4))
# A field's appearance is drawn with this font; a page with a form has no picture.
FORM = b"/AcroForm << /Fields [4 0 R] /NeedAppearances true /DA (/Helv 12 Tf 0 g) /DR << /Font << /Helv 3 0 R >> >> >>"


class InkEngine(InstantEngine):
    """Reads all ink of an image as one line of one word with a box close around it; a blank image has no lines."""

    def __init__(self, confidence: float = 0.9, before: Callable[[PageImage], None] | None = None) -> None:
        super().__init__(before)
        self.confidence = confidence
        self.sizes: list[tuple[int, int]] = []

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        super().recognize(images, languages)
        self.sizes += [(image.width, image.height) for image in images]
        return [self._lines(image) for image in images]

    def _lines(self, image: PageImage) -> list[TextLine]:
        ink = ink_of(image)
        if ink is None:
            return []
        return [TextLine("ink", box_of(ink), self.confidence, (TextWord("ink", box_of(ink), self.confidence),))]


def ink_of(image: PageImage, within: Rectangle | None = None) -> Rectangle | None:
    """The left, top, right and bottom of what is dark, of the whole image or within a rectangle of it."""
    dark = image.pixels.min(axis=2) < 100
    if within is not None:
        left, top, right, bottom = (round(side) for side in within)
        outside = np.ones_like(dark)
        outside[top:bottom, left:right] = False
        dark &= ~outside
    rows, columns = np.nonzero(dark)
    if not len(rows):
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def box_of(rectangle: Rectangle) -> Box:
    left, top, right, bottom = rectangle
    return (left, top), (right, top), (right, bottom), (left, bottom)


def bounds(box: Box) -> Rectangle:
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return min(xs), min(ys), max(xs), max(ys)


def picture(image: Image.Image | None = None) -> bytes:
    """A picture as a PDF object: a white one with a black mark a fifth of its size in the middle, or `image`."""
    if image is None:
        image = Image.new("L", (100, 100), 255)
        image.paste(0, (40, 40, 60, 60))
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceGray"
    return stream(image.convert("L").tobytes(), entries % image.size)


def at(x: float, y: float, width: float, height: float) -> bytes:
    """The picture with its lower left corner at (x, y), in points."""
    return f"q {width} 0 0 {height} {x} {y} cm /X1 Do Q\n".encode()


def read(
    tmp_path: Path,
    content: bytes,
    engine: OcrEngine,
    options: ReadOptions = AUTO,
    *,
    objects: Sequence[bytes] | None = None,
    catalog: bytes = b"",
    label: int | None = None,
    **page: Any,
) -> tuple[PageText, PageImage]:
    """The page with this content, and its image."""
    path = tmp_path / "document.pdf"
    page = {"media_box": MEDIA_BOX} | page
    path.write_bytes(write_pdf([Page(content, **page)], [picture()] if objects is None else objects, catalog))
    with open_source(path) as source:
        return read_page(source, 1, options, engine, label=label), source.image(1, DPI)


def annotation(entries: bytes, rectangle: Rectangle = (150, 60, 350, 90)) -> bytes:
    sides = " ".join(map(str, rectangle)).encode()
    return b"<< /Type /Annot /F 4 /Rect [" + sides + b"] /DA (/Helv 12 Tf 0 g) " + entries + b" >>"


def test_the_text_layer_and_the_picture_are_one_page(tmp_path: Path):
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), InkEngine())
    assert page.source == "mixed"
    assert page.engine == "pdfium + instant 1"
    assert page.text.splitlines() == [*(f"Line {number} of the letter" for number in range(4)), "ink"]
    assert set(page.timings) == {"text_layer", "render", "ocr"}
    assert [(detection.text, detection.confidence) for detection in page.detections][-1] == ("ink", 0.9)
    assert [(word.text, word.confidence, word.line) for word in page.words][-1] == ("ink", 0.9, 4)


@pytest.mark.parametrize("crop_box", [None, (10, 20, 390, 290)], ids=str)
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_what_is_read_in_a_picture_lies_where_it_is_on_the_page(tmp_path: Path, rotate, crop_box):
    page, image = read(tmp_path, LETTER + at(250, 60, 80, 80), InkEngine(), rotate=rotate, crop_box=crop_box)
    (seen,) = (detection for detection in page.detections if detection.text == "ink")
    left, top, right, bottom = bounds(seen.box)
    around = left - 40, top - 40, right + 40, bottom + 40
    assert bounds(seen.box) == pytest.approx(ink_of(image, around), abs=1)
    # A fifth of 80 points at 144 dpi.
    assert (right - left, bottom - top) == pytest.approx((32, 32), abs=3)
    (word,) = (word for word in page.words if word.text == "ink")
    assert (word.box, page.detections[word.line]) == (seen.box, seen)


def test_ocr_gets_the_picture_and_not_the_page(tmp_path: Path):
    engine = InkEngine()
    read(tmp_path, LETTER + at(150, 40, 100, 60), engine)
    # With a margin of two points on every side.
    (size,) = engine.sizes
    assert size == pytest.approx((208, 128), abs=2)


def test_text_beside_a_picture_is_not_read_with_it(tmp_path: Path):
    touching = text("Figure", 152, 139.5, 20)
    page, _ = read(tmp_path, LETTER + touching + at(150, 40, 100, 100), InkEngine())
    (seen,) = (detection for detection in page.detections if detection.text == "ink")
    assert bounds(seen.box)[3] - bounds(seen.box)[1] == pytest.approx(40, abs=3)
    assert "Figure" in page.text


def test_text_of_the_layer_on_a_picture_is_not_read_twice(tmp_path: Path):
    blank = picture(Image.new("L", (10, 10), 230))
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100) + text("Label", 170, 80, 20), InkEngine(), objects=[blank])
    assert page.text.splitlines()[-1] == "Label"
    assert (page.source, page.engine) == ("text_layer", "pdfium")


def test_leaders_of_the_layer_do_not_hide_what_is_filled_in(tmp_path: Path):
    field = annotation(b"/Subtype /Widget /FT /Tx /T (name) /V (Jane Miller)")
    content = LETTER + text("Name: " + "_" * 24, 100, 68, 14)
    page, _ = read(tmp_path, content, InkEngine(), objects=[field], catalog=FORM, entries=b"/Annots [4 0 R]")
    assert page.source == "mixed"
    assert "ink" in page.text


def test_only_the_text_layer_is_used_where_that_is_asked_for(tmp_path: Path):
    engine = InkEngine()
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), engine, ONLY)
    assert (page.source, page.engine, engine.read) == ("text_layer", "pdfium", [])
    assert "ink" not in page.text


def test_only_the_text_layer_of_a_scan_with_a_page_number_is_its_page_number(tmp_path: Path):
    engine = InkEngine()
    page, _ = read(tmp_path, at(0, 0, 400, 300) + text("7", 200, 10, 10), engine, ONLY)
    assert (page.source, page.text, engine.read) == ("text_layer", "7", [])


def test_without_the_text_layer_the_whole_page_is_read_once(tmp_path: Path):
    engine = InkEngine()
    page, image = read(tmp_path, LETTER + at(150, 40, 100, 100), engine, NEVER)
    assert (page.source, engine.sizes) == ("ocr", [(image.width, image.height)])


@pytest.mark.parametrize(
    "content",
    [
        at(0, 0, 400, 300) + text("7", 200, 10, 10),
        at(20, 20, 360, 270) + text("Received 17 April", 40, 30, 10),
        b"".join(at(0, 50 * strip, 400, 50) for strip in range(6)) + text("7", 200, 10, 10),
        at(0, 0, 400, 300) + LETTER,
        at(10, 10, 380, 200) + text("7", 200, 280, 8),
    ],
    ids=["page number", "stamp", "strips", "letter on it", "wide margin"],
)
def test_a_scanned_page_with_text_on_it_is_read_as_a_whole(tmp_path: Path, content):
    engine = InkEngine()
    page, image = read(tmp_path, content, engine)
    assert (page.source, page.engine) == ("ocr", "instant 1")
    assert engine.sizes == [(image.width, image.height)]


def test_an_invisible_layer_over_a_scan_is_not_completed_but_replaced(tmp_path: Path):
    page, _ = read(tmp_path, at(0, 0, 400, 300) + text("Guess", 20, 100, mode=3), InkEngine())
    assert (page.source, page.text) == ("ocr", "ink")


def test_half_a_page_of_scan_below_text_is_read_alone(tmp_path: Path):
    page, _ = read(tmp_path, LETTER + at(0, 0, 400, 170), InkEngine())
    assert page.source == "mixed"
    assert page.text.splitlines()[0] == "Line 0 of the letter"


@pytest.mark.parametrize(
    "content",
    [at(150, 60, 40, 40), at(20, 100, 360, 7), at(20, 20, 7, 200), at(150, 400, 100, 100), b""],
    ids=["logo", "rule", "border", "off the page", "none"],
)
def test_what_is_too_small_for_text_costs_no_ocr(tmp_path: Path, content):
    engine = InkEngine()
    page, _ = read(tmp_path, LETTER + content, engine)
    assert (page.source, engine.read) == ("text_layer", [])
    assert set(page.timings) == {"text_layer"}


def test_a_picture_of_one_colour_costs_no_ocr(tmp_path: Path):
    engine = InkEngine()
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), engine, objects=[picture(Image.new("L", (9, 9), 255))])
    assert (page.source, engine.read) == ("text_layer", [])


def test_a_picture_without_text_leaves_a_page_to_its_layer(tmp_path: Path):
    gradient = Image.linear_gradient("L").point(lambda shade: 128 + shade // 2)
    engine = InkEngine()
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), engine, objects=[picture(gradient)])
    assert (page.source, page.engine, engine.read) == ("text_layer", "pdfium", [1])


def test_a_picture_behind_the_text_is_background(tmp_path: Path):
    engine = InkEngine()
    page, _ = read(tmp_path, at(15, 190, 180, 95) + LETTER, engine)
    assert (page.source, engine.read) == ("text_layer", [])


def test_what_is_read_without_confidence_is_left_out(tmp_path: Path):
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), InkEngine(confidence=0.4))
    assert (page.source, page.engine) == ("text_layer", "pdfium")


def test_tiles_of_one_picture_are_read_together(tmp_path: Path):
    engine = InkEngine()
    tiles = b"".join(at(100 + 50 * column, 40 + 50 * row, 50, 50) for column in range(3) for row in range(2))
    read(tmp_path, LETTER + tiles, engine)
    (size,) = engine.sizes
    assert size == pytest.approx((308, 208), abs=2)


def test_pictures_apart_are_read_apart(tmp_path: Path):
    engine = InkEngine()
    page, _ = read(tmp_path, LETTER + at(20, 40, 80, 80) + at(200, 40, 80, 80), engine)
    assert len(engine.sizes) == 2
    assert page.text.splitlines()[-1] == "ink ink"


def test_a_note_is_read_although_it_covers_text_of_the_layer(tmp_path: Path):
    note = annotation(b"/Subtype /FreeText /Contents (New)")
    content = LETTER + text("Outdated words", 152, 66, 24)
    page, _ = read(tmp_path, content, InkEngine(), objects=[note], entries=b"/Annots [4 0 R]")
    assert (page.source, "ink" in page.text) == ("mixed", True)


def test_many_notes_are_read_in_one_go(tmp_path: Path):
    engine = InkEngine()
    places = [
        (20 + 60 * column, 20 + 60 * row, 50 + 60 * column, 40 + 60 * row) for column in range(6) for row in (0, 1)
    ]
    notes = [annotation(b"/Subtype /FreeText /Contents (note)", place) for place in places]
    entries = b"/Annots [" + b" ".join(b"%d 0 R" % (4 + index) for index in range(len(notes))) + b"]"
    page, _ = read(tmp_path, LETTER, engine, objects=notes, entries=entries)
    assert len(engine.sizes) == 1
    assert page.source == "mixed"


def test_the_label_of_a_page_is_on_all_its_lines(tmp_path: Path):
    page, _ = read(tmp_path, LETTER + at(150, 40, 100, 100), InkEngine(), label=7)
    assert {detection.page_number for detection in page.detections} == {7}


def test_a_picture_inside_of_a_form_is_found_where_the_form_puts_it(tmp_path: Path):
    form = stream(
        b"q 50 0 0 50 0 0 cm /X1 Do Q",
        b"/Type /XObject /Subtype /Form /BBox [0 0 50 50] /Matrix [1 0 0 1 5 5] "
        b"/Resources << /XObject << /X1 5 0 R >> >>",
    )
    page, image = read(tmp_path, LETTER + b"q 2 0 0 2 150 30 cm /X1 Do Q", InkEngine(), objects=[form, picture()])
    (seen,) = (detection for detection in page.detections if detection.text == "ink")
    # 150 + 2 · (5 + 25) = 210 points from the left, 30 + 2 · (5 + 25) = 90 from below, of 300.
    left, top, right, bottom = bounds(seen.box)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((420, 420), abs=2)
    assert bounds(seen.box) == pytest.approx(ink_of(image, (380, 380, 460, 460)), abs=1)


@pytest.mark.filterwarnings("ignore")
class TestWithTheRealEngine:
    """The real engine on a letter with a receipt pasted in, a filled form, and a note."""

    OPTIONS = ReadOptions(dpi=180, min_confidence=0.5, languages=("en",), text_layer="auto")

    @pytest.fixture(scope="class")
    def engine(self, model_dir: Path) -> OcrEngine:
        engine = create_engine(Settings(quire_model_dir=model_dir))
        engine.warm_up()
        return engine

    def test_a_receipt_pasted_into_a_letter(self, tmp_path: Path, engine: OcrEngine):
        receipt = Image.new("L", (600, 300), 255)
        draw = ImageDraw.Draw(receipt)
        for row, words in enumerate(("CORNER CAFE", "Total 1284.50")):
            draw.text((40, 40 + 110 * row), words, font=ImageFont.load_default(64), fill=0)
        page, _ = read(tmp_path, LETTER + at(150, 30, 200, 100), engine, self.OPTIONS, objects=[picture(receipt)])
        assert page.source == "mixed"
        assert [detection.text for detection in page.detections[:4]] == [f"Line {n} of the letter" for n in range(4)]
        read_there = "".join(detection.text for detection in page.detections[4:]).replace(" ", "")
        assert read_there == "CORNERCAFETotal1284.50"

    def test_a_filled_field(self, tmp_path: Path, engine: OcrEngine):
        field = annotation(b"/Subtype /Widget /FT /Tx /T (name) /V (Jane Miller)")
        page, _ = read(
            tmp_path,
            LETTER + text("Name:", 100, 68, 14),
            engine,
            self.OPTIONS,
            objects=[field],
            catalog=FORM,
            entries=b"/Annots [4 0 R]",
        )
        assert page.source == "mixed"
        assert page.text.splitlines()[-1].replace(" ", "") == "Name:JaneMiller"

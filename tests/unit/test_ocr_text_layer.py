"""The text a PDF page carries itself: where it is, and when it is not believed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ocr.engines import TextLine
from ocr.text_layer import TextLayer, read_text_layer
from ocr.text_layer.regions import picture_regions
from quire.contracts import Box
from quire.errors import PageOutOfRange
from quire.pages import PageImage, open_source
from quire.pages.pdf import PageGeometry, PdfSource
from tests.unit.pdf_files import Page, Rectangle, stream, text, write_pdf

ROTATIONS = (0, 90, 180, 270)
# What reading goes along in the image, by how far a line is turned clockwise.
DIRECTIONS = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}
PICTURE = stream(
    b"\x80", b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray"
)
# A map of four codes to Unicode.
TO_UNICODE = (
    b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def /CMapType 2 def "
    b"1 begincodespacerange <00> <FF> endcodespacerange 4 beginbfchar %s endbfchar endcmap end end"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document.pdf"


def layer_of(
    path: Path, page: Page, dpi: float = 144, objects: list[bytes] | None = None
) -> tuple[TextLayer, PageImage]:
    path.write_bytes(write_pdf([page], objects or ()))
    with open_source(path) as source:
        assert isinstance(source, PdfSource)
        return read_text_layer(source, 1, dpi), source.image(1, dpi)


def lines_of(path: Path, page: Page) -> list[str]:
    layer, _ = layer_of(path, page)
    assert layer.objection is None
    return [line.text for line in layer.lines]


def objection_of(path: Path, page: Page, objects: list[bytes] | None = None) -> str | None:
    return layer_of(path, page, objects=objects)[0].objection


def real_layer(path: Path, number: int = 1) -> TextLayer:
    with open_source(path) as source:
        assert isinstance(source, PdfSource)
        return read_text_layer(source, number, 72)


def ink(image: PageImage) -> Rectangle:
    """The left, top, right and bottom of what is drawn."""
    rows, columns = np.nonzero(image.pixels.min(axis=2) < 128)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def bounds(box: Box) -> Rectangle:
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return min(xs), min(ys), max(xs), max(ys)


def turned_by(box: Box) -> int:
    """How far a line is turned clockwise: the way from its first point to its second."""
    dx, dy = box[1][0] - box[0][0], box[1][1] - box[0][1]
    way = (round(dx / max(abs(dx), abs(dy))), round(dy / max(abs(dx), abs(dy))))
    return next(turn for turn, direction in DIRECTIONS.items() if direction == way)


def assert_holds(line: TextLine, image: PageImage) -> None:
    """The box lies around the ink of the page, and not far around it."""
    left, top, right, bottom = bounds(line.box)
    ink_left, ink_top, ink_right, ink_bottom = ink(image)
    assert left - 1.5 <= ink_left
    assert top - 1.5 <= ink_top
    assert ink_right <= right + 1.5
    assert ink_bottom <= bottom + 1.5
    # 20 points at 144 dpi are 40 pixels.
    assert max(ink_left - left, ink_top - top, right - ink_right, bottom - ink_bottom) < 24


def is_clockwise(box: Box) -> bool:
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(box, (*box[1:], box[0]), strict=True))
    return area > 0


@pytest.mark.parametrize("crop_box", [None, (10, 5, 190, 95)], ids=str)
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_box_lies_around_the_text_on_a_page_however_it_is_turned(path: Path, rotate, crop_box):
    layer, image = layer_of(path, Page(text("Hxgpd", 40, 40), crop_box=crop_box, rotate=rotate))
    (line,) = layer.lines
    assert_holds(line, image)


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_box_begins_at_the_texts_own_top_left_on_a_page_however_it_is_turned(path: Path, rotate):
    layer, _ = layer_of(path, Page(text("Hello", 40, 40), rotate=rotate))
    (line,) = layer.lines
    assert (turned_by(line.box), is_clockwise(line.box)) == (rotate, True)


@pytest.mark.parametrize(("turn", "clockwise"), [((1, 0), 0), ((0, -1), 90), ((-1, 0), 180), ((0, 1), 270)])
def test_a_box_lies_around_text_that_is_turned_itself(path: Path, turn, clockwise):
    layer, image = layer_of(path, Page(text("Hxgpd", 100, 100, turn=turn), media_box=(0, 0, 200, 200)))
    (line,) = layer.lines
    assert line.text == "Hxgpd"
    assert_holds(line, image)
    assert (turned_by(line.box), is_clockwise(line.box)) == (clockwise, True)


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_text_that_is_turned_back_on_a_turned_page_reads_upright(path: Path, rotate):
    back = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotate]
    layer, _ = layer_of(path, Page(text("Hello", 100, 100, turn=back), media_box=(0, 0, 200, 200), rotate=rotate))
    assert turned_by(layer.lines[0].box) == 0


def test_a_box_scales_with_the_resolution(path: Path):
    page = Page(text("Hello", 40, 40))
    (small,), (large,) = layer_of(path, page, 72)[0].lines, layer_of(path, page, 288)[0].lines
    assert bounds(large.box) == pytest.approx([4 * side for side in bounds(small.box)], abs=0.1)


def test_a_born_digital_line_is_certain(path: Path):
    layer, _ = layer_of(path, Page(text("Hello", 40, 40)))
    assert [line.confidence for line in layer.lines] == [1]


def test_each_line_is_a_line(path: Path):
    assert lines_of(path, Page(text("One two", 20, 70) + text("three", 20, 40))) == ["One two", "three"]


def test_the_cells_of_a_table_are_lines_of_their_own(path: Path):
    page = Page(text("Item", 10, 50, 10) + text("Price", 120, 50, 10))
    assert lines_of(path, page) == ["Item", "Price"]


def test_accents_are_one_character_each(path: Path):
    assert lines_of(path, Page(text("Caf\xe9 \xdcber", 20, 40))) == ["Café Über"]


def test_text_off_the_page_is_left_out(path: Path):
    assert lines_of(path, Page(text("on", 20, 40) + text("off", 20, 400))) == ["on"]


def test_text_outside_of_the_crop_box_is_left_out(path: Path):
    assert lines_of(path, Page(text("in", 60, 50, 10) + text("out", 5, 50, 10), crop_box=(50, 0, 200, 100))) == ["in"]


def test_a_page_that_is_not_there_is_out_of_range(path: Path):
    path.write_bytes(write_pdf([Page()]))
    with pytest.raises(PageOutOfRange):
        real_layer(path, 2)


def test_a_page_without_text_is_objected(path: Path):
    assert objection_of(path, Page()) == "no text layer"


def test_a_page_whose_text_lies_off_it_is_objected(path: Path):
    assert objection_of(path, Page(text("off", 20, 400))) == "no text on the page"


def test_invisible_text_is_objected(path: Path):
    assert "invisible" in str(objection_of(path, Page(text("Hello", 20, 40, mode=3))))


def test_some_invisible_text_among_visible_is_not_objected(path: Path):
    page = Page(text("One", 20, 70) + text("two", 20, 40) + text("three", 20, 10, mode=3))
    assert objection_of(path, page) is None


@pytest.mark.parametrize(
    ("side", "size", "objected"),
    [((200, 90), 20, True), ((60, 40), 20, False), ((90, 80), 5, True), ((20, 20), 2, False)],
    ids=["over the page", "beside text", "much larger than the text", "a logo"],
)
def test_a_page_is_objected_where_a_picture_covers_it(path: Path, side, size, objected):
    page = Page(b"q %d 0 0 %d 0 0 cm /X1 Do Q " % side + text("Hello", 20, 40, size))
    assert (objection_of(path, page, [PICTURE]) is not None) is objected


@pytest.mark.parametrize(
    ("annotation", "left_to_ocr"),
    [
        (b"/Subtype /Widget /FT /Tx /T (name) /V (Filled)", True),
        (b"/Subtype /Widget /FT /Tx /T (name)", False),
        (b"/Subtype /Widget /FT /Btn /T (name) /V /Yes", False),
        (b"/Subtype /FreeText /Contents (note)", True),
        (b"/Subtype /FreeText /Contents (note) /F 2", False),
        (b"/Subtype /Stamp /Contents (Approved)", True),
        (b"/Subtype /Link", False),
    ],
)
def test_what_is_drawn_over_the_text_and_is_not_in_it_is_left_to_ocr(path: Path, annotation, left_to_ocr):
    flags = b"" if b"/F " in annotation else b"/F 4 "
    drawn = b"<< /Type /Annot /Rect [20 20 180 40] /DA (/Helv 12 Tf 0 g) " + flags + annotation + b" >>"
    form = b"/AcroForm << /Fields [4 0 R] /DA (/Helv 12 Tf 0 g) /DR << /Font << /Helv 3 0 R >> >> >>"
    path.write_bytes(write_pdf([Page(text("Name:", 20, 60), entries=b"/Annots [4 0 R]")], [drawn], form))
    layer = real_layer(path)
    assert (layer.objection, layer.sound) == (None, True)
    assert [region.box for region in layer.regions] == ([(20, 60, 180, 80)] if left_to_ocr else [])


def test_a_font_that_numbers_its_glyphs_from_the_first_symbol_on_is_objected(path: Path):
    assert "symbols" in str(objection_of(path, Page(text('"7+%-  !#$&', 20, 40))))


@pytest.mark.parametrize("words", ["Total: $1,284.50 (5% off)", "a@b.org", "x = y + 2", "Chapter 1 ........ 7"])
def test_ordinary_symbols_are_not_objected(path: Path, words):
    assert objection_of(path, Page(text(words.replace("(", "\\(").replace(")", "\\)"), 2, 40, 10))) is None


@pytest.mark.parametrize("name", ["truetype_font_nomapping.pdf", "type3_font_nomapping.pdf"])
def test_fonts_without_a_map_to_unicode_are_objected(documents: Path, name):
    assert real_layer(documents / "ocrmypdf-resources" / name).objection is not None


def test_letters_with_swapped_bytes_are_objected(path: Path):
    swapped = stream(TO_UNICODE % b"<50> <5000> <75> <7500> <72> <7200> <65> <6500>")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 5 0 R >>"
    content = text("Pure", 20, 40).replace(b"/F1", b"/F2")
    assert "swapped" in str(objection_of(path, Page(content), [font, swapped]))


def test_a_character_outside_of_the_basic_plane_is_one_character(path: Path):
    italic = stream(TO_UNICODE % b"<41> <D835DC34> <42> <0042> <43> <0043> <44> <0044>")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 5 0 R >>"
    layer, _ = layer_of(path, Page(text("AB A", 20, 40).replace(b"/F1", b"/F2")), objects=[font, italic])
    assert layer.objection is None
    assert [line.text for line in layer.lines] == ["\U0001d434B \U0001d434"]


def test_the_layer_of_an_earlier_ocr_is_objected(documents: Path):
    layer = real_layer(documents / "ocrmypdf-resources" / "graph_ocred.pdf")
    assert "invisible" in str(layer.objection)


def test_a_scan_has_no_text_layer(documents: Path):
    assert real_layer(documents / "ocrmypdf-resources" / "ccitt.pdf").objection == "no text layer"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crazyones-pdfa.pdf", "The Crazy Ones"),
        ("pdflatex-4-pages.pdf", "without a meaning"),
        ("google-doc-document.pdf", "Beautiful is better than ugly."),
        ("multicolumn.pdf", "Lorem ipsum"),
    ],
)
def test_a_real_born_digital_page_is_believed(documents: Path, name, words):
    layer = real_layer(documents / "py-pdf-samples" / name)
    assert layer.objection is None
    assert words.lower() in " ".join(line.text for line in layer.lines).lower()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_line_of_a_real_document_is_turned_as_its_page_is(documents: Path, number):
    with open_source(documents / "py-pdf-samples" / "habibi-rotated.pdf") as source:
        assert isinstance(source, PdfSource)
        (line,) = (line for line in read_text_layer(source, number, 72).lines if line.text == "habibi")
        assert turned_by(line.box) == source.geometry(number, 72).rotation


def test_thousands_of_pictures_that_touch_take_no_time():
    geometry = PageGeometry((600, 800), (600, 800), 72, 0, (1, 0, 0, -1, 0, 800))
    started = time.perf_counter()
    regions = picture_regions([(100, 100, 300, 300)] * 40_000, geometry)
    assert time.perf_counter() - started < 20
    assert [(region.box, len(region.parts)) for region in regions] == [((100, 500, 300, 700), 40_000)]

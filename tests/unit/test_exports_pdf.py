"""PDFs with an invisible layer of text: what they look like, where their words are, and what other programs read."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2 as pdfium
import pytest
from pdfminer.high_level import extract_pages, extract_text
from pdfminer.layout import LTChar, LTTextContainer
from PIL import ImageFont

from quire.contracts import Box
from quire.errors import Corrupt, Encrypted
from quire.exports.glyphless_font import Codes, clusters, font_program
from quire.pages import open_source
from tests.pdfs import write_text_pdf
from tests.unit.exported import (
    POPPLER,
    box,
    exported,
    page_with,
    pdfium_place,
    pdfium_text,
    poppler_words,
    rendered,
    save,
)

DPI = 144.0
NAMES = ("alpha", "beta", "gamma", "delta")
# Where a page of 400 × 300 has four coloured bars, in its own coordinates: left, bottom, width, height.
BARS = ((60, 220, 90, 20), (180, 220, 70, 20), (60, 180, 120, 20), (200, 180, 60, 20))
# The same for a page that is seen on its side.
SIDEWAYS_BARS = ((100, 160, 20, 40), (100, 210, 20, 40), (140, 160, 20, 35), (140, 205, 20, 50))
COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1))


def bars_of(rotate: int) -> tuple[tuple[int, int, int, int], ...]:
    return SIDEWAYS_BARS if rotate % 180 else BARS


def bars_pdf(path: Path, *, rotate: int = 0, **boxes) -> Path:
    """A page of coloured bars where words would be, the order of which depends on how the page is turned."""
    pdf = pikepdf.new()
    content = "\n".join(
        f"{r} {g} {b} rg {x} {y} {w} {h} re f" for (r, g, b), (x, y, w, h) in zip(COLOURS, bars_of(rotate), strict=True)
    )
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page, MediaBox=[0, 0, 400, 300], Rotate=rotate, Contents=pdf.make_stream(content.encode())
    )
    for name, value in boxes.items():
        page[f"/{name}"] = value
    pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))
    pdf.save(path)
    return path


def seen_bars(path: Path) -> tuple[tuple[int, int], list[Box]]:
    """The size of the page image, and the boxes of the bars as a reader sees them, by their colours."""
    with open_source(path) as document:
        pixels = document.image(1, DPI).pixels
    boxes = []
    for colour in COLOURS:
        rows, columns = np.nonzero((np.abs(pixels.astype(int) - np.array(colour) * 255) < 60).all(axis=2))
        boxes.append(box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return (pixels.shape[1], pixels.shape[0]), boxes


def result_of(path: Path):
    """What OCR would give for the bars: words upright as the page is seen, in reading order."""
    size, boxes = seen_bars(path)
    words = sorted(zip(NAMES, boxes, strict=True), key=lambda word: (round(word[1][0][1] / 20), word[1][0][0]))
    rows: list[list[tuple[str, Box]]] = []
    for word in words:
        if rows and abs(rows[-1][-1][1][0][1] - word[1][0][1]) < 10:
            rows[-1].append(word)
        else:
            rows.append([word])
    return page_with(rows, size=size, dpi=DPI)


def rectangle_of(bar: tuple[int, int, int, int]) -> tuple[float, ...]:
    left, bottom, width, height = bar
    return left, bottom, left + width, bottom + height


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "boxes",
    [{}, {"CropBox": [40, 150, 290, 260]}, {"UserUnit": 2}, {"CropBox": [40, 150, 290, 260], "UserUnit": 2},
     {"MediaBox": [-50, 100, 350, 300]}],
    ids=["plain", "crop-box", "user-unit", "crop-box-user-unit", "origin"],
)  # fmt: skip
def test_words_lie_in_their_boxes_however_the_page_is_turned_and_cut(tmp_path, rotate, boxes):
    source = bars_pdf(tmp_path / "a.pdf", rotate=rotate, **boxes)
    page = result_of(source)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert rendered(made, scale=2) == rendered(source, scale=2)
    # Words alone: where lines end on a page on its side PDFium guesses, by all the text there is.
    assert pdfium_text(made).split() == page.text.split()
    for name, bar in zip(NAMES, bars_of(rotate), strict=True):
        # A pixel is half a point; PDFium's boxes are a hundredth too large.
        assert pdfium_place(made, name) == pytest.approx(rectangle_of(bar), abs=0.8)
    if POPPLER:
        unit = boxes.get("UserUnit", 1)
        found = dict(poppler_words(made))
        assert sorted(found) == sorted(NAMES)
        for word in page.words:
            (left, top), _, (right, bottom), _ = word.box
            seen = [side * 72 / DPI for side in (left, top, right, bottom)]
            # Poppler's points are a user unit or a point, by its version.
            assert any(found[word.text] == pytest.approx([s * u for s in seen], abs=0.5) for u in {1, unit})


def test_pdfminer_finds_the_words_in_their_boxes(tmp_path):
    source = bars_pdf(tmp_path / "a.pdf")
    made = save(tmp_path / "b.pdf", exported("pdf", [result_of(source)], source))
    (layout,) = extract_pages(made)
    lines = [line for part in layout if isinstance(part, LTTextContainer) for line in part]
    characters = [c for line in lines for c in line if isinstance(c, LTChar) and c.get_text() != " "]
    assert "".join(c.get_text() for c in characters) == "alphabetagammadelta"
    for name, bar in zip(NAMES, BARS, strict=True):
        some, characters = characters[: len(name)], characters[len(name) :]
        around = min(c.x0 for c in some), min(c.y0 for c in some), max(c.x1 for c in some), max(c.y1 for c in some)
        assert around == pytest.approx(rectangle_of(bar), abs=0.5)


def test_a_word_askew_lies_along_its_polygon(tmp_path):
    source = bars_pdf(tmp_path / "a.pdf")
    askew = ((100.0, 300.0), (260.0, 220.0), (278.0, 256.0), (118.0, 336.0))
    made = save(
        tmp_path / "b.pdf", exported("pdf", [page_with([[("askew", askew)]], size=(800, 600), dpi=DPI)], source)
    )
    with pdfium.PdfDocument(made) as document:
        text = document[0].get_textpage()
        centres = []
        for index in range(5):
            left, bottom, right, top = text.get_charbox(index)
            centres.append(((left + right) / 2, (bottom + top) / 2))
    # From the middle of the left side to that of the right one, in points from the bottom left.
    start, end = (109 / 2, 300 - 318 / 2), (269 / 2, 300 - 238 / 2)
    for index, centre in enumerate(centres):
        share = (index + 0.5) / 5
        expected = [a + (b - a) * share for a, b in zip(start, end, strict=True)]
        assert centre == pytest.approx(expected, abs=0.8)


def askew(level: Box) -> Box:
    a, b, c, d = ((x, y - 0.06 * x) for x, y in level)
    return a, b, c, d


def test_words_a_little_askew_are_copied_whole(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    # A line that rises by 3.5 degrees.
    line = [(word, askew(box(left, 300, left + 150, 340))) for word, left in (("CORNER", 60), ("CAFE", 225))]
    made = save(tmp_path / "b.pdf", exported("pdf", [page_with([line], size=(800, 800), dpi=DPI)], source))
    assert pdfium_text(made) == "CORNER CAFE"
    assert extract_text(made).split() == ["CORNER", "CAFE"]
    if POPPLER:
        assert [word for word, _ in poppler_words(made)] == ["CORNER", "CAFE"]
    left, bottom, right, top = pdfium_place(made, "CORNER")
    assert ((left + right) / 2, 400 - (bottom + top) / 2) == pytest.approx((67.5, (320 - 0.06 * 135) / 2), abs=1)


SCRIPTS = [
    "Ελληνικά",
    "русский",
    "中文字符",
    "日本語",
    "한국어",
    "नमस्ते",
    "naïve",
    "e\u0301te\u0301",
    "𝒳😀",
    "👩‍🔬",
    "ﬁn",
    "a\u00adb",
]


def lines_at(*texts: str, left: float = 40):
    return [[(text, box(left, 40 + 50 * index, left + 160, 70 + 50 * index))] for index, text in enumerate(texts)]


def blank_pdf(path: Path, pages: int = 1, size: tuple[int, int] = (400, 400)) -> Path:
    pdf = pikepdf.new()
    for _ in range(pages):
        pdf.add_blank_page(page_size=size)
    pdf.save(path)
    return path


def test_text_of_any_script_is_copied(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    page = page_with(lines_at(*SCRIPTS), size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert extract_text(made).split() == SCRIPTS
    if POPPLER:
        assert [word for word, _ in poppler_words(made)] == SCRIPTS


def test_text_from_right_to_left_is_copied_as_it_is_written(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    line = [("שלום", box(500, 40, 600, 70)), ("עולם", box(380, 40, 480, 70)), ("123", box(300, 40, 360, 70))]
    arabic = [("مرحبا", box(500, 100, 600, 130)), ("بالعالم", box(380, 100, 480, 130))]
    page = page_with([line, arabic], size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert pdfium_text(made) == "שלום עולם 123\nمرحبا بالعالم"
    assert pdfium_place(made, "עולם") == pytest.approx((190, 365, 240, 380), abs=0.5)
    assert {"שלום", "עולם", "مرحبا", "بالعالم"} < set(extract_text(made).split())


def test_words_without_white_space_between_are_copied_without(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    page = page_with(
        [[("中文", box(40, 40, 100, 70)), ("字符", box(100, 40, 160, 70))]], between="", size=(800, 800), dpi=DPI
    )
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert pdfium_text(made) == "中文字符"
    assert extract_text(made).strip() == "中文字符"


def test_words_that_touch_are_copied_with_a_space(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    page = page_with([[("one", box(40, 40, 100, 70)), ("two", box(99, 40, 160, 70))]], size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert pdfium_text(made) == "one two"
    assert extract_text(made).strip() == "one two"


def test_boxes_of_no_size_and_words_without_characters_are_left_out(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf")
    page = page_with([[("thin", box(40, 40, 40, 70)), ("flat", box(40, 40, 90, 40)), ("well", box(40, 80, 90, 110))]])
    made = save(tmp_path / "b.pdf", exported("pdf", [page.model_copy(update={"dpi": DPI})], source))
    assert pdfium_text(made) == "well"


# --- Which pages get text


def test_pages_with_their_own_text_are_left_as_they_are(tmp_path):
    source = write_text_pdf(tmp_path / "a.pdf", 2)
    page = page_with(
        [[("1001", box(40, 80, 130, 120))]], size=(400, 200), dpi=DPI, source="text_layer", confidences=[1.0]
    )
    # Wherever its words are: what the page came from decides.
    elsewhere = page_with(
        [[("1002", box(200, 10, 300, 40))]], number=2, size=(400, 200), dpi=DPI, source="text_layer", confidences=[1.0]
    )
    made = save(tmp_path / "b.pdf", exported("pdf", [page, elsewhere], source))
    assert [pdfium_text(made, number) for number in (1, 2)] == ["1001", "1002"]
    with pikepdf.open(source) as before, pikepdf.open(made) as after:
        assert after.pages[0].Contents.read_bytes() == before.pages[0].Contents.read_bytes()


@pytest.mark.parametrize("confidence", [0.9, 1.0])
def test_a_mixed_page_gets_what_it_does_not_have(tmp_path, confidence):
    source = write_text_pdf(tmp_path / "a.pdf", 1)
    own, read = [("1001", box(42, 94, 120, 122))], [("picture", box(220, 90, 380, 125))]
    page = page_with([own, read], size=(400, 200), dpi=DPI, source="mixed", confidences=[1.0, confidence])
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert sorted(pdfium_text(made).split()) == ["1001", "picture"]


def test_pages_without_a_result_are_as_they_were(tmp_path):
    source = blank_pdf(tmp_path / "a.pdf", 3)
    page = page_with(lines_at("two"), number=2, size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert [pdfium_text(made, number) for number in (1, 2, 3)] == ["", "two", ""]


def with_hidden_text(path: Path, content: str) -> Path:
    pdf = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    page = pdf.add_blank_page(page_size=(400, 400))
    page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.Contents = pdf.make_stream(content.encode())
    pdf.save(path)
    return path


def test_the_text_of_an_earlier_ocr_is_replaced(tmp_path):
    hidden = "q 3 Tr BT /F1 12 Tf 30 350 Td (0ld text) Tj ET Q BT /F1 12 Tf 30 250 Td (seen) Tj ET 20 20 50 50 re f"
    source = with_hidden_text(tmp_path / "a.pdf", hidden)
    page = page_with(lines_at("new"), size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    assert pdfium_text(made).split() == ["new", "seen"]
    assert rendered(made) == rendered(source)


def test_invisible_text_that_moves_visible_text_along_stays(tmp_path):
    source = with_hidden_text(tmp_path / "a.pdf", "BT /F1 12 Tf 30 250 Td 3 Tr (hidden) Tj 0 Tr (seen) Tj ET")
    made = save(tmp_path / "b.pdf", exported("pdf", [page_with(lines_at("new"), size=(800, 800), dpi=DPI)], source))
    assert rendered(made) == rendered(source)
    assert "seen" in pdfium_text(made)


def test_content_that_cannot_be_told_apart_stays(tmp_path):
    source = with_hidden_text(tmp_path / "a.pdf", "Tr BT 3 Tr /F1 12 Tf 30 250 Td (odd) Tj ET 20 20 50 50 re f")
    made = save(tmp_path / "b.pdf", exported("pdf", [page_with(lines_at("new"), size=(800, 800), dpi=DPI)], source))
    assert rendered(made) == rendered(source)
    assert sorted(pdfium_text(made).split()) == ["new", "odd"]


def test_exporting_an_export_does_not_double_its_text(tmp_path):
    source = bars_pdf(tmp_path / "a.pdf", rotate=90)
    page = result_of(source)
    once = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    twice = save(tmp_path / "c.pdf", exported("pdf", [page], once))
    assert pdfium_text(twice) == page.text


# --- Odd PDFs


def test_content_that_ends_in_another_coordinate_system_moves_no_word(tmp_path):
    source = with_hidden_text(tmp_path / "a.pdf", "q 0.1 0 0 0.1 50 50 cm 0 0 100 100 re f")
    made = save(tmp_path / "b.pdf", exported("pdf", [page_with(lines_at("word"), size=(800, 800), dpi=DPI)], source))
    assert pdfium_place(made, "word") == pytest.approx((20, 365, 100, 380), abs=0.5)


def test_pages_that_share_and_inherit_resources_keep_them(tmp_path):
    pdf = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    for _ in range(2):
        page = pdf.add_blank_page(page_size=(400, 400))
        del page.obj["/Resources"]
        page.Contents = pdf.make_stream(b"BT /QuireText0 12 Tf 30 250 Td (own) Tj ET")
    pdf.Root.Pages.Resources = pikepdf.Dictionary(Font=pdf.make_indirect(pikepdf.Dictionary(QuireText0=font)))
    pdf.save(tmp_path / "a.pdf")
    result = page_with(lines_at("new"), size=(800, 800), dpi=DPI)
    made = save(tmp_path / "b.pdf", exported("pdf", [result], tmp_path / "a.pdf"))
    assert pdfium_text(made, 1).split() == ["new", "own"]
    assert pdfium_text(made, 2) == "own"
    assert rendered(made, 2) == rendered(tmp_path / "a.pdf", 2)
    with pikepdf.open(made) as written:
        assert not written.check_pdf_syntax()
        assert list(written.pages[1].resources.Font.keys()) == ["/QuireText0"]


def test_a_password_is_asked_for_by_name(tmp_path):
    blank_pdf(tmp_path / "a.pdf")
    with pikepdf.open(tmp_path / "a.pdf") as pdf:
        pdf.save(tmp_path / "b.pdf", encryption=pikepdf.Encryption(user="u", owner="o"))
    with pytest.raises(Encrypted):
        exported("pdf", [], tmp_path / "b.pdf")


def test_an_owners_restrictions_stay(tmp_path):
    blank_pdf(tmp_path / "a.pdf")
    with pikepdf.open(tmp_path / "a.pdf") as pdf:
        allowed = pikepdf.Permissions(extract=False)
        pdf.save(tmp_path / "b.pdf", encryption=pikepdf.Encryption(owner="o", allow=allowed))
    page = page_with(lines_at("word"), size=(800, 800), dpi=DPI)
    made = save(tmp_path / "c.pdf", exported("pdf", [page], tmp_path / "b.pdf"))
    with pikepdf.open(made) as pdf:
        assert pdf.is_encrypted
        assert not pdf.allow.extract
    assert pdfium_text(made) == "word"


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\nnothing", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>"]
)
def test_a_damaged_pdf_is_refused_by_name(tmp_path, content):
    with pytest.raises(Corrupt):
        exported("pdf", [page_with(lines_at("x"), dpi=DPI)], save(tmp_path / "a.pdf", content))


def test_a_page_whose_content_is_none_is_refused_or_written(tmp_path):
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(400, 400))
    page.obj.Contents = pikepdf.Array([42, pikepdf.Name.Nonsense])
    page.obj.Resources = pikepdf.Array([])
    pdf.save(tmp_path / "a.pdf")
    result = page_with(lines_at("x"), size=(800, 800), dpi=DPI)
    try:
        made = exported("pdf", [result], tmp_path / "a.pdf")
    except Corrupt:
        return
    assert pdfium_text(save(tmp_path / "b.pdf", made)) == "x"


# --- The font


def test_the_font_is_one_that_freetype_loads():
    font = ImageFont.truetype(io.BytesIO(font_program()), 100)
    assert font.getmetrics() == (80, 20)
    assert font.getmask("word").getbbox() is None


def test_marks_belong_to_their_letters():
    assert list(clusters("e\u0301a नी 👩‍🔬\x07")) == ["e\u0301", "a", " ", "नी", " ", "👩‍🔬", "\ufffd"]


def test_every_character_has_a_code_and_the_cmap_gives_it_back():
    codes = Codes()
    assert codes.encode("aba𝒳") == [1, 2, 1, 3]
    assert re.findall(r"<(\w{4})> <(\w+)>\n", codes.to_unicode().decode())[1:] == [
        ("0001", "0061"), ("0002", "0062"), ("0003", "D835DCB3"),
    ]  # fmt: skip

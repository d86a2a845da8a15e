"""The words of a text layer: what they say, where they lie, and how they get into a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocr.engines import TextLine
from ocr.read import ReadOptions, read_page
from ocr.text_layer import TextLayer, read_text_layer
from quire.contracts import Box, PageText
from quire.errors import DocumentError
from quire.pages import PageImage, open_source
from quire.pages.pdf import PdfSource
from tests.engines import InstantEngine
from tests.unit.pdf_files import Page, text, write_pdf

ROTATIONS = (0, 90, 180, 270)
AUTO = ReadOptions(dpi=144, min_confidence=0.5, languages=("en",), text_layer="auto")
# Helvetica's advance widths, in thousandths of the font size.
WIDTHS = {"R": 722, "a": 556}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document.pdf"


def layer_of(path: Path, page: Page) -> tuple[TextLayer, PageImage]:
    path.write_bytes(write_pdf([page]))
    with open_source(path) as source:
        assert isinstance(source, PdfSource)
        return read_text_layer(source, 1, 144), source.image(1, 144)


def lines_of(path: Path, content: bytes, **page: Any) -> list[list[str]]:
    layer, _ = layer_of(path, Page(content, **page))
    return [[word.text for word in line.words] for line in layer.lines]


def page_of(path: Path, content: bytes) -> PageText:
    path.write_bytes(write_pdf([Page(content)]))
    with open_source(path) as source:
        return read_page(source, 1, AUTO, InstantEngine())


def bounds(box: Box) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return min(xs), min(ys), max(xs), max(ys)


def direction(box: Box) -> tuple[float, float]:
    """The unit vector from a box's first point to its second."""
    way = np.subtract(box[1], box[0])
    x, y = way / max(float(np.hypot(*way)), 1e-9)
    return round(float(x), 2), round(float(y), 2)


def assert_words_are_those_of(line: TextLine) -> None:
    assert " ".join(word.text for word in line.words) == " ".join(line.text.split())
    assert not any(character.isspace() for word in line.words for character in word.text)
    left, top, right, bottom = bounds(line.box)
    for word in line.words:
        word_left, word_top, word_right, word_bottom = bounds(word.box)
        assert left - 1 <= word_left <= word_right <= right + 1
        assert top - 1 <= word_top <= word_bottom <= bottom + 1
        assert word.confidence == 1


def every_page(folder: Path) -> Iterator[tuple[str, TextLayer]]:
    for path in sorted(folder.rglob("*.pdf")):
        try:
            source = open_source(path)
        except DocumentError:
            continue
        with source:
            assert isinstance(source, PdfSource)
            for number in range(1, source.page_count + 1):
                yield f"{path.name} {number}", read_text_layer(source, number, 72)


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_line_has_its_words_with_boxes_side_by_side(path: Path, rotate):
    layer, _ = layer_of(path, Page(text("one two three", 20, 40), rotate=rotate))
    (line,) = layer.lines
    assert_words_are_those_of(line)
    assert [word.text for word in line.words] == ["one", "two", "three"]
    assert {direction(word.box) for word in line.words} == {direction(line.box)}
    along = np.array(direction(line.box))
    ends = [(float(along @ word.box[0]), float(along @ word.box[1])) for word in line.words]
    assert ends[0][1] < ends[1][0] < ends[1][1] < ends[2][0]


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_the_box_of_a_word_lies_around_its_ink(path: Path, rotate):
    layer, image = layer_of(path, Page(text("Hx", 20, 40) + text("gpd", 90, 40), rotate=rotate))
    dark = image.pixels.min(axis=2) < 128
    inside = np.zeros_like(dark)
    for line in layer.lines:
        for word in line.words:
            left, top, right, bottom = (round(side) for side in bounds(word.box))
            inside[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = True
            assert dark[max(top, 0) : bottom, max(left, 0) : right].any()
    assert not (dark & ~inside).any()


@pytest.mark.parametrize("turn", [(1, 0), (0, -1), (-1, 0), (0, 1)])
def test_text_that_is_turned_itself_has_words_too(path: Path, turn):
    layer, _ = layer_of(path, Page(text("one two", 100, 100, turn=turn), media_box=(0, 0, 200, 200)))
    (line,) = layer.lines
    assert_words_are_those_of(line)
    assert [word.text for word in line.words] == ["one", "two"]


def test_lines_of_several_directions_keep_their_own(path: Path):
    content = text("across", 20, 150) + text("down", 150, 120, turn=(0, -1)) + text("back", 120, 20, turn=(-1, 0))
    layer, _ = layer_of(path, Page(content, media_box=(0, 0, 200, 200)))
    assert {line.text: direction(line.box) for line in layer.lines} == {
        "across": (1, 0),
        "down": (0, 1),
        "back": (-1, 0),
    }


def test_text_that_stands_on_its_head_beside_upright_text_is_turned(path: Path):
    content = text("up", 20, 100) + text("back", 170, 107, turn=(-1, 0))
    layer, _ = layer_of(path, Page(content, media_box=(0, 0, 200, 200)))
    assert {line.text: direction(line.box) for line in layer.lines} == {"up": (1, 0), "back": (-1, 0)}


@pytest.mark.parametrize("rise", [8, -5])
def test_an_index_is_part_of_its_word_and_the_line_goes_on(path: Path, rise):
    begin, size = 20 + 20 * WIDTHS["R"] / 1000, 12
    after = begin + size * WIDTHS["a"] / 1000
    content = text("In R", 20 - 22.2, 40) + text("a", begin, 40 + rise, size) + text(" is", after, 40)
    assert lines_of(path, content, media_box=(-30, 0, 200, 100)) == [["In", "Ra", "is"]]


def test_cells_beside_each_other_are_not_one_word(path: Path):
    assert lines_of(path, text("Item", 10, 50, 10) + text("Price", 34, 50, 10)) == [["Item", "Price"]]


def test_a_divided_word_ends_its_line_and_is_whole_in_the_pages_text(path: Path):
    content = text("Old Pel-", 20, 60) + text("lentesque ante", 20, 35) + text("and so on", 20, 10)
    page = page_of(path, content)
    assert [detection.text for detection in page.detections] == ["Old Pel-", "lentesque ante", "and so on"]
    assert page.text == "Old Pellentesque\nante\nand so on"


@pytest.mark.parametrize(
    ("first", "second"), [("Baden-", "Baden"), ("2026-", "04-17"), ("so -", "called"), ("end", "of")]
)
def test_what_is_no_divided_word_stays_in_two_lines(path: Path, first, second):
    assert page_of(path, text(first, 20, 60) + text(second, 20, 35)).text == f"{first}\n{second}"


def test_the_words_of_a_page_name_their_lines(path: Path):
    page = page_of(path, text("c d", 20, 20) + text("a b", 20, 60))
    assert [(word.text, word.line) for word in page.words] == [("a", 0), ("b", 0), ("c", 1), ("d", 1)]
    for word in page.words:
        left, top, right, bottom = bounds(page.detections[word.line].box)
        word_left, word_top, word_right, word_bottom = bounds(word.box)
        assert left <= word_left < word_right <= right
        assert top <= word_top < word_bottom <= bottom


def test_every_line_of_every_document_consists_of_its_words(documents: Path):
    lines = 0
    for _, layer in every_page(documents):
        for line in layer.lines:
            assert_words_are_those_of(line)
            lines += 1
    assert lines > 1000


def test_every_word_of_every_document_is_on_its_page_with_its_line(documents: Path):
    for name, layer in every_page(documents):
        width, height = layer.geometry.pixels
        for line in layer.lines:
            left, top, right, bottom = bounds(line.box)
            assert left <= width, name
            assert top <= height, name
            assert right >= 0, name
            assert bottom >= 0, name

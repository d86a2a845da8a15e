"""Whole pages with the lean engine: where their words are, which way round they lie, and pages of odd sizes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.engines import TextLine
from ocr.engines.lean import LeanEngine
from ocr.reading_order import read_rows
from quire.contracts import Box
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.pdfs import TEXTS, page_of, written

Corners = npt.NDArray[np.float32]
WORDS = ("Invoice 2024 for Mrs. Hartley", "Quick brown foxes jump twice", "Total 1,284.50 EUR", "a bc def ghij klmno")
CANVAS = (760, 420)


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> LeanEngine:
    return LeanEngine(Settings(quire_model_dir=model_dir), 2)


def lines_of(engine: LeanEngine, image: Image.Image) -> list[TextLine]:
    (lines,) = engine.recognize([page_of(image)], ["en"])
    return lines


def turned(image: Image.Image, quarters: int) -> Image.Image:
    """The picture turned clockwise."""
    return Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(image), -quarters)))


def turned_point(point: tuple[float, float], quarters: int, size: tuple[int, int]) -> tuple[float, float]:
    """Where a point of a picture of `size` is once it is turned."""
    (x, y), (width, height) = point, size
    return [(x, y), (height - y, x), (width - x, height - y), (y, width - x)][quarters]


def overlap(ours: Corners, other: Corners) -> float:
    """Intersection over union of two convex shapes."""
    both, _ = cv2.intersectConvexConvex(ours, other)
    union = cv2.contourArea(ours) + cv2.contourArea(other) - both
    return float(both / union) if union else 0.0


def corners(box: Box) -> Corners:
    return np.asarray(box, np.float32)


def rectangle(left: float, top: float, right: float, bottom: float) -> Corners:
    return np.asarray([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def check_words(lines: Sequence[TextLine], truth: Sequence[tuple[str, Corners]]) -> None:
    """Every true word was found, in a box that lies on it, its corners in the true order, and on no other word."""
    found = [word for line in lines for word in line.words]
    assert sorted(word.text for word in found) == sorted(text for text, _ in truth)
    for text, place in truth:
        same = [word for word in found if word.text == text]
        word = max(same, key=lambda one: overlap(corners(one.box), place))
        box = corners(word.box)
        assert overlap(box, place) >= 0.5, (text, word.box, place)
        # Each corner is nearest to the true word's same corner.
        distances = np.linalg.norm(box[:, None] - place[None], axis=2)
        assert (distances.argmin(axis=1) == range(4)).all(), (text, word.box, place)
        for other_text, other in truth:
            if other is not place:
                centre = (float(other[:, 0].mean()), float(other[:, 1].mean()))
                assert cv2.pointPolygonTest(box, centre, False) < 0, (text, other_text)


@pytest.mark.parametrize("size", [14, 20, 32, 48])
def test_every_word_has_a_box_on_its_ink(size, engine):
    image, places = written(WORDS, size, (max(300, 17 * size), 10 * size))
    lines = lines_of(engine, image)
    assert sorted(line.text for line in lines) == sorted(WORDS)
    check_words(lines, [(text, rectangle(*place)) for text, place in places])
    for line in lines:
        assert " ".join(word.text for word in line.words) == line.text
        assert all(0 < word.confidence <= 1 for word in line.words)


@pytest.mark.parametrize("size", [20, 40])
def test_words_begin_and_end_where_their_ink_does(size, engine):
    """On average: what a word has too much on one side it has too little on the other if its place is shifted."""
    image, places = written(WORDS, size, (17 * size, 10 * size))
    boxes = {word.text: word.box for line in lines_of(engine, image) for word in line.words}
    before = [(boxes[text][0][0] - left) / size for text, (left, _, _, _) in places]
    behind = [(boxes[text][1][0] - right) / size for text, (_, _, right, _) in places]
    assert abs(np.mean(before)) < 0.2
    assert abs(np.mean(behind)) < 0.1
    assert max(map(abs, before + behind)) < 0.45


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_words_of_a_turned_page_have_boxes_that_begin_at_their_own_top_left(quarters, engine):
    image, places = written(WORDS, 28, CANVAS)
    lines = lines_of(engine, turned(image, quarters))
    truth = [
        (text, np.asarray([turned_point((x, y), quarters, image.size) for x, y in rectangle(*place)], np.float32))
        for text, place in places
    ]
    check_words(lines, truth)


@pytest.mark.parametrize("degrees", [-4, -1, 2, 5])
def test_words_of_a_skewed_page_have_skewed_boxes(degrees, engine):
    image, places = written(WORDS, 28, CANVAS)
    skewed = image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=255)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle = np.asarray(CANVAS) / 2
    turn = np.asarray([[cosine, sine], [-sine, cosine]])
    truth = [(text, np.asarray((rectangle(*place) - middle) @ turn + middle, np.float32)) for text, place in places]
    lines = lines_of(engine, skewed)
    check_words(lines, truth)
    for line in lines:
        (x1, y1), (x2, y2) = line.box[:2]
        assert math.degrees(math.atan2(y2 - y1, x2 - x1)) == pytest.approx(degrees, abs=1)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_page_has_the_lines_of_the_upright_one_where_they_are_on_it(quarters, engine):
    image, _ = written(TEXTS[:5], 26, (620, 420))
    upright = sorted(lines_of(engine, image), key=lambda line: line.text)
    found = sorted(lines_of(engine, turned(image, quarters)), key=lambda line: line.text)
    assert [line.text for line in upright] == sorted(TEXTS[:5])
    assert [line.text for line in found] == [line.text for line in upright]
    for line, expected in zip(found, upright, strict=True):
        assert line.confidence == pytest.approx(expected.confidence, abs=0.02)
        pairs = [(line.box, expected.box), *((a.box, b.box) for a, b in zip(line.words, expected.words, strict=True))]
        for box, other in pairs:
            wanted = [turned_point(point, quarters, image.size) for point in other]
            assert np.abs(np.asarray(box) - np.asarray(wanted)).max() < 2


def test_one_line_down_the_side_of_an_upright_page_is_read_too(engine):
    image, _ = written(TEXTS[:5], 26, (700, 420))
    side = turned(written(["Copy for the files"], 26, (300, 60), (30, 10))[0], 1)
    image.paste(side, (620, 60))
    lines = {line.text: line for line in lines_of(engine, image)}
    assert set(lines) == {*TEXTS[:5], "Copy for the files"}
    first, second, *_ = lines["Copy for the files"].box
    assert second[1] - first[1] > 150
    assert abs(second[0] - first[0]) < 10
    first, second, *_ = lines[TEXTS[0]].box
    assert second[0] - first[0] > 150


@pytest.mark.parametrize(
    ("character", "size"), [("1", 20), ("1", 24), ("1", 48), ("7", 24), ("7", 48), ("t", 24), ("r", 24)]
)
def test_a_single_narrow_character_stands_upright(character, size, engine):
    image, _ = written([character], size, (220, 140))
    (line,) = lines_of(engine, image)
    assert line.text == character
    assert line.box[0][0] < line.box[1][0]
    assert line.box[0][1] < line.box[3][1]


def test_a_narrow_character_among_lines_is_read_upright(engine):
    image, _ = written(["Items", "1", "Price", "7"], 24, (300, 320))
    lines = lines_of(engine, image)
    assert sorted(line.text for line in lines) == ["1", "7", "Items", "Price"]
    assert all(line.box[1][0] - line.box[0][0] > 5 for line in lines)


def test_the_same_page_turned_four_ways_reads_alike(engine, documents):
    """Four pages with the same text, turned by 0, 90, 180 and 270 degrees."""
    texts = []
    with open_source(documents / "ocrmypdf-resources" / "cardinal.pdf") as source:
        for quarters in range(4):
            image = source.image(quarters + 1, 180)
            upright = np.rot90(image.pixels, quarters)
            # A third of each is enough, as it lies on its page.
            part = np.ascontiguousarray(np.rot90(upright[: upright.shape[0] // 3], -quarters))
            (lines,) = engine.recognize([PageImage(1, part)], ["en"])
            rows = read_rows([(line.text, line.box) for line in lines])
            texts.append("\n".join(" ".join(row) for row in rows))
    assert len(texts[0]) > 700
    for text in texts[1:]:
        assert difflib.SequenceMatcher(None, texts[0], text, autojunk=False).ratio() >= 0.98


def noise(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 500), (500, 3), (4, 4), (31, 33), (5000, 20), (20, 5000), (700, 500)], ids=str
)
@pytest.mark.parametrize("fill", ["white", "black", "noise"])
def test_a_page_of_any_size_is_read_and_boxes_lie_on_it(shape, fill, engine):
    pixels = noise(*shape) if fill == "noise" else np.full((*shape, 3), 255 * (fill == "white"), np.uint8)
    (lines,) = engine.recognize([PageImage(1, pixels)], ["en"])
    assert fill == "noise" or lines == []
    check_within(lines, shape)


def check_within(lines: Sequence[TextLine], shape: tuple[int, int]) -> None:
    for box in [line.box for line in lines] + [word.box for line in lines for word in line.words]:
        assert all(0 <= x <= shape[1] and 0 <= y <= shape[0] for x, y in box)


@pytest.mark.parametrize("cut", [(40, 0, 700, 420), (0, 45, 700, 420), (0, 0, 300, 420), (0, 0, 700, 200)], ids=str)
def test_boxes_of_text_that_is_cut_off_lie_on_the_page(cut, engine):
    image, _ = written(TEXTS[:5], 30, (700, 420))
    part = image.crop(cut)
    lines = lines_of(engine, part)
    assert len(lines) >= 2
    check_within(lines, (part.height, part.width))


@pytest.mark.parametrize("size", [(5000, 60), (60, 5000)], ids=str)
def test_a_long_strip_of_text_is_read(size, engine):
    """A strip of 5000 by 60, lying and standing."""
    strip = Image.new("L", (5000, 60), 255)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(32)
    for number in range(12):
        draw.text((20 + 410 * number, 10), f"Number {100 + number}", font=font, fill=0)
    image = strip if size == strip.size else turned(strip, 1)
    lines = lines_of(engine, image)
    read = {word.text for line in lines for word in line.words}
    assert len(read & {f"{100 + number}" for number in range(12)}) >= 9, read
    check_within(lines, (image.height, image.width))


def test_inverted_text_is_read(engine):
    image, _ = written(WORDS, 28, CANVAS)
    inverted = Image.fromarray(255 - np.asarray(image))
    assert sorted(line.text for line in lines_of(engine, inverted)) == sorted(WORDS)


def test_pages_that_are_views_of_other_memory_are_read(engine):
    """Turned and mirrored arrays do not lie in memory row by row."""
    image, _ = written(WORDS, 28, CANVAS)
    pixels = np.asarray(image.convert("RGB"))
    stored = np.ascontiguousarray(pixels[::-1, ::-1])
    view = stored[::-1, ::-1]
    assert not view.flags.c_contiguous
    assert engine.recognize([PageImage(1, view)], ["en"]) == engine.recognize([PageImage(1, pixels)], ["en"])
    pixels.setflags(write=False)
    assert engine.recognize([PageImage(1, pixels)], ["en"])[0]

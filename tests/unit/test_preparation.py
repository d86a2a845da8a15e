"""Pages that are turned and flattened before they are read, and places put back on the page as it was."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ocr import turns
from ocr.engines import PageContent, ReadRequest, TextLine, create_engine
from ocr.engines.by_options import Engines
from ocr.preparation.engine import Preparation, PreparingEngine
from ocr.preparation.flattening import Flattening, Grid, flattened
from ocr.preparation.orientation import Orientation
from ocr.preparation.prepared import PreparedPage
from ocr.read import ReadOptions, read_page
from quire.contracts import Block, OcrOptions, Point
from quire.errors import EngineUnavailable
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.structure_models import classifier, unwarper
from tests.structured_pages import table_of
from tests.unit.exported import box

MARK = (30, 20, 90, 60)


def marked(size: tuple[int, int] = (300, 200), mark: tuple[int, int, int, int] = MARK) -> PageImage:
    """A white page with a black rectangle."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    left, top, right, bottom = mark
    pixels[top:bottom, left:right] = 0
    return PageImage(1, pixels)


class InkEngine:
    """Sees one line, around all that is dark; and a block with a table of one cell, and a picture of it."""

    name = "ink"
    version = "1"

    def warm_up(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        return [list(page.lines) for page in self.recognize_pages(images, ReadRequest(tuple(languages)))]

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        return [self._page(image) for image in images]

    def _page(self, image: PageImage) -> PageContent:
        rows, columns = np.nonzero(image.pixels[:, :, 0] < 128)
        around = box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        table = table_of(("ink",))
        table = table.model_copy(update={"cells": (table.cells[0].model_copy(update={"box": around}),)})
        block = Block(type="table", label="table", polygon=around, order=0, table=table)
        return PageContent((TextLine("ink", around, 0.9),), (block,), pictures={0: image.pixels[:2, :2]})


def extent(points: Sequence[Point]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


@pytest.fixture
def models(tmp_path: Path) -> Settings:
    return Settings(quire_model_dir=tmp_path)


def turned_by(settings: Settings, quarters: int, confidence: float = 0.97) -> None:
    """A classifier that takes every page for turned by so many quarters."""
    scores = [(1 - confidence) / 3] * 4
    scores[quarters] = confidence
    classifier(settings.quire_model_dir, "PP-LCNet_x1_0_doc_ori", scores)


def preparing(settings: Settings, *, orientation: bool = False, flattening: bool = False) -> PreparingEngine:
    return PreparingEngine(InkEngine(), Preparation(settings, 1), orientation=orientation, flattening=flattening)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_places_on_a_turned_page_are_those_the_reader_sees(models: Settings, quarters: int):
    turned_by(models, quarters)
    image = marked()
    (page,) = preparing(models, orientation=True).recognize_pages([image], ReadRequest(("en",)))
    left, top, right, bottom = MARK
    (line,), (block,) = page.lines, page.blocks
    assert extent(line.box) == (left, top, right, bottom)
    assert extent(block.polygon) == (left, top, right, bottom)
    assert block.table is not None
    assert extent(block.table.cells[0].box or ()) == (left, top, right, bottom)
    assert page.transform is not None
    assert (page.transform.turned, page.transform.turn_confidence, page.transform.grid) == (quarters * 90, 0.97, None)
    assert 0 in page.pictures
    # The box begins at the text's own top left: that of the page turned upright.
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert line.box[0] == corners[quarters]


def test_a_turn_that_is_not_sure_is_not_made(models: Settings):
    turned_by(models, 1, confidence=0.6)
    (page,) = preparing(models, orientation=True).recognize_pages([marked()], ReadRequest(("en",)))
    assert page.transform is not None
    assert (page.transform.turned, page.transform.turn_confidence) == (0, 0.6)
    assert extent(page.lines[0].box) == MARK


def test_the_classifiers_names_of_its_classes_count_and_not_their_order(models: Settings):
    turned_by(models, 1)
    path = models.quire_model_dir / "PP-LCNet_x1_0_doc_ori" / "inference.yml"
    names = "- '0'\n    - '90'\n    - '180'\n    - '270'"
    assert names in path.read_text()
    path.write_text(path.read_text().replace(names, "- '0'\n    - '270'\n    - '180'\n    - '90'"))
    assert Orientation(models.quire_model_dir, 1).quarters(marked())[0] == 3


@pytest.mark.parametrize("size", [(300, 200), (20, 900), (1000, 33)])
def test_the_classifier_takes_pages_of_any_shape(models: Settings, size: tuple[int, int]):
    turned_by(models, 2)
    assert Orientation(models.quire_model_dir, 1).quarters(marked(size))[0] == 2


def test_a_bent_page_is_flattened_and_places_are_those_on_the_bent_one(models: Settings):
    unwarper(models.quire_model_dir, shift=0.1)
    image = marked()
    grid = Flattening(models.quire_model_dir, 1).grid(image)
    flat = flattened(image, grid)
    assert flat.pixels.shape == image.pixels.shape
    # Moved right by a tenth of its width.
    assert abs(int(np.nonzero(flat.pixels[30, :, 0] < 128)[0].min()) - (MARK[0] + 30)) <= 1
    (page,) = preparing(models, flattening=True).recognize_pages([image], ReadRequest(("en",)))
    assert extent(page.lines[0].box) == pytest.approx(MARK, abs=1)
    assert page.transform is not None
    assert page.transform.grid is not None
    assert (len(page.transform.grid), len(page.transform.grid[0])) == (45, 31)


def test_the_stored_transform_alone_leads_back(models: Settings):
    turned_by(models, 3)
    unwarper(models.quire_model_dir, shift=0.05)
    image = marked()
    engine = preparing(models, orientation=True, flattening=True)
    (page,) = engine.recognize_pages([image], ReadRequest(("en",)))
    assert page.transform is not None
    stored = page.transform.model_validate_json(page.transform.model_dump_json())
    assert stored.grid is not None
    turned = turns.upright(image, stored.turned // 90)
    grid = Grid(np.asarray(stored.grid, np.float32), turned.width, turned.height)
    seen = InkEngine().recognize_pages([flattened(turned, grid)], ReadRequest(("en",)))[0].lines[0]
    back = [turns.put_back(grid.before(point), image.width, image.height, stored.turned // 90) for point in seen.box]
    assert extent(back) == pytest.approx(extent(page.lines[0].box), abs=0.2)
    assert extent(back) == pytest.approx(MARK, abs=1.5)


def test_flattening_undoes_a_bend():
    # A page whose lines hang through, flattened by the grid that says where each point came from.
    width, height, depth = 600, 400, 20.0
    flat = np.full((height, width, 3), 255, np.uint8)
    flat[200:206] = 0
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    hang = depth * np.sin(np.pi * across / (width - 1)).astype(np.float32)
    bent = cv2.remap(flat, across, down - hang, cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    columns, rows = np.meshgrid(np.linspace(0, width - 1, 31), np.linspace(0, height - 1, 45))
    places = np.stack([columns, rows + depth * np.sin(np.pi * columns / (width - 1))], axis=2)
    grid = Grid(np.clip(places, 0, [width - 1, height - 1]).astype(np.float32), width, height)
    seen = flattened(PageImage(1, bent), grid).pixels[:, :, 0] < 128
    middle = [float(np.nonzero(seen[:, x])[0].mean()) for x in (5, 150, 300, 450, 595)]
    assert middle == pytest.approx([202.5] * 5, abs=1)
    assert grid.before((300, 202)) == pytest.approx((300, 222), abs=0.2)


def filled(points: Sequence[Point], size: tuple[int, int]) -> Any:
    """A mask of what is within these points."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    return cv2.fillPoly(mask, [np.asarray(points, np.float32).round().astype(np.int32)], 1).astype(bool)


@settings(max_examples=20, deadline=None)
@example(1, 0.0, 0.03125, 2.0, (40, 40, 89, 20))
@given(
    st.integers(0, 3),
    st.floats(-0.04, 0.04),
    st.floats(-0.04, 0.04),
    st.floats(0.6, 2.2),
    st.tuples(st.integers(40, 150), st.integers(40, 150), st.integers(40, 120), st.integers(20, 80)),
)
def test_what_stands_on_a_turned_and_bent_page_is_found_where_it_stands(
    quarters: int, sideways: float, down: float, waves: float, place: tuple[int, int, int, int]
):
    size = (360, 300)
    width, height = size if quarters % 2 == 0 else size[::-1]
    # The page waves: where each point of the flat page is on the one that stands upright.
    x, y = np.meshgrid(np.linspace(0, 1, 31), np.linspace(0, 1, 45))
    bent = np.stack([x + sideways * np.sin(waves * np.pi * y), y + down * np.sin(waves * np.pi * x)], axis=2)
    grid = Grid((np.clip(bent, 0, 1) * [width - 1, height - 1]).astype(np.float32), width, height)
    left, top, right, bottom = place[0], place[1], place[0] + place[2], place[1] + place[3]
    sides = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    edge = [(a + (c - a) * t, b + (d - b) * t) for (a, b), (c, d) in pairwise(sides) for t in np.linspace(0, 1, 20)]
    true, straight = (
        filled([turns.put_back(grid.before(point), *size, quarters) for point in points], size)
        for points in (edge, sides)
    )
    image = PageImage(1, np.where(true[..., None], 0, 255).astype(np.uint8).repeat(3, axis=2))
    page = PreparedPage(flattened(turns.upright(image, quarters), grid), image.width, image.height, quarters, 0.9, grid)
    content = page.content(InkEngine().recognize_pages([page.image], ReadRequest(("en",)))[0])
    found = filled(content.lines[0].box, size)
    # A box has four corners: between them it does not follow the wave.
    assert (found & straight).sum() / (found | straight).sum() >= 0.8
    assert content.blocks[0].polygon == content.lines[0].box


def test_places_outside_of_a_page_are_put_on_its_edge(models: Settings):
    page = PreparedPage(marked((200, 300)), 300, 200, 1)
    assert page.point((-10, -10)) == (300.0, 0.0)
    assert page.point((250, 400)) == (0.0, 200.0)


# --- What can be wrong with the models --------------------------------------------------------------------------------


def test_a_missing_model_is_named_with_the_place_to_put_it(models: Settings):
    with pytest.raises(EngineUnavailable, match=f"PP-LCNet_x1_0_doc_ori.*{models.quire_model_dir}"):
        preparing(models, orientation=True).recognize_pages([marked()], ReadRequest(("en",)))
    with pytest.raises(EngineUnavailable, match=f"UVDoc.*{models.quire_model_dir}"):
        preparing(models, flattening=True).recognize_pages([marked()], ReadRequest(("en",)))


def test_damaged_models_are_refused(models: Settings):
    turned_by(models, 0)
    unwarper(models.quire_model_dir)
    for name in ("PP-LCNet_x1_0_doc_ori", "UVDoc"):
        (models.quire_model_dir / name / "inference.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineUnavailable, match="damaged"):
        Orientation(models.quire_model_dir, 1)
    with pytest.raises(EngineUnavailable, match="damaged"):
        Flattening(models.quire_model_dir, 1)


def test_other_models_in_their_place_are_refused(models: Settings):
    classifier(models.quire_model_dir, "PP-LCNet_x1_0_table_cls", (0.5, 0.5))
    (models.quire_model_dir / "PP-LCNet_x1_0_table_cls").rename(models.quire_model_dir / "PP-LCNet_x1_0_doc_ori")
    with pytest.raises(EngineUnavailable, match="does not name the four turns"):
        Orientation(models.quire_model_dir, 1)
    turned_by(models, 0)
    (models.quire_model_dir / "PP-LCNet_x1_0_doc_ori").rename(models.quire_model_dir / "UVDoc")
    with pytest.raises(EngineUnavailable, match="has no GridSample"):
        Flattening(models.quire_model_dir, 1)


def test_a_model_that_paddleocr_downloaded_is_found(models: Settings):
    turned_by(models, 2)
    downloaded = models.quire_model_dir / "paddlex" / "official_models"
    downloaded.mkdir(parents=True)
    (models.quire_model_dir / "PP-LCNet_x1_0_doc_ori").rename(downloaded / "PP-LCNet_x1_0_doc_ori_onnx")
    assert Orientation(models.quire_model_dir, 1).quarters(marked())[0] == 2


def test_the_network_before_the_grid_is_run(models: Settings):
    """The grid is computed by the graph that is loaded, of the image it is given."""
    path = unwarper(models.quire_model_dir) / "inference.onnx"
    model: Any = onnx.load(str(path))
    constant = next(node for node in model.graph.node if node.output[0] == "grid")
    model.graph.node.remove(constant)
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        onnx.helper.make_node("ReduceMean", ["mean"], ["grey"], keepdims=0),
        onnx.helper.make_node("Mul", ["still", "grey"], ["grid"]),
    ]
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)
    still = onnx.numpy_helper.to_array(constant.attribute[0].t)
    model.graph.initializer.append(onnx.numpy_helper.from_array(still, "still"))
    onnx.save(model, str(path))
    flattening = Flattening(models.quire_model_dir, 1)
    white = flattening.grid(PageImage(1, np.full((200, 300, 3), 255, np.uint8)))
    grey = flattening.grid(PageImage(1, np.full((200, 300, 3), 51, np.uint8)))
    assert white.points[0, 0].tolist() == pytest.approx([0, 0], abs=0.1)
    # A fifth as bright: all places are within the middle fifth.
    assert grey.points[0, 0].tolist() == pytest.approx([299 * 0.4, 199 * 0.4], abs=0.5)


# --- With an engine that reads ----------------------------------------------------------------------------------------


def test_a_turned_page_is_read_upright_with_the_engine_of_text(models: Settings, tmp_path: Path):
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).text((60, 110), "Total 1284.50 EUR", font=ImageFont.load_default(60), fill=0)
    path = tmp_path / "turned.png"
    # Turned a quarter clockwise.
    image.transpose(Image.Transpose.ROTATE_270).save(path)
    turned_by(models, 1)
    engines = Engines(create_engine(models, 2), models, 2)
    options = ReadOptions.resolve(OcrOptions(doc_orientation=True), models)
    with open_source(path) as source:
        page = read_page(source, 1, options, engines.for_options(options))
    assert page.text == "Total 1284.50 EUR"
    assert (page.width, page.height) == (300, 900)
    assert page.transform is not None
    assert page.transform.turned == 90
    (found,) = page.detections
    # The line runs down the page, from the top right.
    assert found.box[1][1] - found.box[0][1] > 400
    assert found.box[0][0] > found.box[3][0]
    assert page.engine.endswith("PP-LCNet_x1_0_doc_ori")
    assert len(page.words) == 3


def test_engines_choose_by_options(models: Settings):
    engines = Engines(InkEngine(), models)
    plain = ReadOptions.resolve(OcrOptions(), models)
    assert engines.for_options(plain).name == "ink"
    structure = engines.for_options(ReadOptions.resolve(OcrOptions(mode="structure"), models))
    assert structure.name == "pp-structurev3"
    both = ReadOptions.resolve(OcrOptions(doc_orientation=True, doc_unwarping=True), models)
    assert engines.for_options(both).version == "1+PP-LCNet_x1_0_doc_ori+UVDoc"

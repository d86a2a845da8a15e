"""PP-StructureV3 itself, with small models whose answers are fixed (`tests/structure_models.py`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ocr.engines import PageContent, ReadRequest, opencv_alias, read_images
from ocr.engines.over import EngineOver
from ocr.engines.paddle import PaddleEngine
from ocr.engines.structure import StructureEngine
from ocr.read import ReadOptions, read_page
from quire.contracts import OcrOptions, PageText
from quire.errors import EngineUnavailable, OutOfMemory
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.structure_models import classifier
from tests.structured_pages import (
    PICTURE,
    ROWS,
    SENTENCE,
    SIZE,
    TITLE,
    report_image,
    report_models,
    report_page,
    write_config,
)

# Paddle and what it brings along warn while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    opencv_alias.install()
    folder = tmp_path_factory.mktemp("structure")
    report_models(folder)
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return Settings(
        quire_model_dir=folder, paddleocr_pipeline_config=folder / "PP-StructureV3.yaml", quire_ocr_threads=2
    )


@pytest.fixture(scope="module")
def engine(settings: Settings) -> StructureEngine:
    return StructureEngine(settings)


class Remembering(EngineOver):
    """Keeps what the engine said last, so that the page is read once for all tests."""

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        self.found = read_images(self._inner, images, request)
        return self.found


@pytest.fixture(scope="module")
def read(
    engine: StructureEngine, tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> tuple[PageContent, PageText]:
    path = tmp_path_factory.mktemp("report") / "report.png"
    report_image().save(path)
    reader = Remembering(engine)
    with open_source(path) as source:
        page = read_page(source, 1, ReadOptions.resolve(OcrOptions(mode="structure"), settings), reader)
    return reader.found[0], page


@pytest.fixture(scope="module")
def content(read: tuple[PageContent, PageText]) -> PageContent:
    return read[0]


@pytest.fixture(scope="module")
def page(read: tuple[PageContent, PageText]) -> PageText:
    return read[1]


def test_the_parts_of_a_page_are_found_in_the_order_of_reading(page: PageText):
    assert [block.type for block in page.blocks] == ["title", "paragraph", "table", "figure", "page_number"]
    assert [block.order for block in page.blocks] == [0, 1, 2, 3, None]
    assert [block.label for block in page.blocks] == ["doc_title", "text", "table", "image", "number"]
    assert page.blocks[0].polygon == ((95, 55), (600, 55), (600, 130), (95, 130))
    assert page.blocks[2].confidence == pytest.approx(0.97, abs=1e-4)


def test_detections_are_those_that_the_text_mode_has(page: PageText):
    assert page.text.split("\n") == [TITLE, SENTENCE, "Item Price", "Apples 12", "Pears 7", "7"]
    assert [found.text for found in page.detections] == [
        TITLE, SENTENCE, "Item", "Price", "Apples", "12", "Pears", "7", "7",
    ]  # fmt: skip
    title = page.detections[0].box
    assert (min(x for x, _ in title), min(y for _, y in title)) == pytest.approx((100, 65), abs=12)
    assert all(found.confidence > 0.9 for found in page.detections)


def test_a_block_knows_its_lines(page: PageText):
    texts = [[page.detections[line].text for line in block.lines] for block in page.blocks]
    assert texts[:3] == [[TITLE], [SENTENCE], ["Item", "Price", "Apples", "12", "Pears", "7"]]
    assert texts[4] == ["7"]
    assert (page.blocks[0].text, page.blocks[1].text) == (TITLE, SENTENCE)


def test_a_table_is_cells_with_places_and_html(page: PageText):
    table = page.blocks[2].table
    assert table is not None
    assert (table.rows, table.columns) == (3, 2)
    assert [cell.text for cell in table.cells] == [text for row in ROWS for text in row]
    assert table.cells[3].box == ((350, 380), (600, 380), (600, 460), (350, 460))
    assert table.html.startswith("<table><tr><td>Item</td><td>Price</td></tr>")


def test_a_page_is_markdown(page: PageText):
    assert page.markdown is not None
    assert page.markdown.startswith(f"# {TITLE}\n\n{SENTENCE}\n\n| Item | Price |\n| --- | --- |\n| Apples | 12 |")
    # The page's number is not of the text.
    assert not page.markdown.endswith("7")


def test_a_picture_is_cut_out(content: PageContent):
    left, top, right, bottom = PICTURE
    assert list(content.pictures) == [3]
    assert content.pictures[3].shape == (bottom - top + 4, right - left + 4, 3)
    assert tuple(content.pictures[3][150, 150]) == (200, 40, 40)


def test_pages_read_together_are_what_each_is_alone(engine: StructureEngine, content: PageContent):
    blank = PageImage(2, np.full((1200, 900, 3), 255, np.uint8))
    tiny = PageImage(3, np.zeros((4, 300, 3), np.uint8))
    first, _, third = engine.recognize_pages([report_page(), blank, tiny], ReadRequest(("en",)))
    assert first.blocks == content.blocks
    assert first.lines == content.lines
    assert third == PageContent(())


def test_out_of_memory_is_tried_again_with_fewer_pages(settings: Settings, engine: StructureEngine):
    pixels = np.ascontiguousarray(report_page().pixels[:600, :, ::-1])
    result = engine._pipeline.predict([pixels], use_table_recognition=False)

    class Hungry:
        def __init__(self) -> None:
            self.batches: list[int] = []

        def predict(self, pages, **_: object):
            self.batches.append(len(pages))
            if len(pages) > 1:
                raise RuntimeError("ResourceExhaustedError: Out of memory on GPU 0.")
            return result

    hungry = StructureEngine(settings)
    hungry._pipeline = Hungry()
    found = hungry.recognize_pages([report_page(1), report_page(2)], ReadRequest(("en",)))
    assert hungry._pipeline.batches == [2, 1, 1]
    assert [len(page.blocks) for page in found] == [3, 3]


def test_a_page_that_does_not_fit_alone_is_out_of_memory(settings: Settings):
    class Starved:
        def predict(self, _pages, **_: object):
            raise RuntimeError("bad allocation")

    starved = StructureEngine(settings)
    starved._pipeline = Starved()
    with pytest.raises(OutOfMemory):
        starved.recognize_pages([report_page()], ReadRequest(("en",)))


def test_a_model_that_somebody_else_misses_costs_nobody_the_pipeline(engine: StructureEngine, content: PageContent):
    pipeline = engine._pipeline
    with pytest.raises(EngineUnavailable, match="PP-LCNet_x1_0_textline_ori"):
        engine.recognize_pages([report_page()], ReadRequest(("en",), textline_orientation=True))
    assert engine._pipeline is pipeline


def test_paddleocr_turns_lines_where_that_is_asked_for(settings: Settings, tmp_path: Path):
    paddle = PaddleEngine(settings.model_copy(update={"quire_model_dir": tmp_path, "paddleocr_pipeline_config": None}))
    with pytest.raises(EngineUnavailable, match="textline_orientation needs the model PP-LCNet_x1_0_textline_ori"):
        paddle.recognize_pages([report_page()], ReadRequest(("en",), textline_orientation=True))
    # It takes every line for upside down: their boxes begin at the bottom right.
    classifier(tmp_path, "PP-LCNet_x1_0_textline_ori", (0.1, 0.9))
    (turned,) = paddle.recognize_pages([report_page()], ReadRequest(("en",), textline_orientation=True))
    (upright,) = paddle.recognize_pages([report_page()], ReadRequest(("en",)))
    title = next(line for line in upright.lines if line.text == TITLE)
    boxes = [line.box for line in turned.lines]
    assert (*title.box[2:], *title.box[:2]) in boxes
    assert title.box not in boxes


# --- What can be wrong with models and configuration ------------------------------------------------------------------


def unavailable(settings: Settings) -> str:
    with pytest.raises(EngineUnavailable) as caught:
        StructureEngine(settings).recognize_pages([report_page()], ReadRequest(("en",)))
    return caught.value.message


def test_missing_models_are_named_with_the_place_to_put_them(tmp_path: Path):
    message = unavailable(Settings(quire_model_dir=tmp_path))
    for name in ("PP-DocLayout_plus-L (LayoutDetection)", "SLANeXt_wired", "PP-FormulaNet_plus-L"):
        assert name in message
    # They come with the worker.
    assert "PP-OCRv6" not in message
    assert f"{tmp_path}/NAME" in message


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def on_paddle(directory: Path) -> None:
    """A graph of Paddle's own instead of the one for ONNX Runtime, and half of its weights."""
    import paddle
    from paddle.static import InputSpec

    (directory / "inference.onnx").unlink()
    graph = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3))
    paddle.jit.save(graph, str(directory / "inference"), input_spec=[InputSpec([None, 3, None, None], "float32")])
    truncated(directory / "inference.pdiparams")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("PP-DocLayout_plus-L", lambda directory: truncated(directory / "inference.onnx")),
        ("PP-DocBlockLayout", lambda directory: (directory / "inference.yml").write_text("Global: [")),
        ("PP-DocBlockLayout", on_paddle),
        # PaddleX loads it at the first page with a table.
        ("PP-LCNet_x1_0_doc_ori", lambda directory: truncated(directory / "inference.onnx")),
    ],
    ids=["onnx", "description", "paddle", "lazy"],
)
def test_a_damaged_model_is_named_before_a_page_is_read(
    settings: Settings, folder: Path, tmp_path: Path, name: str, damage: Callable[[Path], object]
):
    for each in folder.iterdir():
        (tmp_path / each.name).symlink_to(each)
    (tmp_path / name).unlink()
    shutil.copytree(folder / name, tmp_path / name)
    damage(tmp_path / name)
    damaged = StructureEngine(settings.model_copy(update={"quire_model_dir": tmp_path}))
    with pytest.raises(EngineUnavailable, match=f"could not load its models: {name}: "):
        damaged._built(turns_lines=False)
    assert damaged._pipeline is None


def test_a_graph_of_another_model_is_found_out_when_the_worker_starts(settings: Settings, folder: Path, tmp_path: Path):
    for each in folder.iterdir():
        (tmp_path / each.name).symlink_to(each)
    (tmp_path / "PP-DocBlockLayout").unlink()
    shutil.copytree(folder / "PP-DocBlockLayout", tmp_path / "PP-DocBlockLayout")
    shutil.copy(folder / "PP-LCNet_x1_0_table_cls" / "inference.onnx", tmp_path / "PP-DocBlockLayout")
    changes = {
        "quire_model_dir": tmp_path,
        "paddleocr_pipeline_config": write_config(tmp_path / "lines.yaml", use_table_recognition=False),
    }
    with pytest.raises(EngineUnavailable, match="cannot read with its models"):
        StructureEngine(settings.model_copy(update=changes)).warm_up()


def test_another_configuration_is_another_version(settings: Settings, folder: Path, tmp_path: Path):
    other = settings.model_copy(
        update={"paddleocr_pipeline_config": write_config(tmp_path / "a.yaml", use_table_recognition=False)}
    )
    assert StructureEngine(other).version != StructureEngine(settings).version
    assert "SLANeXt_wired" in StructureEngine(settings).describe()["models"]
    assert "SLANeXt_wired" not in StructureEngine(other).describe()["models"]


def test_the_page_has_the_size_it_was_given(page: PageText):
    assert (page.width, page.height) == SIZE
    assert page.engine.startswith("pp-structurev3 3.")

"""PaddleOCR itself, with the bundled models: what it reads, where, and what it refuses."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.engines import OcrEngine, TextLine, create_engine
from ocr.engines.models import bundled_models
from ocr.read import ReadOptions, read_page
from quire.cli.samples import PHOTO, SCANNED_PAGE, sample_pdf, sample_photo
from quire.contracts import OcrOptions, PageText
from quire.errors import EngineUnavailable
from quire.pages import PageImage, open_source
from quire.settings import Settings

# Paddle and what it brings along warn while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
WITH_ONE_DIRECTORY = """
import sys
from ocr.engines import create_engine
from quire.settings import Settings
engine = create_engine(Settings(paddleocr_det_model_dir=sys.argv[1], quire_model_dir=sys.argv[2]))
engine.warm_up()
print(engine.version)
"""
LINE = "Total 1284.50"


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> OcrEngine:
    engine = create_engine(Settings(quire_model_dir=model_dir))
    engine.warm_up()
    return engine


def read(engine: OcrEngine, path: Path, number: int = 1) -> PageText:
    with open_source(path) as source:
        return read_page(source, number, ReadOptions.resolve(OcrOptions(), Settings()), engine)


def page_of(image: Image.Image) -> PageImage:
    return PageImage(1, np.asarray(image.convert("RGB")))


def written(text: str = LINE, size: tuple[int, int] = (640, 160)) -> Image.Image:
    """A line of text at (80, 50)."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((80, 50), text, font=ImageFont.load_default(48), fill=0)
    return image


def only_line(engine: OcrEngine, image: Image.Image) -> TextLine:
    ((line,),) = engine.recognize([page_of(image)], ["en"])
    return line


def squeezed(text: str) -> str:
    return "".join(text.split())


def centre(box: object) -> tuple[float, float]:
    points = np.asarray(box, dtype=float).reshape(4, 2)
    return float(points[:, 0].mean()), float(points[:, 1].mean())


def test_a_line_is_read_with_a_box_around_it(engine: OcrEngine):
    line = only_line(engine, written())
    xs, ys = zip(*line.box, strict=True)
    ink_rows, ink_columns = np.nonzero(np.asarray(written()) < 128)
    assert squeezed(line.text) == squeezed(LINE)
    assert line.confidence > 0.9
    assert (min(xs), max(xs)) == pytest.approx((ink_columns.min(), ink_columns.max()), abs=12)
    assert (min(ys), max(ys)) == pytest.approx((ink_rows.min(), ink_rows.max()), abs=16)


def test_a_box_runs_clockwise_from_the_texts_top_left(engine: OcrEngine):
    (left_top, right_top, right_bottom, left_bottom) = only_line(engine, written()).box
    assert left_top[0] < right_top[0]
    assert left_top[1] < left_bottom[1]
    assert right_bottom[0] > left_bottom[0]
    assert right_bottom[1] > right_top[1]


def test_the_box_of_a_line_that_runs_down_the_page_begins_at_the_texts_own_top_left(engine: OcrEngine):
    line = only_line(engine, written().transpose(Image.Transpose.ROTATE_270))
    assert squeezed(line.text) == squeezed(LINE)
    first, second, third, fourth = line.box
    # Turned a quarter clockwise, the top left is at the top right and the line runs down.
    assert second[1] - first[1] > 200
    assert abs(second[0] - first[0]) < 20
    assert fourth[0] < first[0]
    assert third[0] < second[0]


def test_the_receipt_is_read(engine: OcrEngine, receipts: Path):
    page = read(engine, receipts / "img" / "000.jpg")
    with (receipts / "box" / "000.csv").open(encoding="utf-8") as file:
        truth = [(row[:8], ",".join(row[8:])) for row in csv.reader(file) if row]
    read_words = set(page.text.upper().split())
    words = [word for _, text in truth for word in text.upper().split()]
    assert sum(word in read_words for word in words) / len(words) > 0.7


def test_what_is_read_on_the_receipt_lies_where_it_is_written(engine: OcrEngine, receipts: Path):
    page = read(engine, receipts / "img" / "000.jpg")
    with (receipts / "box" / "000.csv").open(encoding="utf-8") as file:
        truth = {squeezed(",".join(row[8:])).upper(): row[:8] for row in csv.reader(file) if row}
    found = [
        (detection.box, truth[text])
        for detection in page.detections
        if (text := squeezed(detection.text).upper()) in truth
    ]
    assert len(found) >= 10
    near = [math.dist(centre(box), centre(expected)) < 30 for box, expected in found]
    # A text that is there twice may be found at its other place.
    assert sum(near) / len(near) > 0.85


def test_the_scanned_page_of_the_sample_is_read(engine: OcrEngine, tmp_path: Path):
    (tmp_path / "sample.pdf").write_bytes(sample_pdf())
    page = read(engine, tmp_path / "sample.pdf")
    assert page.source == "ocr"
    assert [squeezed(line) for line in page.text.splitlines()] == [squeezed(line) for line in SCANNED_PAGE]


def test_the_photo_of_the_sample_is_read(engine: OcrEngine, tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(sample_photo())
    page = read(engine, tmp_path / "photo.jpg")
    assert [squeezed(line) for line in page.text.splitlines()] == [squeezed(line) for line in PHOTO]


def test_every_image_gets_its_own_lines(engine: OcrEngine):
    pages = [page_of(written("One")), page_of(Image.new("L", (200, 100), 255)), page_of(written("Three"))]
    assert [[line.text for line in lines] for lines in engine.recognize(pages, ["en"])] == [["One"], [], ["Three"]]


def test_coloured_text_is_read(engine: OcrEngine):
    image = Image.new("RGB", (640, 160), (255, 255, 255))
    ImageDraw.Draw(image).text((80, 50), LINE, font=ImageFont.load_default(48), fill=(200, 0, 0))
    assert squeezed(only_line(engine, image).text) == squeezed(LINE)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (4, 500), (5, 5), (8, 3000)], ids=str)
@pytest.mark.parametrize("shade", [0, 255])
def test_an_image_too_small_for_text_has_no_lines(engine: OcrEngine, shape, shade):
    assert engine.recognize([PageImage(1, np.full((*shape, 3), shade, np.uint8))], ["en"]) == [[]]


def test_a_blank_page_has_no_lines(engine: OcrEngine):
    assert engine.recognize([page_of(Image.new("L", (1240, 1754), 255))], ["en"]) == [[]]


def test_a_language_outside_of_the_bundled_models_is_refused(engine: OcrEngine):
    with pytest.raises(EngineUnavailable, match=r"do not read 'ru'\. Set QUIRE_MODELS=download"):
        engine.recognize([page_of(written())], ["ru", "en"])


@pytest.mark.parametrize("language", ["fr", "german", "es", "ch", "japan"])
def test_the_languages_of_the_bundled_recogniser_share_one_pipeline(engine: OcrEngine, language):
    engine.recognize([page_of(Image.new("L", (64, 64), 255))], [language, "en"])
    assert engine.describe()["loaded"] == ["en"]


def test_the_version_names_what_decides_the_text(engine: OcrEngine):
    assert engine.version.endswith("+onnxruntime.bundled")


def test_models_in_directories_of_the_operator_are_used(model_dir: Path, tmp_path: Path):
    detection, recognition = bundled_models(model_dir)
    shutil.copytree(detection.directory, tmp_path / "det")
    shutil.copytree(recognition.directory, tmp_path / "rec")
    custom = create_engine(
        Settings(
            paddleocr_det_model_dir=tmp_path / "det",
            paddleocr_rec_model_dir=tmp_path / "rec",
            quire_model_dir=tmp_path / "unused",
        )
    )
    assert squeezed(only_line(custom, written()).text) == squeezed(LINE)
    assert custom.version.endswith("+onnxruntime.directory")
    assert not list(tmp_path.glob("unused/bundled-*"))


def test_one_directory_of_the_operator_joins_the_other_bundled_model_in_a_fresh_process(
    model_dir: Path, tmp_path: Path
):
    detection, _ = bundled_models(model_dir)
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker"))
    done = subprocess.run(
        [sys.executable, "-c", WITH_ONE_DIRECTORY, str(detection.directory), str(tmp_path / "models")],
        env={"PYTHONPATH": path, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().endswith("+onnxruntime.directory"), done.stderr[-2000:]
    # PaddleX keeps its files where Quire keeps its models.
    assert not (tmp_path / "home" / ".paddlex").exists()


def test_a_directory_without_a_model_is_refused_when_the_engine_loads(model_dir: Path, tmp_path: Path):
    broken = create_engine(Settings(paddleocr_det_model_dir=tmp_path / "missing", quire_model_dir=model_dir))
    with pytest.raises(EngineUnavailable, match="PADDLEOCR_DET_MODEL_DIR"):
        broken.warm_up()


def test_a_damaged_model_is_refused_when_the_engine_loads(model_dir: Path, tmp_path: Path):
    detection, recognition = bundled_models(model_dir)
    shutil.copytree(detection.directory, tmp_path / "det")
    (tmp_path / "det" / "inference.onnx").write_bytes(b"no graph")
    broken = create_engine(
        Settings(
            paddleocr_det_model_dir=tmp_path / "det",
            paddleocr_rec_model_dir=recognition.directory,
            quire_model_dir=tmp_path,
        )
    )
    with pytest.raises(EngineUnavailable, match="could not load its models"):
        broken.warm_up()


def test_the_paddle_runtime_needs_models_of_its_own(model_dir: Path):
    engine = create_engine(
        Settings(paddleocr_use_gpu=False, quire_cpu_engine="paddle", quire_models="bundled", quire_model_dir=model_dir)
    )
    with pytest.raises(EngineUnavailable, match="QUIRE_MODELS=download"):
        engine.warm_up()

"""PaddleOCR itself, with the bundled models: what it reads, where, and what it refuses."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw, ImageFont

from ocr.engines import OcrEngine, TextLine, opencv_alias
from ocr.engines.models import bundled_models
from ocr.engines.paddle import PaddleEngine
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
from copy import deepcopy
from ocr.engines.paddle import PaddleEngine
from quire.settings import Settings
engine = PaddleEngine(Settings(paddleocr_det_model_dir=sys.argv[1], quire_model_dir=sys.argv[2]))
engine.warm_up()
print(engine.version)
"""
LINE = "Total 1284.50"


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> OcrEngine:
    engine = PaddleEngine(Settings(quire_model_dir=model_dir))
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


@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_270])
def test_words_lie_where_they_are_written(engine: OcrEngine, turn: Image.Transpose | None):
    whole, second = written("Total   1284.50"), written("Total   ")
    # What only the whole line has is the second word.
    alone = Image.fromarray(np.where(np.asarray(second) < 128, 255, np.asarray(whole)).astype(np.uint8))
    for picture, number in ((second, 0), (alone, 1)):
        line = only_line(engine, whole if turn is None else whole.transpose(turn))
        assert [word.text for word in line.words] == ["Total", "1284.50"]
        rows, columns = np.nonzero(np.asarray(picture if turn is None else picture.transpose(turn)) < 128)
        xs, ys = zip(*line.words[number].box, strict=True)
        assert (min(xs), max(xs)) == pytest.approx((columns.min(), columns.max()), abs=16)
        assert (min(ys), max(ys)) == pytest.approx((rows.min(), rows.max()), abs=16)


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


class Counted:
    """A model's runner that remembers the shapes of what it was given."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, x: Any) -> Any:
        self.shapes.append(x[0].shape)
        return self._runner(x)


def counted(engine: PaddleEngine, model: str) -> Counted:
    stage = getattr(engine._pipeline(["en"]).paddlex_pipeline, model)
    runner = Counted(stage.runner)
    stage.runner = runner
    return runner


def mixed_pages() -> list[PageImage]:
    """Pages of two sizes in turns, a blank one and one that is too small among them."""
    images = [written(f"Page {n}", size) for n in range(1, 5) for size in ((640, 160), (800, 224))]
    images[3:3] = [Image.new("L", (640, 160), 255), Image.new("L", (3, 3), 255)]
    return [PageImage(n, np.asarray(image.convert("RGB"))) for n, image in enumerate(images, 1)]


def test_pages_read_together_are_read_as_one_by_one(engine: OcrEngine, model_dir: Path):
    together = PaddleEngine(Settings(quire_model_dir=model_dir, paddleocr_page_batch=3))
    detector = counted(together, "text_det_model")
    pages = mixed_pages()
    read_together = together.recognize(pages, ["en"])
    assert read_together == [engine.recognize([page], ["en"])[0] for page in pages]
    assert [line.text for lines in read_together for line in lines] == [f"Page {n}" for n in (1, 1, 2, 2, 3, 3, 4, 4)]
    # Five pages of one size and four of the other.
    assert [shape[0] for shape in detector.shapes] == [3, 2, 3, 1]


def test_receipts_read_together_are_read_as_one_by_one(engine: OcrEngine, model_dir: Path, receipts: Path):
    together = PaddleEngine(Settings(quire_model_dir=model_dir, paddleocr_page_batch=4))
    pages = []
    for number in range(4):
        with Image.open(receipts / "img" / f"{number:03}.jpg") as receipt:
            pages.append(PageImage(number + 1, np.asarray(receipt.convert("RGB").crop((0, 0, 440, 400)))))
    read_together = together.recognize(pages, ["en"])
    assert read_together == [engine.recognize([page], ["en"])[0] for page in pages]
    assert all(read_together)


def test_the_recogniser_takes_as_many_lines_as_it_is_told_to(model_dir: Path):
    small = PaddleEngine(Settings(quire_model_dir=model_dir, paddleocr_rec_batch=2))
    recogniser = counted(small, "text_rec_model")
    page = Image.new("L", (640, 500), 255)
    for line in range(5):
        page.paste(written(f"Line {line}", (640, 100)), (0, 100 * line))
    (lines,) = small.recognize([page_of(page)], ["en"])
    assert len(lines) == 5
    assert [shape[0] for shape in recogniser.shapes] == [2, 2, 1]
    assert small.version.endswith(".batch2")


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


def test_the_description_says_where_and_how_much_at_once(engine: OcrEngine, model_dir: Path):
    described = engine.describe()
    assert {name: described[name] for name in ("device", "page_batch", "rec_batch", "hpi")} == {
        "device": "cpu",
        "page_batch": 1,
        "rec_batch": 6,
        "hpi": False,
    }
    asked = Settings(paddleocr_device="gpu:1", paddleocr_rec_batch=16, paddleocr_enable_hpi=True)
    described = PaddleEngine(asked).describe()
    assert {name: described[name] for name in ("device", "page_batch", "rec_batch", "hpi", "runtime")} == {
        "device": "gpu:1",
        "page_batch": 8,
        "rec_batch": 16,
        "hpi": True,
        "runtime": "hpi",
    }


def classifier(folder: Path) -> Path:
    """The text-line orientation model of the rapidocr wheel, described the way PaddleX 3 wants it."""
    opencv_alias.install()
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    wheel = Path(str(find_spec("rapidocr").origin)).parent
    name = "PP-LCNet_x0_25_textline_ori"
    # PaddleX hands out its own dictionaries, which others get after us.
    description = deepcopy(build_inference_meta(name)) | {"Global": {"model_name": name}}
    for step in description["PreProcess"]["transform_ops"]:
        if "ResizeImage" in step:
            step["ResizeImage"]["size"] = [192, 48]
        if "NormalizeImage" in step:
            step["NormalizeImage"] |= {"mean": [0.5] * 3, "std": [0.5] * 3}
    folder.mkdir()
    (folder / "inference.yml").write_text(yaml.safe_dump(description), encoding="utf-8")
    shutil.copyfile(wheel / "models" / "ch_ppocr_mobile_v2.0_cls_mobile.onnx", folder / "inference.onnx")
    return folder


def test_a_line_upside_down_is_read_with_a_model_of_text_line_orientation(model_dir: Path, tmp_path: Path):
    orienting = PaddleEngine(
        Settings(
            quire_model_dir=model_dir, paddleocr_cls_model_dir=classifier(tmp_path / "cls"), paddleocr_page_batch=2
        )
    )
    upright, turned = page_of(written()), page_of(written().transpose(Image.Transpose.ROTATE_180))
    blank = page_of(Image.new("L", (640, 160), 255))
    (above,), (below,), nothing = orienting.recognize([upright, turned, blank], ["en"])
    assert below == orienting.recognize([turned], ["en"])[0][0]
    assert (squeezed(above.text), squeezed(below.text), nothing) == (squeezed(LINE), squeezed(LINE), [])
    assert above.box[0][0] < above.box[1][0]
    assert above.box[0][1] < above.box[3][1]
    # The text's own top left is at the bottom right.
    assert below.box[0][0] > below.box[1][0]
    assert below.box[0][1] > below.box[3][1]


def test_a_missing_model_of_text_line_orientation_is_named(model_dir: Path, tmp_path: Path):
    engine = PaddleEngine(Settings(quire_model_dir=model_dir, paddleocr_cls_model_dir=tmp_path / "missing"))
    with pytest.raises(EngineUnavailable, match="PADDLEOCR_CLS_MODEL_DIR: there is no directory"):
        engine.warm_up()


@pytest.mark.skipif(find_spec("ultra_infer") is not None, reason="the plugin is installed")
def test_high_performance_inference_without_its_plugin_is_refused_with_the_remedy(model_dir: Path):
    engine = PaddleEngine(Settings(quire_model_dir=model_dir, paddleocr_enable_hpi=True))
    with pytest.raises(EngineUnavailable, match=r"PADDLEOCR_ENABLE_HPI.*paddleocr install_hpi_deps cpu"):
        engine.warm_up()


def test_models_in_directories_of_the_operator_are_used(model_dir: Path, tmp_path: Path):
    detection, recognition = bundled_models(model_dir)
    shutil.copytree(detection.directory, tmp_path / "det")
    shutil.copytree(recognition.directory, tmp_path / "rec")
    custom = PaddleEngine(
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
    broken = PaddleEngine(Settings(paddleocr_det_model_dir=tmp_path / "missing", quire_model_dir=model_dir))
    with pytest.raises(EngineUnavailable, match="PADDLEOCR_DET_MODEL_DIR"):
        broken.warm_up()


def test_a_damaged_model_is_refused_when_the_engine_loads(model_dir: Path, tmp_path: Path):
    detection, recognition = bundled_models(model_dir)
    shutil.copytree(detection.directory, tmp_path / "det")
    (tmp_path / "det" / "inference.onnx").write_bytes(b"no graph")
    broken = PaddleEngine(
        Settings(
            paddleocr_det_model_dir=tmp_path / "det",
            paddleocr_rec_model_dir=recognition.directory,
            quire_model_dir=tmp_path,
        )
    )
    with pytest.raises(EngineUnavailable, match="could not load its models"):
        broken.warm_up()


def test_the_paddle_runtime_needs_models_of_its_own(model_dir: Path):
    engine = PaddleEngine(
        Settings(paddleocr_use_gpu=False, quire_cpu_engine="paddle", quire_models="bundled", quire_model_dir=model_dir)
    )
    with pytest.raises(EngineUnavailable, match="QUIRE_MODELS=download"):
        engine.warm_up()

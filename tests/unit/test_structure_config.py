"""PADDLEOCR_PIPELINE_CONFIG: what a file may say, what becomes of it, and where its models are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ocr.engines import opencv_alias
from ocr.engines.by_options import Engines
from ocr.engines.lean import LeanEngine
from ocr.engines.structure import StructureEngine, pipeline_config
from ocr.read import ReadOptions
from quire.contracts import OcrOptions
from quire.errors import EngineUnavailable
from quire.settings import Settings
from tests.structure_models import classifier, unwarper
from tests.structured_pages import plain

pytestmark = pytest.mark.filterwarnings("ignore")

LAYOUT = "SubModules.LayoutDetection"
GENERAL = "SubPipelines.GeneralOCR"
TABLE = "SubPipelines.TableRecognition"
SEAL = "SubPipelines.SealRecognition.SubPipelines.SealOCR"


@pytest.fixture(scope="module")
def paddlex() -> dict[str, Any]:
    """PaddleX's own file."""
    opencv_alias.install()
    from paddlex.inference import load_pipeline_config

    made: dict[str, Any] = plain(load_pipeline_config("PP-StructureV3"))
    return made


def changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy, in which the values at these places are others; None takes them out."""
    made: dict[str, Any] = yaml.safe_load(yaml.safe_dump(config))
    for place, value in changes.items():
        *above, last = place.split(".")
        node = made
        for key in above:
            node = node[key]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return made


def settings_of(folder: Path, config: object) -> Settings:
    """Settings with this file and its models below `folder`."""
    path = folder / "PP-StructureV3.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config), encoding="utf-8")
    return Settings(quire_model_dir=folder, paddleocr_pipeline_config=path)


def refused(folder: Path, config: object) -> str:
    with pytest.raises(EngineUnavailable) as caught:
        pipeline_config.load(settings_of(folder, config))
    message = caught.value.message
    assert message.startswith("PADDLEOCR_PIPELINE_CONFIG: ")
    return message


def place_model(folder: Path, name: str, file: str = "inference.onnx") -> None:
    """A directory that looks like this model's."""
    (folder / name).mkdir()
    (folder / name / "inference.yml").write_text(f"Global: {{model_name: {name}}}")
    (folder / name / file).touch()


def named_models(config: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every model in a file, with its place."""
    for key, value in config.items() if isinstance(config, dict) else ():
        if isinstance(value, dict) and "model_name" in value:
            yield f"{at}{key}", value
        yield from named_models(value, f"{at}{key}.")


def test_paddlexs_own_file_with_everything_on_finds_every_model_here(paddlex: dict[str, Any], tmp_path: Path):
    config = changed(paddlex, {"use_seal_recognition": True, "use_chart_recognition": True})
    for name in {model["model_name"] for _, model in named_models(config)}:
        place_model(tmp_path, name, "model_state.pdparams" if name == "PP-Chart2Table" else "inference.onnx")
    settings = settings_of(tmp_path, config)
    loaded = pipeline_config.load(settings)
    made = pipeline_config.resolved(loaded, settings, textline_orientation=False)
    for place, model in named_models(made):
        # Pages are prepared by the worker itself.
        if "DocPreprocessor" not in place:
            assert model["model_dir"] == str(tmp_path / model["model_name"]), place
    engines = {model["model_name"]: model.get("engine") for _, model in named_models(made)}
    assert engines["PP-Chart2Table"] == "paddle_dynamic"
    assert engines["PP-FormulaNet_plus-L"] == "onnxruntime"
    # Batch sizes and thresholds are the file's; but lines are told from each other only one by one.
    assert made["SubModules"]["LayoutDetection"]["threshold"] == config["SubModules"]["LayoutDetection"]["threshold"]
    assert made["batch_size"] == made["SubModules"]["LayoutDetection"]["batch_size"] == 8
    for ocr in (
        made["SubPipelines"]["GeneralOCR"],
        made["SubPipelines"]["TableRecognition"]["SubPipelines"]["GeneralOCR"],
    ):
        assert ocr["SubModules"]["TextLineOrientation"]["batch_size"] == 1
        assert ocr["SubModules"]["TextRecognition"]["batch_size"] == 8


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"use_region_detection": True}, ["PP-DocBlockLayout"]),
        ({"use_chart_recognition": True}, ["PP-Chart2Table"]),
        ({"use_formula_recognition": True}, ["PP-FormulaNet_plus-L"]),
        ({"use_seal_recognition": True}, ["PP-OCRv4_server_seal_det"]),
        ({"use_seal_recognition": True, f"{SEAL}.use_textline_orientation": True}, ["PP-OCRv4_server_seal_det"]),
        ({f"{GENERAL}.use_textline_orientation": True}, ["PP-LCNet_x1_0_textline_ori"]),
        (
            {"use_table_recognition": True, f"{TABLE}.{GENERAL}.use_textline_orientation": True},
            ["PP-LCNet_x1_0_doc_ori", "PP-LCNet_x1_0_table_cls", "PP-LCNet_x1_0_textline_ori", "SLANeXt_wired"],
        ),
        (
            {"use_table_recognition": True, f"{TABLE}.SubModules.TableOrientationClassify": None},
            ["PP-LCNet_x1_0_table_cls", "SLANeXt_wired"],
        ),
    ],
)  # fmt: skip
def test_every_switch_asks_for_its_models_and_for_no_others(
    paddlex: dict[str, Any], tmp_path: Path, changes: dict[str, Any], missing: list[str]
):
    off = dict.fromkeys(
        [f"use_{part}_recognition" for part in ("table", "formula", "seal", "chart")]
        + [
            "use_region_detection",
            f"{GENERAL}.use_textline_orientation",
            f"{TABLE}.{GENERAL}.use_textline_orientation",
        ],
        False,
    )
    config = changed(changed(paddlex, off), changes)
    if f"{SEAL}.use_textline_orientation" in changes:
        config["SubPipelines"]["SealRecognition"]["SubPipelines"]["SealOCR"]["SubModules"]["TextLineOrientation"] = {
            "model_name": "PP-LCNet_x0_25_textline_ori"
        }
        missing = [*missing, "PP-LCNet_x0_25_textline_ori"]
    for name in ("PP-DocLayout_plus-L", "PP-OCRv5_server_det", "PP-OCRv5_server_rec"):
        place_model(tmp_path, name)
    settings = settings_of(tmp_path, config)
    with pytest.raises(EngineUnavailable) as caught:
        pipeline_config.resolved(pipeline_config.load(settings), settings, textline_orientation=False)
    named = caught.value.message.partition(": ")[2].partition(". Put")[0].split(", ")
    here = {"RT-DETR-L", "SLANet"}
    assert sorted(n.partition(" ")[0] for n in named if not any(n.startswith(each) for each in here)) == sorted(missing)


def test_tables_have_a_pipeline_of_lines_also_where_none_are_turned(paddlex: dict[str, Any], tmp_path: Path):
    # PaddleX fails on lines that go through several cells where it has none.
    config = changed(
        paddlex,
        {f"{TABLE}.SubModules.TableOrientationClassify": None, f"{TABLE}.SubPipelines": None,
         "use_formula_recognition": False, f"{GENERAL}.use_textline_orientation": False},
    )  # fmt: skip
    for name in {model["model_name"] for _, model in named_models(config)}:
        place_model(tmp_path, name)
    settings = settings_of(tmp_path, config)
    loaded = pipeline_config.load(settings)
    assert not pipeline_config.turns_tables(loaded)
    table = pipeline_config.resolved(loaded, settings, textline_orientation=False)["SubPipelines"]["TableRecognition"]
    assert table["use_ocr_model"]
    assert table["SubPipelines"]["GeneralOCR"]["SubModules"]["TextDetection"]["model_dir"]


def test_a_runtime_that_is_asked_for_is_the_one_that_is_used(paddlex: dict[str, Any], tmp_path: Path):
    off = {f"use_{part}_recognition": False for part in ("table", "formula", "seal")}
    config = changed(paddlex, {**off, "use_region_detection": False, f"{GENERAL}.engine": "paddle_static"})
    for name in ("PP-DocLayout_plus-L", "PP-OCRv5_server_det", "PP-OCRv5_server_rec", "PP-LCNet_x1_0_textline_ori"):
        place_model(tmp_path, name)
    settings = settings_of(tmp_path, config)
    with pytest.raises(EngineUnavailable, match="PP-OCRv5_server_det"):
        # Their ONNX graphs are not what was asked for.
        pipeline_config.resolved(pipeline_config.load(settings), settings, textline_orientation=False)
    for name in ("PP-OCRv5_server_det", "PP-OCRv5_server_rec", "PP-LCNet_x1_0_textline_ori"):
        (tmp_path / name / "inference.json").touch()
    made = pipeline_config.resolved(pipeline_config.load(settings), settings, textline_orientation=False)
    assert {model.get("engine") for place, model in named_models(made) if place.startswith(f"{GENERAL}.")} == {
        "paddle_static"
    }
    assert made["SubModules"]["LayoutDetection"]["engine"] == "onnxruntime"
    # On a GPU a graph for ONNX Runtime does not count.
    gpu = settings.model_copy(update={"paddleocr_device": "gpu:0"})
    assert gpu.uses_gpu
    with pytest.raises(EngineUnavailable, match=r"machine: PP-DocLayout_plus-L \(LayoutDetection\)\. Put"):
        pipeline_config.resolved(pipeline_config.load(gpu), gpu, textline_orientation=False)


def test_a_model_directory_is_relative_to_the_file_and_has_the_model_it_should(paddlex: dict[str, Any], tmp_path: Path):
    config = changed(paddlex, {f"{LAYOUT}.model_dir": "layout", "use_formula_recognition": False})
    for name in {model["model_name"] for _, model in named_models(config)}:
        place_model(tmp_path, name)
    settings = settings_of(tmp_path, config)
    loaded = pipeline_config.load(settings)

    def message() -> str:
        with pytest.raises(EngineUnavailable) as caught:
            pipeline_config.resolved(loaded, settings, textline_orientation=False)
        return caught.value.message

    assert f"{LAYOUT}.model_dir: there is no directory {tmp_path}/layout" in message()
    (tmp_path / "layout").symlink_to(tmp_path / "SLANet_plus")
    assert "has the model SLANet_plus, and the file calls it PP-DocLayout_plus-L (model_name)" in message()
    (tmp_path / "layout").unlink()
    (tmp_path / "layout").symlink_to(tmp_path / "PP-DocLayout_plus-L")
    made = pipeline_config.resolved(loaded, settings, textline_orientation=False)
    assert made["SubModules"]["LayoutDetection"]["model_dir"] == str(tmp_path / "layout")
    # What the operator's file says is not changed.
    assert loaded["SubModules"]["LayoutDetection"]["model_dir"] == "layout"
    (tmp_path / "layout" / "inference.onnx").unlink()
    assert "has none of inference.onnx, inference.json" in message()
    (tmp_path / "layout" / "inference.yml").write_text("Global: [")
    assert "does not say Global.model_name" in message()


def test_lines_are_turned_with_the_model_of_mode_text(paddlex: dict[str, Any], tmp_path: Path):
    place_model(tmp_path, "PP-LCNet_x0_25_textline_ori")
    given = Settings(paddleocr_cls_model_dir=tmp_path / "PP-LCNet_x0_25_textline_ori", quire_model_dir=tmp_path)
    off = {f"use_{part}_recognition": False for part in ("table", "formula", "seal")} | {"use_region_detection": False}
    place_model(tmp_path, "PP-DocLayout_plus-L")
    place = (*GENERAL.split("."), "SubModules", "TextLineOrientation")
    # In PaddleX's file, and in one that names another.
    config = changed(pipeline_config.load(given), off)
    made = pipeline_config.resolved(config, given, textline_orientation=True)
    assert pipeline_config.model_name(made, place) == "PP-LCNet_x0_25_textline_ori"
    named = changed(paddlex, {**off, f"{GENERAL}.use_textline_orientation": False})
    with pytest.raises(EngineUnavailable, match="PP-LCNet_x1_0_textline_ori"):
        pipeline_config.resolved(named, given, textline_orientation=True)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("use_tabel_recognition", True, "use_tabel_recognition is not a key of such a file"),
        (f"{LAYOUT}.treshold", 0.5, f"{LAYOUT}.treshold is not a key"),
        ("use_table_recognition", "maybe", "use_table_recognition: input should be a valid boolean"),
        ("batch_size", "four", "batch_size: input should be a valid integer"),
        ("batch_size", 0, "batch_size: input should be greater than or equal to 1"),
        ("batch_size", True, "batch_size: input should be a valid integer"),
        (f"{LAYOUT}.threshold", {0: 0.3, 1: "high"}, f"{LAYOUT}.threshold: input should be a valid number"),
        (f"{LAYOUT}.threshold", 30, f"{LAYOUT}.threshold: input should be less than or equal to 1"),
        (f"{LAYOUT}.threshold", float("nan"), f"{LAYOUT}.threshold: input should be a finite number"),
        (f"{LAYOUT}.layout_merge_bboxes_mode", {0: "big"}, "should be 'large', 'small' or 'union'"),
        (f"{LAYOUT}.model_dir", 5, f"{LAYOUT}.model_dir: input should be a valid string"),
        (f"{LAYOUT}.model_name", None, f"{LAYOUT}.model_name is missing"),
        (f"{GENERAL}.text_type", "handwriting", "text_type: input should be 'general' or 'seal'"),
        (GENERAL, "OCR", f"{GENERAL} is to have keys with values"),
        (f"{LAYOUT}.engine", "tensorrt", f"{LAYOUT}.engine: input should be 'paddle'"),
        ("pipeline_name", "OCR", "is no configuration of PP-StructureV3"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say_is_named_with_its_place(
    paddlex: dict[str, Any], tmp_path: Path, place: str, value: object, reason: str
):
    assert reason in refused(tmp_path, changed(paddlex, {place: value}))


LEVELS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("pipeline_name: PP-StructureV3", "SubModules is missing"),
        ("- a\n- b", "no configuration of PP-StructureV3"),
        ("", "no configuration of PP-StructureV3"),
        ("a: [", "is no YAML file"),
        ("a: !!python/object/apply:os.getcwd []", "is no YAML file"),
        ("\xff\xfe".encode("latin-1").decode("latin-1") + "\x00", "is no YAML file"),
        ("date: 2026-99-99", "is no YAML file"),
        (f"a0: &a0 [x, x]\n{LEVELS}", "more than 20000 values"),
        (f"a0: &a0 {{x: 1}}\n{LEVELS.replace('[', '{<<: [').replace(']', ']}')}", "more than 20000 values"),
        ("a: &a [*a]", "more than 20000 values"),
        ("[" * 1500, "nested too deeply"),
        ("a: " + "x" * 300_000, "more than 262144 bytes"),
    ],
    ids=["empty", "list", "nothing", "no yaml", "tag", "binary", "date", "bomb", "merges", "circle", "deep", "large"],
)
def test_a_file_that_is_no_configuration_is_refused_at_once(tmp_path: Path, content: str, reason: str):
    started = time.monotonic()
    assert reason in refused(tmp_path, content)
    assert time.monotonic() - started < 10


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=f"{tmp_path}/none.yaml cannot be read"):
        pipeline_config.load(Settings(paddleocr_pipeline_config=tmp_path / "none.yaml"))
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        pipeline_config.load(Settings(paddleocr_pipeline_config=tmp_path))


def test_aliases_may_be_used(paddlex: dict[str, Any], tmp_path: Path):
    shared = changed(paddlex, {})
    shared["SubPipelines"]["TableRecognition"]["SubPipelines"]["GeneralOCR"] = shared["SubPipelines"]["GeneralOCR"]
    text = yaml.safe_dump(shared)
    assert "*id001" in text
    assert pipeline_config.load(settings_of(tmp_path, text)) == shared


# --- Pages that the file has prepared ---------------------------------------------------------------------------------


def test_the_files_switches_prepare_pages_in_mode_structure_alone(paddlex: dict[str, Any], tmp_path: Path):
    classifier(tmp_path, "PP-LCNet_x1_0_doc_ori", (0.97, 0.01, 0.01, 0.01))
    unwarper(tmp_path)
    steps = "SubPipelines.DocPreprocessor"
    for changes, models in (
        ({}, ""),
        ({"use_doc_preprocessor": True}, "+PP-LCNet_x1_0_doc_ori+UVDoc"),
        ({"use_doc_preprocessor": True, f"{steps}.use_doc_unwarping": False}, "+PP-LCNet_x1_0_doc_ori"),
        ({"use_doc_preprocessor": True, "use_doc_orientation_classify": False}, "+UVDoc"),
    ):
        settings = settings_of(tmp_path, changed(paddlex, changes))
        engines = Engines(LeanEngine(settings), settings)
        structure = engines.for_options(ReadOptions.resolve(OcrOptions(mode="structure"), settings))
        assert structure.version == StructureEngine(settings).version + models
        assert engines.for_options(ReadOptions.resolve(OcrOptions(), settings)).name == "lean"


def test_the_files_directories_are_those_of_the_models_that_prepare(paddlex: dict[str, Any], tmp_path: Path):
    steps = "SubPipelines.DocPreprocessor"
    changes = {
        "use_doc_preprocessor": True, f"{steps}.use_doc_unwarping": False,
        f"{steps}.SubModules.DocOrientationClassify.model_dir": "mine",
    }  # fmt: skip
    settings = settings_of(tmp_path, changed(paddlex, changes))
    engines = Engines(LeanEngine(settings), settings)
    options = ReadOptions.resolve(OcrOptions(mode="structure"), settings)
    with pytest.raises(
        EngineUnavailable, match=f"DocOrientationClassify.model_dir: there is no directory {tmp_path}/mine"
    ):
        engines.for_options(options)
    classifier(tmp_path, "PP-LCNet_x1_0_doc_ori", (0.01, 0.97, 0.01, 0.01)).rename(tmp_path / "mine")
    assert engines.for_options(options).version.endswith("+PP-LCNet_x1_0_doc_ori")
    assert engines._structure_preparation.orientation_model == tmp_path / "mine"
    assert engines._structure_preparation.orientation

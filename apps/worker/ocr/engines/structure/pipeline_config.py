"""PP-StructureV3's YAML file: read, checked, and every model in it led to a directory on this machine."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ocr.engines import models, opencv_alias
from ocr.engines.paddle import DETECTION_BOX_THRESHOLD, DETECTION_SIDE, DETECTION_UNCLIP_RATIO, TEXTLINE_MODEL
from ocr.engines.structure import bounded_yaml
from ocr.engines.structure.model_files import given_model, looked_for, name_in, named_model
from ocr.engines.structure.pipeline_schema import objection
from quire.errors import EngineUnavailable
from quire.settings import Settings

VARIABLE: Final = "PADDLEOCR_PIPELINE_CONFIG"
PIPELINE: Final = "PP-StructureV3"

Config = dict[str, Any]
# A path of keys within the file, such as `SubModules.LayoutDetection`.
Place = tuple[str, ...]

_OCR: Final[Place] = ("SubPipelines", "GeneralOCR")
_TABLE: Final[Place] = ("SubPipelines", "TableRecognition")
_TABLE_OCR: Final[Place] = (*_TABLE, *_OCR)
_TABLE_ORIENTATION: Final[Place] = (*_TABLE, "SubModules", "TableOrientationClassify")
_SEAL: Final[Place] = ("SubPipelines", "SealRecognition")
_SEAL_OCR: Final[Place] = (*_SEAL, "SubPipelines", "SealOCR")
_FORMULA: Final[Place] = ("SubPipelines", "FormulaRecognition")
_PREPROCESSOR: Final[Place] = ("SubPipelines", "DocPreprocessor")

# The parts that have a switch, PaddleX's default for it, and their models and pipelines of lines.
_SWITCHED: Final[tuple[tuple[str, bool, tuple[Place, ...], tuple[Place, ...]], ...]] = (
    ("use_region_detection", True, (("SubModules", "RegionDetection"),), ()),
    ("use_chart_recognition", False, (("SubModules", "ChartRecognition"),), ()),
    ("use_formula_recognition", True, ((*_FORMULA, "SubModules", "FormulaRecognition"),), ()),
    ("use_seal_recognition", True, (), (_SEAL_OCR,)),
    (
        "use_table_recognition",
        True,
        tuple(
            (*_TABLE, "SubModules", name)
            for name in (
                "TableClassification",
                "WiredTableStructureRecognition",
                "WirelessTableStructureRecognition",
                "WiredTableCellsDetection",
                "WirelessTableCellsDetection",
            )
        ),
        (_TABLE_OCR,),
    ),
)


@dataclass(frozen=True)
class Preparation:
    """What the file has done to pages before they are read, and directories of models that it names for it."""

    orientation: bool = False
    flattening: bool = False
    orientation_model: Path | None = None
    flattening_model: Path | None = None


def load(settings: Settings) -> Config:
    """The file that `PADDLEOCR_PIPELINE_CONFIG` names; without one PaddleX's own, with the text models of this worker.

    Raises:
        EngineUnavailable: it cannot be read, or is not such a file.
    """
    path = settings.paddleocr_pipeline_config
    if path is None:
        return _default(settings)
    try:
        config = bounded_yaml.load(path)
    except OSError as error:
        raise EngineUnavailable(f"{VARIABLE}: {path} cannot be read ({error.strerror or error}).") from error
    except (yaml.YAMLError, ValueError) as error:
        raise EngineUnavailable(f"{VARIABLE}: {path} is no YAML file: {str(error).splitlines()[0]}.") from error
    if not isinstance(config, dict) or config.get("pipeline_name") != PIPELINE:
        raise EngineUnavailable(f"{VARIABLE}: {path} is no configuration of {PIPELINE} (pipeline_name).")
    wrong = objection(config)
    if wrong is not None:
        raise EngineUnavailable(f"{VARIABLE}: {path}: {wrong}.")
    return dict(config)


def runtimes(settings: Settings, threads: int) -> Config:
    """How each of the runtimes is set up that models may be for."""
    # As in mode text: Paddle 3.3 fails on detection graphs through oneDNN.
    paddle = {"run_mode": "paddle"} if settings.uses_gpu else {"run_mode": "paddle", "cpu_threads": threads}
    return {"onnxruntime": {"intra_op_num_threads": threads}, "paddle_static": paddle, "paddle_dynamic": {}}


def digest(config: Config) -> str:
    """The first of the hex digits of its SHA-256: what tells configurations apart."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:12]


def resolved(config: Config, settings: Settings, *, textline_orientation: bool) -> Config:
    """The configuration as PaddleX takes it: each model with its directory and the runtime that its files are for.

    What Quire does itself is switched off there, and what PaddleX would load, or look for, only at the first page
    that needs it is loaded with the rest.

    Raises:
        EngineUnavailable: models are missing or damaged; the message names them, and where to put them.
    """
    made = copy.deepcopy(config)
    _leave_out_preparation(made)
    # As the other engines of text say where words are.
    made["SubPipelines"]["GeneralOCR"]["SubModules"]["TextRecognition"].setdefault("return_word_box", True)
    if _is_on(made, "use_table_recognition"):
        _complete_tables(made)
    if textline_orientation:
        _turn_lines(made, settings)
    missing = []
    for place in used_models(made):
        node = _node(made, place)
        if node is None:
            raise EngineUnavailable(f"{VARIABLE}: {'.'.join(place)} is missing, and what needs it is switched on.")
        if not _resolve(node, place, settings, _asked_runtime(made, place)):
            missing.append(f"{node['model_name']} ({place[-1]})")
        if place[-1] == "TextLineOrientation":
            # In larger batches PaddleX 3.7 gives every crop the orientation of the first one.
            node["batch_size"] = 1
    if missing:
        raise EngineUnavailable(_remedy(missing, settings))
    return made


def used_models(config: Config) -> Iterator[Place]:
    """Where the models are that the switches of a configuration ask for."""
    yield ("SubModules", "LayoutDetection")
    yield from _models_of_lines(config, _OCR)
    for switch, _, places, pipelines in _SWITCHED:
        if _is_on(config, switch):
            yield from places
            for pipeline in pipelines:
                yield from _models_of_lines(config, pipeline)
    if turns_tables(config):
        yield _TABLE_ORIENTATION


def model_name(config: Config, place: Place) -> str | None:
    """What the model there is called; None where there is none."""
    node = _node(config, place)
    return None if node is None else node.get("model_name")


def turns_tables(config: Config) -> bool:
    """Whether tables that lie on their side are turned: where the file has a model for it."""
    return _is_on(config, "use_table_recognition") and _node(config, _TABLE_ORIENTATION) is not None


def turns_lines(config: Config) -> bool:
    """Whether all lines are looked at for being upside down, whatever a request says."""
    return bool((_node(config, _OCR) or {}).get("use_textline_orientation", True))


def preparation(config: Config, settings: Settings) -> Preparation:
    """What is done to pages before they are read, whatever a request says (`use_doc_preprocessor`).

    Raises:
        EngineUnavailable: a directory is named for a model, and that model is not there.
    """
    if not config.get("use_doc_preprocessor", False):
        return Preparation()
    steps = _node(config, _PREPROCESSOR) or {}
    orientation, flattening = (
        bool(config.get(switch, steps.get(switch, True)))
        for switch in ("use_doc_orientation_classify", "use_doc_unwarping")
    )
    return Preparation(
        orientation,
        flattening,
        _prepared_with(config, "DocOrientationClassify", settings) if orientation else None,
        _prepared_with(config, "DocUnwarping", settings) if flattening else None,
    )


def _prepared_with(config: Config, name: str, settings: Settings) -> Path | None:
    place = (*_PREPROCESSOR, "SubModules", name)
    node = _node(config, place)
    if node is None or not node.get("model_dir"):
        return None
    return given_model(
        _beside(settings, node["model_dir"]), _key(place), str(node.get("model_name")), settings, "onnxruntime"
    ).directory


def _models_of_lines(config: Config, pipeline: Place) -> Iterator[Place]:
    """The models of a pipeline that reads lines. One that is not in the file is like that of the page."""
    node = _node(config, pipeline) or _node(config, _OCR) or {}
    yield (*pipeline, "SubModules", "TextDetection")
    yield (*pipeline, "SubModules", "TextRecognition")
    if node.get("use_textline_orientation", True):
        yield (*pipeline, "SubModules", "TextLineOrientation")


def _is_on(config: Config, switch: str) -> bool:
    default = next(default for name, default, *_ in _SWITCHED if name == switch)
    return bool(config.get(switch, default))


def _leave_out_preparation(made: Config) -> None:
    """Pages come upright (`ocr.preparation`) and with a layout, and their Markdown is written from their blocks."""
    for switch in ("use_doc_preprocessor", "use_doc_orientation_classify", "use_doc_unwarping", "format_block_content"):
        made[switch] = False
    for place in (_OCR, _TABLE, _TABLE_OCR, _SEAL, _SEAL_OCR, _FORMULA):
        pipeline = _node(made, place)
        if pipeline is not None:
            pipeline["use_doc_preprocessor"] = pipeline["use_layout_detection"] = False


def _complete_tables(made: Config) -> None:
    """Tables need a pipeline of lines: for those that are turned, and for lines that go through several cells."""
    table = made["SubPipelines"].setdefault("TableRecognition", {"pipeline_name": "table_recognition_v2"})
    table["use_ocr_model"] = True
    if table.get("SubPipelines") is None:
        table["SubPipelines"] = {}
    if table["SubPipelines"].get("GeneralOCR") is None:
        table["SubPipelines"]["GeneralOCR"] = copy.deepcopy(_node(made, _OCR))


def _turn_lines(made: Config, settings: Settings) -> None:
    ocr = made["SubPipelines"]["GeneralOCR"]
    ocr["use_textline_orientation"] = True
    if ocr["SubModules"].get("TextLineOrientation") is None:
        ocr["SubModules"]["TextLineOrientation"] = _textline_model(settings)


def _textline_model(settings: Settings) -> Config:
    """The model for lines that are upside down, as mode text has it."""
    name, given = TEXTLINE_MODEL, settings.paddleocr_cls_model_dir
    return {
        "module_name": "textline_orientation",
        "model_name": name if given is None else name_in(given, "PADDLEOCR_CLS_MODEL_DIR"),
        "model_dir": None if given is None else str(given.absolute()),
    }


def _default(settings: Settings) -> Config:
    opencv_alias.install()
    from paddlex.inference import load_pipeline_config

    config: Config = _plain(load_pipeline_config(PIPELINE))
    for place in (_OCR, _TABLE_OCR):
        ocr = _node(config, place) or {}
        ocr["use_textline_orientation"] = False
        ocr["SubModules"]["TextLineOrientation"] = _textline_model(settings)
        detection, recognition = (ocr["SubModules"][name] for name in ("TextDetection", "TextRecognition"))
        # As in mode text: larger pages take gigabytes of memory, and no more words are found.
        detection |= {
            "limit_side_len": DETECTION_SIDE,
            "limit_type": "max",
            "box_thresh": DETECTION_BOX_THRESHOLD,
            "unclip_ratio": DETECTION_UNCLIP_RATIO,
        }
        for node, bundled, given, variable in (
            (detection, models.BUNDLED_DETECTION[0], settings.paddleocr_det_model_dir, "PADDLEOCR_DET_MODEL_DIR"),
            (recognition, models.BUNDLED_RECOGNITION[0], settings.paddleocr_rec_model_dir, "PADDLEOCR_REC_MODEL_DIR"),
        ):
            node["model_name"] = bundled if given is None else name_in(given, variable)
            node["model_dir"] = None if given is None else str(given.absolute())
    return config


def _plain(value: Any) -> Any:
    """Dictionaries and lists of PaddleX's own kind as plain ones."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _node(config: Config, place: Place) -> Config | None:
    node: Any = config
    for key in place:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _asked_runtime(config: Config, place: Place) -> str | None:
    """The runtime that the file asks for, beside the model or at what is around it."""
    for depth in range(len(place), -1, -1):
        node = _node(config, place[:depth]) or {}
        if node.get("engine") or node.get("use_hpip"):
            return str(node.get("engine") or "hpi")
    return None


def _resolve(node: Config, place: Place, settings: Settings, runtime: str | None) -> bool:
    """Fill in a model's directory and runtime; False if it is not on this machine and is not to be downloaded."""
    if node.get("genai_config"):
        # A server has it.
        return True
    name = str(node["model_name"])
    if node.get("model_dir"):
        found = given_model(_beside(settings, node["model_dir"]), _key(place), name, settings, runtime)
    else:
        by_name = named_model(name, settings, runtime)
        if by_name is None:
            return settings.quire_models == "download"
        found = by_name
    node["model_dir"] = str(found.directory)
    node["engine"] = found.runtime
    return True


def _key(place: Place) -> str:
    return f"{VARIABLE}, {'.'.join(place)}.model_dir"


def _beside(settings: Settings, directory: str) -> Path:
    """A directory that the file names, relative to the file."""
    path = settings.paddleocr_pipeline_config
    return (Path.cwd() if path is None else path.absolute().parent) / directory


def _remedy(missing: list[str], settings: Settings) -> str:
    where, files = settings.quire_model_dir, " or ".join(looked_for(settings))
    return (
        f"mode structure needs models that are not on this machine: {', '.join(dict.fromkeys(missing))}. Put each into "
        f"{where}/NAME (QUIRE_MODEL_DIR: inference.yml and {files}), name its model_dir in {VARIABLE}, "
        "switch off there what needs it, or set QUIRE_MODELS=download."
    )

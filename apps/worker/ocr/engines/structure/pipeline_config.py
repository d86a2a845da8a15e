"""PP-StructureV3's YAML file: read, checked, and every model in it led to a directory on this machine."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from ocr.engines import models, opencv_alias
from ocr.engines.offline import ONNX_FILE, find_model
from ocr.engines.paddle import DETECTION_BOX_THRESHOLD, DETECTION_SIDE, DETECTION_UNCLIP_RATIO, TEXTLINE_MODEL
from quire.errors import EngineUnavailable
from quire.settings import Settings

VARIABLE: Final = "PADDLEOCR_PIPELINE_CONFIG"
PIPELINE: Final = "PP-StructureV3"

Config = dict[str, Any]
# A path of keys within the file, such as `SubModules.LayoutDetection`.
Place = tuple[str, ...]

# The models of each part, and the switch that turns the part on, with PaddleX's default for it.
_ALWAYS: Final[tuple[Place, ...]] = (
    ("SubModules", "LayoutDetection"),
    ("SubPipelines", "GeneralOCR", "SubModules", "TextDetection"),
    ("SubPipelines", "GeneralOCR", "SubModules", "TextRecognition"),
)
_TABLE: Final = ("SubPipelines", "TableRecognition")
_SWITCHED: Final[tuple[tuple[str, bool, tuple[Place, ...]], ...]] = (
    ("use_region_detection", True, (("SubModules", "RegionDetection"),)),
    ("use_chart_recognition", False, (("SubModules", "ChartRecognition"),)),
    ("use_formula_recognition", True, (("SubPipelines", "FormulaRecognition", "SubModules", "FormulaRecognition"),)),
    (
        "use_seal_recognition",
        True,
        (
            ("SubPipelines", "SealRecognition", "SubPipelines", "SealOCR", "SubModules", "TextDetection"),
            ("SubPipelines", "SealRecognition", "SubPipelines", "SealOCR", "SubModules", "TextRecognition"),
        ),
    ),
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
    ),
)
_TABLE_ORIENTATION: Final[Place] = (*_TABLE, "SubModules", "TableOrientationClassify")
_LINE_ORIENTATION: Final[Place] = ("SubPipelines", "GeneralOCR", "SubModules", "TextLineOrientation")


def load(settings: Settings) -> Config:
    """The file that `PADDLEOCR_PIPELINE_CONFIG` names; without one PaddleX's own, with the text models of this worker.

    Raises:
        EngineUnavailable: it cannot be read, or is not such a file.
    """
    path = settings.paddleocr_pipeline_config
    if path is None:
        return _default(settings)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EngineUnavailable(f"{VARIABLE}: {path} cannot be read ({error.strerror or error}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EngineUnavailable(f"{VARIABLE}: {path} is no YAML file: {str(error).splitlines()[0]}.") from error
    _check(config, path)
    return dict(config)


def runtimes(settings: Settings, threads: int) -> Config:
    """How each of the runtimes is set up that models may be for."""
    # As in mode text: Paddle 3.3 fails on detection graphs through oneDNN.
    paddle = {"run_mode": "paddle"} if settings.uses_gpu else {"run_mode": "paddle", "cpu_threads": threads}
    return {"onnxruntime": {"intra_op_num_threads": threads}, "paddle_static": paddle}


def digest(config: Config) -> str:
    """The first of the hex digits of its SHA-256: what tells configurations apart."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:12]


def resolved(config: Config, settings: Settings, *, textline_orientation: bool) -> Config:
    """The configuration as PaddleX takes it: each model with its directory and the runtime that its files are for.

    Pages come upright (`ocr.preparation`): the pipeline's own preprocessing is left out, whatever the file says.

    Raises:
        EngineUnavailable: models are missing or damaged; the message names them, and where to put them.
    """
    made = copy.deepcopy(config)
    made["use_doc_preprocessor"] = made["use_doc_orientation_classify"] = made["use_doc_unwarping"] = False
    ocr = made["SubPipelines"]["GeneralOCR"]
    ocr["use_doc_preprocessor"] = False
    if textline_orientation:
        ocr["use_textline_orientation"] = True
        ocr["SubModules"].setdefault(
            "TextLineOrientation",
            {"module_name": "textline_orientation", "model_name": TEXTLINE_MODEL, "model_dir": None},
        )
    missing = []
    for place in used_models(made):
        node = _node(made, place)
        if node is None:
            raise EngineUnavailable(f"{VARIABLE}: {'.'.join(place)} is missing, and what needs it is switched on.")
        if not _resolve(node, place, settings):
            missing.append(f"{node['model_name']} ({place[-1]})")
    if missing:
        raise EngineUnavailable(_remedy(missing, settings))
    return made


def used_models(config: Config) -> Iterator[Place]:
    """Where the models are that the switches of a configuration ask for."""
    yield from _ALWAYS
    for switch, default, places in _SWITCHED:
        if config.get(switch, default):
            yield from places
    if turns_tables(config):
        yield _TABLE_ORIENTATION
        yield from ((*_TABLE, *place) for place in _ALWAYS[1:])
    if config["SubPipelines"]["GeneralOCR"].get("use_textline_orientation", True):
        yield _LINE_ORIENTATION


def model_name(config: Config, place: Place) -> str | None:
    """What the model there is called; None where there is none."""
    node = _node(config, place)
    return None if node is None else node.get("model_name")


def turns_tables(config: Config) -> bool:
    """Whether tables that lie on their side are turned: where the file has a model for it."""
    return bool(config.get("use_table_recognition", True)) and _node(config, _TABLE_ORIENTATION) is not None


def _default(settings: Settings) -> Config:
    opencv_alias.install()
    from paddlex.inference import load_pipeline_config

    config: Config = _plain(load_pipeline_config(PIPELINE))
    _check(config, Path(PIPELINE))
    for ocr in (
        config["SubPipelines"]["GeneralOCR"],
        config["SubPipelines"]["TableRecognition"]["SubPipelines"]["GeneralOCR"],
    ):
        ocr["use_textline_orientation"] = False
        detection, recognition = (ocr["SubModules"][name] for name in ("TextDetection", "TextRecognition"))
        # As in mode text: larger pages take gigabytes of memory, and no more words are found.
        detection |= {
            "limit_side_len": DETECTION_SIDE,
            "limit_type": "max",
            "box_thresh": DETECTION_BOX_THRESHOLD,
            "unclip_ratio": DETECTION_UNCLIP_RATIO,
        }
        for node, name, given in (
            (detection, models.BUNDLED_DETECTION[0], settings.paddleocr_det_model_dir),
            (recognition, models.BUNDLED_RECOGNITION[0], settings.paddleocr_rec_model_dir),
        ):
            node |= {"model_name": name, "model_dir": None if given is None else str(given.absolute())}
    return config


def _plain(value: Any) -> Any:
    """Dictionaries and lists of PaddleX's own kind as plain ones."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _check(config: Any, path: Path) -> None:
    if not isinstance(config, dict) or config.get("pipeline_name") != PIPELINE:
        raise EngineUnavailable(f"{VARIABLE}: {path} is no configuration of {PIPELINE} (pipeline_name).")
    for place in _ALWAYS:
        node = _node(config, place)
        if node is None or not isinstance(node.get("model_name"), str):
            raise EngineUnavailable(f"{VARIABLE}: {path} has no {'.'.join(place)}.model_name.")


def _node(config: Config, place: Place) -> Config | None:
    node: Any = config
    for key in place:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _resolve(node: Config, place: Place, settings: Settings) -> bool:
    """Fill in a model's directory and runtime; False if it is not on this machine and is not to be downloaded."""
    directory = _directory(node, place, settings)
    if directory is None:
        return settings.quire_models == "download"
    node["model_dir"] = str(directory)
    if "engine" not in node:
        on_onnx = (directory / ONNX_FILE).is_file() and not settings.uses_gpu
        node["engine"] = "onnxruntime" if on_onnx else "paddle_static"
    return True


def _directory(node: Config, place: Place, settings: Settings) -> Path | None:
    given = node.get("model_dir")
    if given:
        config_path = settings.paddleocr_pipeline_config
        base = Path.cwd() if config_path is None else config_path.absolute().parent
        directory = base / str(given)
        # Any runtime's files will do: which there are decides the runtime.
        model = models.given_model(directory, f"{VARIABLE}, {'.'.join(place)}.model_dir", "hpi")
        node["model_name"] = model.name
        return directory
    name = str(node.get("model_name"))
    found = find_model(settings.quire_model_dir, name)
    if found is None and not settings.uses_gpu and settings.quire_models != "download":
        found = _bundled(name, settings)
    return found


def _bundled(name: str, settings: Settings) -> Path | None:
    if name not in (models.BUNDLED_DETECTION[0], models.BUNDLED_RECOGNITION[0]):
        return None
    return next(model.directory for model in models.bundled_models(settings.quire_model_dir) if model.name == name)


def _remedy(missing: list[str], settings: Settings) -> str:
    where = settings.quire_model_dir
    return (
        f"mode structure needs models that are not on this machine: {', '.join(missing)}. Put each into {where}/NAME "
        f"(QUIRE_MODEL_DIR: inference.yml and inference.onnx or inference.json), name its model_dir in {VARIABLE}, "
        "switch off there what needs it, or set QUIRE_MODELS=download."
    )

"""Where PaddleOCR's models come from: a directory that is given, PaddleOCR's own download, or the `rapidocr` wheel."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from ocr.engines import opencv_alias
from quire.errors import EngineUnavailable

# `hpi` is PaddleOCR's high-performance inference plugin, which chooses a runtime for each model itself.
Runtime = Literal["onnxruntime", "paddle", "hpi"]

# PaddleOCR's name for each model, and its file in the `rapidocr` wheel.
BUNDLED_DETECTION: Final = ("PP-OCRv6_small_det", "PP-OCRv6_det_small.onnx")
BUNDLED_RECOGNITION: Final = ("PP-OCRv6_small_rec", "PP-OCRv6_rec_small.onnx")

RUNTIME_FILES: Final[dict[Runtime, tuple[str, ...]]] = {
    "onnxruntime": ("inference.onnx",),
    "paddle": ("inference.json", "inference.pdmodel"),
    "hpi": ("inference.onnx", "inference.json", "inference.pdmodel"),
}
_REMEDY: Final[dict[Runtime, str]] = {
    "onnxruntime": "Convert the model, or set QUIRE_CPU_ENGINE=paddle.",
    "paddle": "Convert the model, or set QUIRE_CPU_ENGINE=onnxruntime.",
    "hpi": "Export the model with PaddleX 3.",
}


@dataclass(frozen=True)
class Model:
    """A model on disk: PaddleOCR's name for it, and the directory with its graph and `inference.yml`."""

    name: str
    directory: Path


def given_model(directory: Path, variable: str, runtime: Runtime) -> Model:
    """The model in a directory that the operator named.

    Raises:
        EngineUnavailable: what is missing there, and what to change.
    """
    if not directory.is_dir():
        raise EngineUnavailable(f"{variable}: there is no directory {directory}.")
    description = directory / "inference.yml"
    if not description.is_file():
        raise EngineUnavailable(f"{variable}: {directory} has no inference.yml. Export the model with PaddleX 3.")
    if not any((directory / name).is_file() for name in RUNTIME_FILES[runtime]):
        raise EngineUnavailable(
            f"{variable}: {directory} has none of {', '.join(RUNTIME_FILES[runtime])}, which the {runtime} runtime "
            f"reads. {_REMEDY[runtime]}"
        )
    try:
        name = yaml.safe_load(description.read_text(encoding="utf-8"))["Global"]["model_name"]
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        name = None
    if not name:
        raise EngineUnavailable(f"{variable}: {description} does not say Global.model_name.")
    return Model(str(name), directory)


def bundled_models(model_dir: Path) -> tuple[Model, Model]:
    """The PP-OCRv6 small detection and recognition models of the `rapidocr` wheel, in PaddleOCR's form.

    They are laid out below `model_dir` once for each version of the wheel; several processes may do so at once.

    Raises:
        EngineUnavailable: `rapidocr` is not installed, or `model_dir` cannot be written.
    """
    try:
        target = model_dir.absolute() / f"bundled-{version('rapidocr')}"
    except PackageNotFoundError:
        raise EngineUnavailable(
            "The bundled models are missing: install rapidocr, set PADDLEOCR_DET_MODEL_DIR and "
            "PADDLEOCR_REC_MODEL_DIR, or set QUIRE_MODELS=download."
        ) from None
    if not target.is_dir():
        try:
            _lay_out(target)
        except OSError as error:
            raise EngineUnavailable(
                f"The models cannot be written to QUIRE_MODEL_DIR ({model_dir}): {error.strerror or error}."
            ) from error
    detection, recognition = BUNDLED_DETECTION[0], BUNDLED_RECOGNITION[0]
    return Model(detection, target / detection), Model(recognition, target / recognition)


def downloaded_runtime(language: str, runtime: Runtime) -> Runtime:
    """The runtime for the models that PaddleOCR downloads for a language: `runtime`, where it offers them for that.

    Not every model is offered as an ONNX graph (PP-OCRv3's, for Kannada, is not); all are offered for Paddle.
    """
    if runtime != "onnxruntime":
        return runtime
    opencv_alias.install()
    from paddlex.inference.utils.official_models import ONNX_SUPPORTED_MODELS

    return runtime if set(names_for(language)) <= ONNX_SUPPORTED_MODELS else "paddle"


def names_for(language: str) -> tuple[str, ...]:
    """PaddleOCR's names of the detector and the recogniser of a language; empty where it has none."""
    opencv_alias.install()
    from paddleocr import PaddleOCR

    # The method does not use its instance, which would load the models.
    names = PaddleOCR._get_ocr_model_names(None, language, None)
    return tuple(name for name in names if name is not None)


def _lay_out(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundled-") as scratch:
        for name, file_name in (BUNDLED_DETECTION, BUNDLED_RECOGNITION):
            directory = Path(scratch) / "models" / name
            directory.mkdir(parents=True)
            shutil.copyfile(wheel_models() / file_name, directory / "inference.onnx")
            description = yaml.safe_dump(_inference_yml(name, directory / "inference.onnx"), allow_unicode=True)
            (directory / "inference.yml").write_text(description, encoding="utf-8")
        try:
            # Whole or not at all: a second process that was faster is no error.
            (Path(scratch) / "models").rename(target)
        except OSError:
            if not target.is_dir():
                raise


def wheel_models() -> Path:
    """The folder of ONNX files within the `rapidocr` wheel.

    Raises:
        EngineUnavailable: it is not installed, or without them.
    """
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailable("The rapidocr package is installed without its models. Install its wheel again.")
    return Path(spec.submodule_search_locations[0]) / "models"


def _inference_yml(name: str, graph: Path) -> dict[str, Any]:
    """PaddleX's description of a model; the recogniser's characters come from the graph's own metadata."""
    # PaddleX remembers what it did not find when it was first imported.
    opencv_alias.install()
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    # It hands out its own dictionaries, which others get after us.
    description: dict[str, Any] = deepcopy(build_inference_meta(name))
    description.setdefault("Global", {})["model_name"] = name
    if name == BUNDLED_RECOGNITION[0]:
        import onnxruntime

        metadata = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"]).get_modelmeta()
        characters = metadata.custom_metadata_map["character"].split("\n")
        description.setdefault("PostProcess", {})["character_dict"] = [c for c in characters if c]
    return description

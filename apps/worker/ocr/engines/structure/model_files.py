"""Where a model of PP-StructureV3 lies, and the runtime that its files are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ocr.engines import models
from ocr.engines.offline import ONNX_FILE, PADDLE_FILES, find_model
from ocr.engines.structure import paddle_weights
from quire.errors import EngineUnavailable
from quire.settings import Settings

# Weights of the models that Paddle runs without a graph of its own: PP-Chart2Table is one.
WEIGHTS_FILES: Final = ("model.safetensors", "model_state.pdparams", "inference.pdparams")

FILES: Final[dict[str, tuple[str, ...]]] = {
    "onnxruntime": (ONNX_FILE,),
    "paddle_static": PADDLE_FILES,
    "paddle_dynamic": WEIGHTS_FILES,
    "transformers": ("model.safetensors",),
    "hpi": (ONNX_FILE, *PADDLE_FILES),
}
_BUNDLED: Final = (models.BUNDLED_DETECTION[0], models.BUNDLED_RECOGNITION[0])


@dataclass(frozen=True)
class FoundModel:
    """A directory, and what PaddleX calls the runtime that its files are for."""

    directory: Path
    runtime: str


def named_model(name: str, settings: Settings, runtime: str | None = None) -> FoundModel | None:
    """The model of this name below `QUIRE_MODEL_DIR`, for `runtime` if that is given; None if it is not there.

    Raises:
        EngineUnavailable: its weights are damaged.
    """
    for each in _runtimes(settings, runtime):
        found = find_model(settings.quire_model_dir, name, FILES[each])
        if found is not None:
            _require_whole(found, name)
            return FoundModel(found, each)
    if name in _BUNDLED and "onnxruntime" in _runtimes(settings, runtime) and settings.quire_models != "download":
        bundled = models.bundled_models(settings.quire_model_dir)
        return FoundModel(next(each.directory for each in bundled if each.name == name), "onnxruntime")
    return None


def given_model(directory: Path, key: str, name: str, settings: Settings, runtime: str | None = None) -> FoundModel:
    """The model in a directory that the file names under `key`.

    Raises:
        EngineUnavailable: there is none, it is not the model `name`, or its weights are damaged.
    """
    if not directory.is_dir():
        raise EngineUnavailable(f"{key}: there is no directory {directory}.")
    found = name_in(directory, key)
    if found != name:
        raise EngineUnavailable(
            f"{key}: {directory} has the model {found}, and the file calls it {name} (model_name). Name the right one."
        )
    for each in _runtimes(settings, runtime):
        if any((directory / file).is_file() for file in FILES[each]):
            _require_whole(directory, name)
            return FoundModel(directory, each)
    wanted = [file for each in _runtimes(settings, runtime) for file in FILES[each]]
    raise EngineUnavailable(f"{key}: {directory} has none of {', '.join(dict.fromkeys(wanted))}.")


def _require_whole(directory: Path, name: str) -> None:
    weights = directory / "inference.pdiparams"
    if weights.is_file() and not paddle_weights.is_whole(weights):
        raise EngineUnavailable(
            f"PP-StructureV3 could not load its models: {name}: {weights} is not whole. Copy it again, or run "
            "`quire models verify`."
        )


def name_in(directory: Path, key: str) -> str:
    """What a model's own `inference.yml` calls it.

    Raises:
        EngineUnavailable: it does not say, or cannot be read.
    """
    path = directory / "inference.yml"
    try:
        name = yaml.safe_load(path.read_text(encoding="utf-8"))["Global"]["model_name"]
    except FileNotFoundError:
        raise EngineUnavailable(f"{key}: {directory} has no inference.yml. Export the model with PaddleX 3.") from None
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise EngineUnavailable(f"{key}: {path} does not say Global.model_name: export the model again.") from error
    return str(name)


def _runtimes(settings: Settings, runtime: str | None) -> tuple[str, ...]:
    """By preference. ONNX Runtime is there for the CPU."""
    if runtime in FILES:
        return (runtime,)
    on_paddle = ("paddle_static", "paddle_dynamic")
    return on_paddle if settings.uses_gpu or runtime == "paddle" else ("onnxruntime", *on_paddle)


def looked_for(settings: Settings) -> Iterator[str]:
    """The files of which a model's directory must have one."""
    yield from dict.fromkeys(file for each in _runtimes(settings, None) for file in FILES[each])

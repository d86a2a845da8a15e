"""Where the networks of the lean engine come from: the wheel that carries them, or directories."""

from __future__ import annotations

from pathlib import Path

from ocr.engines import models
from ocr.engines.lean.prepared import ModelFiles
from quire.errors import EngineUnavailable
from quire.settings import Settings

_DESCRIPTION = "inference.yml"
_GRAPH = "inference.onnx"


def model_files(settings: Settings) -> ModelFiles:
    """The detection and recognition networks these settings name: directories, else those of the `rapidocr` wheel.

    Raises:
        EngineUnavailable: a directory or the wheel that carries the models is missing.
    """
    given_detection, given_recognition = settings.paddleocr_det_model_dir, settings.paddleocr_rec_model_dir
    wheel = models.wheel_models() if given_detection is None or given_recognition is None else Path()
    detection = wheel / models.BUNDLED_DETECTION[1]
    if given_detection is not None:
        detection = _graph(given_detection, "PADDLEOCR_DET_MODEL_DIR")
    if given_recognition is None:
        return ModelFiles(detection, wheel / models.BUNDLED_RECOGNITION[1])
    description = given_recognition / _DESCRIPTION
    return ModelFiles(
        detection,
        _graph(given_recognition, "PADDLEOCR_REC_MODEL_DIR"),
        description if description.is_file() else None,
    )


def _graph(directory: Path, variable: str) -> Path:
    if not directory.is_dir():
        raise EngineUnavailable(f"{variable}: there is no directory {directory}.")
    if not (directory / _GRAPH).is_file():
        raise EngineUnavailable(
            f"{variable}: {directory} has no {_GRAPH}, which the lean engine reads. Convert the model, or set "
            "QUIRE_OCR_ENGINE=paddleocr."
        )
    return directory / _GRAPH

"""Which way up a page image is (PP-LCNet_x1_0_doc_ori)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import yaml

from ocr.engines.offline import ONNX_FILE, require_model
from ocr.preparation.onnx_model import Floats, OnnxModel
from quire.errors import EngineUnavailable
from quire.pages import PageImage

MODEL: Final = "PP-LCNet_x1_0_doc_ori"
# Less sure it turns upright pages now and then, which costs more than a turned one that is read as it is.
LEAST_CONFIDENCE: Final = 0.7

# As the model was trained: the shorter side scaled, the middle cut out, ImageNet's means and deviations.
_SHORT_SIDE: Final = 256
_SIDE: Final = 224
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
_TURNS: Final = ("0", "90", "180", "270")


class Orientation:
    """Tells how far page images are turned clockwise, in quarters. Its model is in `directory`, if that is given.

    Raises:
        EngineUnavailable: the model is missing or damaged.
    """

    def __init__(self, model_dir: Path, threads: int, directory: Path | None = None) -> None:
        directory = directory or require_model(model_dir, MODEL, (ONNX_FILE,), "doc_orientation")
        self._labels = _labels(directory / "inference.yml")
        self._model = OnnxModel(directory / ONNX_FILE, MODEL, threads)

    def quarters(self, image: PageImage) -> tuple[int, float]:
        """Quarter turns, and how sure that is, from 0 to 1: 0 quarters where it is not sure enough."""
        scores = self._model.run(_input(image)).reshape(-1)
        if len(scores) != len(self._labels):
            raise EngineUnavailable(f"The model {MODEL} gives {len(scores)} classes, its inference.yml names others.")
        best = int(np.argmax(scores))
        confidence = float(np.clip(scores[best], 0, 1))
        quarters = _TURNS.index(self._labels[best])
        return (quarters if confidence >= LEAST_CONFIDENCE else 0), confidence


def _labels(path: Path) -> list[str]:
    try:
        labels = [str(each) for each in yaml.safe_load(path.read_text("utf-8"))["PostProcess"]["Topk"]["label_list"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        labels = []
    if sorted(labels) != sorted(_TURNS):
        raise EngineUnavailable(f"{path} does not name the four turns (PostProcess.Topk.label_list): export it again.")
    return labels


def _input(image: PageImage) -> Floats:
    scale = _SHORT_SIDE / min(image.width, image.height)
    size = max(_SIDE, round(image.width * scale)), max(_SIDE, round(image.height * scale))
    small = cv2.resize(image.pixels, size, interpolation=cv2.INTER_LINEAR)
    left, top = (size[0] - _SIDE) // 2, (size[1] - _SIDE) // 2
    middle = small[top : top + _SIDE, left : left + _SIDE].astype(np.float32) / 255
    return np.ascontiguousarray(((middle - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None], np.float32)

"""PaddleOCR with its defaults, on ONNX Runtime with the same model files as Quire."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.systems.base import PageResult, require
from ocr.engines import opencv_alias
from ocr.engines.models import bundled_models
from quire.settings import get_settings, set_default_environment

MIN_SCORE: Final = 0.5


class PaddleDefaults:
    """`PaddleOCR(…)` with nothing but the models, the runtime, and the page and line turning models left out."""

    def __init__(self) -> None:
        require("paddleocr")
        set_default_environment(PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK="True")
        detection, recognition = bundled_models(get_settings().quire_model_dir)
        opencv_alias.install()
        import paddleocr

        logging.getLogger("paddlex").setLevel(logging.WARNING)
        self._pipeline = paddleocr.PaddleOCR(
            engine="onnxruntime",
            device="cpu",
            text_detection_model_name=detection.name,
            text_detection_model_dir=str(detection.directory),
            text_recognition_model_name=recognition.name,
            text_recognition_model_dir=str(recognition.directory),
            use_doc_orientation_classify=False,
            use_doc_unwarping=False,
            use_textline_orientation=False,
        )

    def versions(self) -> dict[str, Any]:
        """See `System.versions`."""
        return {name: version(name) for name in ("paddleocr", "paddlex", "onnxruntime")}

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """See `System.read`. It reads the pictures."""
        return [self._read(image) for image in images]

    def _read(self, image: Path) -> PageResult:
        (page,) = self._pipeline.predict(str(image))
        found = zip(page["rec_texts"], page["rec_polys"], page["rec_scores"], strict=True)
        return PageResult.of_lines([(text, polygon.tolist()) for text, polygon, score in found if score >= MIN_SCORE])

"""RapidOCR with its defaults, on ONNX Runtime or on OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from benchmarks.systems.base import PageResult, require

Runtime = Literal["onnxruntime", "openvino"]


class Rapid:
    """`RapidOCR()`; for OpenVINO with nothing but the three models' runtime named."""

    def __init__(self, runtime: Runtime) -> None:
        require("rapidocr")
        require(runtime)
        from rapidocr import EngineType, RapidOCR

        self._runtime = runtime
        models = ("Det", "Cls", "Rec") if runtime == "openvino" else ()
        self._engine = RapidOCR(params={f"{model}.engine_type": EngineType.OPENVINO for model in models})

    def versions(self) -> dict[str, Any]:
        """See `System.versions`."""
        return {name: version(name) for name in ("rapidocr", self._runtime)}

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """See `System.read`. It reads the pictures."""
        return [self._read(image) for image in images]

    def _read(self, image: Path) -> PageResult:
        found = self._engine(str(image))
        if found.txts is None:
            return PageResult.of_lines([])
        return PageResult.of_lines([(text, box.tolist()) for text, box in zip(found.txts, found.boxes, strict=True)])

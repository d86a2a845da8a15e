"""A small network on ONNX Runtime, with one output of one input."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ocr.engines.halving import is_out_of_memory
from quire.errors import EngineUnavailable, OutOfMemory

Floats = npt.NDArray[np.float32]


class OnnxModel:
    """`source` is a file, or the graph itself."""

    def __init__(self, source: Path | bytes, name: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        graph = str(source) if isinstance(source, Path) else source
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # ONNX Runtime has an exception of its own for each kind of damage.
            raise EngineUnavailable(f"The model {name} cannot be loaded: its ONNX file is damaged.") from error
        self._input = self._session.get_inputs()[0].name
        self._name = name

    def run(self, values: Floats) -> Floats:
        """The first output.

        Raises:
            OutOfMemory: there was not enough memory.
            EngineUnavailable: the graph does not take what such a model takes.
        """
        try:
            return cast(Floats, self._session.run(None, {self._input: values})[0])
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemory(f"The model {self._name} needs more memory than there is.") from None
            raise EngineUnavailable(
                f"The model {self._name} cannot be run: it is not the model it should be."
            ) from error

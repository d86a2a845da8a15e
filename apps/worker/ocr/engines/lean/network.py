"""A network loaded for inference: OpenVINO where it is installed, else ONNX Runtime."""

from __future__ import annotations

import fcntl
import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from quire.errors import EngineUnavailable

Runtime = Literal["openvino", "onnxruntime"]
Outputs = dict[str, npt.NDArray[Any]]

# The names of the graphs' outputs (`graphs.py`, `heads.py`; not imported here, they need the onnx package).
_OUTPUTS: Final = frozenset({"logits", "best", "score", "space", "features", "inside", "outside"})


class Network(Protocol):
    """One array in, named arrays out; may be called from several threads at once.

    `batch_pixels` is how many pixels all lines of a batch may be long together.
    """

    batch_pixels: int

    def run(self, values: npt.NDArray[Any]) -> Outputs:
        """One inference on uint8 pixels (N, H, W, 3) or float32 features; what comes out is the caller's."""


def available_runtime() -> Runtime:
    """The faster of the two runtimes that is installed.

    Raises:
        EngineUnavailable: neither is.
    """
    runtimes: tuple[Runtime, ...] = ("openvino", "onnxruntime")
    for name in runtimes:
        if find_spec(name) is not None:
            return name
    raise EngineUnavailable("Neither openvino nor onnxruntime is installed. Install apps/worker/requirements.txt.")


class OpenVinoNetwork:
    """A network in OpenVINO, with as many requests as may run at once.

    `kept`: how many layers' code, each made for one shape, a stream keeps; the least recently used goes.
    """

    def __init__(self, path: Path, *, threads: int, streams: int, cache: Path, batch_pixels: int, kept: int) -> None:
        self.batch_pixels = batch_pixels
        core = _core()
        config: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "CACHE_DIR": str(cache),
            "CPU_RUNTIME_CACHE_CAPACITY": kept,
            # Pinned, the threads of several processes would all sit on the first cores.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            with _alone_in(cache):
                self._compiled = core.compile_model(str(path), "CPU", config)
        except RuntimeError as error:
            raise EngineUnavailable(
                f"OpenVINO cannot load {path}: {_last_line(error)} Remove its folder; it is made again."
            ) from error
        # An output goes by other names as well where it is a layer's.
        self._names = [next(iter(_OUTPUTS.intersection(output.get_names()))) for output in self._compiled.outputs]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # One more than run at once: its caller prepares its input meanwhile.
        for _ in range(streams + 1):
            self._free.put(self._compiled.create_infer_request())

    def run(self, values: npt.NDArray[Any]) -> Outputs:
        """See `Network.run`."""
        request = self._free.get()
        try:
            request.infer([values], share_inputs=True)
            return {name: request.get_tensor(name).data.copy() for name in self._names}
        finally:
            self._free.put(request)


class OnnxRuntimeNetwork:
    """A network in ONNX Runtime, on its CPU provider or on a GPU's."""

    def __init__(self, path: Path, *, threads: int, providers: Sequence[Any], batch_pixels: int) -> None:
        import onnxruntime

        self.batch_pixels = batch_pixels
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
        except Exception as error:
            raise EngineUnavailable(
                f"ONNX Runtime cannot load {path}: {_last_line(error)} Remove its folder; it is made again."
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._names = [output.name for output in self._session.get_outputs()]

    @property
    def providers(self) -> list[str]:
        """The execution providers in use, in order of preference."""
        return list(self._session.get_providers())

    def run(self, values: npt.NDArray[Any]) -> Outputs:
        """See `Network.run`."""
        return dict(zip(self._names, self._session.run(self._names, {self._input: values}), strict=True))


def _last_line(error: Exception) -> str:
    """The part of a runtime's message that says what is wrong."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{lines[-1].strip().rstrip('.')}." if lines else "no reason given."


def gpu_providers(device: str, kind: Literal["cuda", "tensorrt"], model_dir: Path) -> list[Any]:
    """ONNX Runtime's providers for `device` (`gpu:N`), the preferred first.

    Raises:
        EngineUnavailable: this build of ONNX Runtime has no such provider.
    """
    import onnxruntime

    index = int(device.partition(":")[2] or 0)
    # The exhaustive search would measure every new width of a line again.
    cuda = ("CUDAExecutionProvider", {"device_id": index, "cudnn_conv_algo_search": "HEURISTIC"})
    cache = str(model_dir.absolute() / "lean" / "tensorrt")
    tensorrt = (
        "TensorrtExecutionProvider",
        {"device_id": index, "trt_fp16_enable": True, "trt_engine_cache_enable": True, "trt_engine_cache_path": cache},
    )
    chosen = [tensorrt, cuda] if kind == "tensorrt" else [cuda]
    missing = [name for name, _ in chosen if name not in onnxruntime.get_available_providers()]
    if missing:
        raise EngineUnavailable(
            f"A GPU is asked for, but this ONNX Runtime has no {missing[0]}: install onnxruntime-gpu, "
            "or set QUIRE_OCR_ENGINE=paddleocr."
        )
    return chosen


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: of processes that write the same file to it at once, one may find it gone.

    What cannot be written needs no lock.
    """
    with ExitStack() as held:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            # Released with the file, also if the process is killed.
            fcntl.flock(held.enter_context((folder / ".lock").open("w")), fcntl.LOCK_EX)
        yield


@cache
def _core() -> Any:
    """One OpenVINO core a process: each holds its own plugins."""
    import openvino

    # Makes a table that OpenVINO otherwise makes at the first inference: two threads that meet there wait for each
    # other for ever, with the interpreter's lock held.
    openvino.Type.u8.to_dtype()
    return openvino.Core()


def quantized(source: Path, ranges: dict[str, tuple[float, float]], target: Path) -> None:
    """Write the network at `source` to `target` (OpenVINO IR) with these convolutions in eight bits.

    `ranges` has the smallest and largest input of each convolution, by its name in the ONNX file. Inputs become 256
    levels over their range with zero among them, weights 255 levels for each output channel; OpenVINO computes such
    layers in integers. Scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference" (2018).
    """
    import openvino
    from openvino import opset13

    model = _core().read_model(str(source))
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "Convolution" or operation.get_friendly_name() not in ranges:
            continue
        low, high = _with_zero(*ranges[operation.get_friendly_name()])
        limits = [opset13.constant(np.full((1, 1, 1, 1), value, np.float32)) for value in (low, high)]
        values = operation.input(0).get_source_output()
        if len(values.get_target_inputs()) > 1:
            # Becomes one pass with the quantisation, which on its own takes three: to floats, to integers, reordered.
            values = opset13.minimum(values, limits[1]).output(0)
        operation.input(0).replace_source_output(opset13.fake_quantize(values, *limits, *limits, 256).output(0))
        weights = operation.input(1).get_source_output()
        largest = np.abs(weights.get_node().data).max(axis=(1, 2, 3), keepdims=True).astype(np.float32) + 1e-12
        bounds = [opset13.constant(-largest), opset13.constant(largest)]
        operation.input(1).replace_source_output(opset13.fake_quantize(weights, *bounds, *bounds, 255).output(0))
    model.validate_nodes_and_infer_types()
    openvino.save_model(model, str(target), compress_to_fp16=False)


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """The range widened and shifted so that zero is one of its 256 levels."""
    low, high = min(low, 0.0), max(high, 1e-6)
    step = (high - low) / 255
    zero = round(-low / step)
    return -zero * step, (255 - zero) * step

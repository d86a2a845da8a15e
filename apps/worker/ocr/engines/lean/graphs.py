"""The two networks of PP-OCR, rebuilt from their published ONNX files for what this engine feeds and reads.

Both take uint8 RGB pixels as they lie in memory and normalise in their first layer: four times fewer bytes to copy in,
and no pass over floats in Python. The recogniser's last layer is cut to the classes of a script set (`heads.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ocr.engines.lean import rewrites
from ocr.engines.lean.crops import LINE_HEIGHT
from ocr.engines.lean.hard_swish import HardSwish, use_hard_swishes
from ocr.engines.lean.heads import Head, decided, decision
from quire.errors import EngineUnavailable

# Mean and deviation of each channel as PaddleOCR normalises: it feeds BGR, these are in the order of RGB.
_DETECTION_MEAN, _DETECTION_DEVIATION = (0.406, 0.456, 0.485), (0.225, 0.224, 0.229)
_RECOGNITION_MEAN = _RECOGNITION_DEVIATION = (0.5, 0.5, 0.5)


def characters_of(model: Any) -> list[str]:
    """The characters in a recogniser's metadata, in the order of its classes; without the blank. Empty if none."""
    stored = {entry.key: entry.value for entry in model.metadata_props}.get("character", "")
    return [character for character in stored.split("\n") if character]


def detection_graph(path: Path) -> Any:
    """The detector: `image` uint8 (1, H + 1, W + 1, 3) → `logits` float32 (1, 1, H, W), before the sigmoid.

    The first row and column are `detection.PADDING`.

    Raises:
        EngineUnavailable: the file is not such a network.
    """
    model = _load(path)
    with _Refusal(path, "a DB text detector"):
        _take_pixels(model, _DETECTION_MEAN, _DETECTION_DEVIATION, "H")
        rewrites.split_concatenation(model)
        rewrites.clamp_gates(model)
        rewrites.enlarge_by_reordering(model)
        rewrites.enlarge_once(model)
        output = model.graph.output[0].name
        last = next(node for node in model.graph.node if output in node.output)
        if last.op_type == "Identity":
            last = next(node for node in model.graph.node if last.input[0] in node.output)
        if last.op_type != "Sigmoid":
            raise ValueError("no sigmoid at its end")
        # The sigmoid of a whole page costs more than some layers; it is only needed within boxes.
        _replace_outputs(
            model,
            [helper.make_node("Identity", [last.input[0]], ["logits"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        )
    return model


def recognition_graph(
    path: Path, classes: Sequence[int], space: int | None, swishes: Mapping[str, HardSwish] | None = None
) -> tuple[Any, Head]:
    """The recogniser, cut to `classes` (indices into all of them, the blank first), and its uncut head.

    `image` uint8 (N, 49, W + 1, 3), first row and column `crops.GREY` → for each of T = W / 8 steps: `best` int64
    (N, T), an index into `classes`; `score` float32 (N, T), its probability among `classes`; `space` float32 (N, T),
    the probability of the class `space` (an index into `classes`; None: there is none, zeros); `features` float32
    (N, T, F), what the head is applied to. `swishes`: see `use_hard_swishes`.

    Raises:
        EngineUnavailable: the file is not such a network.
    """
    model = _load(path)
    with _Refusal(path, "a CTC text recogniser"):
        graph = model.graph
        _take_pixels(model, _RECOGNITION_MEAN, _RECOGNITION_DEVIATION, LINE_HEIGHT + 1)
        rewrites.split_concatenation(model)
        rewrites.clamp_gates(model)
        use_hard_swishes(model, swishes or {})
        constants = {tensor.name: tensor for tensor in graph.initializer}
        position = max(index for index, node in enumerate(graph.node) if node.op_type == "MatMul")
        product, addition = graph.node[position], graph.node[position + 1]
        features = product.input[0]
        weight_name, bias_name = product.input[1], next(name for name in addition.input if name in constants)
        head = Head(
            numpy_helper.to_array(constants[weight_name]).astype(np.float32),
            numpy_helper.to_array(constants[bias_name]).astype(np.float32).reshape(-1),
        )
        if head.weights.shape[1] != head.bias.shape[0] or max(classes) >= head.bias.shape[0]:
            raise ValueError("its head does not fit its characters")
        nodes, constants_of_head = decision(head, classes, features, space)
        graph.initializer.extend(constants_of_head)
        _replace_outputs(
            model,
            [*nodes, helper.make_node("Identity", [features], ["features"])],
            [
                *decided(),
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", "T", head.weights.shape[0]]),
            ],
        )
    return model, head


def class_count(path: Path) -> int:
    """How many classes a recogniser tells apart, the blank included."""
    model = _load(path)
    with _Refusal(path, "a CTC text recogniser"):
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        product = next(node for node in reversed(model.graph.node) if node.op_type == "MatMul")
        return int(constants[product.input[1]].dims[1])


class _Refusal:
    """Turns the ways in which unknown graphs fail into one error that names the file."""

    def __init__(self, path: Path, expected: str) -> None:
        self._path, self._expected = path, expected

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (KeyError, ValueError, IndexError, StopIteration, AttributeError)):
            raise EngineUnavailable(
                f"{self._path} is not {self._expected} that the lean engine knows ({error}). "
                "Set QUIRE_OCR_ENGINE=paddleocr."
            ) from error


def _load(path: Path) -> Any:
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf raises its own kinds
        raise EngineUnavailable(f"{path} cannot be read as an ONNX model. Install it again.") from error
    rewrites.without_identities(model)
    return model


def _take_pixels(
    model: Any, mean: tuple[float, float, float], deviation: tuple[float, float, float], height: int | str
) -> None:
    """Let the first convolution take RGB pixels from 0 to 255 as they lie in memory: the input becomes `image`.

    Normalisation is linear, so it goes into the weights and a constant. Its zero padding would be black now: the
    padding is taken away, and the caller's image begins with one row and one column of the mean instead.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    old = graph.input[0].name
    position = next(index for index, node in enumerate(graph.node) if node.op_type == "Conv")
    first = graph.node[position]
    options = {attribute.name: list(attribute.ints) for attribute in first.attribute if attribute.ints}
    weights = numpy_helper.to_array(constants[first.input[1]]).astype(np.float32)
    expected = {"pads": [1, 1, 1, 1], "strides": [2, 2], "kernel_shape": [3, 3]}
    if weights.shape[1] != 3 or any(options.get(name) != value for name, value in expected.items()):
        raise ValueError("its first layer is another")
    # The published weights are for BGR.
    weights = weights[:, ::-1]
    scaled = weights / (255 * np.asarray(deviation, np.float32)).reshape(1, 3, 1, 1)
    shift = -(weights * (np.asarray(mean) / np.asarray(deviation)).reshape(1, 3, 1, 1)).sum(axis=(1, 2, 3))
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(scaled, np.float32), "pixel_weights"),
            numpy_helper.from_array(shift.astype(np.float32), "pixel_shift"),
        ]
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], [old], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv",
            [old, "pixel_weights", "pixel_shift"],
            [first.output[0]],
            first.name,
            strides=[2, 2],
            pads=[0, 0, 0, 0],
        ),
    ]
    graph.node.remove(first)
    for node in reversed(nodes):
        graph.node.insert(position, node)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", height, "W", 3]))


def _replace_outputs(model: Any, nodes: list[Any], outputs: list[Any]) -> None:
    """Append `nodes`, make `outputs` the graph's, and drop what nothing needs any more."""
    graph = model.graph
    graph.node.extend(nodes)
    del graph.output[:]
    graph.output.extend(outputs)
    needed = {value.name for value in outputs}
    kept: list[Any] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]

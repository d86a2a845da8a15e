"""Graphs rewritten into cheaper ones: they say the same, and what is unlike the known networks stays as it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocr.engines.lean import graphs, rewrites
from ocr.engines.lean.files import model_files
from quire.settings import Settings

FILES = model_files(Settings())
RANDOM = np.random.default_rng(5)


def kinds(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def graph(nodes: list[Any], constants: dict[str, Any], channels: int = 3) -> Any:
    """A model from `x` (1, channels, H, W) to `y`."""
    tensors = [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, "H", "W"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_graph(nodes, "test", inputs, outputs, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def weights(*shape: int) -> Any:
    return RANDOM.normal(0, 1, shape)


def answer(model: Any, channels: int = 3) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).normal(0, 1, (1, channels, 6, 10)).astype(np.float32)
    return session.run(["y"], {"x": image})[0]


def rewritten(model: Any, rewrite: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    rewrite(copy)
    return copy


def test_the_published_networks_are_rewritten():
    plain, detector = onnx.load(str(FILES.detection)), graphs.detection_graph(FILES.detection)
    before, after = kinds(plain), kinds(detector)
    assert (before["HardSigmoid"], after["HardSigmoid"], after["Clip"]) == (13, 0, 13)
    assert (before["ConvTranspose"], after["ConvTranspose"], after["DepthToSpace"]) == (2, 0, 1)
    assert (before["Concat"], after["Concat"]) == (2, 1)
    assert after["Identity"] == 1
    recogniser, _ = graphs.recognition_graph(FILES.recognition, range(100), None)
    before, after = kinds(onnx.load(str(FILES.recognition))), kinds(recogniser)
    assert (before["HardSigmoid"], after["HardSigmoid"], after["Clip"]) == (5, 0, 5)
    assert before["Concat"] - after["Concat"] >= 1


def gated(*, residual: bool, shared: bool = False) -> Any:
    """Squeeze and excitation of `x`; `shared`: what is gated is used once more."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Conv", ["mean", "w"], ["weighed"], "gate"),
        helper.make_node("Add", ["weighed", "b"], ["shifted"]),
        helper.make_node("HardSigmoid", ["shifted"], ["open"], "sigmoid", alpha=0.3, beta=0.4),
        helper.make_node("Mul", ["x", "open"], ["gated"]),
        helper.make_node("Add", ["x", "gated"] if residual else ["gated", "gated"], ["sum"]),
        helper.make_node("Add", ["sum", "gated"] if shared else ["sum", "b"], ["y"]),
    ]
    return graph(nodes, {"w": weights(3, 3, 1, 1), "b": weights(1, 3, 1, 1)})


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_gates_are_clamped_and_what_they_are_added_to_goes_into_them(residual, shared):
    model = gated(residual=residual, shared=shared)
    clamped = rewritten(model, rewrites.clamp_gates)
    assert kinds(clamped)["HardSigmoid"] == 0
    # Only a product that nothing else uses can take the sum's place.
    assert kinds(model)["Add"] - kinds(clamped)["Add"] == int(residual and not shared)
    np.testing.assert_allclose(answer(clamped), answer(model), rtol=1e-5, atol=1e-5)


def test_a_gate_of_something_else_is_left_alone():
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("HardSigmoid", ["positive"], ["open"], "sigmoid"),
        helper.make_node("Mul", ["x", "open"], ["y"]),
    ]
    model = graph(nodes, {})
    assert rewritten(model, rewrites.clamp_gates) == model


def joined(first: str) -> Any:
    """A convolution of two maps side by side, of 2 and 5 channels."""
    nodes = [
        helper.make_node("Conv", ["x", "w2"], ["two"], "two"),
        helper.make_node(first, ["two"], ["left"]),
        helper.make_node("Conv", ["x", "w5"], ["right"], "five"),
        helper.make_node("Concat", ["left", "right"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w"], ["y"], "wide", pads=[1, 1, 1, 1], strides=[2, 2]),
    ]
    return graph(nodes, {"w2": weights(2, 3, 1, 1), "w5": weights(5, 3, 1, 1), "w": weights(4, 7, 3, 3)})


def test_the_convolution_of_two_maps_is_the_sum_of_two():
    model = joined("Relu")
    split = rewritten(model, rewrites.split_concatenation)
    assert kinds(split) == Counter(Conv=4, Relu=1, Add=1)
    np.testing.assert_allclose(answer(split), answer(model), rtol=1e-4, atol=1e-5)


def test_maps_of_unknown_depth_stay_together():
    model = joined("Softplus")
    assert rewritten(model, rewrites.split_concatenation) == model


def enlarged(channels: int) -> Any:
    """Two transposed convolutions with an activation between them, the last with so many channels."""
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w1", "b1"], ["larger"], "first", strides=[2, 2]),
        helper.make_node("Relu", ["larger"], ["positive"]),
        helper.make_node("ConvTranspose", ["positive", "w2"], ["largest"], "second", strides=[2, 2]),
        helper.make_node("Add", ["largest", "b2"], ["y"]),
    ]
    constants = {"w1": weights(3, 5, 2, 2), "b1": weights(5), "w2": weights(5, channels, 2, 2)}
    return graph(nodes, constants | {"b2": weights(1, channels, 1, 1)})


@pytest.mark.parametrize(("channels", "reorderings"), [(1, 1), (2, 2)])
def test_pixels_are_moved_once_at_the_end(channels, reorderings):
    model = enlarged(channels)
    apart = rewritten(model, rewrites.enlarge_by_reordering)
    assert kinds(apart) == Counter(Conv=2, DepthToSpace=2, Relu=1)
    once = rewritten(apart, rewrites.enlarge_once)
    assert kinds(once)["DepthToSpace"] == reorderings
    for one in (apart, once):
        np.testing.assert_allclose(answer(one), answer(model), rtol=1e-4, atol=1e-5)


def test_values_have_one_name():
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("Add", ["b", "x"], ["c"]),
        helper.make_node("Identity", ["c"], ["y"]),
    ]
    model = graph(nodes, {})
    bare = rewritten(model, rewrites.without_identities)
    assert [list(node.input) for node in bare.graph.node] == [["x", "x"], ["c"]]
    np.testing.assert_array_equal(answer(bare), answer(model))

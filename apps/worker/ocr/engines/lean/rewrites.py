"""Rewrites of a network's graph into one that computes the same sums in fewer or cheaper passes.

Each looks for what the published PP-OCR networks have and leaves alone what it does not find. They expect a graph
`without_identities`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from ocr.engines.lean import graph_edits as edits


def without_identities(model: Any) -> None:
    """Drop nodes that hand on what they get, so that each value has one name; a graph's outputs keep theirs."""
    graph = model.graph
    outputs = {value.name for value in graph.output}
    source: dict[str, str] = {}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.output[0] not in outputs]:
        source[node.output[0]] = source.get(node.input[0], node.input[0])
        graph.node.remove(node)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = source.get(name, name)


def enlarge_by_reordering(model: Any) -> None:
    """Transposed convolutions of 2×2 with stride 2 as convolutions of one pixel and a reordering.

    Each pixel becomes four that do not overlap, so both are the same sums; runtimes have faster code for the second.
    """
    graph, constants = model.graph, edits.constants(model)
    for node in [node for node in graph.node if node.op_type == "ConvTranspose"]:
        weights = constants[node.input[1]]
        options = {attribute.name: list(attribute.ints) or attribute.i for attribute in node.attribute}
        if weights.shape[2:] != (2, 2) or options.get("strides") != [2, 2] or options.get("group", 1) != 1:
            continue
        output, bias = _take_bias(model, constants, node)
        flat = weights.transpose(1, 2, 3, 0).reshape(-1, weights.shape[0], 1, 1)
        name = f"{node.name}_reordered"
        inputs = [
            node.input[0],
            edits.add_constant(model, f"{name}_weights", flat),
            edits.add_constant(model, f"{name}_bias", bias.repeat(4)),
        ]
        reorder = helper.make_node("DepthToSpace", [f"{name}_flat"], [output], blocksize=2, mode="CRD")
        edits.replace(graph, [node], [helper.make_node("Conv", inputs, [f"{name}_flat"], name), reorder])


def enlarge_once(model: Any) -> None:
    """Two `enlarge_by_reordering` in a row, the second with one channel, as one: pixels are only moved at the end.

    The four pixels that the first makes of one become four groups of channels, and the second's weights are put on each
    group alone.
    """
    graph, constants = model.graph, edits.constants(model)
    for first in [node for node in graph.node if node.op_type == "DepthToSpace"]:
        chain = edits.chain(graph, first, ("Relu", "Conv", "DepthToSpace"))
        if chain is None:
            continue
        relu, convolution, second = chain
        weights, bias = constants[convolution.input[1]], constants[convolution.input[2]]
        if weights.shape[0] != 4 or weights.shape[2:] != (1, 1):
            continue
        channels = weights.shape[1]
        spread = np.zeros((4, 4, channels * 4), np.float32)
        for pixel in range(4):
            spread[pixel, :, pixel::4] = weights[:, :, 0, 0]
        # Output channels in the order of the 4×4 pixels: row and column of the first enlargement, then of the second.
        order = np.arange(16).reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(-1)
        spread = spread.reshape(16, channels * 4, 1, 1)[order]
        name = convolution.name
        relu.input[0] = first.input[0]
        convolution.input[1] = edits.add_constant(model, f"{name}_spread_weights", spread)
        convolution.input[2] = edits.add_constant(model, f"{name}_spread_bias", np.tile(bias, 4)[order])
        graph.node.remove(first)
        next(attribute for attribute in second.attribute if attribute.name == "blocksize").i = 4


def clamp_gates(model: Any) -> None:
    """Squeeze-and-excitation gates whose last step is a clamp, which runtimes do within the convolution before.

    A hard sigmoid is a clamp of what a convolution gives, scaled: the scale goes into its weights. And x + x · gate
    becomes x · (1 + gate), one pass over x instead of two.
    """
    graph, constants = model.graph, edits.constants(model)
    maker = {name: node for node in graph.node for name in node.output}
    for sigmoid in [node for node in graph.node if node.op_type == "HardSigmoid"]:
        addition = maker[sigmoid.input[0]]
        convolution = maker.get(addition.input[0])
        if addition.op_type != "Add" or convolution is None or convolution.op_type != "Conv":
            continue
        options = {attribute.name: attribute.f for attribute in sigmoid.attribute}
        slope, shift = options.get("alpha", 0.2), options.get("beta", 0.5)
        lowest = 1.0 if _take_residual(graph, sigmoid) else 0.0
        bias = constants[addition.input[1]] * slope + shift + lowest
        name = sigmoid.name
        convolution.input[1] = edits.add_constant(model, f"{name}_weights", constants[convolution.input[1]] * slope)
        addition.input[1] = edits.add_constant(model, f"{name}_bias", bias)
        limits = [
            edits.add_constant(model, f"{name}_least", np.asarray(lowest)),
            edits.add_constant(model, f"{name}_most", np.asarray(lowest + 1)),
        ]
        clip = helper.make_node("Clip", [sigmoid.input[0], *limits], [sigmoid.output[0]], name)
        edits.replace(graph, [sigmoid], [clip])


def split_concatenation(model: Any) -> None:
    """The first convolution of a concatenation as the sum of one convolution for each part.

    At the start of a network maps are large: laying two side by side takes longer than the sum, which is part of the
    second convolution.
    """
    graph, constants = model.graph, edits.constants(model)
    joined = next((node for node in graph.node if node.op_type == "Concat" and len(node.input) == 2), None)
    chain = None if joined is None else edits.chain(graph, joined, ("Conv",))
    depth = None if joined is None else _depth(model, constants, joined.input[0])
    if joined is None or chain is None or depth is None or len(chain[0].input) > 2:
        return
    (convolution,) = chain
    weights = constants[convolution.input[1]]
    parts = []
    for number, some in enumerate((weights[:, :depth], weights[:, depth:])):
        own = f"{convolution.name}_{number}"
        inputs = [joined.input[number], edits.add_constant(model, f"{own}_weights", some)]
        part = helper.make_node("Conv", inputs, [f"{own}_sum"], own)
        part.attribute.extend(convolution.attribute)
        parts.append(part)
    total = helper.make_node("Add", [part.output[0] for part in parts], list(convolution.output))
    edits.replace(graph, [joined, convolution], [*parts, total])


def _depth(model: Any, constants: dict[str, npt.NDArray[Any]], name: str) -> int | None:
    """How many channels a value has: as many as the convolution that it comes from, by way of what keeps them."""
    maker = {output: node for node in model.graph.node for output in node.output}
    while (node := maker.get(name)) is not None and node.op_type in ("Relu", "Add", "MaxPool"):
        name = node.input[0]
    return None if node is None or node.op_type != "Conv" else len(constants[node.input[1]])


def _take_residual(graph: Any, gate: Any) -> bool:
    """Remove the addition of x + x · gate, where there is one: the product takes its place. Whether there was."""
    product = edits.only_user(graph, gate.output[0])
    addition = edits.only_user(graph, product.output[0]) if product is not None and product.op_type == "Mul" else None
    if product is None or addition is None or addition.op_type != "Add":
        return False
    gated = next(name for name in product.input if name != gate.output[0])
    if gated not in addition.input:
        return False
    product.output[0] = addition.output[0]
    graph.node.remove(addition)
    return True


def _take_bias(model: Any, constants: dict[str, npt.NDArray[Any]], node: Any) -> tuple[str, npt.NDArray[np.float32]]:
    """The bias of a transposed convolution, its own or of an addition after it, which goes; and the output's name."""
    channels = constants[node.input[1]].shape[1]
    bias = constants[node.input[2]] if len(node.input) > 2 else np.zeros(channels, np.float32)
    output = node.output[0]
    addition = edits.only_user(model.graph, output)
    if addition is not None and addition.op_type == "Add":
        added = constants.get(next(name for name in addition.input if name != output))
        if added is not None and added.size == channels:
            bias, output = bias + added.reshape(-1), addition.output[0]
            model.graph.node.remove(addition)
    return output, bias.astype(np.float32)

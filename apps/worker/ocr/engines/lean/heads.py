"""The recogniser's last layer: cut to some of its classes, whole, and to compare one set of classes with another.

The arg-max of CTC decoding happens inside the graphs, so that the 18,710 probabilities of each step never leave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

_IR_VERSION: Final = 8
_OPSET: Final = 13
# Classes that the guard weighs at once: what it compares then is still in the second-level cache.
_CLASSES_TOGETHER: Final = 1024


@dataclass(frozen=True)
class Head:
    """The recogniser's last layer: `weights` float32 (features, classes), `bias` float32 (classes,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


def head_graph(head: Head, space: int | None) -> Any:
    """The whole head alone: `features` float32 (N, T, F) → `best`, `score` and `space` as `recognition_graph` has them.

    `best` and `space` are indices into all classes.
    """
    nodes, constants = decision(head, range(head.weights.shape[1]), "features", space)
    return _model("head", nodes, [_features(head, ["N", "T"])], decided(), constants)


def guard_graph(head: Head, classes: Sequence[int], others: Sequence[int]) -> Any:
    """Two parts of a head side by side: `features` float32 (N, F) → `inside` and `outside` float32 (N,).

    They are the largest logits among `classes` and among `others`.
    """
    nodes, constants = [], []
    for name, chosen in (("inside", classes), ("outside", others)):
        parts = [f"{name}_{start}" for start in range(0, len(chosen), _CLASSES_TOGETHER)]
        for number, part in enumerate(parts):
            some = chosen[number * _CLASSES_TOGETHER : (number + 1) * _CLASSES_TOGETHER]
            layer, kept = _logits(head, some, "features", part)
            nodes += [*layer, helper.make_node("ReduceMax", [f"{part}_logits"], [part], axes=[1], keepdims=0)]
            constants += kept
        nodes.append(helper.make_node("Max", parts, [name]))
    answers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("inside", "outside")]
    return _model("guard", nodes, [_features(head, ["N"])], answers, constants)


def decision(head: Head, classes: Sequence[int], features: str, space: int | None) -> tuple[list[Any], list[Any]]:
    """The nodes that make `best`, `score` and `space` of features with the head's `classes`, and their constants."""
    layer, constants = _logits(head, classes, features, "kept")
    nodes = [
        *layer,
        helper.make_node("Softmax", ["kept_logits"], ["probabilities"], axis=2),
        helper.make_node("ReduceMax", ["probabilities"], ["score"], axes=[2], keepdims=0),
        # An arg-max by comparison: OpenVINO's own takes several times as long.
        helper.make_node("ReduceMax", ["probabilities"], ["largest"], axes=[2], keepdims=1),
        helper.make_node("Equal", ["probabilities", "largest"], ["is_largest"]),
        helper.make_node("Where", ["is_largest", "class_numbers", "no_class"], ["candidates"]),
        helper.make_node("ReduceMin", ["candidates"], ["first"], axes=[2], keepdims=0),
        helper.make_node("Cast", ["first"], ["best"], to=TensorProto.INT64),
    ]
    constants += [
        numpy_helper.from_array(np.arange(len(classes), dtype=np.float32), "class_numbers"),
        numpy_helper.from_array(np.asarray(len(classes), np.float32), "no_class"),
    ]
    if space is None:
        return [*nodes, helper.make_node("Sub", ["score", "score"], ["space"])], constants
    constants.append(numpy_helper.from_array(np.asarray(space, np.int64), "space_class"))
    return [*nodes, helper.make_node("Gather", ["probabilities", "space_class"], ["space"], axis=2)], constants


def decided() -> list[Any]:
    """What `decision` makes, as outputs of a graph: each (N, T)."""
    kinds = {"best": TensorProto.INT64, "score": TensorProto.FLOAT, "space": TensorProto.FLOAT}
    return [helper.make_tensor_value_info(name, kind, ["N", "T"]) for name, kind in kinds.items()]


def _logits(head: Head, classes: Sequence[int], features: str, name: str) -> tuple[list[Any], list[Any]]:
    """The nodes that make `NAME_logits` of features with these columns of the head, and the columns."""
    columns = np.asarray(classes)
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(head.weights[:, columns]), f"{name}_weights"),
        numpy_helper.from_array(np.ascontiguousarray(head.bias[columns]), f"{name}_bias"),
    ]
    nodes = [
        helper.make_node("MatMul", [features, f"{name}_weights"], [f"{name}_product"]),
        helper.make_node("Add", [f"{name}_product", f"{name}_bias"], [f"{name}_logits"]),
    ]
    return nodes, constants


def _features(head: Head, shape: list[str]) -> Any:
    return helper.make_tensor_value_info("features", TensorProto.FLOAT, [*shape, head.weights.shape[0]])


def _model(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> Any:
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)

"""Looking at a network's ONNX graph and changing it, a few nodes at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper


def constants(model: Any) -> dict[str, npt.NDArray[Any]]:
    """The graph's constants by their names."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def add_constant(model: Any, name: str, values: npt.NDArray[Any]) -> str:
    """Add a constant, as float32; its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
    return name


def only_user(graph: Any, name: str) -> Any | None:
    """The node that uses a value, where it is one."""
    users = [node for node in graph.node if name in node.input]
    return users[0] if len(users) == 1 else None


def chain(graph: Any, first: Any, kinds: Sequence[str]) -> list[Any] | None:
    """The nodes of these kinds that follow `first`, each the only one that uses what comes before; else None."""
    found: list[Any] = []
    for kind in kinds:
        user = only_user(graph, (found[-1] if found else first).output[0])
        if user is None or user.op_type != kind:
            return None
        found.append(user)
    return found


def replace(graph: Any, old: list[Any], new: list[Any]) -> None:
    """Put `new` nodes where the last of the `old` ones stands."""
    position = list(graph.node).index(old[-1]) + 1 - len(old)
    for node in old:
        graph.node.remove(node)
    for node in reversed(new):
        graph.node.insert(position, node)

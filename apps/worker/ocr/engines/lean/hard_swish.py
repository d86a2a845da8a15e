"""GELU activations as hard swishes, which a runtime computes within the convolution before at little cost.

x · Φ(x) ≈ gain · x · clamp(steepness · x + ½, 0, 1) + offset, with three numbers for each channel, fitted to what the
channel gets. Steepness and gain go into the weights before and after, the offset into the bias after; what remains is
the hard swish of Howard et al., "Searching for MobileNetV3" (2019), which all runtimes have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from onnx import helper

from ocr.engines.lean import graph_edits as edits

Floats = npt.NDArray[np.float32]

_STEEPNESS: Final = np.linspace(0.16, 0.46, 31, dtype=np.float32)
# What follows the division by √2.
_KINDS: Final = ("Erf", "Add", "Mul", "Mul", "Conv", "Add")


@dataclass(frozen=True)
class HardSwish:
    """What stands for GELU in each of C channels: `steepness`, `gain` and `offset` float32 (C,)."""

    steepness: Floats
    gain: Floats
    offset: Floats

    @classmethod
    def fitted(cls, given: Floats, wanted: Floats) -> Self:
        """The numbers with the least squared error, for inputs `given` and results `wanted`, float32 (samples, C)."""
        mean = wanted.mean(axis=0)
        least = np.full(given.shape[1], np.inf, np.float32)
        found = np.zeros((3, given.shape[1]), np.float32)
        for steepness in _STEEPNESS:
            values = given * np.clip(steepness * given + np.float32(0.5), 0, 1)
            own = values.mean(axis=0)
            gain = ((values - own) * (wanted - mean)).mean(axis=0) / (values.var(axis=0) + np.float32(1e-9))
            offset = mean - gain * own
            error = ((wanted - gain * values - offset) ** 2).mean(axis=0)
            better = error < least
            least = np.where(better, error, least)
            found = np.where(better, (np.full_like(gain, steepness), gain, offset), found)
        return cls(*found)

    @classmethod
    def of_lists(cls, stored: Mapping[str, Sequence[float]]) -> Self:
        """From what `lists` gave."""
        return cls(*(np.asarray(stored[name], np.float32) for name in ("steepness", "gain", "offset")))

    def lists(self) -> dict[str, list[float]]:
        """As JSON holds it."""
        numbers = {"steepness": self.steepness, "gain": self.gain, "offset": self.offset}
        return {name: [round(float(value), 4) for value in values] for name, values in numbers.items()}


@dataclass(frozen=True)
class Gelu:
    """A GELU between two convolutions with biases: its nodes in a graph, and what it takes and gives."""

    before: tuple[Any, Any]
    nodes: tuple[Any, ...]
    after: tuple[Any, Any]

    @property
    def layer(self) -> str:
        """The name of the convolution after it, which it is known by."""
        return str(self.after[0].name)

    @property
    def input(self) -> str:
        """The value that it takes."""
        return str(self.nodes[0].input[0])

    @property
    def output(self) -> str:
        """The value that it gives."""
        return str(self.nodes[-1].output[0])


def gelus(model: Any) -> Iterator[Gelu]:
    """The GELUs of a network in their order."""
    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output}
    for division in [node for node in graph.node if node.op_type == "Div"]:
        addition = maker.get(division.input[0])
        chain = edits.chain(graph, division, _KINDS)
        if addition is None or addition.op_type != "Add" or chain is None:
            continue
        convolution = maker.get(addition.input[0])
        if convolution is not None and convolution.op_type == "Conv":
            yield Gelu((convolution, addition), (division, *chain[:4]), (chain[4], chain[5]))


def use_hard_swishes(model: Any, chosen: Mapping[str, HardSwish]) -> None:
    """Put hard swishes in the place of the GELUs before these convolutions.

    Raises:
        KeyError: there is no GELU before one of them.
    """
    found = {each.layer: each for each in gelus(model)}
    for layer, swish in chosen.items():
        _replace(model, found[layer], swish)


def _replace(model: Any, old: Gelu, swish: HardSwish) -> None:
    constants = edits.constants(model)
    (before, bias_before), (after, bias_after) = old.before, old.after
    scale = 6 * swish.steepness
    weights, bias = constants[after.input[1]], constants[bias_after.input[1]]
    shift = (weights[:, :, 0, 0] @ swish.offset).reshape(1, -1, 1, 1)
    for node, values in (
        (before, constants[before.input[1]] * scale.reshape(-1, 1, 1, 1)),
        (bias_before, constants[bias_before.input[1]] * scale.reshape(1, -1, 1, 1)),
        (after, weights * (swish.gain / scale).reshape(1, -1, 1, 1)),
        (bias_after, bias + shift),
    ):
        node.input[1] = edits.add_constant(model, f"{old.layer}_{node.output[0]}_scaled", values)
    name = f"{old.layer}_hard_swish"
    three, zero, six, sixth = (
        edits.add_constant(model, f"{name}_{number}", np.asarray(value))
        for number, value in enumerate((3, 0, 6, 1 / 6))
    )
    edits.replace(
        model.graph,
        list(old.nodes),
        [
            helper.make_node("Add", [old.input, three], [f"{name}_raised"]),
            helper.make_node("Clip", [f"{name}_raised", zero, six], [f"{name}_clamped"]),
            helper.make_node("Mul", [old.input, f"{name}_clamped"], [f"{name}_product"]),
            helper.make_node("Mul", [f"{name}_product", sixth], [old.output]),
        ],
    )

"""PP-StructureV3's models as small ONNX graphs: inputs and outputs of the real ones, answers that are fixed.

What is detected, classified and recognised is written down here; loading, pre- and post-processing and the whole
pipeline are PaddleX's own. Detection and recognition of text are the real networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from ocr.engines import opencv_alias

# Class, score, left, top, right, bottom in pixels of the page.
Found = tuple[int, float, float, float, float, float]


def description(name: str) -> dict[str, Any]:
    """What PaddleX itself writes beside a model of this name."""
    opencv_alias.install()
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    made: dict[str, Any] = build_inference_meta(name)
    made.setdefault("Global", {})["model_name"] = name
    return made


def save(folder: Path, name: str, graph: onnx.GraphProto, meta: dict[str, Any] | None = None) -> Path:
    """The model as PaddleX keeps it, below `folder`."""
    directory = folder / name
    directory.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(directory / "inference.onnx"))
    text = yaml.safe_dump(meta or description(name), allow_unicode=True)
    (directory / "inference.yml").write_text(text, encoding="utf-8")
    return directory


def detector(folder: Path, name: str, found: Sequence[Found]) -> Path:
    """A detector that finds these boxes on every page of a batch."""
    boxes = np.asarray(found, np.float32).reshape(-1, 6)
    graph = helper.make_graph(
        [
            _constant("answer", boxes),
            _constant("count", np.array([len(boxes)], np.int32)),
            _constant("one", np.array([1], np.int64)),
            helper.make_node("Shape", ["image"], ["pages"], start=0, end=1),
            helper.make_node("Concat", ["pages", "one"], ["times"], axis=0),
            helper.make_node("Tile", ["answer", "times"], ["answers"]),
            *_used("image", "answers", "boxes"),
            helper.make_node("Tile", ["count", "pages"], ["num"]),
        ],
        name,
        [_input("im_shape", [None, 2]), _input("image", [None, 3, None, None]), _input("scale_factor", [None, 2])],
        [_output("boxes", [None, 6]), helper.make_tensor_value_info("num", TensorProto.INT32, [None])],
    )
    return save(folder, name, graph)


def classifier(folder: Path, name: str, scores: Sequence[float]) -> Path:
    """A classifier that gives every image these scores."""
    graph = helper.make_graph(
        [
            _constant("answer", np.asarray([scores], np.float32)),
            _constant("one", np.array([1], np.int64)),
            helper.make_node("Shape", ["x"], ["images"], start=0, end=1),
            helper.make_node("Concat", ["images", "one"], ["times"], axis=0),
            helper.make_node("Tile", ["answer", "times"], ["answers"]),
            *_used("x", "answers", "scores"),
        ],
        name,
        [_input("x", [None, 3, None, None])],
        [_output("scores", [None, len(scores)])],
    )
    return save(folder, name, graph)


def table_structure(folder: Path, name: str, tokens: Sequence[str], boxes: Sequence[Sequence[float]]) -> Path:
    """A table model that writes these tokens for every table; `boxes` are its cells' corners from 0 to 1, by token."""
    meta = description(name)
    characters = list(meta["PostProcess"]["character_dict"])
    if meta["PostProcess"].get("merge_no_span_structure", True):
        characters = [each for each in [*characters, "<td></td>"] if each != "<td>"]
    characters = ["sos", *dict.fromkeys(characters), "eos"]
    indices = [characters.index(token) for token in (*tokens, "eos")]
    probabilities = np.eye(len(characters), dtype=np.float32)[indices][None]
    places = np.zeros((1, len(indices), 8), np.float32)
    places[0, : len(boxes)] = np.asarray(boxes, np.float32)
    graph = helper.make_graph(
        [
            _constant("cells", places),
            _constant("tokens", probabilities),
            *_used("x", "cells", "loc_preds"),
            helper.make_node("Identity", ["tokens"], ["structure_probs"]),
        ],
        name,
        [_input("x", [None, 3, None, None])],
        [_output("loc_preds", list(places.shape)), _output("structure_probs", list(probabilities.shape))],
    )
    return save(folder, name, graph, meta)


def unwarper(folder: Path, shift: float = 0.0) -> Path:
    """UVDoc's end: a grid of 45 × 31 places, interpolated and sampled; the image moves right by `shift` of its width.

    Where the real network computes its grid from the page, this one has it written down.
    """
    across, down = np.meshgrid(np.linspace(-1, 1, 31), np.linspace(-1, 1, 45))
    grid = np.stack([across - 2 * shift, down])[None].astype(np.float32)
    graph = helper.make_graph(
        [
            _constant("grid", grid),
            *_used("image", "grid", "coarse"),
            helper.make_node("Shape", ["image"], ["size"], start=2, end=4),
            _constant("batch", np.array([1, 2], np.int64)),
            helper.make_node("Concat", ["batch", "size"], ["sizes"], axis=0),
            helper.make_node(
                "Resize", ["coarse", "", "", "sizes"], ["fine"], mode="linear",
                coordinate_transformation_mode="align_corners",
            ),
            helper.make_node("Transpose", ["fine"], ["places"], perm=[0, 2, 3, 1]),
            helper.make_node("GridSample", ["image", "places"], ["flat"], align_corners=1),
        ],
        "UVDoc",
        [_input("image", [None, 3, None, None])],
        [_output("flat", [None, 3, None, None])],
    )  # fmt: skip
    return save(folder, "UVDoc", graph, {"Global": {"model_name": "UVDoc"}})


def _used(source: str, answer: str, output: str) -> list[onnx.NodeProto]:
    """The answer, by way of the input: ONNX Runtime leaves inputs out that nothing depends on."""
    return [
        helper.make_node("ReduceMax", [source], [f"{output}_any"], keepdims=0),
        _constant(f"{output}_nought", np.array(0, np.float32)),
        helper.make_node("Mul", [f"{output}_any", f"{output}_nought"], [f"{output}_nothing"]),
        helper.make_node("Add", [answer, f"{output}_nothing"], [output]),
    ]


def _constant(name: str, values: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values, name))


def _input(name: str, shape: list[int | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


_output = _input

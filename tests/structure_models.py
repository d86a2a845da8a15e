"""PP-StructureV3's models as small ONNX graphs: inputs and outputs of the real ones, answers that are fixed.

What is detected, classified and recognised is written down here; loading, pre- and post-processing and the whole
pipeline are PaddleX's own. Detection and recognition of text are the real networks.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from ocr.engines import opencv_alias

# Class, score, left, top, right, bottom in pixels of the page.
Found = tuple[int, float, float, float, float, float]


def description(name: str) -> dict[str, Any]:
    """What PaddleX itself writes beside a model of this name."""
    opencv_alias.install()
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    # Its parts are shared between models.
    made: dict[str, Any] = copy.deepcopy(build_inference_meta(name))
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


def classifier_of_red(folder: Path, name: str) -> Path:
    """A classifier of two classes: the second for images with something red in them."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["colour"], axes=[2, 3], keepdims=0),
            _constant("weights", np.array([[0, 40], [0, 0], [0, -40]], np.float32)),
            _constant("bias", np.array([[0, 10]], np.float32)),
            helper.make_node("MatMul", ["colour", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sums"]),
            helper.make_node("Softmax", ["sums"], ["scores"], axis=1),
        ],
        name,
        [_input("x", [None, 3, None, None])],
        [_output("scores", [None, 2])],
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


def formula_recogniser(folder: Path, tokens: Sequence[str], name: str = "PP-FormulaNet_plus-L") -> Path:
    """A model of formulas that writes these tokens for every one; its `inference.yml` has a tokenizer of them."""
    known = {token: index for index, token in enumerate(dict.fromkeys(("<s>", "<pad>", "</s>", "<unk>", *tokens)))}
    tokenizer = Tokenizer(WordLevel(known, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    meta = description(name)
    meta["PostProcess"]["character_dict"] = {"fast_tokenizer_file": json.loads(tokenizer.to_str())}
    ids = np.array([[0, *(known[token] for token in tokens), 2]], np.float32)
    graph = helper.make_graph(
        [
            _constant("answer", ids),
            _constant("one", np.array([1], np.int64)),
            helper.make_node("Shape", ["x"], ["images"], start=0, end=1),
            helper.make_node("Concat", ["images", "one"], ["times"], axis=0),
            helper.make_node("Tile", ["answer", "times"], ["answers"]),
            *_used("x", "answers", "sums"),
            helper.make_node("Cast", ["sums"], ["ids"], to=TensorProto.INT64),
        ],
        name,
        [_input("x", [None, 1, None, None])],
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [None, None])],
    )
    return save(folder, name, graph, meta)


def seal_detector(folder: Path, band: tuple[float, float] = (0.3, 0.7), name: str = "PP-OCRv4_server_seal_det") -> Path:
    """A detector of text within seals: one line, from `band[0]` to `band[1]` of the height."""
    meta = description("PP-OCRv5_server_det") | {"Global": {"model_name": name}}
    meta["PostProcess"] |= {"box_type": "poly", "unclip_ratio": 0.5}
    probabilities = np.zeros((1, 1, 40, 40), np.float32)
    probabilities[..., round(40 * band[0]) : round(40 * band[1]), 2:38] = 1
    graph = helper.make_graph(
        [
            _constant("answer", probabilities),
            helper.make_node("Shape", ["x"], ["size"], start=2, end=4),
            _constant("batch", np.array([1, 1], np.int64)),
            helper.make_node("Concat", ["batch", "size"], ["sizes"], axis=0),
            helper.make_node("Resize", ["answer", "", "", "sizes"], ["map"], mode="nearest"),
            *_used("x", "map", "probabilities"),
        ],
        name,
        [_input("x", [None, 3, None, None])],
        [_output("probabilities", [None, 1, None, None])],
    )
    return save(folder, name, graph, meta)


def chart_reader(folder: Path, words: Sequence[str]) -> Path:
    """PP-Chart2Table as PaddleX itself builds and saves it, small, with random weights but for what comes after a word.

    It says `words` of every chart: each leads to the next, whatever there is to be seen.
    """
    import paddle
    from paddlex.inference.models.doc_vlm.modeling import PPChart2TableInference
    from paddlex.inference.models.doc_vlm.modeling._config_pp_chart2table import PPChart2TableConfig

    directory = folder / "PP-Chart2Table"
    directory.mkdir(parents=True, exist_ok=True)
    tokens = [*(bytes([value]) for value in range(256)), *(word.encode() for word in words)]
    ranks = "".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    (directory / "qwen.tiktoken").write_text(ranks)
    # The tokenizer adds 208 of its own, of which the third ends a text.
    end, size = len(tokens) + 2, len(tokens) + 208
    marks = ("<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>")
    added = {mark: size + index for index, mark in enumerate(marks)}
    (directory / "added_tokens.json").write_text(json.dumps(added))
    size += len(marks)
    vision = {
        "hidden_size": 8, "output_channels": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_dim": 8,
        "global_attn_indexes": [],
    }  # fmt: skip
    text = {
        "vocab_size": size, "hidden_size": 64, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 2048,
    }  # fmt: skip
    config = PPChart2TableConfig(
        vision_config=vision, text_config=text, image_token_index=added["<imgpad>"], tie_word_embeddings=False,
        eos_token_id=end, pad_token_id=len(tokens), vocab_size=size,
    )  # fmt: skip
    parts = {"vision_config": config.vision_config.to_dict(), "text_config": config.text_config.to_dict()}
    (directory / "config.json").write_text(json.dumps(config.to_dict() | parts))
    model = PPChart2TableInference(config)
    embedded = np.random.default_rng(0).choice([-1.0, 1.0], (size, 64)).astype(np.float32)
    following = np.zeros((64, size), np.float32)
    # What is asked for ends with a line's end.
    for before, after in pairwise([ord("\n"), *range(256, 256 + len(words)), end]):
        following[:, after] = embedded[before]
    for key, weights in model.state_dict().items():
        if key.endswith("embed_tokens.weight"):
            weights.set_value(embedded)
        elif key.endswith("lm_head.weight"):
            weights.set_value(following)
        elif key.endswith(("o_proj.weight", "down_proj.weight")):
            # The layer passes on what comes in.
            weights.set_value(np.zeros(weights.shape, np.float32))
    paddle.save(model.state_dict(), str(directory / "model_state.pdparams"))
    (directory / "inference.yml").write_text(yaml.safe_dump(description("PP-Chart2Table")))
    return directory


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

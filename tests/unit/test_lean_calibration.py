"""Hard swishes in the place of GELUs, how they are fitted, and what a calibration file says."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from ocr.engines.lean import calibrate, graphs, prepared
from ocr.engines.lean.calibration import Calibration, calibration_of
from ocr.engines.lean.files import model_files
from ocr.engines.lean.hard_swish import HardSwish, gelus, use_hard_swishes
from ocr.engines.lean.prepared import CALIBRATIONS, prepare
from quire.settings import Settings
from tests.unit.test_lean_rewrites import answer, graph, kinds, rewritten, weights

FILES = model_files(Settings())


def gelu_network() -> Any:
    """Convolution, GELU over five channels, convolution; `x` to `y`, as the published recogniser has it."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "first"),
        helper.make_node("Add", ["c1", "b1"], ["a"]),
        helper.make_node("Div", ["a", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["f"]),
        helper.make_node("Mul", ["a", "f"], ["g"]),
        helper.make_node("Mul", ["g", "half"], ["h"]),
        helper.make_node("Conv", ["h", "w2"], ["c2"], "second"),
        helper.make_node("Add", ["c2", "b2"], ["y"]),
    ]
    constants = {"w1": weights(5, 3, 1, 1), "b1": weights(1, 5, 1, 1), "w2": weights(2, 5, 1, 1)}
    return graph(nodes, constants | {"b2": weights(1, 2, 1, 1), "root": math.sqrt(2), "one": 1, "half": 0.5})


def swish_of(**numbers: list[float]) -> HardSwish:
    return HardSwish.of_lists(numbers)


def test_a_hard_swish_is_what_its_numbers_say():
    model = gelu_network()
    (found,) = gelus(model)
    assert (found.layer, found.input, found.output) == ("second", "a", "h")
    numbers = {
        "steepness": [0.2, 0.25, 0.3, 0.35, 0.4],
        "gain": [0.9, 1, 1.1, 1.2, 0.8],
        "offset": [0, 0.1, -0.1, 0, 1],
    }
    swish = swish_of(**numbers)
    hard = rewritten(model, lambda copy: use_hard_swishes(copy, {"second": swish}))
    assert kinds(hard) == Counter(Conv=2, Add=3, Clip=1, Mul=2)

    given = answer(rewritten(model, keep_input))
    steep, gain, offset = (np.asarray(numbers[name]).reshape(1, -1, 1, 1) for name in ("steepness", "gain", "offset"))
    inside = gain * given * np.clip(steep * given + 0.5, 0, 1) + offset
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    expected = np.einsum("oc,nchw->nohw", constants["w2"][:, :, 0, 0], inside) + constants["b2"]
    np.testing.assert_allclose(answer(hard), expected, atol=1e-4)


def keep_input(model: Any) -> None:
    """Let the network end with what its GELU takes."""
    del model.graph.node[2:]
    model.graph.node[1].output[0] = "y"


def test_a_fitted_hard_swish_says_nearly_what_gelu_says():
    chance = np.random.default_rng(3)
    given = (chance.normal(0, 1, (4000, 3)) * [0.3, 1, 3] + [0, -1, 1]).astype(np.float32)
    wanted = (given * 0.5 * (1 + np.vectorize(math.erf)(given / math.sqrt(2)))).astype(np.float32)
    usual = off(swish_of(steepness=[1 / 6] * 3, gain=[1] * 3, offset=[0] * 3), given, wanted)
    fitted = off(HardSwish.fitted(given, wanted), given, wanted)
    assert (fitted < usual / 4).all()
    assert (fitted < [0.02, 0.15, 0.02]).all()
    # What came before may be off already; it is the result that counts.
    assert (off(HardSwish.fitted(given * 1.1, wanted), given * 1.1, wanted) < [0.02, 0.15, 0.02]).all()


def off(swish: HardSwish, given: Any, wanted: Any) -> Any:
    """How far results are from those wanted, as a share of how much these differ."""
    found = swish.gain * given * np.clip(swish.steepness * given + 0.5, 0, 1) + swish.offset
    return np.sqrt(((found - wanted) ** 2).mean(axis=0)) / wanted.std(axis=0)


def test_a_layer_without_a_gelu_before_it_is_refused():
    with pytest.raises(KeyError, match="first"):
        use_hard_swishes(gelu_network(), {"first": swish_of(steepness=[1], gain=[1], offset=[1])})


def test_the_command_says_which_layers_have_a_gelu_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        calibrate.main([str(tmp_path), "no-such-file.png", "--hard-swish", "Conv.9", "Conv.7", "Conv.0"])
    complaint = capsys.readouterr().err
    assert "no GELU before Conv.0, Conv.7, but before Conv.9, Conv.12," in complaint
    assert complaint.count("Conv.") == 2 + 13


def test_each_is_fitted_to_what_it_gets_from_those_before_it():
    lines = list(np.random.default_rng(1).integers(0, 255, (4, 1, 49, 97, 3), np.uint8))
    first, second, both = (
        calibrate.fit_swishes(recogniser, layers, lines) for layers in (["Conv.9"], ["Conv.12"], ["Conv.12", "Conv.9"])
    )
    assert both["Conv.9"].lists() == first["Conv.9"].lists()
    assert both["Conv.12"].lists() != second["Conv.12"].lists()


def recogniser(swishes: dict[str, HardSwish]) -> Any:
    return graphs.recognition_graph(FILES.recognition, range(100), None, swishes)[0]


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path):
    numbers = {"steepness": [0.25, 0.3], "gain": [1.0, 0.9], "offset": [0.0, -0.0125]}
    written = Calibration({"a": (-1.0, 2.5), "b": (0.0, 1.0)}, {"b": swish_of(**numbers)}, {"b": (-0.375, 4.0)})
    written.save(FILES.recognition, 12, tmp_path)
    stored = json.loads((tmp_path / f"{FILES.recognition.stem}.json").read_text())
    assert (stored["model"], stored["images"]) == (FILES.recognition.name, 12)
    found = calibration_of(FILES.recognition, tmp_path)
    assert found is not None
    assert found.ranges == written.ranges
    assert found.ranges_in_use == {"a": (-1.0, 2.5), "b": (-0.375, 4.0)}
    assert found.swishes["b"].lists() == numbers
    assert found.without_swishes().ranges_in_use == written.ranges
    assert calibration_of(FILES.detection, tmp_path) is None


@pytest.mark.parametrize(("script", "hard"), [("latin", 3), ("all", 0)])
def test_only_latin_letters_are_read_with_hard_swishes(script: Any, hard: int, model_dir: Path):
    """They were fitted to lines in these; what other scripts lose was not measured."""
    ready = prepare(FILES, script, "openvino", model_dir, precise=False)
    prepared_kinds = kinds(onnx.load(str(ready.recognition.with_suffix(".onnx"))))
    assert prepared_kinds["Erf"] == kinds(onnx.load(str(FILES.recognition)))["Erf"] - hard
    precise = prepare(FILES, script, "openvino", model_dir, precise=True)
    assert kinds(onnx.load(str(precise.recognition)))["Erf"] == prepared_kinds["Erf"] + hard


def test_a_new_calibration_is_used_at_once(tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """Files that were made without it stay for those who have it not."""
    before = prepare(FILES, "latin", "openvino", model_dir, precise=False)
    monkeypatch.setattr(prepared, "CALIBRATIONS", tmp_path)
    plain = prepare(FILES, "latin", "openvino", model_dir, precise=False)
    assert (before.recognition.suffix, plain.recognition.suffix) == (".xml", ".onnx")
    Calibration({"Conv.50": (-0.17, 3.2)}).save(FILES.recognition, 1, tmp_path)
    after = prepare(FILES, "latin", "openvino", model_dir, precise=False)
    assert after.recognition.suffix == ".xml"
    assert len({before.recognition.parent, plain.recognition.parent, after.recognition.parent}) == 3
    assert before.recognition.exists()


def test_documents_are_calibrated_on(tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """The whole command, on the page that engines warm up with."""
    from PIL import Image

    from ocr.engines.warm_up_page import warm_up_page

    page = tmp_path / "page.png"
    Image.fromarray(warm_up_page().pixels).save(page)
    monkeypatch.setenv("QUIRE_MODEL_DIR", str(model_dir))
    from quire.settings import get_settings

    get_settings.cache_clear()
    try:
        calibrate.main([str(tmp_path / "found"), str(page), "--hard-swish", "Conv.23", "Conv.31"])
    finally:
        get_settings.cache_clear()
    stored = json.loads((tmp_path / "found" / f"{FILES.recognition.stem}.json").read_text())
    assert set(stored["hard_swishes"]) == set(stored["swish_ranges"]) == {"Conv.23", "Conv.31"}
    assert all(len(stored["hard_swishes"][layer]["gain"]) == 384 for layer in ("Conv.23", "Conv.31"))
    assert all(low <= 0 < high for low, high in stored["ranges"].values())
    known = calibration_of(FILES.detection, CALIBRATIONS)
    assert known is not None
    detector = json.loads((tmp_path / "found" / f"{FILES.detection.stem}.json").read_text())
    assert detector["images"] == 1
    assert set(detector["ranges"]) == set(known.ranges)

"""`python -m benchmarks.ceiling`: what it counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ceiling
from ocr.engines.lean import network

openvino = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """3 → 5 channels by a convolution of one pixel, 5 → 5 by 3×3 for each channel, 7 features of a column."""
    image = opset.parameter([-1, 3, -1, -1], np.float32, name="image")
    first = opset.convolution(image, opset.constant(np.ones((5, 3, 1, 1), np.float32)), [1, 1], [0, 0], [0, 0], [1, 1])
    second = opset.group_convolution(
        first, opset.constant(np.ones((5, 1, 1, 3, 3), np.float32)), [1, 1], [1, 1], [1, 1], [1, 1]
    )
    columns = opset.transpose(opset.reduce_mean(second, [2]), [0, 2, 1])
    features = opset.matmul(columns, opset.constant(np.ones((5, 7), np.float32)), False, False)
    openvino.save_model(
        openvino.Model([features], [image], "small"), str(tmp_path / "small.xml"), compress_to_fp16=False
    )
    network.quantized(tmp_path / "small.xml", {first.get_friendly_name(): (0.0, 1.0)}, tmp_path / "integers.xml")
    return tmp_path


def test_multiplications_are_counted_by_kind_at_each_shape(written: Path):
    # A matrix is applied to an eighth of what is the width of pixels as they lie in memory: the third number.
    shapes: Counter[ceiling.Shape] = Counter({(1, 3, 16, 4): 2, (2, 3, 8, 8): 1})
    one_pixel = 2 * 16 * 4 * 5 * 3 + 2 * 8 * 8 * 5 * 3
    each_channel = 2 * 16 * 4 * 5 * 9 + 2 * 8 * 8 * 5 * 9
    matrix = 2 * (16 // 8) * 5 * 7 + 2 * (8 // 8) * 5 * 7
    floats = ceiling.multiplications_of(written / "small.xml", shapes)
    assert floats == pytest.approx({"integers": 0, "floats": (one_pixel + each_channel + matrix) / 1e9})
    integers = ceiling.multiplications_of(written / "integers.xml", shapes)
    assert integers == pytest.approx({"integers": one_pixel / 1e9, "floats": (each_channel + matrix) / 1e9})


def test_the_least_time_is_each_kind_at_its_own_peak():
    uses = {name: ceiling.Use(Counter({(1, 2, 3, 4): 6}), 3.0) for name in ("detection", "recognition", "guard")}
    counted = {"detection": {"integers": 20.0, "floats": 0.0}, "recognition": {"integers": 10.0, "floats": 10.0}}
    found = ceiling.summary(2, 10.0, uses, counted, {"integers": 10.0, "floats": 5.0})
    assert found["networks"]["detection"]["least_seconds"] == 1
    assert found["networks"]["recognition"]["least_seconds"] == 1.5
    assert found["networks"]["recognition"]["share_of_peak"] == 1
    assert found["networks"]["detection"]["inferences"] == 3
    assert (found["seconds"], found["least_seconds"], found["guard_seconds"], found["other_seconds"]) == (
        5,
        2.5,
        1.5,
        0.5,
    )


def test_the_peak_is_a_speed():
    assert ceiling.peak(integers=False) > 1
    assert ceiling.peak(integers=True) > 1

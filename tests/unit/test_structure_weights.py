"""Files of Paddle's weights that are whole, and such that end too early."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ocr.engines.structure.paddle_weights import is_whole

pytestmark = pytest.mark.filterwarnings("ignore")


def tensor(kind: int, dimensions: bytes, data: bytes) -> bytes:
    described = bytes([0x08, kind]) + dimensions
    return struct.pack("<IQIi", 0, 0, 0, len(described)) + described + data


# Two rows of 300 numbers of four bytes each; the second dimension takes two bytes. And three of two bytes.
CONTENT = tensor(5, b"\x10\x02\x10\xac\x02", bytes(2400)) + tensor(4, b"\x12\x01\x03", bytes(6))


@pytest.mark.parametrize("length", [0, 5, 19, 25, 27, 1000, 2426, len(CONTENT) - 1])
def test_a_file_that_ends_early_is_not_whole(tmp_path: Path, length: int):
    path = tmp_path / "inference.pdiparams"
    path.write_bytes(CONTENT)
    assert is_whole(path)
    path.write_bytes(CONTENT[:length])
    assert not is_whole(path)


def test_a_file_that_is_something_else_is_not_whole_and_a_new_type_is_not_judged(tmp_path: Path):
    path = tmp_path / "inference.pdiparams"
    path.write_bytes(b"<!DOCTYPE html><title>404 Not Found</title>")
    assert not is_whole(path)
    path.write_bytes(tensor(5, b"\x10" + b"\xff" * 9 + b"\x01", b""))
    assert not is_whole(path)
    path.write_bytes(tensor(99, b"\x10\x02", b""))
    assert is_whole(path)


def test_what_paddle_writes_is_whole(tmp_path: Path):
    import paddle
    from paddle.static import InputSpec

    layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.BatchNorm2D(8), paddle.nn.Linear(4, 300))
    paddle.jit.save(layer, str(tmp_path / "inference"), input_spec=[InputSpec([None, 3, 6, 6], "float32")])
    path = tmp_path / "inference.pdiparams"
    assert is_whole(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_whole(path)

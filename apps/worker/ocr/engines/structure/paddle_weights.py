"""Whether a file of Paddle's weights (`inference.pdiparams`) is whole: Paddle reads half of one without a word."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

# Bytes of a number, by Paddle's own number for its type.
_SIZES: Final = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2}
# A description is a type and a few dimensions.
_LONGEST_DESCRIPTION: Final = 4096


def is_whole(path: Path) -> bool:
    """False where the file ends within a tensor, or in its description. Types that are not known are not judged."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            try:
                length = _length(file)
            except (struct.error, ValueError, StopIteration):
                return False
            if length is None:
                return True
            if length > size - file.tell():
                return False
            file.seek(length, 1)
    return size > 0


def _length(file: BinaryIO) -> int | None:
    """Bytes of the next tensor, whose head is read; None if its type is not known."""
    _, levels = struct.unpack("<IQ", file.read(12))
    if levels:
        raise ValueError("no weights have levels")
    _, length = struct.unpack("<Ii", file.read(8))
    if not 0 < length <= _LONGEST_DESCRIPTION:
        raise ValueError("no description is as long")
    message = file.read(length)
    if len(message) < length:
        raise ValueError("the file ends before the description does")
    kind, dimensions = _described(message)
    return None if kind not in _SIZES else _SIZES[kind] * math.prod(dimensions)


def _described(message: bytes) -> tuple[int, list[int]]:
    """The type and the dimensions in a message of Protocol Buffers, which has nothing else."""
    kind, dimensions = -1, []
    values = iter(message)
    for tag in values:
        if tag == 0x08:
            kind = _number(values, next(values))
        elif tag == 0x10:
            dimensions.append(_number(values, next(values)))
        elif tag == 0x12:
            packed = iter(bytes(next(values) for _ in range(_number(values, next(values)))))
            dimensions += [_number(packed, first) for first in packed]
        else:
            raise ValueError("there is no such field")
    return kind, dimensions


def _number(values: Iterator[int], first: int) -> int:
    """A number of seven bits a byte, the lowest first."""
    value, shift = first & 0x7F, 7
    while first & 0x80:
        first = next(values)
        value |= (first & 0x7F) << shift
        shift += 7
    return value

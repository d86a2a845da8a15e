"""Pages that say which they are, all different: a serial number in digits, or in black and white cells.

The cells are for an engine that costs nothing and still reads the page it was given, and no other.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import numpy as np
from PIL import Image

from tests.pdfs import Pixels, words_of

_COLUMNS: Final = 8
_ROWS: Final = 4
# As large as a block of JPEG, so that cells stay as they are.
_CELL_PIXELS: Final = 8


# From here on a page ends the process that reads it.
FIRST_DEADLY: Final = 8_000_000


def text_of(serial: int) -> str:
    """What the page with this serial number says, however it is drawn."""
    return words_of(serial)


def is_deadly(serial: int) -> bool:
    """Whether the engine of the tests does not survive this page."""
    return serial >= FIRST_DEADLY


def cells_image(serial: int) -> Image.Image:
    """A picture of a serial number and its checksum, a bit a cell, the highest first."""
    bits = np.unpackbits(np.frombuffer(_with_checksum(serial), np.uint8)).reshape(_ROWS, _COLUMNS)
    return Image.fromarray(np.kron(255 - 255 * bits, np.ones((_CELL_PIXELS, _CELL_PIXELS), np.uint8)).astype(np.uint8))


def read_cells(pixels: Pixels) -> int:
    """The serial number that a picture of any size shows.

    Raises:
        ValueError: it shows none.
    """
    height, width = pixels.shape[:2]
    rows = (2 * np.arange(_ROWS) + 1) * height // (2 * _ROWS)
    columns = (2 * np.arange(_COLUMNS) + 1) * width // (2 * _COLUMNS)
    found = np.packbits(pixels[np.ix_(rows, columns)].reshape(_ROWS, _COLUMNS, -1)[:, :, 0] < 128).tobytes()
    serial = int.from_bytes(found[:3])
    if _with_checksum(serial) != found:
        raise ValueError(f"no serial number: {found.hex()}")
    return serial


def _with_checksum(serial: int) -> bytes:
    number = serial.to_bytes(3)
    return number + (crc32(number) & 0xFF).to_bytes(1)

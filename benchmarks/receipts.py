"""Photographed and scanned receipts with the text that is on them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

# x and y of four corners come before the text, which may contain commas itself.
_COORDINATES: Final = 8


class DataMissing(Exception):
    """There is nothing to measure with; the message says where it was looked for."""


class ReceiptsMissing(DataMissing):
    """There are no receipts."""


@dataclass(frozen=True)
class Receipt:
    """One image and its ground truth, a line of text for each line on the receipt."""

    name: str
    image: Path
    truth: str


def data_folder() -> Path:
    """`QUIRE_TEST_DATA` (default: `../shared/data` beside the checkout), whether it is there or not."""
    return Path(os.environ.get("QUIRE_TEST_DATA") or ROOT.parent / "shared" / "data")


def find_receipts(most: int | None = None) -> list[Receipt]:
    """The receipts in `data_folder()`, the first `most` of them.

    Raises:
        ReceiptsMissing: there are none.
    """
    folder = data_folder() / "receipts"
    pairs = [(image, folder / "box" / f"{image.stem}.csv") for image in sorted((folder / "img").glob("*.jpg"))]
    receipts = [Receipt(image.stem, image, read_truth(boxes)) for image, boxes in pairs[:most] if boxes.is_file()]
    if not receipts:
        raise ReceiptsMissing(f"No receipts (img/*.jpg with box/*.csv) in {folder}: set QUIRE_TEST_DATA.")
    return receipts


def read_truth(boxes: Path) -> str:
    """The texts of a file of lines `x1,y1,x2,y2,x3,y3,x4,y4,text`."""
    lines = boxes.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.split(",", _COORDINATES)[_COORDINATES] for line in lines if line.strip())

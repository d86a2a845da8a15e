"""What the systems read: pages with the text that is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.receipts import Receipt


@dataclass(frozen=True)
class Corpus:
    """Pages. `images` has a picture file for each, `truths` its text.

    `document` has the same pages in one PDF, rendered at `dpi` to the pixels of `images`; None where the pictures are
    all there is.
    """

    name: str
    title: str
    images: tuple[Path, ...]
    truths: tuple[str, ...]
    document: Path | None = None
    dpi: int | None = None

    def __post_init__(self) -> None:
        if not self.images or len(self.images) != len(self.truths):
            raise ValueError(f"{len(self.images)} pages and {len(self.truths)} ground truths")


def receipts_corpus(receipts: Sequence[Receipt]) -> Corpus:
    """The receipts as they are."""
    return Corpus(
        "receipts",
        f"{len(receipts)} photographed and scanned receipts",
        tuple(receipt.image for receipt in receipts),
        tuple(receipt.truth for receipt in receipts),
    )

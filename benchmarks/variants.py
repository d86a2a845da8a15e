"""`python -m benchmarks.variants`: how well receipts are read as they are, and in other sizes and turned by a degree.

Word F1 moves by what means nothing, such as how a page's size is rounded before detection. Its mean over variants of
the same pages moves less, and so says more of a change to the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT, DataMissing, find_receipts
from benchmarks.word_f1 import WordScore
from quire.pages import PageImage, open_source
from quire.settings import get_settings

_DPI: Final = 180
_PAGES_TOGETHER: Final = 8

console = Console()


@dataclass(frozen=True)
class Variant:
    """Pages `scale` times as large, then turned by so many `degrees` counterclockwise on white."""

    scale: float
    degrees: float = 0.0

    def of(self, page: PageImage) -> PageImage:
        """The page in this variant; the page itself where nothing changes."""
        if self == Variant(1.0):
            return page
        picture = Image.fromarray(page.pixels)
        size = round(picture.width * self.scale), round(picture.height * self.scale)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        if self.degrees:
            white = (255, 255, 255)
            picture = picture.rotate(self.degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=white)
        return replace(page, pixels=np.asarray(picture))


VARIANTS: Final = (
    *(Variant(scale) for scale in (1.0, 0.8, 0.9, 0.95, 1.05, 1.12, 1.25)),
    Variant(0.97, 1.5),
    Variant(1.03, -1.0),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, score, print, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--receipts", type=positive, help="only the first so many")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "variants.json")
    options = parser.parse_args(arguments)
    try:
        receipts = find_receipts(options.receipts)
    except DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    pages = [_image(receipt.image) for receipt in receipts]
    scores = measure(pages, [receipt.truth for receipt in receipts])
    result = {
        "machine": machine_facts(),
        "receipts": len(pages),
        "preset": get_settings().quire_ocr_preset,
        "variants": [
            {"scale": variant.scale, "degrees": variant.degrees, "f1": round(score.f1, 4)}
            for variant, score in scores.items()
        ],
        "mean_f1": round(mean(score.f1 for score in scores.values()), 4),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"Mean F1 {result['mean_f1']:.4f}. Saved to {options.output}", soft_wrap=True)
    return 0


def measure(pages: Sequence[PageImage], truths: Sequence[str]) -> dict[Variant, WordScore]:
    """The score of all pages together in each variant, by the engine that the settings choose."""
    from ocr.engines import create_engine

    settings = get_settings()
    engine = create_engine(settings)
    scores: dict[Variant, WordScore] = {}
    for variant in VARIANTS:
        lines: list[list[Any]] = []
        for start in range(0, len(pages), _PAGES_TOGETHER):
            some = [variant.of(page) for page in pages[start : start + _PAGES_TOGETHER]]
            lines += engine.recognize(some, ["en"])
        least = settings.paddleocr_min_confidence
        texts = ["\n".join(line.text for line in found if line.confidence >= least) for found in lines]
        scores[variant] = WordScore.of_pages(zip(texts, truths, strict=True))
        console.print(
            f"{variant.scale:5.2f} times as large, turned by {variant.degrees:4.1f}°: {scores[variant].f1:.4f}"
        )
    return scores


def _image(path: Path) -> PageImage:
    with open_source(path) as source:
        return source.image(1, _DPI)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "apps" / "worker"))
    sys.exit(main())

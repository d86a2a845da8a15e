"""The words of real receipts: a floor under the accuracy. `make bench` measures it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.receipts import find_receipts
from benchmarks.word_f1 import WordScore
from ocr.engines import create_engine
from ocr.read import ReadOptions, read_page
from quire.contracts import OcrOptions
from quire.pages import open_source
from quire.settings import Settings

# These eight give 0.944, all forty 0.948 (make bench).
LEAST_F1 = 0.93


def test_words_of_receipts_are_found(receipts: Path, model_dir: Path):
    settings = Settings(quire_model_dir=model_dir)
    engine, options = create_engine(settings), ReadOptions.resolve(OcrOptions(), settings)
    chosen = find_receipts(8)
    texts = []
    for receipt in chosen:
        with open_source(receipt.image) as source:
            texts.append(read_page(source, 1, options, engine).text)
    score = WordScore.of_pages(zip(texts, (receipt.truth for receipt in chosen), strict=True))
    assert score.f1 >= LEAST_F1

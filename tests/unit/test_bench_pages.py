"""The pages that benchmarks make."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.receipts import DataMissing, Receipt
from benchmarks.scanned_pages import DPI, scanned_corpus
from benchmarks.varied_receipts import write_page
from quire.pages import PageLimits
from quire.pages.pdf import PdfSource


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_scanned_pages_are_pictures_of_what_their_truth_says(documents: Path, tmp_path: Path):
    corpus = scanned_corpus(tmp_path, 3)
    assert len(corpus.truths) == 3
    assert "Two-Column Document with Lorem Ipsum" in corpus.truths[1]
    assert corpus.document is not None
    with PdfSource(corpus.document, PageLimits()) as source:
        assert source.page_count == 3
        for number, image in enumerate(corpus.images, 1):
            with source.page(number) as page:
                assert page.get_textpage().get_text_range() == ""
            pixels = source.image(number, DPI).pixels
            assert pixels.shape == pytest.approx((297 / 25.4 * DPI, 210 / 25.4 * DPI, 3), abs=2)
            # A system that renders and one that is given the picture see the same.
            with Image.open(image) as opened:
                assert np.array_equal(np.asarray(opened), pixels)


def test_scanned_pages_are_neither_clean_nor_different_the_next_time(documents: Path, tmp_path: Path):
    pictures = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pictures.append(scanned_corpus(tmp_path / name, 1).images[0])
    assert digest(pictures[0]) == digest(pictures[1])
    with Image.open(pictures[0]) as opened:
        margin = np.asarray(opened)[:60, :60]
    assert 235 < margin.mean() < 250
    assert margin.std() > 1


def test_missing_documents_say_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUIRE_TEST_DATA", str(tmp_path))
    with pytest.raises(DataMissing, match=r"pdflatex-4-pages\.pdf.*QUIRE_TEST_DATA"):
        scanned_corpus(tmp_path)


def test_varied_pages_differ_from_each_other_and_not_from_themselves(tmp_path: Path):
    image = tmp_path / "receipt.png"
    Image.effect_noise((300, 500), 60).save(image)
    receipts = [Receipt("one", image, "")]
    sizes = set()
    for number in range(12):
        write_page(tmp_path / "a.jpg", receipts, number)
        write_page(tmp_path / "b.jpg", receipts, number)
        assert digest(tmp_path / "a.jpg") == digest(tmp_path / "b.jpg")
        with Image.open(tmp_path / "a.jpg") as opened:
            sizes.add(opened.size)
    assert len(sizes) == 12
    assert all(400 <= width <= 1400 for width, _ in sizes)
    assert len({round(height / width, 2) for width, height in sizes}) > 5

"""Receipts in other sizes and turned: what changes, and that the words stay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import variants
from benchmarks.variants import VARIANTS, Variant
from quire.pages import PageImage


def test_a_variant_is_as_large_and_as_turned_as_it_says():
    pixels = np.full((100, 60, 3), 200, np.uint8)
    page = PageImage(3, pixels)
    assert Variant(1.0).of(page) is page
    larger = Variant(1.25).of(page)
    assert (larger.number, larger.width, larger.height) == (3, 75, 125)
    assert (larger.pixels == 200).all()
    turned = Variant(1.0, 90).of(PageImage(1, np.concatenate([pixels, 0 * pixels])))
    assert (turned.width, turned.height) == (200, 60)
    # What was below is on the right.
    assert turned.pixels[30, 20].tolist() == [200, 200, 200]
    assert turned.pixels[30, 180].tolist() == [0, 0, 0]


def test_receipts_are_read_in_every_variant(tmp_path: Path, receipts: Path, capsys: pytest.CaptureFixture[str]):
    assert variants.main(["--receipts", "2", "--output", str(tmp_path / "variants.json")]) == 0
    found = json.loads((tmp_path / "variants.json").read_text())
    assert [(each["scale"], each["degrees"]) for each in found["variants"]] == [(v.scale, v.degrees) for v in VARIANTS]
    assert all(0.85 < each["f1"] <= 1 for each in found["variants"])
    assert capsys.readouterr().out.count("times as large") == len(VARIANTS)

"""The two sample documents: what they say is what is known of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ocr.text_layer import read_text_layer
from quire.cli.samples import BORN_DIGITAL_PAGE, make_samples, sample_photo
from quire.pages import open_source
from quire.pages.pdf import PdfSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "new"
    make_samples(folder)
    return folder


def open_pdf(folder: Path) -> PdfSource:
    source = open_source(folder / "sample.pdf")
    assert isinstance(source, PdfSource)
    return source


def test_the_samples_are_a_pdf_and_a_photo(folder: Path):
    assert make_samples(folder) == (folder / "sample.pdf", folder / "photo.jpg")


def test_the_pdf_has_two_pages_of_a4(folder: Path):
    with open_pdf(folder) as source:
        assert [source.geometry(number, 72).points for number in (1, 2)] == [(595, 842)] * 2
        assert source.page_count == 2


def test_the_first_page_is_a_picture(folder: Path):
    with open_pdf(folder) as source:
        assert read_text_layer(source, 1, 72).objection is not None
        assert source.image(1, 72).pixels.min() < 100


def test_the_second_page_carries_its_own_text(folder: Path):
    with open_pdf(folder) as source:
        layer = read_text_layer(source, 2, 72)
    assert layer.objection is None
    assert tuple(line.text for line in layer.lines) == BORN_DIGITAL_PAGE


def test_the_photo_is_a_jpeg(folder: Path):
    with Image.open(folder / "photo.jpg") as photo:
        assert (photo.format, photo.size) == ("JPEG", (900, 860))


def test_the_photo_is_the_same_each_time(folder: Path):
    assert sample_photo() == (folder / "photo.jpg").read_bytes()

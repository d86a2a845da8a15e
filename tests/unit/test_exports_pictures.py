"""PDFs of image files: the picture as it was read, and its text where it is seen."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pillow_heif
import pypdfium2 as pdfium
import pytest
from PIL import ExifTags, Image, ImageDraw

from quire.errors import Corrupt, TooLarge
from quire.exports.base import ExportInfo
from quire.exports.formats import write_export
from quire.pages import PageLimits, open_source
from tests.unit.exported import (
    POPPLER,
    box,
    exported,
    page_with,
    pdfium_place,
    pdfium_text,
    poppler_words,
    save,
    text_page,
)

WIDTH, HEIGHT = 320, 200


def picture(mode: str = "RGB") -> Image.Image:
    """Four fields of different colours, so that no turn or mirroring leaves it as it is."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 159, 99), fill=(200, 30, 30))
    draw.rectangle((160, 0, 319, 99), fill=(30, 200, 30))
    draw.rectangle((0, 100, 79, 199), fill=(30, 30, 200))
    return image.convert(mode)


def seen(path: Path, number: int = 1):
    with open_source(path) as document:
        return document.image(number, 72).pixels


def drawn(path: Path, size: tuple[int, int], number: int = 1):
    """The page as PDFium draws it, in so many pixels."""
    with pdfium.PdfDocument(path) as document:
        page = document[number - 1]
        scale = size[0] / page.get_width()
        pixels = page.render(scale=scale - 1e-6, rev_byteorder=True).to_numpy()[:, :, :3]
        assert pixels.shape[:2] == (size[1], size[0])
        return pixels


@contextmanager
def embedded(path: Path):
    """The picture of the first page."""
    with pikepdf.open(path) as pdf:
        yield pdf.pages[0].Resources.XObject.Picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_in_the_pdf_as_it_is_and_lies_as_it_is_seen(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    source = tmp_path / "photo.jpg"
    picture().save(source, "JPEG", quality=95, subsampling=0, exif=exif)
    pixels = seen(source)
    height, width = pixels.shape[:2]
    page = page_with([[("word", box(40, 20, 120, 50))]], size=(width, height))
    made = save(tmp_path / "b.pdf", exported("pdf", [page], source))
    with embedded(made) as stream:
        assert stream.read_raw_bytes() == source.read_bytes()
    differences = np.abs(drawn(made, (width, height)).astype(int) - pixels.astype(int))
    # PDFium draws a turned picture half a pixel aside: only the borders of the fields may differ.
    assert np.mean(differences.max(axis=2) > 12) < 0.02
    with pdfium.PdfDocument(made) as document:
        across = document[0].get_width() / width
        points = document[0].get_height()
    place = (40 * across, points - 50 * across, 120 * across, points - 20 * across)
    assert pdfium_place(made, "word") == pytest.approx(place, abs=0.8)


@pytest.mark.parametrize(
    ("mode", "suffix", "colours", "bits"),
    [("RGB", "png", 3, 8), ("L", "png", 1, 8), ("1", "png", 1, 1), ("RGBA", "png", 3, 8), ("RGB", "bmp", 3, 8),
     ("RGB", "webp", 3, 8), ("CMYK", "tiff", 3, 8), ("I;16", "png", 1, 8), ("P", "png", 3, 8), ("CMYK", "jpg", 3, 8),
     ("RGB", "heic", 3, 8)],
)  # fmt: skip
def test_other_pictures_are_there_without_loss_in_as_few_bits_as_they_need(tmp_path, mode, suffix, colours, bits):
    source = tmp_path / f"a.{suffix}"
    image = picture("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if suffix == "heic":
        pillow_heif.register_heif_opener()
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    image.save(source, **options)
    made = save(tmp_path / "b.pdf", exported("pdf", [], source))
    with embedded(made) as stream:
        found = pikepdf.PdfImage(stream)
        assert (found.bits_per_component, 1 if "Gray" in str(found.colorspace) else 3) == (bits, colours)
        assert np.array_equal(np.asarray(found.as_pil_image().convert("RGB")), seen(source))
    assert np.array_equal(drawn(made, (WIDTH, HEIGHT)), seen(source))


def test_a_tall_picture_is_whole(tmp_path):
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (700, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    made = save(tmp_path / "b.pdf", exported("pdf", [], tmp_path / "a.png"))
    with embedded(made) as stream:
        assert np.array_equal(np.asarray(pikepdf.PdfImage(stream).as_pil_image()), pixels)


def test_every_frame_of_a_tiff_is_a_page_with_its_text(tmp_path):
    frames = [picture(), picture("1").rotate(180), picture("L").resize((100, 300))]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    pages = [
        page_with([[(word, box(10, 10, 90, 40))]], number=number, size=frames[number - 1].size)
        for number, word in ((1, "one"), (3, "three"))
    ]
    made = save(tmp_path / "b.pdf", exported("pdf", pages, tmp_path / "a.tiff"))
    for number, frame in enumerate(frames, start=1):
        assert np.array_equal(drawn(made, frame.size, number), seen(tmp_path / "a.tiff", number))
    assert [pdfium_text(made, number) for number in (1, 2, 3)] == ["one", "", "three"]


def test_the_pixels_of_a_fax_are_square_and_words_lie_on_them(tmp_path):
    picture("1").save(tmp_path / "a.tiff", dpi=(204, 98))
    pixels = seen(tmp_path / "a.tiff")
    height, width = pixels.shape[:2]
    page = page_with([[("word", box(40, 60, 120, 100))]], size=(width, height))
    made = save(tmp_path / "b.pdf", exported("pdf", [page], tmp_path / "a.tiff"))
    with pdfium.PdfDocument(made) as document:
        # At the finer of the two resolutions.
        assert document[0].get_size() == pytest.approx((width * 72 / 204, height * 72 / 204), abs=0.1)
    if POPPLER:
        ((word, place),) = poppler_words(made)
        assert word == "word"
        assert place == pytest.approx([side * 72 / 204 for side in (40, 60, 120, 100)], abs=0.1)


@pytest.mark.parametrize(
    ("size", "dpi", "points"),
    [
        ((600, 300), 300, (144, 72)),
        # No resolution: as large as A4, but neither finer than 300 pixels an inch nor coarser than 72.
        ((2338, 1169), None, (841.68, 420.84)),
        ((4000, 40), 72, (960, 9.6)),
        ((400, 300), 1, (400, 300)),
    ],
)
def test_the_page_is_as_large_as_the_resolution_says(tmp_path, size, dpi, points):
    image = Image.new("1", size)
    options: dict[str, Any] = {"dpi": (dpi, dpi)} if dpi else {}
    image.save(tmp_path / "a.png", **options)
    made = save(tmp_path / "b.pdf", exported("pdf", [], tmp_path / "a.png"))
    with pdfium.PdfDocument(made) as document:
        assert document[0].get_size() == pytest.approx(points, abs=0.05)


def test_no_page_is_longer_than_pdf_allows(tmp_path):
    Image.new("1", (70_000, 4)).save(tmp_path / "a.png")
    made = save(tmp_path / "b.pdf", exported("pdf", [], tmp_path / "a.png"))
    with pikepdf.open(made) as pdf:
        assert float(pdf.pages[0].MediaBox[2]) == pytest.approx(14_400, abs=0.1)


def test_the_result_of_one_picture_may_carry_another_number(tmp_path):
    picture().save(tmp_path / "a.png")
    page = page_with([[("seven", box(10, 10, 90, 40))]], number=7, size=(WIDTH, HEIGHT))
    made = save(tmp_path / "b.pdf", exported("pdf", [page], tmp_path / "a.png"))
    assert pdfium_text(made) == "seven"


def test_the_pdf_is_sound_and_says_what_it_is_of(tmp_path):
    picture().save(tmp_path / "a.png")
    page = page_with([[("word", box(10, 10, 90, 40))]], size=(WIDTH, HEIGHT))
    made = save(tmp_path / "b.pdf", exported("pdf", [page], tmp_path / "a.png", filename="Rechnung (ä).png"))
    with pikepdf.open(made) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert str(pdf.docinfo.Title) == "Rechnung (ä).png"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_damaged_picture_is_refused_by_name(tmp_path, suffix):
    picture().save(tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    with pytest.raises(Corrupt):
        exported("pdf", [], save(tmp_path / f"b.{suffix}", content[:40]))


def test_a_picture_over_the_limit_is_refused(tmp_path):
    picture().save(tmp_path / "a.png")
    info = ExportInfo("a.png", 1, limits=PageLimits(max_image_pixels=1000))
    for name in ("pdf", "overlay"):
        with pytest.raises(TooLarge), (tmp_path / "out").open("wb") as out:
            write_export(name, info, iter([text_page("a")]), out, tmp_path / "a.png")


# --- The overlay


def test_the_overlay_is_the_first_page_with_its_lines(tmp_path):
    frames = [picture(), Image.new("RGB", (500, 100), "white")]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    page = page_with([[("word", box(40, 20, 120, 60))]], number=2, size=(500, 100))
    path = save(tmp_path / "b.png", exported("overlay", [page], tmp_path / "a.tiff"))
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (500, 100))
        pixels = np.asarray(image).astype(int)
    assert pixels[20, 80].max() < 200
    pixels[16:65, 36:125] = 255
    assert pixels.min() == 255

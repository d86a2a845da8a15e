"""PDF pages: what is drawn where, and what is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire.cli.samples import sample_pdf
from quire.errors import Corrupt, DocumentError, Empty, Encrypted, PageOutOfRange, TooManyPages
from quire.pages import PageImage, PageLimits, open_source
from quire.pages.pdf import PdfSource
from tests.unit.pdf_files import Page, mark, text, write_pdf

ROTATIONS = (0, 90, 180, 270)
WRONG_PASSWORD = (
    b"/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] "
    b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"11" * 32 + b"> /U <" + b"22" * 32 + b"> >>"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document.pdf"


def opened(path: Path, content: bytes, limits: PageLimits | None = None) -> PdfSource:
    path.write_bytes(content)
    source = open_source(path, limits)
    assert isinstance(source, PdfSource)
    return source


def image_of(path: Path, page: Page, dpi: float = 72) -> PageImage:
    with opened(path, write_pdf([page])) as source:
        return source.image(1, dpi)


def dark_centre(image: PageImage) -> tuple[float, float]:
    """Where the darkness is, in pixels; a pixel's centre is half a pixel in."""
    darkness = 255.0 - image.pixels.mean(axis=2)
    assert darkness.max() > 128, "there is no mark on the page"
    ys, xs = np.mgrid[0 : image.height, 0 : image.width] + 0.5
    return float((xs * darkness).sum() / darkness.sum()), float((ys * darkness).sum() / darkness.sum())


@pytest.mark.parametrize("crop_box", [None, (30, 20, 170, 90), (-50, -40, 200, 100)], ids=str)
@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("dpi", [72, 100, 180])
def test_a_mark_lands_on_the_pixel_that_the_geometry_predicts(path: Path, rotate, crop_box, dpi):
    page = Page(mark(60, 75), crop_box=crop_box, media_box=(-50, -40, 200, 100), rotate=rotate)
    with opened(path, write_pdf([page])) as source:
        predicted = source.geometry(1, dpi).point(60, 75)
        assert dark_centre(source.image(1, dpi)) == pytest.approx(predicted, abs=0.6)


@pytest.mark.parametrize(
    ("rotate", "size", "where"),
    [(0, (200, 100), (30, 20)), (90, (100, 200), (80, 30)), (180, (200, 100), (170, 80)), (270, (100, 200), (20, 170))],
)
def test_the_rotation_of_a_page_is_applied_clockwise(path: Path, rotate, size, where):
    # 30 points from the left and 20 from the top of the page as it is stored.
    image = image_of(path, Page(mark(30, 80), rotate=rotate))
    assert (image.width, image.height, image.rotation) == (*size, rotate)
    assert dark_centre(image) == pytest.approx(where, abs=0.6)


@pytest.mark.parametrize(("stored", "applied"), [(-90, 270), (450, 90), (360, 0)])
def test_a_rotation_is_told_between_0_and_270(path: Path, stored, applied):
    assert image_of(path, Page(rotate=stored)).rotation == applied


def test_only_the_crop_box_is_drawn(path: Path):
    image = image_of(path, Page(mark(10, 10), crop_box=(50, 20, 150, 80)))
    assert (image.width, image.height) == (100, 60)
    assert image.pixels.min() == 255


def test_a_crop_box_is_cut_to_the_media_box(path: Path):
    image = image_of(path, Page(crop_box=(-100, -100, 500, 500)))
    assert (image.width, image.height) == (200, 100)


@given(width=st.floats(1, 3000), height=st.floats(1, 3000), dpi=st.integers(36, 600), rotate=st.sampled_from(ROTATIONS))
@settings(max_examples=40, deadline=None)
def test_the_geometry_knows_the_size_of_the_image(tmp_path_factory: pytest.TempPathFactory, width, height, dpi, rotate):
    path = tmp_path_factory.mktemp("geometry") / "document.pdf"
    limits = PageLimits(max_render_pixels=250_000)
    page = Page(media_box=(0, 0, round(width, 2), round(height, 2)), rotate=rotate)
    with opened(path, write_pdf([page]), limits) as source:
        image, geometry = source.image(1, dpi), source.geometry(1, dpi)
        assert (image.width, image.height) == geometry.pixels
        assert image.dpi == geometry.dpi


@given(x=st.floats(-1000, 1000), y=st.floats(-1000, 1000), rotate=st.sampled_from(ROTATIONS))
@settings(max_examples=40, deadline=None)
def test_boxes_map_back_to_points_by_dpi_alone(tmp_path_factory: pytest.TempPathFactory, x, y, rotate):
    path = tmp_path_factory.mktemp("scale") / "document.pdf"
    with opened(path, write_pdf([Page(rotate=rotate)])) as source:
        geometry = source.geometry(1, 144)
    origin, there = geometry.point(0, 0), geometry.point(x, y)
    assert math.dist(origin, there) * 72 / 144 == pytest.approx(math.hypot(x, y), abs=0.05)


def test_a_page_has_the_resolution_that_was_asked_for(path: Path):
    image = image_of(path, Page(), dpi=180)
    assert (image.width, image.height, image.dpi) == (500, 250, 180)


def test_a_page_over_the_pixel_limit_is_rendered_at_a_lower_resolution(path: Path):
    page = Page(mark(600, 300, 40), media_box=(0, 0, 2000, 1000))
    with opened(path, write_pdf([page]), PageLimits(max_render_pixels=500_000)) as source:
        image = source.image(1, 180)
        assert (image.width, image.height) == (1000, 500)
        assert image.dpi == pytest.approx(36)
        assert dark_centre(image) == pytest.approx(source.geometry(1, 180).point(600, 300), abs=0.6)


def test_a_page_of_no_extent_is_a_page(path: Path):
    image = image_of(path, Page(media_box=(0, 0, 0, 0)), dpi=180)
    assert image.pixels.size > 0


@pytest.mark.parametrize("media_box", [(0, 0, 1_000_000_000, 1), (0, 0, 1, 1_000_000_000)])
def test_a_page_that_is_a_thread_has_no_more_pixels_than_any_other(path: Path, media_box):
    with opened(path, write_pdf([Page(media_box=media_box)]), PageLimits(max_render_pixels=500_000)) as source:
        width, height = source.geometry(1, 180).pixels
        assert width * height <= 500_001
        with suppress(Corrupt):
            image = source.image(1, 180)
            assert (image.width, image.height) == (width, height)


def test_a_page_that_pdfium_gives_up_on_is_corrupt(path: Path):
    with opened(path, write_pdf([Page()])) as source, pytest.raises(Corrupt, match="Page 1"), source.page(1):
        raise pdfium.PdfiumError("Failed to load text page.")


def test_pages_are_numbered_from_1(path: Path):
    with opened(path, write_pdf([Page(media_box=(0, 0, size, 10)) for size in (10, 20, 30)])) as source:
        assert [source.image(number, 72).width for number in (1, 2, 3)] == [10, 20, 30]
        assert source.image(2, 72).number == 2


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_page_that_is_not_there_is_out_of_range(path: Path, number):
    with opened(path, write_pdf([Page(), Page()])) as source, pytest.raises(PageOutOfRange, match="2 page"):
        source.image(number, 72)


def test_a_page_is_drawn_on_white_as_rgb(path: Path):
    image = image_of(path, Page(b"1 0 0 rg 0 0 100 100 re f"))
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (100, 200, 3)
    assert image.pixels[50, 50].tolist() == [255, 0, 0]
    assert image.pixels[50, 150].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("value", "drawn"), [(b"/V (Filled)", True), (b"", False)])
def test_what_was_filled_into_a_form_is_drawn(path: Path, value, drawn):
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /F 4 /Rect [20 20 180 60] /DA (/Helv 20 Tf 0 g) " + (
        value + b" >>"
    )
    form = b"/AcroForm << /Fields [4 0 R] /DA (/Helv 20 Tf 0 g) /DR << /Font << /Helv 3 0 R >> >> >>"
    content = write_pdf([Page(entries=b"/Annots [4 0 R]")], [field], form)
    with opened(path, content) as source:
        assert bool(source.image(1, 72).pixels[40:80, 20:180].min() < 100) is drawn


def test_the_real_form_shows_its_fields(documents: Path):
    with open_source(documents / "ocrmypdf-resources" / "acroform.pdf") as source:
        assert source.image(1, 72).pixels.min() < 100


def test_a_pdf_with_a_password_is_encrypted(path: Path):
    with pytest.raises(Encrypted, match="password"):
        opened(path, write_pdf([Page()], trailer=WRONG_PASSWORD))


def test_a_real_pdf_with_a_password_is_encrypted(documents: Path):
    with pytest.raises(Encrypted):
        open_source(documents / "py-pdf-samples" / "libreoffice-writer-password.pdf")


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.7\n" + b"junk" * 100], ids=["header only", "junk"])
def test_what_is_no_pdf_after_its_header_is_corrupt(path: Path, content):
    with pytest.raises(Corrupt):
        opened(path, content)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_a_pdf_that_breaks_off_is_mended_or_corrupt(path: Path, share):
    whole = sample_pdf()
    with suppress(Corrupt), opened(path, whole[: int(share * len(whole))]) as source:
        assert source.image(1, 36).pixels.size > 0


def test_a_pdf_without_pages_is_refused(path: Path):
    # PDFium does not tell it from a damaged one.
    with pytest.raises((Empty, Corrupt)):
        opened(path, write_pdf([]))


def test_a_pdf_of_just_the_limit_opens(path: Path):
    with opened(path, write_pdf([Page()] * 3), PageLimits(max_pages=3)) as source:
        assert source.page_count == 3


def test_a_pdf_over_the_limit_is_refused(path: Path):
    with pytest.raises(TooManyPages, match="4 pages, the limit is 3"):
        opened(path, write_pdf([Page()] * 4), PageLimits(max_pages=3))


def test_a_page_that_is_no_page_is_corrupt(path: Path):
    content = write_pdf([Page(), Page(mark(5, 5))]).replace(b"6 0 R] >>", b"9 0 R] >>")
    with opened(path, content) as source, pytest.raises(Corrupt, match="Page 2"):
        source.image(2, 72)


def test_a_header_may_come_late(path: Path):
    with opened(path, b"\n" * 500 + write_pdf([Page()])) as source:
        assert source.page_count == 1


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_damaged_pdf_is_read_or_refused_by_a_typed_error(tmp_path_factory: pytest.TempPathFactory, damage):
    content = bytearray(write_pdf([Page(text("Hello", 20, 40) + mark(60, 60), rotate=90)]))
    for place, byte in damage:
        content[int(place * len(content))] = byte
    path = tmp_path_factory.mktemp("damaged") / "document.pdf"
    path.write_bytes(content)
    with suppress(DocumentError), open_source(path, PageLimits(max_render_pixels=100_000)) as source:
        assert source.image(1, 72).pixels.size > 0


def test_two_threads_may_each_read_a_pdf(tmp_path: Path):
    expected = image_of(tmp_path / "first.pdf", Page(mark(60, 60)), 180).pixels
    results: list[bool] = []

    def read(name: str) -> None:
        for _ in range(20):
            image = image_of(tmp_path / name, Page(mark(60, 60)), 180)
            results.append(np.array_equal(image.pixels, expected))

    threads = [Thread(target=read, args=(f"{number}.pdf",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 40

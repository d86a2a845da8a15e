"""Image files as pages."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from quire.errors import Corrupt, DocumentError, PageOutOfRange, TooLarge, TooManyPages
from quire.pages import PageImage, PageLimits, open_source
from quire.pages import image as image_module

pillow_heif.register_heif_opener()

LOSSLESS = {"image/png": "PNG", "image/bmp": "BMP", "image/tiff": "TIFF"}
LOSSY = {"image/jpeg": "JPEG", "image/webp": "WEBP", "image/heic": "HEIF"}
FORMATS = LOSSLESS | LOSSY
ORIENTATION = ExifTags.Base.Orientation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "image"


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def page_of(path: Path, content: bytes, limits: PageLimits | None = None) -> PageImage:
    path.write_bytes(content)
    with open_source(path, limits) as source:
        return source.image(1, 72)


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Four quarters of different colours: red, green over blue, yellow."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (220, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 200, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 220)
    pixels[height // 2 :, width // 2 :] = (230, 220, 20)
    return Image.fromarray(pixels)


def corners(page: PageImage) -> list[str]:
    """The colours near the four corners, clockwise from the top left."""
    names = {(220, 20, 20): "red", (20, 200, 20): "green", (20, 20, 220): "blue", (230, 220, 20): "yellow"}
    bottom, right = page.height - 8, page.width - 8
    found = [page.pixels[y, x].astype(int) for y, x in ((8, 8), (8, right), (bottom, right), (bottom, 8))]
    return [min(names.items(), key=lambda item: np.abs(colour - item[0]).sum())[1] for colour in found]


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is that large and has no pixels at all."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("media_type", "kind"), FORMATS.items())
def test_an_image_keeps_its_size_and_colours(path: Path, media_type, kind):
    path.write_bytes(encoded(picture(), kind))
    with open_source(path) as source:
        page = source.image(1, 300)
        assert (source.media_type, source.page_count) == (media_type, 1)
    assert (page.width, page.height, page.dpi, page.rotation) == (96, 64, None, 0)
    assert page.pixels.dtype == np.uint8
    assert corners(page) == ["red", "green", "yellow", "blue"]


@pytest.mark.parametrize("kind", LOSSLESS.values())
def test_an_image_without_loss_keeps_every_pixel(path: Path, kind):
    original = picture()
    assert np.array_equal(page_of(path, encoded(original, kind)).pixels, np.asarray(original))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_may_be_compressed(path: Path, compression):
    page = page_of(path, encoded(picture(), "TIFF", compression=compression))
    assert np.array_equal(page.pixels, np.asarray(picture()))


def test_a_fax_is_black_on_white(path: Path):
    fax = Image.new("1", (64, 64), 1)
    fax.paste(0, (0, 0, 32, 64))
    page = page_of(path, encoded(fax, "TIFF", compression="group4"))
    assert (page.pixels[:, :32].max(), page.pixels[:, 32:].min()) == (0, 255)


@pytest.mark.parametrize(
    ("dpi", "size"),
    [
        ((204, 98), (96, 133)),
        ((204, 391), (184, 64)),
        ((204, 196), (96, 64)),
        ((300, 300), (96, 64)),
        ((300, 3), (96, 64)),
        ((0, 98), (96, 64)),
    ],
)
def test_the_oblong_pixels_of_a_fax_are_made_square(path: Path, dpi, size):
    page = page_of(path, encoded(picture().convert("1"), "TIFF", compression="group4", dpi=dpi))
    assert (page.width, page.height) == size


def test_a_fax_that_lies_on_its_side_is_made_square_as_it_is_stored(path: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    page = page_of(path, encoded(picture(), "TIFF", dpi=(204, 102), exif=exif))
    # Stored 96 × 64, seen 96 × 128, turned 128 × 96.
    assert (page.width, page.height, page.rotation) == (128, 96, 90)
    assert corners(page) == ["blue", "red", "green", "yellow"]


def test_the_resolution_of_a_photo_does_not_stretch_it(path: Path):
    page = page_of(path, encoded(picture(), "JPEG", dpi=(204, 98)))
    assert (page.width, page.height) == (96, 64)


def test_the_pixel_limit_is_for_the_page_as_it_is_seen(path: Path):
    limits = PageLimits(max_image_pixels=96 * 64)
    assert page_of(path, encoded(picture(), "TIFF"), limits).width == 96
    with pytest.raises(TooLarge, match="133"):
        page_of(path, encoded(picture(), "TIFF", dpi=(204, 98)), limits)


def test_the_frames_of_a_tiff_are_pages(path: Path):
    frames = [Image.new("RGB", (10 * number, 8), (number * 20, 0, 0)) for number in (1, 2, 3)]
    path.write_bytes(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    with open_source(path) as source:
        assert source.page_count == 3
        # Not only in their order.
        for number in (3, 1, 2, 2):
            page = source.image(number, 72)
            assert (page.number, page.width, int(page.pixels[0, 0, 0])) == (number, 10 * number, 20 * number)


def test_a_tiff_over_the_page_limit_is_refused(path: Path):
    frame = Image.new("L", (4, 4))
    path.write_bytes(encoded(frame, "TIFF", save_all=True, append_images=[frame, frame]))
    with pytest.raises(TooManyPages, match="more than 2 pages"):
        open_source(path, PageLimits(max_pages=2))


@pytest.mark.parametrize("number", [0, 2])
def test_an_image_has_one_page(path: Path, number):
    path.write_bytes(encoded(picture(), "PNG"))
    with open_source(path) as source, pytest.raises(PageOutOfRange):
        source.image(number, 72)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_one_page(path: Path, kind):
    path.write_bytes(encoded(picture(), kind, save_all=True, append_images=[Image.new("RGB", (96, 64))]))
    with open_source(path) as source:
        assert source.page_count == 1
        assert corners(source.image(1, 72)) == ["red", "green", "yellow", "blue"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "seen", "rotation"),
    [
        (1, ["red", "green", "yellow", "blue"], 0),
        (2, ["green", "red", "blue", "yellow"], 0),
        (3, ["yellow", "blue", "red", "green"], 180),
        (4, ["blue", "yellow", "green", "red"], 180),
        (5, ["red", "blue", "yellow", "green"], 90),
        (6, ["blue", "red", "green", "yellow"], 90),
        (7, ["yellow", "green", "red", "blue"], 270),
        (8, ["green", "yellow", "blue", "red"], 270),
    ],
)
def test_the_exif_orientation_is_applied(path: Path, kind, orientation, seen, rotation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    page = page_of(path, encoded(picture(), kind, exif=exif))
    assert corners(page) == seen
    assert page.rotation == rotation
    assert (page.width, page.height) == ((64, 96) if orientation >= 5 else (96, 64))


def test_the_orientation_of_a_photo_in_heic_is_applied_once(path: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    page = page_of(path, encoded(picture(), "HEIF", exif=exif.tobytes()))
    assert corners(page) == ["blue", "red", "green", "yellow"]
    assert (page.width, page.height) == (64, 96)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_is_none(path: Path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    page = page_of(path, encoded(picture(), "JPEG", exif=exif))
    assert (corners(page), page.rotation) == (["red", "green", "yellow", "blue"], 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(path: Path, mode, kind):
    image = Image.new("RGBA", (32, 16), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 16, 16))
    page = page_of(path, encoded(image.convert(mode), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (page.pixels[:, :16].max(), page.pixels[:, 16:].min()) == (0, 255)


def test_half_transparent_ink_is_mixed_with_white(path: Path):
    page = page_of(path, encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG"))
    assert page.pixels[0, 0].tolist() == pytest.approx([127] * 3, abs=1)


def test_a_transparent_palette_lies_on_white(path: Path):
    image = Image.new("P", (32, 16), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(1, (0, 0, 16, 16))
    page = page_of(path, encoded(image, "PNG", transparency=0))
    assert page.pixels[0, 0].tolist() == [200, 0, 0]
    assert page.pixels[0, 31].tolist() == [255, 255, 255]


def test_a_palette_is_its_colours(path: Path):
    page = page_of(path, encoded(picture().quantize(4), "PNG"))
    assert corners(page) == ["red", "green", "yellow", "blue"]


def test_a_transparent_grey_lies_on_white(path: Path):
    page = page_of(path, encoded(Image.new("L", (4, 4), 7), "PNG", transparency=7))
    assert page.pixels.min() == 255


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_print_colours_are_screen_colours(path: Path, kind):
    page = page_of(path, encoded(picture().convert("CMYK"), kind))
    assert corners(page) == ["red", "green", "yellow", "blue"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_is_black_and_white(path: Path, kind):
    image = Image.new("1", (32, 16), 1)
    image.paste(0, (0, 0, 16, 16))
    page = page_of(path, encoded(image, kind))
    assert (page.pixels[:, :16].max(), page.pixels[:, 16:].min()) == (0, 255)


@pytest.mark.parametrize(("kind", "bits"), [("PNG", 16), ("TIFF", 16), ("TIFF", 14), ("PNG", 12), ("TIFF", 10)])
def test_sixteen_bits_of_grey_keep_their_shades_however_many_are_used(path: Path, kind, bits):
    shades = np.linspace(0, 2**bits - 1, 256).astype(np.uint16)[None, :].repeat(4, axis=0)
    page = page_of(path, encoded(Image.fromarray(shades), kind))
    assert page.pixels[0, :, 0].astype(int).tolist() == pytest.approx(list(range(256)), abs=1)


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_of_grey_keep_their_shades(path: Path, top):
    shades = (np.linspace(0, top, 256, dtype=np.float32))[None, :].repeat(4, axis=0)
    page = page_of(path, encoded(Image.fromarray(shades), "TIFF"))
    assert page.pixels[0, :, 0].astype(int).tolist() == pytest.approx(list(range(256)), abs=1)


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_black_and_leave_the_others_their_shades(path: Path, unknown):
    shades = np.array([[0, 0.5, 1, unknown]], np.float32).repeat(4, axis=0)
    page = page_of(path, encoded(Image.fromarray(shades), "TIFF"))
    assert page.pixels[0, :, 0].tolist() == [0, 127, 255, 0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "F"])
def test_a_large_image_is_read_with_little_memory_beside_its_own(mode):
    image = Image.new(mode, (4200, 4200), 9 if mode in ("I;16", "F") else "red")
    image.load()
    tracemalloc.start()
    pixels = image_module._to_rgb(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels.shape == (4200, 4200, 3)
    # NumPy's and Python's memory: what is returned, and the copies of one part.
    assert peak < 1.6 * pixels.nbytes


def test_a_large_image_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch, path: Path):
    whole = {kind: page_of(path, encoded(picture(), kind)).pixels for kind in FORMATS.values()}
    monkeypatch.setattr(image_module, "_WHOLE_PIXELS", 96)
    monkeypatch.setattr(image_module, "_PART_PIXELS", 96 * 5)
    for kind, pixels in whole.items():
        assert np.array_equal(page_of(path, encoded(picture(), kind)).pixels, pixels)


def test_a_black_page_of_sixteen_bits_is_black(path: Path):
    assert page_of(path, encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG")).pixels.max() == 0


@pytest.mark.parametrize("kind", FORMATS.values())
def test_a_file_that_breaks_off_is_corrupt(path: Path, kind):
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 255, (64, 64, 3), np.uint8))
    content = encoded(noise, kind)
    with pytest.raises(Corrupt):
        page_of(path, content[: len(content) // 2])


@pytest.mark.parametrize("kind", FORMATS.values())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_that_breaks_off_in_its_header_is_refused(path: Path, kind):
    content = encoded(picture(), kind)
    for length in (4, 8, 14, 20, 40):
        with pytest.raises(DocumentError):
            page_of(path, content[:length])


def test_a_tiff_that_lacks_its_second_page_still_has_its_first(path: Path):
    frames = [Image.new("L", (40, 40), 9), Image.new("L", (40, 40), 9)]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    path.write_bytes(content[:-900])
    with open_source(path) as source:
        assert source.image(1, 72).width == 40
        with pytest.raises(Corrupt):
            source.image(2, 72)


@pytest.mark.parametrize("kind", FORMATS.values())
def test_an_image_over_the_pixel_limit_is_refused(path: Path, kind):
    with pytest.raises(TooLarge, match="96 × 64 pixels"):
        page_of(path, encoded(picture(), kind), PageLimits(max_image_pixels=96 * 64 - 1))


def test_an_image_of_just_the_pixel_limit_is_read(path: Path):
    assert page_of(path, encoded(picture(), "PNG"), PageLimits(max_image_pixels=96 * 64)).width == 96


def test_an_image_is_measured_before_it_is_decoded(path: Path):
    # Decoding would fail: there is nothing to decode.
    with pytest.raises(TooLarge):
        page_of(path, png_of_size(60_000, 60_000))
    with pytest.raises(Corrupt):
        page_of(path, png_of_size(60, 60))


def test_every_frame_of_a_tiff_is_measured(path: Path):
    frames = [Image.new("L", (4, 4)), Image.new("L", (40, 40))]
    path.write_bytes(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    with open_source(path, PageLimits(max_image_pixels=100)) as source:
        assert source.image(1, 72).width == 4
        with pytest.raises(TooLarge, match="Page 2"):
            source.image(2, 72)


def test_a_file_cannot_ask_for_another_decoder(path: Path):
    # A TIFF signature on something that another of Pillow's decoders would read.
    path.write_bytes(b"BM" + encoded(picture(), "GIF"))
    with pytest.raises(Corrupt):
        open_source(path)


@given(
    kind=st.sampled_from(sorted(FORMATS.values())),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_image_is_read_or_refused_by_a_typed_error(tmp_path_factory: pytest.TempPathFactory, kind, damage):
    content = bytearray(SMALL[kind])
    for place, byte in damage:
        content[int(place * len(content))] = byte
    path = tmp_path_factory.mktemp("damaged") / "image"
    with suppress(DocumentError):
        assert page_of(path, bytes(content), PageLimits(max_image_pixels=1_000_000)).pixels.size > 0


SMALL = {kind: encoded(ImageOps.posterize(picture(24, 16), 3), kind) for kind in FORMATS.values()}

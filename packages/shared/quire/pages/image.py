"""Image files as pages: PNG, JPEG, WebP, BMP, HEIC (one page) and TIFF (a page for each frame)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from quire import media_types
from quire.errors import Corrupt, OutOfMemory, TooLarge, TooManyPages
from quire.pages.base import PageImage, PageLimits, Rotation, refuse_missing_page

# The clockwise turn that each EXIF orientation asks for; the mirrored ones (2, 4, 5, 7) are mirrored as well.
_EXIF_ROTATION: Final[dict[int, Rotation]] = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
_EXIF_SIDEWAYS: Final = (5, 6, 7, 8)

# A fax has 204 pixels to the inch across and 98, 196 or 391 down (ITU-T T.4): pixels at least this oblong are seen as
# oblong, and made square. Beyond the second value the file's resolution is a mistake.
_OBLONG: Final = (1.2, 4.5)

# What Pillow and its decoders raise where a file is not what they expect; a RuntimeError is pillow_heif's.
_DAMAGED: Final = (OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, RuntimeError)

# Larger pictures are made RGB in parts of so many pixels: the conversion's own copies are then small beside the result.
_WHOLE_PIXELS: Final = 16_000_000
_PART_PIXELS: Final = 2_000_000

# Decoders are chosen by what the file is, so that a file cannot ask for another of Pillow's many.
_DECODERS: Final = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/bmp": ("BMP",),
    media_types.TIFF: ("TIFF",),
    media_types.HEIC: ("HEIF",),
}

# Quire has its own limit, on the page and by name; Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None


class ImageSource:
    """An image file as a `PageSource`."""

    def __init__(self, path: Path, media_type: str, limits: PageLimits) -> None:
        self.media_type = media_type
        self._limits = limits
        if media_type == media_types.HEIC:
            import pillow_heif

            pillow_heif.register_heif_opener()
        try:
            self._image = Image.open(path, formats=_DECODERS[media_type])
        except _DAMAGED:
            raise Corrupt(f"The {_kind(media_type)} file is damaged and cannot be opened.") from None
        try:
            self.page_count = self._count_frames()
        except BaseException:
            self._image.close()
            raise

    def _count_frames(self) -> int:
        if self.media_type != media_types.TIFF:
            # Further frames of other formats are animation or thumbnails, not pages.
            return 1
        most = self._limits.max_pages
        try:
            # Pillow looks for each page among all before it: it must not go on to the end of a long chain.
            for count in range(1, most + 1):
                self._image.seek(count)
        except EOFError:
            self._image.seek(0)
            return count
        except _DAMAGED:
            raise Corrupt("The TIFF file is damaged: its pages cannot be counted.") from None
        raise TooManyPages(
            f"The TIFF has more than {most:,} pages, which is the limit. Split it, or raise QUIRE_MAX_PAGES."
        )

    def image(self, number: int, dpi: float) -> PageImage:
        """See `PageSource.image`. EXIF rotation is applied, fax pixels are made square; transparency lies on white."""
        refuse_missing_page(number, self.page_count)
        try:
            if self.page_count > 1:
                self._image.seek(number - 1)
            across, down = self._enlargement()
            self._refuse_pixel_count(number, round(self._image.width * across), round(self._image.height * down))
            orientation = self._image.getexif().get(ExifTags.Base.Orientation, 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # It copies the picture even where there is nothing to turn.
                pixels = _to_rgb(self._image if orientation == 1 else ImageOps.exif_transpose(self._image))
            if across != down:
                seen = round(pixels.shape[1] * across), round(pixels.shape[0] * down)
                pixels = np.asarray(Image.fromarray(pixels).resize(seen, Image.Resampling.BICUBIC))
        except MemoryError:
            raise OutOfMemory(f"Page {number} could not be decoded: there was not enough memory.") from None
        except _DAMAGED:
            raise Corrupt(f"The {_kind(self.media_type)} file is damaged or incomplete.") from None
        return PageImage(number, pixels, None, _EXIF_ROTATION.get(orientation, 0))

    def _enlargement(self) -> tuple[float, float]:
        """How much wider and higher the page is seen than it is stored: the coarser side of a TIFF's oblong pixels."""
        if self.media_type != media_types.TIFF:
            return 1.0, 1.0
        across, down = map(float, self._image.info.get("dpi", (1, 1)))
        if not (across > 0 and down > 0 and _OBLONG[0] <= max(across / down, down / across) <= _OBLONG[1]):
            return 1.0, 1.0
        if self._image.getexif().get(ExifTags.Base.Orientation, 1) in _EXIF_SIDEWAYS:
            # The resolution is that of the stored picture; Pillow gives the size of a TIFF as it is seen.
            across, down = down, across
        return max(1.0, down / across), max(1.0, across / down)

    def _refuse_pixel_count(self, number: int, width: int, height: int) -> None:
        if width * height > self._limits.max_image_pixels:
            raise TooLarge(
                f"Page {number} has {width:,} × {height:,} pixels, the limit is "
                f"{self._limits.max_image_pixels / 1e6:,.0f} megapixels. "
                "Scale it down, or raise QUIRE_MAX_IMAGE_PIXELS."
            )

    def close(self) -> None:
        """Close the file."""
        self._image.close()

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _to_rgb(image: Any) -> npt.NDArray[np.uint8]:
    """Pixels of any Pillow mode as uint8 RGB, shape (height, width, 3)."""
    # The size of some is known for certain only then.
    image.load()
    white = _white(image) if image.mode.startswith("I;16") or image.mode in ("I", "F") else None
    if image.width * image.height <= _WHOLE_PIXELS:
        return _part_to_rgb(image, white)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, part in _parts(image):
        pixels[top : top + part.height] = _part_to_rgb(part, white)
    return pixels


def _parts(image: Any) -> Iterator[tuple[int, Any]]:
    """The image in parts from top to bottom, each with the row it starts at."""
    rows = max(1, _PART_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _part_to_rgb(image: Any, white: float | None) -> npt.NDArray[np.uint8]:
    if white is not None:
        image = _to_8_bit(image, white)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGB", rgba.size, "white")
        paper.paste(rgba, mask=rgba.getchannel("A"))
        image = paper
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


# Of floats, and of 8 to 16 bits: scanners and cameras keep 10, 12 or 14 of them in 16.
_WHITES: Final = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)


def _white(image: Any) -> float:
    """The value that is white. The file does not say: the smallest usual one that holds the brightest pixel."""
    peak = max((float(_finite(part).max(initial=0.0)) for _, part in _parts(image)), default=0.0)
    return next((limit for limit in _WHITES if peak <= limit and (limit > 1 or image.mode == "F")), peak)


def _to_8_bit(image: Any, white: float) -> Any:
    """Greys of 16 or 32 bits, or floats, scaled to 8 bits; Pillow's own conversion cuts them off at 255."""
    return Image.fromarray(np.clip(_finite(image) * (255.0 / white), 0, 255).astype(np.uint8))


def _finite(image: Any) -> npt.NDArray[np.float32]:
    """Its values; what is no number is black, as measurements mark what they do not know."""
    return np.nan_to_num(np.asarray(image, dtype=np.float32), copy=True, nan=0.0, posinf=0.0, neginf=0.0)


def _kind(media_type: str) -> str:
    return media_type.partition("/")[2].upper()

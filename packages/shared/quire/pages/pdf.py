"""PDF pages, rendered by PDFium one at a time."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from quire import media_types
from quire.errors import Corrupt, Empty, Encrypted, OutOfMemory, TooManyPages
from quire.pages.base import PageImage, PageLimits, Rotation, refuse_missing_page

POINTS_PER_INCH: Final = 72

# PDFium keeps global state and is not thread-safe: everything that calls it holds this lock.
PDFIUM_LOCK = threading.RLock()

# PageToDevice answers in whole pixels; asking for a device this many times larger gives a thousandth of a point.
_SUBPIXEL: Final = 1000


@dataclass(frozen=True)
class PageGeometry:
    """How a page lies on its image.

    `points` are the page's (width, height) in points as the reader sees it, crop box and rotation applied. `to_pixels`
    is the 2×3 affine (a, b, c, d, e, f): x = a·X + b·Y + c, y = d·X + e·Y + f, from PDF user space to image pixels.
    """

    points: tuple[float, float]
    pixels: tuple[int, int]
    dpi: float
    rotation: Rotation
    to_pixels: tuple[float, float, float, float, float, float]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """The pixel position of a point in PDF user space."""
        a, b, c, d, e, f = self.to_pixels
        return a * x + b * y + c, d * x + e * y + f


class PdfSource:
    """A PDF as a `PageSource`. Pages over the pixel limit are rendered at a lower resolution, which `dpi` then says."""

    media_type = media_types.PDF

    def __init__(self, path: Path, limits: PageLimits) -> None:
        self._limits = limits
        with PDFIUM_LOCK:
            try:
                self._pdf = pdfium.PdfDocument(path)
            except pdfium.PdfiumError as error:
                raise _unreadable(error) from None
            try:
                self.page_count = len(self._pdf)
                self._refuse_page_count()
                # Without a form environment, what people have filled in is not drawn.
                self._pdf.init_forms()
            except BaseException:
                self._pdf.close()
                raise

    def _refuse_page_count(self) -> None:
        if self.page_count < 1:
            raise Empty("The PDF has no pages.")
        if self.page_count > self._limits.max_pages:
            raise TooManyPages(
                f"The PDF has {self.page_count:,} pages, the limit is {self._limits.max_pages:,}. "
                "Split it, or raise QUIRE_MAX_PAGES."
            )

    @contextmanager
    def page(self, number: int) -> Iterator[Any]:
        """PDFium's page object, with the lock held.

        Raises:
            PageOutOfRange: there is no such page.
            Corrupt: the page cannot be loaded, or PDFium cannot do what is asked of it within.
        """
        refuse_missing_page(number, self.page_count)
        with PDFIUM_LOCK:
            try:
                page = self._pdf[number - 1]
            except pdfium.PdfiumError:
                raise Corrupt(f"Page {number} of the PDF is damaged and cannot be opened.") from None
            try:
                yield page
            except pdfium.PdfiumError:
                raise Corrupt(f"Page {number} of the PDF is damaged and cannot be read.") from None
            finally:
                page.close()

    def geometry(self, number: int, dpi: float) -> PageGeometry:
        """How page `number` lies on the image that `image(number, dpi)` gives."""
        with self.page(number) as page:
            return self.geometry_of(page, dpi)

    def image(self, number: int, dpi: float) -> PageImage:
        """See `PageSource.image`. Annotations and form fields are drawn, on white."""
        with self.page(number) as page:
            geometry = self.geometry_of(page, dpi)
            try:
                bitmap = page.render(scale=geometry.dpi / POINTS_PER_INCH, rev_byteorder=True, force_bitmap_format=None)
                # A copy: the bitmap's memory goes with the bitmap. Four-channel pages drop the unused byte.
                pixels = bitmap.to_numpy()[:, :, :3].copy() if bitmap.n_channels >= 3 else _grey_to_rgb(bitmap)
                bitmap.close()
            except MemoryError:
                raise OutOfMemory(f"Page {number} could not be rendered: there was not enough memory.") from None
            except (pdfium.PdfiumError, ValueError):
                raise Corrupt(f"Page {number} of the PDF is damaged and cannot be rendered.") from None
        return PageImage(number, pixels, geometry.dpi, geometry.rotation)

    def geometry_of(self, page: Any, dpi: float) -> PageGeometry:
        """`geometry` of a page that is open already, as `page` gives it."""
        # A page box of no extent is legal to write and impossible to draw: it becomes one pixel.
        width, height = (max(float(side), 0.01) for side in page.get_size())
        most = self._limits.max_render_pixels
        # A side of less than a pixel counts as one: a thread of a page has as many pixels as it is long.
        scale = min(dpi / POINTS_PER_INCH, math.sqrt(most / (width * height)), most / max(width, height))
        dpi = scale * POINTS_PER_INCH
        # From `dpi`, as `image` does: a last bit of difference would be a pixel of difference.
        pixels = math.ceil(width * (dpi / POINTS_PER_INCH)), math.ceil(height * (dpi / POINTS_PER_INCH))
        rotation = cast(Rotation, int(page.get_rotation()) % 360)
        affine = _affine(page, (width, height), pixels)
        return PageGeometry((width, height), pixels, dpi, rotation, affine)

    def close(self) -> None:
        """Free PDFium's memory."""
        with PDFIUM_LOCK:
            self._pdf.close()

    def __enter__(self) -> PdfSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _affine(
    page: Any, points: tuple[float, float], pixels: tuple[int, int]
) -> tuple[float, float, float, float, float, float]:
    """The affine from user space to pixels, read off where PDFium puts the origin and the two unit directions."""
    # Large enough for the precision, small enough that the device still fits C's int.
    subpixel = min(_SUBPIXEL, int(2**30 / max(*points, 1)))
    size = max(1, round(points[0] * subpixel)), max(1, round(points[1] * subpixel))
    reach = 100.0

    def device(x: float, y: float) -> tuple[float, float]:
        out_x, out_y = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, x, y, out_x, out_y)
        return out_x.value * pixels[0] / size[0], out_y.value * pixels[1] / size[1]

    (cx, cy), (xx, xy), (yx, yy) = device(0, 0), device(reach, 0), device(0, reach)
    return (xx - cx) / reach, (yx - cx) / reach, cx, (xy - cy) / reach, (yy - cy) / reach, cy


def _grey_to_rgb(bitmap: Any) -> Any:
    return bitmap.to_numpy().reshape(bitmap.height, bitmap.width, 1).repeat(3, axis=2)


def _unreadable(error: pdfium.PdfiumError) -> Encrypted | Corrupt:
    if getattr(error, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
        return Encrypted("The PDF is protected by a password. Remove the password and send it again.")
    return Corrupt("The PDF is damaged and cannot be opened. Export or print it to a new PDF and send that.")

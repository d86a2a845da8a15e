"""Open a file as a document, whatever it is."""

from __future__ import annotations

from pathlib import Path

from quire import media_types
from quire.pages.base import PageLimits, PageSource


def open_source(path: Path, limits: PageLimits | None = None) -> PageSource:
    """Open a PDF or an image file; use the result in a `with` statement.

    Raises:
        Empty, UnsupportedMediaType, Corrupt, Encrypted, TooLarge, TooManyPages: it cannot be read, and why.
    """
    media_type = media_types.sniff_file(path)
    limits = limits or PageLimits()
    if media_type == media_types.PDF:
        from quire.pages.pdf import PdfSource

        return PdfSource(path, limits)
    from quire.pages.image import ImageSource

    return ImageSource(path, media_type, limits)

"""The document as a PDF that looks as before, and whose text is found and copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from quire import media_types
from quire.contracts import PageText
from quire.exports.base import ExportInfo


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path | None) -> None:
    """Every page of `source`, with an invisible layer of text on those that OCR has read.

    Raises:
        Empty, UnsupportedMediaType, Corrupt, Encrypted, TooLarge, TooManyPages, OutOfMemory: it cannot be opened or
            decoded, and why.
    """
    assert source is not None
    if media_types.sniff_file(source) == media_types.PDF:
        from quire.exports.pdf_with_text import write_pdf_with_text

        write_pdf_with_text(info, pages, out, source)
    else:
        from quire.exports.pdf_of_pictures import write_pdf_of_pictures

        write_pdf_of_pictures(info, pages, out, source)

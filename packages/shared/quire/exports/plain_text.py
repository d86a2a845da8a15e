"""Plain text: a form feed between pages, as `pdftotext` and printers have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from quire.contracts import PageError, PageText
from quire.exports.base import ExportInfo, with_failed


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """UTF-8. A page ends in a line feed, unless it is empty, as a page that failed is."""
    for index, page in enumerate(with_failed(pages, info.errors)):
        if index:
            out.write(b"\f")
        if isinstance(page, PageError) or not page.text:
            continue
        # A form feed within a page would be taken for its end.
        out.write(page.text.replace("\f", "\n").encode("utf-8", "replace") + b"\n")

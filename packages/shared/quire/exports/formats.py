"""The formats a result can be exported in, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from quire.contracts import PageText
from quire.errors import InvalidPayload
from quire.exports import alto, hocr, json_document, markdown, overlay, plain_text, searchable_pdf, tables
from quire.exports.base import ExportFormat, ExportInfo

FORMATS: Final[dict[str, ExportFormat]] = {
    known.name: known
    for known in (
        ExportFormat("txt", "text/plain; charset=utf-8", ".txt", False, plain_text.write),
        ExportFormat("json", "application/json", ".json", False, json_document.write),
        ExportFormat("md", "text/markdown; charset=utf-8", ".md", False, markdown.write),
        ExportFormat("tables-html", "text/html; charset=utf-8", ".tables.html", False, tables.write_html),
        ExportFormat("tables-csv", "text/csv; charset=utf-8", ".tables.csv", False, tables.write_csv),
        ExportFormat(
            "tables-xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ".tables.xlsx",
            False,
            tables.write_xlsx,
        ),
        ExportFormat("hocr", "application/xhtml+xml", ".hocr", False, hocr.write),
        ExportFormat("alto", "application/xml", ".alto.xml", False, alto.write),
        ExportFormat("pdf", "application/pdf", ".pdf", True, searchable_pdf.write),
        ExportFormat("overlay", "image/png", ".png", True, overlay.write, one_page=True),
    )
}


def write_export(
    name: str, info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path | None = None
) -> None:
    """Write `pages`, which ascend by number, to `out` in the format `name`; `out` is only written to, in order.

    `source` is the document's file, for formats that need it. PDFs and images are opened by native libraries: a
    document that nobody vouches for belongs in a process of its own.

    Raises:
        InvalidPayload: there is no such format.
        Empty, UnsupportedMediaType, Corrupt, Encrypted, TooLarge, TooManyPages, OutOfMemory: the document cannot be
            opened or decoded, and why.
        PageOutOfRange: the document has no such page, or `pages` gave none where one is needed.
    """
    known = FORMATS.get(name)
    if known is None:
        raise InvalidPayload(f"There is no format {name!r}. Ask for one of: {', '.join(FORMATS)}.")
    if known.needs_source and source is None:
        raise ValueError(f"the format {name} is made from the document's file")
    known.write(info, pages, out, source)

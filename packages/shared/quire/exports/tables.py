"""The tables of a document alone: as HTML, CSV, or a workbook; one that goes on over pages is one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from quire.contracts import PageError, PageText, Table
from quire.exports.base import ExportInfo, with_failed
from quire.exports.workbook import Workbook
from quire.exports.xml_text import element_text
from quire.structure.joined_tables import joined
from quire.structure.tables import grid

# A spreadsheet takes what begins with these, or with their wide forms, for a formula and may run it; an apostrophe
# before it makes it text.
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class FoundTable:
    """A table, the pages it is on, and which of the tables that begin on its first page it is, from 1."""

    table: Table
    first_page: int
    last_page: int
    number: int

    @property
    def pages(self) -> str:
        """Such as `3` or `3-4`."""
        first, last = self.first_page, self.last_page
        return str(first) if first == last else f"{first}-{last}"


def write_html(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """An HTML page of all tables, each with a caption that says where it is."""
    title = element_text(info.filename)
    out.write(f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'.encode())
    out.write(b"<style>table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid;padding:.2em .5em}</style>\n")
    out.write(b"</head>\n<body>\n")
    for found in _tables(info, pages):
        caption = f"<caption>Page {found.pages}, table {found.number}</caption>"
        html = found.table.html.replace("<table>", f"<table>{caption}", 1)
        out.write(html.encode("utf-8", "replace") + b"\n")
    out.write(b"</body>\n</html>\n")


def write_csv(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """RFC 4180, UTF-8 with a byte order mark, which spreadsheets want. An empty line between two tables."""
    out.write(b"\xef\xbb\xbf")
    for index, found in enumerate(_tables(info, pages)):
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if index:
            text.write("\r\n")
        writer.writerows([harmless(cell) for cell in row] for row in grid(found.table))
        out.write(text.getvalue().encode("utf-8", "replace"))


def write_xlsx(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """A workbook with a sheet for each table. Texts stay texts: nothing in them is taken for a formula or a date."""
    with Workbook(out) as workbook:
        for found in _tables(info, pages):
            workbook.add(f"p{found.pages} t{found.number}", found.table)


def harmless(cell: str) -> str:
    """A cell's text as a spreadsheet may open it from CSV; numbers stay as they are."""
    # A dash alone, which stands for nothing, runs nothing.
    plain = len(cell) <= 1 or not cell.lstrip().startswith(_FORMULA_SIGNS) or _is_number(cell)
    return cell if plain else f"'{cell}"


def _is_number(text: str) -> bool:
    digits = text[1:].replace(",", "").replace(".", "").replace(" ", "")
    return text[:1] in "+-" and digits.isascii() and digits.isdigit()


def _tables(info: ExportInfo, pages: Iterator[PageText]) -> Iterator[FoundTable]:
    # Pages that failed are between the others, so that no table goes on over one.
    for page in joined(with_failed(pages, info.errors)):
        if isinstance(page, PageError):
            continue
        found = [block.table for block in page.blocks if block.table is not None and block.table.cells]
        for number, table in enumerate(found, 1):
            first = page.page.page_number
            last = page.last_page if number == len(found) else first
            yield FoundTable(table, first, last, number)

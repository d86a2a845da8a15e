"""Workbooks (Office Open XML, ECMA-376) with a sheet for each table: texts and merged cells, nothing else."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Final, Self

from quire.contracts import Table
from quire.exports.xml_text import attribute, element_text

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
# Excel refuses longer texts in a cell, and longer names of sheets.
_LONGEST_TEXT: Final = 32_767
_LONGEST_NAME: Final = 31
# A zip archive remembers when its files were changed: the same table is to give the same bytes.
_WHEN: Final = (1980, 1, 1, 0, 0, 0)


class Workbook:
    """Sheets are written as they are added; `out` is only written to, in order. Without a table it has an empty one."""

    def __init__(self, out: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED)
        self._names: list[str] = []

    def add(self, name: str, table: Table) -> None:
        """A sheet with a table from its first cell on; a name that is taken gets a number."""
        self._names.append(self._free(name))
        self._write(f"xl/worksheets/sheet{len(self._names)}.xml", "".join(_sheet(table)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._archive.close()

    def _free(self, name: str) -> str:
        plain = re.sub(r"[\[\]:*?/\\]", " ", name)[:_LONGEST_NAME]
        taken = {each.casefold() for each in self._names}
        number, free = 2, plain
        while free.casefold() in taken:
            suffix = f" {number}"
            free = plain[: _LONGEST_NAME - len(suffix)] + suffix
            number += 1
        return free

    def _finish(self) -> None:
        if not self._names:
            self.add("no tables", Table(rows=0, columns=0, cells=(), html="<table></table>"))
        numbered = list(enumerate(self._names, 1))
        sheets = "".join(f'<sheet name="{attribute(n)}" sheetId="{i}" r:id="rId{i}"/>' for i, n in numbered)
        self._write(
            "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>'
        )
        targets = "".join(
            f'<Relationship Id="rId{i}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i, _ in numbered
        )
        self._write("xl/_rels/workbook.xml.rels", _relationships(targets))
        document = f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/>'
        self._write("_rels/.rels", _relationships(document))
        parts = "".join(
            f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
            for i, _ in numbered
        )
        self._write(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types">'
            f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{parts}</Types>',
        )

    def _write(self, name: str, xml: str) -> None:
        entry = zipfile.ZipInfo(name, _WHEN)
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._archive.writestr(entry, (_XML + xml).encode("utf-8", "replace"))


def _relationships(inner: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


def _sheet(table: Table) -> Iterator[str]:
    yield f'<worksheet xmlns="{_MAIN}"><sheetData>'
    row = -1
    for cell in table.cells:
        if cell.row != row:
            yield ("</row>" if row >= 0 else "") + f'<row r="{cell.row + 1}">'
            row = cell.row
        text = element_text(cell.text[:_LONGEST_TEXT])
        place = reference(cell.row, cell.column)
        yield f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    yield ("</row>" if row >= 0 else "") + "</sheetData>"
    merged = [
        f"{reference(c.row, c.column)}:{reference(c.row + c.row_span - 1, c.column + c.column_span - 1)}"
        for c in table.cells
        if c.row_span > 1 or c.column_span > 1
    ]
    if merged:
        yield (
            f'<mergeCells count="{len(merged)}">' + "".join(f'<mergeCell ref="{m}"/>' for m in merged) + "</mergeCells>"
        )
    yield "</worksheet>"


def reference(row: int, column: int) -> str:
    """A cell's name, such as `B3` for row 2 and column 1 (from 0)."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"

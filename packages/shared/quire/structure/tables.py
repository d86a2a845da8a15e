"""Tables: cells to HTML and to a grid, and HTML of a table model to cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final

from quire.contracts import Box, Table, TableCell

# More rows or columns, or a wider span, is a table model gone wrong: it would cost memory and say nothing.
MOST_ROWS: Final = 2000
MOST_COLUMNS: Final = 200

_CELL_TAGS: Final = ("td", "th")


def make_table(cells: Iterable[TableCell]) -> Table:
    """A table of these cells, which must not overlap."""
    ordered = tuple(sorted(cells, key=lambda cell: (cell.row, cell.column)))
    rows = max((cell.row + cell.row_span for cell in ordered), default=0)
    columns = max((cell.column + cell.column_span for cell in ordered), default=0)
    return Table(rows=rows, columns=columns, cells=ordered, html=_html(rows, ordered))


def table_from_html(html: str, boxes: Sequence[Box] = ()) -> Table:
    """The table that HTML describes, which may be damaged; markup within cells is left out.

    `boxes` are those of the cells in the order of the HTML; they are used where there are as many as cells.
    """
    parser = _Parser()
    parser.feed(html)
    parser.close()
    cells = _placed(parser.rows)
    if len(boxes) == len(cells):
        cells = [cell.model_copy(update={"box": box}) for cell, box in zip(cells, boxes, strict=True)]
    return make_table(cells)


def grid(table: Table) -> list[list[str]]:
    """Texts by row and column; a cell that spans several places stands in its first, the others are empty."""
    texts = [[""] * table.columns for _ in range(table.rows)]
    for cell in table.cells:
        texts[cell.row][cell.column] = cell.text
    return texts


def has_spans(table: Table) -> bool:
    """Whether a cell takes more than one place."""
    return any(cell.row_span > 1 or cell.column_span > 1 for cell in table.cells)


def _html(rows: int, cells: Sequence[TableCell]) -> str:
    by_row: list[list[str]] = [[] for _ in range(rows)]
    for cell in cells:
        tag = "th" if cell.is_header else "td"
        down = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
        across = f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
        text = "<br>".join(escape(line, quote=False) for line in cell.text.split("\n"))
        by_row[cell.row].append(f"<{tag}{down}{across}>{text}</{tag}>")
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in by_row) + "</table>"


def _placed(rows: Sequence[Sequence[_Cell]]) -> list[TableCell]:
    """Cells where HTML puts them: each in the first column of its row that no span from above takes.

    A span ends where another cell is in its way, at the last row, and at the limits.
    """
    taken: set[tuple[int, int]] = set()
    cells: list[TableCell] = []
    for row, found in enumerate(rows[:MOST_ROWS]):
        column = 0
        for cell in found:
            while (row, column) in taken:
                column += 1
            if column >= MOST_COLUMNS:
                break
            across = 1
            while across < min(cell.across, MOST_COLUMNS - column) and (row, column + across) not in taken:
                across += 1
            down = max(1, min(cell.down, len(rows[:MOST_ROWS]) - row))
            taken.update((row + y, column + x) for y in range(down) for x in range(across))
            text = "\n".join(" ".join(line.split()) for line in "".join(cell.text).strip().split("\n"))
            cells.append(
                TableCell(
                    row=row, column=column, row_span=down, column_span=across, text=text, is_header=cell.is_header
                )
            )
            column += across
    return cells


@dataclass
class _Cell:
    down: int
    across: int
    is_header: bool
    text: list[str] = field(default_factory=list)


class _Parser(HTMLParser):
    """Collects rows of cells; of nested tables the text only."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[_Cell]] = []
        self._cell: _Cell | None = None
        self._depth = 0
        self._in_head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._depth += 1
        if self._depth > 1:
            return
        if tag == "thead":
            self._in_head = True
        elif tag == "tr":
            self.rows.append([])
            self._cell = None
        elif tag in _CELL_TAGS:
            if not self.rows:
                self.rows.append([])
            known = dict(attrs)
            self._cell = _Cell(_span(known, "rowspan"), _span(known, "colspan"), tag == "th" or self._in_head)
            self.rows[-1].append(self._cell)
        elif tag == "br" and self._cell is not None:
            self._cell.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._depth = max(0, self._depth - 1)
        elif self._depth <= 1 and tag in (*_CELL_TAGS, "tr"):
            self._cell = None
        elif tag == "thead":
            self._in_head = False

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.text.append(data)


def _span(attributes: dict[str, str | None], name: str) -> int:
    value = (attributes.get(name) or "").strip()
    # Seven digits are beyond every limit; more would only be slow to read.
    return max(1, int(value[:7])) if value.isascii() and value.isdigit() else 1

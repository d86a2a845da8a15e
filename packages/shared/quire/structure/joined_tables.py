"""Tables that go on over pages: the parts as one, where the first of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from quire.contracts import Block, PageError, PageText, Table
from quire.structure.markdown import BESIDE_THE_TEXT
from quire.structure.tables import make_table

# Two parts of one table stand at the same place across, within this share of the page's width.
_SAME_PLACE: Final = 0.05
# At the foot of a page and not of the text, so that a table before them may go on.
_BESIDE: Final = BESIDE_THE_TEXT | {"footnote"}
# So many pages are held back at most, all their words in memory.
_MOST_PAGES: Final = 100


@dataclass(frozen=True)
class JoinedPage:
    """A page's blocks, with the rows of following pages in the last table, and without those that went to it before.

    `last_page` is the last page that gave rows to the last table; the page's own number where none did.
    """

    page: PageText
    blocks: tuple[Block, ...]
    last_page: int


def joined(pages: Iterable[PageText | PageError]) -> Iterator[JoinedPage | PageError]:
    """Pages in their order. They are held back while their last table may go on: a few of them at a time.

    A table goes on where it is the last of a page's text, and the first of the next page's is a table with as many
    columns at the same place across. Column heads that are repeated there are left out. A page that failed ends it.
    """
    held: list[JoinedPage] = []
    for page in pages:
        if isinstance(page, PageError):
            yield from held
            held = []
            yield page
            continue
        opened = held[0] if held else None
        following = _continuation(opened, page) if opened is not None and len(held) < _MOST_PAGES else None
        if opened is None or following is None:
            yield from held
            held = [JoinedPage(page, page.blocks, page.page_number)]
            continue
        index, rest = following
        held[0] = _with_rows(opened, page.blocks[index], page.page_number)
        # The table is all that the page's text has: the next page may go on with it.
        remaining = (*page.blocks[:index], *rest)
        held.append(JoinedPage(page, remaining, page.page_number))
        if any(block.type not in _BESIDE for block in rest):
            yield from held[:-1]
            held = held[-1:]
    yield from held


def _continuation(opened: JoinedPage, page: PageText) -> tuple[int, tuple[Block, ...]] | None:
    """Where in `page.blocks` the table goes on, and the blocks after it; None if it does not."""
    last = _last_of_text(opened.blocks)
    first = next((index for index, block in enumerate(page.blocks) if block.type not in _BESIDE), None)
    if last is None or first is None or page.page_number != opened.last_page + 1:
        return None
    if opened.blocks[last].type != "table" or page.blocks[first].type != "table":
        # Such as a chart, which has a table of its numbers.
        return None
    before, here = opened.blocks[last].table, page.blocks[first].table
    if before is None or here is None or before.columns != here.columns or not before.columns:
        return None
    if not _same_place(opened.blocks[last], opened.page.width, page.blocks[first], page.width):
        return None
    return first, page.blocks[first + 1 :]


def _last_of_text(blocks: Sequence[Block]) -> int | None:
    return next((i for i in range(len(blocks) - 1, -1, -1) if blocks[i].type not in _BESIDE), None)


def _same_place(a: Block, a_width: int, b: Block, b_width: int) -> bool:
    here = [min(x for x, _ in a.polygon) / a_width, max(x for x, _ in a.polygon) / a_width]
    there = [min(x for x, _ in b.polygon) / b_width, max(x for x, _ in b.polygon) / b_width]
    return all(abs(x - y) <= _SAME_PLACE for x, y in zip(here, there, strict=True))


def _with_rows(opened: JoinedPage, following: Block, page_number: int) -> JoinedPage:
    last = _last_of_text(opened.blocks)
    assert last is not None
    block = opened.blocks[last]
    assert block.table is not None
    assert following.table is not None
    table = join_tables(block.table, following.table)
    text = f"{block.text}\n{following.text}".strip("\n")
    formulas = tuple(dict.fromkeys((*block.formulas, *following.formulas)))
    longer = block.model_copy(update={"table": table, "text": text, "formulas": formulas})
    return replace(opened, blocks=(*opened.blocks[:last], longer, *opened.blocks[last + 1 :]), last_page=page_number)


def join_tables(first: Table, second: Table) -> Table:
    """The rows of both. A cell of `second` has no box: it would be on another page."""
    skipped = _repeated_rows(first, second)
    moved = (
        cell.model_copy(update={"row": cell.row - skipped + first.rows, "box": None})
        for cell in second.cells
        if cell.row >= skipped
    )
    return make_table((*first.cells, *moved))


def _repeated_rows(first: Table, second: Table) -> int:
    """How many rows at the top of `second` repeat the column heads of `first`."""
    heads = max((cell.row + cell.row_span for cell in first.cells if cell.is_header), default=1)
    for rows in range(min(heads, second.rows), 0, -1):
        heads_here = _top(second, rows)
        if heads_here and heads_here == _top(first, rows) and any(text for *_, text in heads_here):
            return rows
    return 0


def _top(table: Table, rows: int) -> list[tuple[int, int, int, int, str]]:
    """The cells of the first rows; none where one of them reaches further down."""
    cells = [cell for cell in table.cells if cell.row < rows]
    if any(cell.row + cell.row_span > rows for cell in cells):
        return []
    return [(cell.row, cell.column, cell.row_span, cell.column_span, " ".join(cell.text.split())) for cell in cells]

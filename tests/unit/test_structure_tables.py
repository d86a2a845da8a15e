"""Tables: HTML to cells and back, parts on several pages, and the exports of tables."""

from __future__ import annotations

import csv
import io
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from quire.contracts import Block, PageError, PageText, TableCell
from quire.exports.tables import harmless
from quire.structure.joined_tables import JoinedPage, join_tables, joined
from quire.structure.tables import MOST_COLUMNS, MOST_ROWS, grid, make_table, table_from_html
from tests.structured_pages import block, page_of, table_of
from tests.unit.exported import box, exported, failed


def parts(cell: TableCell) -> tuple[int, int, int, int, str]:
    return cell.row, cell.column, cell.row_span, cell.column_span, cell.text


def test_cells_take_the_first_free_place():
    table = table_from_html(
        '<table><tr><th rowspan="2">A</th><th colspan="2">B</th></tr><tr><td>1</td><td>2</td></tr>'
        "<tr><td>x</td><td>y</td><td>z</td></tr></table>"
    )
    assert [parts(cell) for cell in table.cells] == [
        (0, 0, 2, 1, "A"), (0, 1, 1, 2, "B"), (1, 1, 1, 1, "1"), (1, 2, 1, 1, "2"),
        (2, 0, 1, 1, "x"), (2, 1, 1, 1, "y"), (2, 2, 1, 1, "z"),
    ]  # fmt: skip
    assert grid(table) == [["A", "B", ""], ["", "1", "2"], ["x", "y", "z"]]


def test_html_of_a_table_gives_the_same_table():
    source = '<table><tr><th>A &amp; B</th><th>&lt;i&gt;</th></tr><tr><td colspan="2">one<br>two</td></tr></table>'
    table = table_from_html(source)
    assert table.html == source
    assert table_from_html(table.html) == table


def test_html_of_a_table_is_harmless():
    table = make_table([TableCell(row=0, column=0, text='<script>alert(1)</script>"\n&amp;')])
    (cell,) = html.fromstring(table.html).iter("td")
    assert [child.tag for child in cell] == ["br"]
    assert cell.text == '<script>alert(1)</script>"'


@pytest.mark.parametrize(
    "damaged",
    [
        "", "<table>", "no table", "<tr><td>a", "<td>a<td>b<tr><td>c",
        '<table><tr><td rowspan="x" colspan="-3">a</table>',
        '<table><tr><td rowspan="99999999999999999999" colspan="4000000000">a</td><td>b</td></tr></table>',
        "<table><tr><td><table><tr><td>in</td></tr></table></td></tr></table>", "</table></tr></td>",
    ],
)  # fmt: skip
def test_damaged_html_is_a_table_of_what_is_there(damaged: str):
    table = table_from_html(damaged)
    assert table.columns <= MOST_COLUMNS
    assert len({(c.row, c.column) for c in table.cells}) == len(table.cells)
    assert table_from_html(table.html).cells == table.cells


def test_a_table_has_no_more_rows_than_it_may():
    assert table_from_html("<table>" + "<tr><td>a</td></tr>" * (MOST_ROWS + 5) + "</table>").rows == MOST_ROWS


_CELLS = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.text("ab<&\n ", max_size=5)), max_size=4), max_size=5
)


@given(_CELLS)
def test_no_two_cells_share_a_place(rows: list[list[tuple[int, int, str]]]):
    source = "".join(
        "<tr>" + "".join(f'<td rowspan="{down}" colspan="{across}">{text}</td>' for down, across, text in row) + "</tr>"
        for row in rows
    )
    table = table_from_html(f"<table>{source}</table>")
    places = [
        (cell.row + y, cell.column + x)
        for cell in table.cells
        for y in range(cell.row_span)
        for x in range(cell.column_span)
    ]
    assert len(places) == len(set(places))
    assert all(row < table.rows and column < table.columns for row, column in places)
    assert table_from_html(table.html).cells == table.cells


# --- Over pages -------------------------------------------------------------------------------------------------------

HEADS = ("Item", "Price")


def table_block(*rows: tuple[str, ...], heads: int = 0, **more: Any) -> Block:
    return block("table", table=table_of(*rows, heads=heads), **more)


def texts(page: JoinedPage | PageError) -> list[object]:
    assert isinstance(page, JoinedPage)
    return [grid(each.table) if each.table else each.text for each in page.blocks]


def join(*pages: PageText | PageError) -> list[JoinedPage | PageError]:
    return list(joined(pages))


def test_a_table_over_three_pages_is_one_where_it_begins():
    pages = join(
        page_of(block("paragraph", "before"), table_block(HEADS, ("a", "1"), heads=1), block("footer", "Acme")),
        page_of(block("header", "Acme"), table_block(HEADS, ("b", "2"), heads=1), block("page_number", "2"), number=2),
        page_of(table_block(("c", "3")), block("paragraph", "after"), number=3),
    )
    assert texts(pages[0]) == ["before", [["Item", "Price"], ["a", "1"], ["b", "2"], ["c", "3"]], "Acme"]
    assert texts(pages[1]) == ["Acme", "2"]
    assert texts(pages[2]) == ["after"]
    assert [page.last_page for page in pages if isinstance(page, JoinedPage)] == [3, 2, 3]
    assert [page.page.page_number for page in pages if isinstance(page, JoinedPage)] == [1, 2, 3]


def test_the_next_table_of_a_page_may_go_on_as_well():
    pages = join(
        page_of(table_block(("a", "1"))),
        page_of(table_block(("b", "2")), block("paragraph", "between"), table_block(("x", "y", "z")), number=2),
        page_of(table_block(("p", "q", "r")), number=3),
    )
    assert texts(pages[0]) == [[["a", "1"], ["b", "2"]]]
    assert texts(pages[1]) == ["between", [["x", "y", "z"], ["p", "q", "r"]]]
    assert texts(pages[2]) == []


@pytest.mark.parametrize(
    "following",
    [
        page_of(block("paragraph", "text"), table_block(("b", "2")), number=2),
        page_of(table_block(("b", "2", "3")), number=2),
        page_of(table_block(("b", "2"), left=300), number=2),
        page_of(table_block(("b", "2")), number=3),
        page_of(number=2),
    ],
    ids=["text before it", "another number of columns", "another place", "a page is missing", "an empty page"],
)
def test_another_table_is_not_joined(following: PageText):
    pages = join(page_of(table_block(("a", "1"))), following)
    assert texts(pages[0]) == [[["a", "1"]]]
    assert len(texts(pages[1])) == len(following.blocks)


def test_a_chart_has_a_table_that_no_other_goes_on_with():
    chart = block("chart", table=table_of(("a", "1")))
    pages = join(page_of(chart), page_of(table_block(("b", "2")), number=2), page_of(chart, number=3))
    assert [texts(page) for page in pages] == [[[["a", "1"]]], [[["b", "2"]]], [[["a", "1"]]]]


def test_formulas_of_both_parts_are_those_of_the_whole():
    pages = join(
        page_of(table_block(("$a$", "1"), formulas=("a",))),
        page_of(table_block(("$b$", "2"), formulas=("b",)), number=2),
    )
    assert isinstance(pages[0], JoinedPage)
    assert pages[0].blocks[0].formulas == ("a", "b")


def test_text_after_a_table_ends_it():
    pages = join(page_of(table_block(("a", "1")), block("paragraph", "x")), page_of(table_block(("b", "2")), number=2))
    assert texts(pages[1]) == [[["b", "2"]]]


def test_a_page_that_failed_ends_a_table():
    pages = join(page_of(table_block(("a", "1"))), failed(2), page_of(table_block(("b", "2")), number=3))
    assert texts(pages[0]) == [[["a", "1"]]]
    assert pages[1] == failed(2)
    assert texts(pages[2]) == [[["b", "2"]]]


def test_repeated_heads_are_left_out_and_rows_that_only_look_alike_are_not():
    first = table_of(HEADS, ("a", "1"), heads=1)
    assert grid(join_tables(first, table_of(HEADS, ("b", "2")))) == [["Item", "Price"], ["a", "1"], ["b", "2"]]
    assert grid(join_tables(first, table_of(("a", "1")))) == [["Item", "Price"], ["a", "1"], ["a", "1"]]
    assert join_tables(first, table_of(("b", "2"))).cells[-1].box is None


# --- Exports ----------------------------------------------------------------------------------------------------------

SPANNED = table_from_html(
    '<table><tr><th colspan="2">Ä &lt;b&gt;</th></tr><tr><td>=1+1</td><td>-5.20</td></tr></table>'
)


@pytest.fixture
def pages() -> list[PageText]:
    return [
        page_of(block("table", table=SPANNED), block("paragraph", "x"), table_block(HEADS, ("a", "1"))),
        page_of(table_block(HEADS, ("b", "2")), number=2),
        page_of(block("paragraph", "no table"), number=3),
    ]


def test_tables_as_html(pages: list[PageText]):
    tree = html.fromstring(exported("tables-html", pages, filename='<i>"&.pdf').decode("utf-8"))
    assert tree.findtext(".//title") == '<i>"&.pdf'
    assert [each.text for each in tree.iter("caption")] == ["Page 1, table 1", "Page 1-2, table 2"]
    first, second = tree.iter("table")
    assert [cell.text for cell in first.iter("th", "td")] == ["Ä <b>", "=1+1", "-5.20"]
    assert [cell.text for cell in second.iter("td")] == ["Item", "Price", "a", "1", "b", "2"]


def test_tables_as_csv(pages: list[PageText]):
    text = exported("tables-csv", pages).decode("utf-8-sig")
    # What a spreadsheet would run is text there.
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["Ä <b>", ""], ["'=1+1", "-5.20"], [], ["Item", "Price"], ["a", "1"], ["b", "2"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "cell", ["=cmd|' /C calc'!A0", "+1+cmd|'x'!A0", "-2+3", "@SUM(A1)", "\uff1d1+1", "\uff0b1", "  =1+1", "--", "+-1"]
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_text_in_csv(cell: str):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-", "", "a=b", "-5.20", "+49 30 1234", "-1,000.00", "'=1", "1=1", "–"])
def test_numbers_and_words_stay_as_they_are_in_csv(cell: str):
    assert harmless(cell) == cell


def test_empty_tables_and_cells_come_out_in_every_form():
    empty = [page_of(table_block(("", ""), ("", ""))), page_of(block("table", table=make_table([])), number=2)]
    assert list(csv.reader(io.StringIO(exported("tables-csv", empty).decode("utf-8-sig")))) == [["", ""], ["", ""]]
    assert openpyxl.load_workbook(io.BytesIO(exported("tables-xlsx", empty))).sheetnames == ["p1 t1"]
    assert exported("tables-html", empty).count(b"<table>") == 1
    assert b"|  |  |" in exported("md", empty)


def test_tables_of_two_columns_of_text_are_not_one():
    left, right = table_block(("a", "1"), left=50, right=330), table_block(("b", "2"), left=370, right=650)
    pages = join(page_of(left, right), page_of(table_block(("c", "3"), left=50, right=330), number=2))
    assert texts(pages[0]) == [[["a", "1"]], [["b", "2"]]]
    assert texts(pages[1]) == [[["c", "3"]]]


def test_tables_as_a_workbook(pages: list[PageText]):
    book = openpyxl.load_workbook(io.BytesIO(exported("tables-xlsx", pages)))
    assert book.sheetnames == ["p1 t1", "p1-2 t2"]
    first, second = book.worksheets
    assert [[cell.value for cell in row] for row in first.iter_rows()] == [["Ä <b>", None], ["=1+1", "-5.20"]]
    assert first["A2"].data_type in ("s", "inlineStr")
    assert [str(merged) for merged in first.merged_cells.ranges] == ["A1:B1"]
    assert [[cell.value for cell in row] for row in second.iter_rows()] == [["Item", "Price"], ["a", "1"], ["b", "2"]]


def test_a_workbook_of_no_tables_can_be_opened():
    book = openpyxl.load_workbook(io.BytesIO(exported("tables-xlsx", [page_of(block("paragraph", "x"))])))
    assert book.sheetnames == ["no tables"]


def test_a_workbook_takes_every_text():
    odd = "\x00\x1b\ud800￾]]>" + "long" * 10_000
    book = openpyxl.load_workbook(io.BytesIO(exported("tables-xlsx", [page_of(table_block((odd, " a ")))])))
    value = book.worksheets[0]["A1"].value
    assert value.startswith("]]>longlong")
    assert len(value) <= 32_767
    assert book.worksheets[0]["B1"].value == " a "


def test_columns_beyond_the_26th_have_two_letters():
    book = openpyxl.load_workbook(
        io.BytesIO(exported("tables-xlsx", [page_of(table_block(tuple(f"c{i}" for i in range(60))))]))
    )
    assert [cell.value for cell in book.worksheets[0][1]] == [f"c{i}" for i in range(60)]


def test_cells_know_their_places_after_all():
    table = table_from_html("<tr><td>a</td></tr>", [box(1, 2, 3, 4)])
    assert table.cells[0].box == box(1, 2, 3, 4)
    assert table_from_html("<tr><td>a</td></tr>", [box(1, 2, 3, 4)] * 2).cells[0].box is None

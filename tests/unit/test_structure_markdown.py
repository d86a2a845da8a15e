"""Blocks as Markdown, read back by a CommonMark parser."""

from __future__ import annotations

import pytest
from lxml import html
from markdown_it import MarkdownIt

from quire.contracts import Block
from quire.structure.markdown import block_markdown, blocks_markdown
from quire.structure.tables import table_from_html
from tests.structured_pages import block, page_of, table_of
from tests.unit.exported import exported

PARSER = MarkdownIt("commonmark").enable("table")


def rendered(*blocks: Block) -> html.HtmlElement:
    return html.fragment_fromstring(PARSER.render(blocks_markdown(blocks)), create_parent="div")


def test_headings_paragraphs_lists_and_code():
    tree = rendered(
        block("title", "Über\nuns"),
        block("heading", "1. Aims"),
        block("paragraph", "# no heading\n<b>not bold</b> *x*"),
        block("list", "• one\n- two_2\n• three"),
        block("code", "for (;;) {\n  ```\n}"),
        block("header", "Acme"),
        block("page_number", "3"),
    )
    assert [(each.tag, each.text_content().strip()) for each in tree] == [
        ("h1", "Über uns"),
        ("h2", "1. Aims"),
        ("p", "# no heading\n<b>not bold</b> *x*"),
        ("ul", "one\ntwo_2\nthree"),
        ("pre", "for (;;) {\n  ```\n}"),
    ]


def test_numbered_lists_keep_their_numbers():
    tree = rendered(block("list", "3. three\n4. four"))
    assert tree[0].tag == "ol"
    assert tree[0].get("start") == "3"
    assert [each.text for each in tree[0]] == ["three", "four"]


def test_a_table_is_a_table():
    tree = rendered(block("table", table=table_of(("A|B", "*"), ("1\n2", "<i>"))))
    assert [each.text_content() for each in tree.iter("th")] == ["A|B", "*"]
    cells = list(tree.iter("td"))
    assert [each.text_content() for each in cells] == ["12", "<i>"]
    assert [child.tag for child in cells[0]] == ["br"]


def test_a_table_with_spans_is_html():
    table = table_from_html('<table><tr><th colspan="2">A</th></tr><tr><td>1</td><td>&lt;2</td></tr></table>')
    tree = rendered(block("table", table=table))
    assert tree.find(".//th").get("colspan") == "2"
    assert [each.text for each in tree.iter("td")] == ["1", "<2"]


def test_a_formula_is_between_two_dollar_signs():
    assert block_markdown(block("formula", latex="a^2")) == "$$\na^2\n$$"
    # Nothing in it ends it, and nothing is taken for HTML.
    assert block_markdown(block("formula", latex="a$$b\n\n<script>")) == "$$\na${}$b\n\\lt script\\gt \n$$"


def test_formulas_within_text_are_not_escaped_and_all_else_is():
    text = "From $5 to $6, $x_1$ and $x_1+y$"
    assert block_markdown(block("paragraph", text, formulas=("x_1", "x_1+y"))) == (
        r"From \$5 to \$6, $x_1$ and $x_1+y$"
    )
    assert block_markdown(block("heading", text, formulas=("z",))) == (r"## From \$5 to \$6, \$x\_1\$ and \$x\_1+y\$")
    assert block_markdown(block("list", "- $a<b$", formulas=("a<b",))) == r"- $a\lt b$"
    # Nothing in it may end it or a cell, and a dollar sign within would.
    cells = table_of(("$|a|$", r"$\|b\|$"), ("$c$d$", ""))
    assert block_markdown(block("table", table=cells, formulas=("|a|", r"\|b\|", "c$d"))) == (
        "| $\\vert a\\vert$ | $\\Vert b\\Vert$ |\n| --- | --- |\n| \\$c\\$d\\$ |  |"
    )


def test_a_chart_is_its_picture_and_its_numbers():
    chart = block("chart", "x", picture="derived/1/picture-1-1.png", table=table_of(("Year", "Sales"), ("2024", "5")))
    assert block_markdown(chart) == (
        "![x](<derived/1/picture-1-1.png>)\n\n| Year | Sales |\n| --- | --- |\n| 2024 | 5 |"
    )


@pytest.mark.parametrize("kind", ["figure", "chart", "seal"])
def test_a_picture_is_shown_where_it_is_kept(kind):
    shown = rendered(block(kind, "[a] text", picture="derived/1/picture-1-1.png")).find(".//img")
    assert (shown.get("src"), shown.get("alt")) == ("derived/1/picture-1-1.png", "[a] text")
    assert blocks_markdown([block(kind, "[a] text")]) == r"\[a\] text"
    assert blocks_markdown([block(kind)]) == ""


def test_the_export_has_blocks_and_joined_tables():
    pages = [
        page_of(block("title", "Report"), block("table", table=table_of(("a", "1")))),
        page_of(block("table", table=table_of(("b", "2"))), block("paragraph", "after"), number=2),
        page_of(number=3, text="x", markdown="**as the engine wrote it**\n"),
    ]
    assert exported("md", pages).decode() == (
        "<!-- page 1 -->\n\n# Report\n\n| a | 1 |\n| --- | --- |\n| b | 2 |\n\n"
        "<!-- page 2 -->\n\nafter\n\n"
        "<!-- page 3 -->\n\n**as the engine wrote it**\n"
    )

"""Plain text, JSON and Markdown."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from quire.contracts import PageError, PageText
from quire.errors import InvalidPayload
from quire.exports.base import ExportInfo, with_failed
from quire.exports.formats import FORMATS, write_export
from quire.structure.escaping import escape_line
from tests.unit.exported import box, exported, failed, page_with, text_page


def test_every_format_of_the_api_is_there():
    assert list(FORMATS) == [
        "txt", "json", "md", "tables-html", "tables-csv", "tables-xlsx", "hocr", "alto", "pdf", "overlay",
    ]  # fmt: skip
    assert {name for name, known in FORMATS.items() if known.needs_source} == {"pdf", "overlay"}


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(InvalidPayload, match=r"'docx'.*txt, json"):
        write_export("docx", ExportInfo("a", 1), iter(()), io.BytesIO())


def test_failed_pages_take_their_place_among_the_others():
    pages = [text_page("a", number=number) for number in (2, 3, 6)]
    found = with_failed(pages, [failed(number) for number in (1, 4, 5, 7)])
    assert [(type(page), page.page_number) for page in found] == [
        (PageError, 1), (PageText, 2), (PageText, 3), (PageError, 4), (PageError, 5), (PageText, 6), (PageError, 7),
    ]  # fmt: skip


# --- Plain text


def test_a_form_feed_stands_between_two_pages_and_a_failed_one_is_empty():
    pages = [text_page("one", "two"), text_page("four", number=4)]
    content = exported("txt", pages, errors=(failed(3),)).decode()
    assert content == "one\ntwo\n\f\ffour\n"


def test_a_form_feed_within_a_page_does_not_divide_it():
    assert exported("txt", [text_page("a", text="a\fb")]) == b"a\nb\n"


def test_text_of_any_script_is_utf_8():
    assert exported("txt", [text_page("שלום 中文 𝒳")]).decode() == "שלום 中文 𝒳\n"


# --- JSON


def test_every_page_of_the_json_is_a_page_of_the_contract():
    pages = [page_with([[("one", box(1, 2, 3, 4)), ("“two”", box(4, 2, 6, 4))]]), text_page("x", number=3, dpi=180.0)]
    content = json.loads(exported("json", pages, errors=(failed(2),), filename='a "b".pdf'))
    assert [PageText.model_validate(page) for page in content.pop("pages")] == pages
    assert [PageError.model_validate(error) for error in content.pop("errors")] == [failed(2)]
    assert content == {"filename": 'a "b".pdf', "sha256": "ab" * 32, "page_count": 3}


def test_json_of_no_pages_is_json():
    assert json.loads(exported("json", []))["pages"] == []


# --- Markdown


def shown(markdown: str) -> str:
    """What a CommonMark parser with tables and strikethrough makes of it, as text; fails if there is any markup."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    paragraphs = []
    for token in tokens:
        assert token.type in ("paragraph_open", "paragraph_close", "inline", "html_block"), token
        if token.type == "html_block":
            assert token.content.startswith("<!-- page "), token
        for child in token.children or ():
            assert child.type in ("text", "text_special", "softbreak"), child
        if token.type == "inline":
            paragraphs.append("".join("\n" if c.type == "softbreak" else c.content for c in token.children or ()))
    return "\n\n".join(paragraphs)


MARKUP = [
    "# Heading", "- item", "+ item", "* item", "1. item", "23) item", "> quote", "    code", "```", "~~~ x", "===",
    "---", "*a* _b_ `c` **d**", "[link](http://a.b) ![i](x)", "<b>html</b>", "<!-- page 9 -->", "&amp; &#65; &copy",
    "a | b", "| - | - |", "~~gone~~", "C:\\dir\\*.txt", "<http://a.b>", "[1]: http://a.b", "trailing  ", "***", "___",
    "\\", "::: x", "$x$ ^2 [^1]", "10.5 EUR", "-5", "a\\", "![", "2024-12-01",
]  # fmt: skip


@pytest.mark.parametrize("line", MARKUP)
def test_text_is_no_markup(line):
    assert shown(exported("md", [text_page(line)]).decode()) == " ".join(line.split())


@pytest.mark.parametrize("line", MARKUP)
def test_text_is_no_markup_under_another_line(line):
    assert shown(f"text\n{escape_line(line)}\n{escape_line(line)}") == "\n".join(
        ["text", *[" ".join(line.split())] * 2]
    )


@given(st.text(st.sampled_from("#*_-+=.)(1[]<>&;|`~!\\:x \t$^'\""), max_size=30))
def test_no_line_of_any_characters_is_markup(line):
    if text := " ".join(line.split()):
        assert shown(escape_line(line)) == text


def test_pages_are_named_in_comments():
    content = exported("md", [text_page("one"), text_page("three", number=3)], errors=(failed(2),)).decode()
    assert content == "<!-- page 1 -->\n\none\n\n<!-- page 2: not read, timeout -->\n\n<!-- page 3 -->\n\nthree\n"


def line(top: float, text: str, left: float = 40, right: float = 400):
    return [(text, box(left, top, right, top + 30))]


def test_a_gap_ends_a_paragraph():
    page = page_with([line(40, "one"), line(76, "two"), line(112, "three"), line(190, "four"), line(226, "five")])
    assert shown(exported("md", [page]).decode()) == "one\ntwo\nthree\n\nfour\nfive"


def test_double_spaced_lines_are_one_paragraph():
    page = page_with([line(40 + 60 * index, str(index) + "x") for index in range(5)])
    assert shown(exported("md", [page]).decode()) == "0x\n1x\n2x\n3x\n4x"


def test_the_next_column_is_another_paragraph():
    left = [line(40, "a"), line(76, "b")]
    right = [line(40, "c", 420, 700), line(76, "d", 420, 700)]
    # The reading order is the page's; "b" and "c" do not touch.
    assert shown(exported("md", [page_with(left + right)]).decode()) == "a\nb\n\nc\nd"


def test_what_stands_beside_each_other_is_one_line():
    page = page_with(
        [line(40, "Tea", 40, 100), line(42, "2.50", 500, 560), line(76, "Cake", 40, 120)], text="Tea 2.50\nCake"
    )
    assert shown(exported("md", [page]).decode()) == "Tea 2.50\nCake"


def test_words_divided_by_a_lines_end_are_whole_as_in_the_text():
    page = page_with([line(40, "a Pel-"), line(76, "lentesque ante")], text="a Pellentesque\nante")
    assert shown(exported("md", [page]).decode()) == "a Pellentesque\nante"


def test_a_page_on_its_side_has_its_lines():
    turned = [
        [(text, ((x, 40.0), (x, 400.0), (x - 30, 400.0), (x - 30, 40.0)))]
        for x, text in ((300.0, "one"), (264.0, "two"))
    ]
    assert shown(exported("md", [page_with(turned)]).decode()) == "one\ntwo"

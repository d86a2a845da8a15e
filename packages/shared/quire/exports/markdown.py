"""Markdown: blocks or paragraphs of text, and a comment at the beginning of each page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from quire.contracts import PageError, PageText
from quire.exports.base import ExportInfo, with_failed
from quire.exports.lines import lines_of, paragraphs_of
from quire.structure.escaping import escape_line
from quire.structure.joined_tables import JoinedPage, joined
from quire.structure.markdown import blocks_markdown


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """UTF-8. `<!-- page n -->` before each page; one that failed has the error's code there, and no text.

    A table that goes on over pages is whole on the first of them.
    """
    for index, page in enumerate(joined(with_failed(pages, info.errors))):
        out.write(b"\n" if index else b"")
        if isinstance(page, PageError):
            out.write(f"<!-- page {page.page_number}: not read, {_code(page)} -->\n".encode())
            continue
        out.write(f"<!-- page {page.page.page_number} -->\n".encode())
        for paragraph in _body(page):
            out.write(b"\n" + paragraph.encode("utf-8", "replace") + b"\n")


def _body(joined_page: JoinedPage) -> Iterator[str]:
    """The paragraphs of a page: of its blocks where it has some, else as its engine wrote them, else of its lines."""
    page = joined_page.page
    if page.blocks:
        if text := blocks_markdown(joined_page.blocks):
            yield text
    elif page.markdown is not None:
        if page.markdown.strip():
            yield page.markdown.strip("\n")
    else:
        yield from ("\n".join(map(escape_line, paragraph)) for paragraph in _paragraphs(page))


def _paragraphs(page: PageText) -> Iterator[list[str]]:
    """Lines of text by paragraph, words that a line's end divided made whole where the page's text has them so."""
    paragraphs = paragraphs_of(list(lines_of(page)))
    texts = page.text.split("\n")
    if len(texts) != sum(map(len, paragraphs)):
        texts = [" ".join(line.text for line in row) for rows in paragraphs for row in rows]
    remaining = iter(texts)
    for rows in paragraphs:
        if lines := [text for text in islice(remaining, len(rows)) if text.strip()]:
            yield lines


def _code(error: PageError) -> str:
    return re.sub(r"[^a-z0-9_]", "", error.code)

"""Markdown: paragraphs of text, and a comment at the beginning of each page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from quire.contracts import PageError, PageText
from quire.exports.base import ExportInfo, with_failed
from quire.exports.lines import lines_of, paragraphs_of

# Between words these have a meaning to CommonMark or to the extensions in use (tables, strikethrough, mathematics,
# footnotes); a backslash before them takes it away. Other punctuation has one only where a line begins.
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>&|~$^]")
_AT_LINE_START: Final = re.compile(r"(?:[#+=:-]|\d{1,9}(?=[.)]))")


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """UTF-8. `<!-- page n -->` before each page; one that failed has the error's code there, and no text."""
    for index, page in enumerate(with_failed(pages, info.errors)):
        out.write(b"\n" if index else b"")
        if isinstance(page, PageError):
            out.write(f"<!-- page {page.page_number}: not read, {_code(page)} -->\n".encode())
            continue
        out.write(f"<!-- page {page.page_number} -->\n".encode())
        for paragraph in _paragraphs(page):
            out.write(b"\n" + "\n".join(map(escape_line, paragraph)).encode("utf-8", "replace") + b"\n")


def escape_line(text: str) -> str:
    """One line of text, so that a CommonMark parser gives that very text and no markup."""
    # Spaces at the beginning would make code of it, at the end a line break.
    escaped = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    start = _AT_LINE_START.match(escaped)
    if start is None:
        return escaped
    # A number is marked behind it, everything else before.
    at = start.end() if start[0].isdigit() else 0
    return f"{escaped[:at]}\\{escaped[at:]}"


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

"""JSON: one object, with every page as `quire.contracts.PageText` has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from quire.contracts import PageText
from quire.exports.base import ExportInfo


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, _source: Path | None) -> None:
    """`{"filename", "sha256", "page_count", "errors": [...], "pages": [...]}`, a page a line."""
    head = {
        "filename": info.filename,
        "sha256": info.sha256,
        "page_count": info.page_count,
        "errors": [error.model_dump(mode="json") for error in info.errors],
    }
    out.write(json.dumps(head, ensure_ascii=False)[:-1].encode("utf-8", "replace") + b', "pages": [')
    separator = b"\n"
    for page in pages:
        out.write(separator + page.model_dump_json().encode())
        separator = b",\n"
    out.write(b"\n]}\n")

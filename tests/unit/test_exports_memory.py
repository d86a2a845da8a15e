"""Exports take as much memory for many pages as for few."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pikepdf
import pytest

from quire.contracts import PageText
from quire.exports.base import ExportInfo
from quire.exports.formats import write_export
from tests.unit.exported import box, page_with


class Nowhere(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        return len(content)


LINES = [
    [(f"word{line}x{word}", box(90 * word, 40 * line, 90 * word + 80, 40 * line + 30)) for word in range(6)]
    for line in range(20)
]


def pages(count: int) -> Iterator[PageText]:
    for number in range(1, count + 1):
        yield page_with(LINES, number=number, size=(800, 1000), dpi=180.0)


def peak(name: str, count: int, source=None) -> int:
    tracemalloc.start()
    try:
        write_export(name, ExportInfo("a", count), pages(count), Nowhere(), source)  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["txt", "json", "md", "hocr", "alto"])
def test_ten_times_the_pages_take_no_more_memory(name):
    peak(name, 2)
    # Less than five pages: garbage may wait for its collector.
    assert peak(name, 100) < peak(name, 10) + 500_000


def test_a_page_of_a_pdf_leaves_little_behind(tmp_path):
    # In Python: what native code takes is measured by `python -m benchmarks.exports`.
    pdf = pikepdf.new()
    for _ in range(60):
        pdf.add_blank_page(page_size=(320, 400))
    pdf.save(tmp_path / "a.pdf")
    peak("pdf", 10, tmp_path / "a.pdf")
    assert peak("pdf", 60, tmp_path / "a.pdf") < peak("pdf", 10, tmp_path / "a.pdf") + 500_000

"""What a text layer says, next to the text that is known to be there and to what pdftotext reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.text_pdf import write_text_pdf
from ocr.read import ReadOptions, read_page
from quire.pages import open_source
from tests.engines import InstantEngine

ONLY = ReadOptions(dpi=72, min_confidence=0.5, languages=("en",), text_layer="only")
WORD = re.compile(r"\w+")
# Words of letters: pdftotext guesses at the glyphs of formulas, each a letter or a digit, and guesses wrong.
LETTERS = re.compile(r"[^\W\d_]{3,}")
DOCUMENTS = (
    "py-pdf-samples/pdflatex-4-pages.pdf",
    "py-pdf-samples/multicolumn.pdf",
    "py-pdf-samples/google-doc-document.pdf",
    "py-pdf-samples/crazyones-pdfa.pdf",
    "py-pdf-samples/pdflatex-image.pdf",
    "ocrmypdf-resources/tagged.pdf",
    "ocrmypdf-resources/link.pdf",
)
DIVIDED = ("consectetuer adipiscing elit", "Maecenas lacinia", "Lorem ipsum dolor sit amet")


def text_of(path: Path) -> str:
    with open_source(path) as source:
        numbers = range(1, source.page_count + 1)
        return "\n".join(read_page(source, number, ONLY, InstantEngine()).text for number in numbers)


def f1(read: str, expected: str, word: re.Pattern[str]) -> float:
    found, wanted = Counter(word.findall(read)), Counter(word.findall(expected))
    return 2 * (found & wanted).total() / max(1, found.total() + wanted.total())


def pdftotext(path: Path) -> str:
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("needs pdftotext (poppler-utils) on the PATH")
    return subprocess.run([program, "-cropbox", path, "-"], capture_output=True, check=True).stdout.decode()


def test_the_text_that_made_a_document_comes_back_line_by_line(tmp_path: Path):
    expected = write_text_pdf(tmp_path / "text.pdf", pages=3)
    assert text_of(tmp_path / "text.pdf").splitlines() == expected.splitlines()


@pytest.mark.parametrize("words", DIVIDED)
def test_words_that_a_lines_end_divides_are_whole(documents: Path, words):
    assert words in " ".join(text_of(documents / "py-pdf-samples" / "multicolumn.pdf").split())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_content_equals_pdftotext(documents: Path, name):
    assert f1(text_of(documents / name), pdftotext(documents / name), WORD) >= 0.99


def test_content_of_a_book_with_formulas_equals_pdftotext_in_its_words(documents: Path):
    path = documents / "py-pdf-samples" / "GeoTopo-komprimiert.pdf"
    with open_source(path) as source:
        # Its first ten pages are text; later ones are mostly formulas, and some have no text layer to rely on.
        pages = [read_page(source, number, ONLY, InstantEngine()).text for number in range(1, 11)]
    expected = "\f".join(pdftotext(path).split("\f")[:10])
    assert f1("\n".join(pages), expected, LETTERS) >= 0.99

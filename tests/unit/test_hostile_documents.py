"""Files made to harm whoever reads them: each is read, or refused by an error with a code of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from quire.cli.samples import sample_pdf
from tests.isolated import IsolatedReader, Job, Outcome
from tests.unit.hostile_images import DISGUISED, STRANGERS, encoded, hostile_images
from tests.unit.hostile_pdfs import hostile_pdfs

# Far more than any of these needs: what takes longer hangs.
TIMEOUT_SECONDS = 60
# A page of the most pixels that are allowed: four bytes of each as it is decoded, three as it is handed on.
MAX_GROWN_MIB = 750
# PDFium decodes a gibibyte of a stream at most, and copies it.
MAX_GROWN_BY_BOMB_MIB = 2_600
HOSTILE = hostile_pdfs() | hostile_images()
# These few hundred bytes take PDFium minutes or all memory, and nothing outside it can tell beforehand: the worker's
# time limits and the pool's replacement of lost processes are what holds.
NATIVE = {
    "PDF, content: 300,000 marks that do not end",
    "PDF, bomb: a content of q",
    "PDF, bomb: a content of 0 0 1 1 re f",
    "PDF, form: it draws itself nine times",
    "PDF, pattern: it is painted with itself",
    "PDF, pattern: steps of 0.000001",
}
CODES = {
    "PDF, encryption: a wrong password": "encrypted",
    "PDF, page tree: no pages": "corrupt",
    "PDF, page tree: its own kid": "corrupt",
    "PNG, 60,000 x 60,000 pixels of nothing": "too_large",
    "TIFF, 60,000 x 60,000 pixels of nothing": "too_large",
    "TIFF, 50,000 pages": "too_many_pages",
    "JPEG, 65,500 x 65,500 pixels of nothing": "too_large",
    "BMP, 60,000 x 60,000 pixels of nothing": "too_large",
    "PNG, 9,999 x 9,999 pixels of nothing": "corrupt",
    "PDF, media box: 35,000 points wide and high": "read",
    "JPEG, four inks": "read",
    "JPEG, four inks of Adobe's other kind": "read",
}


@pytest.fixture(scope="module")
def reader() -> Iterator[IsolatedReader]:
    with IsolatedReader(TIMEOUT_SECONDS) as reader:
        yield reader


def read(reader: IsolatedReader, path: Path, content: bytes) -> Outcome:
    path.write_bytes(content)
    outcome = reader.read(Job(str(path)))
    assert outcome.is_typed, f"{outcome.ended}: {outcome.detail}"
    return outcome


def cases() -> Iterator[ParameterSet]:
    for name in HOSTILE:
        marks = [pytest.mark.xfail(run=False, reason="PDFium has no limit for it")] if name in NATIVE else []
        yield pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", cases())
def test_a_hostile_file_is_read_or_refused_by_a_typed_error(reader: IsolatedReader, tmp_path: Path, name: str):
    outcome = read(reader, tmp_path / "document", HOSTILE[name]())
    limit = MAX_GROWN_BY_BOMB_MIB if name.startswith("PDF") and "bomb" in name else MAX_GROWN_MIB
    assert outcome.grown < limit, f"reading it took {outcome.grown:,.0f} MiB"
    assert name not in CODES or set(outcome.codes) == {CODES[name]}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_of_another_type_is_refused_as_such(reader: IsolatedReader, tmp_path: Path, name: str):
    outcome = read(reader, tmp_path / "document.pdf", STRANGERS[name]())
    assert outcome.codes == {"unsupported_media_type": 1}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_file_that_is_two_things_is_read_as_one_of_them(reader: IsolatedReader, tmp_path: Path, name: str):
    assert set(read(reader, tmp_path / "document", DISGUISED[name]()).codes) == {"read"}


def test_an_empty_file_is_empty(reader: IsolatedReader, tmp_path: Path):
    assert read(reader, tmp_path / "document.pdf", b"").codes == {"empty": 1}


@pytest.mark.parametrize(("name", "content"), [("page.png", sample_pdf()), ("page.pdf", encoded("PNG"))])
def test_the_name_of_a_file_is_not_believed(reader: IsolatedReader, tmp_path: Path, name: str, content: bytes):
    assert set(read(reader, tmp_path / name, content).codes) == {"read"}

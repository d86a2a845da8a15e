"""A file that was read before: its pages are copied, and only where they are certainly the same."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from quire.contracts import OcrOptions
from quire.database import documents
from quire.database.engine import transaction
from quire.errors import EngineUnavailable
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf, write_text_pdf


@pytest.fixture
def scan(bench: Bench, tmp_path: Path) -> str:
    return bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 6).read_bytes())


def add(bench: Bench, key: str, owner: str = "", **options: object) -> uuid.UUID:
    new = documents.NewDocument(uuid.uuid4(), BUCKET, key, OcrOptions(**options), owner=owner)
    with transaction(bench.database) as session:
        documents.create(session, new)
    return new.id


def test_a_file_that_was_read_before_is_not_read_again(bench: Bench, scan: str):
    first = add(bench, scan)
    bench.flow.work(first)
    bench.engine.read.clear()
    bench.tickets.clear()
    second = add(bench, scan)
    result = bench.flow.work(second)
    assert (result.status, result.pages_done, bench.engine.read, bench.tickets) == ("completed", 6, [], [])
    with transaction(bench.database) as session:
        assert documents.read_pages(session, second) == documents.read_pages(session, first)
    assert bench.document(second).finished_at is not None


def test_the_text_layer_is_reused_as_well(bench: Bench, tmp_path: Path):
    key = bench.put("text.pdf", write_text_pdf(tmp_path / "text.pdf", 2).read_bytes())
    first, second = (add(bench, key) for _ in range(2))
    bench.flow.work(first)
    assert bench.flow.work(second).status == "completed"
    assert {page.attempts for page in bench.pages(second).values()} == {0}
    assert {page.source for page in bench.pages(second).values()} == {"text_layer"}


def test_pages_that_were_not_read_before_are_read(bench: Bench, scan: str):
    bench.flow.work(add(bench, scan, pages="2-4"))
    bench.engine.read.clear()
    result = bench.flow.work(add(bench, scan))
    assert (result.status, result.pages_done, bench.engine.read) == ("completed", 6, [1, 5, 6])


def test_pages_that_failed_are_read_again(bench: Bench, scan: str):
    first = add(bench, scan)
    bench.flow.work(first)
    with transaction(bench.database) as session:
        session.execute(text("UPDATE pages SET status = 'failed' WHERE number = 3"))
        session.execute(text("UPDATE documents SET status = 'partial', pages_done = 5, pages_failed = 1"))
    bench.engine.read.clear()
    assert bench.flow.work(add(bench, scan)).status == "completed"
    assert bench.engine.read == [3]


@pytest.mark.parametrize("options", [{"dpi": 90}, {"lang_hints": ("fr",)}, {"text_layer": "never"}])
def test_with_other_options_a_file_is_read_again(bench: Bench, scan: str, options):
    bench.flow.work(add(bench, scan))
    bench.engine.read.clear()
    bench.flow.work(add(bench, scan, **options))
    assert len(bench.engine.read) == 6


def test_with_another_engine_or_other_settings_a_file_is_read_again(bench: Bench, scan: str):
    bench.flow.work(add(bench, scan))
    engine = InstantEngine()
    engine.version = "2"
    bench.with_engine(engine).work(add(bench, scan))
    assert len(engine.read) == 6
    settings = bench.flow.settings.model_copy(update={"paddleocr_min_confidence": 0.7})
    bench.engine.read.clear()
    replace(bench.flow, settings=settings).work(add(bench, scan))
    assert len(bench.engine.read) == 6


def test_a_changed_file_under_the_same_key_is_read(bench: Bench, scan: str, tmp_path: Path):
    bench.flow.work(add(bench, scan))
    bench.put("scan.pdf", write_scanned_pdf(tmp_path / "other.pdf", 5).read_bytes())
    bench.engine.read.clear()
    assert bench.flow.work(add(bench, scan)).pages_done == 5
    assert len(bench.engine.read) == 5


def test_nothing_is_reused_across_owners(bench: Bench, scan: str):
    bench.flow.work(add(bench, scan, "ann"))
    bench.engine.read.clear()
    bench.flow.work(add(bench, scan, "bob"))
    assert len(bench.engine.read) == 6


def test_reuse_can_be_switched_off(bench: Bench, scan: str):
    settings = bench.flow.settings.model_copy(update={"quire_reuse_pages": False})
    for _ in range(2):
        replace(bench.flow, settings=settings).work(add(bench, scan))
    assert len(bench.engine.read) == 12


def test_without_an_engine_it_is_the_pages_that_say_so(bench: Bench, tmp_path: Path):
    def no_engine() -> InstantEngine:
        raise EngineUnavailable("no models")

    key = bench.put("text.pdf", write_text_pdf(tmp_path / "text.pdf", 2).read_bytes())
    result = replace(bench.flow, ocr=no_engine).work(add(bench, key))
    assert [(error.page_number, error.code) for error in result.errors] == [
        (1, "engine_unavailable"),
        (2, "engine_unavailable"),
    ]

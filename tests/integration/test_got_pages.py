"""Pages without places, as GOT-OCR 2.0 gives them: through both ways of reading, in Postgres and in every export."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pikepdf
import pytest

from flow.whole_document import WholeDocument
from ocr.engines import OcrEngine, create_engine
from ocr.engines.by_options import Engines
from ocr.engines.got import GotEngine
from ocr.read import ReadOptions
from quire.contracts import Mode, OcrPayload
from quire.database import documents
from quire.database.engine import transaction
from quire.exports.base import ExportInfo
from quire.exports.formats import FORMATS, write_export
from quire.settings import Settings
from tests.got_models import write_checkpoint
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf, write_text_pdf
from tests.structured_pages import write_config

MODES: tuple[Mode, Mode] = ("structure", "text")

pytestmark = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="needs torch and transformers: make test-got",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> GotEngine:
    model = write_checkpoint(tmp_path_factory.mktemp("got") / "checkpoint")
    return GotEngine(Settings(quire_got_model_dir=model, quire_got_max_tokens=12), threads=1)


def test_a_page_is_stored_and_exported_without_places(bench: Bench, engine: GotEngine, tmp_path: Path):
    source = write_scanned_pdf(tmp_path / "scan.pdf", 1)
    key = bench.put("scan.pdf", source.read_bytes())
    for mode in ("text", "structure"):
        document_id = bench.accept(key, mode=mode)
        assert bench.with_engine(engine).work(document_id).status == "completed"
        with transaction(bench.database) as session:
            (page,) = documents.read_pages(session, document_id)
        assert page.text
        assert page.markdown
        assert (page.detections, page.words, page.blocks, page.confidence) == ((), (), (), None)
        assert page.engine == f"got {engine.version}"
        for name in FORMATS:
            out = io.BytesIO()
            write_export(name, ExportInfo("scan.pdf", 1), iter([page]), out, source)
            text = {"txt": page.text, "md": page.markdown}.get(name, "")
            assert text.encode("utf-8", "replace") in out.getvalue(), name


def test_the_same_payload_gives_the_same_document_whatever_reads_it(
    bench: Bench, engine: GotEngine, model_dir: Path, tmp_path: Path
):
    with pikepdf.open(write_text_pdf(tmp_path / "text.pdf", 1)) as pdf:
        with pikepdf.open(write_scanned_pdf(tmp_path / "scan.pdf", 1)) as scan:
            pdf.pages.extend(scan.pages)
        pdf.save(tmp_path / "both.pdf")
    key = bench.put("both.pdf", (tmp_path / "both.pdf").read_bytes())
    read = {}
    for each in (engine, lines("lean", model_dir), lines("paddleocr", model_dir)):
        document_id = bench.accept(key, lang_hints=["german"], min_confidence=0.4, dpi=120)
        summary = bench.with_engine(Engines(each, bench.flow.settings)).work(document_id)
        assert (summary.status, summary.pages_done, summary.pages_failed) == ("completed", 2, 0)
        with transaction(bench.database) as session:
            read[each.name] = documents.read_pages(session, document_id)
    (own, seen), (own_lean, seen_lean), (own_paddle, seen_paddle) = read.values()
    # A page with text of its own is nobody's to read.
    same = {"timings"}
    assert own.model_dump(exclude=same) == own_lean.model_dump(exclude=same) == own_paddle.model_dump(exclude=same)
    assert (own.source, own.text, len(own.detections)) == ("text_layer", "1001", 1)
    places = {"page_number", "width", "height", "dpi", "rotation", "source", "transform"}
    assert seen.model_dump(include=places) == seen_lean.model_dump(include=places)
    assert seen.model_dump(include=places) == seen_paddle.model_dump(include=places)
    assert seen.model_dump().keys() == seen_lean.model_dump().keys()
    assert (seen_lean.text, seen_paddle.text, bool(seen.text)) == ("1001", "1001", True)


def test_where_pp_structurev3_is_set_up_it_answers_mode_structure(engine: GotEngine, tmp_path: Path):
    settings = Settings(ocr_engine="got", paddleocr_pipeline_config=write_config(tmp_path / "PP-StructureV3.yaml"))
    structure, text = (ReadOptions(72, 0, ("en",), "auto", mode) for mode in MODES)
    engines = Engines(engine, settings)
    assert (engines.for_options(structure).name, engines.for_options(text).name) == ("pp-structurev3", "got")


def lines(name: str, model_dir: Path) -> OcrEngine:
    return create_engine(Settings(quire_ocr_engine=name, quire_model_dir=model_dir), threads=1)


def test_a_page_that_fits_no_memory_fails_alone_and_the_worker_goes_on(
    bench: Bench, engine: GotEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key = bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 3).read_bytes())
    loaded = engine._load()
    generate, calls = loaded.model.generate, []

    def full_at_first(**inputs: Any) -> Any:
        calls.append(len(inputs["input_ids"]))
        if len(calls) <= 2:
            raise loaded.torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return generate(**inputs)

    monkeypatch.setattr(loaded.model, "generate", full_at_first)
    document_id = bench.accept(key)
    assert bench.with_engine(engine).work(document_id).status == "partial"
    failed = {number: page.error_code for number, page in bench.pages(document_id).items() if page.error_code}
    assert failed == {1: "out_of_memory"}
    monkeypatch.undo()
    assert bench.with_engine(engine).work(bench.accept(key, dpi=100)).status == "completed"


def test_a_document_without_a_database_has_text_and_no_detections(bench: Bench, engine: GotEngine, tmp_path: Path):
    key = bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes())
    whole = WholeDocument(bench.flow.settings, bench.store, lambda: engine)
    result = whole.read(OcrPayload(key=key, bucket=BUCKET), str(uuid4()))
    assert result.pages is not None
    assert (result.status, result.detections, result.text) == ("completed", (), result.pages[0].text)

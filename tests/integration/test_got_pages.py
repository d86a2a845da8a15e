"""Pages without places, as GOT-OCR 2.0 gives them: through both ways of reading, in Postgres and in every export."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from flow.whole_document import WholeDocument
from ocr.engines.got import GotEngine
from quire.contracts import OcrPayload
from quire.database import documents
from quire.database.engine import transaction
from quire.exports.base import ExportInfo
from quire.exports.formats import FORMATS, write_export
from quire.settings import Settings
from tests.got_models import write_checkpoint
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf

pytestmark = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="needs torch and transformers (apps/worker/requirements-got.txt)",
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


def test_a_document_without_a_database_has_text_and_no_detections(bench: Bench, engine: GotEngine, tmp_path: Path):
    key = bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes())
    whole = WholeDocument(bench.flow.settings, bench.store, lambda: engine)
    result = whole.read(OcrPayload(key=key, bucket=BUCKET), str(uuid4()))
    assert result.pages is not None
    assert (result.status, result.detections, result.text) == ("completed", (), result.pages[0].text)

"""Blocks, Markdown, transforms and pictures through the page flow, in Postgres and in object storage."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from flow.whole_document import WholeDocument
from ocr.engines import PageContent, ReadRequest, TextLine
from quire.contracts import Block, OcrPayload, PageTransform
from quire.database import documents
from quire.database.engine import transaction
from quire.deletion import delete_document, derived_prefix
from quire.errors import ObjectNotFound
from quire.pages import PageImage
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf
from tests.structured_pages import table_of
from tests.unit.exported import box

TRANSFORM = PageTransform(turned=90, turn_confidence=0.9, grid=(((0, 0), (9.5, 0)), ((0, 9), (9, 9))))


class BlocksEngine:
    """Sees a paragraph, a table and a picture on every page."""

    name = "blocks"
    version = "1"

    def __init__(self) -> None:
        self.pages = 0

    def warm_up(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        return [[] for _ in images]

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        self.pages += len(images)
        return [self._page(image) for image in images]

    def _page(self, image: PageImage) -> PageContent:
        blocks = (
            Block(type="paragraph", label="text", polygon=box(0, 0, 90, 20), order=0, confidence=0.5),
            Block(type="table", label="table", polygon=box(0, 30, 90, 60), order=1, table=table_of(("a", "Ω"))),
            Block(type="figure", label="image", polygon=box(0, 70, 8, 76), order=2),
        )
        lines = (TextLine(f"page {image.number}", box(5, 5, 80, 15), 0.9),)
        pixels = np.full((6, 8, 3), image.number, np.uint8)
        return PageContent(lines, blocks, pictures={2: pixels}, transform=TRANSFORM)


@pytest.fixture
def engine() -> BlocksEngine:
    return BlocksEngine()


@pytest.fixture
def scan(bench: Bench, tmp_path: Path) -> str:
    return bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 3).read_bytes())


def stored(bench: Bench, key: str, folder: Path) -> Image.Image:
    bench.store.download(bench.flow.settings.default_bucket, key, folder / "picture")
    return Image.open(io.BytesIO((folder / "picture").read_bytes()))


def test_pages_come_back_from_postgres_as_they_were_read(bench: Bench, scan: str, engine: BlocksEngine, tmp_path: Path):
    document_id = bench.accept(scan, mode="structure")
    assert bench.with_engine(engine).work(document_id).status == "completed"
    with transaction(bench.database) as session:
        pages = documents.read_pages(session, document_id)
    assert [page.text for page in pages] == ["page 1", "page 2", "page 3"]
    for page in pages:
        paragraph, table, figure = page.blocks
        key = f"{derived_prefix(document_id)}picture-{page.page_number}-3.png"
        assert (paragraph.text, paragraph.lines, paragraph.confidence) == (page.text, (0,), 0.5)
        assert table.table == table_of(("a", "Ω"))
        assert figure.picture == key
        assert page.transform == TRANSFORM
        assert page.markdown == f"{page.text}\n\n| a | Ω |\n| --- | --- |\n\n![figure](<{key}>)"
        picture = stored(bench, key, tmp_path)
        assert (picture.size, picture.getpixel((0, 0))) == ((8, 6), (page.page_number,) * 3)


def test_a_page_without_blocks_takes_no_room_for_them(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    bench.flow.work(document_id)
    with transaction(bench.database) as session:
        rows = session.execute(text("SELECT blocks, markdown, transform FROM pages")).all()
        (page, *_) = documents.read_pages(session, document_id)
    assert set(rows) == {(None, None, None)}
    assert (page.blocks, page.markdown, page.transform) == ((), None, None)


def test_pages_that_were_read_before_are_copied_whole(bench: Bench, scan: str, engine: BlocksEngine):
    flow = bench.with_engine(engine)
    first, second, other = (bench.accept(scan, mode=mode) for mode in ("structure", "structure", "text"))
    flow.work(first)
    flow.work(second)
    assert engine.pages == 3
    with transaction(bench.database) as session:
        assert documents.read_pages(session, first) == documents.read_pages(session, second)
    # Read in the other mode they are other pages.
    flow.work(other)
    assert engine.pages == 6


def test_pictures_go_with_their_document(bench: Bench, scan: str, engine: BlocksEngine, tmp_path: Path):
    document_id = bench.accept(scan, mode="structure")
    bench.with_engine(engine).work(document_id)
    assert delete_document(bench.flow.settings, bench.store, document_id, bench.database)
    with pytest.raises(ObjectNotFound):
        stored(bench, f"{derived_prefix(document_id)}picture-1-3.png", tmp_path)


def test_pictures_of_a_document_that_was_deleted_meanwhile_do_not_stay(bench: Bench, scan: str, tmp_path: Path):
    document_id = bench.accept(scan, mode="structure")

    class Late(BlocksEngine):
        def _page(self, image: PageImage) -> PageContent:
            delete_document(bench.flow.settings, bench.store, document_id, bench.database)
            return super()._page(image)

    with pytest.raises(Exception, match="was deleted"):
        bench.with_engine(Late()).work(document_id)
    with pytest.raises(ObjectNotFound):
        stored(bench, f"{derived_prefix(document_id)}picture-1-3.png", tmp_path)


def test_a_worker_that_reads_lines_only_says_so(bench: Bench, scan: str):
    document_id = bench.accept(scan, mode="structure")
    result = bench.with_engine(InstantEngine()).work(document_id)
    assert result.status == "failed"
    assert {error.code for error in result.errors} == {"engine_unavailable"}


def test_without_a_database_pictures_lie_beside_the_result(
    bench: Bench, scan: str, engine: BlocksEngine, tmp_path: Path
):
    task_id = str(uuid4())
    whole = WholeDocument(bench.flow.settings, bench.store, lambda: engine)
    result = whole.read(OcrPayload(key=scan, bucket=BUCKET, mode="structure"), task_id)
    assert result.pages is not None
    key = result.pages[1].blocks[2].picture
    assert key == f"results/{task_id}/picture-2-3.png"
    assert stored(bench, key, tmp_path).getpixel((0, 0)) == (2, 2, 2)
    assert [found.text for found in result.detections or ()] == ["page 1", "page 2", "page 3"]
    # Those of a document that somebody else has in a database are deleted with it.
    document_id = uuid4()
    payload = OcrPayload(key=scan, bucket=BUCKET, mode="structure", document_id=document_id)
    result = whole.read(payload, task_id)
    assert result.pages is not None
    assert result.pages[0].blocks[2].picture == f"{derived_prefix(document_id)}picture-1-3.png"

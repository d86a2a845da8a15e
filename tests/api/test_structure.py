"""Blocks over HTTP: pages, pictures, exports, options."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image

from ocr.engines import PageContent, ReadRequest
from quire.contracts import PageText, PageTransform
from quire.pages import PageImage
from tests.integration.page_flow_bench import Bench
from tests.integration.test_structured_pages import TRANSFORM, BlocksEngine
from tests.pdfs import write_scanned_pdf

DOCUMENTS = "/api/v1/documents"


@pytest.fixture
def document(client: httpx.Client, replicas_bench: Bench, tmp_path: Path) -> str:
    """The address of a document whose two pages have a paragraph, a table and a picture."""
    file = {"file": ("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 2).read_bytes())}
    made = client.post(DOCUMENTS, files=file, data={"mode": "structure", "doc_orientation": "true"}).json()
    assert (made["options"]["mode"], made["options"]["doc_orientation"]) == ("structure", True)

    class Prepared(BlocksEngine):
        """Takes pages as they are for turned."""

    # The options of preparation need an engine that knows them; this one's pages say what was done to them.
    flow = replicas_bench.with_engine(Prepared())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flow.page_flow.engine_for", lambda engine, _options: engine)
        flow.work(UUID(made["id"]))
    return f"{DOCUMENTS}/{made['id']}"


def test_a_page_has_blocks_markdown_and_what_was_done_to_its_image(client: httpx.Client, document: str):
    page: dict[str, Any] = client.get(f"{document}/pages/2").json()
    assert [block["type"] for block in page["blocks"]] == ["paragraph", "table", "figure"]
    assert page["blocks"][1]["table"]["html"] == "<table><tr><td>a</td><td>Ω</td></tr></table>"
    assert page["markdown"].startswith("page 2\n\n| a | Ω |")
    assert PageTransform.model_validate(page["transform"]) == TRANSFORM
    assert [found["text"] for found in page["detections"]] == ["page 2"]
    short = client.get(f"{document}/pages", params={"text_only": True}).json()["items"][0]
    assert (short["blocks"], short["transform"], short["text"]) == (None, None, "page 1")


def test_a_picture_is_the_one_that_was_cut_out(client: httpx.Client, document: str):
    answer = client.get(f"{document}/pages/2/blocks/2/image")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.size, picture.getpixel((0, 0))) == ((8, 6), (2, 2, 2))


def test_another_block_is_cut_out_of_the_page(client: httpx.Client, document: str):
    page = client.get(f"{document}/pages/1").json()
    picture = Image.open(io.BytesIO(client.get(f"{document}/pages/1/blocks/1/image").content))
    assert picture.size == (90, 30)
    whole = Image.open(io.BytesIO(client.get(f"{document}/pages/1/image").content))
    assert whole.size == (page["width"], page["height"])
    assert list(picture.convert("RGB").getdata()) == list(whole.convert("RGB").crop((0, 30, 90, 60)).getdata())


def test_a_picture_of_an_earlier_reading_is_cut_out_again(client: httpx.Client, document: str, replicas_bench: Bench):
    page = client.get(f"{document}/pages/1").json()
    key = page["blocks"][2]["picture"]
    replicas_bench.store.delete(replicas_bench.flow.settings.default_bucket, key)
    assert Image.open(io.BytesIO(client.get(f"{document}/pages/1/blocks/2/image").content)).size == (8, 6)


def test_a_block_that_is_not_there_is_refused(client: httpx.Client, document: str):
    for path in ("pages/1/blocks/3/image", "pages/9/blocks/0/image"):
        answer = client.get(f"{document}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (422, "page_out_of_range")


def test_tables_are_exported(client: httpx.Client, document: str):
    types = {
        "tables-html": "text/html",
        "tables-csv": "text/csv",
        "tables-xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
    for name, media_type in types.items():
        answer = client.get(f"{document}/export/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].partition(";")[0] == media_type
    assert "Ω" in client.get(f"{document}/export/tables-csv", params={"page": 1}).content.decode("utf-8-sig")
    pages = client.get(f"{document}/export/json").json()["pages"]
    assert [len(PageText.model_validate(page).blocks) for page in pages] == [3, 3]


def test_structure_of_a_text_layer_alone_is_refused(client: httpx.Client):
    data = {"mode": "structure", "text_layer": "only"}
    answer = client.post(DOCUMENTS, files={"file": ("a.pdf", b"%PDF-")}, data=data)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payload")
    answer = client.post(f"{DOCUMENTS}/import", json={"key": "a", **data})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


class WriterEngine(BlocksEngine):
    """Writes down what a page says and knows no places, as GOT-OCR 2.0 does."""

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        return [PageContent((), text="Total\n5 €", markdown="**Total**\n5 €") for _ in images]


def test_a_page_without_places_comes_back_in_every_form(client: httpx.Client, replicas_bench: Bench, tmp_path: Path):
    file = {"file": ("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes())}
    document_id = client.post(DOCUMENTS, files=file).json()["id"]
    replicas_bench.with_engine(WriterEngine()).work(UUID(document_id))
    document = f"{DOCUMENTS}/{document_id}"
    page = client.get(f"{document}/pages/1").json()
    assert (page["text"], page["markdown"]) == ("Total\n5 €", "**Total**\n5 €")
    assert (page["detections"], page["words"], page["blocks"], page["confidence"]) == ([], [], None, None)
    texts = {"txt": "Total\n5 €", "md": "**Total**\n5 €", "json": "**Total**"}
    for name in ("txt", "md", "json", "hocr", "alto", "pdf", "tables-html", "tables-csv", "tables-xlsx"):
        answer = client.get(f"{document}/export/{name}")
        assert answer.status_code == 200, answer.text
        assert texts.get(name, "").encode() in answer.content, name
    assert client.get(f"{document}/export/overlay", params={"page": 1}).status_code == 200

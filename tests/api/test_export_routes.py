"""Exports over HTTP."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID

import httpx
import pypdfium2
import pytest
from PIL import Image

from quire.cli.samples import sample_pdf
from quire.contracts import PageText
from tests.integration.page_flow_bench import Bench

DOCUMENTS = "/api/v1/documents"
FORMATS = {
    "txt": "text/plain", "json": "application/json", "md": "text/markdown", "hocr": "application/xhtml+xml",
    "alto": "application/xml", "pdf": "application/pdf",
}  # fmt: skip


@pytest.fixture
def document(client: httpx.Client, replicas_bench: Bench) -> dict[str, Any]:
    """A PDF that was read."""
    made: dict[str, Any] = client.post(DOCUMENTS, files={"file": ("Räport 1.pdf", sample_pdf())}).json()
    replicas_bench.flow.work(UUID(made["id"]))
    read: dict[str, Any] = client.get(f"{DOCUMENTS}/{made['id']}").json()
    assert read["status"] == "completed"
    return read


@pytest.mark.parametrize("name", FORMATS)
def test_a_document_is_exported(client: httpx.Client, document: dict[str, Any], name: str):
    answer = client.get(f"{DOCUMENTS}/{document['id']}/export/{name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].partition(";")[0] == FORMATS[name]
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="R_port 1')
    assert "filename*=UTF-8''R%C3%A4port%201" in disposition
    page = client.get(f"{DOCUMENTS}/{document['id']}/pages/1").json()
    if name == "pdf":
        assert len(pypdfium2.PdfDocument(answer.content)) == document["page_count"]
    elif name == "json":
        assert PageText.model_validate(json.loads(answer.content)["pages"][0]).text == page["text"]
    else:
        assert page["text"].split()[0] in answer.text


def test_an_overlay_is_of_one_page(client: httpx.Client, document: dict[str, Any]):
    url = f"{DOCUMENTS}/{document['id']}/export/overlay"
    page = client.get(f"{DOCUMENTS}/{document['id']}/pages/1").json()
    image = Image.open(io.BytesIO(client.get(url, params={"page": 1}).content))
    assert image.size == (page["width"], page["height"])
    refused = client.get(url)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_payload")
    missing = client.get(url, params={"page": 99})
    assert (missing.status_code, missing.json()["code"]) == (422, "page_out_of_range")


def test_one_page_is_exported_alone(client: httpx.Client, document: dict[str, Any]):
    answer = client.get(f"{DOCUMENTS}/{document['id']}/export/json", params={"page": 1})
    assert [page["page_number"] for page in answer.json()["pages"]] == [1]


def test_a_document_that_is_being_read_is_exported_only_when_that_is_asked_for(client: httpx.Client):
    document = client.post(DOCUMENTS, files={"file": ("a.pdf", sample_pdf())}).json()
    url = f"{DOCUMENTS}/{document['id']}/export/txt"
    refused = client.get(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_finished")
    assert client.get(url, params={"partial": True}).status_code == 200

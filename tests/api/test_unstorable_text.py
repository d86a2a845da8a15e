"""Postgres stores every character but NUL: a text that has one is refused wherever it may be sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from quire.cli.samples import sample_photo

NUL = "a\0b"
API = "/api/v1"
BUCKETED = {"key": "scans/one.png"}
HOOK = {"url": "https://hooks.example/quire"}

JSON_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/documents/import", BUCKETED | {"owner": NUL}),
    ("/documents/import", BUCKETED | {"lang_hints": [NUL]}),
    ("/documents/import", BUCKETED | {"bucket": NUL}),
    ("/documents/import", {"key": NUL}),
    ("/documents/import", {"url": f"https://files.example/{NUL}"}),
    ("/submit", BUCKETED | {"owner": NUL}),
    ("/submit", {"key": NUL}),
    ("/webhooks", HOOK | {"owner": NUL}),
    ("/webhooks", {"url": f"https://hooks.example/{NUL}"}),
]


@pytest.mark.parametrize(("path", "body"), JSON_REQUESTS)
def test_json_with_nul_is_refused(client: httpx.Client, path: str, body: dict[str, Any]):
    answer = client.post(f"{API}{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/documents", "/ocr/process"])
@pytest.mark.parametrize("field", ["owner", "lang_hints", "pages"])
def test_a_form_with_nul_is_refused(client: httpx.Client, path: str, field: str):
    answer = client.post(f"{API}{path}", files={"file": ("a.jpg", sample_photo())}, data={field: NUL})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("field", ["filename", "cursor"])
def test_a_list_is_not_filtered_by_nul(client: httpx.Client, field: str):
    assert client.get(f"{API}/documents", params={field: NUL}).status_code == 422

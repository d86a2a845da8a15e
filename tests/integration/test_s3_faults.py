"""Object storage with every fault of `make chaos`: documents wait, use up no attempt, and are read afterwards."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from quire.errors import StorageUnreachable
from quire.storage import ObjectStore
from quire.storage.s3 import S3Store
from tests.chaos.s3_proxy import S3_FAULTS, S3Fault, S3Proxy
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf

KEY = "book.pdf"
PAGES = 6
CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "id", "aws_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def proxy(moto: tuple[str, int], tmp_path: Path) -> Iterator[S3Proxy]:
    host, port = moto
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **CREDENTIALS)
    client.create_bucket(Bucket=BUCKET)
    client.upload_file(str(write_scanned_pdf(tmp_path / KEY, PAGES)), BUCKET, KEY)
    with S3Proxy(host, port) as running:
        yield running


def store_of(proxy: S3Proxy, **options: Any) -> S3Store:
    """A store that is less patient than Quire's, for a shorter wait."""
    config = Config(**{"retries": {"mode": "standard", "total_max_attempts": 1}, "read_timeout": 0.3} | options)
    return S3Store(boto3.client("s3", endpoint_url=proxy.url, config=config, **CREDENTIALS))


class Counting:
    """A store that counts downloads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.downloads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def download(self, *arguments: Any) -> int:
        self.downloads += 1
        return self._store.download(*arguments)


@pytest.mark.parametrize("fault", S3_FAULTS)
def test_a_fault_is_unreachable_and_over_when_it_is_over(proxy: S3Proxy, tmp_path: Path, fault: S3Fault):
    store = store_of(proxy)
    proxy.fault = fault
    with pytest.raises(StorageUnreachable) as refused:
        store.download(BUCKET, KEY, tmp_path / "fetched")
    assert refused.value.retryable
    assert proxy.hits[fault] == 1
    if fault != "truncated":
        with pytest.raises(StorageUnreachable):
            store.put(BUCKET, "more", io.BytesIO(b"more"))
    proxy.fault = None
    size = store.download(BUCKET, KEY, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == (tmp_path / KEY).read_bytes()
    assert size == store.head(BUCKET, KEY).size


@pytest.mark.parametrize("fault", S3_FAULTS)
def test_a_fault_delays_a_document_and_uses_up_no_attempt(bench: Bench, proxy: S3Proxy, fault: S3Fault):
    store = Counting(store_of(proxy))
    # Each turn asks for the file.
    settings = bench.flow.settings.model_copy(update={"quire_source_cache_bytes": 0})
    flow = replace(bench.flow, store=store, settings=settings)
    document_id = bench.accept(KEY)
    proxy.fault = fault
    for _ in range(4):
        with pytest.raises(StorageUnreachable):
            flow.work(document_id)
    assert (bench.document(document_id).status, bench.document(document_id).plan_attempts) == ("queued", 0)
    proxy.fault = None
    flow.work(document_id, number=1)
    proxy.fault, before = fault, store.downloads
    for _ in range(4):
        with pytest.raises(StorageUnreachable):
            flow.work(document_id)
    # Asking again at once, for each page, would only make the process wait longer with the lease in its hand.
    assert store.downloads == before + 4
    left = [page for number, page in bench.pages(document_id).items() if number > 1]
    assert {(page.status, page.attempts, page.lease_token) for page in left} == {("pending", 0, None)}
    proxy.fault = None
    assert flow.work(document_id).status == "completed"
    assert {page.attempts for page in bench.pages(document_id).values()} == {1}

"""The handler as it is deployed, with the engine as it is, and the two ways of trying it out without a platform."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, select

from quire.cli.samples import BORN_DIGITAL_PAGE, PHOTO, sample_pdf, sample_photo
from quire.database.engine import transaction
from quire.database.tables import Page
from quire.embedded import ChildProcess
from quire.embedded.processes import free_port
from tests.serverless.conftest import FAST, REAL, Start, put, put_cells
from tests.serverless.standin import Platform


@pytest.fixture(scope="module")
def handler(start: Start, platform: Platform, tables: tuple[str, Engine]) -> Iterator[ChildProcess]:
    process = start(REAL, "real.log", DATABASE_URL=tables[0], **platform.environment)
    assert platform.until(lambda: platform.polls > 0, 120), process.last_lines(40)
    yield process
    process.stop()
    assert process.exit_status == 0


def read(platform: Platform, tables: tuple[str, Engine], key: str) -> list[Page]:
    """The pages of a document as they are in the database after a job for it."""
    job = f"job-{uuid.uuid4()}"
    platform.send(job, {"task": "tasks.ocr_document", "payload": {"key": key}})
    result = platform.result(job, 60)["output"]["result"]
    assert result["status"] == "completed"
    with transaction(tables[1]) as session:
        query = select(Page).where(Page.document_id == result["document_id"]).order_by(Page.number)
        return list(session.scalars(query))


def test_a_photo(handler: ChildProcess, platform: Platform, folder: Path, tables: tuple[str, Engine]):
    (page,) = read(platform, tables, put(folder, "photo.jpg", sample_photo()))
    assert page.source == "ocr"
    assert all(line in str(page.text) for line in PHOTO)


def test_a_pdf_with_and_without_text_of_its_own(
    handler: ChildProcess, platform: Platform, folder: Path, tables: tuple[str, Engine]
):
    scan, digital = read(platform, tables, put(folder, "sample.pdf", sample_pdf()))
    assert (scan.source, digital.source) == ("ocr", "text_layer")
    assert "Invoice 2026-0417" in str(scan.text)
    assert str(digital.text).split("\n") == list(BORN_DIGITAL_PAGE)


def test_a_receipt(handler: ChildProcess, platform: Platform, folder: Path, tables: tuple[str, Engine], receipts: Path):
    image = sorted((receipts / "img").glob("*.jpg"))[0]
    truth = (receipts / "box" / f"{image.stem}.csv").read_text(encoding="utf-8", errors="replace").upper().split("\n")
    words = {word for line in truth if line for word in line.split(",", 8)[-1].split() if word.isalnum()}
    (page,) = read(platform, tables, put(folder, image.name, image.read_bytes()))
    found = set(str(page.text).upper().split())
    assert len(words & found) > len(words) / 2


def test_the_test_input_that_is_shipped(start: Start, folder: Path):
    put(folder, "samples/sample.pdf", sample_pdf())
    process = start(REAL, "test-input.log")
    assert end_of(process) == 0, process.last_lines(20)
    log = process.log.read_text()
    assert "Using test_input.json as job input." in log
    assert BORN_DIGITAL_PAGE[0] in log


def test_the_local_api(start: Start, folder: Path):
    port = free_port()
    process = start(FAST, "local-api.log", "--rp_serve_api", "--rp_api_port", str(port))
    with httpx.Client(base_url=f"http://localhost:{port}", timeout=30) as client:
        wait_until_listening(client, process)
        job = {"task": "tasks.ocr_document", "payload": {"key": put_cells(folder, "api.pdf", [830_001])}}
        answer = client.post("/runsync", json={"input": job}).json()
        assert (answer["status"], answer["output"]["status"]) == ("COMPLETED", "ok")
        assert answer["output"]["result"]["text"] == "831001"
        refused = client.post("/runsync", json={"input": {"task": "tasks.echo"}}).json()
        assert (refused["status"], refused["error"].partition(":")[0]) == ("FAILED", "invalid_payload")
    process.stop()
    assert process.exit_status is not None


def end_of(process: ChildProcess, seconds: float = 60) -> int | None:
    deadline = time.monotonic() + seconds
    while process.exit_status is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return process.exit_status


def wait_until_listening(client: httpx.Client, process: ChildProcess) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/")
        except httpx.TransportError:
            assert process.exit_status is None, process.last_lines(20)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return

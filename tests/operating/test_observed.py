"""What an operator sees of a running system: health, metrics, log lines, traces."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from quire import tasks
from quire.cli.samples import BORN_DIGITAL_PAGE, sample_pdf
from quire.contracts import OcrPayload
from quire.embedded import ChildProcess
from quire.embedded.processes import free_port
from quire.queues import create_celery
from tests.operating.conftest import DEFAULT_QUEUE, OCR_QUEUE, PASSWORD, ROOT, System, wait_until

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REQUEST_ID = "my-request-1"


@pytest.fixture(scope="module")
def document_id(system: System) -> str:
    """A document of two pages that was uploaded as part of somebody's trace, and has been read."""
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01", "X-Request-ID": REQUEST_ID}
    document_id = system.upload(sample_pdf(), **headers)
    system.wait_until_read(document_id)
    return document_id


def scanned_pdf(pages: int) -> bytes:
    """Pages that only an engine can read."""
    first, *others = (Image.new("L", (60, 60), 255) for _ in range(pages))
    buffer = io.BytesIO()
    first.save(buffer, "PDF", save_all=True, append_images=others)
    return buffer.getvalue()


def metrics(answer: httpx.Response) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def lines(system: System, process: str) -> list[dict[str, Any]]:
    log = getattr(system, process).log.read_text(encoding="utf-8")
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def test_it_says_that_it_lives_and_that_it_is_ready(system: System):
    assert httpx.get(f"{system.url}/livez").json() == {"status": "ok"}
    assert httpx.get(f"{system.url}/readyz").json() == {"status": "ready", "missing": {}, "degraded": {}}


def test_the_api_counts_queues_and_documents(system: System):
    def of(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    found = metrics(system.get("/metrics"))
    assert of("quire_up", service="postgres") == of("quire_up", service="redis") == 1
    assert of("quire_queue_messages", queue=DEFAULT_QUEUE) == 0
    assert of("quire_queue_oldest_seconds", queue=OCR_QUEUE) == 0
    for status in ("queued", "running"):
        for priority in ("interactive", "bulk"):
            assert of("quire_documents", status=status, priority=priority) == 0
    assert of("quire_pages_open", state="pending") == of("quire_pages_open", state="expired") == 0


def test_a_queue_that_nobody_empties_is_seen_to_grow_old(system: System):
    def of(name: str, **labels: str) -> float:
        return metrics(system.get("/metrics"))[name, frozenset(labels.items())]

    system.worker.suspend()
    try:
        # Redis gives the first to the worker, which asked for it before it was halted.
        documents = [system.upload(sample_pdf()) for _ in range(3)]
        wait_until(lambda: of("quire_queue_messages", queue=OCR_QUEUE) >= 2)
        wait_until(lambda: of("quire_queue_oldest_seconds", queue=OCR_QUEUE) > 0.5)
        assert of("quire_documents", status="queued", priority="interactive") == 3
        assert of("quire_documents_oldest_seconds", status="queued", priority="interactive") > 0.5
    finally:
        system.worker.resume()
    for document_id in documents:
        system.wait_until_read(document_id)


def test_a_worker_counts_the_pages_of_its_processes(system: System, document_id: str):
    found = metrics(httpx.get(f"{system.metrics_url}/metrics"))
    assert found["quire_pages_total", frozenset({("source", "ocr"), ("outcome", "done")})] >= 1
    assert found["quire_pages_total", frozenset({("source", "text_layer"), ("outcome", "done")})] >= 1
    assert found["quire_page_stage_seconds_count", frozenset({("stage", "ocr")})] >= 1
    assert found["quire_batch_pages_count", frozenset()] >= 1
    assert found["quire_page_attempts_lost_total", frozenset()] == 0
    assert found["quire_leases_lost_total", frozenset()] == 0


def test_every_log_line_is_an_object_that_says_what_it_is_about(system: System, document_id: str):
    uploads = [line for line in lines(system, "api") if line.get("request_id") == REQUEST_ID]
    assert any(re.fullmatch(r"POST /api/v1/ocr/process 202 \d+ ms", line["message"]) for line in uploads)
    assert {line["trace_id"] for line in uploads} == {TRACE_ID}
    about = [line for line in lines(system, "worker") if line.get("document_id") == document_id]
    assert any("completed: 2 pages read" in line["message"] for line in about)
    assert all(re.fullmatch(r"[0-9a-f-]{36}", line["task_id"]) for line in about)
    received = [line for line in lines(system, "worker") if "received" in line["message"]]
    assert received
    assert all(line["task_id"] in line["message"] for line in received)


def test_no_log_line_holds_a_secret_or_text(system: System, document_id: str):
    logs = system.logs()
    assert PASSWORD not in logs
    assert system.key not in logs
    assert not any(line in logs for line in BORN_DIGITAL_PAGE)


def test_one_trace_goes_from_the_upload_to_its_pages(system: System, document_id: str):
    wait_until(lambda: "ticket" in {span.name for span in system.collector.of_trace(TRACE_ID)})
    spans = {span.name: span for span in system.collector.of_trace(TRACE_ID)}
    assert set(spans) == {"POST /api/v1/ocr/process", "submit", "ticket", "plan", "batch", "page", "write"}
    upload, ticket, batch = spans["POST /api/v1/ocr/process"], spans["ticket"], spans["batch"]
    assert (upload.service, ticket.service) == ("quire-api", "quire-worker")
    assert upload.parent_id == "b7ad6b7169203331"
    assert spans["submit"].parent_id == upload.span_id
    assert ticket.parent_id == spans["submit"].span_id
    assert spans["plan"].parent_id == batch.parent_id == ticket.span_id
    assert spans["page"].parent_id == spans["write"].parent_id == batch.span_id
    assert ticket.attributes["quire.document_id"] == document_id
    pages = [span for span in system.collector.of_trace(TRACE_ID) if span.name == "page"]
    assert {span.attributes["quire.page"]: span.attributes["quire.source"] for span in pages} == {
        1: "ocr",
        2: "text_layer",
    }
    assert all(span.attributes["quire.ocr_ms"] >= 0 for span in pages if span.attributes["quire.page"] == 1)
    shown = str([span.attributes for span in system.collector.spans])
    assert not any(line in shown for line in BORN_DIGITAL_PAGE)


def test_a_ticket_that_somebody_else_issues_belongs_to_the_trace_of_its_document(system: System, document_id: str):
    def tickets() -> int:
        return sum(span.name == "ticket" for span in system.collector.of_trace(TRACE_ID))

    before = tickets()
    app = create_celery(system.settings())
    tasks.ocr_pdf_document.send(OcrPayload(document_id=UUID(document_id)), keep_result=False, app=app)
    wait_until(lambda: tickets() > before)


def test_a_message_with_a_strange_trace_is_read_all_the_same(system: System):
    document_id = system.upload(sample_pdf(), traceparent="00-not-a-trace")
    system.wait_until_read(document_id)


def test_nobody_is_told_the_arguments_of_a_running_task(system: System):
    inspect = create_celery(system.settings()).control.inspect(timeout=0.2)
    document_id = system.upload(scanned_pdf(30))
    active: list[dict[str, Any]] = []

    def is_active() -> bool:
        active.extend(task for found in (inspect.active() or {}).values() for task in found)
        return bool(active)

    wait_until(is_active)
    assert {(task["args"], task["kwargs"]) for task in active} == {("-", "-")}
    assert document_id not in str(active)
    system.wait_until_read(document_id)


def test_it_says_what_is_missing(system: System, tmp_path: Path):
    """Another API, with nothing behind it."""
    nobody = free_port()
    file = tmp_path / "file"
    file.touch()
    env = system.env | {
        "REDIS_URL": f"redis://127.0.0.1:{nobody}/0",
        "DATABASE_URL": f"postgresql://quire:{PASSWORD}@127.0.0.1:{nobody}/quire",
        "QUIRE_OBJECT_DIR": str(file / "objects"),
        "QUIRE_LOG_FORMAT": "text",
        "QUIRE_AUTH": "off",
    }
    port = free_port()
    serve = [sys.executable, "-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(port)]
    with ChildProcess(serve, log=tmp_path / "api.log", env=env, cwd=ROOT / "apps" / "api") as api:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

            def answers() -> bool:
                assert api.exit_status is None, api.last_lines(20)
                try:
                    return client.get("/livez").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers)
            ready = client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["status"] == "not_ready"
            assert set(ready.json()["missing"]) == {"postgres", "storage"}
            assert ready.json()["degraded"] == {"redis": "broker_unreachable"}
            found = metrics(client.get("/metrics"))
            assert found["quire_up", frozenset({("service", "postgres")})] == 0
            assert found["quire_up", frozenset({("service", "redis")})] == 0
            assert client.get("/api/v1/ocr/results/2b6f0cc9-04d1-4f0e-9f5f-0f3e8a1f9d11").status_code == 503
        line = r"^\S+ \S+ INFO quire_api\.observed: GET /api/v1/ocr/results/\S+ 503 .*\[request_id=\w+\]"
        # It is written after the answer.
        wait_until(lambda: bool(re.search(line, api.log.read_text(encoding="utf-8"), re.M)))
        assert PASSWORD not in api.log.read_text(encoding="utf-8")

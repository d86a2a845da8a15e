"""The whole system with every part real: API, Redis, workers, PaddleOCR, Postgres, files."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from sqlalchemy import select

from quire import tasks
from quire.cli.samples import BORN_DIGITAL_PAGE, PHOTO, sample_pdf, sample_photo
from quire.contracts import OcrPagePayload, OcrPayload
from quire.database.engine import connect, transaction
from quire.database.tables import Document
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from quire.queues import create_celery
from quire.storage import create_store

MOST_WORKER_BYTES = 2.5 * 1024**3
MAX_UPLOAD_BYTES = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def stack(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {
        "QUIRE_MODEL_DIR": str(model_dir),
        "QUIRE_MAX_BYTES": str(MAX_UPLOAD_BYTES),
        "QUIRE_RECONCILE_SECONDS": "2",
    }
    with Stack(tmp_path_factory.mktemp("stack"), free_port(), env=env) as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30) as client:
        yield client


def submit(api: httpx.Client, content: bytes, name: str = "file", **form: Any) -> httpx.Response:
    return api.post("/api/v1/ocr/process", files={"file": (name, content)}, data=form)


def result_of(api: httpx.Client, task_id: str, seconds: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        task: dict[str, Any] = api.get(f"/api/v1/ocr/results/{task_id}").raise_for_status().json()
        if task["status"] in ("SUCCESS", "FAILURE"):
            return task
        assert time.monotonic() < deadline, task
        time.sleep(0.1)


def test_a_photo_goes_in_and_text_with_boxes_comes_out(api: httpx.Client):
    answer = submit(api, sample_photo(), "photo.jpg")
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"task_id", "status", "message"}
    assert body["status"] == "pending"
    task = result_of(api, body["task_id"])
    assert task["status"] == "SUCCESS"
    detections = task["result"]["detections"]
    assert [found["text"] for found in detections] == list(PHOTO)
    for found in detections:
        assert set(found) == {"text", "box", "confidence", "page_number"}
        assert len(found["box"]) == 4
        assert found["page_number"] == 1
    assert task["pending_tasks"] == 0


def test_a_pdf_uses_ocr_or_its_text_layer_page_by_page(api: httpx.Client):
    task = result_of(api, submit(api, sample_pdf(), "sample.pdf").json()["task_id"])
    second = [found["text"] for found in task["result"]["detections"] if found["page_number"] == 2]
    assert second == list(BORN_DIGITAL_PAGE)
    assert (task["pages_done"], task["pages_total"]) == (2, 2)


def test_options_are_honoured(api: httpx.Client):
    answer = submit(api, sample_pdf(), "sample.pdf", pages="2", text_layer="never")
    task = result_of(api, answer.json()["task_id"])
    assert {found["page_number"] for found in task["result"]["detections"]} == {2}
    assert any(found["confidence"] < 1 for found in task["result"]["detections"])


def test_a_damaged_file_ends_in_failure_with_its_code(api: httpx.Client):
    task = result_of(api, submit(api, b"%PDF-1.7 nothing else").json()["task_id"])
    assert task["status"] == "FAILURE"
    assert task["result"]["code"] == "corrupt"
    assert "damaged" in task["result"]["error"]


@pytest.mark.parametrize(
    ("content", "form", "status", "code"),
    [
        (b"plain text", {}, 415, "unsupported_media_type"),
        (b"", {}, 422, "empty"),
        (b"%PDF-" + b"0" * (MAX_UPLOAD_BYTES + 100_000), {}, 413, "too_large"),
        (sample_photo(), {"pages": "3-1"}, 422, "invalid_payload"),
        (sample_photo(), {"dpi": "9000"}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_problem(api: httpx.Client, content, form, status, code):
    answer = submit(api, content, **form)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["detail"]


def test_a_body_without_length_is_cut_off_at_the_limit(api: httpx.Client):
    def endless() -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(100):
            yield b"0" * 1024 * 1024

    answer = api.post(
        "/api/v1/ocr/process", content=endless(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 413


def test_an_unknown_task_is_not_found(api: httpx.Client):
    answer = api.get("/api/v1/ocr/results/00000000-0000-4000-8000-000000000000")
    assert answer.status_code == 404
    assert answer.json()["code"] == "document_not_found"


def test_health_names_each_service(api: httpx.Client):
    assert api.get("/health").json() == {"status": "ok", "postgres": "ok", "redis": "ok", "storage": "ok"}


def test_another_service_queues_a_document_and_gets_ids_and_counts(stack: Stack):
    app = create_celery(stack.settings)
    create_store(stack.settings).put("quire", "mine/sample.pdf", io.BytesIO(sample_pdf()))
    call = tasks.ocr_document.send(OcrPayload(key="mine/sample.pdf"), app=app)
    result = tasks.ocr_document.load_result(call.get(timeout=60))
    assert (result.status, result.page_count, result.pages_done, result.pages_failed) == ("completed", 2, 2, 0)
    assert result.text is None
    again = tasks.ocr_page.send(OcrPagePayload(document_id=result.document_id, page_number=2), app=app)
    assert tasks.ocr_page.load_result(again.get(timeout=60)).pages_done == 2


def test_diagnostics_see_every_service_and_tell_no_secret(stack: Stack):
    report = tasks.diagnostics.send(tasks.diagnostics.parse(), app=create_celery(stack.settings)).get(timeout=30)
    assert {name: service["status"] for name, service in report["services"].items()} == {
        "postgres": "ok",
        "redis": "ok",
        "storage": "ok",
    }
    assert report["settings"]["redis_url"] == report["settings"]["database_url"] == "set"
    assert stack.redis.url not in str(report)


def test_a_document_whose_ticket_is_lost_is_found_again(api: httpx.Client, stack: Stack):
    """Redis emptied right after the upload: the reconciler issues a new ticket."""
    with redis.Redis.from_url(stack.redis.url) as broker:
        ids = []
        for _ in range(5):
            ids.append(submit(api, sample_photo()).json()["task_id"])
            broker.delete("ocr")
    assert {result_of(api, task_id)["status"] for task_id in ids} == {"SUCCESS"}


@pytest.mark.timeout(900)
def test_every_odd_document_ends_in_a_result_or_a_typed_error(api: httpx.Client, stack: Stack, documents: Path):
    worker = psutil.Process(stack.processes[0].pid)
    children = [child.pid for child in worker.children(recursive=True)]
    files = sorted(path for path in documents.rglob("*") if path.is_file())
    # How each ends is what is asked for, not all that is in it.
    some = {"pages": "1-2", "dpi": "72"}
    submitted = {path: submit(api, path.read_bytes(), path.name, **some) for path in files}
    for path, answer in submitted.items():
        if answer.status_code != 202:
            assert answer.json()["code"] in ("unsupported_media_type", "too_large"), path
            continue
        task = result_of(api, answer.json()["task_id"], seconds=600)
        if task["status"] == "FAILURE":
            assert task["result"]["code"] in ("corrupt", "encrypted"), (path, task["result"])
        else:
            assert task["pages_done"] == task["pages_total"], (path, task["result"].get("page_errors"))
    peak = max(psutil.Process(pid).memory_info().rss for pid in children)
    assert peak < MOST_WORKER_BYTES
    assert [child.pid for child in worker.children(recursive=True)] == children


def test_the_api_process_loads_no_worker_code(stack: Stack):
    api_process = next(process for process in stack.processes if process.name == "api")
    mapped = {Path(region.path).name for region in psutil.Process(api_process.pid).memory_maps()}
    assert not any(name.startswith(("libpaddle", "cv2", "onnxruntime")) for name in mapped)


def test_with_redis_down_documents_are_accepted_and_read_later(api: httpx.Client, stack: Stack):
    stack.redis.kill()
    started = time.monotonic()
    answers = [submit(api, sample_photo(), f"photo-{number}.jpg") for number in range(50)]
    assert [answer.status_code for answer in answers] == [202] * 50
    assert time.monotonic() - started < 20
    health = api.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    stack.redis.start()
    statuses = [result_of(api, answer.json()["task_id"], seconds=90)["status"] for answer in answers]
    assert statuses == ["SUCCESS"] * 50


def test_rows_and_objects_agree(api: httpx.Client, stack: Stack):
    """Every accepted document has its upload in storage, under the key in its row."""
    store = create_store(stack.settings)
    url = stack.settings.sqlalchemy_url
    assert url is not None
    engine = connect(url)
    with transaction(engine) as session:
        rows = session.execute(select(Document.bucket, Document.source_key, Document.source_bytes)).all()
    engine.dispose()
    assert rows
    for bucket, key, size in rows:
        assert store.head(bucket, key).size == size

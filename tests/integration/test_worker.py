"""The worker as its users start it: the documented command, a real Redis, the real engine, no database."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from celery import Celery

from quire import tasks
from quire.cli.samples import PHOTO, SCANNED_PAGE, sample_pdf, sample_photo
from quire.contracts import OcrPagePayload, OcrPayload, OcrResult
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.errors import Corrupt, Encrypted, InvalidPayload, ObjectNotFound, PageOutOfRange
from quire.queues import create_celery
from quire.settings import Settings
from quire.storage import FolderStore
from tests.integration.conftest import WORKER, is_ready, start_worker, wait_for, worker_environment
from tests.pdfs import words_of, write_scanned_pdf

BUCKET = "quire"


@pytest.fixture(scope="module")
def app(redis_server: EmbeddedRedis) -> Celery:
    return create_celery(Settings(redis_url=redis_server.url))


@pytest.fixture
def store(worker: ChildProcess) -> FolderStore:
    return FolderStore(worker.log.parent / "objects")


def put(store: FolderStore, key: str, content: bytes) -> str:
    store.put(BUCKET, key, io.BytesIO(content))
    return key


def read(app: Celery, key: str, **options: object) -> OcrResult:
    call = tasks.ocr_document.send(OcrPayload(key=key, **options), app=app)
    return tasks.ocr_document.load_result(call.get(timeout=60))


def run_in_worker_folder(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=WORKER, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_inspect_registered_lists_the_declared_tasks(worker: ChildProcess, redis_server, model_dir, tmp_path):
    env = worker_environment(redis_server, tmp_path, model_dir)
    command = (sys.executable, "-m", "celery", "-A", "celery_app.celery_app", "inspect", "registered", "--json")
    answer = run_in_worker_folder(env, *command)
    (registered,) = json.loads(answer.stdout).values()
    assert {declared.name for declared in tasks.ALL} <= set(registered)


def test_the_smoke_test_works_from_the_workers_folder(worker: ChildProcess, redis_server, model_dir, tmp_path):
    env = worker_environment(redis_server, tmp_path, model_dir)
    script = "from tasks import echo; print(echo.delay({'hello': 'world'}).get(timeout=30))"
    answer = run_in_worker_folder(env, sys.executable, "-c", script)
    assert answer.stdout.strip() == "{'hello': 'world'}", answer.stderr


def test_a_photo_comes_back_as_text_with_boxes(app, store):
    result = read(app, put(store, "photo.jpg", sample_photo()))
    assert result.text.splitlines() == list(PHOTO)
    page = result.pages[0]
    assert (page.source, page.dpi, page.rotation) == ("ocr", None, 0)
    for detection in result.detections:
        assert detection.confidence > 0.8
        assert all(0 <= x <= page.width and 0 <= y <= page.height for x, y in detection.box)


def test_a_pdf_is_read_by_the_same_task(app, store):
    result = read(app, put(store, "sample.pdf", sample_pdf()))
    assert (result.status, result.page_count, result.pages_done) == ("completed", 2, 2)
    assert [page.source for page in result.pages] == ["ocr", "text_layer"]
    assert result.pages[0].text.splitlines()[0] == SCANNED_PAGE[0]
    assert {found.page_number for found in result.detections} == {1, 2}


def test_one_page_of_a_pdf_is_read_by_its_number(app, store):
    key = put(store, "sample.pdf", sample_pdf())
    call = tasks.ocr_page.send(OcrPagePayload(key=key, page_number=2), app=app)
    result = tasks.ocr_page.load_result(call.get(timeout=60))
    assert [page.page_number for page in result.pages] == [2]


def test_a_large_result_is_stored_and_its_key_returned(app, store, tmp_path):
    key = put(store, "long.pdf", write_scanned_pdf(tmp_path / "long.pdf", 60).read_bytes())
    result = read(app, key)
    assert result.pages is None
    assert result.pages_done == 60
    store.download(result.result_bucket, result.result_key, tmp_path / "result.json")
    stored = OcrResult.model_validate_json((tmp_path / "result.json").read_bytes())
    assert [page.text for page in stored.pages] == [words_of(number) for number in range(1, 61)]


@pytest.mark.parametrize(
    ("content", "options", "error"),
    [
        (None, {}, ObjectNotFound),
        (b"%PDF-1.7 nothing else", {}, Corrupt),
        (sample_pdf(), {"pages": "7"}, PageOutOfRange),
    ],
)
def test_typed_errors_reach_the_caller(app, store, content, options, error):
    if content is not None:
        put(store, "refused", content)
    with pytest.raises(error):
        read(app, "refused" if content is not None else "missing", **options)


def test_an_encrypted_pdf_is_refused_with_the_remedy(app, store, documents: Path):
    content = (documents / "py-pdf-samples" / "libreoffice-writer-password.pdf").read_bytes()
    with pytest.raises(Encrypted, match="Remove the password"):
        read(app, put(store, "locked.pdf", content))


def test_an_unknown_field_is_refused_by_name_where_it_is_sent():
    with pytest.raises(InvalidPayload, match="unknown field 'langs'"):
        tasks.ocr_document.delay(key="a.pdf", langs=["en"])


def test_an_unknown_field_is_refused_by_name_where_it_arrives(app):
    call = app.send_task("tasks.ocr_document", kwargs={"key": "a.pdf", "langs": ["en"]}, queue="ocr")
    with pytest.raises(InvalidPayload, match="unknown field 'langs'"):
        call.get(timeout=30)


def test_diagnostics_report_services_and_no_secrets(app, redis_server: EmbeddedRedis):
    report = tasks.diagnostics.send(tasks.diagnostics.parse(), app=app).get(timeout=30)
    assert report["services"]["redis"]["status"] == "ok"
    assert report["services"]["storage"]["status"] == "ok"
    assert report["services"]["postgres"] == {"status": "not configured"}
    assert report["versions"]["paddleocr"] == "3.7.0"
    assert redis_server.url.split("@")[0].split(":")[-1] not in json.dumps(report)


def test_no_text_of_a_document_is_logged(app, store, worker: ChildProcess):
    read(app, put(store, "photo.jpg", sample_photo()))
    assert "Cinnamon" not in worker.log.read_text(encoding="utf-8")


def test_messages_are_json_and_their_headers_hide_the_arguments(redis_server: EmbeddedRedis):
    # A queue that nobody consumes, to look at the message.
    unwatched = create_celery(Settings(redis_url=redis_server.url, celery_ocr_queue="unwatched"))
    tasks.ocr_document.send(OcrPayload(key="secret/name.pdf"), app=unwatched, keep_result=False)
    with redis.Redis.from_url(redis_server.url) as client:
        message = json.loads(client.rpop("unwatched"))
    assert message["content-type"] == "application/json"
    assert "secret" not in json.dumps(message["headers"])


def test_the_default_worker_leaves_ocr_tasks_alone(app, redis_server, model_dir, tmp_path):
    env = worker_environment(redis_server, tmp_path, model_dir, CELERY_OCR_QUEUE="elsewhere")
    with start_worker(env, tmp_path / "default.log", "-Q", "default", "-c", "1") as process:
        wait_for(lambda: is_ready(process), process)
        answer = run_in_worker_folder(
            env, sys.executable, "-c", "from tasks import ocr_document; ocr_document.delay(key='a.pdf')"
        )
        assert answer.returncode == 0, answer.stderr
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.llen("elsewhere") == 1
            client.delete("elsewhere")


@pytest.mark.parametrize(
    ("environment", "arguments", "queues"),
    [
        ({}, (), {"default"}),
        ({"CELERY_QUEUE": "default"}, (), {"default"}),
        ({"CELERY_QUEUE": "ocr"}, (), {"ocr"}),
        ({"CELERY_QUEUE": "ocr", "CELERY_DEFAULT_QUEUE": "default"}, (), {"ocr"}),
        ({"CELERY_DEFAULT_QUEUE": "study", "CELERY_OCR_QUEUE": "pages"}, ("-Q", "pages,study"), {"pages", "study"}),
    ],
)
def test_a_worker_consumes_the_queue_it_is_told_to(redis_server, model_dir, tmp_path, environment, arguments, queues):
    env = worker_environment(redis_server, tmp_path, model_dir, **environment)
    with start_worker(env, tmp_path / "worker.log", "-c", "1", "-n", "asked@quire", *arguments) as process:
        wait_for(lambda: is_ready(process), process)
        celery = (sys.executable, "-m", "celery", "-A", "celery_app.celery_app")
        answer = run_in_worker_folder(env, *celery, "inspect", "active_queues", "-d", "asked@quire", "--json")
        assert {queue["name"] for queue in json.loads(answer.stdout)["asked@quire"]} == queues


def test_a_worker_without_its_models_says_so_and_ends(redis_server, model_dir, tmp_path):
    env = worker_environment(redis_server, tmp_path, model_dir, PADDLEOCR_DET_MODEL_DIR="/nowhere")
    process = start_worker(env, tmp_path / "broken.log", "-Q", "ocr", "-c", "1")
    try:
        deadline_reached = process._process.wait(60)
        assert deadline_reached != 0
        assert "PADDLEOCR_DET_MODEL_DIR: there is no directory /nowhere" in process.last_lines(60)
        assert " ready." not in process.last_lines(100)
    finally:
        process.kill()


def test_threads_are_refused_for_the_ocr_queue(redis_server, model_dir, tmp_path):
    env = worker_environment(redis_server, tmp_path, model_dir)
    process = start_worker(env, tmp_path / "threads.log", "-Q", "ocr", "-P", "threads", "-c", "2")
    try:
        assert process._process.wait(60) != 0
        assert "needs -P prefork or -P solo" in process.last_lines(60)
    finally:
        process.kill()


def test_the_solo_pool_reads_pages(app, redis_server, model_dir, tmp_path, worker: ChildProcess):
    env = worker_environment(redis_server, tmp_path, model_dir, CELERY_OCR_QUEUE="solo-ocr")
    put(FolderStore(tmp_path / "objects"), "photo.jpg", sample_photo())
    with start_worker(env, tmp_path / "solo.log", "-Q", "solo-ocr", "-P", "solo") as process:
        wait_for(lambda: is_ready(process), process)
        call = app.send_task("tasks.ocr_document", kwargs={"key": "photo.jpg"}, queue="solo-ocr")
        assert call.get(timeout=60)["text"].splitlines() == list(PHOTO)

"""RunPod's worker loop, a database, and an engine that costs nothing."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, select

from quire import tasks
from quire.contracts import OcrOptions
from quire.database import documents
from quire.database.engine import transaction
from quire.database.tables import Document, Page
from quire.embedded import ChildProcess, EmbeddedRedis
from tests.chaos.serials import text_of
from tests.serverless.conftest import BUCKET, FAST, Start, put_cells
from tests.serverless.standin import Platform

SECRET = "hunter2-4111-1111"
MANY = 100
QUEUE = "ocr-of-serverless"


@pytest.fixture(scope="module")
def handler(start: Start, platform: Platform, tables: tuple[str, Engine], redis_server: EmbeddedRedis) -> ChildProcess:
    variables = {
        "DATABASE_URL": tables[0],
        "REDIS_URL": redis_server.url,
        "CELERY_OCR_QUEUE": QUEUE,
        "OPENAI_API_KEY": SECRET,
        "CHAOS_PAGE_MILLISECONDS": "20",
        # A worker of the queue would do nothing but pass tickets on.
        "QUIRE_TICKET_SECONDS": "0",
    }
    process = start(FAST, "fast.log", SHORT_PAUSES="1", **variables, **platform.environment)
    assert platform.until(lambda: platform.polls > 0, 60), process.last_lines(40)
    return process


def ask(platform: Platform, task: str = "tasks.ocr_document", **payload: Any) -> dict[str, Any]:
    job = f"job-{uuid.uuid4()}"
    platform.send(job, {"task": task, "payload": payload})
    return platform.result(job)


def texts(tables: tuple[str, Engine], document_id: str) -> list[str | None]:
    with transaction(tables[1]) as session:
        query = select(Page.text).where(Page.document_id == document_id).order_by(Page.number)
        return list(session.scalars(query))


def pages_by_status(tables: tuple[str, Engine], document_id: uuid.UUID) -> dict[str, list[int]]:
    """The attempts of the pages in each status."""
    with transaction(tables[1]) as session:
        rows = session.execute(select(Page.status, Page.attempts).where(Page.document_id == document_id)).all()
    found: dict[str, list[int]] = {}
    for status, attempts in rows:
        found.setdefault(status, []).append(attempts)
    return found


def waiting_document(tables: tuple[str, Engine], key: str) -> uuid.UUID:
    """A document as the API accepts it."""
    new = documents.NewDocument(id=uuid.uuid4(), bucket=BUCKET, source_key=key, options=OcrOptions())
    with transaction(tables[1]) as session:
        documents.create(session, new)
    return new.id


def test_a_document_is_read_and_its_pages_are_in_the_database(handler, platform, folder, tables):
    key = put_cells(folder, "three.pdf", [700_001, 700_002, 700_003])
    posted = ask(platform, "tasks.ocr_pdf_document", key=key)
    assert posted.keys() == {"output"}
    assert posted["output"].keys() == {"status", "result"}
    assert posted["output"]["status"] == "ok"
    result = tasks.ocr_pdf_document.load_result(posted["output"]["result"])
    assert (result.status, result.page_count, result.pages_done, result.pages_failed) == ("completed", 3, 3, 0)
    assert texts(tables, str(result.document_id)) == [text_of(serial) for serial in (700_001, 700_002, 700_003)]


def test_a_document_that_waits_in_the_database_is_named_by_its_id_alone(handler, platform, folder, tables):
    document = waiting_document(tables, put_cells(folder, "waits.pdf", [700_011, 700_012]))
    posted = ask(platform, "tasks.ocr_pdf_document", document_id=str(document))
    assert posted["output"]["result"]["status"] == "completed"
    assert texts(tables, str(document)) == [text_of(700_011), text_of(700_012)]


def test_one_page_of_a_document(handler, platform, folder, tables):
    document = waiting_document(tables, put_cells(folder, "one.pdf", [700_021, 700_022]))
    posted = ask(platform, "tasks.ocr_page", document_id=str(document), page_number=2)
    assert (posted["output"]["result"]["status"], posted["output"]["result"]["pages_done"]) == ("running", 1)
    assert texts(tables, str(document)) == [None, text_of(700_022)]


def test_a_job_that_is_delivered_twice_reads_its_document_once(handler, platform, folder, tables):
    key = put_cells(folder, "twice.pdf", [700_031])
    job, given = f"job-{uuid.uuid4()}", {"task": "tasks.ocr_document", "payload": {"key": key}}
    for _ in range(2):
        platform.send(job, given)
    assert platform.until(lambda: len(platform.results.get(job, [])) == 2)
    first, second = platform.results[job]
    assert first["output"]["result"]["document_id"] == second["output"]["result"]["document_id"]
    with transaction(tables[1]) as session:
        assert session.scalars(select(Page.attempts).join(Document).where(Document.source_key == key)).all() == [1]


def test_a_document_that_cannot_be_read_is_a_result_as_from_celery(handler, platform, folder):
    posted = ask(platform, key="there-is-no-such-object.pdf")
    result = posted["output"]["result"]
    assert (result["status"], result["errors"][0]["code"]) == ("failed", "object_not_found")


BAD_INPUTS: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "invalid_payload: task: None is none of tasks.ocr_document, tasks.ocr_page"),
    "a list": ([1], "invalid_payload: The job has no input"),
    "another task": ({"task": "tasks.echo", "payload": {"payload": SECRET}}, "task: 'tasks.echo' is none of"),
    "a task of another type": ({"task": ["tasks.ocr_document"], "payload": {}}, "task: ['tasks.ocr_document'] is none"),
    "no payload": ({"task": "tasks.ocr_document"}, "invalid_payload: payload: not an object."),
    "a payload that is a text": ({"task": "tasks.ocr_document", "payload": "a.pdf"}, "payload: not an object."),
    "an unknown field": (
        {"task": "tasks.ocr_document", "payload": {"url": SECRET}},
        "unknown field 'url' (known: pages",
    ),
    "a field beside the payload": ({"task": "tasks.ocr_page", "payload": {}, "key": "x"}, "unknown field 'key' in the"),
    "a missing field": ({"task": "tasks.ocr_page", "payload": {"key": "a.pdf"}}, "page_number: Field required"),
    "a bad value": ({"task": "tasks.ocr_document", "payload": {"key": "a", "dpi": 9999}}, "dpi: Input should be less"),
    "NUL": ({"task": "tasks.ocr_document", "payload": {"key": "a\0b"}}, "invalid_payload: tasks.ocr_document: key:"),
    "half a character": ({"task": "tasks.ocr_document", "payload": {"key": "\ud800"}}, "text that is no Unicode"),
    "another bucket": (
        {"task": "tasks.ocr_document", "payload": {"key": "a", "bucket": "others"}},
        "bucket_not_allowed: This worker does not read from bucket 'others'.",
    ),
    "an unknown document": (
        {"task": "tasks.ocr_document", "payload": {"document_id": str(uuid.uuid4())}},
        "document_not_found: There is no document",
    ),
    "a long name": ({"task": "x" * 100_000, "payload": {}}, "task: 'xxx"),
}


@pytest.mark.parametrize(("given", "error"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_a_job_that_cannot_be_done_says_why(handler, platform, given, error):
    job = f"job-{uuid.uuid4()}"
    platform.send(job, given)
    posted = platform.result(job)
    assert posted.keys() == {"output", "error"}
    assert posted["output"] == {"status": "error"}
    assert error in posted["error"]
    assert SECRET not in posted["error"]
    assert "Traceback" not in posted["error"]
    assert "\n" not in posted["error"]
    assert len(posted["error"]) <= 1000


def test_a_result_whose_delivery_fails_once_is_delivered(handler, platform, folder):
    key = put_cells(folder, "refused.pdf", [700_041])
    with platform.changed:
        platform.fail = 1
    before = platform.refused
    assert ask(platform, key=key)["output"]["result"]["status"] == "completed"
    assert platform.refused == before + 1


def test_a_cancelled_job_gives_its_pages_back_and_the_next_one_is_not_affected(
    handler, platform, folder, tables, redis_server
):
    long = waiting_document(tables, put_cells(folder, "long.pdf", list(range(710_000, 710_150))))
    key = put_cells(folder, "after.pdf", [700_051])
    job = f"job-{uuid.uuid4()}"
    platform.send(job, {"task": "tasks.ocr_pdf_document", "payload": {"document_id": str(long)}})
    wait_for(lambda: len(pages_by_status(tables, long).get("done", [])) >= 4)
    tickets = waiting_tickets(redis_server)
    platform.stop(job)
    posted = ask(platform, key=key)
    # The engine was free: what the cancelled job had begun is written, and nothing of it is leased any more.
    found = pages_by_status(tables, long)
    assert found.keys() == {"done", "pending"}
    assert set(found["done"]) == {1}
    assert set(found["pending"]) == {0}
    assert posted["output"]["result"]["status"] == "completed"
    assert job not in platform.results
    # Whoever is told so goes on with it: a worker of the queue, or another job.
    assert waiting_tickets(redis_server) == tickets + 1
    again = ask(platform, "tasks.ocr_pdf_document", document_id=str(long))
    assert again["output"]["result"]["status"] == "completed"
    assert pages_by_status(tables, long) == {"done": [1] * 150}


def test_a_hundred_jobs_are_answered_once_each(handler, platform, folder, tables):
    jobs = {f"many-{number}": 720_000 + number for number in range(MANY)}
    for job, serial in jobs.items():
        key = put_cells(folder, f"{job}.pdf", [serial])
        platform.send(job, {"task": "tasks.ocr_document", "payload": {"key": key}})
    assert platform.until(lambda: jobs.keys() <= platform.results.keys(), 90)
    assert [len(platform.results[job]) for job in jobs] == [1] * MANY
    for job, serial in jobs.items():
        result = platform.results[job][0]["output"]["result"]
        assert texts(tables, result["document_id"]) == [text_of(serial)]


def test_heartbeats_name_the_job_of_the_moment(handler, platform, folder):
    key = put_cells(folder, "beats.pdf", list(range(730_000, 730_080)))
    job = f"job-{uuid.uuid4()}"
    platform.send(job, {"task": "tasks.ocr_document", "payload": {"key": key}})
    platform.result(job)
    assert platform.until(lambda: any(job in ping.get("job_id", "") for ping in platform.pings), 3)


def test_the_log_has_no_secrets(handler):
    log = handler.log.read_text()
    assert "OCR engine ready" in log
    assert SECRET not in log


# The last one: it ends the handler.
def test_sigterm_lets_the_job_of_the_moment_end(handler, platform, folder, tables):
    document = waiting_document(tables, put_cells(folder, "last.pdf", list(range(750_000, 750_040))))
    platform.send("last", {"task": "tasks.ocr_pdf_document", "payload": {"document_id": str(document)}})
    wait_for(lambda: pages_by_status(tables, document).get("done", []))
    begun = time.monotonic()
    handler.stop()
    assert handler.exit_status == 0, handler.last_lines(20)
    assert len(platform.results["last"]) == 1
    assert time.monotonic() - begun < 10
    assert platform.results["last"][0]["output"]["result"]["status"] == "completed"
    assert pages_by_status(tables, document) == {"done": [1] * 40}


def waiting_tickets(server: EmbeddedRedis) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.llen(QUEUE))


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

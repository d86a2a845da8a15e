"""Jobs over HTTP: what a caller keeps between two calls is an id."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx
import pytest
import redis
from sqlalchemy import text

from quire.contracts import OcrOptions, OcrResult
from quire.database import documents, retention, tombstones
from quire.database.engine import transaction
from quire.errors import Forbidden, JobNotFound, ObjectNotFound
from quire.job import Job
from quire_api.caller import Caller
from quire_api.routers import jobs
from tests.api.conftest import Replicas
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf

PAGES = 5


@pytest.fixture
def scan(replicas_bench: Bench, tmp_path: Path) -> str:
    return replicas_bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", PAGES).read_bytes())


def submit(client: httpx.Client, key: str, **more: object) -> str:
    answer = client.post("/api/v1/submit", json={"key": key, "bucket": BUCKET, **more})
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"call_id"}
    return str(answer.json()["call_id"])


def test_one_replica_takes_it_and_another_has_the_result(
    client: httpx.Client, other_client: httpx.Client, replicas_bench: Bench, scan: str
):
    call_id = submit(client, scan, pages="2-", owner="acme", priority="bulk")
    waiting = other_client.get(f"/api/v1/result/{call_id}")
    assert waiting.status_code == 202
    assert waiting.json() == {"status": "pending", "pages_done": 0, "pages_failed": 0, "pages_total": None}
    replicas_bench.flow.work(uuid.UUID(call_id), number=3)
    assert other_client.get(f"/api/v1/result/{call_id}").json() == {
        "status": "running",
        "pages_done": 1,
        "pages_failed": 0,
        "pages_total": PAGES - 1,
    }
    replicas_bench.flow.work(uuid.UUID(call_id))
    # The address without a version is the same.
    answers = [client.get(f"/result/{call_id}"), other_client.get(f"/api/v1/result/{call_id}")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    result = answers[0].json()
    assert (result["status"], result["document_id"], result["pages_done"]) == ("completed", call_id, PAGES - 1)
    assert result["text"] == "\n\n".join(["360 x 120"] * (PAGES - 1))
    assert [found["page_number"] for found in result["detections"]] == [2, 3, 4, 5]
    from_python = Job.from_id(call_id, replicas_bench.database).get(timeout=0)
    assert OcrResult.model_validate(result) == from_python
    document = replicas_bench.document(uuid.UUID(call_id))
    assert (document.owner, document.priority) == ("acme", 1)


def test_the_same_request_sent_again_is_the_same_job(
    client: httpx.Client, other_client: httpx.Client, replicas_bench: Bench, scan: str
):
    def send(to: httpx.Client, pages: str) -> httpx.Response:
        body = {"key": scan, "bucket": BUCKET, "pages": pages}
        return to.post("/api/v1/submit", json=body, headers={"Idempotency-Key": "order 7"})

    first, again, different = send(client, "1"), send(other_client, "1"), send(client, "2")
    assert (first.status_code, again.json()) == (202, first.json())
    assert different.json()["code"] == "idempotency_conflict"


def test_emptying_redis_forgets_nothing(client: httpx.Client, replicas: Replicas, replicas_bench: Bench, scan: str):
    ended, waiting = submit(client, scan), submit(client, scan)
    replicas_bench.flow.work(uuid.UUID(ended))
    with redis.Redis.from_url(replicas.redis.url) as broker:
        broker.flushall()
    assert client.get(f"/api/v1/result/{ended}").status_code == 200
    assert client.get(f"/api/v1/result/{waiting}").json()["status"] == "pending"


def test_with_redis_down_it_is_accepted(client: httpx.Client, replicas: Replicas, replicas_bench: Bench, scan: str):
    replicas.redis.kill()
    try:
        call_id = submit(client, scan)
        assert client.get(f"/api/v1/result/{call_id}").status_code == 202
        replicas_bench.flow.work(uuid.UUID(call_id))
        assert client.get(f"/api/v1/result/{call_id}").status_code == 200
    finally:
        replicas.redis.start()


def test_a_failed_job_answers_with_its_own_code(client: httpx.Client, replicas_bench: Bench):
    damaged = submit(client, replicas_bench.put("damaged.pdf", b"%PDF-1.7 and no more"))
    missing = submit(client, replicas_bench.put("missing.pdf", b"%PDF-1.7"))
    replicas_bench.store.delete(BUCKET, "missing.pdf")
    for call_id, code in ((damaged, "corrupt"), (missing, "object_not_found")):
        replicas_bench.flow.work(uuid.UUID(call_id))
        answer = client.get(f"/api/v1/result/{call_id}")
        # Not 404 for the missing object: that would say that there is no such job.
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.headers["content-type"] == "application/problem+json"


def test_pages_that_failed_are_named_in_the_result(client: httpx.Client, replicas_bench: Bench, scan: str):
    def fail(image: object) -> None:
        if getattr(image, "number", 0) == 2:
            raise MemoryError

    call_id = submit(client, scan)
    replicas_bench.with_engine(InstantEngine(fail)).work(uuid.UUID(call_id))
    result = client.get(f"/api/v1/result/{call_id}").json()
    assert (result["status"], result["errors"][0]["page_number"]) == ("partial", 2)


def test_a_cancelled_job_is_a_conflict(client: httpx.Client, replicas_bench: Bench, scan: str):
    call_id = submit(client, scan)
    Job.from_id(call_id, replicas_bench.database).cancel()
    answer = client.get(f"/api/v1/result/{call_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_cancelled")


def test_what_is_gone_is_404_and_says_why(client: httpx.Client, replicas_bench: Bench):
    gone = {}
    with transaction(replicas_bench.database) as session:
        for reason in ("expired", "deleted"):
            gone[reason] = uuid.uuid4()
            documents.create(session, documents.NewDocument(gone[reason], BUCKET, "key", OcrOptions()))
            tombstones.bury(session, gone[reason], "", reason)
        retention.delete_documents(session, list(gone.values()))
    for call_id, code in (
        (gone["expired"], "job_expired"),
        (gone["deleted"], "job_not_found"),
        (uuid.uuid4(), "job_not_found"),
        ("seven", "job_not_found"),
    ):
        answer = client.get(f"/api/v1/result/{call_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"key": "a.pdf", "colour": 1}, 422, "invalid_request"),
        ({"key": "a.pdf", "pages": "3-1"}, 422, "invalid_request"),
        ({"key": "a.pdf", "document_id": str(uuid.uuid4())}, 422, "invalid_request"),
        ({"key": "a.pdf", "bucket": "another"}, 403, "bucket_not_allowed"),
        ({"key": "nowhere.pdf", "bucket": BUCKET}, 404, "object_not_found"),
    ],
)
def test_what_cannot_be_submitted_is_refused(
    client: httpx.Client, replicas_bench: Bench, body: dict[str, object], status: int, code: str
):
    def count() -> int:
        with transaction(replicas_bench.database) as session:
            return int(session.scalar(text("SELECT count(*) FROM documents")) or 0)

    before = count()
    answer = client.post("/api/v1/submit", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert count() == before


def test_a_job_of_another_owner_is_not_found(replicas_bench: Bench):
    mine = uuid.uuid4()
    with transaction(replicas_bench.database) as session:
        documents.create(session, documents.NewDocument(mine, BUCKET, "key", OcrOptions(), owner="acme"))
    for owner in (None, "acme"):
        assert Job.from_id(mine, replicas_bench.database, owner).status() == "queued"
    other = Job.from_id(mine, replicas_bench.database, "another")
    for ask in (other.status, other.cancel, other.retry, lambda: other.get(0), lambda: list(other.pages())):
        with pytest.raises(JobNotFound, match="ever issued"):
            ask()


def test_a_key_submits_nothing_of_others():
    caller = Caller(owner="acme")
    with pytest.raises(ObjectNotFound):
        jobs.submit(jobs.Submission(key=f"uploads/{uuid.uuid4()}"), caller)
    with pytest.raises(Forbidden, match="owner"):
        jobs.submit(jobs.Submission(key="a.pdf", owner="another"), caller)

"""A job from Python: spawned, asked about by its id from anywhere, waited for."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from quire import jobs, queues
from quire.contracts import OcrOptions, PageText
from quire.database import documents, leases, retention, tombstones
from quire.database import engine as database_engine
from quire.database.engine import get_engine, transaction
from quire.embedded import EmbeddedPostgres, EmbeddedRedis
from quire.errors import (
    BucketNotAllowed,
    Corrupt,
    InvalidPayload,
    JobCancelled,
    JobExpired,
    JobNotFound,
    QuireError,
    SettingsError,
    error_from,
)
from quire.job import Job, JobProgress
from quire.settings import get_settings
from quire.tasks import ocr_document, ocr_page
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import Bench
from tests.pdfs import write_scanned_pdf

PAGES = 9


def forget_settings() -> None:
    for cached in (get_settings, queues.producer):
        cached.cache_clear()
    database_engine._engine_of_process.cache_clear()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set variables of this process and have them read again."""

    def set_variables(**values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        forget_settings()

    yield set_variables
    if get_settings().database_url:
        get_engine().dispose()
    monkeypatch.undo()
    forget_settings()


@pytest.fixture
def caller(environment: Callable[..., None], database_url: str, redis_server: EmbeddedRedis) -> Callable[..., None]:
    """This process as a product that submits documents."""
    environment(DATABASE_URL=database_url, REDIS_URL=redis_server.url, S3_BUCKET="documents")
    return environment


@pytest.fixture
def scan(bench: Bench, tmp_path: Path) -> str:
    return bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", PAGES).read_bytes())


@pytest.fixture
def job(bench: Bench, scan: str) -> Job:
    return Job(bench.accept(scan), bench.database)


def later(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_spawned_document_is_known_by_its_id_everywhere(caller, bench: Bench, scan: str):
    spawned = ocr_document.spawn(scan, pages="2-4", owner="acme", priority="bulk")
    job = Job.from_id(str(spawned.id))
    assert (job, job.status()) == (spawned, "queued")
    document = bench.document(job.id)
    assert (document.owner, document.priority) == ("acme", 1)
    with pytest.raises(TimeoutError):
        job.get(timeout=0)
    bench.flow.work(job.id)
    result = job.get()
    assert (result.status, result.document_id, result.page_count, result.pages_done) == ("completed", job.id, PAGES, 3)
    assert result.text == "\n\n".join(["360 x 120"] * 3)
    assert [(found.page_number, found.text) for found in result.detections or ()] == [
        (number, "360 x 120") for number in (2, 3, 4)
    ]
    assert job.progress() == JobProgress("completed", 3, 0, 3)


def _ask(job_id: uuid.UUID, answers: multiprocessing.Queue[object]) -> None:
    answers.put(Job.from_id(job_id).get(timeout=20).pages_done)


def test_another_process_waits_for_it(caller, bench: Bench, scan: str):
    job = ocr_document.spawn(key=scan)
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[object] = context.Queue()
    process = context.Process(target=_ask, args=(job.id, answers))
    process.start()
    bench.flow.work(job.id)
    assert answers.get(timeout=20) == PAGES
    process.join()


def test_with_redis_down_a_document_is_accepted_and_waits(caller, bench: Bench, scan: str):
    caller(REDIS_URL="redis://127.0.0.1:1/0")
    job = ocr_document.spawn(key=scan)
    assert job.status() == "queued"
    bench.flow.work(job.id)
    assert job.get(timeout=0).pages_done == PAGES


def test_spawn_needs_a_database_and_says_so(environment: Callable[..., None]):
    environment(DATABASE_URL=None)
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        ocr_document.spawn(key="a.pdf")


def test_what_cannot_be_submitted_leaves_no_row(caller, database: Engine):
    with pytest.raises(InvalidPayload, match="'colour'"):
        ocr_document.spawn(key="a.pdf", colour=1)
    with pytest.raises(BucketNotAllowed):
        ocr_document.spawn(key="a.pdf", bucket="another")
    with pytest.raises(JobNotFound):
        ocr_document.spawn(document_id=uuid.uuid4())
    with transaction(database) as session:
        assert session.scalar(text("SELECT count(*) FROM documents")) == 0


def test_a_document_id_of_ones_own_makes_the_call_repeatable(caller, bench: Bench, scan: str):
    own = uuid.uuid4()
    assert ocr_document.spawn(key=scan, document_id=own) == ocr_document.spawn(key=scan, document_id=own)
    assert ocr_document.spawn(document_id=own).id == own


def test_one_page_is_a_job_too(caller, bench: Bench, scan: str):
    job = ocr_page.spawn(scan, 7)
    bench.flow.work(job.id)
    assert [page.page_number for page in job.pages()] == [7]


def test_get_returns_when_the_job_ends(bench: Bench, job: Job):
    timer = later(0.3, lambda: bench.flow.work(job.id))
    started = time.monotonic()
    assert job.get(timeout=20).pages_done == PAGES
    # Well before the poll that makes up for a lost notification.
    assert time.monotonic() - started < 4
    timer.join()


def test_get_raises_the_builtin_timeout(job: Job):
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        job.get(timeout=0.3)
    assert 0.3 <= time.monotonic() - started < 2


def test_the_loop_goes_on_while_a_coroutine_waits(bench: Bench, job: Job):
    async def wait() -> tuple[int, int, float]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        with pytest.raises(TimeoutError):
            await job.aget(timeout=0.2)
        waiting = asyncio.create_task(job.aget(timeout=20))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await asyncio.to_thread(bench.flow.work, job.id)
        result = await waiting
        seconds = time.monotonic() - started
        ticking.cancel()
        return result.pages_done, ticks, seconds

    done, ticks, seconds = asyncio.run(wait())
    assert done == PAGES
    assert ticks >= 20
    assert seconds < 4


def test_many_wait_for_one_document(bench: Bench, job: Job):
    with ThreadPoolExecutor(10) as waiters:
        waiting = [waiters.submit(job.get, 20) for _ in range(10)]
        bench.flow.work(job.id)
        assert {each.result().pages_done for each in waiting} == {PAGES}


def test_a_wait_survives_the_loss_of_its_connection_and_a_restart_of_postgres(
    bench: Bench, job: Job, postgres_server: EmbeddedPostgres
):
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(job.get, 30)
        time.sleep(0.3)
        with transaction(bench.database) as session:
            killed = session.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            ).all()
        assert len(killed) >= 1
        postgres_server.restart("immediate")
        assert not waiting.done()
        bench.flow.work(job.id)
        assert waiting.result(10).pages_done == PAGES


def test_a_failure_is_raised_as_what_it_was(bench: Bench):
    job = Job(bench.accept(bench.put("damaged.pdf", b"%PDF-1.7 and no more")), bench.database)
    bench.flow.work(job.id)
    with pytest.raises(Corrupt, match="damaged"):
        job.get(timeout=0)
    assert job.status() == "failed"


def test_errors_come_back_from_their_codes():
    assert type(error_from("corrupt", "Damaged.")) is Corrupt
    assert type(error_from("internal", "A bug.")) is QuireError
    unknown = error_from("of_a_later_version", "Something.")
    assert (type(unknown), unknown.message) == (QuireError, "Something. (of_a_later_version)")


def test_pages_that_failed_are_in_the_result_and_can_be_retried(
    bench: Bench, job: Job, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "issue_ticket", bench.tickets.append)

    def fail(image: object) -> None:
        if getattr(image, "number", 0) == 4:
            raise Corrupt("not today")

    bench.with_engine(InstantEngine(fail)).work(job.id)
    result = job.get(timeout=0)
    assert (result.status, [(error.page_number, error.code) for error in result.errors]) == (
        "partial",
        [(4, "corrupt")],
    )
    assert len(result.detections or ()) == PAGES - 1
    assert job.retry()
    assert job.status() == "running"
    bench.flow.work(job.id)
    assert job.get(timeout=0).pages_done == PAGES
    assert not job.retry()


def test_a_cancelled_job_says_so_to_who_waits(bench: Bench, job: Job):
    timer = later(0.2, job.cancel)
    with pytest.raises(JobCancelled):
        job.get(timeout=20)
    timer.join()
    assert not job.cancel()


def page_that_says(text: str, number: int) -> PageText:
    return PageText(
        page_number=number, width=1, height=1, rotation=0, source="ocr", engine="e", text=text, detections=()
    )


def test_pages_are_read_some_at_a_time(database: Engine):
    job_id = uuid.uuid4()
    count = 120
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(job_id, "documents", "key", OcrOptions()))
        documents.begin_plan(session, job_id, seconds=60)
        documents.plan(session, job_id, documents.Plan(count, range(1, count + 1), "image/png", 1, ""))
        lease = leases.lease_pages(session, job_id, most=count, seconds=60, attempts=3)
        assert lease is not None
        leases.write_pages(session, lease, [page_that_says(str(number), number) for number in lease.numbers])
    assert [page.text for page in Job(job_id, database).pages()] == [str(number) for number in range(1, count + 1)]


def every_question(job: Job) -> list[Callable[[], object]]:
    return [
        job.status,
        job.progress,
        lambda: job.get(timeout=0),
        lambda: job.wait(timeout=0),
        lambda: asyncio.run(job.aget(timeout=0)),
        lambda: list(job.pages()),
        job.cancel,
        job.retry,
    ]


def test_an_id_that_was_never_issued_is_not_found(database: Engine):
    for ask in every_question(Job(uuid.uuid4(), database)):
        with pytest.raises(JobNotFound, match="ever issued"):
            ask()
    with pytest.raises(JobNotFound):
        Job.from_id("seven")


@pytest.mark.parametrize(
    ("reason", "error", "words"), [("expired", JobExpired, "kept until"), ("deleted", JobNotFound, "was deleted with")]
)
def test_what_is_gone_says_why(bench: Bench, job: Job, reason, error, words: str):
    bench.flow.work(job.id)
    with transaction(bench.database) as session:
        tombstones.bury(session, job.id, "acme", reason)
        retention.delete_documents(session, [job.id])
    for ask in every_question(job):
        with pytest.raises(error, match=words):
            ask()


def test_a_wait_ends_when_the_document_is_deleted(bench: Bench, job: Job):
    def delete() -> None:
        with transaction(bench.database) as session:
            tombstones.bury(session, job.id, "", "deleted")
            retention.delete_documents(session, [job.id])

    timer = later(0.2, delete)
    started = time.monotonic()
    with pytest.raises(JobNotFound, match="deleted"):
        job.get(timeout=20)
    assert time.monotonic() - started < 4
    timer.join()


def test_tombstones_are_seen_by_their_owner_and_forgotten_in_time(database: Engine):
    mine, old = uuid.uuid4(), uuid.uuid4()
    with transaction(database) as session:
        for document_id in (mine, old):
            tombstones.bury(session, document_id, "acme", "expired")
        tombstones.bury(session, mine, "acme", "deleted")
        session.execute(
            text("UPDATE tombstones SET deleted_at = now() - interval '91 days' WHERE document_id = :id"), {"id": old}
        )
    with transaction(database) as session:
        found = tombstones.find(session, mine, "acme")
        assert (found.document_id, found.reason) == (mine, "expired")
        assert tombstones.find(session, mine, "another") is None
        assert tombstones.find(session, mine) is not None
        assert tombstones.drop_older(session) == 1
        assert tombstones.find(session, old) is None
        assert tombstones.find(session, mine) is not None


def test_progress_shows_pages_as_they_come(bench: Bench, job: Job):
    assert job.progress() == JobProgress("queued", 0, 0, None)
    with transaction(bench.database) as session:
        documents.begin_plan(session, job.id, seconds=60)
        documents.plan(session, job.id, documents.Plan(PAGES, range(1, PAGES + 1), "application/pdf", 1, ""))
        leases.lease_pages(session, job.id, most=4, seconds=60, attempts=3)
    assert job.progress() == JobProgress("running", 0, 0, PAGES)

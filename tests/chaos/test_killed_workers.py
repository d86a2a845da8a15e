"""Two workers share a document; one of them is killed half-way. Every page is there once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import Engine, select, text

from quire.database.engine import connect, transaction
from quire.database.tables import Document, Page
from quire.embedded.processes import ChildProcess, free_port
from quire.embedded.stack import Stack
from tests.pdfs import words_of, write_scanned_pdf

PAGES = 120
LEASE_PAGES = 4


@pytest.fixture(scope="module")
def shared_stack(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {
        "QUIRE_MODEL_DIR": str(model_dir),
        "QUIRE_LEASE_PAGES": str(LEASE_PAGES),
        # Short, so that the test need not wait for a dead worker's lease as long as an operator would.
        "QUIRE_LEASE_SECONDS": "5",
        "QUIRE_RECONCILE_SECONDS": "2",
        "QUIRE_OCR_THREADS": "1",
        # Every test submits the same book.
        "QUIRE_REUSE_PAGES": "0",
    }
    with Stack(tmp_path_factory.mktemp("stack"), free_port(), ocr_workers=2, env=env) as running:
        yield running


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The stack with everything running: what a test ends is started again."""
    yield shared_stack
    for process in list(shared_stack.processes):
        if process.exit_status is not None:
            shared_stack.start_again(process)
    wait_until(lambda: all(shared_stack.is_ready(process) for process in shared_stack.processes))


@pytest.fixture(scope="module")
def database(shared_stack: Stack) -> Iterator[Engine]:
    url = shared_stack.settings.sqlalchemy_url
    assert url is not None
    engine = connect(url)
    yield engine
    engine.dispose()


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def submit(stack: Stack, path: Path) -> UUID:
    with path.open("rb") as content:
        answer = httpx.post(f"{stack.api_url}/api/v1/ocr/process", files={"file": (path.name, content)}, timeout=30)
    return UUID(answer.raise_for_status().json()["task_id"])


def progress(database: Engine, document_id: UUID) -> Document:
    with transaction(database) as session:
        document = session.get(Document, document_id)
    assert document is not None
    return document


def wait_until_ended(database: Engine, document_id: UUID, seconds: float = 200) -> Document:
    deadline = time.monotonic() + seconds
    while (document := progress(database, document_id)).status in ("queued", "running"):
        assert time.monotonic() < deadline, (document.status, document.pages_done, document.pages_failed)
        time.sleep(0.2)
    return document


def check_every_page_once(database: Engine, document_id: UUID, count: int = PAGES) -> list[Page]:
    with transaction(database) as session:
        pages = list(session.scalars(select(Page).where(Page.document_id == document_id).order_by(Page.number)))
    assert [page.number for page in pages] == list(range(1, count + 1))
    assert {page.status for page in pages} == {"done"}
    assert [page.text for page in pages] == [words_of(page.number) for page in pages]
    return pages


def a_quarter_is_done(database: Engine, document_id: UUID) -> Callable[[], bool]:
    return lambda: progress(database, document_id).pages_done >= PAGES / 4


def first_ocr_worker(stack: Stack) -> ChildProcess:
    return next(process for process in stack.processes if process.name == "ocr-1-worker")


def tickets_received(stack: Stack) -> list[int]:
    """Tickets that each OCR worker has ended, by its log."""
    logs = [process.log.read_text() for process in stack.processes if "ocr-" in process.name]
    return [log.count("tasks.ocr_pdf_document") for log in logs]


def test_two_workers_share_a_document_and_read_every_page_once(stack: Stack, database: Engine, tmp_path: Path):
    before = tickets_received(stack)
    # Long enough that a worker that is slow to begin finds pages left: one alone reads PAGES in a second or two.
    count = 4 * PAGES
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", count))
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done, document.pages_failed) == ("completed", count, 0)
    pages = check_every_page_once(database, document_id, count)
    assert {page.attempts for page in pages} == {1}
    # A worker writes its log after the document has ended.
    wait_until(
        lambda: all(after - earlier > 1 for after, earlier in zip(tickets_received(stack), before, strict=True)), 20
    )


def test_a_killed_pool_process_is_replaced_and_costs_one_batch(stack: Stack, database: Engine, tmp_path: Path):
    """As when native code crashes: the worker stays, its process does not."""
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    worker = first_ocr_worker(stack)
    wait_until(a_quarter_is_done(database, document_id))
    (victim,) = psutil.Process(worker.pid).children()
    victim.kill()
    # Looked for every second; and Celery itself does every five.
    wait_until(lambda: victim.pid not in {child.pid for child in psutil.Process(worker.pid).children()}, seconds=3)
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done) == ("completed", PAGES)
    repeated = [page.number for page in check_every_page_once(database, document_id) if page.attempts > 1]
    assert len(repeated) <= LEASE_PAGES, repeated
    assert worker.exit_status is None
    (replacement,) = psutil.Process(worker.pid).children()
    assert replacement.pid != victim.pid


def test_a_worker_killed_half_way_costs_one_batch(stack: Stack, database: Engine, tmp_path: Path):
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    wait_until(a_quarter_is_done(database, document_id))
    first_ocr_worker(stack).kill()
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done, document.pages_failed) == ("completed", PAGES, 0)
    pages = check_every_page_once(database, document_id)
    repeated = [page.number for page in pages if page.attempts > 1]
    assert len(repeated) <= LEASE_PAGES, repeated
    with transaction(database) as session:
        assert session.scalar(text("SELECT count(*) FROM pages WHERE lease_token IS NOT NULL")) == 0


def test_a_stopped_worker_gives_its_pages_back_at_once(stack: Stack, database: Engine, tmp_path: Path):
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    leaver = first_ocr_worker(stack)
    wait_until(a_quarter_is_done(database, document_id))
    started = time.monotonic()
    leaver.stop(grace_seconds=60)
    assert time.monotonic() - started < 30
    assert leaver.exit_status == 0, leaver.last_lines()
    wait_until_ended(database, document_id)
    # SIGTERM, unlike SIGKILL, costs not even a batch.
    assert {page.attempts for page in check_every_page_once(database, document_id)} == {1}


def test_the_last_worker_needs_nobody_to_finish_what_a_killed_one_held(
    shared_stack: Stack, database: Engine, tmp_path: Path
):
    """Without a reconciler: the survivor waits for the dead worker's lease to run out."""
    next(process for process in shared_stack.processes if process.name == "default-worker").kill()
    document_id = submit(shared_stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    wait_until(a_quarter_is_done(database, document_id))
    first_ocr_worker(shared_stack).kill()
    assert wait_until_ended(database, document_id).status == "completed"
    check_every_page_once(database, document_id)

"""Two workers share a document; one of them is killed half-way. Every page is there once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import Engine, select, text

from quire.database.engine import connect, transaction
from quire.database.tables import Document, Page
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.pdfs import words_of, write_scanned_pdf

PAGES = 200
LEASE_PAGES = 4


@pytest.fixture
def stack(model_dir: Path, tmp_path: Path) -> Iterator[Stack]:
    env = {
        "QUIRE_MODEL_DIR": str(model_dir),
        "QUIRE_LEASE_PAGES": str(LEASE_PAGES),
        # Short, so that the test need not wait for a dead worker's lease as long as an operator would.
        "QUIRE_LEASE_SECONDS": "5",
        "QUIRE_RECONCILE_SECONDS": "2",
        "QUIRE_OCR_THREADS": "1",
    }
    with Stack(tmp_path / "stack", free_port(), ocr_workers=2, env=env) as running:
        yield running


@pytest.fixture
def database(stack: Stack) -> Iterator[Engine]:
    url = stack.settings.sqlalchemy_url
    assert url is not None
    engine = connect(url)
    yield engine
    engine.dispose()


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


def check_every_page_once(database: Engine, document_id: UUID) -> list[Page]:
    with transaction(database) as session:
        pages = list(session.scalars(select(Page).where(Page.document_id == document_id).order_by(Page.number)))
    assert [page.number for page in pages] == list(range(1, PAGES + 1))
    assert {page.status for page in pages} == {"done"}
    assert [page.text for page in pages] == [words_of(page.number) for page in pages]
    return pages


def workers_that_read(stack: Stack) -> list[int]:
    """Tickets that each OCR worker has ended, by its log."""
    logs = [process.log.read_text() for process in stack.processes if "ocr-" in process.name]
    return [log.count("tasks.ocr_pdf_document") for log in logs]


def test_two_workers_share_a_document_and_read_every_page_once(stack: Stack, database: Engine, tmp_path: Path):
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done, document.pages_failed) == ("completed", PAGES, 0)
    pages = check_every_page_once(database, document_id)
    assert {page.attempts for page in pages} == {1}
    assert all(count > 1 for count in workers_that_read(stack))


def test_a_worker_killed_half_way_costs_one_batch(stack: Stack, database: Engine, tmp_path: Path):
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    victim = next(process for process in stack.processes if process.name.startswith("ocr-1"))
    deadline = time.monotonic() + 120
    while progress(database, document_id).pages_done < PAGES / 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victim.kill()
    stack.processes.remove(victim)
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done, document.pages_failed) == ("completed", PAGES, 0)
    pages = check_every_page_once(database, document_id)
    repeated = [page.number for page in pages if page.attempts > 1]
    assert len(repeated) <= LEASE_PAGES, repeated
    with transaction(database) as session:
        assert session.scalar(text("SELECT count(*) FROM pages WHERE lease_token IS NOT NULL")) == 0


def test_the_last_worker_needs_nobody_to_finish_what_a_killed_one_held(model_dir: Path, tmp_path: Path):
    """Without a reconciler: the survivor waits for the dead worker's lease to run out."""
    env = {"QUIRE_MODEL_DIR": str(model_dir), "QUIRE_LEASE_SECONDS": "5", "QUIRE_OCR_THREADS": "1"}
    with Stack(tmp_path / "alone", free_port(), ocr_workers=2, beat=False, env=env) as stack:
        url = stack.settings.sqlalchemy_url
        assert url is not None
        database = connect(url)
        document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
        while progress(database, document_id).pages_done < PAGES / 4:
            time.sleep(0.05)
        victim = next(process for process in stack.processes if process.name.startswith("ocr-1"))
        victim.kill()
        stack.processes.remove(victim)
        assert wait_until_ended(database, document_id).status == "completed"
        check_every_page_once(database, document_id)
        database.dispose()


def test_a_killed_pool_process_is_replaced_and_costs_one_batch(stack: Stack, database: Engine, tmp_path: Path):
    """As when native code crashes: the worker stays, its process does not."""
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    worker = next(process for process in stack.processes if process.name.startswith("ocr-1"))
    while progress(database, document_id).pages_done < PAGES / 4:
        time.sleep(0.05)
    (victim,) = psutil.Process(worker.pid).children()
    victim.kill()
    document = wait_until_ended(database, document_id)
    assert (document.status, document.pages_done) == ("completed", PAGES)
    repeated = [page.number for page in check_every_page_once(database, document_id) if page.attempts > 1]
    assert len(repeated) <= LEASE_PAGES, repeated
    assert worker.exit_status is None
    (replacement,) = psutil.Process(worker.pid).children()
    assert replacement.pid != victim.pid


def test_a_stopped_worker_gives_its_pages_back_at_once(stack: Stack, database: Engine, tmp_path: Path):
    document_id = submit(stack, write_scanned_pdf(tmp_path / "book.pdf", PAGES))
    leaver = next(process for process in stack.processes if process.name.startswith("ocr-1"))
    while progress(database, document_id).pages_done < PAGES / 4:
        time.sleep(0.05)
    started = time.monotonic()
    leaver.stop(grace_seconds=60)
    assert time.monotonic() - started < 30
    assert leaver.exit_status == 0, leaver.last_lines()
    stack.processes.remove(leaver)
    wait_until_ended(database, document_id)
    # SIGTERM, unlike SIGKILL, costs not even a batch.
    assert {page.attempts for page in check_every_page_once(database, document_id)} == {1}

"""Pages and workers that get stuck, in Python and in native code: each ends in time, and costs nobody else anything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from quire import tasks
from quire.contracts import OcrPayload
from quire.database.engine import transaction
from quire.database.tables import Document, Page
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.queues import create_celery
from quire.settings import Settings
from runtime.liveness import NOT_CONSUMING, STALLED
from tests.integration.conftest import WORKER, is_ready, wait_for, worker_environment
from tests.pdfs import write_scanned_pdf

ROOT = Path(__file__).parents[2]
Start = Callable[..., ChildProcess]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def start(redis: EmbeddedRedis, database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker that gets stuck in one of the ways of `stuck_app`."""
    running: list[ChildProcess] = []

    def start_stuck(how: str, **settings: str) -> ChildProcess:
        env = worker_environment(redis, tmp_path, tmp_path / "models", DATABASE_URL=database_url, STUCK=how, **settings)
        env["PYTHONPATH"] = str(ROOT)
        app = "tests.integration.stuck_app.celery_app"
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            app,
            "worker",
            "-Q",
            "ocr",
            "-c",
            "1",
            "-l",
            "info",
            "--without-mingle",
        ]
        worker = ChildProcess(command, log=tmp_path / "worker.log", env=env, cwd=WORKER)
        running.append(worker)
        wait_for(lambda: is_ready(worker), worker)
        return worker

    yield start_stuck
    for worker in running:
        worker.kill()


def send_book(redis: EmbeddedRedis, folder: Path, pages: int = 3) -> None:
    bucket = folder / "objects" / "quire"
    bucket.mkdir(parents=True)
    write_scanned_pdf(bucket / "book.pdf", pages)
    tasks.ocr_document.send(OcrPayload(key="book.pdf"), app=create_celery(Settings(redis_url=redis.url)))


def book(database: Engine) -> tuple[str, dict[int, Page]]:
    """The status of the one document, and its pages by number."""
    with transaction(database) as session:
        status = session.scalar(select(Document.status)) or "none"
        return status, {page.number: page for page in session.scalars(select(Page))}


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_page_stuck_in_python_fails_alone(redis: EmbeddedRedis, start: Start, database: Engine, tmp_path: Path):
    start("python", QUIRE_PAGE_SECONDS="1")
    send_book(redis, tmp_path)
    wait_until(lambda: book(database)[0] == "partial")
    _, pages = book(database)
    assert (pages[2].status, pages[2].error_code) == ("failed", "timeout")
    assert [pages[1].text, pages[3].text] == ["page 1", "page 3"]


@pytest.mark.parametrize("how", ["native", "locked"])
def test_a_page_stuck_in_native_code_ends_its_process_and_fails_alone(
    how: str, redis: EmbeddedRedis, start: Start, database: Engine, tmp_path: Path
):
    limits = {"QUIRE_PAGE_SECONDS": "0.7", "QUIRE_PAGE_ATTEMPTS": "2", "QUIRE_LEASE_SECONDS": "2"}
    worker = start(how, QUIRE_LEASE_PAGES="2", **limits)
    send_book(redis, tmp_path)
    wait_until(lambda: book(database)[0] == "partial")
    _, pages = book(database)
    assert (pages[2].status, pages[2].error_code, pages[2].attempts) == ("failed", "worker_lost", 2)
    assert [pages[1].text, pages[3].text] == ["page 1", "page 3"]
    # Where it was stuck is in the log.
    assert "get_stuck" in worker.log.read_text()
    assert worker.exit_status is None


def test_a_drain_gives_the_page_in_work_back(redis: EmbeddedRedis, start: Start, database: Engine, tmp_path: Path):
    worker = start("python", QUIRE_DRAIN_SECONDS="5", QUIRE_LEASE_PAGES="1")
    send_book(redis, tmp_path)
    wait_until(lambda: 2 in (pages := book(database)[1]) and pages[2].status == "leased")
    begun = time.monotonic()
    worker.stop(grace_seconds=20)
    assert worker.exit_status == 0
    # By itself, and not because time was up: then its status is another one.
    assert time.monotonic() - begun < 8
    status, pages = book(database)
    assert status == "running"
    assert (pages[2].status, pages[2].attempts) == ("pending", 0)
    assert pages[1].text == "page 1"


def test_a_drain_ends_in_time_whatever_native_code_does(
    redis: EmbeddedRedis, start: Start, database: Engine, tmp_path: Path
):
    worker = start("locked", QUIRE_DRAIN_SECONDS="2", QUIRE_LEASE_PAGES="1")
    send_book(redis, tmp_path)
    wait_until(lambda: 2 in (pages := book(database)[1]) and pages[2].status == "leased")
    begun = time.monotonic()
    worker.stop(grace_seconds=20)
    assert worker.exit_status is not None
    assert worker.exit_status >= 0, "it had to be killed"
    assert time.monotonic() - begun < 5
    assert book(database)[1][1].text == "page 1"


def test_a_worker_whose_loop_stands_still_leaves(start: Start):
    worker = start("loop", QUIRE_STALL_SECONDS="2")
    wait_until(lambda: worker.exit_status is not None)
    assert worker.exit_status == STALLED
    assert "its event loop has stood still" in worker.log.read_text()


def test_a_worker_that_does_not_consume_leaves(redis: EmbeddedRedis, start: Start, tmp_path: Path):
    worker = start("deaf", QUIRE_STALL_SECONDS="2")
    time.sleep(4)
    assert worker.exit_status is None, "nothing waited for it"
    send_book(redis, tmp_path)
    wait_until(lambda: worker.exit_status is not None)
    assert worker.exit_status == NOT_CONSUMING


def test_the_probe_tells_a_halted_worker_from_a_living_one(start: Start, tmp_path: Path):
    def probe() -> int:
        env = os.environ | {"QUIRE_RUNTIME_DIR": str(tmp_path / "run"), "QUIRE_STALL_SECONDS": "2"}
        command = [sys.executable, "-m", "runtime.liveness"]
        return subprocess.run(command, cwd=WORKER, env=env, check=False, capture_output=True).returncode

    assert probe() == 1
    worker = start("no", QUIRE_STALL_SECONDS="2")
    wait_until(lambda: probe() == 0)
    worker.suspend()
    wait_until(lambda: probe() == 1)
    worker.resume()
    wait_until(lambda: probe() == 0)

"""Real Celery workers on a Redis of their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flow.page_flow import PageFlow
from quire.database.turns import Ticket
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.settings import Settings
from quire.storage import FolderStore
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench

WORKER = Path(__file__).parents[2] / "apps" / "worker"


def worker_environment(redis: EmbeddedRedis, folder: Path, models: Path, **more: str) -> dict[str, str]:
    """What a worker sees: only these services, whatever the shell has."""
    foreign = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL", "QUIRE_", "PADDLEOCR_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | {
        "REDIS_URL": redis.url,
        "QUIRE_OBJECT_DIR": str(folder / "objects"),
        "QUIRE_MODEL_DIR": str(models),
        "QUIRE_RUNTIME_DIR": str(folder / "run"),
        **more,
    }


def start_worker(env: dict[str, str], log: Path, *arguments: str) -> ChildProcess:
    """The documented command line, with these arguments after it."""
    command = [sys.executable, "-m", "celery", "-A", "celery_app.celery_app", "worker", "-l", "info", *arguments]
    return ChildProcess(command, log=log, env=env, cwd=WORKER)


def wait_for(condition: Callable[[], bool], process: ChildProcess, seconds: float = 90) -> None:
    """Wait until something is true; fail with the worker's log when it ends before that."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.exit_status is None, process.last_lines(40)
        assert time.monotonic() < deadline, process.last_lines(40)
        time.sleep(0.05)


def is_ready(process: ChildProcess) -> bool:
    """Whether the worker has said that it is ready."""
    return " ready." in process.log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module")
def worker(
    redis_server: EmbeddedRedis, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChildProcess]:
    """One worker of both queues with the real engine and no database; `worker.folder` has its files."""
    folder = tmp_path_factory.mktemp("worker")
    env = worker_environment(redis_server, folder, model_dir, QUIRE_MAX_INLINE_RESULT_BYTES="20000")
    with start_worker(env, folder / "worker.log", "-Q", "default,ocr", "-c", "1") as process:
        wait_for(lambda: is_ready(process), process)
        yield process


@pytest.fixture
def bench(database: Engine, tmp_path: Path) -> Bench:
    """A page flow with a fast engine, on a database and a folder of its own."""
    store, engine = FolderStore(tmp_path / "objects"), InstantEngine()
    tickets: list[Ticket] = []
    settings = Settings(
        quire_buckets=BUCKET,
        quire_ticket_seconds=600,
        quire_lease_pages=4,
        quire_document_parallelism=3,
        quire_runtime_dir=tmp_path / "run",
    )
    flow = PageFlow(settings, database, store, lambda: engine, tickets.append, lambda: True, lambda: False)
    return Bench(flow, database, store, engine, tickets)

"""The API and a worker as processes, with everything that can be observed switched on."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from quire.database import migrate
from quire.database.engine import connect, transaction
from quire.embedded import ChildProcess, EmbeddedPostgres, EmbeddedRedis
from quire.embedded.processes import free_port
from quire.keys import create_key
from quire.settings import Settings
from tests.chaos.fake_engine import PAGE_MILLISECONDS
from tests.llm_server import KEY, llm_server
from tests.operating.collector import Collector

ROOT = Path(__file__).parents[2]
# Part of the database's URL: it must turn up nowhere.
PASSWORD = "correct-horse-battery"
DEFAULT_QUEUE, OCR_QUEUE = "operating-default", "operating-ocr"


@dataclass
class System:
    """What runs, where it answers, and what it writes."""

    url: str
    metrics_url: str
    env: dict[str, str]
    folder: Path
    key: str
    collector: Collector
    api: ChildProcess
    worker: ChildProcess

    def settings(self) -> Settings:
        """What the processes see."""
        return Settings.model_validate({name.lower(): value for name, value in self.env.items()})

    def get(self, path: str) -> httpx.Response:
        """What the API answers whoever has a key."""
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def upload(self, content: bytes, **headers: str) -> str:
        """The id of a new document."""
        files = {"file": ("sample.pdf", content)}
        headers |= {"Authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.url}/api/v1/ocr/process", files=files, headers=headers, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def wait_until_read(self, document_id: str) -> None:
        def ended() -> bool:
            status = self.get(f"/api/v1/ocr/results/{document_id}").json()["status"]
            assert status != "FAILURE"
            return bool(status == "SUCCESS")

        wait_until(ended)

    def logs(self) -> str:
        return "".join(process.log.read_text(encoding="utf-8") for process in (self.api, self.worker))


def clean_environment() -> dict[str, str]:
    foreign = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL", "QUIRE_", "PADDLEOCR_", "OTEL_", "PROMETHEUS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def system(
    redis_server: EmbeddedRedis, postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """One API and one worker of both queues with an engine that costs nothing; shared by all tests of this folder."""
    folder = tmp_path_factory.mktemp("system")
    name = f"operating_{uuid.uuid4().hex}"
    database_url = postgres_server.create_database(name)
    url = Settings(database_url=database_url).sqlalchemy_url
    assert url is not None
    engine = connect(url)
    migrate.upgrade(engine)
    with transaction(engine) as session:
        _, key = create_key(session, name="tests", owner="tests", scopes=["admin"])
    engine.dispose()
    port, metrics_port = free_port(), free_port()
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        model = stack.enter_context(llm_server())
        env = clean_environment() | {
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis_server.url,
            "DATABASE_URL": database_url,
            # Two queues of their own: other tests use the same Redis.
            "CELERY_DEFAULT_QUEUE": DEFAULT_QUEUE,
            "CELERY_OCR_QUEUE": OCR_QUEUE,
            "QUIRE_OBJECT_DIR": str(folder / "objects"),
            "QUIRE_RUNTIME_DIR": str(folder / "run"),
            "QUIRE_LOG_FORMAT": "json",
            "QUIRE_REUSE_PAGES": "false",
            "S3_SECRET_ACCESS_KEY": PASSWORD,
        }
        watched = env | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        serve = [sys.executable, "-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(port)]
        api = ChildProcess(serve, log=folder / "api.log", env=watched, cwd=ROOT / "apps" / "api")
        stack.callback(api.stop)
        work = [sys.executable, "-m", "celery", "-A", "tests.chaos.fake_app.celery_app", "worker", "-l", "info"]
        worker = ChildProcess(
            [*work, "-Q", f"{DEFAULT_QUEUE},{OCR_QUEUE}", "-c", "1"],
            log=folder / "worker.log",
            # A page takes long enough to be seen at work.
            env=watched
            | {"QUIRE_METRICS_PORT": str(metrics_port), PAGE_MILLISECONDS: "50"}
            | {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": model.url},
            cwd=ROOT / "apps" / "worker",
        )
        stack.callback(worker.stop)
        found = System(
            f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}", env, folder, key, collector, api, worker
        )
        wait_until(lambda: _is_ready(found), 90)
        yield found
    postgres_server.drop_database(name)


def _is_ready(system: System) -> bool:
    for process in (system.api, system.worker):
        assert process.exit_status is None, process.last_lines(40)
    try:
        answers = httpx.get(f"{system.url}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
    return answers and " ready." in system.worker.log.read_text(encoding="utf-8")

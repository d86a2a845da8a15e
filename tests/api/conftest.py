"""Two API processes on one database, one Redis, one folder: what runs behind a load balancer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine

from flow.page_flow import PageFlow
from quire import keys
from quire.database import migrate
from quire.database.engine import connect, transaction
from quire.database.turns import Ticket
from quire.embedded import ChildProcess, EmbeddedPostgres, EmbeddedRedis
from quire.embedded.processes import free_port
from quire.settings import Settings
from quire.storage import FolderStore
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench

API = Path(__file__).parents[2] / "apps" / "api"
_FOREIGN = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL", "QUIRE_", "PADDLEOCR_")


@dataclass
class Replicas:
    """API processes that know nothing of each other."""

    folder: Path
    database_url: str
    redis: EmbeddedRedis
    processes: list[ChildProcess] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a replica is told, and nothing of the shell's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return inherited | {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis.url,
            "QUIRE_OBJECT_DIR": str(self.folder / "objects"),
            "QUIRE_RUNTIME_DIR": str(self.folder / "run"),
            "QUIRE_BUCKETS": BUCKET,
            "QUIRE_AUTH": "off",
        }

    def add(self) -> str:
        """Start one more; its URL, which may not answer yet."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
        log = self.folder / f"api-{port}.log"
        self.processes.append(ChildProcess(command, log=log, env=self.environment, cwd=API))
        self.urls.append(f"http://127.0.0.1:{port}")
        return self.urls[-1]

    def wait_until_ready(self) -> None:
        for url, process in zip(self.urls, self.processes, strict=True):
            wait_until_ready(url, process)

    def stop(self) -> None:
        with ThreadPoolExecutor(len(self.processes) or 1) as stoppers:
            list(stoppers.map(ChildProcess.stop, self.processes))


def wait_until_ready(url: str, process: ChildProcess, path: str = "/health") -> None:
    """Wait until a process answers 200 there; fail with its log when it ends before that."""
    deadline = time.monotonic() + 60
    while not _answers(f"{url}{path}"):
        assert process.exit_status is None, process.last_lines(40)
        assert time.monotonic() < deadline, process.last_lines(40)
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def replicas(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Two replicas that answer."""
    folder = tmp_path_factory.mktemp("replicas")
    url = postgres_server.create_database(folder.name)
    engine = connect(_with_driver(url))
    migrate.upgrade(engine)
    engine.dispose()
    running = Replicas(folder, url, redis_server)
    try:
        for _ in range(2):
            running.add()
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        postgres_server.drop_database(folder.name)


@pytest.fixture(scope="package")
def replicas_database(replicas: Replicas) -> Iterator[Engine]:
    """An engine on the replicas' database."""
    engine = connect(_with_driver(replicas.database_url), pool_size=20)
    yield engine
    engine.dispose()


@pytest.fixture
def replicas_bench(replicas: Replicas, replicas_database: Engine) -> Bench:
    """A page flow with a fast engine, as a worker beside the replicas."""
    store, engine = FolderStore(replicas.folder / "objects"), InstantEngine()
    tickets: list[Ticket] = []
    settings = Settings(quire_buckets=BUCKET, quire_ticket_seconds=600, quire_lease_pages=4, quire_reuse_pages=False)
    flow = PageFlow(settings, replicas_database, store, lambda: engine, tickets.append, lambda: True, lambda: False)
    return Bench(flow, replicas_database, store, engine, tickets)


def make_key(database: Engine, owner: str, *scopes: str, **limits: Any) -> tuple[UUID, dict[str, str]]:
    """A key's id, and the headers of who has it."""
    with transaction(database) as session:
        key, secret = keys.create_key(session, name="test", owner=owner, scopes=scopes or keys.USUAL_SCOPES, **limits)
        return key.id, {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="package")
def guarded(replicas: Replicas, replicas_database: Engine) -> Iterator[httpx.Client]:
    """A client without a key, of a replica that asks for keys."""
    make_key(replicas_database, "somebody")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
    env = replicas.environment | {"QUIRE_AUTH": "required"}
    url = f"http://127.0.0.1:{port}"
    with (
        ChildProcess(command, log=replicas.folder / "guarded.log", env=env, cwd=API) as process,
        httpx.Client(base_url=url, timeout=30) as opened,
    ):
        wait_until_ready(url, process)
        yield opened


@pytest.fixture
def client(replicas: Replicas) -> Iterator[httpx.Client]:
    """A client of the first replica."""
    with httpx.Client(base_url=replicas.urls[0], timeout=30) as opened:
        yield opened


@pytest.fixture
def other_client(replicas: Replicas) -> Iterator[httpx.Client]:
    """A client of the second replica."""
    with httpx.Client(base_url=replicas.urls[1], timeout=30) as opened:
        yield opened


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Ask until the answer is true; that answer. Fails after half a minute."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 30
        while not (answer := question()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return answer

    return ask


def _with_driver(url: str) -> str:
    converted = Settings(database_url=url).sqlalchemy_url
    assert converted is not None
    return converted

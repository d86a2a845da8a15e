"""The handler in a process of its own, started as RunPod starts it, with the stand-in for its platform."""

from __future__ import annotations

import io
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import Engine

from quire.database import migrate
from quire.database.engine import connect
from quire.embedded import ChildProcess, EmbeddedPostgres
from quire.settings import Settings
from quire.storage import FolderStore
from tests.chaos.serials import cells_image
from tests.pdfs import write_picture_pdf
from tests.serverless.standin import Platform

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "apps" / "worker"
BUCKET = "quire"
REAL = (sys.executable, "-u", "serverless_handler.py")
FAST = (sys.executable, "-u", "-m", "tests.serverless.fast_handler")

Start = Callable[..., ChildProcess]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform() as standin:
        yield standin


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the handlers of a module use: its objects and its log."""
    return tmp_path_factory.mktemp("serverless")


@pytest.fixture(scope="module")
def start(folder: Path, model_dir: Path) -> Iterator[Start]:
    """Starts a handler with only these variables; it ends with the module."""
    started: list[ChildProcess] = []

    def begin(command: Sequence[str], log: str, *arguments: str, **variables: str) -> ChildProcess:
        env = handler_environment(folder, model_dir) | variables
        process = ChildProcess([*command, *arguments], log=folder / log, env=env, cwd=WORKER)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.stop(grace_seconds=5)
        # Heartbeats have a process of their own, which in a container ends with the container.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def handler_environment(folder: Path, models: Path) -> dict[str, str]:
    foreign = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL", "QUIRE_", "PADDLEOCR_", "RUNPOD_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | {
        "QUIRE_OBJECT_DIR": str(folder / "objects"),
        "QUIRE_MODEL_DIR": str(models),
        "QUIRE_RUNTIME_DIR": str(folder / "run"),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, WORKER))),
        # The package reads ~/.runpod/config.toml before its variables.
        "HOME": str(folder),
    }


def put(folder: Path, key: str, content: bytes) -> str:
    FolderStore(folder / "objects").put(BUCKET, key, io.BytesIO(content))
    return key


def put_cells(folder: Path, key: str, serials: Sequence[int]) -> str:
    """A PDF that the fast handler can read: a page for each serial number."""
    path = write_picture_pdf(folder / "cells.pdf", map(cells_image, serials))
    return put(folder, key, path.read_bytes())


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def tables(postgres_server: EmbeddedPostgres) -> Iterator[tuple[str, Engine]]:
    """The URL of a database of this module's own, and an engine on it."""
    name = f"test_{uuid.uuid4().hex}"
    url = postgres_server.create_database(name)
    address = Settings(database_url=url).sqlalchemy_url
    assert address is not None
    engine = connect(address)
    migrate.upgrade(engine)
    yield url, engine
    engine.dispose()
    postgres_server.drop_database(name)

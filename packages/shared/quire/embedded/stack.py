"""The whole system on one machine: servers, API and workers as children of this process."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from quire.database import migrate
from quire.database.engine import connect
from quire.embedded.postgres import EmbeddedPostgres
from quire.embedded.processes import ChildProcess
from quire.embedded.redis import EmbeddedRedis
from quire.embedded.running import Running
from quire.errors import SettingsError
from quire.settings import Settings

_LEAST_FREE_BYTES: Final = 500 * 1024 * 1024
_OCR_NICENESS: Final = 10
_CHECKOUT: Final = Path(__file__).resolve().parents[4]


@dataclass
class Stack(Running):
    """Embedded Redis and Postgres, the API on `port`, a worker for each queue, their data below `home`.

    `env` overrides variables of the children; `worker_app` is the workers' Celery app, as `celery -A` takes it. Start
    with a `with` block; at its end the workers drain, then everything stops.
    """

    home: Path
    port: int
    ocr_processes: int = 1
    ocr_workers: int = 1
    beat: bool = True
    env: dict[str, str] = field(default_factory=dict)
    worker_app: str = "celery_app.celery_app"

    def __post_init__(self) -> None:
        self.home = self.home.absolute()
        self.redis = EmbeddedRedis(self.home / "redis")
        self.postgres = EmbeddedPostgres(self.home / "postgres")
        self.processes: list[ChildProcess] = []
        self._commands: dict[str, tuple[list[str], Path, int]] = {}
        self._kept_logs = 0
        self._exit = ExitStack()

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Settings:
        """The settings the children have."""
        return Settings.model_validate({name.lower(): value for name, value in self._quire_env().items()})

    def start(self) -> None:
        """Start everything and wait until the API answers and every worker is ready.

        Raises:
            SettingsError: something did not start; the message says what, and where its log is.
        """
        self._refuse_impossible()
        # What workers of an earlier start left behind that were killed.
        shutil.rmtree(self.home / "run", ignore_errors=True)
        try:
            self._start_servers()
            self._start_children()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _refuse_impossible(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                raise SettingsError(
                    f"Port {self.port} is taken. Stop what uses it, or choose another one: make run PORT=8001"
                ) from None
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The folder {self.home} cannot be made: {error.strerror}.") from None
        if shutil.disk_usage(self.home).free < _LEAST_FREE_BYTES:
            raise SettingsError(f"Less than 500 MB are free on the disk of {self.home}. Make room and start again.")
        if not (_CHECKOUT / "apps" / "worker" / "celery_app.py").is_file():
            raise SettingsError("`quire up` runs from a checkout of Quire: apps/worker was not found.")

    def _start_servers(self) -> None:
        for server in (self.redis, self.postgres):
            server.start()
            self._exit.callback(server.stop)
        url = self.settings.sqlalchemy_url
        assert url is not None
        engine = connect(url)
        try:
            migrate.upgrade(engine)
        finally:
            engine.dispose()

    def _start_children(self) -> None:
        worker, api = _CHECKOUT / "apps" / "worker", _CHECKOUT / "apps" / "api"
        for name in (f"ocr-{index + 1}" for index in range(self.ocr_workers)):
            command = self._worker_command(name, self.ocr_processes, queue="ocr")
            # On one machine reading would keep the API from answering: it takes every core that it can get.
            self._start(f"{name}-worker", command, worker, _OCR_NICENESS)
        beat = ["-B", "-s", str(self.home / "run" / "beat-schedule")] if self.beat else []
        self._start("default-worker", self._worker_command("default", 1, *beat), worker)
        serve = [sys.executable, "-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(self.port)]
        self._start("api", [*serve, "--no-access-log"], api)

    def _worker_command(self, name: str, processes: int, *more: str, queue: str = "default") -> list[str]:
        worker = ["-A", self.worker_app, "worker", "-Q", queue, "-c", str(processes), "-n", f"{name}@quire"]
        return [sys.executable, "-m", "celery", *worker, "-l", "info", "--without-gossip", "--without-mingle", *more]

    def _start(self, name: str, command: list[str], folder: Path, niceness: int = 0) -> ChildProcess:
        log = self.home / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        # Readiness is read off the log, so each start has one of its own.
        log.unlink(missing_ok=True)
        process = ChildProcess(command, log=log, env=self._child_env(), cwd=folder, niceness=niceness)
        self.processes.append(process)
        self._commands[name] = (command, folder, niceness)
        return process

    def start_again(self, ended: ChildProcess) -> ChildProcess:
        """Start a child that has ended once more, without waiting until it is ready. The log of its end is kept."""
        self.processes.remove(ended)
        self._kept_logs += 1
        ended.log = ended.log.rename(ended.log.with_name(f"{ended.name}-{self._kept_logs}.log"))
        return self._start(ended.name, *self._commands[ended.name])

    def _quire_env(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.redis.url,
            "DATABASE_URL": self.postgres.url,
            "QUIRE_OBJECT_DIR": str(self.home / "objects"),
            "QUIRE_MODEL_DIR": str(self.home / "models"),
            "QUIRE_RUNTIME_DIR": str(self.home / "run"),
            # It listens on the loopback interface only.
            "QUIRE_AUTH": "off",
        } | self.env

    def _child_env(self) -> dict[str, str]:
        (self.home / "run").mkdir(parents=True, exist_ok=True)
        # The embedded servers are meant, whatever else this shell points at.
        foreign = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return inherited | self._quire_env()

    def _wait_until_ready(self, timeout_seconds: float = 240) -> None:
        deadline = time.monotonic() + timeout_seconds
        for process in self.processes:
            while not self.is_ready(process):
                if process.exit_status is not None or time.monotonic() > deadline:
                    raise SettingsError(f"{process.name} did not start ({process.log}):\n{process.last_lines()}")
                time.sleep(0.05)

    def is_ready(self, process: ChildProcess) -> bool:
        """Whether a child has said, since it was started, that it can be used."""
        if process.name != "api":
            return " ready." in process.log.read_text(encoding="utf-8", errors="replace")
        try:
            return httpx.get(f"{self.api_url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def ended(self) -> ChildProcess | None:
        """A child that has ended although nobody asked it to, or None."""
        return next((process for process in self.processes if process.exit_status is not None), None)

    def stop(self) -> None:
        """Drain the workers, then stop everything."""
        with ThreadPoolExecutor(max(1, len(self.processes))) as stoppers:
            list(stoppers.map(lambda process: process.stop(grace_seconds=60), self.processes))
        self.processes.clear()
        self._exit.close()

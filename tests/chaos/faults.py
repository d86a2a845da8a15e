"""What each fault does to the running system, and how what it broke is started again."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final, Literal

import psutil
import redis

from quire.embedded import ChildProcess
from quire.embedded.stack import Stack
from tests.chaos.s3_proxy import S3Fault, S3Proxy
from tests.chaos.schedule import Fault

_REDIS_OUTAGE_SECONDS: Final = 1.0
_LONGEST_DRAIN_SECONDS: Final = 60.0
_UPLOADING_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Struck:
    """A fault that happened, to whom, and when by the clock (seconds since 1970)."""

    kind: str
    victim: str
    at: float


@dataclass
class Injector:
    """Breaks parts of a stack. Call `tend` often, from the thread that started the stack: it starts again what ended.

    Outages last `outage_seconds`, the first one of Postgres `long_outage_seconds`; `on_outage` hears of each that
    submitting should meet. `upload` is sent in half before the API is killed. `struck` are the faults so far, `notes`
    say what happened that nobody asked for.
    """

    stack: Stack
    proxy: S3Proxy
    upload: bytes
    suspend_seconds: float
    outage_seconds: float
    long_outage_seconds: float
    on_outage: Callable[[], None]
    struck: list[Struck] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _asked_to_end: set[int] = field(default_factory=set)
    _suspended: set[int] = field(default_factory=set)
    _redis_is_up: bool = True
    _postgres_is_up: bool = True
    _long_outage_is_due: bool = True

    @property
    def postgres_is_up(self) -> bool:
        """Whether Postgres answers, as far as what was done to it goes."""
        return self._postgres_is_up

    def strike(self, fault: Fault) -> Struck | None:
        """Let a fault happen; None if there is nobody to hit at the moment."""
        at = time.time()
        victim = self._acts[fault.kind](self, fault.lot)
        if victim is None:
            return None
        self.struck.append(Struck(fault.kind, victim, at))
        return self.struck[-1]

    def tend(self) -> None:
        """Do what is due, and start again every process that has ended."""
        due = [entry for entry in self._later if entry[0] <= time.monotonic()]
        self._later = [entry for entry in self._later if entry not in due]
        for _, act in due:
            act()
        for process in [process for process in self.stack.processes if process.exit_status is not None]:
            if process.pid not in self._asked_to_end:
                self.notes.append(f"{process.name} ended by itself ({process.exit_status}): {process.last_lines(1)}")
            self.stack.start_again(process)

    def calm(self) -> None:
        """Do at once what would be due later: nothing stays suspended or down."""
        while self._later:
            self._later.pop(0)[1]()
        self.tend()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _worker(self, lot: float, names: tuple[str, ...] = ("ocr", "default")) -> ChildProcess | None:
        """One of the workers that are ready, the reconciler's among them."""
        workers = [
            process
            for process in self.stack.processes
            if process.name.startswith(names)
            and process.exit_status is None
            and process.pid not in self._suspended | self._asked_to_end
            and self.stack.is_ready(process)
        ]
        workers.sort(key=lambda process: process.name)
        return workers[int(lot * len(workers))] if workers else None

    def _kill(self, lot: float, names: tuple[str, ...] = ("ocr", "default")) -> str | None:
        worker = self._worker(lot, names)
        if worker is None:
            return None
        self._asked_to_end.add(worker.pid)
        worker.kill()
        return worker.name

    def _kill_child(self, lot: float) -> str | None:
        """As when native code crashes: the worker stays, the process that reads pages does not."""
        # Not of the default worker, whose beat is a child as well and would not be replaced.
        worker = self._worker(lot, ("ocr",))
        children = psutil.Process(worker.pid).children() if worker else []
        if worker is None or not children:
            return None
        children[0].kill()
        return f"child of {worker.name}"

    def _drain(self, lot: float) -> str | None:
        worker = self._worker(lot)
        if worker is None:
            return None
        self._asked_to_end.add(worker.pid)
        os.kill(worker.pid, signal.SIGTERM)
        begun = time.monotonic()
        self._after(_LONGEST_DRAIN_SECONDS, lambda: self._end_drain(worker, begun))
        return worker.name

    def _end_drain(self, worker: ChildProcess, begun: float) -> None:
        if worker.exit_status is not None:
            return
        worker.stop(grace_seconds=_LONGEST_DRAIN_SECONDS)
        if time.monotonic() - begun > _LONGEST_DRAIN_SECONDS:
            self.notes.append(f"{worker.name} had not drained: {worker.last_lines(1)}")

    def _suspend(self, lot: float) -> str | None:
        worker = self._worker(lot)
        if worker is None:
            return None
        worker.suspend()
        self._suspended.add(worker.pid)
        self._after(self.suspend_seconds, lambda: self._resume(worker))
        return worker.name

    def _resume(self, worker: ChildProcess) -> None:
        self._suspended.discard(worker.pid)
        worker.resume()

    def _restart_redis(self, lot: float) -> str | None:
        """Half of the time it may finish what it is doing; half of the time it is killed."""
        if not self._redis_is_up:
            return None
        self._redis_is_up = False
        is_killed = lot < 0.5
        (self.stack.redis.kill if is_killed else self.stack.redis.stop)()
        self._after(_REDIS_OUTAGE_SECONDS, self._start_redis)
        return "killed" if is_killed else "stopped"

    def _start_redis(self) -> None:
        self.stack.redis.start()
        self._redis_is_up = True

    def _flush_redis(self, lot: float) -> str | None:
        if not self._redis_is_up:
            return None
        with redis.Redis.from_url(self.stack.redis.url) as client:
            client.flushall()
        return "emptied"

    def _restart_postgres(self, lot: float, mode: Literal["fast", "immediate"]) -> str | None:
        if not self._postgres_is_up:
            return None
        self.stack.postgres.restart(mode)
        return mode

    def _take_postgres_away(self, lot: float) -> str | None:
        """The first time for long; half of the time as if it had crashed."""
        if not self._postgres_is_up:
            return None
        mode: Literal["fast", "immediate"] = "immediate" if lot < 0.5 else "fast"
        self.stack.postgres.shut_down(mode)
        seconds = self.long_outage_seconds if self._long_outage_is_due else self.outage_seconds
        self._long_outage_is_due = False
        self._postgres_returns_after(seconds, self.stack.postgres.bring_up)
        return f"{mode}, {seconds:g} s"

    def _silence_postgres(self, lot: float) -> str | None:
        """Every process of it halts: connections stay open, and nothing is answered."""
        if not self._postgres_is_up:
            return None
        self.stack.postgres.suspend()
        self._postgres_returns_after(self.outage_seconds, self.stack.postgres.resume)
        return "halted"

    def _postgres_returns_after(self, seconds: float, bring_back: Callable[[], None]) -> None:
        def act() -> None:
            bring_back()
            self._postgres_is_up = True

        self._postgres_is_up = False
        self._after(seconds, act)
        self.on_outage()

    def _break_s3(self, lot: float, fault: S3Fault) -> str | None:
        if self.proxy.fault is not None:
            return None
        self.proxy.fault = fault
        self._after(self.outage_seconds, self._mend_s3)
        self.on_outage()
        return fault

    def _mend_s3(self) -> None:
        self.proxy.fault = None

    def _api(self) -> ChildProcess | None:
        return next((one for one in self.stack.processes if one.name == "api" and one.exit_status is None), None)

    def _kill_api(self, lot: float) -> str | None:
        api = self._api()
        if api is None:
            return None
        self._asked_to_end.add(api.pid)
        api.kill()
        self.on_outage()
        return api.name

    def _kill_api_in_an_upload(self, lot: float) -> str | None:
        """Half of an upload has been sent: nothing of it may be left."""
        try:
            with socket.create_connection(("127.0.0.1", self.stack.port), timeout=5) as connection:
                connection.sendall(_head_of_upload(len(self.upload)) + self.upload[: len(self.upload) // 2])
                # So that it is being read.
                time.sleep(_UPLOADING_SECONDS)
                victim = self._kill_api(lot)
        except OSError:
            # It is still starting.
            return None
        return victim and f"{victim}, within an upload"

    _acts: ClassVar[dict[str, Callable[[Injector, float], str | None]]] = {
        "kill": _kill,
        "kill-child": _kill_child,
        "drain": _drain,
        "suspend": _suspend,
        "redis-restart": _restart_redis,
        "redis-flush": _flush_redis,
        "postgres-fast": partial(_restart_postgres, mode="fast"),
        "postgres-immediate": partial(_restart_postgres, mode="immediate"),
        "postgres-away": _take_postgres_away,
        "postgres-silent": _silence_postgres,
        "s3-error": partial(_break_s3, fault="error"),
        "s3-slow-down": partial(_break_s3, fault="slow-down"),
        "s3-truncated": partial(_break_s3, fault="truncated"),
        "s3-reset": partial(_break_s3, fault="reset"),
        "s3-silent": partial(_break_s3, fault="silent"),
        "kill-default": partial(_kill, names=("default",)),
        "kill-api": _kill_api,
        "kill-api-upload": _kill_api_in_an_upload,
    }


def _head_of_upload(size: int) -> bytes:
    """An HTTP request up to the bytes of the file, which has `size` of them."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="half.pdf"\r\n\r\n'
    length = len(part) + size + len(b"\r\n--b--\r\n")
    request = (
        f"POST /api/v1/ocr/process HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    return request.encode() + part

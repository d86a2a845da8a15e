"""What each fault does to the running system, and how what it broke is started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

import psutil
import redis

from quire.embedded import ChildProcess
from quire.embedded.stack import Stack
from tests.chaos.schedule import Fault

_REDIS_OUTAGE_SECONDS: Final = 1.0
_LONGEST_DRAIN_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Struck:
    """A fault that happened, to whom, and when by the clock (seconds since 1970)."""

    kind: str
    victim: str
    at: float


@dataclass
class Injector:
    """Breaks parts of a stack. Call `tend` often, from the thread that started the stack: it starts again what ended.

    `struck` are the faults so far, `notes` say what happened that nobody asked for.
    """

    stack: Stack
    suspend_seconds: float
    struck: list[Struck] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _asked_to_end: set[int] = field(default_factory=set)
    _suspended: set[int] = field(default_factory=set)
    _redis_is_up: bool = True

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

    def _kill(self, lot: float) -> str | None:
        worker = self._worker(lot)
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
        self._after(_LONGEST_DRAIN_SECONDS, lambda: self._end_drain(worker))
        return worker.name

    def _end_drain(self, worker: ChildProcess) -> None:
        if worker.exit_status is None:
            worker.stop(grace_seconds=_LONGEST_DRAIN_SECONDS)
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

    def _restart_postgres_fast(self, lot: float) -> str:
        self.stack.postgres.restart("fast")
        return "fast"

    def _restart_postgres_immediate(self, lot: float) -> str:
        self.stack.postgres.restart("immediate")
        return "immediate"

    _acts: ClassVar[dict[str, Callable[[Injector, float], str | None]]] = {
        "kill": _kill,
        "kill-child": _kill_child,
        "drain": _drain,
        "suspend": _suspend,
        "redis-restart": _restart_redis,
        "redis-flush": _flush_redis,
        "postgres-fast": _restart_postgres_fast,
        "postgres-immediate": _restart_postgres_immediate,
    }

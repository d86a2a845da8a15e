"""A rented pod ends itself where nobody else does: whoever rented it may be gone, and it is paid for by the hour.

It does so when it has had no task, or no broker, for `QUIRE_POD_IDLE_SECONDS`, and at the age of
`QUIRE_POD_LIFETIME_SECONDS`; first it drains. The guard is a thread of the worker, from before it loads its engine.
What it knows of the time is in files: a worker that ends is started again by the platform, and no younger for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import redis
from celery import Celery, bootsteps

from quire.settings import Settings, get_settings
from runtime import retire

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
_BROKER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds. `grace`: from the pod's start, while its worker loads its engine. `lifetime`: None for no limit."""

    idle: float
    grace: float
    lifetime: float | None


@dataclass(frozen=True, slots=True)
class PodAge:
    """In seconds: since the pod began, since it last had a task, since its broker answered. `busy`: it has a task."""

    age: float
    idle: float
    silent: float
    busy: bool


def why_to_end(pod: PodAge, limits: Limits) -> str | None:
    """Why the pod shall end now; None if it shall not."""
    if limits.lifetime is not None and pod.age >= limits.lifetime:
        return "it is as old as QUIRE_POD_LIFETIME_SECONDS"
    if not limits.idle or pod.busy or pod.age < limits.grace:
        return None
    if pod.silent >= limits.idle:
        return "it has not reached its broker for QUIRE_POD_IDLE_SECONDS"
    if pod.idle >= limits.idle:
        return "it has had no task for QUIRE_POD_IDLE_SECONDS"
    return None


def install(app: Celery) -> None:
    """Guard workers of this app that run on a pod."""
    app.steps["worker"].add(PodGuard)


class PodGuard(bootsteps.StartStopStep):  # type: ignore[misc]
    """Watches from a thread, on a pod that can end itself."""

    # After the pool: its processes are forked from one that has no threads yet.
    requires = ("celery.worker.components:Pool",)

    def include_if(self, worker: Any) -> bool:
        """Only on a pod, and where there is a limit."""
        settings = get_settings()
        has_limit = settings.quire_pod_idle_seconds > 0 or settings.quire_pod_lifetime_seconds is not None
        return settings.runpod_pod_id is not None and has_limit

    def start(self, worker: Any) -> None:
        """Begin."""
        settings = get_settings()
        if settings.runpod_api_key is None:
            logger.warning("this pod cannot end itself: RUNPOD_API_KEY is not set")
            return
        assert settings.runpod_pod_id is not None
        # Here: only pods speak to the platform.
        from runtime.own_pod import OwnPod

        own = OwnPod(settings.runpod_api_base_url, settings.runpod_pod_id, settings.runpod_api_key)
        guard = _Guard(worker, settings, own.end)
        threading.Thread(target=guard.watch, name="pod-guard", daemon=True).start()


class _Guard:
    def __init__(self, worker: Any, settings: Settings, end_pod: Callable[[], None]) -> None:
        self._worker, self._end_pod = worker, end_pod
        idle, lifetime = settings.quire_pod_idle_seconds, settings.quire_pod_lifetime_seconds
        self._limits = Limits(idle, settings.quire_warm_up_seconds, lifetime)
        self._drain_seconds = settings.quire_drain_seconds
        self._pause = min(_LOOK_SECONDS, (idle or lifetime or _LOOK_SECONDS) / 4)
        folder = settings.quire_runtime_dir.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        name = quote(settings.runpod_pod_id or "", safe="")
        self._start = Moment(folder / f"pod-{name}.started")
        self._work = Moment(folder / f"pod-{name}.worked")
        self._answer, self._taken = time.monotonic(), 0
        self._redis = redis.Redis.from_url(
            settings.broker_url, socket_timeout=_BROKER_SECONDS, socket_connect_timeout=_BROKER_SECONDS
        )

    def watch(self) -> None:
        while (reason := why_to_end(self._look(), self._limits)) is None:
            time.sleep(self._pause)
        logger.critical("this pod ends because %s", reason)
        self._drain()
        self._end_pod()

    def _look(self) -> PodAge:
        # Before the broker is asked, which takes its time.
        busy, taken = retire.holds_tasks(), retire.tasks_taken()
        if busy or taken != self._taken:
            self._work.set_to_now()
            self._taken = taken
        try:
            self._redis.ping()
            self._answer = time.monotonic()
        except redis.RedisError:
            pass
        return PodAge(self._start.seconds_ago(), self._work.seconds_ago(), time.monotonic() - self._answer, busy)

    def _drain(self) -> None:
        """Until the worker holds nothing, or has had the time that a worker has to stop."""
        deadline = time.monotonic() + self._drain_seconds
        while time.monotonic() < deadline:
            retire.take_no_more(self._worker)
            time.sleep(min(1.0, self._pause))
            if not retire.holds_tasks():
                return


class Moment:
    """A moment that outlives the process, as the time of a file; when the file is made, at first.

    Workers of the same pod share it: what one sets, the others see.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        if not file.exists():
            file.touch()
        self._stamp: float | None = None
        self._since = 0.0

    def set_to_now(self) -> None:
        """It is now."""
        self._file.touch()

    def seconds_ago(self) -> float:
        """How long ago it is."""
        stamp = self._file.stat().st_mtime
        if stamp != self._stamp:
            self._stamp = stamp
            # Counted from here: the clock of the machine may be set meanwhile.
            self._since = time.monotonic() - max(0.0, time.time() - stamp)
        return time.monotonic() - self._since

"""A client of one RunPod serverless endpoint: run, status, cancel, health.

Everything but `run` may be asked twice, and is. Where the answer to `run` is lost a job may have been made that nobody
knows the id of: that is an error of its own, and whoever called decides what a second job would cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from pydantic import SecretStr

from quire.burst.runpod_http import RunpodHttp, json_object, number_of
from quire.errors import RunpodUncertain, RunpodUnreachable, SettingsError
from quire.settings import Settings


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What RunPod says of a job.

    Attributes:
        status: IN_QUEUE, IN_PROGRESS, RUNNING, COMPLETED, FAILED, CANCELLED or TIMED_OUT.
        output: what the handler returned, without its `error`.
        error: the handler's `error`, or the platform's.
        execution_seconds: how long it has been worked on, where that is known.
    """

    status: str
    output: Any = None
    error: str | None = None
    execution_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How busy an endpoint is. `workers` are those that have started."""

    jobs_in_queue: int
    jobs_in_progress: int
    workers: int


class RunpodEndpoint:
    """One endpoint.

    What every method raises, besides what it says itself: `RunpodKeyRejected`, where the key is not taken;
    `RunpodRefused`, where the same request will never be answered otherwise; `RunpodUnreachable`, where there was no
    answer, or "later", each time, and nothing was done.
    """

    def __init__(self, url: str, key: SecretStr, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._http = RunpodHttp(url, key, pause=pause)

    @classmethod
    def from_settings(cls, settings: Settings) -> RunpodEndpoint:
        """The endpoint of `RUNPOD_ENDPOINT_ID`.

        Raises:
            SettingsError: a variable is missing.
        """
        if settings.runpod_api_key is None or settings.runpod_endpoint_id is None:
            raise SettingsError("QUIRE_BURST=serverless needs RUNPOD_API_KEY and RUNPOD_ENDPOINT_ID.")
        base = settings.runpod_endpoint_base_url.rstrip("/")
        return cls(f"{base}/{settings.runpod_endpoint_id}", settings.runpod_api_key)

    def __enter__(self) -> RunpodEndpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def run(self, job: Mapping[str, Any], *, execution_seconds: float, ttl_seconds: float) -> str:
        """Queue a job; its id. It ends after so many seconds of work, and is deleted so many seconds from now.

        Raises:
            RunpodUncertain: it was sent, and it is not known whether there is a job now.
        """
        policy = {"executionTimeout": _milliseconds(execution_seconds), "ttl": _milliseconds(ttl_seconds)}
        answer = self._ask("POST", "run", {"input": job, "policy": policy}, twice=False)
        made = json_object(answer).get("id") if answer is not None else None
        if not isinstance(made, str) or not made:
            raise RunpodUncertain("RunPod took a job and did not say which.")
        return made

    def status(self, job_id: str) -> JobStatus | None:
        """How far a job is; None where RunPod knows none with this id (any more)."""
        answer = self._ask("GET", f"status/{job_id}", missing_is_none=True)
        if answer is None:
            return None
        said = json_object(answer)
        status, error, milliseconds = said.get("status"), said.get("error"), number_of(said.get("executionTime"))
        if not isinstance(status, str):
            raise RunpodUnreachable("RunPod did not say how far a job is. It is tried again.")
        return JobStatus(
            status=status,
            output=said.get("output"),
            error=None if error is None else str(error),
            execution_seconds=None if milliseconds is None else milliseconds / 1000,
        )

    def cancel(self, job_id: str) -> bool:
        """Stop a job, or take it out of the queue; False where RunPod knows none with this id (any more)."""
        return self._ask("POST", f"cancel/{job_id}", missing_is_none=True) is not None

    def health(self) -> Health:
        """How many jobs and workers there are."""
        said = json_object(self._ask("GET", "health"))
        jobs, workers = said.get("jobs"), said.get("workers")
        if not isinstance(jobs, dict):
            # No counts are not counts of nothing.
            raise RunpodUnreachable("RunPod did not say how many jobs there are. It is tried again.")
        return Health(
            jobs_in_queue=_count(jobs, "inQueue"),
            jobs_in_progress=_count(jobs, "inProgress"),
            workers=sum(_count(workers, name) for name in ("idle", "ready", "running")),
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        twice: bool = True,
        missing_is_none: bool = False,
    ) -> httpx.Response | None:
        """As `RunpodHttp.ask`; the first part of the path says what is asked for."""
        what = path.partition("/")[0]
        return self._http.ask(method, path, body, what=what, twice=twice, missing_is_none=missing_is_none)


def _count(said: Any, name: str) -> int:
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, int) else 0


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

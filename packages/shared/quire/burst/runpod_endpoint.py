"""A client of one RunPod serverless endpoint: run, status, cancel, health.

Everything but `run` may be asked twice, and is. Where the answer to `run` is lost a job may have been made that nobody
knows the id of: that is an error of its own, and whoever called decides what a second job would cost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import httpx
from pydantic import SecretStr

from quire.errors import RunpodKeyRejected, RunpodRefused, RunpodUncertain, RunpodUnreachable, SettingsError
from quire.settings import Settings

_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 8.0
_CONNECT_SECONDS: Final = 5.0
# RunPod answers within a second; a result may have 10 MB.
_ANSWER_SECONDS: Final = 15.0

_REJECTED: Final = (401, 403)
# The platform says that it did not do it. What a gateway says (502, 504, 52x) tells nothing about what is behind it.
_NOT_DONE: Final = (429, 500, 503)


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
        self._pause = pause
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            # The key goes to nobody else.
            follow_redirects=False,
        )

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
        self._client.close()

    def run(self, job: Mapping[str, Any], *, execution_seconds: float, ttl_seconds: float) -> str:
        """Queue a job; its id. It ends after so many seconds of work, and is deleted so many seconds from now.

        Raises:
            RunpodUncertain: it was sent, and it is not known whether there is a job now.
        """
        policy = {"executionTimeout": _milliseconds(execution_seconds), "ttl": _milliseconds(ttl_seconds)}
        answer = self._ask("POST", "run", {"input": job, "policy": policy}, twice=False)
        made = _object(answer).get("id") if answer is not None else None
        if not isinstance(made, str) or not made:
            raise RunpodUncertain("RunPod took a job and did not say which.")
        return made

    def status(self, job_id: str) -> JobStatus | None:
        """How far a job is; None where RunPod knows none with this id (any more)."""
        answer = self._ask("GET", f"status/{job_id}", missing_is_none=True)
        if answer is None:
            return None
        said = _object(answer)
        error, milliseconds = said.get("error"), said.get("executionTime")
        return JobStatus(
            status=str(said.get("status")),
            output=said.get("output"),
            error=None if error is None else str(error),
            execution_seconds=milliseconds / 1000 if isinstance(milliseconds, int | float) else None,
        )

    def cancel(self, job_id: str) -> bool:
        """Stop a job, or take it out of the queue; False where RunPod knows none with this id (any more)."""
        return self._ask("POST", f"cancel/{job_id}", missing_is_none=True) is not None

    def health(self) -> Health:
        """How many jobs and workers there are."""
        said = _object(self._ask("GET", "health"))
        jobs, workers = said.get("jobs"), said.get("workers")
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
        """An answer with a status of 2xx; None for 404 where `missing_is_none`. `twice`: asking again does no harm."""
        what = path.partition("/")[0]
        why = ""
        for attempt in range(_ATTEMPTS):
            wait = 0.0
            try:
                answer = self._client.request(method, path, json=body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                why = type(error).__name__
            except httpx.TransportError as error:
                why = type(error).__name__
                if not twice:
                    raise RunpodUncertain(f"RunPod's answer to {what} was lost ({why}).") from None
            else:
                if answer.is_success:
                    return answer
                if answer.status_code == httpx.codes.NOT_FOUND and missing_is_none:
                    return None
                self._refuse(what, answer, twice)
                why, wait = f"HTTP status {answer.status_code}", _retry_after(answer)
            if attempt + 1 == _ATTEMPTS or wait > _LONGEST_PAUSE_SECONDS:
                break
            self._pause(max(wait, _jittered(attempt)))
        raise RunpodUnreachable(f"RunPod did not answer {what} ({why}). It is tried again.")

    def _refuse(self, what: str, answer: httpx.Response, twice: bool) -> None:
        """Raise for an answer that asking again does not change; return where it may."""
        code = answer.status_code
        if code in _REJECTED:
            raise RunpodKeyRejected(f"RunPod does not take the key for {what} (HTTP status {code}): RUNPOD_API_KEY.")
        if code in _NOT_DONE or (code >= 500 and twice):
            return
        if code >= 500:
            raise RunpodUncertain(f"RunPod's answer to {what} was lost (HTTP status {code}).")
        # Nothing of what it says: that may repeat what it was sent.
        raise RunpodRefused(f"RunPod refused {what} (HTTP status {code}). Check RUNPOD_ENDPOINT_ID and the account.")


def _object(answer: httpx.Response | None) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where it has none."""
    try:
        said = answer.json() if answer is not None else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _count(said: Any, name: str) -> int:
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, int) else 0


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _retry_after(answer: httpx.Response) -> float:
    """The seconds that the platform asks for; 0 where it asks for none."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _jittered(attempt: int) -> float:
    ceiling = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
    return random.uniform(ceiling / 2, ceiling)

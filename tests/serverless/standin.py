"""A stand-in for RunPod's platform on the loopback interface, as far as the worker loop of `runpod` 1.12 talks to it.

It hands jobs out by long poll, one or several at a time, says which to stop, takes results and heartbeats. Answers to
`job-done` can be made to fail, or to be none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

KEY: Final = "rp-key-3f2c91"
WORKER: Final = "worker-1"
_PREFIX: Final = "/v2/ep1"


@dataclass
class Platform:
    """What was asked for, and what came back. Every attribute is guarded by `changed`.

    Attributes:
        poll_seconds: how long a request for a job is held open; on the real platform 90 s.
        waiting: jobs that nobody has taken.
        taken: ids of jobs, in the order in which they were taken.
        results: what was posted for a job, each time that was answered with 200.
        refused: job-done requests that were answered with 500.
        fail: how many of the next job-done requests are to be.
        drop: how many of them get no answer: the connection is closed.
        pings: the `job_id` of each heartbeat, and `status` with `reason` of a worker that is unfit.
    """

    poll_seconds: float = 0.5
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    to_stop: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused: int = 0
    fail: int = 0
    drop: int = 0
    polls: int = 0
    unauthorized: int = 0
    pings: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Request)
        self._server.platform = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What the platform sets in the container of a worker."""
        base = f"http://127.0.0.1:{self._server.server_port}{_PREFIX}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=L4",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=L4",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=L4",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=L4",
            "RUNPOD_PING_INTERVAL": "1000",
            "RUNPOD_AI_API_KEY": KEY,
            "RUNPOD_POD_ID": WORKER,
            # They connect to a public address.
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    def send(self, job_id: str, given: Any) -> None:
        """Queue a job with this input."""
        with self.changed:
            self.waiting.append({"id": job_id, "input": given, "webhook": None})
            self.changed.notify_all()

    def stop(self, job_id: str) -> None:
        """Have the worker stop a job, as for one that is cancelled or takes too long."""
        with self.changed:
            self.to_stop.append(job_id)
            self.changed.notify_all()

    def until(self, what: Callable[[], bool], seconds: float = 30) -> bool:
        """Wait until something is true of this stand-in; whether it is."""
        with self.changed:
            return self.changed.wait_for(what, seconds)

    def result(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        """What was posted for a job, the first time."""
        assert self.until(lambda: job_id in self.results, seconds), f"no result of {job_id}"
        return self.results[job_id][0]

    def _take(self, most: int) -> list[dict[str, Any]]:
        with self.changed:
            self.polls += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.waiting, self.poll_seconds)
            jobs, self.waiting[:most] = self.waiting[:most], []
            self.taken += [job["id"] for job in jobs]
            self.changed.notify_all()
            return jobs

    def _stops(self) -> list[str]:
        with self.changed:
            self.changed.wait_for(lambda: self.to_stop, self.poll_seconds)
            found, self.to_stop = self.to_stop, []
            return found

    def _done(self, job_id: str, body: dict[str, Any]) -> int | None:
        with self.changed:
            if self.drop:
                self.drop -= 1
                return None
            if self.fail:
                self.fail -= 1
                self.refused += 1
                return 500
            self.results.setdefault(job_id, []).append(body)
            self.changed.notify_all()
            return 200

    def _ping(self, query: Mapping[str, list[str]]) -> None:
        with self.changed:
            self.pings.append({name: values[0] for name, values in query.items()})
            self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    platform: Platform

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Workers end in the middle of a long poll."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        platform, parts = self.server.platform, urlsplit(self.path)
        query = parse_qs(parts.query)
        action = parts.path.removeprefix(f"{_PREFIX}/").partition("/")[0]
        if self.headers.get("Authorization") != KEY:
            platform.unauthorized += 1
            time.sleep(platform.poll_seconds)
            return self._answer(401)
        if action == "job-take":
            jobs = platform._take(1)
            return self._answer(200, jobs[0]) if jobs else self._answer(204)
        if action == "job-take-batch":
            jobs = platform._take(int(query["batch_size"][0]))
            return self._answer(200, jobs) if jobs else self._answer(204)
        if action == "job-stop":
            stops = platform._stops()
            return self._answer(200, {"jobsToStop": stops}) if stops else self._answer(204)
        if action == "ping":
            platform._ping(query)
            return self._answer(200, {})
        return self._answer(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])), parse_constant=_refuse)
        action, _worker, job_id = urlsplit(self.path).path.removeprefix(f"{_PREFIX}/").split("/", 2)
        if self.headers.get("Authorization") != KEY or action != "job-done":
            return self._answer(404)
        status = self.server.platform._done(job_id, body)
        if status is None:
            self.close_connection = True
            return None
        return self._answer(status, {})

    def _answer(self, status: int, body: Any = None) -> None:
        encoded = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_request(self, *_: Any) -> None:
        """No line for each."""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")

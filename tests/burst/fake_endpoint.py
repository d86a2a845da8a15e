"""A serverless endpoint on this machine: RunPod's requests and answers, jobs that really run, and every way to fail.

Time is the test's: `now` moves when the test says so, and queued jobs run when it calls `work`.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Handler = Callable[[dict[str, Any], str], dict[str, Any]]
# What becomes of a job that somebody begins: it runs; its worker dies before or after the work; it runs out of time;
# the platform forgets it before or after the work; its result gets lost on the way.
Fate = Literal["runs", "dies_first", "dies_last", "times_out", "forgotten_first", "forgotten_last", "no_output"]
# What becomes of a request: it is answered; it is refused, with or without being done; its answer is lost.
Fault = Literal["500", "503", "429", "502 done", "lost", "lost done"]

KEY = "key-of-the-endpoint"


@dataclass
class Job:
    """A job as the platform knows it. Times are seconds of the endpoint's clock."""

    id: str
    input: dict[str, Any]
    policy: dict[str, Any]
    created: float
    status: str = "IN_QUEUE"
    output: Any = None
    error: str | None = None
    execution: float | None = None


@dataclass
class FakeEndpoint:
    """The endpoint `ep1`. `handler` is what its workers run; `seconds` is what a job takes."""

    handler: Handler
    random: random.Random = field(default_factory=lambda: random.Random(0))
    now: float = 1_000_000_000.0
    seconds: float = 10.0
    fault: Callable[[str], Fault | None] = lambda _: None
    url: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    seconds_billed: float = 0.0
    _made: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def open_jobs(self) -> list[Job]:
        """Jobs in the queue and at work."""
        return [job for job in self.jobs.values() if job.status in ("IN_QUEUE", "IN_PROGRESS")]

    def work(self, most: int = 1, fate: Callable[[], Fate] = lambda: "runs") -> None:
        """Let workers take up to `most` jobs of the queue, one after the other, and do what `fate` says."""
        for _ in range(most):
            job = self.begin()
            if job is None:
                return
            self.finish(job, fate())

    def begin(self) -> Job | None:
        """Let a worker take the first job of the queue."""
        with self._lock:
            self.advance(0)
            job = next((job for job in self.jobs.values() if job.status == "IN_QUEUE"), None)
            if job is not None:
                job.status = "IN_PROGRESS"
            return job

    def finish(self, job: Job, fate: Fate = "runs") -> None:
        """Do a job that was begun, and let it end as `fate` says, unless it was cancelled meanwhile."""
        answer = {} if fate.endswith("_first") or fate == "times_out" else self.handler(dict(job.input), job.id)
        with self._lock:
            job.execution = self.seconds if fate != "times_out" else job.policy["executionTimeout"] / 1000
            self.seconds_billed += job.execution
            if job.status != "IN_PROGRESS":
                return
            if fate.startswith("forgotten"):
                self.jobs.pop(job.id, None)
            elif fate == "times_out":
                job.status = "TIMED_OUT"
            elif fate.startswith("dies"):
                job.status, job.error = "FAILED", "job timed out after 1 retries"
            elif fate == "no_output":
                job.status = "COMPLETED"
            else:
                # As the platform does it: a truthy `error` makes a job fail, and moves out of its output.
                job.error = answer.pop("error", None)
                job.status, job.output = "FAILED" if job.error else "COMPLETED", json.loads(json.dumps(answer))

    def advance(self, seconds: float) -> None:
        """Let time pass. A job whose `ttl` is over is deleted, whatever it is doing."""
        with self._lock:
            self.now += seconds
            for job in list(self.jobs.values()):
                if self.now >= job.created + job.policy["ttl"] / 1000:
                    if job.status == "IN_PROGRESS":
                        job.status = "TIMED_OUT"
                    del self.jobs[job.id]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """The status and the body that a request is answered with."""
        with self._lock:
            _, _, what, *rest = path.strip("/").split("/")
            if (method, what) == ("POST", "run"):
                self._made += 1
                job = Job(f"job-{self._made}-u1", body["input"], body["policy"], self.now)
                assert json.dumps(body), "what is sent is JSON"
                self.jobs[job.id] = job
                return 200, {"id": job.id, "status": "IN_QUEUE"}
            if what == "health":
                counts = [sum(job.status == status for job in self.jobs.values()) for status in _COUNTED]
                return 200, {
                    "jobs": dict(zip(_COUNTED.values(), counts, strict=True)),
                    "workers": {"idle": 0, "running": 1},
                }
            found = self.jobs.get(rest[0])
            if found is None:
                return 404, {"status": 404, "title": "Not Found"}
            if (method, what) == ("POST", "cancel"):
                if found.status in ("IN_QUEUE", "IN_PROGRESS"):
                    found.status = "CANCELLED"
                return 200, {"id": found.id, "status": found.status}
            said = {"id": found.id, "status": found.status, "output": found.output, "error": found.error}
            if found.execution is not None and found.status != "IN_PROGRESS":
                said |= {"executionTime": found.execution * 1000, "delayTime": 1}
            return 200, {name: value for name, value in said.items() if value is not None}


_COUNTED = {"IN_QUEUE": "inQueue", "IN_PROGRESS": "inProgress", "COMPLETED": "completed", "FAILED": "failed"}


@contextmanager
def serving(endpoint: FakeEndpoint) -> Iterator[FakeEndpoint]:
    """The endpoint on a port of this machine; `endpoint.url` is what its client asks."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            what = self.path.strip("/").split("/")[2]
            endpoint.requests.append(f"{self.command} {what}")
            endpoint.keys.add(self.headers.get("Authorization", ""))
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                self.say(401, {})
                return
            fault = endpoint.fault(what)
            if fault in ("500", "503", "429"):
                self.say(int(fault), {"error": "later"})
                return
            answer = endpoint.answer(self.command, self.path, body) if fault != "lost" else (0, {})
            if fault == "502 done":
                answer = (502, {})
            if fault in ("lost", "lost done"):
                self.close_connection = True
                return
            self.say(*answer)

        do_GET = do_POST = handle_any

        def say(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        endpoint.url = f"http://127.0.0.1:{server.server_port}/v2/ep1"
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()

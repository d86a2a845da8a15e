"""RunPod's pods on this machine: its GraphQL, machines that boot or do not, what they cost, and every way to fail.

Time is the test's: `now` moves with `advance`, which adds up what is to be paid.
"""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Operation = Literal["pods", "offer", "create", "end"]
# What becomes of a request: it is refused, with or without being done; its answer is lost; there is no machine.
Fault = Literal["500", "500 done", "502 done", "429", "lost", "lost done", "error", "error done", "capacity", "text"]

KEY = "key-of-the-account"
NO_CAPACITY = "There are no longer any instances available with the requested specifications. Please refresh."


@dataclass
class FakePod:
    """A machine. `boots_at` is when its worker is there, None where it never will be."""

    id: str
    name: str
    price: float
    created: float
    boots_at: float | None
    ends_at: float | None = None
    env: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"


@dataclass
class FakeRunpod:
    """An account. `prices` are USD an hour by type of GPU, None where there is none; `bill` is USD by day (UTC).

    `boot` says how many seconds a new pod takes, None for ever. A new pod is not listed for `lag` seconds.
    """

    now: float = 1_800_000_000.0
    prices: dict[str, float | None] = field(default_factory=lambda: {"GPU-A": 0.4})
    boot: Callable[[], float | None] = lambda: 60.0
    fault: Callable[[Operation], Fault | None] = lambda _: None
    lag: float = 0.0
    url: str = ""
    pods: dict[str, FakePod] = field(default_factory=dict)
    bill: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    requests: list[tuple[Operation, dict[str, Any]]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    made: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def rate(self) -> float:
        """USD an hour that is being paid."""
        return sum(pod.price for pod in self.pods.values())

    @property
    def day(self) -> str:
        """Today."""
        return datetime.fromtimestamp(self.now, UTC).date().isoformat()

    def advance(self, seconds: float) -> None:
        """Let time pass, and end the pods whose time is over."""
        with self._lock:
            for _ in range(int(seconds)):
                self.now += 1
                self.bill[self.day] += self.rate / 3600
            for pod in list(self.pods.values()):
                if pod.ends_at is not None and self.now >= pod.ends_at:
                    del self.pods[pod.id]

    def kill(self, pod_id: str) -> None:
        """The platform takes a pod away."""
        with self._lock:
            self.pods.pop(pod_id, None)

    def rent(self, name: str, price: float = 0.4, **others: Any) -> FakePod:
        """Make a pod as if somebody had asked for it."""
        with self._lock:
            self.made += 1
            seconds = self.boot()
            boots_at = None if seconds is None else self.now + seconds
            pod = FakePod(f"pod{self.made}", name, price, self.now, boots_at, **others)
            self.pods[pod.id] = pod
            return pod

    def answer(self, operation: Operation, variables: dict[str, Any]) -> dict[str, Any]:
        """What a request is answered with."""
        with self._lock:
            if operation == "pods":
                return {"data": {"myself": {"pods": [_listed(pod) for pod in self._visible()]}}}
            if operation == "offer":
                price = self.prices.get(variables["id"])
                return {"data": {"gpuTypes": [{"lowestPrice": {"uninterruptablePrice": price}}]}}
            given = variables["input"]
            if operation == "end":
                if self.pods.pop(given["podId"], None) is None:
                    return {"errors": [{"message": "pod not found"}], "data": {"podTerminate": None}}
                return {"data": {"podTerminate": None}}
            price = self.prices.get(given["gpuTypeId"])
            if price is None:
                return _error(NO_CAPACITY)
            ends_at = datetime.fromisoformat(given["terminateAfter"]).timestamp()
            env = {each["key"]: each["value"] for each in given["env"]}
            pod = self.rent(given["name"], price, ends_at=ends_at, env=env)
            return {"data": {"podFindAndDeployOnDemand": {"id": pod.id, "costPerHr": price}}}

    def meet(self, operation: Operation, variables: dict[str, Any]) -> tuple[int | None, Any]:
        """The status and the body of an answer, with what goes wrong; no status where it is lost."""
        fault = self.fault(operation)
        if fault is None or fault.endswith("done"):
            answer = self.answer(operation, variables)
        if fault is None:
            return 200, answer
        if fault.startswith("lost"):
            return None, {}
        if fault.startswith("error"):
            return 200, _error("Something went wrong. Please try again later or contact support.")
        if fault == "capacity":
            return 200, _error(NO_CAPACITY)
        return (200, "<html>") if fault == "text" else (int(fault.split()[0]), {"error": KEY})

    def _visible(self) -> list[FakePod]:
        return [pod for pod in self.pods.values() if self.now - pod.created >= self.lag]


def _listed(pod: FakePod) -> dict[str, Any]:
    return {"id": pod.id, "name": pod.name, "desiredStatus": pod.status, "costPerHr": pod.price}


def _error(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": "RUNPOD"}}], "data": None}


@contextmanager
def serving(runpod: FakeRunpod) -> Iterator[FakeRunpod]:
    """The account on a port of this machine; `runpod.url` is what its client asks."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Two packets for an answer would wait for each other.
        wbufsize = -1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/graphql"
            operation: Any = body["query"].split("(")[0].split("{")[0].split()[1]
            variables = body["variables"]
            # Nothing but variables carries what is asked for.
            assert not any(name in body["query"] for name in ("quire-burst", "podId:", "GPU-"))
            runpod.requests.append((operation, variables))
            runpod.keys.add(self.headers.get("Authorization", ""))
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                self.say(401, {})
                return
            status, answer = runpod.meet(operation, variables)
            if status is None:
                self.close_connection = True
            else:
                self.say(status, answer)

        def say(self, status: int, answer: Any) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        runpod.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield runpod
        finally:
            server.shutdown()
            thread.join()


def any_of(chance: random.Random, share: float, *faults: Fault) -> Callable[[Operation], Fault | None]:
    """Faults for a share of the requests. Only what is created can lack a machine."""

    def fault(operation: Operation) -> Fault | None:
        if chance.random() >= share:
            return None
        chosen = chance.choice(faults)
        return "500" if chosen == "capacity" and operation != "create" else chosen

    return fault

"""The platform's GraphQL as a pod sees it: takes the mutations that end the pod, and fails as it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Reply = tuple[int, Any]
TAKEN: Reply = (200, {"data": {"podTerminate": None}})
REFUSED: Reply = (200, {"errors": [{"message": "Unauthorized"}], "data": None})


@dataclass
class FakePodsApi:
    """`replies` are given in turn, then `TAKEN`. `asked` are mutation and pod of each request, in turn."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


@contextmanager
def serve_pods_api() -> Iterator[FakePodsApi]:
    """A server of its own, on this machine."""
    api = FakePodsApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/graphql"
            mutation = "podTerminate" if "{ podTerminate(input: $input) }" in body["query"] else "podStop"
            api.asked.append((mutation, body["variables"]["input"]["podId"]))
            api.keys.add(self.headers["Authorization"])
            status, answer = api.replies.pop(0) if api.replies else TAKEN
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

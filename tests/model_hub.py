"""A hub of models on the loopback interface, which can break off, lie, and forget."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Files of this size and more are known by their SHA-256, others by the SHA-1 that Git has for them.
LARGE = 1000


@dataclass
class ModelHub:
    """`repositories`: files by path, by repository. `broken_after`: bytes of a file that one answer has at most.

    With `pause`, the first file of ten times `LARGE` stops half way: `waiting` is set then, and it goes on when `pause`
    is.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    broken_after: int | None = None
    altered: set[str] = field(default_factory=set)
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""
    pause: threading.Event | None = None
    waiting: threading.Event = field(default_factory=threading.Event)

    def halfway(self, size: int) -> None:
        """Wait, where this is the file to wait in."""
        if self.pause is not None and size >= 10 * LARGE and not self.waiting.is_set():
            self.waiting.set()
            self.pause.wait(60)

    def answer(self, path: str, byte_range: str | None) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append((path, byte_range))
        for repository, files in self.repositories.items():
            if path == f"/api/models/{repository}/revision/main":
                return 200, json.dumps({"sha": COMMIT}).encode()
            if path == f"/api/models/{repository}/tree/{COMMIT}?recursive=true":
                return 200, json.dumps([_entry(name, content) for name, content in files.items()]).encode()
            folder = f"/folder/{repository.rpartition('/')[2]}"
            if path == f"{folder}/SHA256SUMS":
                return 200, "".join(f"{_sha256(files[name])}  {name}\n" for name in files).encode()
            for name, content in files.items():
                if path in (f"/{repository}/resolve/{COMMIT}/{name}", f"{folder}/{name}"):
                    return self._file(name, content, byte_range)
        return 404, b"not here"

    def _file(self, name: str, content: bytes, byte_range: str | None) -> tuple[int, bytes]:
        content = content.upper() if name in self.altered else content
        if byte_range is None or not self.ranges:
            return 200, content
        start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
        return (206, content[start:]) if start < len(content) else (416, b"")


def _entry(name: str, content: bytes) -> dict[str, object]:
    oid = hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()
    lfs = {"lfs": {"oid": _sha256(content), "size": len(content)}} if len(content) >= LARGE else {}
    return {"type": "file", "path": name, "size": len(content), "oid": oid, **lfs}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def serving(hub: ModelHub) -> Iterator[ModelHub]:
    """The hub, listening at `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = hub.answer(self.path, self.headers["Range"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            is_file = "/api/" not in self.path and not self.path.endswith("SHA256SUMS")
            body = body[: hub.broken_after] if is_file else body
            # Whoever asked may have been killed meanwhile.
            with suppress(ConnectionError):
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                if is_file:
                    hub.halfway(len(body))
                self.wfile.write(body[len(body) // 2 :])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

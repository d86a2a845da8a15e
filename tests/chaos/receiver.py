"""An endpoint of webhooks: hears of every document that has ended, and remembers which message it had how often."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import httpx
import psycopg

from quire.embedded.running import Running

_POLL_SECONDS: Final = 0.5
_MESSAGES: Final = "SELECT 'msg_' || id, status FROM webhook_deliveries"


@dataclass(frozen=True)
class Messages:
    """Messages by what the tables say of them, and of those `delivered`, how many did not come, or more than once."""

    delivered: int
    pending: int
    failed: int
    missing: int
    repeated: int


class Receiver(Running):
    """Takes everything that is sent to it."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"received": self.received}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="webhook-receiver")

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def register(self, api_url: str) -> None:
        """Have every message sent here."""
        url = f"http://127.0.0.1:{self._server.server_port}/"
        httpx.post(f"{api_url}/api/v1/webhooks", json={"url": url}, timeout=30).raise_for_status()

    def wait(self, database_url: str, seconds: float) -> Messages:
        """What became of the messages when none is left to send, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while (messages := self._count(database_url)).pending and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return messages

    def _count(self, database_url: str) -> Messages:
        with psycopg.connect(database_url) as connection:
            statuses: dict[str, str] = dict(connection.execute(_MESSAGES).fetchall())
        known = Counter(statuses.values())
        return Messages(
            known["delivered"],
            known["pending"],
            known["failed"],
            missing=sum(status == "delivered" and not self.received[name] for name, status in statuses.items()),
            repeated=sum(times > 1 for times in self.received.values()),
        )


class _Handler(BaseHTTPRequestHandler):
    received: Counter[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.received[str(self.headers["webhook-id"])] += 1
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

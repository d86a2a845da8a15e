"""A client of progress events, in a thread of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Event:
    """One event as it came, `at` this time."""

    name: str
    id: str
    data: Any
    at: float


class Stream:
    """Everything that one connection gets, until it is closed by either side."""

    def __init__(self, url: str, document_id: object, last_event_id: str | None = None) -> None:
        self.events: list[Event] = []
        self.status: int | None = None
        self.heartbeats = 0
        self.is_closed = False
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=60)
        # The end of the body is that of the connection. The lengths of chunks are lines that no field begins with.
        request = f"GET /api/v1/documents/{document_id}/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if last_event_id is not None:
            request += f"Last-Event-ID: {last_event_id}\r\n"
        self._socket.sendall(f"{request}\r\n".encode())
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """Go away without a word."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        with suppress(OSError), self._socket.makefile("r", encoding="utf-8", newline="\n") as lines:
            self.status = int(lines.readline().split()[1])
            while lines.readline().strip():
                pass
            fields: dict[str, str] = {}
            for line in map(str.strip, lines):
                if line.startswith(":"):
                    self.heartbeats += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    self.events.append(Event(fields["event"], fields["id"], json.loads(fields["data"]), time.time()))
                    fields = {}
        self.is_closed = True

    @property
    def pages(self) -> list[tuple[int, str]]:
        """Number and status of each page event, in order."""
        return [(each.data["page_number"], each.data["status"]) for each in list(self.events) if each.name == "page"]

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What each document event said, in order."""
        return [each.data for each in list(self.events) if each.name == "document"]

    @property
    def end(self) -> str | None:
        """The status that `end` gave, once it has come."""
        return next((each.data["status"] for each in list(self.events) if each.name == "end"), None)

"""Following a document over a connection that breaks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from quire.cli import api as api_module
from quire.cli import documents
from quire.cli.api import Api
from quire.cli.exit_codes import ApiUnreachable, ExitCode, Refused, UsageError, exit_code_of
from quire.settings import Settings

ID = "063fbb60-2c93-45cc-8d11-38d9cb2660b1"


class Breaking(ThreadingHTTPServer):
    """Answers each request for events with the next of `streams`, then closes the connection."""

    daemon_threads = True

    def __init__(self, streams: list[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.streams = streams
        self.last_event_ids: list[str | None] = []
        self.missing_bytes = 0

    @property
    def api(self) -> Api:
        return Api(Settings(quire_api_url=f"http://127.0.0.1:{self.server_port}"))


class Handler(BaseHTTPRequestHandler):
    server: Breaking

    def do_GET(self) -> None:
        status, kind, body = 200, "application/json", json.dumps({"pages_done": 9}).encode()
        if self.path.endswith("/events"):
            self.server.last_event_ids.append(self.headers["Last-Event-ID"])
            kind, body = "text/event-stream", self.server.streams.pop(0) if self.server.streams else b""
        elif self.path.endswith("/unavailable"):
            status, body = 503, b"<html>no upstream</html>"
        elif "/export/" in self.path:
            kind, body = "application/pdf", b"%PDF-1.7 half of it"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if "/export/" in self.path:
            self.send_header("Content-Length", str(len(body) + self.server.missing_bytes))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaking]:
    monkeypatch.setattr(api_module, "_RECONNECT_SECONDS", 0.01)
    with Breaking([]) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield serving
        serving.shutdown()


def event(name: str, data: dict[str, Any], event_id: str = "") -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\nid: {event_id}\n\n".encode()


def test_it_goes_on_where_the_connection_broke(server: Breaking):
    server.streams = [
        b": heartbeat\n\n" + event("document", {"pages_done": 1}, "1;;running") + b"event: document\ndata: {half",
        event("page", {"page_number": 2}, "1-2;;running") + event("document", {"pages_done": 2}, "1-2;;running"),
        event("end", {"status": "completed"}, "1-3;;completed"),
    ]
    with server.api as api:
        assert [document["pages_done"] for document in api.follow(ID)] == [9, 1, 2, 9]
    assert server.last_event_ids == [None, "1;;running", "1-2;;running"]


def test_it_does_not_wait_for_ever_for_an_api_that_says_nothing(server: Breaking):
    with server.api as api, pytest.raises(ApiUnreachable) as raised:
        list(api.follow(ID))
    assert len(server.last_event_ids) == 6
    assert exit_code_of(raised.value) == ExitCode.NOT_REACHABLE


def test_a_proxy_without_an_api_behind_it_counts_as_not_reachable(server: Breaking):
    with server.api as api, pytest.raises(Refused) as raised:
        api.call("GET", "/unavailable")
    assert exit_code_of(raised.value) == ExitCode.NOT_REACHABLE


def test_a_file_is_there_once_it_is_complete(server: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUIRE_API_URL", f"http://127.0.0.1:{server.server_port}")
    output = tmp_path / "out.pdf"
    server.missing_bytes = 7
    with pytest.raises(ApiUnreachable):
        documents.export(UUID(ID), documents.Format.PDF, output)
    assert list(tmp_path.iterdir()) == []
    server.missing_bytes = 0
    documents.export(UUID(ID), documents.Format.PDF, output)
    assert output.read_bytes() == b"%PDF-1.7 half of it"
    assert list(tmp_path.iterdir()) == [output]


def test_a_folder_that_is_not_there_is_the_callers_mistake(
    server: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QUIRE_API_URL", f"http://127.0.0.1:{server.server_port}")
    with pytest.raises(UsageError, match="missing"):
        documents.export(UUID(ID), documents.Format.PDF, tmp_path / "missing" / "out.pdf")


def test_a_command_that_needs_no_database_does_not_wait_for_its_libraries():
    program = "import sys, quire.cli.main; sys.exit(sum(name in sys.modules for name in ('sqlalchemy', 'celery')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

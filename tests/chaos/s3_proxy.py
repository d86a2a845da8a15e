"""An S3 endpoint that has faults on demand: it stands between a client and a server that works."""

from __future__ import annotations

import http.client
import select
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

from quire.embedded.running import Running

S3Fault = Literal["error", "slow-down", "truncated", "reset", "silent"]
S3_FAULTS: Final[tuple[S3Fault, ...]] = ("error", "slow-down", "truncated", "reset", "silent")

_POLL_SECONDS: Final = 0.1
_REFUSALS: Final = {"error": (500, "InternalError"), "slow-down": (503, "SlowDown")}
# Of one connection only; the length of a body is told anew.
_NOT_PASSED_ON: Final = {"connection", "transfer-encoding", "content-length", "keep-alive", "expect"}


class S3Proxy(Running):
    """Passes every request on to the server at `host:port`, unless `fault` says otherwise.

    error, slow-down: a 500 and a 503 in place of an answer. truncated: half of an object, although all of it was
    announced. reset: the connection is broken instead of an answer. silent: the request is taken and never answered,
    not even after the fault. `hits` counts the requests that met each of them.
    """

    def __init__(self, host: str, port: int) -> None:
        self.upstream = (host, port)
        self.fault: S3Fault | None = None
        self.hits: Counter[S3Fault] = Counter()
        self.closing = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """For `S3_ENDPOINT_URL`."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Listen on a free port."""
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="s3-proxy")
        self._thread.start()

    def stop(self) -> None:
        """Close every connection, those that wait for an answer among them."""
        self.closing.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Connections that nobody closes must not hold the end up.
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed go without a word: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: S3Proxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.fault
        if fault == "truncated" and self.command != "GET":
            fault = None
        if fault is None:
            self._pass_on(body)
            return
        self.proxy.hits[fault] += 1
        if fault in _REFUSALS:
            self._refuse(*_REFUSALS[fault])
        elif fault == "truncated":
            self._pass_on(body, truncated=True)
        elif fault == "reset":
            self._reset()
        else:
            self._keep_silent()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _pass_on(self, body: bytes, *, truncated: bool = False) -> None:
        connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=30)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        # That of the object, where only its head was asked for.
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if truncated else content)
        self.close_connection = truncated

    def _refuse(self, status: int, code: str) -> None:
        content = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _reset(self) -> None:
        # Lingering for no time at all: the other side gets RST and not FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # The files made from the socket would keep it open.
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def _keep_silent(self) -> None:
        """Hold the connection until the client has given up."""
        self.close_connection = True
        while not self.proxy.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], _POLL_SECONDS)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def log_message(self, *_: object) -> None:
        """Say nothing."""

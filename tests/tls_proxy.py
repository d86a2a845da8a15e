"""TLS in front of a server that has none: its clients speak the real protocol, certificates and all."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

# What a Postgres client asks before it begins TLS: length 8, code 80877103; the server answers S.
_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class TlsProxy:
    """Listens on a free loopback port with a certificate for `127.0.0.1`, and passes on what it decrypts.

    `target` is a TCP address or the path of a Unix socket. `postgres` answers the request for TLS first.
    """

    def __init__(self, authority: trustme.CA, target: tuple[str, int] | Path, *, postgres: bool = False) -> None:
        self._target = target
        self._postgres = postgres
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            if self._postgres:
                if client.recv(8, socket.MSG_WAITALL) != _SSL_REQUEST:
                    return
                client.sendall(b"S")
            encrypted = self._context.wrap_socket(client, server_side=True)
            self.accepted += 1
            with encrypted, self._connect() as server:
                threading.Thread(target=_copy, args=(server, encrypted), daemon=True).start()
                _copy(encrypted, server)

    def _connect(self) -> socket.socket:
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target)
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._target))
        return server


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    # Wakes the other direction.
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)

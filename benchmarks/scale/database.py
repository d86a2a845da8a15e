"""A Postgres server of the benchmark's own, with the schema of Quire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, text

from quire.database import migrate
from quire.database.engine import connect
from quire.embedded import EmbeddedPostgres
from quire.settings import Settings

# What decides how fast a server writes; reported beside every figure.
_SETTINGS: Final = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "default_toast_compression",
)


@dataclass(frozen=True)
class Database:
    """A database with the current schema; `pid` is the server's process."""

    url: str
    engine: Engine
    pid: int

    def run(self, statement: str, **values: Any) -> None:
        """Execute a statement and commit."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def run_alone(self, statement: str) -> None:
        """Execute a statement that refuses to be part of a transaction."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))

    def value(self, query: str, **values: Any) -> Any:
        """The first column of a query's first row."""
        with self.engine.connect() as connection:
            return connection.scalar(text(query), values)

    def server_settings(self) -> dict[str, str]:
        """The server's settings that the figures depend on."""
        return {name: str(self.value("SELECT current_setting(:name)", name=name)) for name in _SETTINGS}

    def wal_bytes(self) -> int:
        """Bytes of write-ahead log that the server has written in its life."""
        return int(self.value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))


@contextmanager
def fresh_database(folder: Path) -> Iterator[Database]:
    """Start a server with its data in `folder`, and stop it at the end of the block."""
    with EmbeddedPostgres(folder / "postgres") as server:
        url = Settings.model_validate({"database_url": server.url}).sqlalchemy_url
        assert url is not None
        engine = connect(url)
        try:
            migrate.upgrade(engine)
            pid = int((folder / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
            yield Database(server.url, engine, pid)
        finally:
            engine.dispose()

"""Connections and transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from quire.errors import DatabaseUnreachable, SettingsError
from quire.settings import get_settings


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for `url`. A connection that Postgres has closed is noticed before it is used."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "application_name": "quire",
            # A half-open connection must not hold a worker for the kernel's two hours.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )


@lru_cache(maxsize=1)
def _engine_of_process(_pid: int) -> Engine:
    url = get_settings().sqlalchemy_url
    if url is None:
        raise SettingsError("DATABASE_URL is not set, and this needs a database.")
    return connect(url)


def get_engine() -> Engine:
    """The engine of this process; a forked child gets its own.

    Raises:
        SettingsError: `DATABASE_URL` is not set.
    """
    return _engine_of_process(os.getpid())


def has_database() -> bool:
    """Whether `DATABASE_URL` is set."""
    return get_settings().database_url is not None


@contextmanager
def transaction(engine: Engine | None = None) -> Iterator[Session]:
    """A session whose work is committed at the end of the block, or rolled back when it raises.

    Raises:
        DatabaseUnreachable: Postgres could not be reached, or went away.
    """
    try:
        with Session(engine or get_engine(), expire_on_commit=False) as session, session.begin():
            yield session
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnreachable(
            "Postgres did not answer. Check DATABASE_URL and the server; then try again."
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnreachable("Postgres closed the connection. Try again.") from error
        raise

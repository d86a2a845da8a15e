"""Connections and transactions."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from quire.errors import DatabaseUnreachable, SettingsError
from quire.settings import get_settings

# Of every connection to Postgres.
CONNECT_ARGS: Final = {
    "connect_timeout": 5,
    "application_name": "quire",
    # A half-open connection must not hold a worker for the kernel's two hours.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # The same for one over which something was sent (milliseconds).
    "tcp_user_timeout": 30_000,
}

# What Postgres does about a client that it hears nothing of: one that is halted, or whose machine is gone, keeps its
# locks, and everybody waits for them. By default without end, and for the two hours of the kernel.
_SESSION: Final = """
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3
"""

# The longest that one statement of a process's engine may take. The kernel notices a machine that is gone; a server
# that hangs still acknowledges what it is sent, and no timeout of its own can end the wait.
_ANSWER_SECONDS: Final = 15.0

# A connection that was in use so recently is not asked whether it still is one: no server restarts in that time.
_FRESH_SECONDS: Final = 0.1


def connect(url: str, *, pool_size: int = 5, answer_seconds: float | None = None) -> Engine:
    """An engine for `url`. A connection that Postgres has closed is noticed before it is used.

    One over which a statement has had no answer for `answer_seconds` is closed.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        connect_args=dict(CONNECT_ARGS),
    )
    event.listen(engine, "connect", _set_up_session)
    _ask_before_use(engine)
    if answer_seconds is not None:
        limit = answer_seconds

        def make(_dialect: object, _record: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            connection = _LimitedConnection.connect(*args, **kwargs)
            connection.answer_seconds = limit
            return connection

        event.listen(engine, "do_connect", make)
    return engine


def _set_up_session(connection: Any, _record: ConnectionPoolEntry) -> None:
    # Not as `options` of the connection, which poolers such as PgBouncer refuse.
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
    connection.commit()


def _ask_before_use(engine: Engine) -> None:
    """What `pool_pre_ping` does, except for connections that were in use a moment ago: each ping is a round trip."""

    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["returned"] = time.monotonic()

    def ask(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        returned = record.info.get("returned")
        if returned is None or time.monotonic() - returned < _FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.OperationalError as error:
            # All others were made before this one ended; the pool makes new ones.
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)


class _LimitedConnection(psycopg.Connection[Any]):
    """A connection that does not wait for ever for an answer."""

    # Until it is set, after the connection has been made.
    answer_seconds: float = _ANSWER_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Psycopg's own, through which every statement, commit and rollback goes.

        Raises:
            psycopg.OperationalError: there was no answer in time; the connection is closed.
        """
        deadline = time.monotonic() + self.answer_seconds
        try:
            return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and time.monotonic() >= deadline:
                # What was asked may still be answered, and would be taken for the answer to something else.
                self.pgconn.finish()
            raise


@lru_cache(maxsize=1)
def _engine_of_process(_pid: int) -> Engine:
    return connect(_required_url(), answer_seconds=_ANSWER_SECONDS)


def _required_url() -> str:
    url = get_settings().sqlalchemy_url
    if url is None:
        raise SettingsError("DATABASE_URL is not set, and this needs a database.")
    return url


def get_engine() -> Engine:
    """The engine of this process; a forked child gets its own.

    Raises:
        SettingsError: `DATABASE_URL` is not set.
    """
    return _engine_of_process(os.getpid())


def patient_engine() -> Engine:
    """A new engine for statements that may take as long as they take, such as those of a migration.

    Raises:
        SettingsError: `DATABASE_URL` is not set.
    """
    return connect(_required_url(), pool_size=1)


def has_database() -> bool:
    """Whether `DATABASE_URL` is set."""
    return get_settings().database_url is not None


@contextmanager
def transaction(engine: Engine | None = None) -> Iterator[Session]:
    """A session whose work is committed at the end of the block, or rolled back when it raises.

    Raises:
        DatabaseUnreachable: Postgres could not be reached, or went away.
    """
    bind = engine or get_engine()
    with _typed_errors(bind), Session(bind, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def statements(engine: Engine | None = None) -> Iterator[Session]:
    """A session of which each statement is a transaction of its own: what needs no more saves two round trips.

    Raises:
        DatabaseUnreachable: Postgres could not be reached, or went away.
    """
    bind = _autocommitting(engine or get_engine())
    with _typed_errors(bind), Session(bind, expire_on_commit=False) as session:
        yield session


@lru_cache(maxsize=4)
def _autocommitting(engine: Engine) -> Engine:
    """The same engine and pool for statements without transactions."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


# By an engine's pool, when Postgres has last done what was asked (`time.monotonic()`).
_answered: Final[WeakKeyDictionary[Pool, float]] = WeakKeyDictionary()


def answered_within(seconds: float) -> bool:
    """Whether Postgres has done lately what this process's engine asked.

    Raises:
        SettingsError: `DATABASE_URL` is not set.
    """
    return time.monotonic() - _answered.get(get_engine().pool, float("-inf")) < seconds


@contextmanager
def _typed_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
        _answered[engine.pool] = time.monotonic()
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnreachable(
            "Postgres did not answer. Check DATABASE_URL and the server; then try again."
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnreachable("Postgres closed the connection. Try again.") from error
        raise

"""Connections are asked whether they still are any, statements commit themselves, and JSON is stored compressed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from quire.database import engine as database_engine
from quire.database.compressed import CompressedJson, compress, decompress
from quire.database.engine import _FRESH_SECONDS, connect, statements, transaction
from quire.errors import DatabaseUnreachable


def end_connections(database: Engine, administrator: Engine) -> None:
    with transaction(database) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    with administrator.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": pid})


@pytest.fixture
def administrator(database_url: str):
    engine = connect(database_url.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


def test_a_connection_that_postgres_has_closed_is_replaced_before_it_is_used(database: Engine, administrator: Engine):
    end_connections(database, administrator)
    time.sleep(_FRESH_SECONDS)
    with transaction(database) as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_one_that_was_in_use_a_moment_ago_is_not_asked(
    database: Engine, administrator: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("quire.database.engine._FRESH_SECONDS", 60)
    end_connections(database, administrator)
    with pytest.raises(DatabaseUnreachable), transaction(database) as session:
        session.execute(text("SELECT 1"))
    # The error has thrown it away.
    with transaction(database) as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_client_that_stops_in_a_transaction_loses_its_locks(
    database: Engine, administrator: Engine, monkeypatch: pytest.MonkeyPatch
):
    with statements(database) as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "1min"
    impatient = database_engine._SESSION.replace("60s", "200ms")
    monkeypatch.setattr(database_engine, "_SESSION", impatient)
    with statements(database) as session:
        session.execute(text("CREATE TABLE held AS SELECT 1 AS n"))
    halted = connect(database.url.render_as_string(hide_password=False))
    try:
        with pytest.raises(DatabaseUnreachable), transaction(halted) as session:
            session.execute(text("UPDATE held SET n = 2"))
            # Waits for the lock until Postgres has ended the session that has it.
            with transaction(administrator) as other:
                other.execute(text("UPDATE held SET n = 3"))
            session.execute(text("SELECT 1"))
    finally:
        halted.dispose()
    with statements(database) as session:
        assert session.scalar(text("SELECT n FROM held")) == 3


def test_each_statement_commits_itself_and_the_next_transaction_does_not(database: Engine):
    def run_and_fail(sessions: Callable[[Engine], AbstractContextManager[Session]], statement: str) -> None:
        with sessions(database) as session:
            session.execute(text(statement))
            raise ZeroDivisionError

    for sessions, statement in (
        (statements, "CREATE TABLE kept (n integer)"),
        (transaction, "INSERT INTO kept VALUES (1)"),
    ):
        with pytest.raises(ZeroDivisionError):
            run_and_fail(sessions, statement)
    with transaction(database) as session:
        assert session.scalar(text("SELECT count(*) FROM kept")) == 0


def test_statements_begin_and_commit_nothing(database: Engine):
    begun: list[Any] = []
    event.listen(database.pool, "checkout", lambda connection, *_: begun.append(connection))
    with statements(database) as session:
        session.execute(text("SELECT 1"))
        assert begun[0].autocommit
    with transaction(database) as session:
        session.execute(text("SELECT 1"))
        assert not begun[-1].autocommit


@pytest.mark.parametrize("value", [[], [{"text": "ü" * 500, "n": 1.5}], [{"text": "x"}], None])
def test_json_comes_back_as_it_was(database: Engine, value: object):
    kind = CompressedJson()
    stored = kind.process_bind_param(value, database.dialect)
    assert kind.process_result_value(stored, database.dialect) == value


def test_what_is_small_is_not_compressed_and_what_was_stored_before_is_read():
    assert compress(b"[]") == decompress(b"[]") == b"[]"
    long = b'["' + b"word " * 100 + b'"]'
    assert len(compress(long)) < len(long) / 5
    assert decompress(compress(long)) == decompress(long) == long

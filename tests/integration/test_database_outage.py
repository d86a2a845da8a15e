"""Postgres that is gone and Postgres that hangs: both are an error in time, and both are over when they are over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from flow.page_flow import PageFlow
from quire.database import migrate
from quire.database.engine import connect, transaction
from quire.database.turns import Ticket
from quire.embedded import EmbeddedPostgres
from quire.errors import DatabaseUnreachable
from quire.pages import PageImage
from quire.settings import Settings
from quire.storage import FolderStore
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import write_scanned_pdf

ANSWER_SECONDS = 0.6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that no other test needs meanwhile."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("outage") / "postgres") as running:
        yield running


@pytest.fixture
def engine(server: EmbeddedPostgres) -> Iterator[Engine]:
    url = Settings.model_validate({"database_url": server.url}).sqlalchemy_url
    assert url is not None
    engine = connect(url, answer_seconds=ANSWER_SECONDS)
    yield engine
    engine.dispose()


def ask(engine: Engine, statement: str = "SELECT 1") -> object:
    with transaction(engine) as session:
        return session.scalar(text(statement))


def test_a_server_that_is_gone_is_unreachable_until_it_is_back(server: EmbeddedPostgres, engine: Engine):
    assert ask(engine) == 1
    server.shut_down()
    for _ in range(2):
        with pytest.raises(DatabaseUnreachable):
            ask(engine)
    server.bring_up()
    assert ask(engine) == 1


def test_a_server_that_hangs_is_unreachable_in_time_and_until_it_goes_on(server: EmbeddedPostgres, engine: Engine):
    assert ask(engine) == 1
    server.suspend()
    begun = time.monotonic()
    with pytest.raises(DatabaseUnreachable):
        ask(engine)
    # The connection of the pool, then a new one, for which libpq waits 5 seconds.
    assert ANSWER_SECONDS <= time.monotonic() - begun < ANSWER_SECONDS + 10
    server.resume()
    assert ask(engine) == 1


def test_a_server_that_hangs_within_a_transaction_loses_it(server: EmbeddedPostgres, engine: Engine):
    with pytest.raises(DatabaseUnreachable):
        ask_half_of_it(server, engine)
    assert ask(engine, "SELECT to_regclass('lost')") is None


def ask_half_of_it(server: EmbeddedPostgres, engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(text("CREATE TABLE lost (number integer)"))
        server.suspend()
        begun = time.monotonic()
        try:
            session.execute(text("INSERT INTO lost VALUES (1)"))
        finally:
            assert time.monotonic() - begun < ANSWER_SECONDS + 2
            server.resume()


def test_an_answer_that_comes_late_is_not_taken_for_another_one(engine: Engine):
    with pytest.raises(DatabaseUnreachable):
        ask(engine, f"SELECT 'late', pg_sleep({2 * ANSWER_SECONDS})")
    assert [ask(engine, f"SELECT {number}") for number in range(5)] == list(range(5))


def test_what_is_answered_in_time_is_answered(engine: Engine):
    assert ask(engine, f"SELECT 7 FROM pg_sleep({ANSWER_SECONDS / 3})") == 7
    # The limit is that of a statement and not of a transaction.
    with transaction(engine) as session:
        for _ in range(4):
            session.execute(text(f"SELECT pg_sleep({ANSWER_SECONDS / 3})"))


def test_an_outage_while_pages_are_read_uses_up_no_attempt(server: EmbeddedPostgres, tmp_path: Path):
    """What was read is written when Postgres is back, by whoever read it."""
    url = server.create_database("flow")
    converted = Settings.model_validate({"database_url": url}).sqlalchemy_url
    assert converted is not None
    database = connect(converted)
    migrate.upgrade(database)
    comings_back: list[threading.Timer] = []

    def go_away(image: PageImage) -> None:
        if not comings_back:
            server.shut_down()
            comings_back.append(threading.Timer(1.0, server.bring_up))
            comings_back[0].start()

    tickets: list[Ticket] = []
    engine, store = InstantEngine(go_away), FolderStore(tmp_path / "objects")
    settings = Settings(quire_buckets=BUCKET, quire_lease_pages=2)
    flow = PageFlow(settings, database, store, lambda: engine, tickets.append, lambda: True, lambda: False)
    bench = Bench(flow, database, store, engine, tickets)
    document_id = bench.accept(bench.put("scan", write_scanned_pdf(tmp_path / "scan.pdf", 4).read_bytes()))
    result = flow.work(document_id)
    comings_back[0].join()
    assert (result.status, sorted(engine.read)) == ("completed", [1, 2, 3, 4])
    assert {page.attempts for page in bench.pages(document_id).values()} == {1}
    database.dispose()

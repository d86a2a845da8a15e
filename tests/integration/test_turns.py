"""Whose document is read next: turns against real Postgres, tickets in a real Redis."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from sqlalchemy import Engine, text

from flow.reconcile import reconcile_once
from quire import jobs, queues
from quire import settings as settings_module
from quire.contracts import OcrOptions, Priority
from quire.database import documents, turns
from quire.database.engine import transaction
from quire.database.turns import Ticket
from quire.embedded import EmbeddedRedis
from quire.settings import Settings

WINDOW = 3


def new(owner: str = "", priority: Priority = "interactive") -> documents.NewDocument:
    return documents.NewDocument(uuid.uuid4(), "bucket", "key", OcrOptions(), owner=owner, priority=priority)


def add(database: Engine, owner: str = "", priority: Priority = "interactive") -> uuid.UUID:
    document = new(owner, priority)
    with transaction(database) as session:
        documents.create(session, document)
    return document.id


def take(database: Engine, most: int = 100) -> list[uuid.UUID]:
    with transaction(database) as session:
        return [ticket.document_id for ticket in turns.take_waiting(session, most=most)]


def test_the_documents_of_one_owner_come_in_their_order(database: Engine):
    added = [add(database) for _ in range(5)]
    assert take(database, 2) + take(database) == added
    assert take(database) == []


def test_owners_take_turns_whatever_number_each_has_waiting(database: Engine):
    book = [add(database, "ann") for _ in range(6)]
    small = [add(database, "bob") for _ in range(2)]
    late = add(database, "cec")
    order = take(database)
    assert set(order[:3]) == {book[0], small[0], late}
    assert set(order[3:5]) == {book[1], small[1]}
    assert [document for document in order if document in book] == book


def test_who_comes_late_waits_one_turn_and_not_for_all_before(database: Engine):
    many = [add(database, "ann") for _ in range(50)]
    assert take(database, 20) == many[:20]
    late = add(database, "bob")
    assert late in take(database, 2)


def test_time_without_work_is_not_saved_up(database: Engine):
    """An owner that asked for nothing so far does not get all the next turns."""
    ann = [add(database, "ann") for _ in range(20)]
    take(database, 10)
    bob = [add(database, "bob") for _ in range(10)]
    order = take(database)
    shares = [sum(document in group for document in order[:10]) for group in (ann, bob)]
    assert min(shares) >= 4


def test_the_past_does_not_count_against_an_owner_either(database: Engine):
    for _ in range(30):
        add(database, "ann")
    take(database)
    ann, bob = [add(database, "ann") for _ in range(2)], [add(database, "bob") for _ in range(2)]
    assert set(take(database, 2)) == {ann[0], bob[0]}


def test_interactive_documents_come_before_those_in_bulk(database: Engine):
    bulk = [add(database, "ann", "bulk") for _ in range(3)]
    urgent = [add(database, "ann") for _ in range(3)]
    assert take(database) == urgent + bulk


def test_nobody_takes_a_document_that_another_takes(database: Engine):
    added = {add(database, f"owner {number % 3}") for number in range(60)}
    with ThreadPoolExecutor(6) as takers:
        taken = list(itertools.chain(*takers.map(lambda _: take(database, 10), range(12))))
    assert len(taken) == len(set(taken)) == 60
    assert set(taken) == added


def test_what_is_cancelled_or_begun_does_not_wait(database: Engine):
    cancelled, begun, waiting = (add(database) for _ in range(3))
    with transaction(database) as session:
        documents.cancel(session, cancelled)
        documents.begin_plan(session, begun, seconds=60)
    assert take(database) == [waiting]


def test_a_document_that_comes_with_its_ticket_does_not_wait(database: Engine):
    with transaction(database) as session:
        documents.create(session, new(), has_ticket=True)
    assert take(database) == []


def test_a_document_has_its_turn_at_once_where_no_other_waits(database: Engine):
    def is_dispatched(document: documents.NewDocument) -> bool:
        with transaction(database) as session:
            created = documents.create(session, document, ticket_if_first=True)
        assert created is not None
        return created.document.dispatched_at is not None

    assert is_dispatched(new())
    # One with a ticket does not wait.
    assert is_dispatched(new())
    waiting = add(database, priority="bulk")
    another = new()
    assert not is_dispatched(another)
    assert take(database) == [another.id, waiting]
    assert is_dispatched(new())


def test_documents_that_wait_are_not_looked_at(database: Engine):
    """Of the statements that run with every document and every ticket, none reads more than it takes."""
    with transaction(database) as session:
        session.execute(
            text("""
            INSERT INTO documents (id, bucket, source_key, options_hash, owner, turn, touched_at)
            SELECT gen_random_uuid(), 'b', 'k', '', 'owner ' || n % 100, n / 100, now() - interval '1 day'
            FROM generate_series(1, 20000) n""")
        )
    with transaction(database) as session:
        session.execute(text("ANALYZE documents"))
    add(database, "owner 7")
    taken = _rows_read(database, lambda: take(database, 2))
    stale = _rows_read(database, lambda: _take_stale(database))
    added = _rows_read(database, lambda: add(database, "owner 8"))
    assert max(taken, stale, added) < 100


def _take_stale(database: Engine) -> list[Ticket]:
    with transaction(database) as session:
        return documents.take_stale(session, seconds=60, most=100)


def _rows_read(database: Engine, action: object) -> int:
    def read() -> int:
        with transaction(database) as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with transaction(database) as session:
            return int(
                session.scalar(
                    text("""SELECT seq_tup_read + coalesce(idx_tup_fetch, 0)
                    FROM pg_stat_user_tables WHERE relname = 'documents'""")
                )
                or 0
            )

    before = read()
    assert callable(action)
    action()
    return read() - before


@pytest.fixture
def broker(redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty Redis, which this process publishes to, with room for a few tickets."""
    settings = Settings(redis_url=redis_server.url, quire_dispatch_window=WINDOW)
    monkeypatch.setattr(jobs, "get_settings", lambda: settings)
    monkeypatch.setattr(queues, "get_settings", lambda: settings)
    queues.producer.cache_clear()
    queues.ticket_producer.cache_clear()
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client
        client.flushall()
    queues.producer.cache_clear()
    queues.ticket_producer.cache_clear()
    settings_module.get_settings.cache_clear()


def test_no_more_tickets_are_issued_than_the_window_holds(database: Engine, broker: redis.Redis):
    for _ in range(WINDOW + 5):
        jobs.submit(new(), database)
    assert jobs.count_tickets() == WINDOW
    jobs.dispatch(database)
    assert jobs.count_tickets() == WINDOW
    # A worker takes one.
    broker.rpop("ocr")
    jobs.dispatch(database)
    assert jobs.count_tickets() == WINDOW


def test_tickets_in_bulk_wait_in_a_list_of_their_own_and_count(database: Engine, broker: redis.Redis):
    jobs.submit(new(priority="bulk"), database)
    jobs.submit(new(), database)
    assert [broker.llen(name) for name in queues.lists_of_queue("ocr")] == [1, 1]
    assert jobs.count_tickets() == 2


def test_the_reconciler_fills_the_window(database: Engine, broker: redis.Redis):
    for _ in range(WINDOW + 5):
        jobs.submit(new(), database)
    broker.flushall()
    settings = Settings(quire_dispatch_window=WINDOW)
    result = reconcile_once(settings, database, jobs.count_tickets, jobs.issue_ticket)
    assert result.tickets_issued == jobs.count_tickets() == WINDOW


def test_documents_are_accepted_without_redis_and_wait(database: Engine, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setattr(jobs, "get_settings", lambda: settings)
    document = new()
    jobs.submit(document, database)
    assert take(database) == [document.id]

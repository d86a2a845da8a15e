"""Webhooks: written with the end of a document, signed, sent until they are taken, never to this network."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from standardwebhooks import Webhook, WebhookVerificationError

from flow.webhooks import SCHEDULE, deliver
from quire import jobs
from quire.cli.samples import sample_photo
from quire.contracts import OcrPayload
from quire.database import documents, webhooks
from quire.database.engine import connect, transaction
from quire.database.tables import WebhookDelivery
from quire.database.webhooks import Attempt, Event
from quire.embedded.processes import free_port
from quire.errors import Corrupt
from quire.queues import ticket_producer
from quire.settings import Settings, get_settings
from quire.webhook_signature import new_secret
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import Bench

SETTINGS = Settings(quire_outbound_allow="127.0.0.1")


@dataclass
class Receiver:
    """An endpoint that remembers what it got; `answers` are statuses and headers, 204 when they are used up."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    # Seconds for which a header of the answer takes to come.
    drips: float = 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiving = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiving.got.append((dict(self.headers), body))
            receiving.before_answer()
            status, headers = receiving.answers.pop(0) if receiving.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            with suppress(OSError):
                self.drip(receiving.drips)
                self.end_headers()

        def drip(self, seconds: float) -> None:
            self.flush_headers()
            for _ in range(int(seconds / 0.1)):
                self.wfile.write(b"X-Part: a\r\n")
                time.sleep(0.1)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiving.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield receiving
    server.shutdown()
    server.server_close()


def add_endpoint(database: Engine, url: str, owner: str = "", events: tuple[Event, ...] = webhooks.EVENTS) -> str:
    """An endpoint's secret."""
    secret = new_secret()
    with transaction(database) as session:
        webhooks.add_endpoint(session, owner, url, secret, events)
    return secret


def read_document(bench: Bench, engine: InstantEngine | None = None) -> UUID:
    """A photo from submission to end."""
    document_id = bench.accept(bench.put("photo.jpg", sample_photo()))
    (bench.with_engine(engine) if engine else bench.flow).work(document_id)
    return document_id


def due(database: Engine) -> list[Attempt]:
    with transaction(database) as session:
        return webhooks.dispatch(session, most=10)


def make_due(database: Engine) -> None:
    with transaction(database) as session:
        session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending'"))


def messages(database: Engine) -> list[WebhookDelivery]:
    with transaction(database) as session:
        return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.created_at)))


def test_the_end_of_a_document_is_told_once_and_signed(bench: Bench, receiver: Receiver):
    secret = add_endpoint(bench.database, receiver.url)
    document_id = read_document(bench)
    (attempt,) = due(bench.database)
    assert deliver(SETTINGS, bench.database, attempt).outcome == "delivered"
    ((headers, body),) = receiver.got
    payload = Webhook(secret).verify(body, headers)
    assert payload["type"] == "document.completed"
    assert payload["data"]["document_id"] == str(document_id)
    assert (payload["data"]["status"], payload["data"]["pages_done"]) == ("completed", 1)
    assert set(payload["data"]) == {"document_id", "status", "page_count", "pages_done", "pages_failed"}
    # Counts, but no text.
    assert str(bench.pages(document_id)[1].text) not in body.decode()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)
    # The task delivered again, the reconciler, the next ticket: nothing is sent twice.
    assert deliver(SETTINGS, bench.database, attempt).outcome == "skipped"
    make_due(bench.database)
    assert due(bench.database) == []
    assert len(receiver.got) == 1


def test_a_document_that_cannot_be_read_is_told_as_failed(bench: Bench, receiver: Receiver):
    def fail(_: Any) -> None:
        raise Corrupt("The page is damaged.")

    add_endpoint(bench.database, receiver.url)
    read_document(bench, InstantEngine(fail))
    unopened = bench.accept(bench.put("broken.pdf", b"%PDF-1.4 and nothing else"))
    bench.flow.work(unopened)
    for attempt in due(bench.database):
        deliver(SETTINGS, bench.database, attempt)
    told = [json.loads(body) for _, body in receiver.got]
    assert [each["type"] for each in told] == ["document.failed"] * 2
    assert {each["data"]["error"]["code"] for each in told} == {"corrupt"}


def test_an_endpoint_hears_only_of_its_owner_and_its_events(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url, owner="somebody else")
    add_endpoint(bench.database, receiver.url, events=("document.failed",))
    read_document(bench)
    assert messages(bench.database) == []


def test_a_document_read_again_after_a_failure_is_told_again(bench: Bench, receiver: Receiver):
    def fail(_: Any) -> None:
        raise Corrupt("The page is damaged.")

    add_endpoint(bench.database, receiver.url)
    document_id = read_document(bench, InstantEngine(fail))
    with transaction(bench.database) as session:
        documents.retry_failed(session, document_id)
    bench.flow.work(document_id)
    assert [each.event for each in messages(bench.database)] == ["document.failed", "document.completed"]


def test_what_is_rolled_back_is_not_told(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    document_id = bench.accept(bench.put("photo.jpg", sample_photo()))
    with Session(bench.database) as session:
        assert documents.fail(session, document_id, Corrupt("damaged"))
        session.rollback()
    assert messages(bench.database) == []


def test_a_message_is_sent_until_it_is_taken(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    receiver.answers = [(500, {}), (302, {"Location": receiver.url}), (429, {"Retry-After": "4000"})]
    waits = []
    for _ in range(3):
        (attempt,) = due(bench.database)
        assert deliver(SETTINGS, bench.database, attempt).outcome == "put_off"
        (message,) = messages(bench.database)
        assert message.next_attempt_at is not None
        waits.append((message.next_attempt_at - datetime.now(UTC)).total_seconds())
        assert due(bench.database) == [], "it is not due yet"
        make_due(bench.database)
    assert SCHEDULE[0] * 0.7 < waits[0] < SCHEDULE[0] * 1.3
    assert SCHEDULE[1] * 0.7 < waits[1] < SCHEDULE[1] * 1.3
    assert 3990 < waits[2] <= 4000, "what the endpoint asked for is longer"
    (attempt,) = due(bench.database)
    assert deliver(SETTINGS, bench.database, attempt).outcome == "delivered"
    # A redirect is not followed, and the message is known again by its id.
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 4


def test_a_message_that_nobody_takes_is_given_up(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    receiver.answers = [(500, {})] * 20
    for number in range(len(SCHEDULE) + 1):
        make_due(bench.database)
        (attempt,) = due(bench.database)
        assert attempt.attempt == number
        outcome = deliver(SETTINGS, bench.database, attempt).outcome
    assert outcome == "failed"
    (message,) = messages(bench.database)
    assert (message.status, message.attempts, message.last_status) == ("failed", 10, 500)
    with transaction(bench.database) as session:
        webhooks.redeliver(session, message.id)
    receiver.answers.clear()
    (attempt,) = due(bench.database)
    assert deliver(SETTINGS, bench.database, attempt).outcome == "delivered"


def test_an_endpoint_that_is_gone_is_asked_once(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    receiver.answers = [(410, {})]
    (attempt,) = due(bench.database)
    assert deliver(SETTINGS, bench.database, attempt).outcome == "failed"


def test_one_of_many_workers_makes_an_attempt(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    (attempt,) = due(bench.database)
    with ThreadPoolExecutor(8) as workers:
        outcomes = list(workers.map(lambda _: deliver(SETTINGS, bench.database, attempt).outcome, range(8)))
    assert sorted(outcomes) == ["delivered", *["skipped"] * 7]
    assert len(receiver.got) == 1


def test_addresses_of_this_network_are_not_called(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    (attempt,) = due(bench.database)
    assert deliver(Settings(), bench.database, attempt).outcome == "put_off"
    (message,) = messages(bench.database)
    assert message.last_error == "address_not_allowed"
    assert receiver.got == []


def test_an_endpoint_that_answers_a_little_at_a_time_is_left(
    bench: Bench, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flow.webhooks._ANSWER_SECONDS", 0.5)
    receiver.drips = 10
    add_endpoint(bench.database, receiver.url)
    read_document(bench)
    (attempt,) = due(bench.database)
    begun = time.monotonic()
    assert deliver(SETTINGS, bench.database, attempt).outcome == "put_off"
    assert time.monotonic() - begun < 5
    (message,) = messages(bench.database)
    assert "Timeout" in str(message.last_error)


def test_an_endpoint_deleted_while_a_document_ends_does_not_keep_it_from_ending(bench: Bench, receiver: Receiver):
    add_endpoint(bench.database, receiver.url)
    document_id = bench.accept(bench.put("photo.jpg", sample_photo()))
    deleting = threading.Event()

    def delete() -> None:
        with transaction(bench.database) as session:
            for endpoint in webhooks.list_endpoints(session, None, most=1):
                webhooks.delete_endpoint(session, endpoint.id)
            deleting.set()
            wait_until_blocked(bench.database)

    with ThreadPoolExecutor(1) as other:
        deleted = other.submit(delete)
        assert deleting.wait(10)
        bench.flow.work(document_id)
        deleted.result()
    assert bench.document(document_id).status == "completed"
    assert messages(bench.database) == []


def wait_until_blocked(database: Engine) -> None:
    """Wait until somebody waits for a lock of another transaction."""
    deadline = time.monotonic() + 20
    with database.connect() as connection:
        while not connection.scalar(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_while_redis_is_away_one_task_is_tried_and_the_others_wait(
    bench: Bench, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    forget = (get_settings.cache_clear, ticket_producer.cache_clear)
    for _ in range(3):
        add_endpoint(bench.database, receiver.url)
    read_document(bench)
    try:
        for cache_clear in forget:
            cache_clear()
        jobs.dispatch_webhooks(bench.database)
    finally:
        monkeypatch.undo()
        for cache_clear in forget:
            cache_clear()
    assert caplog.text.count("has no task") == 1
    make_due(bench.database)
    assert len(due(bench.database)) == 3


def _deliver_in_process(url: str, attempt: Attempt) -> None:
    deliver(SETTINGS, connect(url), attempt)


def test_a_worker_killed_before_it_has_noted_the_answer_sends_it_again(
    bench: Bench, receiver: Receiver, database_url: str
):
    secret = add_endpoint(bench.database, receiver.url)
    read_document(bench)
    (attempt,) = due(bench.database)
    url = str(Settings(database_url=database_url).sqlalchemy_url)
    worker = multiprocessing.get_context("spawn").Process(target=_deliver_in_process, args=(url, attempt))

    def kill() -> None:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)

    receiver.before_answer = kill
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    receiver.before_answer = lambda: None
    (message,) = messages(bench.database)
    assert message.status == "pending"
    assert message.next_attempt_at is not None
    assert message.next_attempt_at > datetime.now(UTC) + timedelta(seconds=30), "nobody else sends it meanwhile"
    make_due(bench.database)
    (attempt,) = due(bench.database)
    assert deliver(SETTINGS, bench.database, attempt).outcome == "delivered"
    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert Webhook(secret).verify(second[1], second[0])


def test_without_endpoints_the_end_of_a_document_costs_no_row(bench: Bench):
    document_id = bench.flow.accept(OcrPayload(key=bench.put("a.jpg", sample_photo()), bucket="documents"), "task")
    bench.flow.work(document_id)
    assert messages(bench.database) == []

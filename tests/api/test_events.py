"""Progress events: each page once in every stream, whatever happens to connections, processes and Postgres."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from quire import jobs
from quire.database import retention, tombstones
from quire.database.engine import transaction
from quire.embedded import EmbeddedPostgres
from quire.errors import Corrupt
from quire.job import Job
from tests.api.conftest import Replicas
from tests.api.streams import Stream
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import Bench
from tests.pdfs import write_scanned_pdf

PAGES = 24
EVERY_PAGE = dict.fromkeys(range(1, PAGES + 1), "done")

Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="package")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_scanned_pdf(tmp_path_factory.mktemp("scan") / "scan.pdf", PAGES).read_bytes()


@pytest.fixture
def document_id(replicas_bench: Bench, scan_file: bytes) -> uuid.UUID:
    return replicas_bench.accept(replicas_bench.put("scan.pdf", scan_file))


def taking(seconds: float) -> InstantEngine:
    """An engine that needs this long for a page."""
    return InstantEngine(lambda _: time.sleep(seconds))


def test_a_stream_shows_each_page_once_and_ends(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually
):
    with Stream(replicas.urls[0], document_id) as stream:
        eventually(lambda: stream.documents)
        assert stream.documents[0]["status"] == "queued"
        replicas_bench.with_engine(taking(0.02)).work(document_id)
        eventually(lambda: stream.is_closed)
    assert stream.end == "completed"
    assert len(stream.pages) == PAGES
    assert dict(stream.pages) == EVERY_PAGE
    assert stream.events[0].name == "document"
    assert stream.documents[-1]["status"] == "completed"
    counts = [each["pages_done"] for each in stream.documents]
    assert counts == sorted(counts)
    assert counts[-1] == PAGES


def test_who_comes_back_gets_what_was_missed_from_any_replica(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually
):
    """Connections break at random, each time another replica answers."""
    chosen = random.Random(11)
    with ThreadPoolExecutor(1) as worker:
        working = worker.submit(replicas_bench.with_engine(taking(0.05)).work, document_id)
        seen: list[tuple[int, str]] = []
        last: str | None = None
        connections = 0
        while True:
            with Stream(replicas.urls[connections % 2], document_id, last) as stream:
                enough = chosen.randint(1, 5)
                eventually(lambda: len(stream.pages) >= enough or stream.is_closed)  # noqa: B023
            seen += stream.pages
            last = stream.events[-1].id
            connections += 1
            if stream.end:
                break
        working.result()
    assert connections > 2
    assert sorted(seen) == sorted(EVERY_PAGE.items())
    # Who has had the end is told that nothing is left.
    answer = httpx.get(
        f"{replicas.urls[0]}/api/v1/documents/{document_id}/events", headers={"Last-Event-ID": str(last)}
    )
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("event_id", ["", "nonsense", "1-;2;running", "9-1;;running"])
def test_an_id_that_is_none_gets_everything(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually, event_id: str
):
    replicas_bench.flow.work(document_id, number=2)
    with Stream(replicas.urls[0], document_id, event_id) as stream:
        eventually(lambda: stream.pages == [(2, "done")])


def test_events_go_on_when_connections_are_killed_and_postgres_restarts(
    replicas: Replicas,
    replicas_bench: Bench,
    document_id: uuid.UUID,
    postgres_server: EmbeddedPostgres,
    eventually: Eventually,
):
    with Stream(replicas.urls[0], document_id) as first, Stream(replicas.urls[1], document_id) as second:
        streams = (first, second)

        def read(number: int) -> None:
            replicas_bench.flow.work(document_id, number=number)

        def show(*numbers: int) -> None:
            expected = [(number, "done") for number in numbers]
            eventually(lambda: all(stream.pages == expected for stream in streams))

        read(1)
        show(1)
        for number in (2, 3):
            with transaction(replicas_bench.database) as session:
                killed = session.execute(
                    text("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE query LIKE 'LISTEN%' AND datname = current_database()""")
                ).all()
            assert len(killed) == 2
            # While nobody listens.
            read(number)
            show(*range(1, number + 1))
            eventually(lambda: listeners(replicas_bench) == 2)
        postgres_server.restart("immediate")
        read(4)
        show(1, 2, 3, 4)
        eventually(lambda: listeners(replicas_bench) == 2)
        replicas_bench.flow.work(document_id)
        eventually(lambda: first.is_closed and second.is_closed)
        for stream in streams:
            assert sorted(stream.pages) == sorted(EVERY_PAGE.items())
            assert stream.end == "completed"


def listeners(bench: Bench) -> int:
    with transaction(bench.database) as session:
        found = session.scalar(
            text("""SELECT count(*) FROM pg_stat_activity
            WHERE query LIKE 'LISTEN%' AND datname = current_database()""")
        )
    return int(found or 0)


def test_a_page_that_is_retried_is_told_again(
    replicas: Replicas,
    replicas_bench: Bench,
    document_id: uuid.UUID,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(jobs, "issue_ticket", replicas_bench.tickets.append)

    def fail(_: object) -> None:
        raise Corrupt("Not today.")

    failing = replicas_bench.with_engine(InstantEngine(fail))
    with Stream(replicas.urls[0], document_id) as stream:
        for times in (1, 2):
            failing.work(document_id, number=4)
            eventually(lambda: stream.pages == [(4, "failed")] * times)  # noqa: B023
            assert Job(document_id, replicas_bench.database).retry()
            eventually(lambda: stream.documents[-1]["pages_failed"] == 0)
        assert stream.events[-1].id == ";;running"
        error = next(each.data for each in stream.events if each.name == "page")["error"]
        assert error == {"code": "corrupt", "message": "Not today."}
        replicas_bench.flow.work(document_id)
        eventually(lambda: stream.is_closed)
    assert sorted(stream.pages) == sorted([(4, "failed")] * 2 + list(EVERY_PAGE.items()))


def test_who_saw_the_end_sees_the_retry(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch, eventually
):
    monkeypatch.setattr(jobs, "issue_ticket", replicas_bench.tickets.append)

    def fail(image: object) -> None:
        if getattr(image, "number", 0) in (4, 9):
            raise Corrupt("Not today.")

    replicas_bench.with_engine(InstantEngine(fail)).work(document_id)
    with Stream(replicas.urls[0], document_id) as stream:
        eventually(lambda: stream.is_closed)
    assert stream.end == "partial"
    Job(document_id, replicas_bench.database).retry()
    with Stream(replicas.urls[1], document_id, stream.events[-1].id) as again:
        replicas_bench.flow.work(document_id)
        eventually(lambda: again.is_closed)
    assert (again.pages, again.end) == ([(4, "done"), (9, "done")], "completed")


def test_a_cancelled_document_ends_its_streams(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually
):
    with Stream(replicas.urls[0], document_id) as stream:
        eventually(lambda: stream.documents)
        Job(document_id, replicas_bench.database).cancel()
        eventually(lambda: stream.is_closed)
    assert stream.end == "cancelled"


def test_a_document_that_is_deleted_ends_its_streams(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually
):
    with Stream(replicas.urls[0], document_id) as stream:
        eventually(lambda: stream.documents)
        with transaction(replicas_bench.database) as session:
            tombstones.bury(session, document_id, "", "deleted")
            retention.delete_documents(session, [document_id])
        eventually(lambda: stream.is_closed)
    assert stream.end == "deleted"


def test_what_there_is_not_is_not_found(client: httpx.Client):
    answer = client.get(f"/api/v1/documents/{uuid.uuid4()}/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_proxies_are_told_to_keep_nothing_back(
    replicas: Replicas, client: httpx.Client, replicas_bench: Bench, document_id: uuid.UUID
):
    replicas_bench.flow.work(document_id)
    answer = client.get(f"/api/v1/documents/{document_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "retry: 1000\n" in answer.text


def test_a_process_that_is_told_to_end_ends_its_streams(
    replicas: Replicas, replicas_bench: Bench, document_id: uuid.UUID, eventually: Eventually
):
    url = replicas.add()
    replicas.wait_until_ready()
    process = replicas.processes[-1]
    try:
        with Stream(url, document_id) as stream:
            eventually(lambda: stream.documents)
            started = time.monotonic()
            process.stop()
            assert time.monotonic() - started < 10
            assert stream.is_closed
            # Without `end`: the client comes back, to another process.
            assert stream.end is None
    finally:
        process.stop()
        replicas.urls.pop()
        replicas.processes.pop()

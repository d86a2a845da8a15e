"""What a server does for its streams: few looks, nothing that piles up, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from sqlalchemy import Engine

from benchmarks.event_streams import measure
from quire import keys
from quire.contracts import OcrOptions
from quire.database import documents
from quire.database import engine as database_engine
from quire.database.engine import get_engine, transaction
from quire.embedded.processes import free_port
from quire.errors import DatabaseUnreachable, DocumentNotFound
from quire.settings import get_settings
from quire_api import caller
from quire_api.app import create_app
from quire_api.caller import Caller
from quire_api.document_look import look_at
from quire_api.progress import Snapshot, Told
from quire_api.routers import events
from quire_api.watching import Watch, Watches
from tests.api.conftest import Replicas, make_key


@pytest.fixture
def process_database(database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """This process as an API on a database of its own."""

    def forget() -> None:
        get_settings.cache_clear()
        database_engine._engine_of_process.cache_clear()

    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("QUIRE_AUTH", "off")
    forget()
    yield database
    get_engine().dispose()
    monkeypatch.undo()
    forget()


def add_document(database: Engine, owner: str = "") -> uuid.UUID:
    document_id = uuid.uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "documents", "key", OcrOptions(), owner=owner))
    return document_id


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, Watches]]:
    """A server in this event loop: its port, and what it watches."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(get_settings()), port=port, log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port, server.lifespan.state["watches"]
    finally:
        server.should_exit = True
        await running


async def eventually(question: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not question():
            await asyncio.sleep(0.01)


async def connect(port: int, document_id: uuid.UUID) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/documents/{document_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader, writer


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def test_streams_that_are_left_are_forgotten(process_database: Engine):
    document_id = add_document(process_database)

    async def test() -> None:
        async with serving() as (port, watches):
            clients = [await connect(port, document_id) for _ in range(5)]
            for reader, _ in clients:
                await reader.readuntil(b"event: document")
            assert (watches.streams, watches.documents) == (5, 1)
            for _, writer in clients:
                writer.close()
            await eventually(lambda: (watches.streams, watches.documents) == (0, 0))

    run(test)


def test_a_stream_without_news_says_that_it_is_there(process_database: Engine, monkeypatch: pytest.MonkeyPatch):
    assert events._HEARTBEAT_SECONDS == 15
    monkeypatch.setattr(events, "_HEARTBEAT_SECONDS", 0.05)
    document_id = add_document(process_database)

    async def test() -> None:
        async with serving() as (port, _):
            reader, writer = await connect(port, document_id)
            await reader.readuntil(b"event: document")
            await reader.readuntil(b"\n\n")
            for _ in range(3):
                # Each message is a chunk of its own, with its length before it.
                assert (await reader.readuntil(b"\n\n")).endswith(b"\r\n: still here\n\n")
            writer.close()

    run(test)


def test_fifty_streams_see_every_page_once_and_soon(replicas: Replicas, replicas_database: Engine):
    api = psutil.Process(replicas.processes[0].pid)
    measured = measure(replicas_database, replicas.urls[0], api, streams=50, pages=100, rate=60)
    assert measured.every_page_once
    assert measured.delay_median < 1
    assert measured.api_rss_mib_after - measured.api_rss_mib_before < 50


def test_a_document_is_looked_at_once_a_period_however_many_watch_it():
    looks: list[float] = []

    def look(document_id: uuid.UUID, known: Snapshot | None) -> Snapshot:
        looks.append(time.monotonic())
        return Snapshot("running", (1 << len(looks)) - 1 << 1)

    class Busy:
        """Something has always changed."""

        poll_seconds = 0.0

        def watching(self, document_id: uuid.UUID, changed: Callable[[], None]) -> Any:
            return _Nothing()

    async def test() -> None:
        watches = Watches(Busy, look)  # type: ignore[arg-type]
        document_id = uuid.uuid4()

        async def stream() -> int:
            seen: Snapshot | None = None
            async with watches.watching(document_id) as watch:
                for _ in range(5):
                    seen = await watch.next(seen)
            assert seen is not None
            return seen.done

        assert set(await asyncio.gather(*(stream() for _ in range(100)))) == {0b111110}
        assert watches.documents == 0

    started = time.monotonic()
    run(test)
    assert len(looks) == 5
    assert time.monotonic() - started >= 4 * 0.15


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_a_slow_stream_skips_to_the_latest():
    async def test() -> None:
        watch = Watch(uuid.uuid4())
        for number in range(1, 101):
            watch.publish(Snapshot("running", 1 << number))
        latest = await watch.next(None)
        assert latest == Snapshot("running", 1 << 100)
        waiting = asyncio.create_task(watch.next(latest))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        watch.publish(Snapshot("completed"))
        assert await waiting == Snapshot("completed")
        watch.close()
        assert await watch.next(None) is None

    run(test)


def test_streams_that_know_the_same_share_what_is_made():
    async def test() -> None:
        watch = Watch(uuid.uuid4())
        now = Snapshot("running", 0b1110, document="{}")
        watch.publish(now)
        (first,), (second,) = list(watch.events(Told(), now)), list(watch.events(Told(), now))
        assert first[0] is second[0]
        assert list(watch.events(first[1], now)) == []
        assert b"".join(part for part, _ in watch.events(Told(done=0b10), now)).count(b"event: page") == 2
        later = Snapshot("running", 0b11110, document="{}")
        watch.publish(later)
        # A slow stream is still at the one before.
        assert b"".join(part for part, _ in watch.events(Told(), now)) == first[0]
        assert b"".join(part for part, _ in watch.events(first[1], later)).count(b"event: page") == 1

    run(test)


@pytest.mark.parametrize("error", [DatabaseUnreachable("away"), ValueError("a bug")])
def test_a_look_that_fails_is_made_again(error: Exception):
    answers: list[Exception | Snapshot] = [error, Snapshot("running")]

    def look(document_id: uuid.UUID, known: Snapshot | None) -> Snapshot:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    class Silent:
        poll_seconds = 0.01

        def watching(self, document_id: uuid.UUID, changed: Callable[[], None]) -> Any:
            return _Nothing()

    async def test() -> None:
        watches = Watches(Silent, look)  # type: ignore[arg-type]
        async with watches.watching(uuid.uuid4()) as watch:
            assert await watch.next(None) == Snapshot("running")

    run(test)


def test_a_document_of_another_owner_is_not_found(process_database: Engine):
    document_id = add_document(process_database, owner="acme")
    for owner in (None, "acme"):
        assert events.watched_document(document_id, Caller(owner=owner)) == document_id
    with pytest.raises(DocumentNotFound):
        events.watched_document(document_id, Caller(owner="another"))
    assert json.loads(look_at(document_id, None).document)["id"] == str(document_id)


def test_a_stream_ends_when_its_key_is_revoked(process_database: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUIRE_AUTH", "required")
    monkeypatch.setattr(events, "_HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(caller, "_REMEMBERED_SECONDS", 0.1)
    get_settings.cache_clear()
    document_id = add_document(process_database, "ada")
    key_id, headers = make_key(process_database, "ada")

    async def run() -> None:
        async with serving() as (port, _), httpx.AsyncClient(timeout=20) as client:
            url = f"http://127.0.0.1:{port}/api/v1/documents/{document_id}/events"
            async with client.stream("GET", url, headers=headers) as stream:
                lines = stream.aiter_lines()
                heartbeats = 0
                async for line in lines:
                    heartbeats += line.startswith(":")
                    if heartbeats == 3:
                        break
                with transaction(process_database) as session:
                    keys.revoke_key(session, key_id)
                # Ends; else the client's time-out raises.
                assert len([line async for line in lines if line.startswith(":")]) < 20

    asyncio.run(run())

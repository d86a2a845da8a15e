"""Uploads while Postgres goes away: what was accepted keeps its file, what was not leaves none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.pool import QueuePool

from quire import queues
from quire.contracts import OcrOptions
from quire.database import engine as database_engine
from quire.database.documents import NewDocument
from quire.database.engine import get_engine, transaction
from quire.database.tables import Document
from quire.embedded import EmbeddedRedis
from quire.errors import DatabaseUnreachable
from quire.jobs import count_tickets, submit
from quire.settings import get_settings
from quire.storage import FolderStore
from quire_api import uploads, warm_up
from quire_api.own_threads import SUBMISSIONS

CONTENT = b"%PDF-1.7 and so on"


@pytest.fixture
def store(
    database_url: str, redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FolderStore]:
    """The store of an API that has the test's database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    clear_caches()
    yield FolderStore(tmp_path / "objects")
    clear_caches()


def clear_caches() -> None:
    if database_engine._engine_of_process.cache_info().currsize:
        get_engine().dispose()
    for cached in (get_settings, queues.producer, queues.ticket_producer, database_engine._engine_of_process):
        cached.cache_clear()


def upload(store: FolderStore) -> UUID:
    stored = uploads.store_upload(io.BytesIO(CONTENT), "a.pdf", OcrOptions(), get_settings(), store)
    return uploads.submit_upload(stored, store).id


def files(store: FolderStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def rows(database: Engine) -> list[UUID]:
    with transaction(database) as session:
        return list(session.scalars(select(Document.id)))


def test_a_document_whose_commit_went_unanswered_is_accepted(
    store: FolderStore, database: Engine, monkeypatch: pytest.MonkeyPatch
):
    def submit_and_lose_the_answer(new: NewDocument, _key: None) -> UUID:
        submit(new)
        raise DatabaseUnreachable("The connection broke.")

    monkeypatch.setattr(uploads, "submit_once", submit_and_lose_the_answer)
    document_id = upload(store)
    assert rows(database) == [document_id]
    assert [path.read_bytes() for path in files(store)] == [CONTENT]


def test_a_document_that_was_not_accepted_leaves_no_file(
    store: FolderStore, database: Engine, monkeypatch: pytest.MonkeyPatch
):
    def refuse(new: NewDocument, _key: None) -> UUID:
        raise DatabaseUnreachable("The connection broke.")

    monkeypatch.setattr(uploads, "submit_once", refuse)
    with pytest.raises(DatabaseUnreachable):
        upload(store)
    assert (rows(database), files(store)) == ([], [])


def test_nothing_is_stored_while_postgres_is_away(store: FolderStore, monkeypatch: pytest.MonkeyPatch):
    stored: list[str] = []
    monkeypatch.setattr(store, "put", lambda bucket, key, *_: stored.append(key))
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    clear_caches()
    with pytest.raises(DatabaseUnreachable):
        upload(store)
    assert stored == []


def test_a_process_that_warms_up_has_its_connections_and_leaves_nothing(store: FolderStore, database: Engine):
    tickets = count_tickets()
    warm_up.warm_up()
    pool = get_engine().pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedin() == SUBMISSIONS.most
    assert rows(database) == []
    assert count_tickets() == tickets


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_a_process_starts_where_a_service_is_away(store: FolderStore, missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(missing, {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}.get(missing, "redis://127.0.0.1:1"))
    clear_caches()
    warm_up.warm_up()

"""What is kept, what is deleted, and what is read again."""

from __future__ import annotations

import io
import uuid
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from flow.purge import purge_expired
from quire import jobs
from quire.contracts import OcrOptions
from quire.database import documents, tombstones
from quire.database.engine import transaction
from quire.deletion import delete_document, derived_prefix
from quire.errors import Corrupt, DocumentNotFound, ObjectNotFound, StorageUnreachable
from quire.settings import Settings
from quire.storage import FolderStore
from quire.storage.base import UPLOADS
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import Bench
from tests.pdfs import write_scanned_pdf

SETTINGS = Settings(quire_result_retention=7)
BUCKET = SETTINGS.default_bucket


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def add(database: Engine, store: FolderStore, days: float | None, bucket: str = BUCKET, prefix: str = UPLOADS) -> str:
    """A document that ended so many days ago (None: not yet); the key of its file."""
    document_id = uuid.uuid4()
    key = f"{prefix}{document_id}"
    store.put(bucket, key, io.BytesIO(b"content"))
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, bucket, key, OcrOptions()))
        documents.begin_plan(session, document_id, seconds=60)
        documents.plan(session, document_id, documents.Plan(1, [1], "image/png", 7, ""))
        if days is not None:
            session.execute(
                text("""UPDATE documents SET status = 'completed', finished_at = now() - make_interval(secs => :s)
                WHERE id = :id"""),
                {"id": document_id, "s": days * 86_400},
            )
    return key


def keys_left(database: Engine) -> set[str]:
    with transaction(database) as session:
        return {row.source_key for row in session.execute(text("SELECT source_key FROM documents"))}


def has_file(store: FolderStore, key: str, bucket: str = BUCKET) -> bool:
    try:
        store.head(bucket, key)
    except ObjectNotFound:
        return False
    return True


def test_what_is_too_old_goes_with_its_pages_and_its_upload(database: Engine, store: FolderStore):
    old, young, unfinished = (add(database, store, days) for days in (7.1, 6.9, None))
    assert purge_expired(SETTINGS, database, store).documents_deleted == 1
    assert keys_left(database) == {young, unfinished}
    assert [has_file(store, key) for key in (old, young, unfinished)] == [False, True, True]
    with transaction(database) as session:
        assert session.scalar(text("SELECT count(*) FROM pages")) == 2


def test_files_that_are_the_callers_stay(database: Engine, store: FolderStore):
    named = add(database, store, 30, prefix="invoices/")
    elsewhere = add(database, store, 30, bucket="another")
    assert purge_expired(SETTINGS, database, store).documents_deleted == 2
    assert has_file(store, named)
    assert has_file(store, elsewhere, "another")


def test_an_upload_goes_with_its_own_document_alone(database: Engine, store: FolderStore):
    """It can be named by its key, too, and is not the other document's then."""
    key = add(database, store, None)
    another = uuid.uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(another, BUCKET, key, OcrOptions()))
    assert delete_document(SETTINGS, store, another, database)
    assert has_file(store, key)
    assert delete_document(SETTINGS, store, uuid.UUID(key.removeprefix(UPLOADS)), database)
    assert not has_file(store, key)


def test_of_what_is_too_old_only_the_reason_stays_for_a_time(database: Engine, store: FolderStore):
    document_id = uuid.UUID(add(database, store, 8).removeprefix(UPLOADS))
    image = f"{derived_prefix(document_id)}page-1.jpg"
    store.put(BUCKET, image, io.BytesIO(b"image"))
    purge_expired(SETTINGS, database, store)
    assert not has_file(store, image)
    assert reason_of(database, document_id) == "expired"
    age(database, tombstones.KEPT_DAYS - 1)
    purge_expired(SETTINGS, database, store)
    assert reason_of(database, document_id) == "expired"
    age(database, 2)
    purge_expired(SETTINGS, database, store)
    assert reason_of(database, document_id) is None


def reason_of(database: Engine, document_id: uuid.UUID) -> str | None:
    with transaction(database) as session:
        gone = tombstones.find(session, document_id)
    return None if gone is None else gone.reason


def age(database: Engine, days: int) -> None:
    """Let so many days go by for all tombstones."""
    with transaction(database) as session:
        session.execute(
            text("UPDATE tombstones SET deleted_at = deleted_at - make_interval(days => :days)"), {"days": days}
        )


def test_more_than_one_batch_is_deleted(database: Engine, store: FolderStore):
    for _ in range(205):
        add(database, store, 8)
    assert purge_expired(SETTINGS, database, store).documents_deleted == 205
    assert keys_left(database) == set()


def test_zero_days_keep_everything(database: Engine, store: FolderStore):
    add(database, store, 1000)
    assert purge_expired(Settings(quire_result_retention=0), database, store).documents_deleted == 0
    assert len(keys_left(database)) == 1


def test_while_storage_does_not_answer_rows_stay_for_the_next_run(database: Engine, tmp_path: Path):
    class Unreachable(FolderStore):
        def delete(self, bucket: str, key: str) -> None:
            raise StorageUnreachable("no answer")

    store = Unreachable(tmp_path / "objects")
    key = add(database, store, 8)
    assert purge_expired(SETTINGS, database, store).documents_deleted == 0
    assert keys_left(database) == {key}
    assert purge_expired(SETTINGS, database, FolderStore(tmp_path / "objects")).documents_deleted == 1


def test_only_pages_that_failed_are_read_again(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "issue_ticket", bench.tickets.append)
    key = bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 5).read_bytes())
    document_id = bench.accept(key)

    def fail(image: object) -> None:
        if getattr(image, "number", 0) in (2, 4):
            raise Corrupt("not today")

    assert bench.with_engine(InstantEngine(fail)).work(document_id).status == "partial"
    bench.tickets.clear()
    assert jobs.retry(document_id, bench.database)
    assert [ticket.document_id for ticket in bench.tickets] == [document_id]
    document = bench.document(document_id)
    assert (document.status, document.pages_done, document.pages_failed, document.finished_at) == (
        "running",
        3,
        0,
        None,
    )
    result = bench.flow.work(document_id)
    assert (result.status, result.pages_done, result.errors, bench.engine.read) == ("completed", 5, (), [2, 4])
    assert not jobs.retry(document_id, bench.database)


def test_a_document_that_could_not_be_opened_is_opened_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "issue_ticket", bench.tickets.append)
    key = bench.put("scan.pdf", b"%PDF-1.7 and no more")
    document_id = bench.accept(key)
    assert bench.flow.work(document_id).status == "failed"
    bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes())
    assert jobs.retry(document_id, bench.database)
    assert bench.flow.work(document_id).status == "completed"
    assert bench.document(document_id).error_code is None


def test_what_was_cancelled_is_not_retried(bench: Bench, tmp_path: Path):
    document_id = bench.accept(bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes()))
    assert jobs.cancel(document_id, bench.database)
    assert not jobs.cancel(document_id, bench.database)
    assert not jobs.retry(document_id, bench.database)


@pytest.mark.parametrize("action", [jobs.cancel, jobs.retry])
def test_what_there_is_not_is_neither_cancelled_nor_retried(database: Engine, action):
    with pytest.raises(DocumentNotFound):
        action(uuid.uuid4(), database)

"""Tickets against real Postgres and real files, with an engine that costs nothing."""

from __future__ import annotations

import io
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from PIL import Image
from sqlalchemy import text

from flow.reconcile import reconcile_once
from flow.whole_document import WholeDocument
from quire.contracts import OcrPayload
from quire.database import documents, leases
from quire.database.engine import transaction
from quire.database.turns import Ticket
from quire.errors import BucketNotAllowed, DocumentNotFound, OutOfMemory, PageOutOfRange, StorageUnreachable
from quire.storage import FolderStore
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.pdfs import numbered_image, words_of, write_scanned_pdf, write_text_pdf


@pytest.fixture
def scan(bench: Bench, tmp_path: Path) -> str:
    """Key of a scanned PDF of ten pages."""
    return bench.put("scan.pdf", write_scanned_pdf(tmp_path / "scan.pdf", 10).read_bytes())


def test_a_ticket_takes_a_new_document_to_its_end(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    result = bench.flow.work(document_id)
    assert (result.status, result.page_count, result.pages_done, result.pages_failed) == ("completed", 10, 10, 0)
    assert bench.engine.read == list(range(1, 11))
    assert {page.attempts for page in bench.pages(document_id).values()} == {1}
    document = bench.document(document_id)
    assert document.media_type == "application/pdf"
    assert document.source_bytes == bench.store.head(BUCKET, scan).size
    assert document.source_sha256 is not None
    assert len(document.source_sha256) == 64


def test_planning_issues_tickets_for_others_up_to_the_parallelism(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    bench.flow.work(document_id)
    # Ten pages are three leases of four: this ticket and two more.
    assert bench.tickets == [Ticket(document_id, 0)] * 2


def test_a_payload_cannot_name_any_bucket_the_worker_could_read(bench: Bench):
    bench.store.put("payroll", "2026.pdf", io.BytesIO(b"%PDF-"))
    with pytest.raises(BucketNotAllowed):
        bench.flow.accept(OcrPayload(key="2026.pdf", bucket="payroll"), "task-1")
    whole = WholeDocument(bench.flow.settings, bench.store, lambda: bench.engine)
    with pytest.raises(BucketNotAllowed):
        whole.read(OcrPayload(key="2026.pdf", bucket="payroll"), "task-1")


def test_a_ticket_delivered_again_finds_nothing_to_do(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    assert bench.flow.work(document_id) == bench.flow.work(document_id)
    assert len(bench.engine.read) == 10


def test_a_task_delivered_again_finds_its_first_document(bench: Bench, scan: str):
    payload = OcrPayload(key=scan, bucket=BUCKET)
    assert bench.flow.accept(payload, "task-1") == bench.flow.accept(payload, "task-1")
    assert bench.flow.accept(payload, "task-1") != bench.flow.accept(payload, "task-2")


def test_a_ticket_whose_time_is_over_passes_the_rest_on(bench: Bench, scan: str):
    settings = bench.flow.settings.model_copy(update={"quire_ticket_seconds": 0, "quire_document_parallelism": 1})
    document_id = bench.accept(scan)
    result = replace(bench.flow, settings=settings).work(document_id)
    assert result.status == "running"
    assert bench.tickets == [Ticket(document_id, 0)]


def test_a_draining_worker_gives_unread_pages_back_and_passes_on(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    result = replace(bench.flow, draining=lambda: len(bench.engine.read) >= 2).work(document_id)
    # What is being read together is finished.
    assert (result.status, result.pages_done) == ("running", 4)
    assert bench.tickets[-1].document_id == document_id
    pages = bench.pages(document_id)
    assert [number for number, page in pages.items() if page.status == "done"] == [1, 2, 3, 4]
    assert {page.attempts for number, page in pages.items() if number > 4} == {0}
    assert bench.flow.work(document_id).status == "completed"
    assert sorted(bench.engine.read) == list(range(1, 11))


def test_pages_may_be_chosen(bench: Bench, scan: str):
    document_id = bench.accept(scan, pages="2-3,9-")
    assert bench.flow.work(document_id).status == "completed"
    assert sorted(bench.pages(document_id)) == [2, 3, 9, 10]


def test_one_page_is_read_by_its_number(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    bench.flow.work(document_id, number=7)
    assert [number for number, page in bench.pages(document_id).items() if page.status == "done"] == [7]
    with pytest.raises(PageOutOfRange):
        bench.flow.work(document_id, number=11)


def test_an_uploaded_page_image_carries_the_number_it_was_given(bench: Bench):
    buffer = io.BytesIO()
    numbered_image(7).save(buffer, "PNG")
    document_id = bench.accept(bench.put("page-7.png", buffer.getvalue()), page_number=7)
    assert bench.flow.work(document_id, number=7).status == "completed"
    (page,) = bench.pages(document_id).values()
    assert (page.number, page.detections[0]["page_number"]) == (7, 7)


def test_every_frame_of_a_tiff_is_a_page(bench: Bench):
    buffer = io.BytesIO()
    frames = [numbered_image(n, (100 + n, 50)) for n in (1, 2, 3)]
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    document_id = bench.accept(bench.put("fax.tiff", buffer.getvalue()))
    assert bench.flow.work(document_id).page_count == 3
    assert [bench.pages(document_id)[n].width for n in (1, 2, 3)] == [101, 102, 103]


def test_a_text_layer_is_used_and_said_to_be(bench: Bench, tmp_path: Path):
    key = bench.put("text.pdf", write_text_pdf(tmp_path / "text.pdf", 2).read_bytes())
    document_id = bench.accept(key)
    bench.flow.work(document_id)
    assert bench.engine.read == []
    assert [(p.source, p.text) for p in bench.pages(document_id).values()] == [
        ("text_layer", words_of(1)),
        ("text_layer", words_of(2)),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"hello", "unsupported_media_type"),
        (b"%PDF-1.4 nothing", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
    ],
)
def test_a_file_that_cannot_be_read_fails_with_its_code(bench: Bench, content: bytes, code: str):
    document_id = bench.accept(bench.put("file", content))
    result = bench.flow.work(document_id)
    assert result.status == "failed"
    assert result.errors[0].code == bench.document(document_id).error_code == code


def test_a_missing_object_fails_the_document(bench: Bench):
    result = bench.flow.work(bench.accept("nowhere.pdf"))
    assert (result.status, result.errors[0].code) == ("failed", "object_not_found")


def test_an_unknown_document_without_a_key_is_refused(bench: Bench):
    with pytest.raises(DocumentNotFound):
        bench.flow.accept(OcrPayload(document_id=uuid.uuid4()), "task")


def test_a_bad_page_costs_only_itself(bench: Bench, scan: str):
    def fail(image) -> None:
        if image.number == 3:
            raise OutOfMemory("too much")
        if image.number == 5:
            raise RuntimeError("a bug")

    document_id = bench.accept(scan)
    result = bench.with_engine(InstantEngine(fail)).work(document_id)
    assert (result.status, result.pages_done, result.pages_failed) == ("partial", 8, 2)
    assert [(error.page_number, error.code) for error in result.errors] == [(3, "out_of_memory"), (5, "internal")]
    assert "a bug" not in result.errors[1].message


def test_a_page_over_its_time_fails_and_the_batch_is_written(bench: Bench, scan: str):
    def interrupt(image) -> None:
        if image.number == 2:
            raise SoftTimeLimitExceeded

    document_id = bench.accept(scan)
    flow = bench.with_engine(InstantEngine(interrupt))
    # Read with its neighbours it blames none of them, and ends the ticket: the process has little time left.
    assert (flow.work(document_id).status, bench.tickets[-1]) == ("running", Ticket(document_id, 0))
    pages = bench.pages(document_id)
    assert [(page.status, page.attempts) for page in pages.values()] == [("pending", 1)] * 4 + [("pending", 0)] * 6
    # Alone it is the one.
    assert flow.work(document_id).pages_failed == 1
    pages = bench.pages(document_id)
    assert [(pages[number].status, pages[number].attempts) for number in (1, 2, 3, 4)] == [
        ("done", 2),
        ("failed", 2),
        ("pending", 1),
        ("pending", 1),
    ]
    result = flow.work(document_id)
    assert (result.status, result.pages_done, [e.code for e in result.errors]) == ("partial", 9, ["timeout"])


def test_leased_pages_are_read_together_and_those_begun_before_alone(bench: Bench, scan: str):
    together: list[list[int]] = []

    class Noting(InstantEngine):
        def recognize(self, images, languages):
            together.append([image.number for image in images])
            return super().recognize(images, languages)

    document_id = bench.accept(scan)
    dead = bench.flow._lease(document_id, 3)
    assert dead is None, "not planned yet"
    bench.flow.work(document_id, number=10)
    assert bench.flow._lease(document_id, 3) is not None
    bench.run_out_leases()
    assert bench.with_engine(Noting()).work(document_id).status == "completed"
    assert together == [[1, 2, 4], [3], [5, 6, 7, 8], [9]]


def test_a_page_that_fails_among_others_is_found_and_the_others_are_read(bench: Bench, scan: str):
    calls: list[int] = []

    def fail(image) -> None:
        calls.append(image.number)
        if image.number == 7:
            raise RuntimeError("a bug")

    document_id = bench.accept(scan)
    result = bench.with_engine(InstantEngine(fail)).work(document_id)
    assert (result.status, [error.page_number for error in result.errors]) == ("partial", [7])
    assert sorted(calls) == sorted([1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10])


class StoreThatGoesAway(FolderStore):
    """Unreachable until it is told otherwise."""

    reachable = False

    def download(self, bucket, key, target, max_bytes=None):
        if not self.reachable:
            raise StorageUnreachable("no answer")
        return super().download(bucket, key, target, max_bytes)


def test_an_unreachable_store_delays_a_document_and_uses_up_no_page(bench: Bench, scan: str):
    store = StoreThatGoesAway(bench.store.root)
    # Each turn asks for the file.
    settings = bench.flow.settings.model_copy(update={"quire_source_cache_bytes": 0})
    flow = replace(bench.flow, store=store, settings=settings)
    document_id = bench.accept(scan)
    for _ in range(5):
        with pytest.raises(StorageUnreachable):
            flow.work(document_id)
    assert (bench.document(document_id).status, bench.document(document_id).plan_attempts) == ("queued", 0)
    store.reachable = True
    flow.work(document_id, number=1)
    store.reachable = False
    with pytest.raises(StorageUnreachable):
        flow.work(document_id)
    pages = bench.pages(document_id)
    assert {page.attempts for number, page in pages.items() if number > 1} == {0}
    assert {page.status for number, page in pages.items() if number > 1} == {"pending"}


class StoreWithABug(FolderStore):
    def download(self, bucket, key, target, max_bytes=None):
        raise RuntimeError("a bug")


def test_an_unexpected_error_while_opening_ends_the_document_and_keeps_its_details(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    result = replace(bench.flow, store=StoreWithABug(bench.store.root)).work(document_id)
    assert (result.status, result.errors[0].code) == ("failed", "internal")
    assert "a bug" not in result.errors[0].message


def test_a_file_that_kills_its_worker_while_it_is_opened_is_given_up(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    with transaction(bench.database) as session:
        session.execute(text("UPDATE documents SET plan_attempts = 3"))
    result = bench.flow.work(document_id)
    assert (result.status, result.errors[0].code) == ("failed", "worker_lost")


def test_the_reconciler_brings_a_dead_workers_pages_back(bench: Bench, scan: str):
    document_id = bench.accept(scan, pages="1-5")
    bench.flow.work(document_id, number=1)
    # As after SIGKILL: pages leased, nothing written, nothing given back.
    dead = bench.flow._lease(document_id, None)
    assert dead is not None
    assert dead.numbers == (2, 3, 4, 5)
    bench.tickets.clear()

    def reconcile() -> int:
        with transaction(bench.database) as session:
            session.execute(text("UPDATE documents SET touched_at = now() - interval '1 hour'"))
        return reconcile_once(bench.flow.settings, bench.database, lambda: 0, bench.tickets.append).tickets_issued

    assert reconcile() == 0
    bench.run_out_leases()
    assert reconcile() == 1
    assert bench.tickets == [Ticket(document_id, 0)]
    assert bench.flow.work(document_id).status == "completed"


def test_with_nothing_else_to_do_a_ticket_waits_for_a_dead_workers_pages(bench: Bench, scan: str):
    settings = bench.flow.settings.model_copy(update={"quire_lease_seconds": 1})
    flow = replace(bench.flow, settings=settings, others_wait=lambda: False)
    document_id = bench.accept(scan)
    flow.work(document_id, number=1)
    # Leased, and never heard of again.
    dead = flow._lease(document_id, None)
    assert dead is not None
    assert flow.work(document_id).status == "completed"
    attempts = {number: page.attempts for number, page in bench.pages(document_id).items()}
    assert {attempts[number] for number in dead.numbers} == {2}


def test_a_ticket_does_not_wait_while_others_lie_in_the_queue(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    bench.flow.work(document_id, number=1)
    dead = bench.flow._lease(document_id, None)
    assert dead is not None
    started = time.monotonic()
    assert bench.flow.work(document_id).status == "running"
    assert time.monotonic() - started < 30


def test_a_waiting_ticket_ends_when_its_document_is_cancelled(bench: Bench, scan: str):
    document_id = bench.accept(scan)
    bench.flow.work(document_id, number=1)
    with transaction(bench.database) as session:
        leases.lease_pages(session, document_id, most=100, seconds=600, attempts=3)
    answers = iter([False, False])

    def cancel_meanwhile() -> bool:
        with transaction(bench.database) as session:
            documents.cancel(session, document_id)
        return next(answers)

    assert replace(bench.flow, others_wait=cancel_meanwhile).work(document_id).status == "cancelled"


def test_a_long_document_gives_way_to_documents_that_nobody_has_opened(bench: Bench, scan: str):
    settings = bench.flow.settings.model_copy(update={"quire_turn_seconds": 0, "quire_document_parallelism": 1})
    flow = replace(bench.flow, settings=settings)
    long, short = bench.accept(scan), bench.accept(scan, pages="1")
    assert flow.work(long).pages_done == settings.quire_lease_pages
    assert bench.tickets == [Ticket(long, 0)]
    assert flow.work(short).status == "completed"
    # Nobody waits any more.
    assert flow.work(long).status == "completed"


def test_the_reconciler_does_not_flood_a_full_queue(bench: Bench, scan: str):
    for _ in range(5):
        bench.accept(scan)
    with transaction(bench.database) as session:
        session.execute(text("UPDATE documents SET touched_at = now() - interval '1 hour'"))
    settings = bench.flow.settings.model_copy(update={"quire_dispatch_window": 10})
    result = reconcile_once(settings, bench.database, lambda: 8, bench.tickets.append)
    assert result.tickets_issued == len(bench.tickets) == 2


def test_the_reconciler_fails_pages_whose_attempts_are_used_up(bench: Bench, scan: str):
    document_id = bench.accept(scan, pages="1-2")
    bench.flow.work(document_id, number=1)
    with transaction(bench.database) as session:
        session.execute(text("UPDATE pages SET attempts = 3 WHERE number = 2"))
    result = reconcile_once(bench.flow.settings, bench.database, lambda: 0, bench.tickets.append)
    assert result.pages_failed == 1
    assert bench.document(document_id).status == "partial"


def test_a_heic_photo_is_read_upright(bench: Bench):
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image = Image.new("RGB", (64, 32), "white")
    exif = image.getexif()
    exif[0x0112] = 6
    # As bytes: then the turn is written the way phones do, as a property of the picture.
    image.save(buffer, "HEIF", exif=exif.tobytes())
    document_id = bench.accept(bench.put("photo.heic", buffer.getvalue()))
    assert bench.flow.work(document_id).status == "completed"
    page = bench.pages(document_id)[1]
    assert (page.width, page.height) == (32, 64)

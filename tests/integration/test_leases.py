"""The leasing statements against real Postgres: who may read a page, who may write it, who sees the last one."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text, update

from quire.contracts import Detection, OcrOptions, PageError, PageText, Word
from quire.database import documents, leases
from quire.database.engine import transaction
from quire.database.tables import Document, Page
from quire.database.turns import Ticket

ATTEMPTS = 3


def plan_of(pages: int) -> documents.Plan:
    return documents.Plan(pages, range(1, pages + 1), "application/pdf", source_bytes=1, source_sha256="0" * 64)


def add_document(database: Engine, pages: int) -> uuid.UUID:
    document_id = uuid.uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "bucket", "key", OcrOptions()))
        documents.begin_plan(session, document_id, seconds=60)
        documents.plan(session, document_id, plan_of(pages))
    return document_id


def lease(database: Engine, document_id: uuid.UUID, most: int = 4, seconds: float = 60, number: int | None = None):
    with transaction(database) as session:
        return leases.lease_pages(session, document_id, most=most, seconds=seconds, attempts=ATTEMPTS, number=number)


def write(database: Engine, held: leases.Lease, *outcomes: PageText | PageError):
    with transaction(database) as session:
        return leases.write_pages(session, held, outcomes)


def read(number: int, words: str = "text") -> PageText:
    box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    return PageText(
        page_number=number,
        width=10,
        height=10,
        dpi=180.0,
        rotation=0,
        source="ocr",
        engine="test",
        text=words,
        detections=(Detection(text=words, box=box, confidence=0.9, page_number=number),),
        words=tuple(Word(text=word, box=box, confidence=0.9, line=0) for word in words.split()),
        confidence=0.9,
    )


def unread(number: int) -> PageError:
    return PageError(page_number=number, code="corrupt", message="damaged")


def get_document(database: Engine, document_id: uuid.UUID) -> Document:
    with transaction(database) as session:
        document = documents.get(session, document_id)
    assert document is not None
    return document


def get_pages(database: Engine, document_id: uuid.UUID) -> dict[int, Page]:
    with transaction(database) as session:
        found = session.scalars(select(Page).where(Page.document_id == document_id)).all()
    return {page.number: page for page in found}


def expire_leases(database: Engine, document_id: uuid.UUID) -> None:
    with transaction(database) as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(
            update(Page).where(Page.document_id == document_id, Page.status == "leased").values(lease_expires_at=past)
        )


def test_pages_are_leased_in_order_and_once(database: Engine):
    document_id = add_document(database, 6)
    first, second, third = (lease(database, document_id) for _ in range(3))
    assert first.numbers == (1, 2, 3, 4)
    assert second.numbers == (5, 6)
    assert third is None


def test_concurrent_workers_never_hold_the_same_page(database: Engine):
    document_id = add_document(database, 200)

    def work(_: int) -> list[int]:
        mine = []
        while (held := lease(database, document_id, most=3)) is not None:
            mine.extend(held.numbers)
        return mine

    with ThreadPoolExecutor(8) as workers:
        leased = [number for numbers in workers.map(work, range(8)) for number in numbers]
    assert sorted(leased) == list(range(1, 201))


def test_a_live_lease_is_not_taken_over_and_an_expired_one_is(database: Engine):
    document_id = add_document(database, 2)
    first = lease(database, document_id)
    assert lease(database, document_id) is None
    expire_leases(database, document_id)
    assert lease(database, document_id).numbers == first.numbers


def test_a_late_writer_writes_nothing(database: Engine):
    document_id = add_document(database, 1)
    late = lease(database, document_id)
    expire_leases(database, document_id)
    taker = lease(database, document_id)
    assert write(database, taker, read(1, "taker")).finished
    assert write(database, late, read(1, "late")) is None
    assert get_pages(database, document_id)[1].text == "taker"
    assert get_document(database, document_id).pages_done == 1


def test_a_late_writer_does_not_end_the_lease_of_whoever_took_over(database: Engine):
    document_id = add_document(database, 1)
    late = lease(database, document_id)
    expire_leases(database, document_id)
    taker = lease(database, document_id)
    assert write(database, late, read(1, "late")) is None
    with transaction(database) as session:
        leases.release(session, late, [1])
        assert not leases.renew(session, late, seconds=60)
    assert get_pages(database, document_id)[1].lease_token == taker.token
    assert write(database, taker, read(1, "taker")).finished
    assert get_pages(database, document_id)[1].text == "taker"


def test_an_expired_lease_that_nobody_took_may_still_write(database: Engine):
    document_id = add_document(database, 1)
    held = lease(database, document_id)
    expire_leases(database, document_id)
    assert write(database, held, read(1)).finished


def test_writing_twice_counts_once(database: Engine):
    document_id = add_document(database, 2)
    held = lease(database, document_id, most=1)
    assert write(database, held, read(1)).pages_done == 1
    assert write(database, held, read(1)) is None
    assert get_document(database, document_id).pages_done == 1


def test_what_was_written_can_be_read_back(database: Engine):
    document_id = add_document(database, 1)
    page = read(1, 'żółć "quoted" \\u0000 \N{GRINNING FACE}')
    write(database, lease(database, document_id), page)
    stored = get_pages(database, document_id)[1]
    assert (stored.text, stored.width, stored.dpi, stored.rotation) == (page.text, 10, 180.0, 0)
    with transaction(database) as session:
        assert documents.read_detections(session, document_id) == list(page.detections)


@pytest.mark.parametrize("source", ["ocr", "text_layer", "mixed"])
def test_a_page_comes_back_as_it_was_written(database: Engine, source: str):
    document_id = add_document(database, 3)
    held = lease(database, document_id)
    pages = [
        read(1, "two words").model_copy(update={"source": source, "timings": {"render": 1.5}}),
        read(3, "").model_copy(update={"detections": (), "confidence": None, "dpi": None}),
    ]
    write(database, held, *pages, unread(2))
    with transaction(database) as session:
        assert documents.read_pages(session, document_id) == pages


def test_detections_in_the_table_have_the_four_fields_of_ever(database: Engine):
    document_id = add_document(database, 1)
    write(database, lease(database, document_id), read(1, "two words"))
    page = get_pages(database, document_id)[1]
    assert [set(found) for found in page.detections] == [{"text", "box", "confidence", "page_number"}]
    assert [(word["text"], word["line"]) for word in page.words] == [("two", 0), ("words", 0)]


def test_released_pages_are_free_again_and_the_attempt_does_not_count(database: Engine):
    document_id = add_document(database, 4)
    held = lease(database, document_id)
    with transaction(database) as session:
        leases.release(session, held, [3, 4])
    assert lease(database, document_id).numbers == (3, 4)
    assert {number: page.attempts for number, page in get_pages(database, document_id).items()} == {
        1: 1,
        2: 1,
        3: 1,
        4: 1,
    }


def test_renewing_keeps_others_out_and_fails_once_the_lease_is_lost(database: Engine):
    document_id = add_document(database, 1)
    held = lease(database, document_id, seconds=0.001)
    with transaction(database) as session:
        assert leases.renew(session, held, seconds=60)
    assert lease(database, document_id) is None
    expire_leases(database, document_id)
    assert lease(database, document_id) is not None
    with transaction(database) as session:
        assert not leases.renew(session, held, seconds=60)


def test_the_last_attempt_of_a_page_is_leased_alone(database: Engine):
    document_id = add_document(database, 5)
    for _ in range(ATTEMPTS - 1):
        assert lease(database, document_id, most=3).numbers == (1, 2, 3)
        expire_leases(database, document_id)
    # Fresh pages come first, then the suspects one by one.
    assert lease(database, document_id, most=3).numbers == (4, 5)
    alone = [lease(database, document_id, most=3) for _ in range(4)]
    assert [held.numbers for held in alone[:3]] == [(1,), (2,), (3,)]
    assert alone[3] is None


def test_a_page_that_kills_its_worker_fails_and_its_neighbours_are_read(database: Engine):
    document_id = add_document(database, 3)
    poison = 2
    for _ in range(20):
        held = lease(database, document_id, most=3)
        if held is None:
            break
        if poison in held.numbers:
            expire_leases(database, document_id)
            continue
        write(database, held, *(read(number) for number in held.numbers))
    with transaction(database) as session:
        progress = leases.give_up_pages(session, document_id, attempts=ATTEMPTS)
    assert progress is not None
    assert progress.finished
    document, pages = get_document(database, document_id), get_pages(database, document_id)
    assert (document.status, document.pages_done, document.pages_failed) == ("partial", 2, 1)
    assert pages[poison].error_code == "worker_lost"
    assert pages[poison].attempts == ATTEMPTS
    assert pages[1].status == pages[3].status == "done"


@pytest.mark.parametrize(
    ("outcomes", "status", "code"),
    [
        ([read(1), read(2)], "completed", None),
        ([read(1), unread(2)], "partial", None),
        ([unread(1), unread(2)], "failed", "corrupt"),
    ],
)
def test_a_document_ends_as_its_pages_did(database: Engine, outcomes, status, code):
    document_id = add_document(database, 2)
    held = lease(database, document_id)
    assert write(database, held, *outcomes).finished
    document = get_document(database, document_id)
    assert (document.status, document.error_code) == (status, code)
    assert document.finished_at is not None


def test_exactly_one_of_many_concurrent_writers_sees_the_last_page(database: Engine):
    pages = 16
    for _ in range(10):
        document_id = add_document(database, pages)
        held = [lease(database, document_id, most=1) for _ in range(pages)]
        with ThreadPoolExecutor(pages) as workers:
            progress = list(workers.map(lambda one: write(database, one, read(one.numbers[0])), held))
        assert [p.finished for p in progress].count(True) == 1
        document = get_document(database, document_id)
        assert (document.status, document.pages_done) == ("completed", pages)


def test_a_cancelled_document_leases_nothing_and_stays_cancelled(database: Engine):
    document_id = add_document(database, 2)
    held = lease(database, document_id, most=1)
    with transaction(database) as session:
        assert documents.cancel(session, document_id)
        assert not documents.cancel(session, document_id)
    assert lease(database, document_id) is None
    write(database, held, read(1))
    assert get_document(database, document_id).status == "cancelled"


def test_one_page_can_be_asked_for_by_number(database: Engine):
    document_id = add_document(database, 5)
    assert lease(database, document_id, number=4).numbers == (4,)
    assert lease(database, document_id, number=4) is None
    assert lease(database, document_id, number=99) is None


def test_a_document_is_created_once(database: Engine):
    new = documents.NewDocument(uuid.uuid4(), "bucket", "key", OcrOptions())
    with transaction(database) as session:
        assert documents.create(session, new)
        assert not documents.create(session, new)


def test_of_two_planners_one_makes_the_pages(database: Engine):
    document_id = uuid.uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "bucket", "key", OcrOptions()))

    def plan(_: int) -> bool:
        with transaction(database) as session:
            return documents.plan(session, document_id, plan_of(3))

    with ThreadPoolExecutor(4) as planners:
        assert sorted(planners.map(plan, range(4))) == [False, False, False, True]
    assert len(get_pages(database, document_id)) == 3


def test_a_document_is_planned_by_one_at_a_time(database: Engine):
    document_id = uuid.uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "bucket", "key", OcrOptions()))
        assert documents.begin_plan(session, document_id, seconds=60) == 1
    with transaction(database) as session:
        assert documents.begin_plan(session, document_id, seconds=60) is None
        # Held, however long it takes: the reconciler leaves it alone.
        session.execute(text("UPDATE documents SET touched_at = now() - interval '1 hour'"))
        assert documents.take_stale(session, seconds=60, most=10) == []
        session.execute(text("UPDATE documents SET plan_expires_at = now() - interval '1 s'"))
        assert documents.take_stale(session, seconds=60, most=10) == [Ticket(document_id, 0)]
        assert documents.begin_plan(session, document_id, seconds=60) == 2
        assert documents.renew_plan(session, document_id, seconds=60)
    with transaction(database) as session:
        documents.put_off_plan(session, document_id, attempt=2)
        assert documents.begin_plan(session, document_id, seconds=60) == 2


def test_stale_documents_are_those_with_work_and_without_touch(database: Engine):
    fresh, leased, waiting, done = (add_document(database, 1) for _ in range(4))
    lease(database, leased)
    write(database, lease(database, done), read(1))
    with transaction(database) as session:
        session.execute(
            text("UPDATE documents SET touched_at = now() - interval '1 hour' WHERE id <> :id"), {"id": fresh}
        )
        assert documents.take_stale(session, seconds=60, most=10) == [Ticket(waiting, 0)]
        # Taking touches: a second reconciler finds nothing.
        assert documents.take_stale(session, seconds=60, most=10) == []


def test_a_dead_workers_pages_make_a_document_stale_once_the_lease_ran_out(database: Engine):
    document_id = add_document(database, 1)
    lease(database, document_id)
    expire_leases(database, document_id)
    with transaction(database) as session:
        session.execute(text("UPDATE documents SET touched_at = now() - interval '1 hour'"))
        assert documents.take_stale(session, seconds=60, most=10) == [Ticket(document_id, 0)]

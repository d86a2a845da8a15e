"""Lists of documents and pages, and the search in them, on a database with many."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from quire.contracts import OcrOptions, Priority
from quire.database import documents, listing, page_listing
from quire.database.engine import transaction
from tests.integration.page_flow_bench import Bench

# Of 20,000 documents.
FEW = 300


@pytest.fixture
def many(database: Engine) -> Engine:
    """20,000 documents of 100 owners: half of them wait, the others ended within the last two weeks."""
    with transaction(database) as session:
        session.execute(
            text("""
            INSERT INTO documents (id, bucket, source_key, options_hash, owner, turn, status, created_at, started_at,
                                   finished_at)
            SELECT gen_random_uuid(), 'b', 'k', '', 'owner ' || n % 100, n / 100,
                   CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'completed' END,
                   now() - n * interval '1 min',
                   CASE WHEN n % 2 = 0 THEN NULL ELSE now() - n * interval '1 min' - interval '2 s' END,
                   CASE WHEN n % 2 = 0 THEN NULL ELSE now() - n * interval '1 min' END
            FROM generate_series(1, 20000) n""")
        )
    with transaction(database) as session:
        session.execute(text("ANALYZE documents"))
    return database


def rows_read(database: Engine, action: Callable[[], object]) -> int:
    """How many rows of documents, or entries of their indexes, an action reads."""

    def read() -> int:
        with transaction(database) as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with transaction(database) as session:
            return int(
                session.scalar(
                    text("""SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'documents')
                        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'documents')""")
                )
                or 0
            )

    before = read()
    action()
    return read() - before


@pytest.mark.parametrize(
    "filters",
    [
        listing.Filters(),
        listing.Filters(owner="owner 7"),
        listing.Filters(status="completed"),
        listing.Filters(owner="owner 7", status="completed"),
    ],
)
def test_a_list_reads_about_what_it_shows(many: Engine, filters: listing.Filters):
    def two_parts() -> None:
        cursor = None
        for _ in range(2):
            with transaction(many) as session:
                found, cursor = listing.list_documents(session, filters, limit=20, cursor=cursor)
            assert len(found) == 20

    assert rows_read(many, two_parts) < FEW


def test_documents_of_the_same_moment_are_listed_once_each(database: Engine):
    made = [documents.NewDocument(uuid.uuid4(), "b", "k", OcrOptions()) for _ in range(20)]
    with transaction(database) as session:
        for new in made:
            documents.create(session, new)
    seen, cursor = [], None
    for _ in range(7):
        with transaction(database) as session:
            found, cursor = listing.list_documents(session, listing.Filters(), limit=3, cursor=cursor)
            seen += [document.id for document in found]
    assert cursor is None
    assert sorted(seen) == sorted(new.id for new in made)


def test_who_looks_at_a_waiting_document_reads_no_further_than_a_thousand(many: Engine):
    with transaction(many) as session:
        last = session.scalar(text("SELECT id FROM documents WHERE status = 'queued' ORDER BY turn DESC LIMIT 1"))
        first = session.scalar(
            text("SELECT id FROM documents WHERE status = 'queued' ORDER BY turn, created_at LIMIT 1")
        )
    seen: dict[uuid.UUID, tuple[int | None, float | None]] = {}

    def look(document_id: uuid.UUID) -> None:
        with transaction(many) as session:
            document = documents.get(session, document_id)
            assert document is not None
            position = listing.position_of(session, document)
            seen[document_id] = position, listing.seconds_left(session, document, position)

    assert rows_read(many, lambda: look(first)) < FEW
    assert rows_read(many, lambda: look(last)) < listing.FURTHEST + FEW
    assert (seen[first][0], seen[last][0]) == (0, listing.FURTHEST)
    # One took two seconds, and the minutes in which there was nothing to do say nothing.
    assert seen[first][1] == 2
    assert seen[last][1] == 2 * listing.FURTHEST + 2


@pytest.mark.parametrize("priority", ["interactive", "bulk"])
@pytest.mark.parametrize("owner", ["owner 3", "somebody new"])
def test_a_new_document_stands_where_it_is_seen_to_stand(many: Engine, owner: str, priority: Priority):
    with transaction(many) as session:
        # So few that each place is another number.
        session.execute(text("DELETE FROM documents WHERE status = 'queued' AND turn > 5"))
        new = documents.NewDocument(uuid.uuid4(), "b", "k", OcrOptions(), owner=owner, priority=priority)
        created = documents.create(session, new, count_before=True)
        assert created is not None
        assert 0 < (created.position or 0) < listing.FURTHEST
        assert created.position == listing.position_of(session, created.document)


def test_who_waits_goes_on_as_fast_as_several_workers_finish(database: Engine):
    """Documents that take a minute, and one of them ends every ten seconds."""
    with transaction(database) as session:
        session.execute(
            text("""
            INSERT INTO documents (id, bucket, source_key, options_hash, status, started_at, finished_at)
            SELECT gen_random_uuid(), 'b', 'k', '', 'completed', ended - interval '60 s', ended
            FROM generate_series(1, 20) n, LATERAL (SELECT now() - n * interval '10 s' AS ended)""")
        )
        waiting = documents.NewDocument(uuid.uuid4(), "b", "k", OcrOptions())
        documents.create(session, waiting)
    with transaction(database) as session:
        document = documents.get(session, waiting.id)
        assert document is not None
        assert listing.seconds_left(session, document, 0) == pytest.approx(60, abs=1)
        assert listing.seconds_left(session, document, 9) == pytest.approx(9 * 10 + 60, abs=2)


def test_nothing_is_said_of_how_long_it_takes_where_nothing_tells(bench: Bench):
    with transaction(bench.database) as session:
        document = documents.get(session, bench.accept(bench.put("a.png", b"")))
        assert document is not None
        assert listing.position_of(session, document) == 0
        assert listing.seconds_left(session, document, 0) is None


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ("uberweisung", "Die Überweisung"), ("ÜBERWEISUNG", "die uberweisung"), ("strasse", "Hauptstraße 1"),
        ("tm", "Quire™"), ("fi", "oﬃce"), ("i", "İ"), ("100 %", "zu  100\u00a0%"), ("мягких", "МЯГКИХ"),
        ("e\u0301te", "été"), ("_", "a_b"), ("%", "5 %"),
    ],
)  # fmt: skip
def test_case_and_accents_make_no_difference(wanted: str, written: str):
    assert page_listing.fold(wanted) in page_listing.fold(written)


@pytest.mark.parametrize(("wanted", "written"), [("a_b", "acb"), ("%", "percent"), ("uber", "user")])
def test_what_is_not_there_is_not_found(wanted: str, written: str):
    assert page_listing.fold(wanted) not in page_listing.fold(written)


@pytest.mark.parametrize("wanted", [" ", "\u00a0\t", "\u0301"])
def test_a_text_of_nothing_is_nowhere(bench: Bench, wanted: str):
    with transaction(bench.database) as session:
        assert list(page_listing.search(session, uuid.uuid4(), wanted)) == []

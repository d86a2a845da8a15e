"""The pages of a long document, a few at a time."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event

from quire.contracts import PageError
from quire.database import documents
from tests.integration.test_leases import add_document, lease, read, write


@pytest.fixture
def document_id(database: Engine):
    """A document of eight pages, of which 3 failed and 8 was not read yet."""
    document_id = add_document(database, 8)
    held = lease(database, document_id, most=7)
    failed = PageError(page_number=3, code="timeout", message="It took too long.")
    write(database, held, *(failed if number == 3 else read(number, f"page {number}") for number in range(1, 8)))
    return document_id


def test_pages_that_were_read_come_in_order_whatever_the_batch(database, document_id):
    for batch in (1, 2, 3, 6, 7, 50):
        found = documents.iter_pages(database, document_id, batch=batch)
        assert [page.page_number for page in found] == [1, 2, 4, 5, 6, 7]


def test_it_may_begin_after_a_page(database, document_id):
    assert [page.page_number for page in documents.iter_pages(database, document_id, after=3)] == [4, 5, 6, 7]


def test_a_document_without_pages_gives_none(database):
    assert not list(documents.iter_pages(database, add_document(database, 2)))


def test_a_batch_is_read_only_when_it_is_needed_and_no_transaction_stays_open(database, document_id):
    statements, open_transactions = [], []

    @event.listens_for(database, "before_cursor_execute")
    def count(connection, cursor, statement, *_):
        if "FROM pages" in statement:
            statements.append(statement)

    pages = documents.iter_pages(database, document_id, batch=2)
    for _ in range(3):
        next(pages)
        open_transactions.append(database.pool.checkedout())
    assert len(statements) == 2
    assert open_transactions == [0, 0, 0]

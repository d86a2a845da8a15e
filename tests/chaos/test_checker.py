"""The checker finds each thing that can be wrong: a check that cannot fail checks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.chaos.checker import Findings, check
from tests.chaos.recovery import Timeline

ATTEMPTS = 3
ONE, TWO = uuid4(), uuid4()
EXPECTED = {ONE: ["a", "b", "c"], TWO: ["d"]}


@pytest.fixture
def tables(database_url: str) -> Iterator[psycopg.Connection]:
    """Two documents that were read as they should be."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for key, texts in EXPECTED.items():
            connection.execute(
                "INSERT INTO documents (id, bucket, source_key, options_hash, status, page_count, pages_total,"
                " pages_done, created_at, finished_at)"
                " VALUES (%s, 'b', 'k', '', 'completed', %s, %s, %s, to_timestamp(1000), to_timestamp(%s))",
                (key, len(texts), len(texts), len(texts), 1000 + 10 * len(texts)),
            )
            for number, text in enumerate(texts, 1):
                connection.execute(
                    "INSERT INTO pages (document_id, number, status, attempts, text, finished_at)"
                    " VALUES (%s, %s, 'done', 1, %s, to_timestamp(%s))",
                    (key, number, text, 1000 + 10 * number),
                )
        yield connection


def found_after(tables: psycopg.Connection, database_url: str, *statements: str) -> Findings:
    for statement in statements:
        tables.execute(statement.encode(), {"one": ONE, "two": TWO})
    return check(database_url, EXPECTED, attempts=ATTEMPTS)


def test_what_is_right_is_right(tables: psycopg.Connection, database_url: str):
    found = check(database_url, EXPECTED, attempts=ATTEMPTS)
    assert found.broken == {}
    assert (found.documents, found.pages, found.done, found.attempts) == (2, 4, 4, {1: 4})


PAGE = "WHERE document_id = %(one)s AND number = 2"
TAKE_BACK = f"UPDATE pages SET status = 'pending', text = NULL {PAGE}"
COUNT = "UPDATE documents SET pages_done = 2, pages_failed = 1, status = 'partial' WHERE id = %(one)s"
FAIL = f"UPDATE pages SET status = 'failed', error_code = 'worker_lost', attempts = 3 {PAGE}"
LEASE = f"UPDATE pages SET status = 'leased', lease_token = gen_random_uuid() {PAGE}"
FORGET = (
    "UPDATE documents SET status = 'failed', page_count = NULL, pages_total = NULL, pages_done = 0, "
    "error_code = 'worker_lost', plan_attempts = 4 WHERE id = %(two)s"
)
DROP = "DELETE FROM pages WHERE document_id = %(two)s"


@pytest.mark.parametrize(
    ("statements", "promises"),
    [
        ([TAKE_BACK], {"lost", "doubled", "misstated"}),
        ([LEASE], {"lost", "doubled", "misstated", "leases_left"}),
        ([f"DELETE FROM pages {PAGE}"], {"lost", "doubled"}),
        (["DELETE FROM pages WHERE document_id = %(one)s", "DELETE FROM documents WHERE id = %(one)s"], {"lost"}),
        (["UPDATE documents SET pages_done = 2 WHERE id = %(one)s"], {"doubled"}),
        (["UPDATE documents SET pages_total = 4 WHERE id = %(one)s"], {"doubled"}),
        (
            ["INSERT INTO pages (document_id, number, status, text) VALUES (%(one)s, 4, 'done', 'd')"],
            {"doubled", "wrong"},
        ),
        ([f"UPDATE pages SET text = 'a' {PAGE}"], {"wrong"}),
        ([f"UPDATE pages SET text = NULL {PAGE}"], {"wrong"}),
        (["UPDATE documents SET status = 'running' WHERE id = %(one)s"], {"stuck"}),
        (["UPDATE documents SET status = 'partial' WHERE id = %(one)s"], {"misstated"}),
        (["UPDATE documents SET finished_at = NULL WHERE id = %(one)s"], {"misstated"}),
        # Given up after all its attempts: that is allowed. Before them, or for another reason: it is not.
        ([FAIL, COUNT], set()),
        ([FAIL, COUNT, f"UPDATE pages SET attempts = 2 {PAGE}"], {"unjustified"}),
        ([FAIL, COUNT, f"UPDATE pages SET error_code = 'internal' {PAGE}"], {"unjustified"}),
        ([FORGET, DROP], set()),
        ([FORGET, DROP, "UPDATE documents SET plan_attempts = 1 WHERE id = %(two)s"], {"unjustified"}),
    ],
)
def test_each_broken_promise_is_found(
    tables: psycopg.Connection, database_url: str, statements: list[str], promises: set[str]
):
    assert set(found_after(tables, database_url, *statements).broken) == promises


ENDPOINT = (
    "INSERT INTO webhook_endpoints (id, owner, url, secret, events)"
    " VALUES (%(endpoint)s, '', 'http://here', 's', '{document.completed,document.failed}')"
)
MESSAGE = (
    "INSERT INTO webhook_deliveries (id, endpoint_id, document_id, event, occasion, body)"
    " VALUES (gen_random_uuid(), %(endpoint)s, %(document)s, %(event)s, %(occasion)s, '{}')"
)


@pytest.mark.parametrize(
    ("messages", "unannounced"),
    [
        ([(ONE, "document.completed"), (TWO, "document.completed")], set()),
        ([(ONE, "document.completed")], {TWO}),
        ([(ONE, "document.completed"), (TWO, "document.completed"), (TWO, "document.completed")], {TWO}),
        ([(ONE, "document.failed"), (TWO, "document.completed")], {ONE}),
    ],
)
def test_every_end_is_announced_once(
    tables: psycopg.Connection, database_url: str, messages: list[tuple[UUID, str]], unannounced: set[UUID]
):
    endpoint = uuid4()
    tables.execute(ENDPOINT, {"endpoint": endpoint})
    for number, (document, event) in enumerate(messages):
        values = {"endpoint": endpoint, "document": document, "event": event, "occasion": str(number)}
        tables.execute(MESSAGE, values)
    found = check(database_url, EXPECTED, attempts=ATTEMPTS)
    assert {UUID(line.split()[0]) for line in found.unannounced} == unannounced
    assert set(found.broken) == ({"unannounced"} if unannounced else set())


def test_what_is_wrong_is_named(tables: psycopg.Connection, database_url: str):
    found = found_after(tables, database_url, f"UPDATE pages SET text = 'a' {PAGE}")
    assert found.wrong == [f"{ONE} page 2 has 'a' instead of 'b'"]


def test_failures_are_counted_by_cause(tables: psycopg.Connection, database_url: str):
    found = found_after(tables, database_url, FAIL, COUNT, FORGET, DROP)
    assert found.failures == {"worker_lost": 1, "worker_lost (whole document)": 1}
    assert found.attempts == {1: 2, 3: 1}


def test_a_page_that_ends_its_workers_must_have_failed(tables: psycopg.Connection, database_url: str):
    expected: dict[UUID, list[str | None]] = {ONE: ["a", None, "c"], TWO: ["d"]}
    assert check(database_url, expected, attempts=ATTEMPTS).wrong == [f"{ONE} page 2 has 'b' instead of None"]
    for statement in (FAIL, COUNT):
        tables.execute(statement.encode(), {"one": ONE})
    found = check(database_url, expected, attempts=ATTEMPTS)
    assert (found.broken, found.deadly, found.failures) == ({}, 1, {"worker_lost": 1})
    tables.execute(f"UPDATE pages SET attempts = 2 {PAGE}".encode(), {"one": ONE})
    assert set(check(database_url, expected, attempts=ATTEMPTS).broken) == {"unjustified"}


def test_a_document_that_nobody_was_told_of_is_found_and_checked(tables: psycopg.Connection, database_url: str):
    stranger = "INSERT INTO documents (id, bucket, source_key, options_hash) VALUES (gen_random_uuid(), 'b', 'k', '')"
    found = found_after(tables, database_url, stranger)
    assert set(found.broken) == {"unacknowledged", "stuck"}


def test_recovery_is_the_time_until_the_next_page(tables: psycopg.Connection, database_url: str):
    timeline = Timeline.load(database_url)
    assert [timeline.wait_after(moment) for moment in (1005.0, 1010.5, 1030.0)] == [5.0, 9.5, None]
    assert timeline.longest_wait() == 10.0


def test_time_without_a_document_is_no_wait():
    timeline = Timeline([10.0, 14.0, 53.0, 60.0], [(5.0, 14.0), (50.0, 60.0)])
    assert [timeline.wait_after(moment) for moment in (12.0, 20.0, 53.0)] == [2.0, 3.0, 7.0]
    assert timeline.longest_wait() == 7.0


def test_keys_are_those_of_the_documents(tables: psycopg.Connection, database_url: str):
    unknown = UUID(int=0)
    assert check(database_url, {unknown: ["x"]}, attempts=ATTEMPTS).lost == [f"{unknown} page 1 is missing"]

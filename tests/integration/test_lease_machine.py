"""The page flow's state machine on real Postgres, next to a model of it: step by step, and by threads at once.

The steps are compared with what the model predicts. Threads cannot be predicted: there, only what always holds is.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from flow.heartbeat import Heartbeat
from flow.reconcile import reconcile_once
from quire.contracts import OcrOptions, PageError, PageText, ReconcileResult
from quire.database import documents, leases
from quire.database.engine import transaction
from quire.database.turns import Ticket
from quire.errors import Corrupt
from quire.settings import Settings
from tests.integration.test_leases import ATTEMPTS, add_document, lease, read, unread, write

# Longer than any test: a lease runs out when a test says so.
LONG = 3600
WINDOW = 3
ENDED = ("completed", "partial", "failed")
NUMBERS = st.integers(1, 5)
PAGE_NUMBERS = st.frozensets(NUMBERS, min_size=1)
SOME_NUMBERS = st.frozensets(NUMBERS)


@dataclass(frozen=True)
class Rows:
    """All documents, and the pages of each, as one snapshot shows them."""

    documents: dict[uuid.UUID, Any]
    pages: dict[uuid.UUID, dict[int, Any]]


_DOCUMENTS = text("""
    SELECT id, status, plan_attempts, page_count, pages_total, pages_done, pages_failed, error_code, finished_at,
        dispatched_at IS NOT NULL AS dispatched, coalesce(plan_expires_at > now(), false) AS held
    FROM documents
""")
_PAGES = text("""
    SELECT document_id, number, status, attempts, lease_token, text, error_code,
        coalesce(lease_expires_at < now(), false) AS expired
    FROM pages
""")


def read_rows(session: Session) -> Rows:
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    by_id = {row.id: row for row in session.execute(_DOCUMENTS)}
    pages: dict[uuid.UUID, dict[int, Any]] = {document_id: {} for document_id in by_id}
    for page in session.execute(_PAGES):
        pages[page.document_id][page.number] = page
    return Rows(by_id, pages)


def check_rows(rows: Rows, attempts: int) -> None:
    """What holds for every document at every moment, whatever was done to it."""
    for document_id, document in rows.documents.items():
        pages = rows.pages[document_id].values()
        ended_as = Counter(page.status for page in pages)
        assert (document.pages_done, document.pages_failed) == (ended_as["done"], ended_as["failed"])
        assert (document.finished_at is None) == (document.status in ("queued", "running"))
        assert document.plan_attempts >= 0
        check_status(document, ended_as)
        for page in pages:
            assert 0 <= page.attempts <= attempts
            assert (page.lease_token is not None) == (page.status == "leased")


def check_status(document: Any, ended_as: Counter[str]) -> None:
    """A document runs as long as it has open pages, and then ends as they did."""
    if document.page_count is None:
        assert document.status in ("queued", "failed", "cancelled")
        assert not ended_as
        return
    done, failed = ended_as["done"], ended_as["failed"]
    assert document.pages_total == ended_as.total()
    assert done + failed <= document.pages_total
    if document.status != "cancelled":
        is_open = done + failed < document.pages_total
        assert document.status == ("running" if is_open else status_of_ended(done, failed))


def status_of_ended(done: int, failed: int) -> str:
    return "completed" if not failed else "partial" if done else "failed"


def new_document(document_id: uuid.UUID) -> documents.NewDocument:
    return documents.NewDocument(document_id, "bucket", "key", OcrOptions())


def outcomes(token: uuid.UUID, numbers: Iterable[int], failed: Iterable[int] = ()) -> list[PageText | PageError]:
    """The text says who wrote it."""
    return [unread(number) if number in failed else read(number, str(token)) for number in numbers]


def update(database: Engine, statement: str, **values: Any) -> None:
    with transaction(database) as session:
        session.execute(text(statement), values)


def expire_lease(database: Engine, held: leases.Lease) -> None:
    update(
        database,
        "UPDATE pages SET lease_expires_at = now() - interval '1 s' WHERE document_id = :id AND lease_token = :token",
        id=held.document_id,
        token=held.token,
    )


@dataclass
class PageModel:
    """A page as it should be."""

    status: str = "pending"
    attempts: int = 0
    token: uuid.UUID | None = None
    expired: bool = False
    text: str | None = None
    error: str | None = None

    @property
    def is_free(self) -> bool:
        return self.status == "pending" or self.expired

    def lease(self, token: uuid.UUID) -> None:
        self.status, self.token, self.expired = "leased", token, False
        self.attempts += 1

    def give_back(self, refund: int) -> None:
        self.status, self.token, self.expired = "pending", None, False
        self.attempts -= refund

    def end(self, *, text: str | None = None, error: str | None = None) -> None:
        self.status, self.token, self.expired = "failed" if error else "done", None, False
        self.text, self.error = text, error


@dataclass(eq=False, repr=False)
class DocumentModel:
    """A document as it should be. `forgotten` says when its `touched_at` was set back, None if it was touched since."""

    id: uuid.UUID
    dispatched: bool
    name: str
    status: str = "queued"
    plan_attempts: int = 0
    has_planner: bool = False
    held: bool = False
    pages: dict[int, PageModel] = field(default_factory=dict)
    error: str | None = None
    forgotten: int | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def is_open(self) -> bool:
        return self.status in ("queued", "running")

    @property
    def has_failures(self) -> bool:
        return self.status == "failed" or any(page.status == "failed" for page in self.pages.values())

    @property
    def is_stale(self) -> bool:
        if self.forgotten is None:
            return False
        if self.status == "queued":
            return self.dispatched and not self.held
        return self.status == "running" and any(page.is_free for page in self.pages.values())

    def held_by(self, held: leases.Lease) -> dict[int, PageModel]:
        return {number: page for number, page in self.pages.items() if page.token == held.token}

    def to_lease(self, most: int, number: int | None, attempts: int) -> list[int]:
        """Fresh pages before those on their last attempt, and of these only one."""
        if self.status != "running":
            return []
        free = {n: page for n, page in sorted(self.pages.items()) if page.is_free and number in (None, n)}
        fresh = [n for n, page in free.items() if page.attempts < attempts - 1]
        return fresh[:most] or [n for n, page in free.items() if page.attempts == attempts - 1][:1]

    def open_pages(self, attempts: int) -> tuple[int, int]:
        pages = list(self.pages.values()) if self.status == "running" else []
        free = sum(page.is_free and page.attempts < attempts for page in pages)
        return free, sum(page.status in ("pending", "leased") for page in pages)

    def exhausted(self, attempts: int) -> list[PageModel]:
        return [page for page in self.pages.values() if page.is_free and page.attempts >= attempts]

    def give_up(self, attempts: int) -> leases.Progress | None:
        exhausted = self.exhausted(attempts)
        for page in exhausted:
            page.end(error="worker_lost")
        return self.progress() if exhausted else None

    def progress(self) -> leases.Progress:
        """What the transaction that ended some of the pages reports."""
        ended_as = Counter(page.status for page in self.pages.values())
        done, failed, total = ended_as["done"], ended_as["failed"], len(self.pages)
        finished = self.status == "running" and done + failed == total
        if finished:
            self.status = status_of_ended(done, failed)
        if self.status == "failed":
            self.error = self.pages[min(self.pages)].error
        self.forgotten = None
        return leases.Progress(self.status, done, failed, total, finished)  # type: ignore[arg-type]

    def retry(self) -> bool:
        again = [page for page in self.pages.values() if page.status == "failed"]
        if self.status == "cancelled" or not (again or (self.status == "failed" and not self.pages)):
            return False
        if not self.pages:
            self.plan_attempts, self.has_planner, self.held = 0, False, False
        self.status = "running" if self.pages else "queued"
        for page in again:
            page.status, page.attempts, page.error = "pending", 0, None
        self.error, self.forgotten, self.dispatched = None, None, True
        return True


class PageFlowMachine(RuleBasedStateMachine):
    """What both machines do, and compare after each step."""

    most_open = 2

    def __init__(self, database: Engine) -> None:
        super().__init__()
        self.database = database
        self.attempts = ATTEMPTS
        self.documents: dict[uuid.UUID, DocumentModel] = {}
        self.leases: list[leases.Lease] = []
        self.clock = count()
        # How often each document was seen to end, and how often somebody was told that it had.
        self.ends: Counter[uuid.UUID] = Counter()
        self.finished: Counter[uuid.UUID] = Counter()
        self.ended: dict[uuid.UUID, Any] = {}

    def teardown(self) -> None:
        update(self.database, "DELETE FROM documents")

    def all_documents(self) -> list[DocumentModel]:
        return list(self.documents.values())

    def documents_with_failures(self) -> list[DocumentModel]:
        return [document for document in self.all_documents() if document.has_failures] or self.all_documents()

    def open_documents(self) -> list[DocumentModel]:
        return [document for document in self.documents.values() if document.is_open]

    @invariant()
    def the_rows_are_as_predicted(self) -> None:
        with transaction(self.database) as session:
            rows = read_rows(session)
            for document in self.open_documents():
                counted = leases.count_open_pages(session, document.id, attempts=self.attempts)
                assert counted == document.open_pages(self.attempts)
        check_rows(rows, self.attempts)
        assert rows.documents.keys() == self.documents.keys()
        for document_id, document in self.documents.items():
            compare_document(rows.documents[document_id], document)
            compare_pages(rows.pages[document_id], document)
        self._check_ends(rows)

    def _check_ends(self, rows: Rows) -> None:
        """What has ended stays as it is, and one was told."""
        for document_id, document in rows.documents.items():
            if document.status not in (*ENDED, "cancelled"):
                assert document_id not in self.ended
            elif document_id not in self.ended:
                self.ended[document_id] = (document.status, document.finished_at)
                self.ends[document_id] += document.status in ENDED
            assert self.ended.get(document_id) in (None, (document.status, document.finished_at))
            assert self.finished[document_id] == self.ends[document_id]

    def _create(self, has_ticket: bool) -> DocumentModel:
        document = DocumentModel(uuid.uuid4(), has_ticket, f"document {len(self.documents) + 1}")
        with transaction(self.database) as session:
            assert documents.create(session, new_document(document.id), has_ticket=has_ticket)
        self.documents[document.id] = document
        return document

    def _begin_plan(self, document: DocumentModel) -> None:
        with transaction(self.database) as session:
            attempt = documents.begin_plan(session, document.id, seconds=LONG)
        if document.status != "queued" or document.held:
            assert attempt is None
            return
        document.plan_attempts += 1
        assert attempt == document.plan_attempts
        document.held = document.has_planner = document.dispatched = True
        document.forgotten = None

    def _plan(self, document: DocumentModel, numbers: Iterable[int]) -> None:
        made = documents.Plan(9, sorted(numbers), "application/pdf", source_bytes=1, source_sha256="0" * 64)
        with transaction(self.database) as session:
            planned = documents.plan(session, document.id, made)
        assert planned == (document.status == "queued")
        if planned:
            document.pages = {number: PageModel() for number in made.numbers}
            document.status, document.forgotten = "running", None

    def _cancel(self, document: DocumentModel) -> None:
        with transaction(self.database) as session:
            assert documents.cancel(session, document.id) == document.is_open
        if document.is_open:
            document.status = "cancelled"

    def _retry(self, document: DocumentModel) -> None:
        with transaction(self.database) as session:
            ticket = documents.retry_failed(session, document.id)
        if document.retry():
            assert ticket == Ticket(document.id, 0)
            self.ended.pop(document.id, None)
        else:
            assert ticket is None

    def _lease(self, document: DocumentModel, most: int, number: int | None = None) -> leases.Lease | None:
        with transaction(self.database) as session:
            held = leases.lease_pages(
                session, document.id, most=most, seconds=LONG, attempts=self.attempts, number=number
            )
        expected = document.to_lease(most, number, self.attempts)
        if held is None:
            assert not expected
            return None
        assert list(held.numbers) == expected
        for one in expected:
            document.pages[one].lease(held.token)
        assert held.tried == {one for one in expected if document.pages[one].attempts > 1}
        document.forgotten = None
        self.leases.append(held)
        return held

    def _renew(self, held: leases.Lease) -> None:
        document = self.documents[held.document_id]
        with transaction(self.database) as session:
            assert leases.renew(session, held, seconds=LONG) == bool(document.held_by(held))
        document.forgotten = None
        for page in document.held_by(held).values():
            page.expired = False

    def _release(self, held: leases.Lease, numbers: Sequence[int], *, begun: bool) -> None:
        with transaction(self.database) as session:
            leases.release(session, held, numbers, begun=begun)
        for number, page in self.documents[held.document_id].held_by(held).items():
            if number in numbers:
                page.give_back(refund=0 if begun else 1)

    def _write(self, held: leases.Lease, results: Sequence[PageText | PageError]) -> None:
        document = self.documents[held.document_id]
        progress = write(self.database, held, *results)
        own = document.held_by(held)
        ended = {result.page_number: result for result in results if result.page_number in own}
        for number, result in ended.items():
            own[number].end(
                text=result.text if isinstance(result, PageText) else None,
                error=result.code if isinstance(result, PageError) else None,
            )
        assert progress == (document.progress() if ended else None)
        self._note(document.id, progress)

    def _give_up(self, document: DocumentModel) -> None:
        with transaction(self.database) as session:
            progress = leases.give_up_pages(session, document.id, attempts=self.attempts)
        assert progress == document.give_up(self.attempts)
        self._note(document.id, progress)

    def _note(self, document_id: uuid.UUID, progress: leases.Progress | None) -> None:
        self.finished[document_id] += progress is not None and progress.finished

    def _expire(self, held: leases.Lease) -> None:
        expire_lease(self.database, held)
        for page in self.documents[held.document_id].held_by(held).values():
            page.expired = True

    def _expire_all(self, document: DocumentModel) -> None:
        past = (
            "UPDATE pages SET lease_expires_at = now() - interval '1 s' WHERE document_id = :id AND status = 'leased'"
        )
        update(self.database, past, id=document.id)
        for page in document.pages.values():
            page.expired = page.status == "leased"

    def _do_all_that_is_left(self, document: DocumentModel, failed: Iterable[int] = ()) -> None:
        """Nothing is lost: whatever state a running document is in, it can be ended."""
        self._expire_all(document)
        while (held := self._lease(document, most=4)) is not None:
            self._write(held, outcomes(held.token, held.numbers, failed))
        self._give_up(document)
        assert document.status != "running"


# A lease may be as late as it likes; the last ones are those that are alive.
all_leases = st.runner().flatmap(lambda machine: st.sampled_from(machine.leases[::-1]))
all_documents = st.runner().flatmap(lambda machine: st.sampled_from(machine.all_documents()))
open_documents = st.runner().flatmap(lambda machine: st.sampled_from(machine.open_documents()))
documents_with_failures = st.runner().flatmap(lambda machine: st.sampled_from(machine.documents_with_failures()))
has_open_documents = precondition(lambda machine: machine.open_documents())
has_room = precondition(lambda machine: len(machine.open_documents()) < machine.most_open)
# Of more documents with exhausted pages than the window holds, nobody says which come first.
fit_the_window = precondition(lambda machine: len(machine.open_documents()) <= WINDOW)


class LeaseMachine(PageFlowMachine):
    """Workers that share documents, and users. Who once had a lease may use it at any time."""

    @initialize(attempts=st.integers(1, ATTEMPTS), numbers=PAGE_NUMBERS, most=st.integers(1, 4))
    def start(self, attempts, numbers, most):
        self.attempts = attempts
        self._lease(self._accept(numbers), most)

    @has_room
    @rule(numbers=PAGE_NUMBERS)
    def accept(self, numbers):
        self._accept(numbers)

    @rule(most=st.integers(1, 4), last=st.booleans())
    def lease(self, most, last):
        self._lease(self._running(last), most)

    @rule(document=all_documents, number=NUMBERS)
    def lease_one_page(self, document, number):
        self._lease(document, 4, number)

    @rule(last=st.booleans())
    def lease_and_be_killed(self, last):
        held = self._lease(self._running(last), most=4)
        if held is not None:
            self._expire(held)

    @rule(held=all_leases)
    def renew(self, held):
        self._renew(held)

    @rule(held=all_leases, begun=st.booleans(), numbers=st.none() | SOME_NUMBERS)
    def release(self, held, begun, numbers):
        self._release(held, held.numbers if numbers is None else sorted(numbers), begun=begun)

    @rule(held=all_leases, failed=SOME_NUMBERS)
    def write(self, held, failed):
        self._write(held, outcomes(held.token, held.numbers, failed))

    @rule(held=all_leases, failed=SOME_NUMBERS, numbers=SOME_NUMBERS, repeated=st.booleans())
    def write_any_pages(self, held, failed, numbers, repeated):
        """Also those that are in no lease or in another one, and the same one twice."""
        results = outcomes(held.token, numbers, failed)
        self._write(held, results * 2 if repeated else results)

    @rule(last=st.booleans(), most=st.integers(1, 4))
    def come_late(self, last, most):
        """What others have taken over meanwhile is theirs."""
        document = self._running(last)
        late = self._lease(document, most=4)
        if late is None:
            return
        self._expire(late)
        self._lease(document, most)
        self._release(late, late.numbers[1:], begun=True)
        self._renew(late)
        self._write(late, outcomes(late.token, late.numbers))

    @rule(held=all_leases)
    def expire(self, held):
        self._expire(held)

    @rule(document=all_documents)
    def every_worker_is_killed(self, document):
        self._expire_all(document)

    @rule(document=all_documents)
    def give_up(self, document):
        self._give_up(document)

    @rule(document=all_documents)
    def cancel(self, document):
        self._cancel(document)

    @rule(last=st.booleans(), failed=SOME_NUMBERS)
    def cancel_while_all_pages_are_read(self, last, failed):
        document = self._running(last)
        while self._lease(document, most=4) is not None:
            pass
        self._cancel(document)
        for held in self.leases:
            if held.document_id == document.id:
                self._write(held, outcomes(held.token, held.numbers, failed))

    @rule(document=documents_with_failures)
    def retry(self, document):
        self._retry(document)

    @rule(last=st.booleans(), failed=SOME_NUMBERS)
    def somebody_does_all_that_is_left(self, last, failed):
        self._do_all_that_is_left(self._running(last), failed)

    def _accept(self, numbers: Iterable[int]) -> DocumentModel:
        document = self._create(has_ticket=True)
        self._plan(document, numbers)
        return document

    def _running(self, last: bool) -> DocumentModel:
        """The first or the last document that runs; a new one if none does."""
        found = self.open_documents() or [self._accept((1, 2, 4))]
        return found[-1 if last else 0]


class DispatchMachine(PageFlowMachine):
    """Users, planners and the reconciler; workers that do much at once."""

    most_open = WINDOW

    @initialize(attempts=st.integers(1, 2), tickets=st.lists(st.booleans(), min_size=1, max_size=3))
    def start(self, attempts, tickets):
        self.attempts = attempts
        for has_ticket in tickets:
            self._create(has_ticket)

    @has_room
    @rule(has_ticket=st.booleans())
    def create(self, has_ticket):
        self._create(has_ticket)

    @rule(document=all_documents)
    def create_again(self, document):
        with transaction(self.database) as session:
            assert not documents.create(session, new_document(document.id))

    @rule(document=all_documents)
    def begin_plan(self, document):
        self._begin_plan(document)

    @rule(document=all_documents, numbers=PAGE_NUMBERS)
    def plan(self, document, numbers):
        self._plan(document, numbers)

    @has_open_documents
    @rule(document=open_documents)
    def begin_plan_and_put_it_off(self, document):
        """Only who took it last: who comes late has a test of its own."""
        self._begin_plan(document)
        if not document.has_planner:
            return
        with transaction(self.database) as session:
            documents.put_off_plan(session, document.id, attempt=document.plan_attempts)
        if document.status == "queued":
            document.plan_attempts -= 1
            document.held, document.forgotten = False, None
        document.has_planner = False

    @has_open_documents
    @rule(document=open_documents)
    def renew_plan(self, document):
        if not document.has_planner:
            return
        with transaction(self.database) as session:
            assert documents.renew_plan(session, document.id, seconds=LONG) == (document.status == "queued")
        if document.status == "queued":
            document.held, document.forgotten = True, None

    @has_open_documents
    @rule(document=open_documents)
    def a_planner_is_killed(self, document):
        past = (
            "UPDATE documents SET plan_expires_at = now() - interval '1 s' WHERE id = :id AND plan_expires_at > now()"
        )
        update(self.database, past, id=document.id)
        document.held = False

    @rule(document=all_documents)
    def fail(self, document):
        with transaction(self.database) as session:
            failed = documents.fail(session, document.id, Corrupt("damaged"))
        assert failed == (document.status == "queued")
        if failed:
            document.status, document.error = "failed", Corrupt.code
            # Nobody is told by a write: whoever failed it knows.
            self.finished[document.id] += 1

    @has_open_documents
    @rule(document=open_documents, expired=st.booleans())
    def lease(self, document, expired):
        held = self._lease(document, most=4)
        if held is not None and expired:
            self._expire(held)

    @has_open_documents
    @rule(document=open_documents, failed=SOME_NUMBERS)
    def somebody_does_all_that_is_left(self, document, failed):
        self._do_all_that_is_left(document, failed)

    @rule(document=all_documents)
    def cancel(self, document):
        self._cancel(document)

    @rule(document=documents_with_failures)
    def retry(self, document):
        self._retry(document)

    @has_open_documents
    @rule(document=open_documents)
    def nobody_touches_it_for_long(self, document):
        self._forget(document)

    @fit_the_window
    @rule(in_broker=st.integers(0, WINDOW + 1))
    def reconcile(self, in_broker):
        self._reconcile(in_broker)

    @fit_the_window
    @rule(in_broker=st.integers(0, WINDOW - 1), leased=st.booleans(), killed=st.booleans())
    def every_ticket_is_lost(self, in_broker, leased, killed):
        for document in self.open_documents():
            while leased and self._lease(document, most=4) is not None:
                pass
            if killed:
                self._expire_all(document)
            self._forget(document)
        self._reconcile(in_broker)

    def _forget(self, document: DocumentModel) -> None:
        long_ago = "UPDATE documents SET touched_at = now() - interval '1 hour' WHERE id = :id"
        update(self.database, long_ago, id=document.id)
        document.forgotten = next(self.clock)

    def _reconcile(self, in_broker: int) -> None:
        tickets: list[Ticket] = []
        small = Settings(quire_dispatch_window=WINDOW, quire_page_attempts=self.attempts)
        result = reconcile_once(small, self.database, lambda: in_broker, tickets.append)
        failed = self._give_up_all()
        due = self._due(max(0, WINDOW - in_broker))
        assert tickets == [Ticket(document.id, 0) for document in due]
        assert result == ReconcileResult(pages_failed=failed, tickets_issued=len(due))
        for document in due:
            document.forgotten = None
            document.dispatched |= document.status == "queued"

    def _give_up_all(self) -> int:
        running = [document for document in self.documents.values() if document.status == "running"]
        failed = sum(len(document.exhausted(self.attempts)) for document in running)
        for document in running:
            self._note(document.id, document.give_up(self.attempts))
        return failed

    def _due(self, room: int) -> list[DocumentModel]:
        """Whose ticket is lost, longest ago first; then who waits for a first one."""
        stale = [document for document in self.documents.values() if document.is_stale]
        waiting = [d for d in self.documents.values() if d.status == "queued" and not d.dispatched]
        return [*sorted(stale, key=lambda document: document.forgotten or 0), *waiting][:room]


def compare_document(row: Any, document: DocumentModel) -> None:
    expected = (document.status, document.dispatched, document.plan_attempts, document.error)
    assert (row.status, row.dispatched, row.plan_attempts, row.error_code) == expected
    assert (row.page_count is not None) == bool(document.pages)
    if document.status == "queued":
        assert row.held == document.held


def compare_pages(rows: dict[int, Any], document: DocumentModel) -> None:
    assert {
        number: PageModel(page.status, page.attempts, page.lease_token, page.expired, page.text, page.error_code)
        for number, page in rows.items()
    } == document.pages


# Longer than Hypothesis takes at most to find a short example of what failed.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [LeaseMachine, DispatchMachine])
def test_any_order_of_steps_leaves_the_rows_that_the_model_predicts(
    database: Engine, machine: Callable[[Engine], PageFlowMachine]
):
    run_state_machine_as_test(
        # Hypothesis takes whatever makes a machine.
        lambda: machine(database),  # type: ignore[arg-type]
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Ledger:
    """What workers know of their own leases.

    They note a page after they have leased it and strike it off before they let it go. A page that is noted twice is
    therefore an error of the statements and never one of the notes, and attempts can be counted along.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[tuple[uuid.UUID, int], uuid.UUID] = {}
        self.attempts: Counter[tuple[uuid.UUID, int]] = Counter()
        self.finished: Counter[uuid.UUID] = Counter()

    def note(self, held: leases.Lease) -> None:
        with self._lock:
            for number in held.numbers:
                page = (held.document_id, number)
                assert self._holders.setdefault(page, held.token) == held.token, "two hold the same page"
                self.attempts[page] += 1
                assert (number in held.tried) == (self.attempts[page] > 1)
                assert self.attempts[page] < ATTEMPTS or held.numbers == (number,), "not alone on its last attempt"

    def strike(self, held: leases.Lease, numbers: Iterable[int], refund: int = 0) -> None:
        with self._lock:
            for number in numbers:
                assert self._holders.pop((held.document_id, number)) == held.token
                self.attempts[held.document_id, number] -= refund

    def note_progress(self, document_id: uuid.UUID, progress: leases.Progress) -> None:
        with self._lock:
            self.finished[document_id] += progress.finished


@dataclass
class Crew:
    """Workers that share documents: some read, some are killed, some come back late."""

    database: Engine
    ledger: Ledger
    documents: list[uuid.UUID]
    deadline: float
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, seed: str) -> None:
        dice = Random(seed)
        try:
            while not self.stop.is_set() and self._has_open_pages():
                assert time.monotonic() < self.deadline, "pages are left that nobody can lease"
                self._lease_and_work(dice)
        finally:
            self.stop.set()

    def _lease_and_work(self, dice: Random) -> None:
        document_id = dice.choice(self.documents)
        held = lease(self.database, document_id, most=dice.randint(1, 8), seconds=LONG)
        if held is None:
            with transaction(self.database) as session:
                leases.give_up_pages(session, document_id, attempts=ATTEMPTS)
            return
        self.ledger.note(held)
        dice.choice((self._finish, self._finish, self._finish_some, self._release, self._lose))(held, dice)

    def _finish(self, held: leases.Lease, dice: Random) -> None:
        """As the page flow does: the lease is renewed until its pages are written."""
        failed = [number for number in held.numbers if dice.random() < 0.2]
        self.ledger.strike(held, held.numbers)
        with Heartbeat(self.database, partial(leases.renew, lease=held, seconds=LONG), seconds=0.003):
            results = outcomes(held.token, dice.sample(held.numbers, len(held.numbers)), failed)
            assert write(self.database, held, *results) is not None

    def _finish_some(self, held: leases.Lease, dice: Random) -> None:
        middle = dice.randint(0, len(held.numbers))
        finished, left = held.numbers[:middle], held.numbers[middle:]
        self.ledger.strike(held, finished)
        self.ledger.strike(held, left, refund=1)
        with transaction(self.database) as session:
            leases.release(session, held, left)
            progress = leases.write_pages(session, held, outcomes(held.token, finished)) if finished else None
        assert (progress is not None) == bool(finished)

    def _release(self, held: leases.Lease, dice: Random) -> None:
        begun = dice.random() < 0.5
        self.ledger.strike(held, held.numbers, refund=0 if begun else 1)
        with transaction(self.database) as session:
            leases.release(session, held, held.numbers, begun=begun)

    def _lose(self, held: leases.Lease, dice: Random) -> None:
        """A worker that was gone for so long that others may have its pages does what it would have done."""
        self.ledger.strike(held, held.numbers)
        expire_lease(self.database, held)
        late = dice.randrange(4)
        if late == 0:
            write(self.database, held, *outcomes(held.token, held.numbers))
        with transaction(self.database) as session:
            if late == 1:
                leases.renew(session, held, seconds=0)
            elif late == 2:
                leases.release(session, held, held.numbers, begun=True)

    def _has_open_pages(self) -> bool:
        with transaction(self.database) as session:
            return any(leases.count_open_pages(session, one, attempts=ATTEMPTS)[1] for one in self.documents)

    def reconcile(self) -> None:
        while not self.stop.wait(0.01):
            reconcile_once(Settings(quire_page_attempts=ATTEMPTS), self.database, lambda: 0, lambda _: None)

    def cancel(self, document_id: uuid.UUID) -> None:
        self.stop.wait(0.3)
        with transaction(self.database) as session:
            documents.cancel(session, document_id)

    def watch(self) -> None:
        """Every snapshot that somebody may see is in order, not only the last one."""
        ended: dict[uuid.UUID, str] = {}
        while not self.stop.wait(0.005):
            with transaction(self.database) as session:
                rows = read_rows(session)
            check_rows(rows, ATTEMPTS)
            for document_id, document in rows.documents.items():
                assert ended.get(document_id, document.status) == document.status
                if document.status != "running":
                    ended[document_id] = document.status


@pytest.mark.parametrize("seed", range(6))
def test_workers_at_once_leave_every_page_ended_once(
    database: Engine, seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    ids = [add_document(database, pages) for pages in (80, 40, 1, 80)]
    ledger = Ledger()
    crew = Crew(database, ledger, ids, time.monotonic() + 30)
    monkeypatch.setattr(leases, "progress_after", noting(leases.progress_after, ledger))
    with ThreadPoolExecutor(7) as threads:
        running = [threads.submit(crew.work, f"{seed} {worker}") for worker in range(4)]
        running += [threads.submit(crew.reconcile), threads.submit(crew.watch), threads.submit(crew.cancel, ids[-1])]
    for one in running:
        one.result()
    with transaction(database) as session:
        rows = read_rows(session)
    check_rows(rows, ATTEMPTS)
    check_attempts(rows, ledger)
    for document_id, document in rows.documents.items():
        assert document.status != "running"
        assert ledger.finished[document_id] == (document.status in ENDED)
    assert "lease not renewed" not in caplog.text


def noting(progress_after: Callable[..., leases.Progress], ledger: Ledger) -> Callable[..., leases.Progress]:
    """The same, seen by the ledger: the reconciler tells nobody which document it ended."""

    def look_and_note(session: Any, document_id: uuid.UUID, counted: Any) -> leases.Progress:
        progress = progress_after(session, document_id, counted)
        ledger.note_progress(document_id, progress)
        return progress

    return look_and_note


def check_attempts(rows: Rows, ledger: Ledger) -> None:
    """One for each lease, less those that were given back before they were begun."""
    counted: dict[uuid.UUID, dict[int, int]] = defaultdict(dict)
    for document_id, pages in rows.pages.items():
        counted[document_id] = {number: page.attempts for number, page in pages.items()}
        assert counted[document_id] == {number: ledger.attempts[document_id, number] for number in pages}


def write_page(database: Engine, held: leases.Lease) -> None:
    assert write(database, held, read(1)).finished


def take_over(database: Engine, held: leases.Lease) -> None:
    # Nothing, if it has just been renewed.
    lease(database, held.document_id)


def give_up_page(database: Engine, held: leases.Lease) -> None:
    with transaction(database) as session:
        leases.give_up_pages(session, held.document_id, attempts=1)


@pytest.mark.parametrize(("expired", "step"), [(False, write_page), (True, take_over), (True, give_up_page)])
def test_who_renews_a_lease_and_who_ends_it_are_in_no_deadlock(
    database: Engine, expired: bool, step: Callable[[Engine, leases.Lease], None]
):
    held = lease(database, add_document(database, 1))
    if expired:
        expire_lease(database, held)

    def renew() -> None:
        with transaction(database) as session:
            leases.renew(session, held, seconds=LONG)

    with ThreadPoolExecutor(2) as threads:
        with transaction(database) as session:
            # Somebody writes another page of the document: both come to wait for its row, the renewal first.
            session.execute(text("SELECT FROM documents FOR UPDATE"))
            renewal = threads.submit(renew)
            wait_for_lock(database, renewal, waiting=1)
            ending = threads.submit(step, database, held)
            wait_for_lock(database, ending, waiting=2)
        renewal.result()
        ending.result()


def wait_for_lock(database: Engine, submitted: Future[None], waiting: int) -> None:
    """Wait until so many connections wait for a lock, this one among them, or it is done without."""
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 10
    while not submitted.done():
        with transaction(database) as session:
            if session.scalar(text(locked)) == waiting:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_planner_that_comes_late_leaves_a_document_to_who_took_over(database: Engine):
    new = new_document(uuid.uuid4())
    with transaction(database) as session:
        documents.create(session, new)
        assert documents.begin_plan(session, new.id, seconds=0) == 1
    with transaction(database) as session:
        assert documents.begin_plan(session, new.id, seconds=LONG) == 2
        # The first one.
        documents.put_off_plan(session, new.id, attempt=1)
        assert documents.begin_plan(session, new.id, seconds=LONG) is None

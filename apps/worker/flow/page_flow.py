"""Working through a document whose pages are rows in Postgres. A ticket says "document D has pages to do".

Whoever draws a ticket plans the document if nobody has, then leases a few pages, reads them, writes them in one
transaction, and so on until no page is free or the ticket's time is over; then it issues a ticket for the rest.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from flow.heartbeat import Heartbeat
from flow.pictures import KeepingPictures
from flow.recording import record
from flow.source_cache import SourceCache
from flow.sources import FetchedFile, fetched, opened, page_in_source, wanted_pages
from flow.time_limit import time_limit
from ocr.engines import OcrEngine
from ocr.engines.by_options import engine_for
from ocr.read import PAGES_TOGETHER, ReadOptions, read_page, read_together
from quire import __version__
from quire.contracts import OcrOptions, OcrPayload, OcrResult, PageError, PageText
from quire.database import documents, leases, reuse
from quire.database.engine import statements, transaction
from quire.database.tables import Document
from quire.database.turns import Ticket
from quire.deletion import derived_prefix
from quire.errors import (
    DocumentNotFound,
    EngineUnavailable,
    OutOfMemory,
    PageOutOfRange,
    PageTimeout,
    QuireError,
    StorageError,
    StorageUnreachable,
    WorkerLost,
)
from quire.pages import PageSource
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.telemetry import meters, tracing

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How long a ticket with nothing left to do may wait for a dead worker's pages, and how often it looks.
_LONGEST_WAIT_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.25

_OPENING_TOO_LONG: Final = "Opening the file took longer than it may. Split it into smaller documents."
_TOO_LONG: Final = "The page took longer than a page may take. Leave it out, or raise QUIRE_PAGE_SECONDS."


@dataclass(frozen=True)
class PageFlow:
    """What working on tickets needs.

    `issue_ticket` publishes one; `others_wait` says whether tickets lie in the queue; `draining` when to stop early.
    """

    settings: Settings
    database: Engine
    store: ObjectStore
    ocr: Callable[[], OcrEngine]
    issue_ticket: Callable[[Ticket], None]
    others_wait: Callable[[], bool]
    draining: Callable[[], bool]

    def accept(self, payload: OcrPayload, task_id: str) -> UUID:
        """The id of the document a payload names, which is created where it is new.

        Without a `document_id` the id follows from the task's: a second delivery finds the first one's document.

        Raises:
            DocumentNotFound: the payload has an id, but no key to create a document from.
            BucketNotAllowed: see `Settings.readable_bucket`.
        """
        document_id = payload.document_id or uuid5(NAMESPACE_URL, f"quire:task:{task_id}")
        with transaction(self.database) as session:
            if payload.key is not None:
                documents.create(
                    session,
                    documents.NewDocument(
                        id=document_id,
                        bucket=self.settings.readable_bucket(payload.bucket),
                        source_key=payload.key,
                        options=payload.options(),
                        page_number=payload.page_number,
                        follow_ups=payload.follow_ups,
                    ),
                    # This task is one.
                    has_ticket=True,
                )
            elif documents.get(session, document_id) is None:
                raise DocumentNotFound(f"There is no document {document_id}. Send its key as well.")
        return document_id

    def work(self, document_id: UUID, number: int | None = None) -> OcrResult:
        """Work on a document until nothing is left to lease, time is over, or the worker drains.

        `number` restricts the work to one page, which is then read even after the ticket's time.

        Raises:
            StorageUnreachable, DatabaseUnreachable: try again later; leases have been given back or will run out.
        """
        begun_at, leased = time.monotonic(), False
        document = self._get(document_id)
        with ExitStack() as stack:
            files = _Files(self, document, stack)
            if document.page_count is None and document.status == "queued":
                self._plan(document_id, files)
                document = self._get(document_id)
            if number is not None and document.status == "running":
                self._refuse_foreign_page(document, number)
            while document.status == "running":
                is_over = number is None and self._is_over(time.monotonic() - begun_at, leased)
                if self.draining() or is_over or files.out_of_time:
                    files.keep(document.source_sha256)
                    self._pass_on(document)
                    break
                lease = self._lease(document_id, number)
                if lease is not None:
                    leased = True
                    if self._work_on(lease, files):
                        break
                elif number is not None or not self._wait_for_free_pages(document_id):
                    break
        return self._result(document_id)

    def _is_over(self, seconds: float, leased: bool) -> bool:
        """Whether a ticket that has worked for this long should end: sooner where documents have not had a turn yet.

        Not before it has `leased` something, or a document that takes long to open would get nowhere.
        """
        if leased and seconds >= self.settings.quire_turn_seconds:
            with transaction(self.database) as session:
                if documents.are_queued(session):
                    return True
        return seconds >= self.settings.quire_ticket_seconds

    def _get(self, document_id: UUID) -> Document:
        with transaction(self.database) as session:
            document = documents.get(session, document_id)
        if document is None:
            raise DocumentNotFound(f"There is no document {document_id}.")
        return document

    def _result(self, document_id: UUID) -> OcrResult:
        with transaction(self.database) as session:
            document = documents.get(session, document_id)
            if document is None:
                raise DocumentNotFound(f"There is no document {document_id}: it was deleted.")
            errors = documents.read_page_errors(session, document_id) if document.pages_failed else []
            if document.status == "failed" and not errors:
                errors = [PageError(page_number=1, code=str(document.error_code), message=str(document.error_message))]
            return OcrResult(**documents.status_of(document), errors=tuple(errors))

    @tracing.traced("plan")
    def _plan(self, document_id: UUID, files: _Files) -> None:
        """Count the document's pages and make their rows; end the document if that cannot be done."""
        seconds = self.settings.quire_lease_seconds
        with transaction(self.database) as session:
            attempt = documents.begin_plan(session, document_id, seconds=seconds)
        if attempt is None:
            return
        renew = partial(documents.renew_plan, document_id=document_id, seconds=seconds)
        try:
            with Heartbeat(self.database, renew, seconds):
                plan = self._make_plan(files, attempt)
        except QuireError as error:
            if error.retryable:
                self._record(partial(documents.put_off_plan, document_id=document_id, attempt=attempt))
                raise
            self._record(partial(documents.fail, document_id=document_id, error=error))
            return
        except SoftTimeLimitExceeded:
            # Only while draining, see `_make_plan`.
            self._record(partial(documents.put_off_plan, document_id=document_id, attempt=attempt))
            self._issue(files.document)
            return

        def write(session: Session) -> tuple[bool, leases.Progress | None]:
            planned = documents.plan(session, document_id, plan)
            return planned, reuse.copy_pages(session, document_id) if planned and plan.fingerprint else None

        planned, copied = self._record(write)
        if copied is not None:
            logger.info("document %s: %d pages were read before", document_id, copied.pages_done)
        if planned and not (copied and copied.finished):
            batches = math.ceil(len(plan.numbers) / self.settings.quire_lease_pages)
            if batches > 1:
                files.keep(plan.source_sha256)
            for _ in range(min(self.settings.quire_document_parallelism, batches) - 1):
                self._issue(files.document)

    def _make_plan(self, files: _Files, attempt: int) -> documents.Plan:
        """Open the file and see what there is to do. Raises only typed errors, and a drain's time limit."""
        attempts = self.settings.quire_page_attempts
        if attempt > attempts:
            raise WorkerLost(f"The worker process ended {attempts} times while it was opening this file.")
        try:
            source = files.source
            return documents.Plan(
                page_count=source.page_count,
                numbers=wanted_pages(source, files.options, files.document.page_number),
                media_type=source.media_type,
                source_bytes=files.file.size,
                source_sha256=(digest := files.file.sha256()),
                fingerprint=self._fingerprint(digest, files),
            )
        except QuireError:
            raise
        except SoftTimeLimitExceeded:
            if self.draining():
                raise
            raise PageTimeout(_OPENING_TOO_LONG) from None
        except MemoryError:
            raise OutOfMemory("The file could not be opened: there was not enough memory.") from None
        except Exception as error:
            logger.exception("document %s cannot be planned", files.document.id)
            raise QuireError(
                "The file could not be opened because of an error in Quire; the worker's log has the details."
            ) from error

    def _fingerprint(self, digest: str, files: _Files) -> str | None:
        """SHA-256 of all that decides the text of this file's pages; None if they are not reused or it is not known."""
        if not self.settings.quire_reuse_pages:
            return None
        try:
            engine, limit = files.engine, self.settings.quire_max_render_pixels
            parts = (digest, files.read_options, engine.name, engine.version, __version__, limit)
        except EngineUnavailable:
            # The pages will say so, those that need an engine.
            return None
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _refuse_foreign_page(self, document: Document, number: int) -> None:
        with transaction(self.database) as session:
            if not leases.has_page(session, document.id, number):
                raise PageOutOfRange(f"Page {number} is not among the pages of this document that are to be read.")

    def _lease(self, document_id: UUID, number: int | None) -> leases.Lease | None:
        with statements(self.database) as session:
            return leases.lease_pages(
                session,
                document_id,
                most=self.settings.quire_lease_pages,
                seconds=self.settings.quire_lease_seconds,
                attempts=self.settings.quire_page_attempts,
                number=number,
            )

    def _wait_for_free_pages(self, document_id: UUID) -> bool:
        """With nothing else to do, wait for pages that others hold; True when some are free again.

        Whoever holds them may be dead, and this process the only one left. It waits as long as a lease lives.
        """
        attempts = self.settings.quire_page_attempts
        deadline = time.monotonic() + min(self.settings.quire_lease_seconds + 1, _LONGEST_WAIT_SECONDS)
        while True:
            with transaction(self.database) as session:
                leases.give_up_pages(session, document_id, attempts=attempts)
                free, unfinished = leases.count_open_pages(session, document_id, attempts=attempts)
            if free or not unfinished:
                return free > 0
            if self.draining() or self.others_wait() or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)

    def _pass_on(self, document: Document) -> None:
        """Issue a ticket for what is left, if anything is."""
        with transaction(self.database) as session:
            free, _ = leases.count_open_pages(session, document.id, attempts=self.settings.quire_page_attempts)
        if free:
            self._issue(document)

    def _record(self, write: Callable[[Session], T]) -> T:
        return record(self.database, write, self.draining)

    def _issue(self, document: Document) -> None:
        try:
            self.issue_ticket(Ticket(document.id, document.priority))
        except QuireError as error:
            # The reconciler finds documents without tickets: an unpublished one delays, it loses nothing.
            logger.warning("document %s: no ticket issued: %s", document.id, error.message)

    @tracing.traced("batch")
    def _work_on(self, lease: leases.Lease, files: _Files) -> bool:
        """Read the leased pages and write them together; give back what was not begun. True if the document ended."""
        meters.record_lease(len(lease.tried))
        tracing.annotate({"quire.pages": len(lease.numbers), "quire.first_page": lease.numbers[0]})
        outcomes: list[PageText | PageError] = []
        begun: tuple[int, ...] = ()
        seconds = self.settings.quire_lease_seconds
        with Heartbeat(self.database, partial(leases.renew, lease=lease, seconds=seconds), seconds) as heartbeat:
            try:
                for numbers in _groups(lease):
                    if heartbeat.lost or files.out_of_time or (outcomes and self.draining()):
                        break
                    begun = numbers
                    outcomes += self._read_measured(files, numbers)
            finally:
                # What a drain interrupts is nobody's fault.
                counts = files.out_of_time and not self.draining()
                ended = self._write(lease, outcomes, begun if counts else ())
        return ended

    def _read_measured(self, files: _Files, numbers: tuple[int, ...]) -> list[PageText | PageError]:
        """Read pages, and let traces and metrics know what it took."""
        begun_at = tracing.now()
        outcomes = self._read_some(files, numbers)
        meters.record_batch(len(numbers))
        for outcome in outcomes:
            tracing.record_page(outcome, begun_at)
        return outcomes

    def _read_some(self, files: _Files, numbers: tuple[int, ...]) -> list[PageText | PageError]:
        """Read pages together, or one by one where that fails: then each has its own outcome.

        Out of time, pages read together have none: each is read alone when somebody leases it again.
        """
        if len(numbers) > 1:
            try:
                source = files.source
                pages = [(page_in_source(source, number), number) for number in numbers]
                with time_limit(self.settings.quire_page_seconds * len(numbers), _TOO_LONG):
                    return [*read_together(source, pages, files.read_options, files.engine)]
            except SoftTimeLimitExceeded:
                files.out_of_time = True
                return []
            except StorageUnreachable:
                # Each page would ask for the file again, and the lease be held meanwhile.
                raise
            except Exception:
                logger.info("document %s: pages %s are read one by one", files.document.id, numbers)
        outcomes: list[PageText | PageError] = []
        for number in numbers:
            outcome = self._read(files, number)
            if outcome is not None:
                outcomes.append(outcome)
            if files.out_of_time:
                break
        return outcomes

    def _read(self, files: _Files, number: int) -> PageText | PageError | None:
        """What a page holds, or why it cannot be read; None if a drain interrupted it."""
        try:
            source = files.source
            page = page_in_source(source, number)
            with time_limit(self.settings.quire_page_seconds, _TOO_LONG):
                return read_page(source, page, files.read_options, files.engine, label=number)
        except SoftTimeLimitExceeded:
            files.out_of_time = True
            if self.draining():
                return None
            error: QuireError = PageTimeout(_TOO_LONG)
        except QuireError as caught:
            if caught.retryable:
                raise
            error = caught
        except Exception:
            logger.exception("document %s page %d failed", files.document.id, number)
            error = QuireError(
                "The page could not be read because of an error in Quire; the worker's log has the details."
            )
        return PageError(page_number=number, code=error.code, message=error.message)

    @tracing.traced("write")
    def _write(self, lease: leases.Lease, outcomes: list[PageText | PageError], begun: tuple[int, ...]) -> bool:
        """Write what came out and give back the rest; the attempt counts for those of them that were `begun`."""
        progress = self._record(partial(leases.finish, lease=lease, pages=outcomes, begun=begun))
        if progress is not None:
            meters.record_written(outcomes)
        if outcomes and progress is None:
            meters.record_lease_lost()
            self._drop_pictures(lease.document_id)
            logger.warning(
                "document %s: the lease on pages %s was lost, nothing written", lease.document_id, lease.numbers
            )
        elif progress is not None and progress.finished:
            logger.info(
                "document %s %s: %d pages read, %d failed",
                lease.document_id,
                progress.status,
                progress.pages_done,
                progress.pages_failed,
            )
        return progress is not None and progress.finished

    def _drop_pictures(self, document_id: UUID) -> None:
        """Where the document was deleted meanwhile, pictures that came too late would stay for ever."""
        with transaction(self.database) as session:
            if documents.get(session, document_id) is not None:
                return
        try:
            self.store.delete_prefix(self.settings.default_bucket, derived_prefix(document_id))
        except StorageError as error:
            logger.warning("document %s: its pictures are not deleted: %s", document_id, error.message)


def _groups(lease: leases.Lease) -> list[tuple[int, ...]]:
    """The leased pages as they are read: several together, but alone what somebody has begun and not finished."""
    fresh = [number for number in lease.numbers if number not in lease.tried]
    groups = [tuple(fresh[start : start + PAGES_TOGETHER]) for start in range(0, len(fresh), PAGES_TOGETHER)]
    return [*groups, *((number,) for number in lease.numbers if number in lease.tried)]


class _Files:
    """The document's file, fetched and opened when the first page needs it and kept for the whole ticket."""

    def __init__(self, flow: PageFlow, document: Document, stack: ExitStack) -> None:
        self._flow = flow
        self._stack = stack
        self.document = document
        self.options = OcrOptions.model_validate(document.options)
        self.read_options = ReadOptions.resolve(self.options, flow.settings)
        # The soft time limit has struck: the process has little time left.
        self.out_of_time = False

    @property
    def engine(self) -> OcrEngine:
        """The engine for this document's options.

        Raises:
            EngineUnavailable: this worker has none.
        """
        engine = engine_for(self._flow.ocr(), self.read_options)
        if self.read_options.mode == "text":
            return engine
        prefix = derived_prefix(self.document.id)
        return KeepingPictures(engine, self._flow.store, self._flow.settings.default_bucket, prefix)

    @cached_property
    def file(self) -> FetchedFile:
        return self._stack.enter_context(
            fetched(
                self._flow.store,
                self.document.bucket,
                self.document.source_key,
                self._flow.settings,
                digest=self.document.source_sha256 if self.document.page_count is not None else None,
            )
        )

    def keep(self, digest: str | None) -> None:
        """Let other processes of this machine, and this document's next turn, have the file, if it was fetched."""
        if "file" in self.__dict__ and digest is not None:
            SourceCache.of(self._flow.settings).keep(digest, self.file.path)

    @cached_property
    def source(self) -> PageSource:
        # Fetched outside of the limit: how long that takes says nothing about the file.
        file, settings = self.file, self._flow.settings
        with time_limit(settings.quire_page_seconds, _OPENING_TOO_LONG):
            return self._stack.enter_context(opened(file, settings))

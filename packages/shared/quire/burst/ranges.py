"""Remote jobs for an endpoint without a database: the controller leases pages, and writes what comes back.

The lease lives as long as the job may, so a job that is lost costs that time; what it answers later is written by
nobody, as with every lease that has run out. A document that nobody has opened is opened by a job that reads its first
pages: this process never opens a file that somebody sent.
"""

from __future__ import annotations

import json
import logging
import math
import posixpath
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.orm import Session

from quire import tasks
from quire.burst.assignment import Assignment
from quire.burst.remote_work import Answer, Prepared, error_of, job_input, new_row
from quire.burst.runpod_endpoint import JobStatus
from quire.contracts import OcrOptions, OcrResult, PageError, PageText
from quire.database import documents, leases, remote_jobs
from quire.database.leases import Lease
from quire.database.tables import Document, RemoteJob
from quire.errors import (
    BucketNotAllowed,
    DocumentError,
    EngineUnavailable,
    InvalidPayload,
    ObjectNotFound,
    QuireError,
    SettingsError,
    StorageAccessDenied,
    StorageError,
    TooLarge,
    TooManyPages,
    UnsignedMessage,
    WorkerLost,
)
from quire.page_ranges import format_pages, parse_page_ranges, select_pages
from quire.scratch import scratch_folder
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import RESULTS

logger = logging.getLogger(__name__)

# After a job's end, until the controller has looked and written.
_GRACE_SECONDS: Final = 60.0
# The endpoint's fault, and none of the pages'.
_OF_THE_ENDPOINT: Final = (
    BucketNotAllowed,
    EngineUnavailable,
    InvalidPayload,
    SettingsError,
    StorageAccessDenied,
    UnsignedMessage,
)


class Ranges:
    """A job names an object and some of its pages, which are leased for it."""

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        self._settings = settings
        self._store = store
        self._ttl_seconds = settings.quire_burst_queue_seconds + settings.quire_burst_job_seconds

    def prepare(self, session: Session, assignment: Assignment, *, now: float) -> Prepared | None:
        """Lease pages, or take the document for opening; None if somebody else has them all, or it cannot be read."""
        document = remote_jobs.dispatch(session, assignment.document_id)
        if document is None:
            return None
        if document.page_count is None:
            return self._prepare_opening(session, document, now)
        lease = self._lease(session, document, assignment.pages)
        if lease is None:
            return None
        held = {"lease_token": lease.token, "numbers": list(lease.numbers)}
        job = new_row(document.id, len(lease.numbers), now=now, ttl_seconds=self._ttl_seconds, **held)
        return Prepared(self._input(document, format_pages(lease.numbers)), job)

    def answer(self, status: JobStatus) -> Answer:
        """The result, fetched where it was too large to be sent."""
        error = error_of(status)
        if error is not None:
            return Answer(error=error)
        try:
            result = tasks.ocr_pdf_document.load_result(_result_of(status))
            if result.result_key is not None:
                result = self._fetch(result)
        except (ValidationError, ValueError) as unusable:
            # Not the text of the error: it may have the document's.
            logger.warning("a remote job's result cannot be used: %s", type(unusable).__name__)
            return Answer(error=WorkerLost("The remote job's result cannot be used."))
        except StorageError as missing:
            if missing.retryable:
                raise
            return Answer(error=WorkerLost(f"The remote job's result could not be fetched ({missing.code})."))
        return Answer(result=result)

    def record(self, session: Session, job: RemoteJob, answer: Answer) -> int:
        """Write pages under the job's lease; one that it has lost writes nothing."""
        if answer.error is not None:
            return self._record_error(session, job, answer.error)
        result = answer.result
        if result is None:
            return 0
        outcomes: list[PageText | PageError] = [*(result.pages or ()), *result.errors]
        if job.plan_attempt is not None:
            return self._record_opened(session, job, result, outcomes)
        progress = leases.finish(session, _lease_of(job), outcomes, begun=job.numbers)
        return len(outcomes) if progress is not None else 0

    def give_back(self, session: Session, job: RemoteJob, *, begun: bool) -> None:
        """Let others have the pages, or the document."""
        if job.plan_attempt is not None:
            documents.put_off_plan(session, job.document_id, attempt=job.plan_attempt, begun=begun)
        elif job.lease_token is not None:
            leases.release(session, _lease_of(job), job.numbers, begun=begun)

    def forget(self, status: JobStatus) -> None:
        """Delete a result that was fetched."""
        try:
            result = tasks.ocr_pdf_document.load_result(_result_of(status))
            if result.result_key is not None:
                self._store.delete(*self._place_of(result))
        except (ValidationError, ValueError, StorageError) as error:
            logger.warning("a remote job's result was not deleted: %s", type(error).__name__)

    def _lease(self, session: Session, document: Document, most: int) -> Lease | None:
        """Pages for one job. Those that somebody has begun before are in fewer hands at a time: one may be to blame."""
        settings = self._settings
        lease = leases.lease_pages(
            session,
            document.id,
            most=min(most, settings.quire_burst_job_pages),
            seconds=self._ttl_seconds + _GRACE_SECONDS,
            attempts=settings.quire_page_attempts,
        )
        if lease is None or not lease.tried:
            return lease
        fresh = [number for number in lease.numbers if number not in lease.tried]
        kept = fresh or lease.numbers[: math.isqrt(settings.quire_burst_job_pages)]
        leases.release(session, lease, [number for number in lease.numbers if number not in kept])
        return Lease(lease.document_id, lease.token, tuple(kept), lease.tried & set(kept))

    def _prepare_opening(self, session: Session, document: Document, now: float) -> Prepared | None:
        seconds, most = self._ttl_seconds + _GRACE_SECONDS, self._settings.quire_page_attempts
        attempt = documents.begin_plan(session, document.id, seconds=seconds)
        if attempt is None:
            return None
        if attempt > most:
            lost = WorkerLost(f"The remote job ended {most} times while it was opening this file.")
            documents.fail(session, document.id, lost)
            return None
        pages = self._settings.quire_burst_job_pages
        job = new_row(document.id, pages, now=now, ttl_seconds=self._ttl_seconds, plan_attempt=attempt, numbers=[])
        return Prepared(self._input(document, _first_pages(_options_of(document).pages, pages)), job)

    def _input(self, document: Document, pages: str) -> dict[str, Any]:
        options = _options_of(document).model_dump(mode="json", exclude_defaults=True, exclude={"pages"})
        # For an upload of one page the number is only what its result carries.
        which = {"pages": pages} if document.page_number is None else {"page_number": document.page_number}
        # Pictures that are cut out are stored where they are deleted with their document.
        whose = {"document_id": str(document.id)} if options.get("mode") == "structure" else {}
        return job_input({"key": document.source_key, "bucket": document.bucket, **whose, **which, **options})

    def _fetch(self, result: OcrResult) -> OcrResult:
        bucket, key = self._place_of(result)
        with scratch_folder(self._settings) as folder:
            path = folder / "result"
            try:
                self._store.download(bucket, key, path, self._settings.quire_max_bytes)
            except TooLarge:
                raise ValueError("The result is too large.") from None
            return tasks.ocr_pdf_document.load_result(json.loads(path.read_bytes()))

    def _place_of(self, result: OcrResult) -> tuple[str, str]:
        """Where a result is: only ever where results are, for it is going to be deleted there."""
        key = str(result.result_key)
        if not key.startswith(RESULTS) or posixpath.normpath(key) != key:
            raise ValueError("The result is at no place for results.")
        if result.result_bucket != self._settings.default_bucket:
            raise ValueError("The result is in another bucket.")
        return result.result_bucket, key

    def _record_error(self, session: Session, job: RemoteJob, error: QuireError) -> int:
        if error.retryable or isinstance(error, _OF_THE_ENDPOINT) or self._is_there_after_all(session, job, error):
            self.give_back(session, job, begun=False)
            return 0
        is_final = isinstance(error, DocumentError | StorageError)
        if job.plan_attempt is not None and is_final:
            documents.fail(session, job.document_id, error)
            return 0
        # One of several pages may be to blame: the next jobs have fewer, and the last one each alone.
        is_pages_own = len(job.numbers) == 1 and not isinstance(error, WorkerLost)
        if not is_final and not is_pages_own:
            self.give_back(session, job, begun=True)
            return 0
        # A job says this where not one of its pages could be read.
        failed = [PageError(page_number=number, code=error.code, message=error.message) for number in job.numbers]
        progress = leases.finish(session, _lease_of(job), failed)
        return len(failed) if progress is not None else 0

    def _is_there_after_all(self, session: Session, job: RemoteJob, error: QuireError) -> bool:
        """Whether the endpoint misses a file that this process sees: its storage is set up wrong, the file is fine."""
        document = documents.get(session, job.document_id) if isinstance(error, ObjectNotFound) else None
        if document is None:
            return False
        try:
            self._store.head(document.bucket, document.source_key)
        except ObjectNotFound:
            return False
        except StorageError:
            return True
        return True

    def _record_opened(
        self, session: Session, job: RemoteJob, result: OcrResult, outcomes: Sequence[PageText | PageError]
    ) -> int:
        """Plan a document that a job has opened, and write the pages that it has read already."""
        document = documents.get(session, job.document_id)
        if document is None:
            return 0
        count = result.page_count or 0
        if count > self._settings.quire_max_pages:
            too_many = TooManyPages(f"The document has {count:,} pages: more than QUIRE_MAX_PAGES.")
            documents.fail(session, document.id, too_many)
            return 0
        numbers = _numbers_of(document, count)
        if not numbers:
            documents.put_off_plan(session, document.id, attempt=int(job.plan_attempt or 0), begun=True)
            return 0
        plan = documents.Plan(count, numbers, document.media_type, document.source_bytes, document.source_sha256)
        if not documents.plan(session, document.id, plan):
            return 0
        return self._write_planned(session, document, outcomes)

    def _write_planned(self, session: Session, document: Document, outcomes: Sequence[PageText | PageError]) -> int:
        """Lease pages that are in nobody else's sight yet, and write them; how many."""
        left = {outcome.page_number: outcome for outcome in outcomes}
        written = 0
        while left:
            lease = leases.lease_pages(
                session,
                document.id,
                most=len(left),
                seconds=_GRACE_SECONDS,
                attempts=self._settings.quire_page_attempts,
            )
            some = [left.pop(number) for number in lease.numbers if number in left] if lease is not None else []
            if lease is None or leases.finish(session, lease, some) is None:
                break
            written += len(some)
        return written


def _lease_of(job: RemoteJob) -> Lease:
    assert job.lease_token is not None
    return Lease(job.document_id, job.lease_token, tuple(job.numbers))


def _options_of(document: Document) -> OcrOptions:
    return OcrOptions.model_validate(document.options)


def _numbers_of(document: Document, page_count: int) -> list[int]:
    if document.page_number is not None:
        return [document.page_number]
    return select_pages(_options_of(document).pages, page_count) if page_count else []


def _first_pages(ranges: str | None, most: int) -> str:
    """The first `most` of the pages that a range selects, of a document whose length is not known."""
    chosen, left = [], most
    for first, last in sorted(parse_page_ranges(ranges or "1-"), key=lambda each: each[0]):
        end = first + left - 1 if last is None else min(last, first + left - 1)
        chosen.append(str(first) if first == end else f"{first}-{end}")
        left -= end - first + 1
        if left <= 0:
            break
    return ",".join(chosen)


def _result_of(status: JobStatus) -> Any:
    """What the handler returned as its result.

    Raises:
        ValueError: nothing.
    """
    output = status.output
    if not isinstance(output, dict) or output.get("status") != "ok":
        raise ValueError("There is no result.")
    return output.get("result")

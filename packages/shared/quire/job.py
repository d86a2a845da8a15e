"""A job: a document that was submitted, asked about from any process by its id alone.

    from quire.tasks import ocr_document

    job = ocr_document.spawn(key="invoices/7.pdf")
    print(job.get(timeout=60).text)

Everything comes from Postgres: Redis emptied or restarted changes nothing that is said here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from quire import jobs
from quire.contracts import DocumentStatus, OcrResult, PageText
from quire.database import documents, tombstones
from quire.database.engine import get_engine, transaction
from quire.database.listener import listener_of
from quire.database.tables import Document
from quire.errors import (
    DatabaseUnreachable,
    DocumentNotFound,
    JobCancelled,
    JobExpired,
    JobNotFound,
    QuireError,
    error_from,
)

# For how long a wait puts up with a Postgres that answered before and does not now.
_PATIENCE_SECONDS: Final = 60.0
_PAGES_AT_ONCE: Final = 50


@dataclass(frozen=True)
class JobProgress:
    """How far a job is. `pages_total` is None until the document has been opened."""

    status: DocumentStatus
    pages_done: int
    pages_failed: int
    pages_total: int | None


@dataclass(frozen=True)
class Job:
    """A document in work, or one that has ended. Two with the same `id` are equal.

    `database` is another engine than that of `DATABASE_URL`. With an `owner` the job is not found unless it is theirs.
    Every method raises, besides what it names:

    Raises:
        JobNotFound: no job with this id was issued, or its document was deleted; the message says which.
        JobExpired: it ended longer ago than results are kept.
        DatabaseUnreachable: Postgres did not answer.
    """

    id: UUID
    database: Engine | None = field(default=None, repr=False, compare=False)
    owner: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_id(cls, job_id: UUID | str, database: Engine | None = None, owner: str | None = None) -> Job:
        """The job with this id, whether or not there is one: nothing is asked yet.

        Raises:
            JobNotFound: `job_id` is no UUID.
        """
        if isinstance(job_id, str):
            try:
                job_id = UUID(job_id)
            except ValueError:
                raise JobNotFound("This is no id of a job: ids are UUIDs.") from None
        return cls(job_id, database, owner)

    def status(self) -> DocumentStatus:
        """`queued`, `running`, `completed`, `partial` (some pages failed), `failed` or `cancelled`."""
        return self.progress().status

    def progress(self) -> JobProgress:
        """Status and pages so far."""
        with transaction(self.database) as session:
            document = self._document(session)
        status = cast(DocumentStatus, document.status)
        return JobProgress(status, document.pages_done, document.pages_failed, document.pages_total)

    def get(self, timeout: float | None = None) -> OcrResult:
        """The result with `text` and `detections`, as soon as the job has ended.

        Waits up to `timeout` seconds: None for ever, 0 not at all. A document some pages of which could not be read
        (`partial`) has a result, too; its `errors` name them. The whole text is in memory: of a document with thousands
        of pages rather `wait` for the end and go through `pages`.

        Raises:
            TimeoutError: it has not ended yet.
            QuireError: what the job failed with, as the class of its code, such as `Corrupt`.
            JobCancelled: it was cancelled.
            JobNotFound, JobExpired: see the class.
            DatabaseUnreachable: Postgres did not answer; while waiting, not for a minute.
        """
        return self._await_end(timeout, content=True)

    def wait(self, timeout: float | None = None) -> OcrResult:
        """As `get`, but without the text: ids, counts and errors."""
        return self._await_end(timeout, content=False)

    async def aget(self, timeout: float | None = None) -> OcrResult:
        """As `get`, for callers with an event loop, which goes on meanwhile."""
        patience = _Patience(self.id, timeout)
        look = partial(patience.look, partial(self._look, content=True))
        if (result := await asyncio.to_thread(look)) is not None:
            return result
        patience.seconds(0)
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        listener = listener_of(self._engine)
        with listener.watching(self.id, partial(_set_soon, loop, changed)):
            while True:
                changed.clear()
                if (result := await asyncio.to_thread(look)) is not None:
                    return result
                seconds = patience.seconds(listener.poll_seconds)
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), seconds)

    def pages(self) -> Iterator[PageText]:
        """The pages that have been read, by number, some at a time; also while the job is running."""
        last = 0
        while True:
            with transaction(self.database) as session:
                self._document(session)
                found = documents.read_pages(session, self.id, after=last, most=_PAGES_AT_ONCE)
            yield from found
            if len(found) < _PAGES_AT_ONCE:
                return
            last = found[-1].page_number

    def cancel(self) -> bool:
        """Stop the job: pages in work are finished, no others begun. False if it had ended."""
        with transaction(self.database) as session:
            self._document(session)
            return documents.cancel(session, self.id)

    def retry(self) -> bool:
        """Have the pages that failed read again, those alone. False if none has."""
        with transaction(self.database) as session:
            self._document(session)
        try:
            return jobs.retry(self.id, self.database)
        except DocumentNotFound:
            # Deleted since.
            with transaction(self.database) as session:
                raise self._gone(session) from None

    @property
    def _engine(self) -> Engine:
        return self.database or get_engine()

    def _await_end(self, timeout: float | None, *, content: bool) -> OcrResult:
        patience = _Patience(self.id, timeout)
        look = partial(patience.look, partial(self._look, content=content))
        # Who does not have to wait needs nobody to listen.
        if (result := look()) is not None:
            return result
        patience.seconds(0)
        changed = threading.Event()
        listener = listener_of(self._engine)
        with listener.watching(self.id, changed.set):
            while True:
                changed.clear()
                if (result := look()) is not None:
                    return result
                changed.wait(patience.seconds(listener.poll_seconds))

    def _look(self, *, content: bool) -> OcrResult | None:
        """The result, or None while there is none yet."""
        with transaction(self.database) as session:
            document = self._document(session)
            if document.status in ("queued", "running"):
                return None
            _raise_failure(document)
            result = OcrResult(
                **documents.status_of(document),
                errors=tuple(documents.read_page_errors(session, self.id)) if document.pages_failed else (),
            )
            if not content:
                return result
            text, detections = documents.read_text(session, self.id), documents.read_detections(session, self.id)
            return result.model_copy(update={"text": text, "detections": tuple(detections)})

    def _document(self, session: Session) -> Document:
        document = documents.get(session, self.id)
        if document is None or self.owner not in (None, document.owner):
            raise self._gone(session)
        return document

    def _gone(self, session: Session) -> QuireError:
        """Why there is no such document."""
        gone = tombstones.find(session, self.id, self.owner)
        if gone is None:
            return JobNotFound(f"No job {self.id} was ever issued here, or it was deleted long ago.")
        day = f"{gone.deleted_at:%d %B %Y}"
        if gone.reason == "expired":
            return JobExpired(f"The result of job {self.id} was kept until {day}. Submit the document again.")
        return JobNotFound(f"Job {self.id} was deleted with its document on {day}.")


class _Patience:
    """How much longer a wait may go on."""

    def __init__(self, job_id: UUID, timeout: float | None) -> None:
        self._job_id = job_id
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._answered_at: float | None = None

    def look(self, look: Callable[[], OcrResult | None]) -> OcrResult | None:
        """What `look` gives; None for a Postgres that is away for a moment, a restart for example."""
        try:
            result = look()
        except DatabaseUnreachable:
            if self._answered_at is None or time.monotonic() - self._answered_at > _PATIENCE_SECONDS:
                raise
            return None
        self._answered_at = time.monotonic()
        return result

    def seconds(self, poll_seconds: float) -> float:
        """Until the next look, at most.

        Raises:
            TimeoutError: no time is left.
        """
        if self._deadline is None:
            return poll_seconds
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"Job {self._job_id} has not ended yet.")
        return min(left, poll_seconds)


def _raise_failure(document: Document) -> None:
    if document.status == "cancelled":
        raise JobCancelled(f"Job {document.id} was cancelled.")
    if document.status == "failed":
        raise error_from(document.error_code or QuireError.code, document.error_message or "The job failed.")


def _set_soon(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    # The loop may have been closed under a wait that nobody cancelled.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(changed.set)

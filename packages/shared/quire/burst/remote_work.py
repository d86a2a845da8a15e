"""What a remote job is told, and what becomes of its answer.

There are two ways, by whether the endpoint reaches the database: `tickets.Tickets` and `ranges.Ranges`. Either way a
job that is lost costs a lease and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from quire import tasks
from quire.burst.assignment import Assignment
from quire.burst.runpod_endpoint import JobStatus
from quire.contracts import OcrResult
from quire.database.remote_jobs import moment
from quire.database.tables import RemoteJob
from quire.errors import DocumentError, QuireError, WorkerLost, error_from

# What a handler answers instead of a result: a code of the README's table, and a sentence.
_CODED: Final = re.compile(r"([a-z][a-z0-9_]*): (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that may be sent: its input, and the row that knows what it holds."""

    input: dict[str, Any]
    job: RemoteJob


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job that has ended says: its result where that is of use here, or the error that it ended with."""

    result: OcrResult | None = None
    error: QuireError | None = None

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong with the endpoint, or with what it was asked; a damaged document is neither."""
        return self.error is not None and not isinstance(self.error, DocumentError)


class RemoteWork(Protocol):
    """One of the two ways."""

    def prepare(self, session: Session, assignment: Assignment, *, now: float) -> Prepared | None:
        """Take what a job is to do, and make its row; None if there is nothing to do any more."""

    def answer(self, status: JobStatus) -> Answer:
        """What a job that has COMPLETED or FAILED says.

        Raises:
            StorageUnreachable: it is in object storage, and cannot be fetched now.
        """

    def record(self, session: Session, job: RemoteJob, answer: Answer) -> int:
        """Write what a job says, and give back the rest of what it held; how many pages were written."""

    def give_back(self, session: Session, job: RemoteJob, *, begun: bool) -> None:
        """Give back all that a job holds. The attempt counts if it was `begun`."""

    def forget(self, status: JobStatus) -> None:
        """Delete what a job has left in object storage, once it has been recorded."""


def job_input(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the serverless handler takes: the name of a task, and its arguments."""
    return {"task": tasks.ocr_pdf_document.name, "payload": dict(payload)}


def new_row(document_id: UUID, pages: int, *, now: float, ttl_seconds: float, **held: Any) -> RemoteJob:
    """The row of a job that is about to be sent."""
    return RemoteJob(
        id=uuid4(),
        document_id=document_id,
        state="sending",
        pages=pages,
        created_at=moment(now),
        deadline_at=moment(now + ttl_seconds),
        **held,
    )


def error_of(status: JobStatus) -> QuireError | None:
    """The error that a job ended with; `WorkerLost` where it is none of Quire's, but the platform's."""
    if status.status == "COMPLETED" and not (isinstance(status.output, dict) and status.output.get("error")):
        return None
    said = status.error if status.output is None or status.error else str(status.output.get("error"))
    coded = _CODED.fullmatch(said or "")
    if coded is None:
        return WorkerLost("The remote job failed, and does not say why in Quire's words; see its log at RunPod.")
    return error_from(coded[1], coded[2])

"""Remote jobs for an endpoint that reaches the database: each is a ticket of the page flow, and nothing else."""

from __future__ import annotations

from sqlalchemy.orm import Session

from quire.burst.assignment import Assignment
from quire.burst.remote_work import Answer, Prepared, error_of, job_input, new_row
from quire.burst.runpod_endpoint import JobStatus
from quire.database import remote_jobs
from quire.database.tables import RemoteJob
from quire.settings import Settings


class Tickets:
    """A job says "document D has pages to do", and whoever draws it leases, reads and writes them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def prepare(self, session: Session, assignment: Assignment, *, now: float) -> Prepared | None:
        """A ticket, unless the document has ended."""
        document = remote_jobs.dispatch(session, assignment.document_id)
        if document is None:
            return None
        ttl = self._settings.quire_burst_queue_seconds + self._settings.quire_burst_job_seconds
        job = new_row(document.id, assignment.pages, now=now, ttl_seconds=ttl)
        return Prepared(job_input({"document_id": str(document.id)}), job)

    def answer(self, status: JobStatus) -> Answer:
        """Whether it went well: what it read is in the database already."""
        return Answer(error=error_of(status))

    def record(self, session: Session, job: RemoteJob, answer: Answer) -> int:
        """Nothing: the job has written its pages."""
        return 0

    def give_back(self, session: Session, job: RemoteJob, *, begun: bool) -> None:
        """Nothing: what the job leased runs out."""

    def forget(self, status: JobStatus) -> None:
        """Nothing is left behind."""

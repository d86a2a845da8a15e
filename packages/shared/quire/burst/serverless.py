"""Sends pages that wait to a serverless endpoint, and sees to every job until it is known what came of it.

Everything that matters is in Postgres before the platform is asked for anything, so `tick` may be called by whoever,
whenever, and may be killed anywhere. A job of which nothing is known counts as one that works, and costs, for as long
as it may live.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from quire.burst.assignment import Assignment, Choice, Limits, choose
from quire.burst.model import Work
from quire.burst.ranges import Ranges
from quire.burst.remote_work import Answer, Prepared, RemoteWork
from quire.burst.runpod_endpoint import JobStatus, RunpodEndpoint
from quire.burst.tickets import Tickets
from quire.database import backlog, remote_jobs
from quire.database.engine import transaction
from quire.database.exclusive import exclusively
from quire.database.listener import listener_of
from quire.database.remote_jobs import JobEnd, moment
from quire.database.tables import RemoteJob
from quire.errors import (
    DatabaseUnreachable,
    QuireError,
    RunpodKeyRejected,
    RunpodRefused,
    RunpodUncertain,
    RunpodUnreachable,
    StorageError,
)
from quire.settings import Settings
from quire.storage import ObjectStore, create_store

logger = logging.getLogger(__name__)

# Any constant will do, as long as nothing else uses it.
_ADVISORY_LOCK: Final = 0x51756974

_CANDIDATES: Final = 200
# After its end by the platform's clock, until a job that still seems to be there is given up.
_GRACE_SECONDS: Final = 30.0
# The platform's counters may be this old.
_HEALTH_LAG_SECONDS: Final = 60.0
# So many jobs about which RunPod says nothing of use, and it is asked whether it is there.
_FAILURES_TO_DOUBT: Final = 2
# So many failures in a row, and nothing more is sent until the last one is this old.
_FAILURES: Final = 5
_PAUSE_SECONDS: Final = 300.0
_KEPT_SECONDS: Final = 2 * 86_400.0
# How often `wait` looks at most, however many documents change.
_LOOK_SECONDS: Final = 0.5


@dataclass(slots=True)
class Report:
    """What a tick did.

    Attributes:
        sent: jobs sent.
        ended: jobs that ended, by how.
        pages: pages that the controller wrote.
        open_jobs: jobs of which it is not known yet what comes of them.
        spent_today: USD since midnight UTC, by estimate; an open job counts as long as it may run.
        reason: why so many were sent, in one sentence with the numbers it rests on.
        trouble: what RunPod said instead of an answer; the next tick tries again.
    """

    sent: int = 0
    ended: dict[JobEnd, int] = field(default_factory=dict)
    pages: int = 0
    open_jobs: int = 0
    spent_today: float = 0.0
    reason: str = ""
    trouble: str | None = None


class ServerlessBurst:
    """The controller's hands where `QUIRE_BURST=serverless`."""

    def __init__(
        self,
        settings: Settings,
        database: Engine,
        client: RunpodEndpoint,
        *,
        store: ObjectStore | None = None,
        observe: Callable[[Session], Work] = backlog.observe,
    ) -> None:
        self._settings = settings
        self._database = database
        self._client = client
        self._observe = observe
        self._work: RemoteWork = (
            Tickets(settings)
            if settings.quire_burst_remote_database
            else Ranges(settings, store or create_store(settings))
        )

    def tick(self, now: float) -> Report:
        """Look after the jobs there are, then send what is worth sending. `now` is seconds since the epoch.

        One tick runs at a time; another one returns at once. What RunPod refuses is in the report.

        Raises:
            DatabaseUnreachable: the next tick makes up for it.
        """
        with exclusively(self._database, _ADVISORY_LOCK) as is_alone:
            if not is_alone:
                return Report(reason="another controller is at work")
            report = Report()
            try:
                self._note_unsent()
                self._cancel_needless(now, report, everything=False)
                self._look_after_all(now, report)
                # Now that it is known which of them have begun.
                self._cancel_needless(now, report, everything=True)
                self._send(now, report)
            except (RunpodUnreachable, RunpodKeyRejected, RunpodRefused) as error:
                logger.warning("serverless: %s", error.message)
                report.trouble = error.message
            with transaction(self._database) as session:
                remote_jobs.drop_ended(session, before=now - _KEPT_SECONDS)
                report.open_jobs = remote_jobs.count_open(session)
                report.spent_today = self._spent(session, now)
        return report

    def look(self, now: float) -> Choice:
        """What `tick` would send now, and why. Nothing is done, and RunPod is not asked.

        Raises:
            DatabaseUnreachable: Postgres could not be reached.
        """
        with transaction(self._database) as session:
            return self._choose(session, remote_jobs.count_open(session), now)

    def wait(self, seconds: float) -> None:
        """Wait for the next tick. Jobs of documents that are cancelled or deleted meanwhile are cancelled at once."""
        deadline, changed = time.monotonic() + seconds, threading.Event()
        with transaction(self._database) as session:
            documents = {job.document_id for job in remote_jobs.open_jobs(session)}
        listener = listener_of(self._database)
        with ExitStack() as watched:
            for document_id in documents:
                watched.enter_context(listener.watching(document_id, changed.set))
            while (left := deadline - time.monotonic()) > 0:
                changed.wait(min(left, listener.poll_seconds))
                changed.clear()
                if documents:
                    self._cancel_now()
                    time.sleep(max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())))

    # --- Jobs that are there --------------------------------------------------------------------------------------

    def _open_jobs(self) -> list[RemoteJob]:
        with transaction(self._database) as session:
            return remote_jobs.open_jobs(session)

    def _note_unsent(self) -> None:
        """A row that says `sending` is of a controller that was killed: its job may be there, or not."""
        for job in self._open_jobs():
            if job.state == "sending":
                self._note_uncertain(job)

    def _note_uncertain(self, job: RemoteJob) -> None:
        """Let others have what a job holds of which the id was lost. It counts as open until it must have ended."""
        with transaction(self._database) as session:
            self._work.give_back(session, job, begun=False)
            remote_jobs.note(session, job.id, state="unknown")

    def _cancel_now(self) -> None:
        try:
            self._cancel_needless(time.time(), Report(), everything=False)
        except QuireError as error:
            logger.warning("serverless: jobs of cancelled documents go on until the next tick: %s", error.message)

    def _cancel_needless(self, now: float, report: Report, *, everything: bool) -> None:
        """Cancel jobs of documents that were cancelled or deleted; with `everything` also what waits for nothing."""
        with transaction(self._database) as session:
            jobs = remote_jobs.needless(session, everything=everything)

        def cancel(job: RemoteJob) -> None:
            self._client.cancel(str(job.remote_id))
            self._end(job, "cancelled", now, report)

        self._for_each(jobs, cancel, report)

    def _look_after_all(self, now: float, report: Report) -> None:
        jobs = self._open_jobs()
        self._for_each(
            [job for job in jobs if job.remote_id is not None], lambda job: self._look_after(job, now, report), report
        )
        unknown = [job for job in jobs if job.remote_id is None]
        if unknown:
            self._look_for_unknown(unknown, now, report)

    def _for_each(self, jobs: Sequence[RemoteJob], do: Callable[[RemoteJob], None], report: Report) -> None:
        """Do something about each job. One that RunPod says nothing of use about keeps no other waiting."""
        failures = 0
        for job in jobs:
            try:
                do(job)
            except (RunpodUnreachable, RunpodRefused) as error:
                report.trouble = error.message
                failures += 1
                if failures == _FAILURES_TO_DOUBT:
                    # It may be away altogether, and is not to be asked for each job then.
                    self._client.health()

    def _status(self, job: RemoteJob, now: float) -> JobStatus | None:
        """What RunPod says; that there is no such job, where it says nothing and must have deleted it by now."""
        try:
            return self._client.status(str(job.remote_id))
        except (RunpodUnreachable, RunpodRefused):
            if now > job.deadline_at.timestamp() + _GRACE_SECONDS:
                return None
            raise

    def _look_after(self, job: RemoteJob, now: float, report: Report) -> None:
        status = self._status(job, now)
        begun = job.running_since is not None or (status is not None and bool(status.execution_seconds))
        if status is None:
            self._end(job, "lost" if begun else "expired", now, report, begun=begun)
        elif status.status in ("COMPLETED", "FAILED"):
            self._collect(job, status, now, report)
        elif status.status == "TIMED_OUT":
            self._end(job, "timed_out" if begun else "expired", now, report, begun=begun, status=status)
        elif status.status == "CANCELLED":
            self._end(job, "cancelled", now, report, status=status)
        elif self._is_overdue(job, status, now):
            self._client.cancel(str(job.remote_id))
            self._end(job, "lost" if begun else "expired", now, report, begun=begun)
        elif status.status != "IN_QUEUE" and not begun:
            with transaction(self._database) as session:
                remote_jobs.note(session, job.id, state="running", running_since=moment(now))

    def _is_overdue(self, job: RemoteJob, status: JobStatus, now: float) -> bool:
        if now > job.deadline_at.timestamp() + _GRACE_SECONDS:
            return True
        waited = now - job.created_at.timestamp()
        return status.status == "IN_QUEUE" and waited > self._settings.quire_burst_queue_seconds

    def _collect(self, job: RemoteJob, status: JobStatus, now: float, report: Report) -> None:
        """Write what a job that has ended says."""
        try:
            answer = self._work.answer(status)
        except StorageError as error:
            # RunPod keeps the answer for half an hour.
            logger.warning("remote job %s: %s", job.remote_id, error.message)
            return
        try:
            pages = self._record(job, status, answer, now, report)
        except (QuireError, DBAPIError) as error:
            if isinstance(error, QuireError) and error.retryable:
                raise
            # What cannot be stored is no result. Not the text of the error: it may have the document's.
            logger.warning("remote job %s: its result cannot be stored: %s", job.remote_id, type(error).__name__)
            self._end(job, "failed", now, report, begun=True, status=status)
            return
        report.pages += pages
        self._work.forget(status)

    def _record(self, job: RemoteJob, status: JobStatus, answer: Answer, now: float, report: Report) -> int:
        state: JobEnd = "failed" if answer.is_failure else "completed"
        code = None if answer.error is None else answer.error.code
        with transaction(self._database) as session:
            pages = self._work.record(session, job, answer)
            seconds = _seconds_of(job, status, now)
            remote_jobs.end(session, job.id, state, now=now, error_code=code, execution_seconds=seconds)
        report.ended[state] = report.ended.get(state, 0) + 1
        log = logger.warning if answer.is_failure else logger.info
        log("remote job %s %s after %.1f s: %d pages written%s", job.remote_id, state, seconds, pages, _because(code))
        return pages

    def _end(
        self,
        job: RemoteJob,
        state: JobEnd,
        now: float,
        report: Report,
        *,
        begun: bool = False,
        status: JobStatus | None = None,
        error_code: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note the end of a job without a result, and let others have what it held."""
        seconds = _seconds_of(job, status, now) if seconds is None else seconds
        with transaction(self._database) as session:
            self._work.give_back(session, job, begun=begun)
            remote_jobs.end(session, job.id, state, now=now, error_code=error_code, execution_seconds=seconds)
        report.ended[state] = report.ended.get(state, 0) + 1
        logger.info("remote job %s of document %s: %s", job.remote_id, job.document_id, state)

    def _look_for_unknown(self, unknown: Sequence[RemoteJob], now: float, report: Report) -> None:
        """End jobs without an id that have had their time, or that the endpoint has no place for in its counts."""
        settled = [job for job in unknown if now - job.created_at.timestamp() > _HEALTH_LAG_SECONDS]
        if not settled:
            return
        health = self._client.health()
        known = sum(job.remote_id is not None for job in self._open_jobs())
        there = max(0, health.jobs_in_queue + health.jobs_in_progress - known)
        gone = settled[: max(0, len(unknown) - there)]
        overdue = [job for job in settled if now > job.deadline_at.timestamp()]
        for job in unknown:
            if job in gone or job in overdue:
                # What it has cost at most.
                lived = min(now, job.deadline_at.timestamp()) - job.created_at.timestamp()
                self._end(job, "lost", now, report, seconds=min(lived, self._settings.quire_burst_job_seconds))

    # --- Jobs to send ---------------------------------------------------------------------------------------------

    def _send(self, now: float, report: Report) -> None:
        with transaction(self._database) as session:
            open_jobs = remote_jobs.count_open(session)
            choice = self._choose(session, open_jobs, now)
        report.reason = choice.reason
        for assignment in choice.assignments:
            if not self._send_one(assignment, now, report):
                break
        logger.info("serverless: %s; %d sent, %d were open", choice.reason, report.sent, open_jobs)

    def _choose(self, session: Session, open_jobs: int, now: float) -> Choice:
        settings = self._settings
        if why := self._why_not(session, now):
            return Choice((), why)
        found = remote_jobs.candidates(session, most=_CANDIDATES, attempts=settings.quire_page_attempts)
        limits = Limits(
            cold_start_seconds=settings.quire_burst_cold_start_seconds,
            patience_seconds=settings.quire_burst_patience_seconds,
            job_pages=settings.quire_burst_job_pages,
            document_jobs=settings.quire_burst_document_jobs,
            room=self._room(session, open_jobs, now),
        )
        return choose(self._observe(session), found, limits, open_jobs=open_jobs)

    def _why_not(self, session: Session, now: float) -> str:
        """Why nothing may be sent for a while, whatever waits; empty if it may."""
        ends = remote_jobs.last_ends(session, since=now - _PAUSE_SECONDS, most=_FAILURES)
        if len(ends) == _FAILURES and "completed" not in ends:
            # An endpoint that does not work costs all the same.
            return f"the last {_FAILURES} jobs failed less than {_PAUSE_SECONDS:.0f} s ago"
        # So long that the reconciler sees documents that nobody reads, and has local workers read them.
        seconds = 3 * self._settings.quire_reconcile_seconds
        if remote_jobs.any_turned_away(session, since=now - seconds):
            return f"RunPod did not take a job, or did not begin it, less than {seconds} s ago"
        return ""

    def _room(self, session: Session, open_jobs: int, now: float) -> int:
        """How many jobs more there may be, by number and by what they cost if each takes all of its time."""
        settings = self._settings
        room = settings.quire_burst_jobs - open_jobs
        price = settings.runpod_serverless_price_per_hour
        if price <= 0:
            return room
        an_hour = math.floor(settings.quire_burst_max_per_hour / price + 1e-9) - open_jobs
        left = settings.quire_burst_max_per_day - self._spent(session, now)
        a_day = math.floor(left / (price * self._reserve_seconds / 3600) + 1e-9)
        return max(0, min(room, an_hour, a_day))

    def _spent(self, session: Session, now: float) -> float:
        midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        seconds = remote_jobs.seconds_spent(session, since=midnight.timestamp(), reserve=self._reserve_seconds)
        return seconds * self._settings.runpod_serverless_price_per_hour / 3600

    @property
    def _reserve_seconds(self) -> float:
        """What a job may cost at most: the start of a worker is paid for as well."""
        return self._settings.quire_burst_job_seconds + self._settings.quire_burst_cold_start_seconds

    def _send_one(self, assignment: Assignment, now: float, report: Report) -> bool:
        """Send a job; False if no more should be sent now."""
        with transaction(self._database) as session:
            prepared = self._work.prepare(session, assignment, now=now)
            if prepared is None:
                return True
            session.add(prepared.job)
        job = prepared.job
        try:
            remote_id = self._run(prepared)
        except RunpodUncertain as error:
            # One at a time: each may be a job that works, and costs.
            logger.warning("serverless: %s It counts as a job until it must have ended.", error.message)
            self._note_uncertain(job)
            report.trouble = error.message
            return False
        except (RunpodUnreachable, RunpodKeyRejected, RunpodRefused) as error:
            self._end(job, "cancelled", now, report, error_code=error.code, seconds=0.0)
            raise
        try:
            with transaction(self._database) as session:
                remote_jobs.note(session, job.id, state="queued", remote_id=remote_id)
        except DatabaseUnreachable:
            # Nobody would know its id.
            with suppress(QuireError):
                self._client.cancel(remote_id)
            raise
        report.sent += 1
        return True

    def _run(self, prepared: Prepared) -> str:
        settings = self._settings
        return self._client.run(
            prepared.input,
            execution_seconds=settings.quire_burst_job_seconds,
            ttl_seconds=settings.quire_burst_job_seconds + settings.quire_burst_queue_seconds,
        )


def _seconds_of(job: RemoteJob, status: JobStatus | None, now: float) -> float:
    """The seconds of work that a job has cost, as far as is known."""
    if status is not None and status.execution_seconds is not None:
        return status.execution_seconds
    return 0.0 if job.running_since is None else max(0.0, now - job.running_since.timestamp())


def _because(code: str | None) -> str:
    return "" if code is None else f" ({code})"

"""Which documents get remote jobs, and how many: a pure function of what waits.

A remote job is worth its start where the pages that wait would keep the local workers busy for longer than it takes
(`cold_start_seconds`). Once there are jobs half of that is enough, so that a queue near the limit does not begin and
end a burst with every look. What local workers will have read by then is left to them: the documents at the front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from quire.burst.model import Work
from quire.database.remote_jobs import Candidate


@dataclass(frozen=True, slots=True)
class Limits:
    """How far to go.

    Attributes:
        cold_start_seconds: from a job being sent to its first page.
        patience_seconds: a page that has waited for less begins no burst: a worker may be about to take it.
        job_pages: pages that one job is to read at most.
        document_jobs: jobs that one document has at most.
        room: jobs that may be sent now.
    """

    cold_start_seconds: float
    patience_seconds: float
    job_pages: int
    document_jobs: int
    room: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job to send: this document has so many pages for it."""

    document_id: UUID
    pages: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The jobs to send, in their order, and one sentence that says why, with the numbers."""

    assignments: tuple[Assignment, ...]
    reason: str


def choose(work: Work, candidates: Sequence[Candidate], limits: Limits, *, open_jobs: int) -> Choice:
    """What to send now, besides the jobs that are open."""
    covered = sum(min(candidate.free_pages, candidate.ticket_pages) for candidate in candidates)
    waiting = max(0, work.waiting_pages - covered)
    limit = limits.cold_start_seconds / (2 if open_jobs else 1)
    rate = work.local_pages_per_second
    seconds = 0.0 if not waiting else waiting / rate if rate > 0 else math.inf
    facts = f"{waiting} pages wait, {_duration(seconds)} for the local workers, against a start of {limit:.0f} s"
    if seconds <= limit:
        return Choice((), f"{facts}: nothing to send")
    if not open_jobs and work.oldest_seconds < limits.patience_seconds:
        return Choice((), f"{facts}: none has waited for {limits.patience_seconds:.0f} s yet")
    if limits.room <= 0:
        return Choice((), f"{facts}: no more jobs may be open")
    assignments = _share_out(candidates, limits, left_to_local=math.ceil(rate * limit))
    return Choice(assignments, f"{facts}: {len(assignments)} jobs to send")


def _share_out(candidates: Sequence[Candidate], limits: Limits, *, left_to_local: int) -> tuple[Assignment, ...]:
    """One job for each document in the order of their turns, then a second one for each, as far as there is room."""
    unread: list[list[int]] = []
    for candidate in candidates:
        pages = max(0, candidate.free_pages - candidate.ticket_pages)
        kept = min(pages, left_to_local)
        left_to_local -= kept
        unread.append(_jobs_of(pages - kept, limits.document_jobs - candidate.open_jobs, limits.job_pages))
    rounds = max((len(jobs) for jobs in unread), default=0)
    shared = [
        Assignment(candidate.document_id, jobs[number])
        for number in range(rounds)
        for candidate, jobs in zip(candidates, unread, strict=True)
        if number < len(jobs)
    ]
    return tuple(shared[: limits.room])


def _jobs_of(pages: int, most: int, job_pages: int) -> list[int]:
    """The pages of each of the jobs, `most` of them, that so many pages make."""
    whole, rest = divmod(pages, job_pages)
    return ([job_pages] * whole + [rest] * (rest > 0))[: max(0, most)]


def _duration(seconds: float) -> str:
    return "no end" if math.isinf(seconds) else f"{seconds:.0f} s"

"""Jobs at a serverless endpoint: a row before each is sent, until it is known what came of it.

A row is committed before the platform is asked, so that a controller which dies in between leaves a trace of what may
be running. Times are the caller's, in seconds since the epoch: a row is compared with nothing but other rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from quire.database.leases import FREE
from quire.database.tables import DISPATCHED, REMOTE_JOB_OPEN, WAITING, Document, RemoteJob

JobEnd = Literal["completed", "failed", "timed_out", "cancelled", "expired", "lost"]

# What may be sent: documents that somebody should be working on, those with a ticket before those that wait for one.
# Of the latter no more are looked at than are asked for. One that is being opened will show its pages soon.
_CANDIDATES = text(f"""
    WITH open AS (
        (SELECT * FROM documents WHERE {DISPATCHED})
        UNION ALL
        (SELECT * FROM documents WHERE {WAITING} ORDER BY priority, turn, created_at LIMIT :most)
    )
    SELECT d.id, d.page_count IS NULL AS unopened,
           CASE WHEN d.page_count IS NULL THEN 1 ELSE p.free END AS free_pages,
           r.jobs AS open_jobs, r.tickets AS ticket_pages
    FROM open d
    CROSS JOIN LATERAL (
        SELECT count(*) AS free FROM pages p
        WHERE p.document_id = d.id AND p.status IN ('pending', 'leased') AND {FREE} AND p.attempts < :attempts
    ) p
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs, coalesce(sum(j.pages) FILTER (WHERE j.lease_token IS NULL), 0) AS tickets
        FROM remote_jobs j WHERE j.document_id = d.id AND j.{REMOTE_JOB_OPEN}
    ) r
    WHERE p.free > 0 OR (d.page_count IS NULL AND (d.plan_expires_at IS NULL OR d.plan_expires_at < now()))
    ORDER BY d.priority, d.dispatched_at IS NULL, d.turn, d.created_at
    LIMIT :most
""")

# As in `turns.take_waiting`, for one document. One that has had a ticket is not touched: while RunPod takes none, the
# reconciler must still see that nobody does.
_DISPATCH = text("""
    UPDATE documents SET dispatched_at = coalesce(dispatched_at, now()),
        touched_at = CASE WHEN dispatched_at IS NULL THEN now() ELSE touched_at END
    WHERE id = :document_id AND status IN ('queued', 'running')
    RETURNING id
""")

# A job at work on a document that has ended is left alone: it ends by itself.
_NEEDLESS = text(f"""
    SELECT j.id FROM remote_jobs j LEFT JOIN documents d ON d.id = j.document_id
    WHERE j.{REMOTE_JOB_OPEN} AND j.remote_id IS NOT NULL AND (
        d.id IS NULL OR d.status = 'cancelled'
        OR (:everything AND j.state = 'queued' AND d.status NOT IN ('queued', 'running'))
        OR (:everything AND j.state = 'queued' AND j.lease_token IS NULL AND d.status = 'running' AND NOT EXISTS (
            SELECT FROM pages p WHERE p.document_id = d.id AND p.status IN ('pending', 'leased') AND {FREE})))
    ORDER BY j.created_at
""")

_SPENT: Final = text(f"""
    SELECT coalesce(sum(CASE
        WHEN j.{REMOTE_JOB_OPEN} THEN CAST(:reserve AS double precision)
        ELSE coalesce(j.execution_seconds, 0) END), 0)
    FROM remote_jobs j WHERE j.created_at >= :since OR j.{REMOTE_JOB_OPEN}
""")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document with pages that a remote job could read.

    Attributes:
        free_pages: pages that nobody has leased; 1 where it is `unopened`, and nobody knows.
        open_jobs: remote jobs that it has.
        ticket_pages: pages that those of them are to read which have leased none.
    """

    document_id: UUID
    unopened: bool
    free_pages: int
    open_jobs: int
    ticket_pages: int


def moment(now: float) -> datetime:
    """Seconds since the epoch as the time that rows hold."""
    return datetime.fromtimestamp(now, UTC)


def candidates(session: Session, *, most: int, attempts: int) -> list[Candidate]:
    """Documents with pages that nobody has leased and that may be tried again, in the order of their turns."""
    rows = session.execute(_CANDIDATES, {"most": most, "attempts": attempts})
    return [Candidate(row.id, row.unopened, row.free_pages, row.open_jobs, row.ticket_pages) for row in rows]


def dispatch(session: Session, document_id: UUID) -> Document | None:
    """A document that has its ticket now, if it waited for one; None if it has ended, or is gone."""
    if session.execute(_DISPATCH, {"document_id": document_id}).first() is None:
        return None
    return session.get(Document, document_id, populate_existing=True)


def open_jobs(session: Session) -> list[RemoteJob]:
    """Jobs of which it is not known what came of them, the oldest first."""
    found = select(RemoteJob).where(text(REMOTE_JOB_OPEN)).order_by(RemoteJob.created_at, RemoteJob.id)
    return list(session.scalars(found))


def needless(session: Session, *, everything: bool) -> list[RemoteJob]:
    """Jobs that the platform knows and nobody needs: their document was cancelled, or deleted.

    With `everything` also those in the platform's queue whose document has no page left that somebody could begin.
    """
    ids = list(session.scalars(_NEEDLESS, {"everything": everything}))
    return list(session.scalars(select(RemoteJob).where(RemoteJob.id.in_(ids)).order_by(RemoteJob.created_at)))


def note(session: Session, job_id: UUID, **values: Any) -> None:
    """Change an open job's row."""
    session.execute(update(RemoteJob).where(RemoteJob.id == job_id, text(REMOTE_JOB_OPEN)).values(**values))


def end(
    session: Session,
    job_id: UUID,
    state: JobEnd,
    *,
    now: float,
    error_code: str | None = None,
    execution_seconds: float | None = None,
) -> bool:
    """Note what came of a job; False if that was known, and then nothing is changed."""
    ended = session.execute(
        update(RemoteJob)
        .where(RemoteJob.id == job_id, text(REMOTE_JOB_OPEN))
        .values(state=state, ended_at=moment(now), error_code=error_code, execution_seconds=execution_seconds)
        .returning(RemoteJob.id)
    ).first()
    return ended is not None


def last_ends(session: Session, *, since: float, most: int) -> list[str]:
    """How the last jobs ended that were not cancelled, the last one first."""
    ended = (
        select(RemoteJob.state)
        .where(RemoteJob.ended_at >= moment(since), RemoteJob.state != "cancelled")
        .order_by(RemoteJob.ended_at.desc())
        .limit(most)
    )
    return list(session.scalars(ended))


def any_turned_away(session: Session, *, since: float) -> bool:
    """Whether a job ended since then that was not taken, or was taken and not begun."""
    turned_away = or_(
        RemoteJob.state == "expired", RemoteJob.error_code.is_not(None) & (RemoteJob.state == "cancelled")
    )
    found = select(RemoteJob.id).where(RemoteJob.ended_at >= moment(since), turned_away).limit(1)
    return session.scalar(found) is not None


def seconds_spent(session: Session, *, since: float, reserve: float) -> float:
    """Seconds of work that the jobs sent `since` then have cost, each that is open `reserve` seconds."""
    return float(session.scalar(_SPENT, {"since": moment(since), "reserve": reserve}) or 0.0)


def count_open(session: Session) -> int:
    """How many jobs are open."""
    return int(session.scalar(select(func.count()).select_from(RemoteJob).where(text(REMOTE_JOB_OPEN))) or 0)


def drop_ended(session: Session, *, before: float) -> None:
    """Delete rows of jobs that ended before then."""
    session.execute(delete(RemoteJob).where(RemoteJob.ended_at < moment(before)))

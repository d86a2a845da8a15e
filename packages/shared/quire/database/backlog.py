"""How much waits for the OCR queue, and how fast workers of one's own get on with it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from quire.burst.model import Work
from quire.database.leases import FREE
from quire.database.tables import DISPATCHED, REMOTE_JOB_OPEN

# What was read in so many seconds says how fast reading is now.
_WINDOW_SECONDS: Final = 300

# A document that nobody has opened counts as one page: whoever opens it is quick, and then its pages are known. Which
# of a document's pages its remote jobs have read is not written down, so that documents with some say nothing about
# the workers here.
_OBSERVE = text(f"""
    WITH waiting AS (
        SELECT count(*) AS pages, min(d.touched_at) AS since
        FROM documents d JOIN pages p ON p.document_id = d.id
        WHERE d.status = 'running' AND p.status IN ('pending', 'leased') AND {FREE}
    ), unopened AS (
        SELECT count(*) AS documents, min(created_at) AS since FROM documents WHERE status = 'queued'
    ), leased AS (
        SELECT count(*) AS pages FROM pages p WHERE p.status = 'leased' AND p.lease_expires_at >= now()
    ), latest AS (
        SELECT d.id FROM documents d
        WHERE ({DISPATCHED} OR d.finished_at > now() - make_interval(secs => :window))
          AND NOT EXISTS (
              SELECT FROM remote_jobs j WHERE j.document_id = d.id
                AND (j.{REMOTE_JOB_OPEN} OR j.ended_at > now() - make_interval(secs => :window)))
    ), read AS (
        SELECT count(*) AS pages, extract(epoch FROM now() - min(p.finished_at)) AS seconds
        FROM latest l JOIN pages p ON p.document_id = l.id
        WHERE p.finished_at > now() - make_interval(secs => :window) AND p.attempts > 0
    ), remote AS (
        SELECT sum(execution_seconds) / nullif(sum(pages), 0) AS page_seconds FROM remote_jobs WHERE state = 'completed'
    )
    SELECT waiting.pages + unopened.documents AS waiting_pages, leased.pages AS leased_pages,
        extract(epoch FROM now() - least(waiting.since, unopened.since)) AS oldest_seconds,
        remote.page_seconds, read.pages / greatest(read.seconds, 10) AS rate
    FROM waiting, unopened, leased, read, remote
""")


def observe(session: Session) -> Work:
    """What there is to do. A page waits since somebody last did something for its document.

    `page_seconds` is what a page has taken at the endpoint, its worker's start included; 0 while none was read there.
    """
    row = session.execute(_OBSERVE, {"window": _WINDOW_SECONDS}).one()
    return Work(
        waiting_pages=int(row.waiting_pages),
        leased_pages=int(row.leased_pages),
        oldest_seconds=max(0.0, float(row.oldest_seconds or 0)),
        page_seconds=float(row.page_seconds or 0),
        local_pages_per_second=float(row.rate or 0),
    )

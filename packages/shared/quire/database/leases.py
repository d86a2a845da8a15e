"""Leases on pages: the statements that make any number of workers share a document without doing a page twice.

A worker leases a few pages, works on them, and writes all of them in one transaction that checks its token. A lease
that runs out lets others take the pages; whoever held it then writes nothing. See the page flow in docs/page-flow.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from quire.contracts import DocumentStatus, PageError, PageText
from quire.database.tables import Page
from quire.errors import WorkerLost

# A page that may be leased: nobody has it, or whoever had it is gone.
_FREE = "(p.status = 'pending' OR (p.status = 'leased' AND p.lease_expires_at < now()))"

_LEASE = text(f"""
    WITH free AS (
        SELECT p.document_id, p.number
        FROM pages p JOIN documents d ON d.id = p.document_id
        WHERE p.document_id = :document_id AND {_FREE} AND d.status = 'running'
          AND p.attempts >= :least_attempts AND p.attempts < :attempts_limit
          AND (CAST(:number AS integer) IS NULL OR p.number = :number)
        ORDER BY p.number
        LIMIT :most
        FOR UPDATE OF p SKIP LOCKED
    )
    UPDATE pages p
    SET status = 'leased', lease_token = :token, attempts = p.attempts + 1,
        lease_expires_at = now() + make_interval(secs => :seconds)
    FROM free
    WHERE p.document_id = free.document_id AND p.number = free.number
    RETURNING p.number, p.attempts
""")

_TOUCH = text("UPDATE documents SET touched_at = now() WHERE id = :document_id")

# Every statement that changes several pages locks them by number first: else two of them wait for each other.
_HOLD = text("""
    SELECT FROM pages WHERE document_id = :document_id AND lease_token = :token AND status = 'leased'
    ORDER BY number FOR UPDATE
""")

_RENEW = text("""
    UPDATE pages SET lease_expires_at = now() + make_interval(secs => :seconds)
    WHERE document_id = :document_id AND lease_token = :token AND status = 'leased'
""")

_RELEASE = text("""
    UPDATE pages
    SET status = 'pending', lease_token = NULL, lease_expires_at = NULL, attempts = attempts - :refund
    WHERE document_id = :document_id AND lease_token = :token AND status = 'leased' AND number = ANY(:numbers)
""")

_FINISH_PAGES = text("""
    UPDATE pages p
    SET status = r.status, lease_token = NULL, lease_expires_at = NULL, finished_at = now(),
        width = r.width, height = r.height, dpi = r.dpi, rotation = r.rotation, source = r.source, engine = r.engine,
        text = r.text, detections = r.detections, words = r.words, confidence = r.confidence, timings = r.timings,
        error_code = r.code, error_message = r.message
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        page_number integer, status text, width integer, height integer, dpi double precision, rotation smallint,
        source text, engine text, text text, detections jsonb, words jsonb, confidence double precision,
        timings jsonb, code text, message text)
    WHERE p.document_id = :document_id AND p.number = r.page_number
      AND p.lease_token = :token AND p.status = 'leased'
    RETURNING p.status
""")

# Pages that were given up by their last holder. The caller holds the document's row lock.
_GIVE_UP = text(f"""
    WITH lost AS (
        SELECT p.number FROM pages p
        WHERE p.document_id = :document_id AND {_FREE} AND p.attempts >= :attempts_limit
        ORDER BY p.number FOR UPDATE
    )
    UPDATE pages p
    SET status = 'failed', lease_token = NULL, lease_expires_at = NULL, finished_at = now(),
        error_code = :code, error_message = :message
    FROM lost
    WHERE p.document_id = :document_id AND p.number = lost.number
    RETURNING p.number
""")

# The counter on the document's row. Its lock makes exactly one transaction see the last page.
_COUNT = text("""
    UPDATE documents
    SET pages_done = pages_done + :done, pages_failed = pages_failed + :failed, touched_at = now(),
        status = CASE
            WHEN status <> 'running' OR pages_done + pages_failed + :done + :failed < pages_total THEN status
            WHEN pages_failed + :failed = 0 THEN 'completed'
            WHEN pages_done + :done = 0 THEN 'failed'
            ELSE 'partial' END,
        finished_at = CASE
            WHEN status = 'running' AND pages_done + pages_failed + :done + :failed = pages_total THEN now()
            ELSE finished_at END
    WHERE id = :document_id
    RETURNING status, pages_done, pages_failed, pages_total
""")

# A document without a single page takes over the first page's error.
_COPY_ERROR = text("""
    UPDATE documents d SET error_code = p.error_code, error_message = p.error_message
    FROM (SELECT error_code, error_message FROM pages
          WHERE document_id = :document_id AND status = 'failed' ORDER BY number LIMIT 1) p
    WHERE d.id = :document_id
""")

_OPEN_PAGES = text(f"""
    SELECT count(*) FILTER (WHERE {_FREE} AND p.attempts < :attempts_limit) AS free, count(*) AS open
    FROM pages p JOIN documents d ON d.id = p.document_id
    WHERE p.document_id = :document_id AND p.status IN ('pending', 'leased') AND d.status = 'running'
""")


@dataclass(frozen=True)
class Lease:
    """The right to write these pages, for as long as it lives. `token` is what every write is checked against.

    `tried` are those of `numbers` that somebody has begun before.
    """

    document_id: UUID
    token: UUID
    numbers: tuple[int, ...]
    tried: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Progress:
    """A document's counts after a write. `finished` is True for exactly one write of each document."""

    status: DocumentStatus
    pages_done: int
    pages_failed: int
    pages_total: int
    finished: bool


def lease_pages(
    session: Session, document_id: UUID, *, most: int, seconds: float, attempts: int, number: int | None = None
) -> Lease | None:
    """Lease up to `most` free pages of a running document, the lowest numbers first; None if there are none.

    A page on the last of its `attempts` is leased alone, after all others: if it kills its worker again, no neighbour
    is blamed. `number` asks for that one page.
    """
    token = uuid4()
    for last_attempt in (False, True):
        found = session.execute(
            _LEASE,
            {
                "document_id": document_id,
                "token": token,
                "seconds": seconds,
                "number": number,
                "least_attempts": attempts - 1 if last_attempt else 0,
                "attempts_limit": attempts if last_attempt else attempts - 1,
                "most": 1 if last_attempt else most,
            },
        )
        leased = {int(row.number): int(row.attempts) for row in found}
        if leased:
            session.execute(_TOUCH, {"document_id": document_id})
            tried = frozenset(page for page, count in leased.items() if count > 1)
            return Lease(document_id, token, tuple(sorted(leased)), tried)
    return None


def renew(session: Session, lease: Lease, *, seconds: float) -> bool:
    """Let the lease run for another `seconds` from now; False if it was lost."""
    _hold(session, lease)
    renewed = session.execute(_RENEW, {"document_id": lease.document_id, "token": lease.token, "seconds": seconds})
    # Pages before their document, as everywhere: in the other order it and the write of a page wait for each other.
    session.execute(_TOUCH, {"document_id": lease.document_id})
    return int(renewed.rowcount) > 0  # type: ignore[attr-defined]


def release(session: Session, lease: Lease, numbers: Sequence[int], *, begun: bool = False) -> None:
    """Give back pages. The attempt does not count, unless they were `begun`."""
    _hold(session, lease)
    session.execute(
        _RELEASE,
        {
            "document_id": lease.document_id,
            "token": lease.token,
            "numbers": list(numbers),
            "refund": 0 if begun else 1,
        },
    )


def write_pages(session: Session, lease: Lease, pages: Sequence[PageText | PageError]) -> Progress | None:
    """Write finished pages and count them; None if the lease was lost, and then nothing is written.

    Pages that somebody else took over in the meantime are left as they are.
    """
    _hold(session, lease)
    written = [
        row.status
        for row in session.execute(
            _FINISH_PAGES,
            {
                "document_id": lease.document_id,
                "token": lease.token,
                "rows": json.dumps([_row(page) for page in pages], ensure_ascii=False, allow_nan=False),
            },
        )
    ]
    if not written:
        return None
    return count_pages(session, lease.document_id, written.count("done"), written.count("failed"))


def give_up_pages(session: Session, document_id: UUID, *, attempts: int) -> Progress | None:
    """Fail the free pages whose attempts are used up; None if there are none."""
    lost = WorkerLost(
        f"The worker process ended {attempts} times while it was reading this page. Check the worker's memory and its "
        "log, or leave the page out."
    )
    failed = session.execute(
        _GIVE_UP,
        {"document_id": document_id, "attempts_limit": attempts, "code": lost.code, "message": lost.message},
    ).all()
    return count_pages(session, document_id, 0, len(failed)) if failed else None


def count_open_pages(session: Session, document_id: UUID, *, attempts: int) -> tuple[int, int]:
    """`(free, open)` of a running document: pages that can be leased now, and all that are not finished."""
    row = session.execute(_OPEN_PAGES, {"document_id": document_id, "attempts_limit": attempts}).one()
    return int(row.free), int(row.open)


def has_page(session: Session, document_id: UUID, number: int) -> bool:
    """Whether page `number` is among the pages of the document."""
    return session.get(Page, (document_id, number)) is not None


def _hold(session: Session, lease: Lease) -> None:
    """Lock the pages that are still the lease's, in the order in which everybody does."""
    session.execute(_HOLD, {"document_id": lease.document_id, "token": lease.token})


def _row(page: PageText | PageError) -> dict[str, object]:
    status = "done" if isinstance(page, PageText) else "failed"
    return {"status": status, **page.model_dump(mode="json")}


def count_pages(session: Session, document_id: UUID, done: int, failed: int) -> Progress:
    """Add pages that have ended to their document's counts, in the transaction that ended them."""
    row = session.execute(_COUNT, {"document_id": document_id, "done": done, "failed": failed}).one()
    if row.status == "failed":
        # A statement of its own: it must see what others committed while this one waited for the row.
        session.execute(_COPY_ERROR, {"document_id": document_id})
    finished = row.pages_done + row.pages_failed == row.pages_total and row.status in ("completed", "partial", "failed")
    return Progress(row.status, row.pages_done, row.pages_failed, row.pages_total, finished)

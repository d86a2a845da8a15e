"""Leases on pages: the statements that make any number of workers share a document without doing a page twice.

A worker leases a few pages, works on them, and writes all of them in one transaction that checks its token. A lease
that runs out lets others take the pages; whoever held it then writes nothing. See the page flow in docs/page-flow.md.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from quire.contracts import Block, Detection, DocumentStatus, PageError, PageText, Word
from quire.database import artifacts, webhooks
from quire.database.compressed import compress
from quire.database.tables import Page
from quire.errors import WorkerLost

# By its id: joined, Postgres may look through all documents that are running, where it takes them for few.
_RUNNING = "(SELECT d.status FROM documents d WHERE d.id = :document_id) = 'running'"

_TOUCH_PRECISION = "interval '1 s'"

# A page that may be leased: nobody has it, or whoever had it is gone.
FREE = "(p.status = 'pending' OR (p.status = 'leased' AND p.lease_expires_at < now()))"

# One statement, because every batch of pages pays for each round trip. The count is known when the last page is leased,
# so the document is locked after its pages, as everywhere. `touched_at` has an index: it moves as rarely as it may.
# Nobody waits for the disk: a lease that a crash of Postgres takes back has run out, and its holder writes nothing.
_LEASE = text(f"""
    WITH free AS (
        SELECT p.document_id, p.number
        FROM pages p
        WHERE p.document_id = :document_id AND {FREE} AND {_RUNNING}
          AND p.attempts >= :least_attempts AND p.attempts < :attempts_limit
          AND (CAST(:number AS integer) IS NULL OR p.number = :number)
        ORDER BY p.number
        LIMIT :most
        FOR UPDATE OF p SKIP LOCKED
    ), leased AS (
        UPDATE pages p
        SET status = 'leased', lease_token = :token, attempts = p.attempts + 1,
            lease_expires_at = now() + make_interval(secs => :seconds)
        FROM free
        WHERE p.document_id = free.document_id AND p.number = free.number
        RETURNING p.number, p.attempts
    ), touched AS (
        UPDATE documents d SET touched_at = now() FROM (SELECT count(*) AS pages FROM leased) l
        WHERE d.id = :document_id AND l.pages > 0 AND d.touched_at < now() - {_TOUCH_PRECISION}
    )
    SELECT number, attempts, set_config('synchronous_commit', 'off', true) FROM leased
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

# Pages that were given up by their last holder. The caller holds the document's row lock.
_GIVE_UP = text(f"""
    WITH lost AS (
        SELECT p.number FROM pages p
        WHERE p.document_id = :document_id AND {FREE} AND p.attempts >= :attempts_limit
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
_ADD = f"""
    pages_done = d.pages_done + c.done, pages_failed = d.pages_failed + c.failed,
    touched_at = CASE WHEN d.touched_at < now() - {_TOUCH_PRECISION} THEN now() ELSE d.touched_at END,
    status = CASE
        WHEN d.status <> 'running' OR d.pages_done + d.pages_failed + c.done + c.failed < d.pages_total THEN d.status
        WHEN d.pages_failed + c.failed = 0 THEN 'completed'
        WHEN d.pages_done + c.done = 0 THEN 'failed'
        ELSE 'partial' END,
    finished_at = CASE
        WHEN d.status = 'running' AND d.pages_done + d.pages_failed + c.done + c.failed = d.pages_total THEN now()
        ELSE d.finished_at END
"""

_COUNT = text(f"""
    UPDATE documents d SET {_ADD}
    FROM (SELECT CAST(:done AS integer) AS done, CAST(:failed AS integer) AS failed) c
    WHERE d.id = :document_id
    RETURNING d.status, d.pages_done, d.pages_failed, d.pages_total
""")

# One statement, for the round trips. It holds its pages by number before it changes any, and counts them when all are
# changed: pages before their document, as everywhere. Detections, words and blocks, nearly all of a page, come
# together in `content` as they are stored; `rows` says where each is in it, and where nothing is said is NULL.
_FINISH_PAGES = text(f"""
    WITH held AS (
        SELECT number FROM pages WHERE document_id = :document_id AND lease_token = :token AND status = 'leased'
        ORDER BY number FOR UPDATE
    ), finished AS (
        UPDATE pages p
        SET status = r.status, lease_token = NULL, lease_expires_at = NULL, finished_at = now(),
            width = r.width, height = r.height, dpi = r.dpi, rotation = r.rotation, source = r.source,
            engine = r.engine, text = r.text, detections = substring(:content, r.detections_at, r.detections_bytes),
            words = substring(:content, r.words_at, r.words_bytes),
            blocks = substring(:content, r.blocks_at, r.blocks_bytes), markdown = r.markdown,
            transform = substring(:content, r.transform_at, r.transform_bytes),
            confidence = r.confidence, timings = r.timings,
            error_code = r.code, error_message = r.message
        FROM held h, jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
            page_number integer, status text, width integer, height integer, dpi double precision, rotation smallint,
            source text, engine text, text text, detections_at integer, detections_bytes integer, words_at integer,
            words_bytes integer, blocks_at integer, blocks_bytes integer, markdown text, transform_at integer,
            transform_bytes integer, confidence double precision, timings jsonb, code text, message text)
        WHERE h.number = r.page_number AND p.document_id = :document_id AND p.number = h.number
          AND p.lease_token = :token AND p.status = 'leased'
        RETURNING p.status
    ), counted AS (
        SELECT CAST(count(*) FILTER (WHERE status = 'done') AS integer) AS done,
               CAST(count(*) FILTER (WHERE status = 'failed') AS integer) AS failed
        FROM finished
    )
    UPDATE documents d SET {_ADD}
    FROM counted c
    WHERE d.id = :document_id AND c.done + c.failed > 0
    RETURNING d.status, d.pages_done, d.pages_failed, d.pages_total
""")

_DETECTIONS = TypeAdapter(tuple[Detection, ...])
_WORDS = TypeAdapter(tuple[Word, ...])
_BLOCKS = TypeAdapter(tuple[Block, ...])
# Columns that come in `content`.
_PACKED = {"detections", "words", "blocks", "transform"}

# A document without a single page takes over the first page's error.
_COPY_ERROR = text("""
    UPDATE documents d SET error_code = p.error_code, error_message = p.error_message
    FROM (SELECT error_code, error_message FROM pages
          WHERE document_id = :document_id AND status = 'failed' ORDER BY number LIMIT 1) p
    WHERE d.id = :document_id
""")

_OPEN_PAGES = text(f"""
    SELECT count(*) FILTER (WHERE {FREE} AND p.attempts < :attempts_limit) AS free, count(*) AS open
    FROM pages p
    WHERE p.document_id = :document_id AND p.status IN ('pending', 'leased') AND {_RUNNING}
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
    is blamed. `number` asks for that one page. The transaction's commit does not wait for the disk.
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
    rows, content = _rows(pages)
    values = {"document_id": lease.document_id, "token": lease.token, "rows": rows, "content": content}
    counted = session.execute(_FINISH_PAGES, values).first()
    return None if counted is None else progress_after(session, lease.document_id, counted)


def finish(
    session: Session, lease: Lease, pages: Sequence[PageText | PageError], *, begun: Collection[int] = ()
) -> Progress | None:
    """`write_pages` for what came out, and `release` for the rest; the attempt counts for those that were `begun`."""
    written = {page.page_number for page in pages}
    left = [number for number in lease.numbers if number not in written]
    for is_begun in (True, False):
        numbers = [number for number in left if (number in begun) == is_begun]
        if numbers:
            release(session, lease, numbers, begun=is_begun)
    return write_pages(session, lease, pages) if pages else None


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


def _rows(pages: Sequence[PageText | PageError]) -> tuple[str, bytes]:
    """The `rows` and the `content` of pages. Postgres counts bytes from 1."""
    rows: list[dict[str, object]] = []
    content = bytearray()
    for page in pages:
        if isinstance(page, PageError):
            rows.append({"status": "failed", **page.model_dump(mode="json")})
            continue
        row = {"status": "done", **page.model_dump(mode="json", exclude=_PACKED)}
        for name, part in _packed(page):
            stored = compress(part)
            row |= {f"{name}_at": len(content) + 1, f"{name}_bytes": len(stored)}
            content += stored
        rows.append(row)
    return json.dumps(rows, ensure_ascii=False, allow_nan=False), bytes(content)


def _packed(page: PageText) -> Iterator[tuple[str, bytes]]:
    """What is stored compressed, by column. Most pages have neither blocks nor a transform."""
    yield "detections", _DETECTIONS.dump_json(page.detections)
    yield "words", _WORDS.dump_json(page.words)
    if page.blocks:
        yield "blocks", _BLOCKS.dump_json(page.blocks)
    if page.transform is not None:
        yield "transform", page.transform.model_dump_json().encode()


def count_pages(session: Session, document_id: UUID, done: int, failed: int) -> Progress:
    """Add pages that have ended to their document's counts, in the transaction that ended them."""
    counted = session.execute(_COUNT, {"document_id": document_id, "done": done, "failed": failed}).one()
    return progress_after(session, document_id, counted)


def progress_after(session: Session, document_id: UUID, counted: Row[Any]) -> Progress:
    """What a document's counts are after pages were added to them, and what its end brings with it."""
    if counted.status == "failed":
        # A statement of its own: it must see what others committed while this one waited for the row.
        session.execute(_COPY_ERROR, {"document_id": document_id})
    ended = counted.status in ("completed", "partial", "failed")
    finished = ended and counted.pages_done + counted.pages_failed == counted.pages_total
    if finished:
        artifacts.start_waiting(session, document_id)
        webhooks.enqueue(session, document_id)
    return Progress(counted.status, counted.pages_done, counted.pages_failed, counted.pages_total, finished)

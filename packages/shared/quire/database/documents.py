"""Documents: created, planned, failed, looked up, and found again when their tickets are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Engine, Integer, Table, func, insert, literal_column, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from quire.contracts import PRIORITIES, Detection, OcrOptions, PageError, PageText, Priority, StudyRequest
from quire.database import artifacts, limits, webhooks
from quire.database.engine import transaction
from quire.database.listing import POSITION_OF_NEW
from quire.database.tables import DISPATCHED, WAITING, Document, Page
from quire.database.turns import NEXT_TURN, Ticket
from quire.errors import QuireError
from quire.telemetry import tracing

_BEGIN_PLAN = text("""
    UPDATE documents SET plan_attempts = plan_attempts + 1, touched_at = now(),
        dispatched_at = coalesce(dispatched_at, now()),
        plan_expires_at = now() + make_interval(secs => :seconds), started_at = coalesce(started_at, now())
    WHERE id = :document_id AND status = 'queued' AND page_count IS NULL
      AND (plan_expires_at IS NULL OR plan_expires_at < now())
    RETURNING plan_attempts
""")

_RENEW_PLAN = text("""
    UPDATE documents SET touched_at = now(), plan_expires_at = now() + make_interval(secs => :seconds)
    WHERE id = :document_id AND status = 'queued' AND page_count IS NULL
    RETURNING id
""")

_PUT_OFF_PLAN = text("""
    UPDATE documents SET plan_attempts = plan_attempts - :refund, plan_expires_at = NULL, touched_at = now()
    WHERE id = :document_id AND status = 'queued' AND page_count IS NULL AND plan_attempts = :attempt
""")

_STALE = text(f"""
    SELECT d.id, d.priority FROM documents d
    WHERE ({DISPATCHED}) AND d.touched_at < now() - make_interval(secs => :seconds)
      AND (d.page_count IS NULL AND (d.plan_expires_at IS NULL OR d.plan_expires_at < now()) OR EXISTS (
          SELECT 1 FROM pages p WHERE p.document_id = d.id
            AND (p.status = 'pending' OR (p.status = 'leased' AND p.lease_expires_at < now()))))
    ORDER BY d.touched_at
    LIMIT :most
    FOR UPDATE OF d SKIP LOCKED
""")

_EXHAUSTED = text("""
    SELECT DISTINCT p.document_id FROM pages p JOIN documents d ON d.id = p.document_id
    WHERE d.status = 'running' AND p.status IN ('pending', 'leased') AND p.attempts >= :attempts
      AND (p.status = 'pending' OR p.lease_expires_at < now())
    LIMIT :most
""")


_EXISTS = text("SELECT 1 FROM documents WHERE id = :document_id")

# Made once, and of the table: for each upload anew, or of the mapped class, it takes several times as long.
_DOCUMENTS = cast(Table, Document.__table__)
_HAS_TICKET = f"""
    CASE WHEN CAST(:has_ticket AS boolean)
           OR CAST(:ticket_if_first AS boolean) AND NOT EXISTS (SELECT FROM documents WHERE {WAITING}) THEN now() END
"""
_CREATE = (
    postgresql.insert(_DOCUMENTS)
    .values(turn=text(NEXT_TURN), dispatched_at=text(_HAS_TICKET))
    .on_conflict_do_nothing(index_elements=[_DOCUMENTS.c.id])
    .returning(*_DOCUMENTS.c)
)
_CREATE_AND_COUNT = _CREATE.returning(literal_column(POSITION_OF_NEW, Integer).label("position"))


@dataclass(frozen=True)
class NewDocument:
    """What is known of a document when it is accepted. Sizes are in bytes.

    Documents of different owners take turns, `interactive` ones before those in `bulk`.
    """

    id: UUID
    bucket: str
    source_key: str
    options: OcrOptions
    page_number: int | None = None
    filename: str | None = None
    media_type: str | None = None
    source_bytes: int | None = None
    source_sha256: str | None = None
    owner: str = ""
    priority: Priority = "interactive"
    follow_ups: Sequence[StudyRequest] = ()


@dataclass(frozen=True)
class Plan:
    """What opening a document shows: its pages, and those of them that are to be read, ascending.

    Pages of documents with equal fingerprints have the same text. What whoever opened it does not tell is None.
    """

    page_count: int
    numbers: Sequence[int]
    media_type: str | None
    source_bytes: int | None
    source_sha256: str | None
    fingerprint: str | None = None


class Created(NamedTuple):
    """A document of no session, with the values of its row; and its `listing.position_of` where that was asked for."""

    document: Document
    position: int | None


def create(
    session: Session,
    new: NewDocument,
    *,
    has_ticket: bool = False,
    ticket_if_first: bool = False,
    count_before: bool = False,
) -> Created | None:
    """Insert a document as `queued`; None if its id is there already, which leaves that one as it is.

    It waits for its turn to get a ticket (`turns.take_waiting`), unless it `has_ticket`; with `ticket_if_first` it has
    its turn at once where no other one waits. The caller issues the ticket of a document that is dispatched.

    With `count_before` its position is found by the same statement.
    """
    others = ("options", "priority", "follow_ups")
    row = {name: getattr(new, name) for name in NewDocument.__dataclass_fields__ if name not in others}
    priority = PRIORITIES[new.priority]
    row |= {
        "priority": priority,
        "of_priority": priority,
        "of_owner": new.owner,
        "has_ticket": has_ticket,
        "ticket_if_first": ticket_if_first,
        "options": new.options.model_dump(mode="json"),
        "options_hash": new.options.digest(),
        "traceparent": tracing.traceparent(),
    }
    created = session.execute(_CREATE_AND_COUNT if count_before else _CREATE, row).mappings().one_or_none()
    if created is None:
        return None
    for request in new.follow_ups:
        artifacts.request(session, new.id, request)
    values = dict(created)
    position = values.pop("position", None)
    return Created(Document(**values), position)


def get(session: Session, document_id: UUID) -> Document | None:
    """A document, or None."""
    return session.get(Document, document_id)


def exists(session: Session, document_id: UUID) -> bool:
    """Whether there is a document with this id."""
    return session.scalar(_EXISTS, {"document_id": document_id}) is not None


def begin_plan(session: Session, document_id: UUID, *, seconds: float) -> int | None:
    """Take a document for planning and count the attempt, before the work.

    None if it is planned, has ended, or is being planned by somebody whose `seconds` are not over.
    """
    row = session.execute(_BEGIN_PLAN, {"document_id": document_id, "seconds": seconds}).first()
    return None if row is None else int(row.plan_attempts)


def renew_plan(session: Session, document_id: UUID, *, seconds: float) -> bool:
    """Hold a document for planning for another `seconds` from now; False if it needs no planning any more."""
    return session.execute(_RENEW_PLAN, {"document_id": document_id, "seconds": seconds}).first() is not None


def put_off_plan(session: Session, document_id: UUID, *, attempt: int, begun: bool = False) -> None:
    """Give a document back that could not be planned for no fault of its own. The attempt does not count, unless it
    was `begun`.

    Does nothing where somebody else has begun since: `attempt` is what `begin_plan` gave.
    """
    values = {"document_id": document_id, "attempt": attempt, "refund": 0 if begun else 1}
    session.execute(_PUT_OFF_PLAN, values)


def plan(session: Session, document_id: UUID, made: Plan) -> bool:
    """Make the rows of a document's pages and set it running; False if somebody else was faster."""
    planned = session.execute(
        update(Document)
        .where(Document.id == document_id, Document.page_count.is_(None), Document.status == "queued")
        .values(
            status="running",
            page_count=made.page_count,
            pages_total=len(made.numbers),
            media_type=made.media_type,
            source_bytes=made.source_bytes,
            source_sha256=made.source_sha256,
            fingerprint=made.fingerprint,
            plan_expires_at=None,
            touched_at=func.now(),
        )
        .returning(Document.owner)
    ).first()
    if planned is None:
        return False
    if planned.owner:
        limits.add_pages(session, planned.owner, len(made.numbers))
    session.execute(insert(Page), [{"document_id": document_id, "number": number} for number in made.numbers])
    return True


def fail(session: Session, document_id: UUID, error: QuireError) -> bool:
    """End a document that cannot be planned; False if it is not unplanned any more."""
    failed = session.execute(
        update(Document)
        .where(Document.id == document_id, Document.status == "queued", Document.page_count.is_(None))
        .values(status="failed", error_code=error.code, error_message=error.message, finished_at=func.now())
        .returning(Document.id)
    ).first()
    if failed is not None:
        artifacts.start_waiting(session, document_id)
        webhooks.enqueue(session, document_id)
    return failed is not None


def cancel(session: Session, document_id: UUID) -> bool:
    """Cancel an unfinished document; its next lease finds nothing. False if it had ended."""
    cancelled = session.execute(
        update(Document)
        .where(Document.id == document_id, Document.status.in_(("queued", "running")))
        .values(status="cancelled", finished_at=func.now())
        .returning(Document.id)
    ).first()
    if cancelled is not None:
        artifacts.start_waiting(session, document_id)
    return cancelled is not None


def count_waiting(session: Session, *, most: int = 1000) -> int:
    """Documents that nobody has begun; counted no further than `most`, since every poll asks."""
    # Ordered for the sake of the index, as in `are_queued`.
    queued = select(Document.id).where(Document.status == "queued").order_by(Document.created_at)
    waiting = queued.limit(most).subquery()
    return int(session.scalar(select(func.count()).select_from(waiting)) or 0)


def retry_failed(session: Session, document_id: UUID) -> Ticket | None:
    """Have the failed pages of a document read again, or the document opened again that could not be.

    The ticket to issue; None if nothing of it has failed, or it was cancelled. Pages that were read stay as they are.
    """
    locked = select(Document).where(Document.id == document_id).with_for_update()
    document = session.scalar(locked, execution_options={"populate_existing": True})
    if document is None or document.status == "cancelled":
        return None
    if document.page_count is None:
        if document.status != "failed":
            return None
        document.status, document.plan_attempts, document.plan_expires_at = "queued", 0, None
    else:
        reset = update(Page).where(Page.document_id == document_id, Page.status == "failed").returning(Page.number)
        values = {"status": "pending", "attempts": 0, "error_code": None, "error_message": None, "finished_at": None}
        again = session.execute(reset.values(**values)).all()
        if not again:
            return None
        document.status, document.pages_failed = "running", document.pages_failed - len(again)
    document.error_code = document.error_message = document.finished_at = None
    document.dispatched_at = document.touched_at = func.now()
    return Ticket(document_id, document.priority)


def are_queued(session: Session) -> bool:
    """Whether there are documents that nobody has opened yet."""
    # Ordered, or Postgres may look for one from the beginning of the table, where those are that have ended.
    queued = select(Document.id).where(Document.status == "queued").order_by(Document.created_at).limit(1)
    return session.scalar(queued) is not None


def read_detections(session: Session, document_id: UUID) -> list[Detection]:
    """All detections of a document, by page."""
    rows = session.execute(
        select(Page.detections).where(Page.document_id == document_id, Page.status == "done").order_by(Page.number)
    )
    return [Detection.model_validate(found) for (detections,) in rows for found in detections or ()]


def read_pages(session: Session, document_id: UUID, *, after: int = 0, most: int | None = None) -> list[PageText]:
    """The pages of a document that were read, by number. One from before there were words has none.

    Of those with a number greater than `after`, the first `most`.
    """
    found = session.scalars(
        select(Page)
        .where(Page.document_id == document_id, Page.number > after, Page.status == "done")
        .order_by(Page.number)
        .limit(most)
    )
    return [_page_text(page) for page in found]


def iter_pages(database: Engine, document_id: UUID, *, after: int = 0, batch: int = 50) -> Iterator[PageText]:
    """`read_pages` of a document of any length: `batch` pages at a time, each batch in a transaction of its own."""
    while some := _read_batch(database, document_id, after, batch):
        yield from some
        after = some[-1].page_number


def _read_batch(database: Engine, document_id: UUID, after: int, batch: int) -> list[PageText]:
    with transaction(database) as session:
        return read_pages(session, document_id, after=after, most=batch)


def read_text(session: Session, document_id: UUID) -> str:
    """The text of a document's pages that were read, an empty line between two."""
    of_document = select(Page.text).where(Page.document_id == document_id, Page.status == "done").order_by(Page.number)
    return "\n\n".join(text or "" for text in session.scalars(of_document))


def read_page_errors(session: Session, document_id: UUID) -> list[PageError]:
    """The pages of a document that were given up, and why."""
    rows = session.execute(
        select(Page.number, Page.error_code, Page.error_message)
        .where(Page.document_id == document_id, Page.status == "failed")
        .order_by(Page.number)
    )
    return [PageError(page_number=number, code=code, message=message) for number, code, message in rows]


def take_stale(session: Session, *, seconds: float, most: int) -> list[Ticket]:
    """Tickets for dispatched documents with work to do that nobody has touched for `seconds`; touches them."""
    stale = [Ticket(row.id, row.priority) for row in session.execute(_STALE, {"seconds": seconds, "most": most})]
    if stale:
        ids = [ticket.document_id for ticket in stale]
        session.execute(update(Document).where(Document.id.in_(ids)).values(touched_at=func.now()))
    return stale


def with_exhausted_pages(session: Session, *, attempts: int, most: int) -> list[UUID]:
    """Documents with free pages that may not be tried again."""
    rows = session.execute(_EXHAUSTED, {"attempts": attempts, "most": most})
    return [cast(UUID, row.document_id) for row in rows]


def status_of(document: Document) -> dict[str, Any]:
    """A document's status and counts as plain values."""
    return {
        "document_id": document.id,
        "status": document.status,
        "page_count": document.page_count,
        "pages_done": document.pages_done,
        "pages_failed": document.pages_failed,
    }


def _page_text(page: Page) -> PageText:
    columns = PageText.model_fields.keys() - {"page_number"}
    # What is NULL takes the contract's default.
    known = {name: value for name in columns if (value := getattr(page, name)) is not None}
    return PageText(page_number=page.number, **known)
